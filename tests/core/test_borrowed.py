# SPDX-License-Identifier: BSD-3-Clause
"""What is lent to the library and changes meanwhile: each in a process of its own, which a fault
would end."""

import subprocess
import sys

import pytest

pytest.importorskip("tifffile")

BEGIN = """
import gc, sys, threading
import numpy as np
import pytest
import tifffile
from phenoscale import _core

def plane(path, value=7):
    tifffile.imwrite(path, np.full((12, 17), value, np.uint8))
    return str(path)

def train_net():
    net = _core.Net("field: input channels=1 height=512 width=512\\n"
                    "s: tower filters=4 window=8\\ng: gap\\nz: dense units=2",
                    training=True, images=2, batch=4)
    net.initialise(0)
    net.begin()
    return net

def images(n, seed=0):
    return list(np.random.default_rng(seed).integers(0, 255, (n, 1, 512, 512), np.uint16))
"""


@pytest.fixture
def unharmed(tmp_path):
    """A function that runs a program to its end, without a fault and without an exception."""

    def run(program):
        done = subprocess.run([sys.executable, "-c", BEGIN + program], cwd=tmp_path,
                              capture_output=True, text=True)
        assert done.returncode == 0, (done.returncode, done.stderr[-3000:])

    return run


@pytest.mark.parametrize("refused", ["[]", "images(3)", "[np.zeros((1, 512, 9), 'u2')]"])
def test_a_refused_forward_leaves_nothing_to_go_backward(unharmed, refused):
    """The images before it may be gone."""
    unharmed(f"""
net = train_net()
net.forward(images(2), [0.01], [0.0])
with pytest.raises(ValueError):
    net.forward({refused}, [0.01], [0.0])
gc.collect()
with pytest.raises(ValueError, match="0 images|forward"):
    net.backward([0, 1], [1.0, 1.0])
with pytest.raises(ValueError, match="forward"):
    net.backward_fields()
net.begin()  # and it goes on
net.forward(images(2), [0.01], [0.0])
net.backward([0, 1], [1.0, 1.0])
assert np.isfinite(net.gradient())
""")


def test_a_forward_that_is_stopped_leaves_nothing_to_go_backward(unharmed):
    unharmed("""
import signal
def stop(*unused):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
net = train_net()
for delay in np.linspace(0.0005, 0.2, 30):
    net.forward(images(2), [0.01], [0.0])
    signal.setitimer(signal.ITIMER_REAL, delay)
    try:
        net.forward(images(2), [0.01], [0.0])
        signal.setitimer(signal.ITIMER_REAL, 0)
        net.backward([0, 1], [1.0, 1.0])
        net.begin()
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.collect()
        try:
            net.backward([0, 1], [1.0, 1.0])
        except ValueError:
            pass
        net.begin()
""")


def test_order_and_samples_may_change_during_a_pass(unharmed):
    """What counts is what they were at the start; with random numbers by sample, too."""
    unharmed("""
files = [plane(f"{k}.tif", k) for k in range(8)]
for k, file in enumerate(files):
    tifffile.imwrite(file, np.arange(12 * 17, dtype=np.uint8).reshape(12, 17) ^ k)
loader = _core.Loader(files, [[k, 0, 0] for k in range(8)], range(1, 9), (1, 12, 17), "uint8",
                      slots=2)
order, samples = np.arange(8)[::-1].copy(), np.arange(100, 108)

def read(change):
    fields = []
    loader.start(order, 1, 3, 4, samples)
    for _ in range(8):
        change()
        fields.append(loader.next().copy())
        loader.release(1)
    return np.array(fields)

expected = read(lambda: None)
def spoil():
    order[:] = 10**12
    samples[:] = -5
assert np.array_equal(read(spoil), expected)
""")


def test_order_may_change_while_it_is_looked_at(unharmed):
    """Another thread writes what is no field: refused, or read as it was."""
    unharmed("""
loader = _core.Loader([plane("a.tif")], [[0, 0, 0]], [1], (1, 12, 17), "uint8")
order, is_over = np.zeros(100_000, np.int64), threading.Event()
def spoil():
    while not is_over.is_set():
        order[-1000:] = 10**15
        order[-1000:] = 0
other = threading.Thread(target=spoil)
other.start()
for _ in range(300):
    try:
        loader.start(order)
    except ValueError:
        pass
is_over.set()
other.join()
""")


def test_files_and_planes_may_change_while_paths_are_asked(unharmed):
    """A path is asked for by a call into Python, which may do anything."""
    unharmed("""
file = plane("a.tif")

class Path:
    def __init__(self, then):
        self.then = then
    def __fspath__(self):
        self.then()
        return file

files, planes, ends = [], np.zeros((2, 3), np.int64), np.array([1, 2])
def spoil():
    ends[:] = [1, 10**9]
def make(then):
    files[:] = [Path(then) for _ in range(3)]
    ends[:] = [1, 2]
    return lambda: _core.Loader(files, planes, ends, (2, 12, 17), "uint8")

for then in (files.clear, lambda: files.extend([file] * 1000), lambda: None):
    loader = make(then)()
    loader.start([0])
    assert np.all(loader.next() == 7)
with pytest.raises(ValueError):
    make(spoil)()
""")


def test_an_object_is_initialised_once_whatever_its_arguments_do(unharmed):
    unharmed("""
file = plane("a.tif")
loader = _core.Loader.__new__(_core.Loader)
class Path:
    def __fspath__(self):
        loader.__init__([file], [[0, 0, 0]], [1], (1, 3, 3), "uint8")
        return file
with pytest.raises(RuntimeError, match="busy"):
    loader.__init__([Path()], [[0, 0, 0]], [1], (1, 12, 17), "uint8")
loader.__init__([file], [[0, 0, 0]], [1], (1, 12, 17), "uint8")
loader.start([0])
assert loader.next().shape == (1, 12, 17)
with pytest.raises((ValueError, RuntimeError)):
    loader.__init__([file], [[0, 0, 0]], [1], (1, 3, 3), "uint8")

net = _core.Net.__new__(_core.Net)
outcomes = []
def make():
    try:
        net.__init__("f: input channels=1 height=64 width=64\\nz: dense units=60000")
        outcomes.append("made")
    except RuntimeError as error:
        outcomes.append(str(error))
threads = [threading.Thread(target=make) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert outcomes.count("made") == 1, outcomes
""")
