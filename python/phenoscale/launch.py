# SPDX-License-Identifier: BSD-3-Clause
"""Start a verb as several processes over MPI: one command.

launchers.py knows the launchers' words, supervise.py watches over the job.  The processes that are
started join in mpi.py, which asks here how many the launcher promised.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from phenoscale.errors import LaunchError
from phenoscale.fields import thread_count
from phenoscale.hosts_file import place, read_hosts
from phenoscale.launchers import (
    Flavour,
    Job,
    ask,
    find_launcher,
    library_name,
    library_variables,
    mpi_type,
    own_launcher,
)
from phenoscale.supervise import supervise

__all__ = ["launch", "promised_size"]

PYTHON = (sys.executable, "-m", "mpi4py", "-m", "phenoscale")  # -m mpi4py: a rank that raises
# ends the job, where otherwise it waits for the others in MPI_Finalize, for ever

# Where a launcher says how many ranks it started, the innermost one first: the daemons of mpirun
# are themselves a step of srun where it works in an allocation of Slurm.
PROMISES = ("OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def promised_size(environ: Mapping[str, str]) -> int | None:
    """How many ranks the launcher of this process says there are; None where there is none.

    Not from SLURM_NTASKS, which the shell of an allocation has too, and in a step of srun only
    for a task of it, which has a number in SLURM_PROCID.

    >>> promised_size({"OMPI_COMM_WORLD_SIZE": "4", "SLURM_STEP_NUM_TASKS": "2"})
    4
    """
    for name in PROMISES:
        words = environ.get(name, "")
        if words.isdecimal() and (not name.startswith("SLURM") or "SLURM_PROCID" in environ):
            return int(words)
    return None


def first_number(words: str | None) -> int:
    """ "8(x2),4" of Slurm -> 8; 0 where there is none."""
    found = re.match(r"\d+", words or "")
    return int(found[0]) if found else 0


def job_of(flavour: Flavour, ranks: int, hosts: str | None, threads: int | None, as_root: bool,
           environ: Mapping[str, str]) -> Job:
    """The job that was asked for, with as many threads as the processors of a host allow."""
    placed = place(ranks, read_hosts(hosts)) if hosts else {}
    nodes, most, here = 1, max(placed.values(), default=ranks), thread_count()
    if flavour.name == "Slurm":
        nodes = first_number(environ.get("SLURM_JOB_NUM_NODES")) or 1
        most = -(-ranks // nodes)
        here = first_number(environ.get("SLURM_JOB_CPUS_PER_NODE")) or here
        threads = threads or first_number(environ.get("SLURM_CPUS_PER_TASK"))
    threads = threads or max(1, here // most)
    if not hosts and most * threads > here:
        print(f"{most} ranks of {threads} threads share {here} processors: fewer are faster",
              file=sys.stderr)
    return Job(ranks, threads, placed, as_root, nodes=nodes)


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


def check(path: str, flavour: Flavour, job: Job, environ: Mapping[str, str]) -> Job:
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


def launch(verb: str, words: Sequence[str], theirs: Mapping[str, object], ranks: int,
           hosts: str | None = None, threads: int | None = None, restarts: int = 0,
           as_root: bool = False, dry_run: bool = False,
           environ: Mapping[str, str] = os.environ) -> int:
    """Run a verb as `ranks` processes.

    Parameters
    ----------
    words, theirs : what stands behind the verb, and the options in it as they were understood
    hosts : file of hosts
    threads : of each rank, if the words do not say it
    restarts : how often a job that lost a rank goes on from its last checkpoint

    Returns
    -------
    int
        The status of the job.

    Raises
    ------
    LaunchError
        Where there is no launcher, or the job would not be one.
    """
    if threads and theirs["threads"]:
        raise LaunchError("give --threads once, before or behind the verb")
    path, flavour = find_launcher(environ, hosts is not None)
    job = job_of(flavour, ranks, hosts, threads or theirs["threads"], as_root, environ)
    job = with_library(path, flavour, job, environ)
    environ = {**environ, **job.variables}
    if not dry_run or flavour.name == "Slurm":
        job = check(path, flavour, job, environ)
    own = [] if theirs["threads"] else ["--threads", str(job.threads)]
    start, again = (command_of(path, flavour, job, [*PYTHON, verb, *more, *own, *words], environ)
                    for more in ([], ["--resume"] if theirs.get("resume") is False else []))
    if dry_run:
        print(shlex.join(["env", *(f"{n}={v}" for n, v in sorted(job.variables.items())), *start]))
        return 0
    return supervise(start, again, environ, restarts)
