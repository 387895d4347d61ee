# SPDX-License-Identifier: BSD-3-Clause
"""Start a verb as several processes over MPI: one command.

launchers.py knows the launchers' words, supervise.py watches over the job.  The processes that are
started join in job.py.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from phenoscale.errors import LaunchError
from phenoscale.machine import omp_threads, processors
from phenoscale.ranks.hostfile import place, read_hosts
from phenoscale.ranks.launchers import (
    Flavour,
    Job,
    ask,
    find_launcher,
    library_name,
    library_variables,
    mpi_type,
    own_launcher,
)
from phenoscale.ranks.supervise import supervise

__all__ = ["Asked", "launch"]

PYTHON = (sys.executable, "-m", "mpi4py", "-m", "phenoscale")  # -m mpi4py: a rank that raises
# ends the job, where otherwise it waits for the others in MPI_Finalize, for ever


@dataclass(frozen=True)
class Asked:
    """What is asked of a launch.

    Attributes
    ----------
    ranks : int
        Processes.
    hosts : path, optional
        File of hosts.
    threads : int, optional
        Of each rank, if the verb's own words do not say it.
    restarts : int
        How often a job that lost a rank goes on from its last checkpoint.
    as_root : bool
        Whether Open MPI may be started by root.
    dry_run : bool
        Print the command.
    """

    ranks: int
    hosts: str | None = None
    threads: int | None = None
    restarts: int = 0
    as_root: bool = False
    dry_run: bool = False


def first_number(words: str | None) -> int:
    """ "8(x2),4" of Slurm -> 8; 0 where there is none."""
    found = re.match(r"\d+", words or "")
    return int(found[0]) if found else 0


def job_of(flavour: Flavour, asked: Asked, environ: Mapping[str, str]) -> Job:
    """The job that was asked for, with as many threads as the processors of a host allow."""
    ranks, hosts, threads = asked.ranks, asked.hosts, asked.threads
    placed = place(ranks, read_hosts(hosts)) if hosts else {}
    threads = threads or omp_threads(environ)
    nodes, most, here = 1, max(placed.values(), default=ranks), processors()
    if flavour.name == "Slurm":
        nodes = first_number(environ.get("SLURM_JOB_NUM_NODES")) or 1
        most = -(-ranks // nodes)
        here = first_number(environ.get("SLURM_JOB_CPUS_PER_NODE")) or here
        threads = threads or first_number(environ.get("SLURM_CPUS_PER_TASK"))
    threads = threads or max(1, here // most)
    if not hosts and most * threads > here:
        print(f"{most} ranks of {threads} threads share {here} processors: fewer are faster",
              file=sys.stderr)
    return Job(ranks, threads, placed, asked.as_root, nodes=nodes)


def command_of(path: str, flavour: Flavour, job: Job, program: Sequence[str],
               environ: Mapping[str, str]) -> list[str]:
    """The words that start the job."""
    names = job.forwarded(environ)
    return [path, "-n", str(job.ranks), *flavour.words(job, names), *program]


def with_library(path: str, flavour: Flavour, job: Job, environ: Mapping[str, str]) -> Job:
    """The job with its variables; srun has no library, there it is that of the mpiexec here."""
    variables = {"OMP_NUM_THREADS": str(job.threads),
                 "OMP_WAIT_POLICY": environ.get("OMP_WAIT_POLICY", "passive")}
    variables.update((name, value) for name, value in flavour.variables.items()
                     if name not in environ)
    owner = own_launcher(environ) if flavour.name == "Slurm" else path
    if owner:
        variables.update(library_variables(owner, flavour, environ))
    return replace(job, variables=variables)


def check_job(path: str, flavour: Flavour, job: Job, environ: Mapping[str, str]) -> Job:
    """Look before the job at what would otherwise be found out by it, late or never."""
    library = library_name(environ)
    if flavour.name == "Slurm":
        return replace(job, mpi=mpi_type(path, library, environ))
    if not re.search(flavour.library, library):
        raise LaunchError(f"{path} is the launcher of {flavour.name}, but mpi4py loads {library}: "
                          "set PHENOSCALE_MPIEXEC to the mpiexec of that library, or MPI4PY_LIBMPI "
                          "to the library of this one")
    if (flavour.name.startswith("Open MPI") and os.geteuid() == 0 and not job.as_root
            and environ.get("OMPI_ALLOW_RUN_AS_ROOT") != "1"):
        raise LaunchError("Open MPI does not run as root unless told: give launch the option "
                          "--allow-run-as-root, before the --, or be another user")
    if job.placed:  # old MPICH waits for ever where a host does not answer
        each = replace(job, ranks=len(job.placed), placed=dict.fromkeys(job.placed, 1))
        status, words = ask(command_of(path, flavour, each, [sys.executable, "-c",
                                                             "import mpi4py, phenoscale.__main__"],
                                       environ), environ)
        if status:
            raise LaunchError("the ranks do not start on all of " + ", ".join(job.placed) + " ("
                              + " ".join(words.split())[:300] + "): try 'ssh HOST true', and the "
                              "same Python there")
    return job


def launch(verb: str, words: Sequence[str], theirs: Mapping[str, object], asked: Asked,
           environ: Mapping[str, str] = os.environ) -> int:
    """Run a verb as several processes.

    Parameters
    ----------
    verb : str
    words : sequence of str
        What stands behind it.
    theirs : dict
        The options in them as they were understood.
    asked : Asked
    environ : dict of str to str

    Returns
    -------
    int
        The status of the job.

    Raises
    ------
    LaunchError
        Where there is no launcher, or the job would not be one.
    """
    if asked.threads and theirs["threads"]:
        raise LaunchError("give --threads once, before or behind the verb")
    path, flavour = find_launcher(environ, asked.hosts is not None)
    job = job_of(flavour, replace(asked, threads=asked.threads or theirs["threads"]), environ)
    job = with_library(path, flavour, job, environ)
    environ = {**environ, **job.variables}
    if not asked.dry_run or flavour.name == "Slurm":
        job = check_job(path, flavour, job, environ)
    own = [] if theirs["threads"] else ["--threads", str(job.threads)]
    start, again = (command_of(path, flavour, job, [*PYTHON, verb, *more, *own, *words], environ)
                    for more in ([], ["--resume"] if theirs.get("resume") is False else []))
    if asked.dry_run:
        print(shlex.join(["env", *(f"{n}={v}" for n, v in sorted(job.variables.items())), *start]))
        return 0
    return supervise(start, again, environ, asked.restarts)
