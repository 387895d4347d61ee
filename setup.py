# SPDX-License-Identifier: BSD-3-Clause
"""Builds the one extension module: the C library of csrc/ and its binding, python/binding/.

Switches (environment): ONEDNN_ROOT (a oneDNN 3.x with the OpenMP runtime), PS_DEBUG (-O0 -g),
PS_SANITIZE (address and undefined-behaviour sanitizers).
"""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup


def onednn_candidates():
    """Where oneDNN may be, best first: (prefix, what it is)."""
    if os.environ.get("ONEDNN_ROOT"):
        yield Path(os.environ["ONEDNN_ROOT"]), "ONEDNN_ROOT"
    try:  # under build isolation the wheel lies in a temporary overlay: ask the package itself
        wheel = importlib.metadata.distribution("onednn-devel-cpu-gomp")
        for file in wheel.files or ():
            if file.name == "dnnl_version.h":
                yield Path(wheel.locate_file(file)).resolve().parents[3], "its wheel"
    except importlib.metadata.PackageNotFoundError:
        pass
    for prefix in (sys.prefix, "/usr/local", "/usr"):
        yield Path(prefix), prefix


def find_onednn():
    """The include and library folders of a oneDNN that fits, or an explanation."""
    seen = []
    for prefix, what in onednn_candidates():
        header = prefix / "include/oneapi/dnnl/dnnl_version.h"
        config = prefix / "include/oneapi/dnnl/dnnl_config.h"
        if not header.exists():
            seen.append(f"{what}: none")
            continue
        major = int(re.search(r"DNNL_VERSION_MAJOR (\d+)", header.read_text()).group(1))
        threads = re.search(r"DNNL_CPU_THREADING_RUNTIME (\w+)", config.read_text()).group(1)
        if major >= 3 and threads == "DNNL_RUNTIME_OMP":
            return prefix / "include", prefix / "lib"
        seen.append(f"{what}: version {major}, {threads}")
    sys.exit("oneDNN 3.x with the OpenMP runtime is needed (pip install onednn-devel-cpu-gomp); "
             "looked at: " + "; ".join(seen))


def tiff_flags():
    """Compiler and linker words for libtiff and zlib."""
    try:
        words = subprocess.run(["pkg-config", "--cflags", "--libs", "libtiff-4"], check=True,
                               capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        words = ["-ltiff"]
    to_link = [word for word in words if word.startswith(("-l", "-L"))]
    return [word for word in words if word not in to_link], [*to_link, "-lz"]


def files(pattern):
    """Paths of the binding and of the library."""
    return [str(path) for folder in ("python/binding", "csrc")
            for path in sorted(Path(folder).rglob(pattern))]


def extension():
    """The extension module phenoscale._core."""
    import numpy

    include, library = find_onednn()
    tiff_compile, tiff_link = tiff_flags()
    optimise = ["-O0", "-g"] if os.environ.get("PS_DEBUG") else ["-O3", "-g1"]
    sanitize = ["-fsanitize=address,undefined"] if os.environ.get("PS_SANITIZE") else []
    # installed: <env>/lib/pythonX.Y/site-packages/phenoscale; in place: the environment's lib
    run_path = ["-Wl,-rpath,$ORIGIN/../../..", f"-Wl,-rpath,{sys.prefix}/lib"]
    if os.environ.get("ONEDNN_ROOT"):
        run_path.insert(0, f"-Wl,-rpath,{library}")
    return Extension(
        "phenoscale._core",
        sources=files("*.c"),
        depends=files("*.h"),
        include_dirs=["csrc", numpy.get_include(), str(include)],
        library_dirs=[str(library)],
        libraries=["dnnl"],
        # the oldest NumPy of pyproject.toml; without it the headers' own choice, a later one
        define_macros=[("NPY_TARGET_VERSION", "NPY_1_20_API_VERSION")],
        extra_compile_args=["-std=c11", "-D_GNU_SOURCE", *optimise, "-fopenmp",
                            "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow",
                            "-fstack-protector-strong", *sanitize, *tiff_compile],
        extra_link_args=["-fopenmp", "-Wl,-z,relro,-z,now", *sanitize, *run_path, *tiff_link],
        py_limited_api=True,
    )


setup(ext_modules=[extension()], options={"bdist_wheel": {"py_limited_api": "cp39"}})
