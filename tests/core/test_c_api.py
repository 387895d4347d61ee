# SPDX-License-Identifier: BSD-3-Clause
"""The C library alone: tests/c/test_*.c with sanitizers, and under valgrind.

A program prints a line a failure and ends with status 1; a report ends it as well.
"""

import os

import pytest
from c_build import CORE, PROGRAMS, ROOT, SANITIZED, run


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
