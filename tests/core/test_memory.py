# SPDX-License-Identifier: BSD-3-Clause
"""What a training holds: one network, a few fields, and no second copy of the weights."""

import os
import stat
import tracemalloc
import weakref

import pytest

pytest.importorskip("pandas"), pytest.importorskip("click"), pytest.importorskip("tqdm")
pytest.importorskip("tifffile")
import screens
from phenoscale import WholeImageClassifier, _core
from phenoscale.__main__ import main
from phenoscale.cli import train as verb
from phenoscale.files.atomic import write_atomically
from phenoscale.images.fields import open_fields
from phenoscale.images.survey import survey
from phenoscale.tables.read import read_table

LABEL = "Metadata_Class"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return read_table(screens.write_screen(tmp_path_factory.mktemp("screen"), 2, 8, 1))


@pytest.mark.parametrize("threads, workers", [(1, 1), (1, 2), (4, 2)])
def test_the_ring_is_of_the_threads_and_not_of_the_batch(table, threads, workers):
    source = open_fields(table, survey(table), threads, 1, workers)
    source.start(range(18))
    for _ in range(2 * threads + workers):
        source.next()
    with pytest.raises(ValueError, match="slots are handed out"):
        source.next()


def test_saving_holds_no_second_copy_of_the_weights(tmp_path, monkeypatch):
    model = screens.make_model("mcnn")
    monkeypatch.setattr(_core, "Net", None)  # nor a network with weights of its own
    tracemalloc.start()
    model.save(tmp_path / "model")
    model.digest()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < model.parameters.nbytes / 10


def test_a_file_and_its_name_are_on_the_disk_before_the_writer_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(
        (stat.S_ISDIR(os.fstat(number).st_mode), os.listdir(tmp_path))))
    write_atomically(tmp_path / "m", [b"some ", memoryview(b"words")])
    assert synced == [(False, [f"m.tmp.{os.getpid()}"]), (True, ["m"])]
    assert (tmp_path / "m").read_bytes() == b"some words"


def test_a_run_makes_one_network_and_lets_go_of_it_before_the_report(table, tmp_path, monkeypatch,
                                                                    capsys):
    nets, models, make, run = [], [], _core.Net, verb.train_run

    def counted_net(*words, **options):
        nets.append(options)
        return make(*words, **options)

    def watched_run(*words, **options):
        model, folder = run(*words, **options)
        models.append(weakref.ref(model))
        return model, folder

    monkeypatch.setattr(_core, "Net", counted_net)
    monkeypatch.setattr(verb, "train_run", watched_run)
    monkeypatch.setattr(verb, "write_report", lambda folder: models[0]())
    with pytest.raises(SystemExit) as caught:
        main(["train", table.source, "--label", LABEL, "--out", str(tmp_path / "run"), "--quiet",
              "--holdout", "Metadata_Plate=P2", "--network", "mcnn-gap", "--epochs", "1"])
    assert not caught.value.code and capsys.readouterr().out == "None\n"
    assert len(nets) == 1


def test_a_classifier_does_not_keep_the_network_it_was_trained_in():
    images, names = screens.draw_fields(4)
    fitted = WholeImageClassifier(network="mcnn-gap", epochs=1).fit(images, names)
    assert fitted.model_.parameters.base is None
