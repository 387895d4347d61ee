# SPDX-License-Identifier: BSD-3-Clause
"""A cluster of one node under Slurm, in a folder of its own: munged, slurmctld and slurmd by hand.

    tools/install-system-deps slurm; .venv/bin/python tests/slurm_node.py FOLDER COMMAND ...
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
CONF = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobRequeue=1
FirstJobId={first}
KillWait=5
ReturnToService=2
SwitchType=switch/none
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=512 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:4
"""


def lacking():
    """Why there can be no Slurm here; None where there can."""
    missing = [name for name in (*DAEMONS, "srun") if not shutil.which(name, path=PATH)]
    if missing:
        return f"no {', '.join(missing)}: tools/install-system-deps slurm"
    return None if os.geteuid() == 0 else "slurmd wants to be root"


def free_ports(count):
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class SlurmNode:
    """`environ` is that in which srun, sbatch and salloc speak to it; leaving it ends it."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        self.environ = {name: value for name, value in os.environ.items()
                        if not name.startswith(("SLURM", "OMPI_", "PMI"))}
        self.environ.update(SLURM_CONF=str(self.folder / "slurm.conf"), PATH=PATH)
        self.daemons = []

    def start(self, *command):
        """A daemon in the foreground, its log in a file."""
        with open(self.folder / f"{command[0]}.log", "wb") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environ, stdout=log,
                                                 stderr=subprocess.STDOUT, start_new_session=True))

    def run(self, *command, timeout_s=60, **environ):
        """A command of the cluster, done: returncode, stdout, stderr."""
        return subprocess.run(command, env={**self.environ, **environ}, capture_output=True,
                              text=True, timeout=timeout_s, stdin=subprocess.DEVNULL,
                              cwd=self.folder)

    def wait_until(self, is_so, what, timeout_s=30):
        """Ask until it is so."""
        end = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > end:
                logs = [path.read_text()[-1500:] for path in self.folder.glob("*.log")]
                raise TimeoutError("\n".join([f"{what}: not in {timeout_s} s", *logs]))
            time.sleep(0.1)

    def __enter__(self):
        host = socket.gethostname().partition(".")[0]
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)  # munged trusts no socket that others can put in its place
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(CONF.format(
            host=host, user="root", folder=self.folder, ports=free_ports(2),
            # not the number of an earlier cluster's job, of which MPICH may have left shared memory
            first=1000 + time.time_ns() // 1_000_000 % 60_000_000, cpus=os.cpu_count()))
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
        try:
            munge = self.folder / "munge.socket"
            self.start("munged", "--foreground", "--force", f"--socket={munge}",
                       f"--key-file={key}", f"--pid-file={self.folder}/munged.pid",
                       f"--log-file={self.folder}/munge.log", f"--seed-file={self.folder}/seed")
            self.wait_until(munge.exists, "munged")
            self.start("slurmctld", "-D")
            self.start("slurmd", "-D", "-N", host)
            self.wait_until(lambda: "idle" in self.run("sinfo", "-h", "-o", "%T").stdout, "slurmd")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error):
        for daemon in reversed(self.daemons):
            if daemon.poll() is None:
                os.killpg(daemon.pid, signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(daemon.pid, signal.SIGKILL)
                daemon.wait()


if __name__ == "__main__":
    with SlurmNode(sys.argv[1]) as node:
        sys.exit(subprocess.run(sys.argv[2:], env=node.environ).returncode)
