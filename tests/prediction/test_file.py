# SPDX-License-Identifier: BSD-3-Clause
"""A table to a file of predictions in blocks: the same bytes by any number of ranks, whatever the
disk does, in little memory."""

import errno
import json
import os
import shutil
import weakref

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("tifffile")
import calls
import screens
from calls import counting
from phenoscale import InputError, load
from phenoscale.images import survey as survey_module
from phenoscale.images.survey import survey
from phenoscale.prediction import stream
from phenoscale.prediction.blocks import Blocks
from phenoscale.prediction.predict import Predictions
from phenoscale.tables.read import read_table
from predictions import BLOCKS, Prediction
from thread_ranks import run_ranks


@pytest.fixture
def job(tmp_path, monkeypatch):
    return Prediction(tmp_path, monkeypatch)


# ---- ranks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
def test_any_number_of_ranks_writes_the_same_bytes(job, size):
    """Each block by one of them, also where there are more ranks than blocks."""
    seen = []
    said = run_ranks(size, lambda ranks: job.run(
        ranks=ranks, progress=counting("predict", lambda done, of: seen.append((done, of)))))
    assert sorted(job.written) == list(range(BLOCKS)) and job.content() == job.wanted()
    assert said == [(13, str(job.out / "p.errors.csv"))] * size
    assert sorted(os.listdir(job.out)) == ["p.csv", "p.errors.csv"]
    assert seen == sorted(seen) and {of for _, of in seen} == {16} and seen[-1][0] <= 16
    assert size > 1 or seen[-1] == (16, 16)


def test_a_lost_rank_s_fields_are_done_again_by_those_there_are(job):
    def lost(done, of):
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        run_ranks(3, lambda ranks: job.run(  # of rank 0
            ranks=ranks, threads=1, progress=counting("predict", lost)))
    assert sorted(job.written) == [1, 2, 4, 5]
    run_ranks(2, lambda ranks: job.run(True, ranks=ranks))
    assert sorted(job.written) == [0, 3] and job.content() == job.wanted()


def test_an_error_in_a_rank_ends_all_and_is_one(job):
    with pytest.raises(InputError, match=r"line 6 .*does not exist"):
        run_ranks(3, lambda ranks: job.run(ranks=ranks, on_error="stop"))
    for row in (4, 12, 14):
        shutil.copy(job.paths[0][0], job.paths[row][0])
    with pytest.raises(InputError, match=r"line 9 \(well P1 A08\): .*A08_Actin.tif: .*damaged"):
        run_ranks(3, lambda ranks: job.run(ranks=ranks, on_error="stop"))


def test_ranks_share_the_headers(job, monkeypatch):
    table = read_table(job.source)
    screens.larger(table.paths[2][0])
    screens.color(table.paths[9][1])
    alone, seen, real = survey(table), [], survey_module.image_info
    monkeypatch.setattr(survey_module, "image_info",
                        lambda path, page: seen.append(path) or real(path, page))
    assert run_ranks(3, lambda ranks: survey(table, ranks=ranks)) == [alone] * 3
    assert len(alone.problems) == 3
    assert len(seen) == len(set(seen)) == 2 * 17 - 1  # each file once; one is not there


def test_ranks_find_the_planes_of_stacks(tmp_path):
    """Several files a channel, and pages within one."""
    import pandas
    import tifffile

    rows = []
    for k in range(5):
        for z in range(2):
            tifffile.imwrite(tmp_path / f"{k}-{z}.tif", np.full((8, 8), z, np.uint8))
            rows.append({"FileName_A": f"{k}-{z}.tif", "FileName_B": "pages.tif", "Frame_B": 1 + z,
                         "Metadata_Well": f"A0{k}", "Metadata_Z": z})
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((3, 8, 8), np.uint8),
                     photometric="minisblack")
    table = read_table(pandas.DataFrame(rows), root=tmp_path, z="max")
    alone = survey(table)
    assert [len(planes) for planes in alone.planes[4]] == [2, 2] and not alone.problems
    assert run_ranks(2, lambda ranks: survey(table, ranks=ranks)) == [alone] * 2


def test_a_folder_that_ranks_do_not_share_is_said(job, monkeypatch):
    """Blocks on another machine, that rank 0 does not see."""
    real = Blocks.__setitem__

    def write(blocks, number, found):
        if number % 2:
            blocks.folder = str(job.folder / "elsewhere")
        real(blocks, number, found)

    monkeypatch.setattr(Blocks, "__setitem__", write)
    with pytest.raises(InputError, match="block-000001.safetensors does not exist: give --out in a "
                                         "folder that all ranks share"):
        run_ranks(2, lambda ranks: job.run(ranks=ranks))


# ---- one at a time, into one file ---------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2])
def test_a_second_prediction_to_one_file_is_refused(job, size):
    """Before it writes anything, resumed or not; the first is as if alone."""
    refused = []

    def second(done, of):
        assert set(os.listdir(job.out)) <= {"p.csv.lock", "p.csv.parts"}
        for resume in (False, True, None):
            with pytest.raises(InputError, match="p.csv is being written by process .*: choose "
                                                 "another --out"):
                Prediction.run(job, resume)
            refused.append(resume)
        assert set(os.listdir(job.out)) - {"p.csv.parts"} == {"p.csv.lock"}

    run_ranks(size, lambda ranks: job.run(
        ranks=ranks, progress=counting("predict", second) if not ranks.rank else None))
    assert len(refused) > 3 and job.content() == job.wanted()
    assert sorted(os.listdir(job.out)) == ["p.csv", "p.errors.csv"]


