# SPDX-License-Identifier: BSD-3-Clause
"""Many at once: forks, processes, Python threads, limits of processors; and nothing that grows."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

import screens
from phenoscale import _core, load, predict_table
from phenoscale.images.fields import open_fields
from phenoscale.images.survey import survey
from phenoscale.models import networks
from phenoscale.tables.read import read_table

SMALL = ("field: input channels=1 height=32 width=32\n"
         "a: tower filters=5 window=4\nz: dense units=2\n")
FIELDS = np.random.default_rng(0).integers(0, 999, (4, 1, 32, 32)).astype(np.uint16)


def small_net(training=False, threads=2):
    options = {"training": True, "images": 4, "batch": 4} if training else {}
    net = _core.Net(SMALL, threads=threads, **options)
    net.initialise(1)
    return net


def answer():
    """Logits of a network made here, as bytes."""
    return small_net().predict(FIELDS, [0.01], [-1.0])[0].tobytes()


# ---- processes -----------------------------------------------------------------------------------


def wait_for(pid, timeout_s=20):
    """Status of a child, or None after killing one that hangs."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "computing"])
def test_a_fork_after_use_neither_hangs_nor_corrupts(is_busy):
    """The child computes with a network made before, and with one of its own; OpenMP's threads did
    not come along."""
    expected, old = answer(), small_net()
    old.predict(FIELDS, [0.01], [-1.0])
    is_over = threading.Event()

    def compute():
        while not is_over.is_set():
            answer()

    others = [threading.Thread(target=compute) for _ in range(2 * is_busy)]
    for thread in others:
        thread.start()
    try:
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                same = old.predict(FIELDS, [0.01], [-1.0])[0].tobytes() == expected == answer()
                os._exit(0 if same else 1)
            assert wait_for(pid) == 0
            assert answer() == expected
    finally:
        is_over.set()
        for thread in others:
            thread.join()


def in_child(path):
    """Digest of predictions made in another process."""
    table = read_table(path)
    return answer(), predict_table(load(str(path) + ".model"), table, 2).logits.tobytes()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", "loky"])
def test_worker_processes(tmp_path, method):
    path = screens.write_screen(tmp_path, 1, 3, 0)
    screens.make_model().save(str(path) + ".model")
    expected = in_child(path)  # OpenMP and the loader have run here
    if method == "loky":
        joblib = pytest.importorskip("joblib")
        found = joblib.Parallel(n_jobs=2, backend="loky")(
            joblib.delayed(in_child)(path) for _ in range(3))
    else:
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.map_async(in_child, [path] * 3).get(timeout=60)
    assert found == [expected] * 3


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_loader_does_not_outlive_a_fork(tmp_path):
    """Its threads stayed behind: the child is told, and does not wait for them."""
    table = read_table(screens.write_screen(tmp_path, 1, 3, 0))
    source = open_fields(table, survey(table), 2)
    source.start([0, 1, 2])
    pid = os.fork()
    if pid == 0:
        for call in (source.next, lambda: source.start([0])):
            try:
                call()
                os._exit(1)
            except ValueError as error:
                if "before the process was forked" not in str(error):
                    os._exit(2)
        del source
        gc.collect()
        os._exit(0)
    assert wait_for(pid) == 0
    assert source.next().shape == (2, 128, 128)


# ---- threads -------------------------------------------------------------------------------------


def test_python_threads_share_a_model(tmp_path):
    """Each gets what it would get alone."""
    table = read_table(screens.write_screen(tmp_path, 1, 3, 0))
    model, found = screens.make_model(), [None] * 8
    expected = predict_table(model, table, 1).logits

    def run(k):
        found[k] = predict_table(model, table, 1).logits

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(logits, expected) for logits in found)


def test_one_network_is_of_one_thread_at_a_time():
    """A second one is told so; neither result is touched."""
    net, expected, outcomes = small_net(), answer(), []

    def run():
        for _ in range(60):
            try:
                found = net.predict(FIELDS, [0.01], [-1.0])[0].tobytes()
                outcomes.append("right" if found == expected else "wrong")
            except RuntimeError as error:
                outcomes.append("busy" if "busy in another thread" in str(error) else "?")

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"right", "busy"} and outcomes.count("right") > 10


