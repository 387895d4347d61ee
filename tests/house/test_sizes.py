# SPDX-License-Identifier: BSD-3-Clause
"""What fits a screen and a head: lines, columns, functions, parameters."""

import re

import pytest

from tree import SOURCES, names_of, planted, signatures

#: lines of a file: by its path, else the first pattern that fits
LIMITS = {r"csrc/phenoscale\.h": 350, r"setup\.py": 100, r"python/binding/.*": 450,
          r".*\.(?:py|pyi|c|h|java)": 400}
COLUMNS, BODY, PARAMETERS = 100, 60, 8


def sized(sources):
    """(path, text, limit of lines) of the files of code."""
    for path, text in sources.items():
        limit = next((n for pattern, n in LIMITS.items() if re.fullmatch(pattern, path)), None)
        if limit:
            yield path, text, limit


def files_are_short(sources):
    """One concern a file."""
    return [f"{path}: {text.count(chr(10))} lines of {limit}"
            for path, text, limit in sized(sources) if len(text.splitlines()) > limit]


def lines_are_short(sources):
    """A line fits beside another file."""
    return [f"{path}:{number}: {len(line)} columns" for path, text, _ in sized(sources)
            for number, line in enumerate(text.splitlines(), 1) if len(line) > COLUMNS]


def c_functions(text):
    """(name, number of lines of the body) of each function of a C file."""
    lines, name = text.splitlines(), ""
    for number, line in enumerate(lines):
        called = re.match(r"(\w+)\(", line)
        name = called.group(1) if called else name
        if line == "{":
            yield name, lines.index("}", number) - number + 1


def c_functions_fit_a_screen(sources):
    """Of the library, the binding and the C tests."""
    return [f"{path}: {name} has {length} lines" for path, text in sources.items()
            if path.endswith((".c", ".h"))
            for name, length in c_functions(text) if length > BODY]


def signatures_are_short(sources):
    """What travels together is a bundle with a name."""
    return [f"{path}: {name} takes {count} parameters"
            for count, path, name in signatures(sources) if count > PARAMETERS]


def many(n, ending=""):
    return ", ".join(f"a{k}{ending}" for k in range(n))


FILE, C_FILE = "python/phenoscale/files/csv.py", "csrc/kernels/product.h"
PLANTED = [
    *((files_are_short, path, "\n" * 401) for path in (
        FILE, C_FILE, "python/phenoscale/reports/sections/doses.py", "plugins/imagej/src/A.java",
        "tests/tables/test_join.py", "tools/studies/figures.py", "tests/c/test_core.c")),
    (files_are_short, "python/binding/net.c", "\n" * 451),
    (files_are_short, "csrc/phenoscale.h", "\n" * 351),
    (files_are_short, "setup.py", "\n" * 101),
    *((lines_are_short, path, "\n" + 101 * "a") for path in (
        FILE, C_FILE, "plugins/cellprofiler/trainwholeimage.py", "tests/kit/tree.py",
        "python/phenoscale/_core.pyi")),
    (c_functions_fit_a_screen, C_FILE, "\nint\nlong_one(int n)\n{\n" + "    n++;\n" * 59 + "}\n"),
    (c_functions_fit_a_screen, "python/binding/net.c", "\nint\nf(void)\n{\n" + "\n" * 59 + "}\n"),
    (signatures_are_short, FILE, f"def f({many(9)}): pass"),
    (signatures_are_short, FILE, f"def f({many(4)}, *, {many(5, 'b')}): pass"),
    (signatures_are_short, FILE, f"async def f({many(8)}, **others): pass"),
    (signatures_are_short, FILE, f"if True:\n    def f({many(9)}): pass"),
    (signatures_are_short, FILE, f"class C:\n    def f(self, {many(9)}): pass"),
    (signatures_are_short, FILE, f"class C:\n    def __init__(self, {many(9)}): pass"),
    (signatures_are_short, FILE, f"class C:\n    @staticmethod\n    def f({many(9)}): pass"),
    (signatures_are_short, "tools/studies/figures.py", f"def f({many(9)}): pass"),
]


@pytest.mark.parametrize("rule", dict.fromkeys(row[0] for row in PLANTED))
def test_the_house_keeps(rule):
    assert rule(SOURCES) == []


@pytest.mark.parametrize("rule, path, text", PLANTED, ids=names_of(PLANTED))
def test_a_planted_violation_is_found(rule, path, text):
    assert [found for found in rule(planted(SOURCES, path, text)) if found.startswith(path)]


def test_what_is_just_short_enough():
    text = (f"def f({many(8)}): pass\nclass C:\n    def f(self, {many(8)}): pass\n"
            f"    @classmethod\n    def g(cls, {many(8)}): pass\ndef _own({many(9)}): pass\n")
    sources = {"python/phenoscale/a.py": text + "\n" * (400 - text.count("\n")),
               "csrc/a.c": 100 * "a" + "\nint\nf(void)\n{\n" + "\n" * 58 + "}\n"}
    assert not any(rule(sources) for rule in (
        files_are_short, lines_are_short, c_functions_fit_a_screen, signatures_are_short))
