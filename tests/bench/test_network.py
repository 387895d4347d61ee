# SPDX-License-Identifier: BSD-3-Clause
"""Emulated nodes: names and networks of their own, links of a rate, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from phenoscale.bench import network as bench_network
from phenoscale.bench.network import SUBNET, Nodes
from phenoscale.errors import InputError

pytestmark = pytest.mark.alone
PORT = 5077
MEGABYTES = 4
RECEIVE = (f"import socket; s = socket.create_server(('', {PORT})); print('ready', flush=True); "
           "c, _ = s.accept()\nwhile c.recv(1 << 16): pass\nc.send(b'x')")
SEND = (f"import socket, time; c = socket.create_connection(('{SUBNET}.1', {PORT})); "
        f"t = time.perf_counter(); c.sendall(bytes({MEGABYTES} << 20)); "
        "c.shutdown(socket.SHUT_WR); c.recv(1); print(time.perf_counter() - t)")
SLEEP = ["sh", "-c", "echo here; exec sleep 1000"]


@pytest.fixture
def can_emulate():
    """Skips where there are no network namespaces."""
    reason = bench_network.why_not()
    if reason:
        pytest.skip(reason)


def inside(nodes, host, *words):
    """The command that runs words on a node."""
    return ["nsenter", "--target", str(nodes.pids[host]), "--net", "--uts", "--pid", *words]


def seconds_at(bits_per_s):
    """What the megabytes need from node to node."""
    with Nodes(2, bits_per_s) as nodes, subprocess.Popen(
            inside(nodes, "node0", sys.executable, "-c", RECEIVE), stdout=subprocess.PIPE) as end:
        end.stdout.readline()
        return float(subprocess.run(inside(nodes, "node1", sys.executable, "-c", SEND), check=True,
                                    capture_output=True, text=True).stdout)


def test_hosts_have_names_and_reach_one_another(can_emulate):
    with Nodes(3, 1e9) as nodes:
        names = [subprocess.run(inside(nodes, host, "hostname"), check=True, capture_output=True,
                                text=True).stdout.strip() for host in nodes.hosts]
    assert names == nodes.hosts == ["node0", "node1", "node2"]


def test_links_have_the_rate_asked_for(can_emulate):
    fast, slow = seconds_at(1e9), seconds_at(1e8)
    assert slow > 8e-8 * MEGABYTES * (1 << 20) * 0.9  # no quicker than it may be
    assert slow / fast > 3


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as text:
            return text.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_nothing_is_left_after_it(can_emulate):
    with Nodes(2, 1e9) as nodes:
        job = subprocess.Popen(inside(nodes, "node1", *SLEEP), stdout=subprocess.PIPE)
        assert job.stdout.readline()
        pids = list(nodes.pids.values())
        assert all(map(is_alive, pids)) and job.poll() is None
    assert not any(map(is_alive, pids))
    assert job.wait(10) == -signal.SIGKILL
    job.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_it_is_killed(can_emulate, number):
    words = ("import os, signal, subprocess, time; from phenoscale.bench.network import Nodes\n"
             "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
             "with Nodes(2, 1e9) as nodes:\n"
             "    job = subprocess.Popen(['nsenter', '--target', str(nodes.pids['node0']), "
             f"'--pid', *{SLEEP}], stdout=subprocess.PIPE)\n"
             "    job.stdout.readline()\n"
             "    print(job.pid, *nodes.pids.values(), flush=True)\n"
             "    time.sleep(1000)\n")
    with subprocess.Popen([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 4 and all(map(is_alive, pids))
        parent.send_signal(number)
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert bench_network.why_not() == ("emulated nodes need ip, tc, unshare, nsenter, mount "
                                       "(iproute2 and util-linux)")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert bench_network.why_not() == "emulated nodes need network namespaces of Linux, and root"


@pytest.mark.parametrize("program, words", [
    ("unshare", "no namespaces for emulated nodes: unshare failed: Operation not permitted"),
    ("nsenter", "no network for emulated nodes: ip link add: unshare failed")])
def test_what_the_kernel_refuses_is_said(can_emulate, monkeypatch, tmp_path, program, words):
    stub = tmp_path / program
    stub.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2; exit 1\n")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(InputError, match=words), Nodes(1, 1e9):
        pass
    assert bench_network.why_not().startswith(words)
