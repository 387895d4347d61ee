# SPDX-License-Identifier: BSD-3-Clause
"""Names, docstrings, licences: what is said, and that it is said once."""

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import phenoscale
from phenoscale.training.run_folder import RunFolder
from tree import (
    PACKAGE,
    PLUGINS,
    SOURCES,
    SPDX,
    STUDIES,
    below,
    definitions,
    module_of,
    names_of,
    planted,
    words_of,
)

MODULES = sorted(module.name for module in
                 pkgutil.walk_packages(phenoscale.__path__, "phenoscale.")
                 if module.name not in ("phenoscale._core", "phenoscale.__main__"))
#: a function's name that several modules have -> why
SHARED = {"verb": "the command of each module of cli/, which cli/verbs.py finds by it",
          "main": "the entry of each module that runs as a program",
          "section": "what each module of reports/sections/ makes, which reports/report.py calls"}
PREDICTIONS, RUN_FOLDER, WELLS = (f"{PACKAGE}{name}.py" for name in (
    "tables/predictions", "training/run_folder", "tables/wells"))
#: draws its own plates, and may not meet tables/
SIMULATION = f"{PACKAGE}simulation/"
RUN_FILES = {*RunFolder.WRITTEN, RunFolder.REPORT}


def every_file_names_its_licence(sources):
    """At its top."""
    return [f"{path} names no licence" for path, text in sources.items()
            if path != "pyproject.toml" and SPDX not in text[:200]]


def public_names_have_docstrings(sources):
    """Modules, functions, classes, methods; modules that are plugins have their host's methods."""
    found = [f"{path} has no docstring" for path, text in below(
        sources, PACKAGE, STUDIES, f"{PLUGINS}cellprofiler").items()
        if not ast.get_docstring(ast.parse(text))]
    return found + [f"{path}: {name} has no docstring"
                    for path, text in below(sources, PACKAGE, STUDIES).items()
                    for name, node in definitions(text)
                    if not name.endswith(".__init__")
                    and not (ast.get_docstring(node) or "").strip()]


def nothing_runs_from_data(sources):
    """No code from data, no shell: the grep of the threat model."""
    calls = (r"\bpickle\b|\beval\(|\bexec\(|yaml\.load\(|allow_pickle=True|shell=True|"
             r"os\.system|\bmarshal\b|\bsystem\(|\bpopen\(|torch\.load")
    return [f"{path}:{number}: {line.strip()}" for path, text in sources.items()
            if path != f"tests/house/{Path(__file__).name}"
            for number, line in enumerate(text.splitlines(), 1) if re.search(calls, line)
            and not re.search(r"(#|\*|no|never|without|\")[^(]*pickle", line, re.IGNORECASE)]


def function_names_are_unique(sources):
    """A name in a message or a trace says where it is: no public function has that of another."""
    homes = {}
    for path, text in below(sources, PACKAGE).items():
        for name, node in definitions(text):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and "." not in name:
                homes.setdefault(name, []).append(path)
    return [f"{paths[-1]}: {name} is in {', '.join(paths[:-1])} too"
            for name, paths in homes.items() if len(paths) > 1 and name not in SHARED]


def probabilities_are_named_once(sources):
    """The beginning of their columns: tables/predictions.py has it, for all."""
    return [f"{path}:{line}: {word}" for path, text in below(sources, PACKAGE, STUDIES).items()
            if path != PREDICTIONS
            for word, line in words_of(text) if "Phenoscale_Prob" in word]


def run_files_are_named_once(sources):
    """A file of a run folder: training/run_folder.py has its name, for all.

    A string without blanks is a path if its last part is such a name; with blanks it is a message.
    """
    return [f"{path}:{line}: {word}" for path, text in below(sources, PACKAGE, STUDIES).items()
            if path != RUN_FOLDER
            for word, line in words_of(text)
            if word.rpartition("/")[2] in RUN_FILES and not re.search(r"\s", word)]


def rows_are_lettered_once(sources):
    """The letters of a plate's rows are computed in tables/wells.py and where screens are drawn."""
    found = []
    for path, text in below(sources, PACKAGE, STUDIES).items():
        if path != WELLS and not path.startswith(SIMULATION):
            found += [f"{path}: {name}" for node in ast.walk(ast.parse(text))
                      for name in (getattr(node, kind, "") for kind in ("id", "attr", "name"))
                      if name in ("chr", "ord") or str(name).startswith("ascii_")]
            found += [f"{path}:{line}: {word}" for word, line in words_of(text)
                      if "ABCDEFGH" in word.upper()]
    return found


