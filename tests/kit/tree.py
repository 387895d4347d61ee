# SPDX-License-Identifier: BSD-3-Clause
"""The files of the house as the rules of tests/house see them: text, imports, rooms, floors.

Sources are a dict, path below the root -> text.  A rule is a function from sources to the list of
what is against it, each beginning with its path, so that a violation can be planted without a file.
"""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import phenoscale

ROOT = Path(__file__).resolve().parents[2]
SPDX = "SPDX-License-Identifier: BSD-3-Clause"
PACKAGE, PLUGINS, STUDIES = "python/phenoscale/", "plugins/", "tools/studies/"
#: what is ours to read, as globs below the root
_OURS = ("csrc/**/*.[ch]", "python/binding/*.[ch]", "python/phenoscale/**/*.py",
         "python/phenoscale/*.pyi", "plugins/**/*.py", "plugins/imagej/src/**/*.java",
         "plugins/**/*.ijm", "tests/**/*.py", "tests/c/*.[ch]", "tests/java/*", "*.py", "tools/*",
         "tools/studies/*.py", "tools/cluster/*", "pyproject.toml")
#: from the ground up: an import goes down, or stays in its room
FLOORS = ("errors words machine signals streams progress _core", "files scores",
          "tables ranks simulation", "images models", "prediction profiles", "training",
          "checks estimator evaluation", "screening", "reports", "hosts bench", "cli",
          "__main__ __init__")
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms.split()}

def read_sources():
    """The sources of this tree."""
    paths = sorted({path for pattern in _OURS for path in ROOT.glob(pattern) if path.is_file()})
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


SOURCES = read_sources()


def planted(sources, path, text):
    """Sources with a text at the end of one of them, or with one more."""
    return {**sources, path: sources.get(path, "") + text}


def names_of(rows):
    """What pytest calls rows of (rule, path, text)."""
    return [f"{rule.__name__} {path}" for rule, path, _ in rows]


def below(sources, *folders, ending=".py"):
    """Those in folders whose path ends so."""
    return {path: text for path, text in sources.items()
            if path.startswith(folders) and path.endswith(ending)}


def module_of(path):
    """The name of the module of a file of the package: phenoscale.files.csv."""
    return path.removeprefix("python/").removesuffix(".py").removesuffix("/__init__").replace(
        "/", ".")


def room_of(module):
    """The part below phenoscale: "files", "errors"; "__init__" of the package itself."""
    return (module.split(".") + ["__init__"])[1]


def modules_of(sources):
    """{module: path} of the package."""
    return {module_of(path): path for path in below(sources, PACKAGE)}


#: a violation is planted in one text: what is known of the others is known already
once_a_text = functools.lru_cache(maxsize=None)


class Import(NamedTuple):
    """A module that another one needs: `is_late` within a function, or by its name in a string."""

    name: str
    line: int
    is_late: bool


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING",
                                                                   "typing.TYPE_CHECKING")


@once_a_text
def imports_of(text, known=frozenset()):
    """The `Import` of each module that a text needs, those for types left out.

    `from phenoscale.files import csv` needs phenoscale.files.csv where that is `known`.  The word
    `phenoscale.load` of the lazy package needs phenoscale.load, `phenoscale.__version__` nothing.
    """
    found = []

    def visit(node, is_late):
        name = []
        if isinstance(node, ast.Import):
            name = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = "." * node.level + (node.module or "")
            whole = [f"{home}.{alias.name}" for alias in node.names]
            name = [one if one in known or home == "phenoscale" else home for one in whole]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "phenoscale":
            name = [] if node.attr.startswith("__") else [f"phenoscale.{node.attr}"]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_late, name = True, [node.value] if node.value in known else []
        found.extend(Import(one, node.lineno, is_late) for one in dict.fromkeys(name))
        inside = node.orelse if _is_for_types(node) else ast.iter_child_nodes(node)
        for child in inside:
            visit(child, is_late or isinstance(node, _FUNCTIONS))

    visit(ast.parse(text), False)
    return tuple(found)


def package_imports(sources):
    """(path, module, `Import`) of all that the modules of the package need; the package itself, for
    its version, may be met from everywhere."""
    modules = {**modules_of(sources), "phenoscale._core": ""}
    known = frozenset(modules)
    for module, path in modules.items():
        for one in imports_of(sources.get(path, ""), known):
            if one.name != "phenoscale":
                yield path, module, one


def imports_go_down(sources):
    """Each import of the package goes down a floor or stays in its room; rooms of one floor do not
    meet, but for those of the ground."""
    found = []
    for path, module, one in package_imports(sources):
        if one.name.split(".")[0] in ("", "phenoscale"):  # "": one that begins with a dot
            mine, other = room_of(module), room_of(one.name)
            ahead, here = FLOOR.get(other, len(FLOORS)), FLOOR.get(mine, -1)
            if other != mine and not ahead < here and not ahead == here == 0:
                found.append(f"{path}:{one.line} imports {one.name}")
    return found


@once_a_text
def words_of(text):
    """(constant string, line) of a text, docstrings left out; of an f-string its constant parts."""
    tree = ast.parse(text)
    docstrings = {id(node.body[0].value) for node in ast.walk(tree)
                  if isinstance(node, (ast.Module, ast.ClassDef, *_FUNCTIONS[:2]))
                  and node.body and isinstance(node.body[0], ast.Expr)}
    return tuple((node.value, node.lineno) for node in ast.walk(tree)
                 if isinstance(node, ast.Constant) and isinstance(node.value, str)
                 and id(node) not in docstrings)


@once_a_text
def definitions(text):
    """(name, node) of the public functions and classes of a text and of the methods of its classes,
    as CLASS.METHOD, __init__ among them."""
    kinds = (*_FUNCTIONS[:2], ast.ClassDef)

    def inside(body, before):
        for node in body:
            if isinstance(node, (ast.If, ast.Try, ast.ExceptHandler, ast.With)):
                yield from inside(ast.iter_child_nodes(node), before)
            elif isinstance(node, kinds) and (not node.name.startswith("_")
                                              or before and node.name == "__init__"):
                yield before + node.name, node
                if isinstance(node, ast.ClassDef):
                    yield from inside(node.body, f"{before}{node.name}.")

    return tuple(inside(ast.parse(text).body, ""))


def parameter_count(name, node):
    """How many parameters a function or method takes, self and cls not counted."""
    a = node.args
    count = len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs) + bool(a.vararg) + bool(a.kwarg)
    is_bound = "." in name and "staticmethod" not in map(ast.unparse, node.decorator_list)
    return count - is_bound


def signatures(sources):
    """(parameters, path, function) of the public functions and methods, the longest first."""
    found = [(parameter_count(name, node), path, name)
             for path, text in below(sources, PACKAGE, PLUGINS, STUDIES).items()
             for name, node in definitions(text) if not isinstance(node, ast.ClassDef)]
    return sorted(found, key=lambda row: (-row[0], *row[1:]))


def c_code(text):
    """A C text without its comments and strings."""
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


def run_python(text):
    """What a fresh interpreter prints."""
    path = f"import sys; sys.path.insert(0, {str(Path(phenoscale.__file__).parent.parent)!r})\n"
    return subprocess.run([sys.executable, "-c", path + text], check=True, capture_output=True,
                          text=True, cwd=ROOT / "tests").stdout