@pytest.mark.alone
def test_the_interpreter_is_free_while_a_step_is_computed():
    """A Python thread counts on while another trains: at least half as fast as alone, which a GIL
    that is held would make nothing."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors")
    net = _core.Net(networks.describe("mcnn-gap", 1, 512, 512, 2), threads=1, training=True)
    net.initialise(0)
    field = np.zeros((1, 1, 512, 512), np.uint16)
    is_over, counted = threading.Event(), [0]

    def count():
        while not is_over.is_set():
            counted[0] += 1

    counter = threading.Thread(target=count)
    counter.start()
    try:
        shares = []
        for _ in range(6):
            before, begun = counted[0], time.monotonic()
            net.begin()
            net.forward(field, [1.0], [0.0])
            net.backward([0], [1.0])
            net.gradient()
            step = (counted[0] - before) / (time.monotonic() - begun)
            before, begun = counted[0], time.monotonic()
            time.sleep(0.1)
            shares.append(step / ((counted[0] - before) / (time.monotonic() - begun)))
    finally:
        is_over.set()
        counter.join()
    assert max(shares) > 0.5, shares

def test_computing_looks_for_signals_by_the_clock():
    """A signal comes every millisecond, its handler runs whenever the GIL is taken back: at most
    every 50 ms, not at each of hundreds of tasks, and now and then all the same."""
    net = _core.Net(networks.describe("mcnn-gap", 1, 256, 256, 2), training=True, images=8, batch=8)
    net.initialise(0)
    fields, looks, taken = np.zeros((8, 1, 256, 256), np.uint16), [], 0.0
    net.begin()
    before = signal.signal(signal.SIGALRM, lambda *unused: looks.append(time.monotonic()))
    try:
        for _ in range(3):
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            begun = time.monotonic()
            net.forward(fields, [1.0], [0.0])
            taken += time.monotonic() - begun
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    # beside the looks, the handler runs before and after each call
    assert len(looks) <= taken / 0.05 + 3 * 8, (len(looks), taken)
    assert taken < 0.5 or len(looks) > 3


def test_more_threads_than_processors_are_only_slower():
    assert small_net(threads=16).predict(FIELDS, [0.01], [-1.0])[0].tobytes() == answer()


# ---- nothing grows -------------------------------------------------------------------------------


def rss_kb():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024


def grows(work, times):
    """KB of memory a call adds, after a warm-up, and by how much references and objects grew."""
    scale, offset = [0.01], [-1.0]
    for _ in range(times // 5):
        work(scale, offset)
    rss_kb()  # what it keeps of its first time
    gc.collect()
    objects, references = len(gc.get_objects()), sys.getrefcount(FIELDS)
    before = rss_kb()  # last: the list of all objects has been there
    for _ in range(times):
        work(scale, offset)
    gc.collect()
    more = rss_kb() - before
    return (more / times, len(gc.get_objects()) - objects, sys.getrefcount(FIELDS) - references)


@pytest.mark.soak
def test_steps_and_predictions_are_flat(amount):
    """A thousand of each at every change, hours in a soak: under 0.05 KB a call and 2 MB in all,
    no reference and no object more."""
    net, other = small_net(training=True), small_net()
    optimizer = _core.Optimizer("nesterov", net)

    def step(scale, offset):
        net.begin()
        net.forward(FIELDS, scale, offset)
        net.backward([0, 1, 0, 1], [0.25] * 4)
        net.gradient()
        optimizer.update(net, 1e-4)

    def predictions(scale, offset):
        other.predict(FIELDS, scale, offset)

    def errors(scale, offset):
        for call in (lambda: net.forward(FIELDS[:, :, :9], scale, offset),
                     lambda: net.backward([0], [1.0]), lambda: other.begin(),
                     lambda: _core.Net("nothing"), lambda: _core.read_image("/no such file"),
                     lambda: optimizer.update(other, 1.0)):
            with pytest.raises((ValueError, OSError)):
                call()

    for work, times in ((step, amount(1000, 200_000)), (predictions, amount(1000, 200_000)),
                        (errors, amount(1000, 100_000))):
        kb, objects, references = grows(work, times)
        print(f"{times} {work.__name__}: {kb * times:.0f} KB more")
        assert kb < 0.05 and objects < 20 and references == 0, (work.__name__, kb, objects)
        assert kb * times < 2048


@pytest.mark.soak
def test_files_and_models_are_flat(tmp_path, amount):
    """Open files, threads and memory stay as they are, over loaders and models that come and go."""
    path = screens.write_screen(tmp_path, 1, 3, 0)
    screens.make_model().save(tmp_path / "m")

    def work(*unused):
        predict_table(load(tmp_path / "m"), read_table(path), 2)

    for _ in range(10):
        work()
    files, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    kb, _, _ = grows(work, amount(40, 2000))
    assert len(os.listdir("/proc/self/fd")) == files
    assert len(os.listdir("/proc/self/task")) == threads
    assert kb < 40, kb  # pandas and the allocator keep some
