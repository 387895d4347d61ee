# SPDX-License-Identifier: BSD-3-Clause
"""Several nodes on one machine, for `phenoscale bench --scaling`: each with its own host name and
network, joined by links of a given rate.

::

    head, 10.77.0.254: mpiexec, and the switch       a network namespace with a bridge
      |            |
    node0        node1 ...  10.77.0.1, .2, ...       network, UTS, IPC and process namespaces;
                                                     both ends of a link shaped by tc's tbf

A namespace is held by a process that waits on a pipe from this one.  However this process ends, the
pipe closes, the holder ends, and with the first process of a namespace the kernel ends all others
in it and takes its links down: nothing is left to clean up.

Open MPI starts its daemons on the nodes as on a cluster, with this file in the place of ssh.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys

from phenoscale.errors import InputError

PROGRAMS = ("ip", "tc", "unshare", "nsenter", "mount")
SUBNET = "10.77.0"
BURST, QUEUE = "128kb", "50ms"  # of a port: what passes at once, how long a packet may wait
SPACES = ("--net", "--uts", "--ipc", "--mount")
#: what the holder of a namespace does; its name is $0
HOLD = ("set -e; hostname $0; mount -t proc proc /proc; mount -t tmpfs tmpfs /dev/shm; "
        "ip link set lo up; echo ready; exec cat")
_PIDS = "PHENOSCALE_NODES"  # in the environment of mpiexec: host -> process of its namespaces


def why_not():
    """One sentence on what nodes cannot be emulated for; "" where they can."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if sys.platform != "linux" or os.geteuid() != 0:
        return "emulated nodes need network namespaces of Linux, and root"
    if missing:
        return f"emulated nodes need {', '.join(missing)} (iproute2 and util-linux)"
    try:
        with Nodes(1, 1e9):
            return ""
    except InputError as error:
        return str(error)


class Nodes:
    """Emulated nodes, a context manager: they are there within it.

    Parameters
    ----------
    count : int
        1 to 200.
    bits_per_s : float
        Rate of the link of a node, each way.

    Attributes
    ----------
    hosts : list of str
        Their names.

    Raises
    ------
    InputError
        The kernel or a program refuses; the message is what it said.
    """

    def __init__(self, count, bits_per_s):
        self.hosts = [f"node{k}" for k in range(count)]
        self.rate = f"{bits_per_s:.0f}bit"
        self.pids, self._stack = {}, contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._hold(stack, "head")
            self._inside("head", "ip", "link", "add", "switch", "type", "bridge")
            self._address("head", "switch", 254)
            for number, host in enumerate(self.hosts, 1):
                self._hold(stack, host)
                self._inside("head", "ip", "link", "add", host, "type", "veth",
                             "peer", "name", "eth0", "netns", str(self.pids[host]))
                self._inside("head", "ip", "link", "set", host, "master", "switch", "up")
                self._address(host, "eth0", number)
                for place, port in (("head", host), (host, "eth0")):
                    self._inside(place, "tc", "qdisc", "add", "dev", port, "root", "tbf",
                                 "rate", self.rate, "burst", BURST, "latency", QUEUE)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _hold(self, stack, name):
        """Make the namespaces of a host, and note the process that holds them."""
        holder = stack.enter_context(subprocess.Popen(
            ["unshare", *SPACES, "--pid", "--fork", "--kill-child", "sh", "-c", HOLD, name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True))  # Ctrl-C is not for it
        if holder.stdout.readline() != "ready\n":
            raise InputError("no namespaces for emulated nodes: " + holder.stderr.read().strip())
        with open(f"/proc/{holder.pid}/task/{holder.pid}/children", encoding="ascii") as text:
            self.pids[name] = int(text.read())

    def _inside(self, host, *words):
        """Run a program in the network of a host."""
        done = subprocess.run(["nsenter", "--target", str(self.pids[host]), "--net", *words],
                              capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"no network for emulated nodes: {' '.join(words[:3])}: "
                             + done.stderr.strip())

    def _address(self, host, port, number):
        self._inside(host, "ip", "addr", "add", f"{SUBNET}.{number}/24", "dev", port)
        self._inside(host, "ip", "link", "set", port, "up")

    def command(self, mpiexec, words):
        """(command, what it adds to the environment) that runs `words` once on each node.

        mpiexec must be Open MPI's, from version 4 on.
        """
        tcp = f"{SUBNET}.0/24"
        rules = {"plm_rsh_agent": f"{sys.executable} -m phenoscale.bench.network",
                 "oob_tcp_if_include": tcp, "pml": "ob1", "btl": "tcp,self",
                 "btl_tcp_if_include": tcp,
                 # on one connection the answer to a message waits behind the whole of another, and
                 # the two ways of a link are used in turns
                 "btl_tcp_links": "2",
                 # a rank that waits must leave the core to those that feed the network
                 "mpi_yield_when_idle": "1"}
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        return (["nsenter", "--target", str(self.pids["head"]), "--net", "--uts", mpiexec, *root,
                 "-n", str(len(self.hosts)), "-H", ",".join(self.hosts), "--bind-to", "none",
                 *(word for rule in rules.items() for word in ("--mca", *rule)), *words],
                {_PIDS: json.dumps(self.pids)})


def main(arguments):
    """What ssh does: HOST WORDS..., the words through that host's shell."""
    host, *words = arguments
    pid = json.loads(os.environ[_PIDS])[host]
    os.environ["TMPDIR"] = "/dev/shm"  # the host's own: daemons of two hosts have the same ids
    os.execvp("nsenter", ["nsenter", "--target", str(pid), *SPACES, "--pid", "sh", "-c",
                          " ".join(words)])


if __name__ == "__main__":
    main(sys.argv[1:])
