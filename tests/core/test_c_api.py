# SPDX-License-Identifier: BSD-3-Clause
"""The C library alone: tests/c/test_*.c with sanitizers, and under valgrind; and its example.

A program prints a line a failure and ends with status 1; a report ends it as well.
"""

import os
import re
import subprocess

import numpy as np
import pytest

from c_build import CORE, EXAMPLE, PROGRAMS, ROOT, SANITIZED, run
from phenoscale import _core


def run_sanitized(library, program, isa, *words):
    run(library.program(program), *words, cwd=library.folder,
        env={**os.environ, **SANITIZED, "PHENOSCALE_ISA": isa})


def run_under_valgrind(library, program, **options):
    run("valgrind", "-q", "--error-exitcode=9", library.program(program), cwd=library.folder,
        env={**os.environ, "PHENOSCALE_ISA": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}, **options)


@pytest.mark.sanitize
@pytest.mark.parametrize("program, isa", [*((path, "") for path in PROGRAMS),
                                          (CORE, "avx2"), (CORE, "portable")],
                         ids=lambda value: getattr(value, "stem", value))
def test_program_under_sanitizers(program, isa, sanitized):
    run_sanitized(sanitized, program, isa)


@pytest.mark.sanitize
@pytest.mark.soak
def test_mutated_tiffs_under_sanitizers(sanitized, amount):
    """20,000 of all kinds at each change, a million in a soak: no finding, no hang."""
    run_sanitized(sanitized, ROOT / "tests/c/test_image.c", "", str(amount(20_000, 1_000_000)))


@pytest.mark.valgrind
@pytest.mark.soak
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_program_under_valgrind(program, plain, amount):
    """No value that was never set is used, none outside of what was asked for."""
    if program == CORE and not amount(0, 1):
        pytest.skip("takes ten minutes: in `make soak`")
    run_under_valgrind(plain, program)


FAULTS = {"overrun": ("insufficient space", "Invalid write"), "leak": ("LeakSanitizer", None),
          "overflow": ("signed integer overflow", None), "unset": (None, "uninitialised value")}


@pytest.mark.sanitize
@pytest.mark.valgrind
@pytest.mark.parametrize("fault", FAULTS)
def test_the_tools_find_what_is_there(fault, sanitized, plain):
    """A program with one fault of each kind: a tool that found nothing would be seen."""
    source = ROOT / "tests/c/faulty.c"
    by_sanitizer, by_valgrind = FAULTS[fault]
    if by_sanitizer:
        report = run(sanitized.program(source), fault, status=1, env={**os.environ, **SANITIZED})
        assert by_sanitizer in report
    if by_valgrind:
        report = run("valgrind", "-q", "--error-exitcode=9", plain.program(source), fault, status=9)
        assert by_valgrind in report


# ---- the example of the manual ----------------------------------------------------------------


def test_the_page_shows_the_example():
    assert f"```c\n{EXAMPLE.read_text()}```\n" in (ROOT / "docs/c-api.md").read_text()


@pytest.mark.sanitize
def test_the_example_runs(sanitized, tmp_path):
    """Its classes are those of the same network in Python; an error is a sentence and status 1."""
    tifffile = pytest.importorskip("tifffile")
    field = np.random.default_rng(2).integers(0, 4096, (1, 40, 56), np.uint16)
    tifffile.imwrite(tmp_path / "field.tif", field[0])
    net = _core.Net("field: input channels=1 height=40 width=56\n"
                    "scale0: tower filters=8 window=8\nmean: gap\nclasses: dense units=3\n")
    net.initialise(1)
    logits, _ = net.predict([field], np.float32([1 / 4096]), np.float32([-0.5]))
    expected = np.exp(logits[0]) / np.exp(logits[0]).sum()

    program, env = sanitized.program(EXAMPLE), {**os.environ, **SANITIZED}
    printed = subprocess.run([program, tmp_path / "field.tif"], check=True, capture_output=True,
                             text=True, env=env)
    found = [float(line.split(": ")[1]) for line in printed.stdout.splitlines()]
    assert printed.stderr == "" and np.allclose(found, expected, rtol=0, atol=2e-6)
    assert re.match("PS_IO: .*no.tif", run(program, tmp_path / "no.tif", status=1, env=env))


# ---- threads of the loader -------------------------------------------------------------------

#: What the loader is made of: without OpenMP and oneDNN, of whose locks the tool knows nothing.
LOADER = ("loader", "field", "image", "blocks", "samples", "codecs", "deflate", "file", "pages",
          "reduce", "augment", "numbers", "error")


@pytest.mark.sanitize
def test_the_loader_has_no_race(tmp_path):
    """Its own test under the thread sanitizer; a lock that does nothing is found."""
    flags = ("-std=c11", "-D_GNU_SOURCE", "-g", "-O1", "-fsanitize=thread", "-pthread",
             f"-I{ROOT / 'csrc'}", f"-I{ROOT / 'tests/c'}")
    loader = (ROOT / "csrc/loader.c").read_text()
    for name, text, status in (("sound", loader, 0), ("broken", loader.replace(
            "        at->status = status;", "        pthread_mutex_unlock(&self->mutex);\n"
            "        self->augment++;\n        pthread_mutex_lock(&self->mutex);\n"
            "        at->status = status;"), 66)):
        source = tmp_path / f"{name}.c"
        source.write_text(text)
        run("gcc", *flags, ROOT / "tests/c/test_loader.c", source,
            *(ROOT / f"csrc/{part}.c" for part in LOADER[1:]), "-ltiff", "-lz", "-lm",
            "-o", tmp_path / name)
        report = run(tmp_path / name, status=status, cwd=tmp_path)
        assert ("data race" in report) == (name == "broken")