CSV, STUDY = f"{PACKAGE}files/csv.py", f"{STUDIES}figures.py"
PLANTED = [
    *((every_file_names_its_licence, path, "\n") for path in (
        f"{PACKAGE}tables/a.py", "csrc/a.c", "csrc/kernels/a.h", "tests/tables/test_a.py",
        "plugins/imagej/src/A.java", "tools/a", "tools/cluster/a", f"{STUDIES}a.py")),
    (public_names_have_docstrings, f"{PACKAGE}tables/a.py", "A = 1"),
    (public_names_have_docstrings, CSV, "def f(): pass"),
    (public_names_have_docstrings, CSV, "class C:\n    def __init__(self): pass"),
    (public_names_have_docstrings, CSV,
     'class C:\n    """One."""\n    @property\n    def f(self): pass'),
    (public_names_have_docstrings, f"{PACKAGE}reports/sections/doses.py", 'def f():\n    " "'),
    (public_names_have_docstrings, STUDY, "def f(): pass"),
    *((nothing_runs_from_data, path, text) for path, text in (
        (CSV, "import pickle"), (f"{PACKAGE}hosts/serve.py", "run(words, shell=True)"),
        (f"{PLUGINS}cellprofiler/trainwholeimage.py", "eval('1')"),
        ("tests/tables/test_join.py", "exec(text)"), (STUDY, "torch.load(path)"),
        ("csrc/net.c", 'system("ls");'), ("python/binding/net.c", 'popen("ls", "r");'))),
    (function_names_are_unique, f"{PACKAGE}tables/table.py", "def write_csv(): pass"),
    (function_names_are_unique, f"{PACKAGE}reports/sections/doses.py", "def listed(): pass"),
    (probabilities_are_named_once, CSV, "A = 'Phenoscale_Prob_'"),
    (probabilities_are_named_once, CSV, "def f(name):\n    return f'Phenoscale_Prob_{name}'"),
    (run_files_are_named_once, CSV, "A = 'log.csv'"),
    (run_files_are_named_once, CSV, "def f(run):\n    return f'{run}/model.safetensors'"),
    (run_files_are_named_once, f"{PACKAGE}evaluation/run.py", "A = {'predictions.csv': 1}"),
    (rows_are_lettered_once, f"{PACKAGE}reports/pictures.py", "A = chr(65)"),
    (rows_are_lettered_once, CSV, "import string\nA = string.ascii_uppercase[1]"),
    (rows_are_lettered_once, CSV, "from string import ascii_uppercase"),
    (rows_are_lettered_once, CSV, "A = 'ABCDEFGHIJKLMNOP'[2]"),
]


@pytest.mark.parametrize("rule", dict.fromkeys(row[0] for row in PLANTED))
def test_the_house_keeps(rule):
    assert rule(SOURCES) == []


@pytest.mark.parametrize("rule, path, text", PLANTED, ids=names_of(PLANTED))
def test_a_planted_violation_is_found(rule, path, text):
    found = rule(planted(SOURCES, path, f"\n{text}"))
    assert len(found) > len(rule(SOURCES)) and any(path in line for line in found)


def test_what_may_be_said():
    """Docstrings and messages name files and columns as they please."""
    text = ('\n"""Writes log.csv with Phenoscale_Prob_A."""\nA = "no log.csv here"\n'
            'def f():\n    """Phenoscale_Prob"""\n')
    sources = {f"{PACKAGE}a.py": text}
    assert not any(rule(sources) for rule in (
        probabilities_are_named_once, run_files_are_named_once, rows_are_lettered_once,
        public_names_have_docstrings))


def test_a_reason_is_needed():
    """What `SHARED` excuses is there more than once."""
    names = [name for path, text in below(SOURCES, PACKAGE).items()
             for name, _ in definitions(text)]
    assert {name for name in SHARED if names.count(name) < 2} == set()


def test_every_module_is_walked():
    assert {*MODULES, "phenoscale", "phenoscale.__main__"} == {
        module_of(path) for path in below(SOURCES, PACKAGE)}


@pytest.mark.parametrize("name", ["phenoscale", *MODULES])
def test_doctests_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
