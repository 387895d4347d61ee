# SPDX-License-Identifier: BSD-3-Clause
"""Builds the C library and programs on it for the tests: with sanitizers, or for valgrind."""

import importlib.metadata
import os
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(ROOT.glob("tests/c/test_*.c"))
CORE = ROOT / "tests/c/test_core.c"  # the one that runs kernels
EXAMPLE = ROOT / "tests/c/example.c"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_FLAGS = "-std=c11 -D_GNU_SOURCE -g -O1 -fopenmp -pthread -fPIC -fno-omit-frame-pointer".split()
#: program -> functions that it has its own of
_WRAPPED = {"test_memory": ("malloc", "calloc", "realloc", "posix_memalign")}
#: A finding of a sanitizer ends the program.
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=1",
             "UBSAN_OPTIONS": "print_stacktrace=1", "OMP_WAIT_POLICY": "passive"}


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


def run(*command, status=0, **options):
    """Standard error of a command; fails the test with it if the command does not end so."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=7200, **options)
    assert done.returncode == status, (f"{command[0]}: status {done.returncode}\n"
                                       f"{done.stderr[-6000:]}")
    return done.stderr


class Library:
    """The objects of csrc/, compiled with more flags `once` for all processes of the tests;
    programs on them in a folder of its own."""

    def __init__(self, once, folder, flags=()):
        if not shutil.which("gcc"):
            pytest.skip("the C tests need gcc")
        prefix = onednn_prefix()
        if prefix is None:
            pytest.skip("the C tests need oneDNN: pip install onednn-devel-cpu-gomp")
        self.folder, self._flags = folder, [*_FLAGS, *flags, f"-I{ROOT / 'csrc'}",
                                            f"-I{prefix}/include"]
        self._link = [f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-ldnnl", "-ltiff", "-lz",
                      "-lm"]
        self._objects = sorted(once(f"objects-{folder.name}", self._compile).iterdir())

    def _compile(self, target):
        def one(source):
            run("gcc", *self._flags, "-c", source, "-o", target / f"{source.stem}.o")

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, ROOT.glob("csrc/**/*.c")))

    def program(self, source) -> str:
        """Path of the program of one file."""
        target = self.folder / source.stem
        if not target.exists():
            wrap = [f"-Wl,--wrap={name}" for name in _WRAPPED.get(source.stem, ())]
            run("gcc", *self._flags, source, *self._objects, *self._link, *wrap, "-o", target)
        return str(target)

    def extension(self, package) -> None:
        """Build the binding into a folder of the package's name."""
        import numpy

        run("gcc", *self._flags, "-shared", "-fvisibility=hidden", f"-I{numpy.get_include()}",
            f"-I{sysconfig.get_path('include')}", "-DNPY_TARGET_VERSION=NPY_1_20_API_VERSION",
            *sorted(ROOT.glob("python/binding/*.c")), *self._objects, *self._link,
            "-o", package / "_core.abi3.so")