def test_each_file_has_a_list_of_errors_of_its_own(job):
    """Which that of another file in the folder leaves alone."""
    job.run()
    before = (job.out / "p.errors.csv").read_bytes()
    lists = [calls.predict_to_file(load(job.folder / "m"), job.source, job.out / name)[1]
             for name in ("q.csv", "p.csv.gz")]
    assert lists == [str(job.out / name) for name in ("q.errors.csv", "p.csv.gz.errors.csv")]
    assert (job.out / "p.errors.csv").read_bytes() == before


def test_a_link_stays_and_a_stream_is_refused(job):
    (job.out / "p.csv").symlink_to("../far.csv")
    job.run()
    assert os.readlink(job.out / "p.csv") == "../far.csv" and job.content() == job.wanted()
    assert not (job.folder / "far.csv").is_symlink()
    (job.out / "stream.csv").symlink_to("/dev/stdout")
    for name, words in (("stream.csv", "a pipe or a stream, and not a file"),
                        ("/dev/stdout", "predictions are written as CSV or Parquet")):
        with pytest.raises(InputError, match=words):
            calls.predict_to_file(load(job.folder / "m"), job.source, job.out / name)


def test_parquet_holds_what_the_csv_holds(job):
    """Blocks that were stopped go on into either; numbers as they are, no digits lost."""
    import pandas

    pyarrow = pytest.importorskip("pyarrow.parquet")
    out, model = job.out / "p.parquet", load(job.folder / "m")
    job.run()
    calls.predict_to_file(model, job.source, out, resume=True)
    found, wanted = pyarrow.read_table(out), pandas.read_csv(job.out / "p.csv", dtype=str,
                                                              keep_default_na=False)
    assert found.column_names == list(wanted.columns) and found.num_rows == 13
    for name in wanted:
        kind, cells = str(found.schema.field(name).type), found[name].to_numpy()
        if "_Emb" in name or "_Prob_" in name:
            assert kind == "float" and np.array_equal(cells, wanted[name].astype(np.float32))
        else:
            assert kind in ("string", "double") and list(map(str, cells)) == wanted[name].tolist()
    assert (job.out / "p.parquet.errors.csv").read_bytes() == job.content()[1]
    assert len(read_table(out)) == 13
    with pytest.raises(InputError, match="leave --safe-cells out"):
        calls.predict_to_file(model, job.source, out, safe=True)


# ---- the disk, and memory -----------------------------------------------------------------------


@pytest.mark.parametrize("left, file", [(0, "block-000000.safetensors"), (2, "block-000002.safete"),
                                        (BLOCKS, "p.csv"), (BLOCKS + 1, "p.errors.csv")])
def test_a_full_disk_is_said_and_loses_nothing(job, monkeypatch, left, file):
    """While a block is written, the file, or the list of errors."""
    real, calls = os.fsync, []

    def fsync(number):
        if ".tmp." in os.readlink(f"/proc/self/fd/{number}"):
            calls.append(number)
            if len(calls) > left:
                raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(InputError, match=f"{file}.* cannot be written: No space left on device"
                       ) as caught:
        job.run()
    assert ("go on with --resume" in str(caught.value)) == (left < BLOCKS)
    assert job.written == list(range(min(left, BLOCKS))) and not list(job.folder.rglob("*.tmp.*"))
    assert job.parts.exists() == bool(left)
    monkeypatch.setattr(os, "fsync", real)
    job.run(True)
    assert job.written == list(range(left, BLOCKS)) and job.content() == job.wanted()


@pytest.mark.parametrize("block, resume", [(64, False), (64, True), (3, None)])
def test_one_block_and_hosts_keep_nothing_on_disk(job, monkeypatch, block, resume):
    monkeypatch.setattr(stream, "BLOCK", block)
    there = set()
    job.run(resume, progress=counting("predict", lambda *_: there.update(os.listdir(job.out))))
    assert job.content() == job.wanted() and not job.written and there == {"p.csv.lock"}


def test_memory_holds_a_few_blocks_however_many_there_are(job, monkeypatch):
    """Neither while they are predicted nor while the file is written."""
    alive, most, real = [], [], Predictions.__init__

    def make(self, *words, **options):
        real(self, *words, **options)
        alive.append(weakref.ref(self))
        most.append(sum(one() is not None for one in alive))

    monkeypatch.setattr(Predictions, "__init__", make)
    job.run()
    assert len(most) == 2 * BLOCKS and max(most) <= 3


def test_a_block_names_what_it_is_of(job):
    """Plain JSON in a file that the package safetensors reads."""
    from safetensors import safe_open

    job.stop_after(12)
    with safe_open(job.parts / "block-000002.safetensors", framework="np") as file:
        about = json.loads(file.metadata()["phenoscale block"])
        assert file.get_tensor("embeddings").shape == (3, 2048)
    assert set(about["same"]) == {"kind", "model", "tower", "on-error", "measures"}
    assert about["rows"] == 3
    ((row, why),) = about["skipped"]
    assert row == 1 and "A08_Actin.tif" in why
