# SPDX-License-Identifier: BSD-3-Clause
"""Locks: held by one, let go of, and taken over from the dead alone."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from phenoscale.errors import InputError
from phenoscale.files import lock as locks
from phenoscale.files.lock import lock_of_file, lock_of_folder

HOLD = ("import sys, time\nfrom phenoscale.files.lock import *\n"
        "with lock_of_file(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)\n")


@pytest.fixture
def short(monkeypatch):
    """Signs of life come fast, and are waited for a moment."""
    for name, seconds in (("_BEAT_S", 0.02), ("_SILENCE_S", 0.5), ("_LOOK_S", 0.02)):
        monkeypatch.setattr(locks, name, seconds)


def held(path):
    """A process that holds the lock of a file until it is ended."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE,
                               text=True)
    assert process.stdout.readline() == "held\n"
    return process


def changed(path, **entries):
    """Write a lock file as another would have."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def test_the_second_is_refused_by_name_and_the_lock_goes_away(tmp_path):
    (tmp_path / "link.csv").symlink_to("p.csv")
    with lock_of_file(tmp_path / "p.csv"):
        assert os.listdir(tmp_path).count("p.csv.lock") == 1
        for name in ("p.csv", "link.csv"):
            with pytest.raises(InputError) as caught, lock_of_file(tmp_path / name):
                pass
            assert str(caught.value).startswith(
                f"{tmp_path / name} is being written by process {os.getpid()} on ")
            assert str(caught.value).endswith(f"remove {tmp_path / 'p.csv.lock'}")
        with lock_of_file(tmp_path / "q.csv"), lock_of_folder(tmp_path):
            assert len(os.listdir(tmp_path)) == 4
    with pytest.raises(KeyError), lock_of_file(tmp_path / "p.csv"):
        raise KeyError
    assert os.listdir(tmp_path) == ["link.csv"]


def test_a_live_process_keeps_it_and_a_killed_one_loses_it_with_a_word(tmp_path):
    """Stopped is not dead; and one that nobody has waited for is."""
    process, warned = held(tmp_path / "p.csv"), []
    try:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(InputError, match=f"by process {process.pid} on"), \
                lock_of_file(tmp_path / "p.csv"):
            pass
    finally:
        process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # now a zombie
    with lock_of_file(tmp_path / "p.csv", warned.append):
        assert json.loads((tmp_path / "p.csv.lock").read_text())["process"] == os.getpid()
    assert len(warned) == 1 and f"left behind by process {process.pid} on " in warned[0]
    process.communicate()
    assert not os.listdir(tmp_path)


def test_another_process_of_the_same_number_is_not_the_holder(tmp_path):
    lock, warned = lock_of_folder(tmp_path), []
    with lock:
        changed(tmp_path / locks.LOCK, started="1")
        with lock_of_folder(tmp_path, warned.append):
            assert len(warned) == 1 and "is no more: it is taken over" in warned[0]
            assert lock.is_lost()
            with pytest.raises(InputError, match=f"was taken over by process {os.getpid()} on"):
                lock.check()
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("entries", [{"machine": "other", "host": "node7"}, {"process": "?"}])
def test_on_another_machine_signs_of_life_tell(tmp_path, short, entries):
    """Or where nobody can be looked for: a lock that is touched is held, one that is not is not."""
    path, end, warned = tmp_path / locks.LOCK, threading.Event(), []
    with lock_of_folder(tmp_path):
        changed(path, **entries)  # whose beat ends with that
        time.sleep(0.1)
    name = "node7" if "host" in entries else "an unknown process"

    def beat():
        while not end.wait(0.02):
            os.utime(path)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(InputError, match=name), lock_of_folder(tmp_path, warned.append):
            pass
    finally:
        end.set()
        thread.join()
    assert len(warned) == 1 and "waiting up to" in warned[0]
    with lock_of_folder(tmp_path, warned.append) as lock:
        assert len(warned) == 3 and "taken over" in warned[2] and not lock.is_lost()


def test_the_holder_shows_signs_of_life(tmp_path, short):
    path = tmp_path / locks.LOCK
    with lock_of_folder(tmp_path):
        os.utime(path, (1, 1))
        for _ in range(500):
            if path.stat().st_mtime > 1:
                break
            time.sleep(0.02)
        assert path.stat().st_mtime > 1


def test_who_removes_a_dead_one_s_lock_is_alone(tmp_path, monkeypatch):
    """Another who comes in between would make a lock, and lose it."""
    path, real, tries = tmp_path / locks.LOCK, os.remove, []
    with lock_of_folder(tmp_path):
        dead = path.read_text().replace('"started": "', '"started": "9')
    path.write_text(dead)

    def remove(name):
        monkeypatch.setattr(os, "remove", real)
        with pytest.raises(InputError, match="is being written by"), lock_of_folder(tmp_path):
            pass
        tries.append(name)
        real(name)

    monkeypatch.setattr(os, "remove", remove)
    with lock_of_folder(tmp_path) as lock:
        assert tries == [str(path)] and not lock.is_lost()


def test_of_many_who_find_a_dead_one_s_lock_one_gets_it(tmp_path):
    with lock_of_folder(tmp_path):
        dead = (tmp_path / locks.LOCK).read_text().replace('"started": "', '"started": "9')
    got, gate = [], threading.Barrier(8)
    for _ in range(20):
        (tmp_path / locks.LOCK).write_text(dead)
        inside = []

        def enter():
            gate.wait()
            try:
                with lock_of_folder(tmp_path):
                    inside.append(1)
                    assert len(inside) == 1
                    time.sleep(0.005)
                    inside.pop()
                    got.append(1)
            except InputError:
                pass
            except AssertionError:
                got.append("two at once")

        threads = [threading.Thread(target=enter) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(got) >= 20 and set(got) == {1}


def test_a_disk_that_locks_as_nfs_and_smb_do(tmp_path, monkeypatch):
    """An exclusive lock is for those who may write, and then nobody else may read."""
    with lock_of_folder(tmp_path):
        dead = (tmp_path / locks.LOCK).read_text().replace('"started": "', '"started": "9')
    (tmp_path / locks.LOCK).write_text(dead)
    real = locks.fcntl.flock

    def flock(file, how):
        if not file.writable():
            raise OSError(errno.EBADF, "Bad file descriptor")
        monkeypatch.setattr(locks, "_content", lambda path: None)
        real(file, how)

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    assert lock_of_folder(tmp_path)._remove(dead.encode()) and not os.listdir(tmp_path)


def test_a_lock_that_is_gone_is_lost_and_a_disk_that_is_gone_is_none(tmp_path, monkeypatch):
    """Who took it over may have ended; a network disk comes back."""
    folder = tmp_path / "run"
    folder.mkdir()
    with lock_of_folder(folder) as lock:
        folder.rename(tmp_path / "away")
        assert not lock.is_lost()
        (tmp_path / "away").rename(folder)
        with monkeypatch.context() as patched:
            for name, target in (("open", locks), ("lstat", locks.os)):
                patched.setattr(target, name, stale, raising=False)
            assert not lock.is_lost()
        assert not lock.is_lost()
        os.remove(folder / locks.LOCK)
        with pytest.raises(InputError, match="run has lost its lock, and may have been taken over"):
            lock.check()
    assert not os.listdir(folder)


def stale(*args, **words):
    raise OSError(errno.ESTALE, "Stale file handle")


def test_a_lock_that_cannot_be_read_may_be_held(tmp_path, monkeypatch):
    """Another user's."""
    (tmp_path / locks.LOCK).write_text("theirs")

    def refused(path, mode="r", **words):
        raise (FileExistsError if "x" in mode else PermissionError)(errno.EACCES,
                                                                    "Permission denied")

    monkeypatch.setattr(locks, "open", refused, raising=False)
    with pytest.raises(InputError, match="phenoscale.lock cannot be read: Permission denied: "
                                         "somebody may be writing"), lock_of_folder(tmp_path):
        pass
    assert (tmp_path / locks.LOCK).read_text() == "theirs"


def test_what_is_no_lock_is_left_alone(tmp_path):
    for make in (os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/null", path)):
        make(tmp_path / locks.LOCK)
        with pytest.raises(InputError, match="is no lock of phenoscale: move it"), \
                lock_of_folder(tmp_path):
            pass
        assert os.listdir(tmp_path) == [locks.LOCK]
        (os.rmdir if make is os.mkdir else os.remove)(tmp_path / locks.LOCK)


def test_nothing_is_left_where_it_cannot_be_entered(tmp_path, monkeypatch):
    """A folder that is gone; a signal in between."""
    with pytest.raises(InputError, match="gone cannot be written: No such file"), \
            lock_of_folder(tmp_path / "gone"):
        pass

    def stopped(**words):
        raise KeyboardInterrupt

    monkeypatch.setattr(locks.threading, "Thread", stopped)
    with pytest.raises(KeyboardInterrupt), lock_of_folder(tmp_path):
        pass
    assert not os.listdir(tmp_path)
