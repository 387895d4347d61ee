# SPDX-License-Identifier: BSD-3-Clause
"""A prediction that was stopped or killed: nothing that is done is done again, nothing stale is
used, and the same bytes come out."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import screens
from calls import counting, warnings_to
from phenoscale import InputError, load
from phenoscale.prediction import blocks, stream
from predictions import BLOCKS, Prediction
from thread_ranks import run_ranks


@pytest.fixture
def job(tmp_path, monkeypatch):
    return Prediction(tmp_path, monkeypatch)


# ---- stopped, killed ----------------------------------------------------------------------------


@pytest.mark.parametrize("fields, done", [(1, 0), (3, 0), (4, 1), (9, 3), (16, 5)])
def test_stopped_anywhere_it_ends_in_the_same_bytes(job, fields, done):
    """The block that was being predicted is not there, those before it are."""
    job.stop_after(fields)
    assert job.written == list(range(done)) and job.parts.exists() == bool(done)
    seen = []
    job.run(True, threads=1, progress=counting("predict", lambda *words: seen.append(words)))
    assert job.written == list(range(done, BLOCKS)) and job.content() == job.wanted()
    assert not job.parts.exists()
    first = 3 * done - (done > 1) + 1  # field 4 cannot be used
    assert seen == [(count, 16) for count in range(first, 17)]


KILL = """
import os, signal, sys
from phenoscale.prediction import blocks, stream
from phenoscale.prediction import stream
from phenoscale.__main__ import main
stream.BLOCK = 3
where, left = sys.argv[1], int(sys.argv[2])
def make_mortal(module, name):
    real = getattr(module, name)
    def call(*words, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **options)
    setattr(module, name, call)
make_mortal(*{"write": (blocks, "write_tensors"), "rename": (os, "replace"), "sync": (os, "fsync"),
              "clear": (blocks.Blocks, "clear"), "remove": (os, "remove")}[where])
