# SPDX-License-Identifier: BSD-3-Clause
"""What the modules of CellProfiler stand on, without CellProfiler: workers good and bad, the map of
paths, counts from pixels."""

import json
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from screens import CHANNELS, make_model, write_screen

PLUGINS = Path(__file__).resolve().parents[2] / "plugins/cellprofiler"
WORKER = shlex.join([str(Path(sys.executable).with_name("phenoscale")), "serve"])


@pytest.fixture
def backend(monkeypatch):
    """The module, imported as CellProfiler imports it; its workers end with the test."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    import _phenoscale_backend

    yield _phenoscale_backend
    for worker in _phenoscale_backend._workers.values():
        worker.close()
    _phenoscale_backend._workers.clear()
    _phenoscale_backend._abouts.clear()


@pytest.fixture
def images(backend):
    import _phenoscale_images

    return _phenoscale_images


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "my model, ä.safetensors"
    make_model().save(path)
    return str(path)


def python(text):
    """A worker command that runs this program."""
    return shlex.join([sys.executable, "-c", text])


GREETING = json.dumps({"phenoscale": "0", "protocol": 1, "tasks": []})


# ---- both back ends ------------------------------------------------------------------------------


def test_both_give_the_same_numbers(backend, model):
    field = list(np.random.default_rng(0).integers(0, 9000, (2, 128, 128)).astype(np.uint16))
    task = {"model": model, "fields": [field], "embeddings": True}
    here = backend.Place().execute("predict", task)
    there = backend.Place(WORKER).execute("predict", task)
    assert here == there
    heat = [backend.unpacked(backend.Place(command).execute(
        "evidence", {"model": model, "field": field})["heat"]) for command in ("", WORKER)]
    assert (heat[0] == heat[1]).all() and heat[0].shape == (128, 128) and heat[0].any()
    assert len(backend._workers) == 1


@pytest.mark.parametrize("command", ["", WORKER])
def test_mistakes_are_failures(backend, command, tmp_path):
    place = backend.Place(command)
    with pytest.raises(backend.Failure, match="does not exist"):
        place.about(str(tmp_path / "none.safetensors"))
    with pytest.raises(backend.Failure, match="there is no task"):
        place.execute("bake", {})


@pytest.mark.parametrize("command", ["", WORKER])
def test_a_training_is_cancelled_and_goes_on(backend, command, tmp_path):
    """By an update, at a step; the checkpoint is there, and the next run ends it."""
    table, place = write_screen(tmp_path / "screen"), backend.Place(command)
    task = {"table": str(table), "label": "Metadata_Class", "out": str(tmp_path / "run"),
            "recipe": {"network": "mcnn-gap", "epochs": 24}, "resume": True}
    seen = []

    def stop(done, of, words):
        seen.append(words)
        if "epoch 2" in words:
            raise backend.Cancelled

    with pytest.raises(backend.Cancelled):
        place.execute("train", task, stop)
    assert any(name.startswith("checkpoint-") for name in os.listdir(tmp_path / "run"))
    assert not (tmp_path / "run" / "model.safetensors").exists()
    seen.clear()
    found = place.execute("train", task, lambda done, of, words: seen.append(words))
    assert os.path.exists(found["model"]) and any("resumed" in words for words in seen)
    assert backend._workers == {}  # a training has its own


def test_about_is_asked_again_when_the_file_changes(backend, model):
    place = backend.Place()
    assert place.about(model)["channels"] == CHANNELS
    make_model(channels=["A", "B"]).save(model)
    assert place.about(model)["channels"] == ["A", "B"]


# ---- workers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command, words", [
    ("/no/such/phenoscale serve", "cannot be started: No such file.*give the whole path"),
    (python("import sys; sys.exit('Permission denied (publickey)')"),
     "ended with status 1: Permission denied"),
    (python("print('Welcome to node 7')"), "does not speak as.*Welcome to node 7"),
    (python("print('[1]')"), "does not speak as"),
    (python("print('{\"protocol\": 2}')"), "install the same version"),
    (python(f"print('{GREETING}', flush=True); input()"), "ended with status 0"),
])
def test_bad_workers_are_named(backend, command, words):
    with pytest.raises(backend.Failure, match=words):
        backend.Place(command).execute("version", {})


def test_a_silent_worker_is_given_up(backend, monkeypatch):
    monkeypatch.setattr(backend, "_GREETING_S", 0.5)
    with pytest.raises(backend.Failure, match="said nothing for 0.5 s"):
        backend.Place(python("import time; time.sleep(60)")).execute("version", {})


def test_a_worker_that_is_killed_is_said_so_and_started_anew(backend, tmp_path):
    table, place = write_screen(tmp_path / "screen"), backend.Place(WORKER)
    make_model().save(tmp_path / "model.safetensors")
    task = {"model": str(tmp_path / "model.safetensors"), "source": str(table),
            "out": str(tmp_path / "out.csv")}
    place.execute("version", {})
    worker = backend._workers[WORKER]

    def kill():
        while not worker._busy.locked():
            time.sleep(0.001)
        os.kill(worker._process.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(backend.Failure, match=r"ended with status -9 .*the next image starts it"):
        while True:
            place.execute("table", task)
    killer.join()
    assert place.execute("table", task)["fields"] == 18
    assert backend._workers[WORKER] is not worker


def test_a_request_that_is_too_large_is_not_sent(backend, model):
    noise = np.random.default_rng(0).integers(0, 65536, (3000, 3000)).astype(np.uint16)
    with pytest.raises(backend.Failure, match="too large to be sent"):
        backend.Place(WORKER).execute("predict", {"model": model, "fields": [[noise, noise]]})
    assert backend.Place(WORKER).execute("version", {})["threads"] > 0


def test_workers_of_cellprofiler_have_one_thread(backend, monkeypatch):
    assert backend.threads_of(0) is None and backend.threads_of(3) == 3
    monkeypatch.setattr(sys, "argv", ["worker", "--work-announce", "tcp://"])
    assert backend.threads_of(0) == 1 and backend.threads_of(3) == 3


# ---- paths and pixels ----------------------------------------------------------------------------


def test_paths_of_a_worker(backend, tmp_path):
    place = backend.Place(WORKER, str(tmp_path), "/mnt/screens/")
    assert place.path(str(tmp_path / "P1" / "a, b.tif")) == "/mnt/screens/P1/a, b.tif"
    assert place._replace(there="Z:\\screens").path(str(tmp_path / "P1" / "a.tif")) == \
        "Z:\\screens\\P1\\a.tif"
    assert place.path(str(tmp_path) + "2/a.tif") is None
    with pytest.raises(backend.Failure, match="the worker does not see /elsewhere/m"):
        place.shared("/elsewhere/m.safetensors")
    assert backend.Place("", str(tmp_path), "/mnt").path("/elsewhere/a.tif") == "/elsewhere/a.tif"


@pytest.mark.parametrize("top, kind", [(255, np.uint8), (65535, np.uint16), (4095, np.uint16)])
def test_counts_come_back_exactly(images, top, kind):
    counts = np.arange(top + 1).reshape(1, -1)
    image = SimpleNamespace(pixel_data=(counts / top).astype(np.float32), scale=top)
    assert images.counts_of(image).dtype == kind
    assert (images.counts_of(image) == counts).all()


def test_floats_stay_and_what_is_over_the_top_is_cut(images):
    image = SimpleNamespace(pixel_data=np.float32([[-0.1, 0.25, 1.5]]), scale=None)
    assert images.counts_of(image).tolist() == image.pixel_data.tolist()
    image.scale = 255
    assert images.counts_of(image).tolist() == [[0, 64, 255]]


class Images(dict):
    """As much of an image set of CellProfiler as is asked."""

    def get_image_provider(self, name):
        return self[name][0]

    def get_image(self, name, must_be_grayscale):
        return self[name][1]


def test_files_are_used_where_nothing_changed_them(backend, images, tmp_path):
    """Else counts: of a plane of several, of a gray made of colours, of what a module made."""
    (tmp_path / "a.tif").touch()
    (tmp_path / "a.png").touch()
    gray = SimpleNamespace(pixel_data=np.full((2, 2), 1000 / 65535, np.float32), scale=65535)
    mixed = SimpleNamespace(pixel_data=np.full((2, 2), 1000.4 / 65535, np.float32), scale=65535)

    def loaded(name="a.tif", rescale=True, index=0):
        return SimpleNamespace(get_pathname=lambda: str(tmp_path), get_filename=lambda: name,
                               rescale=rescale, series=0, index=index, channel=None)

    path = str(tmp_path / "a.tif")
    cases = {
        "file": (loaded(), gray, {"path": path, "page": 0, "sample": 0}),
        "not rescaled": (loaded(rescale=False), mixed, {"path": path, "page": 0}),
        "plane of several": (loaded(index=3), gray, None),
        "colours": (loaded(), mixed, None),
        "no TIFF": (loaded("a.png"), gray, None),
        "gone": (loaded("b.tif"), gray, None),
        "made": (SimpleNamespace(), gray, None),
    }
    image_set = Images({name: case[:2] for name, case in cases.items()})
    for name, (_, _, wanted) in cases.items():
        entry = images.entry_of(backend.Place(), image_set, name, None)
        if wanted is None:
            assert (entry == 1000).all() and entry.dtype == np.uint16, name
        else:
            assert entry == wanted, name
    assert images.entry_of(backend.Place(), image_set, "not rescaled", "max") == {"path": path}
