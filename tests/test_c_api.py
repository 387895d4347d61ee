# SPDX-License-Identifier: BSD-3-Clause
"""The C library alone: builds it and tests/c/test_*.c with sanitizers, and runs the programs.

A program prints a line a failure and ends with status 1; a sanitizer's report ends it as well.
"""

import importlib.metadata
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = sorted(ROOT.glob("tests/c/test_*.c"))
FLAGS = ("-std=c11 -D_GNU_SOURCE -g -O1 -fopenmp -pthread -fno-omit-frame-pointer "
         "-fsanitize=address,undefined -fno-sanitize-recover=all").split()


def onednn_prefix():
    """Folder that holds include/ and lib/ of oneDNN 3.x, or None."""
    if os.environ.get("ONEDNN_ROOT"):
        return Path(os.environ["ONEDNN_ROOT"])
    try:
        files = importlib.metadata.distribution("onednn-devel-cpu-gomp").files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    headers = [Path(file.locate()).resolve() for file in files
               if str(file).endswith("oneapi/dnnl/dnnl_version.h")]
    return headers[0].parents[3] if headers else None


def run(*command, **options):
    """Standard error of a command; fails the test with it if the command fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=7200, **options)
    assert done.returncode == 0, f"{command[0]}: status {done.returncode}\n{done.stderr[-6000:]}"
    return done.stderr


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """(objects of csrc compiled with sanitizers, flags to link them, folder to build in)."""
    prefix = onednn_prefix()
    if not shutil.which("gcc"):
        pytest.skip("the C tests need gcc")
    if prefix is None:
        pytest.skip("the C tests need oneDNN: pip install onednn-devel-cpu-gomp")
    folder = tmp_path_factory.mktemp("c")

    def compile_one(source):
        target = folder / f"{source.stem}.o"
        run("gcc", *FLAGS, f"-I{prefix}/include", f"-I{ROOT / 'csrc'}", "-c", source, "-o",
            target)
        return target

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, sorted(ROOT.glob("csrc/**/*.c"))))
    link = [f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-ldnnl", "-ltiff", "-lm"]
    return objects, link, folder


WRAPPED = ("malloc", "calloc", "realloc", "posix_memalign")  # by test_memory.c
CORE = ROOT / "tests/c/test_core.c"  # the one that runs kernels


@pytest.mark.parametrize("program, isa", [*((path, "") for path in PROGRAMS),
                                          (CORE, "avx2"), (CORE, "portable")],
                         ids=lambda value: getattr(value, "stem", value))
def test_program_under_sanitizers(program, isa, library):
    run_program(program, isa, library)


@pytest.mark.soak
def test_mutated_tiffs_under_sanitizers(library, amount):
    """20,000 of all kinds at each change, a million in a soak: no finding, no hang."""
    run_program(ROOT / "tests/c/test_image.c", "", library, str(amount(20_000, 1_000_000)))


def run_program(program, isa, library, *words):
    """Build and run one program; a finding of a sanitizer ends it as well."""
    objects, link, folder = library
    target = folder / program.stem
    wrap = [f"-Wl,--wrap={name}" for name in WRAPPED] if program.stem == "test_memory" else []
    run("gcc", *FLAGS, f"-I{ROOT / 'csrc'}", program, *objects, *link, *wrap, "-o", target)
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "PHENOSCALE_ISA": isa,
                   "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
                   "UBSAN_OPTIONS": "print_stacktrace=1"}
    run(str(target), *words, cwd=folder, env=environment)