main(["predict", "m", "screen/screen.csv", "--out", "out/p.csv", "--quiet"])
"""


@pytest.mark.parametrize("where, left, missing", [
    ("write", 0, BLOCKS), ("write", 3, 3), ("rename", 4, 2), ("sync", 4, 4),  # blocks
    ("rename", BLOCKS, 0), ("rename", BLOCKS + 1, 0),  # the file, the list of errors
    ("clear", 0, 0), ("remove", 2, 2)])  # the blocks go
def test_killed_at_any_point_only_what_is_missing_is_done(job, where, left, missing):
    done = subprocess.run([sys.executable, "-c", KILL, where, str(left)], cwd=job.folder)
    assert done.returncode == -signal.SIGKILL
    assert job.run(True)[0] == 13
    assert len(job.written) == missing and job.content() == job.wanted()
    there = set(os.listdir(job.out)) - {"p.csv", "p.errors.csv"}
    assert all(name.startswith("p.errors.csv.tmp.") for name in there)


def start(words):
    """The command line in a process that Ctrl-C reaches, whatever started the tests."""
    program = ("import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
               "from phenoscale.__main__ import main; import sys; main(sys.argv[1:])")
    return subprocess.Popen([sys.executable, "-c", program, *map(str, words)], text=True,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def stop(process, number, folder, count):
    """Send a signal once so many blocks are there: (status, stderr, {block: its time})."""
    while len(list(folder.glob("*.safetensors"))) < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    return process.returncode, err, {path: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 75),
                                            (signal.SIGUSR1, 75), (signal.SIGHUP, 75)])
def test_a_signal_stops_the_verb_and_resume_goes_on(job, number, status):
    frame = pandas.concat([pandas.read_csv(job.source, dtype=str).iloc[[0, 1]]] * 2000)
    frame["Metadata_Well"] = [f"A{n}" for n in range(4000)]
    frame.to_csv(job.source, index=False)
    words = ["predict", job.folder / "m", job.source, "--out", job.out / "p.csv", "--quiet",
             "--threads", "1"]
    said = (status, f"stopped by {signal.Signals(number).name}: go on with --resume\n")
    *found, before = stop(start(words), number, job.parts, 2)
    assert tuple(found) == said and len(before) >= 2
    assert all(path.suffix == ".safetensors" for path in before)
    *found, after = stop(start([*words, "--resume"]), number, job.parts, len(before) + 2)
    assert tuple(found) == said and before.items() < after.items()


def test_stopped_before_the_first_block_there_is_nothing_to_go_on_from(job, call, monkeypatch):
    monkeypatch.setattr(stream, "usable", lambda *_, **__: os.kill(os.getpid(),
                                                                        signal.SIGTERM))
    status, out, err = call("predict", job.folder / "m", job.source, "--out", job.out / "p.csv")
    assert (status, out, err) == (75, "", "stopped by SIGTERM\n") and not os.listdir(job.out)


# ---- what is not used ---------------------------------------------------------------------------


def test_blocks_that_lie_there_are_refused_without_resume(job, call):
    job.stop_after(12)
    before = job.blocks()
    status, _, err = call("predict", job.folder / "m", job.source, "--out", job.out / "p.csv")
    assert status == 1 and err == (
        f"phenoscale: {job.parts} holds a prediction that was stopped: go on with --resume, choose "
        "another --out, or remove it\n")
    assert job.blocks() == before and os.listdir(job.out) == [job.parts.name]


def test_a_name_too_long_is_refused_before_the_work(job, call):
    """What has it until it is whole has a longer one."""
    status, _, err = call("predict", job.folder / "m", job.source, "--out",
                          job.out / f"{241 * 'a'}.csv", "--quiet")
    assert status == 1 and "its name has more than 243 bytes: choose a shorter one" in err
    assert not job.written and not os.listdir(job.out)


def test_the_blocks_of_a_link_are_those_of_its_file(job, call):
    """As the lock is: who begins it under one name goes on with it under the other."""
    job.stop_after(12)
    (job.folder / "link.csv").symlink_to(job.out / "p.csv")
    words = "predict", job.folder / "m", job.source, "--out", job.folder / "link.csv", "--quiet"
    status, _, err = call(*words)
    assert status == 1 and f"{job.parts} holds a prediction that was stopped" in err
    assert call(*words, "--resume")[0] == 3 and not job.parts.exists()
    assert (job.out / "p.csv").is_file() and (job.folder / "link.csv").is_symlink()


@pytest.mark.parametrize("options, words", [
    ({"model": screens.make_model(seed=2)}, "begun with another model: resume with the same"),
    ({"tower": "plain"}, "begun with --tower fused, not plain: resume with the same"),
    ({"on_error": "stop"}, "begun with --on-error skip, not stop: ")])
@pytest.mark.parametrize("size", [1, 2])
def test_another_model_or_option_is_refused(job, options, words, size):
    for row, c in ((4, 0), (7, 1), (12, 0), (14, 0)):  # so that "stop" has nothing else to say
        shutil.copy(job.paths[0][c], job.paths[row][c])
    job.stop_after(12)
    before = job.blocks()
    with pytest.raises(InputError, match=words):
        run_ranks(size, lambda ranks: job.run(True, ranks=ranks, **options))
    assert job.blocks() == before and not job.written


def test_the_scale_is_of_the_model(job):
    job.stop_after(12)
    model = load(job.folder / "m")
    model.offset = [-5.0, -6.0]
    with pytest.raises(InputError, match="begun with another model"):
        job.run(True, model=model)


def test_blocks_whose_files_or_rows_changed_are_done_again(job):
    job.stop_after(16)
    warned, text = [], job.source.read_text().splitlines()
    shutil.copy(job.paths[0][0], job.paths[1][0])  # block 0
    assert "A11_DNA" in text[11] and "drug" in text[17]
    text[11] = text[11].replace("A11_DNA", "A12_DNA")  # block 3
    text[17] = text[17].replace("drug", "poison")  # of no number
    job.source.write_text("\n".join(text) + "\n")
    job.run(True, progress=warnings_to(warned))
    assert job.written == [0, 3, 5]
    assert warned == [f"{job.parts}/block-000000.safetensors is of fields or files that have "
                      "changed and 1 more: done again"]
    assert job.content() == job.wanted() and b"poison" in job.content()[0]


def test_a_repaired_field_is_no_longer_skipped(job):
    job.stop_after(12)
    for row, c in ((4, 0), (7, 1)):
        shutil.copy(job.paths[0][c], job.paths[row][c])
    assert job.run(True)[0] == 15 and job.written == [1, 2, 4, 5]


def test_why_a_field_was_skipped_is_said_as_the_table_now_has_it(job):
    """The line and well of a field are not of its block."""
    job.stop_after(12)
    text = job.source.read_text().replace(",A08,", ",H08,")
    job.source.write_text(text.replace("\n", "\n\n"))
    job.run(True)
    assert job.written == [4, 5] and job.content() == job.wanted()
    assert b"line 17 (well P1 H08): " in job.content()[1]


def test_a_shorter_table_leaves_nothing_behind(job):
    job.stop_after(12)
    job.source.write_text("".join(job.source.read_text().splitlines(True)[:7]))
    job.run(True)
    assert job.written == [] and sorted(os.listdir(job.out)) == ["p.csv", "p.errors.csv"]


@pytest.mark.soak
def test_a_damaged_block_is_done_again_with_a_word(job, amount):
    """A byte changed anywhere, or the end missing: the same file in the end, and said."""
    job.stop_after(16)
    rng, wanted, name, again = random.Random(0), job.wanted(), "block-000002.safetensors", 0
    kept = {path.name: path.read_bytes() for path in job.parts.iterdir()}
    for turn in range(amount(24, 2000)):
        mutant, warned = bytearray(kept[name]), []
        if turn % 8 == 0:
            mutant = mutant[: rng.randrange(len(mutant))]
        else:
            mutant[rng.randrange(len(mutant) if turn % 2 else 900)] ^= 1 << rng.randrange(8)
        job.parts.mkdir(exist_ok=True)
        for other, whole in kept.items():
            (job.parts / other).write_bytes(mutant if other == name else whole)
        job.run(True, progress=warnings_to(warned))
        assert job.content() == wanted
        again += job.written == [2, 5]
        assert job.written in ([2, 5], [5])
        assert [name in words for words in warned] == [True] * (len(job.written) - 1)
    assert again > 0.8 * turn


def test_foreign_files_stay(job):
    job.stop_after(12)
    (job.parts / "notes.txt").write_text("mine")
    (job.parts / "block-000005.safetensors.tmp.4194304").write_text("half")
    (job.out / "p.csv.tmp.4194304").write_text("half")
    job.run(True)
    assert job.content() == job.wanted() and job.blocks() == ["notes.txt"]
    assert sorted(os.listdir(job.out)) == ["p.csv", "p.csv.parts", "p.errors.csv"]


def test_other_libraries_are_said_once(job, monkeypatch):
    job.stop_after(12)
    monkeypatch.setattr(blocks, "environment", lambda: {"isa": "another"})
    warned = []
    job.run(True, progress=warnings_to(warned))
    assert len(warned) == 1 and "the last bits may differ" in warned[0]
    assert job.content() == job.wanted()
