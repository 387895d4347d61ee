# SPDX-License-Identifier: BSD-3-Clause
"""The walls of the house: imports go down, light rooms stay light, rooms are what is packaged."""

import ast
import graphlib
import re
import sys

import pytest

from phenoscale.hosts.install_plugin import HOSTS
from tree import (
    FLOOR,
    FLOORS,
    PACKAGE,
    PLUGINS,
    ROOT,
    SOURCES,
    SPDX,
    below,
    imports_go_down,
    imports_of,
    module_of,
    modules_of,
    names_of,
    package_imports,
    planted,
    room_of,
    run_python,
)

#: at their tops only the standard library, numpy and each other: what a host's Python has
LIGHT = (*FLOORS[0].split(), "__init__", "files", "tables", "images", "models", "prediction",
         "scores", "ranks.alone", "ranks.crew", "ranks.roll_call", "hosts.tasks",
         "hosts.task_fields", "hosts.task_schema", "hosts.schema")
#: what a plugin may ask for once it runs
FOR_PLUGINS = tuple(f"phenoscale.{name}" for name in ("hosts.tasks", "errors", "signals", "_core"))


def is_light(module):
    inside = module.split(".", 1)[-1]
    return room_of(module) in LIGHT or inside in LIGHT


def floors_are_the_rooms(sources):
    """Every room stands on a floor, and nothing else does."""
    rooms = {room_of(module): path for module, path in modules_of(sources).items()}
    return ([f"{rooms[room]}: the room {room} is on no floor" for room in rooms.keys() - FLOOR]
            + [f"{PACKAGE}{room} is on a floor, but not there"
               for room in FLOOR.keys() - rooms - {"_core"}])


def imports_make_no_circle(sources):
    """Neither when a module is imported nor when its functions run."""
    modules, graph = modules_of(sources), {}
    for _, module, one in package_imports(sources):
        if one.name in modules and one.name != module:
            graph.setdefault(module, set()).add(one.name)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [f"{modules[error.args[1][0]]}: {' <- '.join(error.args[1])}"]
    return []


def inits_only_say_what_is_there(sources):
    """A room's __init__.py is a docstring: importing one module never pulls its neighbours."""
    only = re.compile(rf'# {SPDX}\n"""(?:(?!""").)+"""\n', re.DOTALL)
    return [f"{path} is more than a docstring"
            for path, text in below(sources, PACKAGE, PLUGINS, ending="/__init__.py").items()
            if path != f"{PACKAGE}__init__.py" and not only.fullmatch(text)]


def light_rooms_stay_light(sources):
    """What predicts in a host imports, at its top, nothing that a host may lack."""
    at_hand = {*sys.stdlib_module_names, "numpy"}
    return [f"{path}:{one.line} imports {one.name} at its top"
            for path, module, one in package_imports(sources)
            if is_light(module) and not one.is_late and not (
                is_light(one.name) if one.name.startswith("phenoscale.")
                else one.name.split(".")[0] in at_hand)]


def scores_know_numbers_only(sources):
    """Arrays in, numbers out: numpy and the ground, wherever it is imported; scipy where a fit
    runs."""
    at_hand = {*sys.stdlib_module_names, "numpy"}
    return [f"{path}:{one.line} imports {one.name}"
            for path, module, one in package_imports(sources) if room_of(module) == "scores"
            and one.name.split(".")[0] not in (at_hand | {"scipy"} if one.is_late else at_hand)
            and FLOOR.get(room_of(one.name)) != 0 and room_of(one.name) != "scores"]


def packages_are_the_folders(sources):
    """The list of pyproject.toml: every folder with an __init__.py; every module is in one."""
    listed = set(ast.literal_eval(
        re.search(r"^packages = (\[.*?\])", sources["pyproject.toml"], re.DOTALL | re.M)[1]))
    there = {module_of(path): path for path in below(sources, PACKAGE, ending="/__init__.py")}
    there["phenoscale.plugins"] = f"{PLUGINS}__init__.py"
    homes = {module.rpartition(".")[0] or module: path
             for module, path in modules_of(sources).items() if "__init__" not in path}
    return ([f"{there[name]} is not in pyproject.toml" for name in there.keys() - listed]
            + [f"pyproject.toml names {name}" for name in listed - there.keys()]
            + [f"{homes[name]}: no __init__.py beside it" for name in homes.keys() - there])


def plugins_load_without_the_engine(sources):
    """Copied into a host, a plugin finds neither phenoscale nor a window; it asks when it runs."""
    heavy, found = {"phenoscale", "wx", "jpype", "javabridge", "matplotlib"}, []
    for path, text in below(sources, PLUGINS).items():
        ast.parse(text, feature_version=(3, 8))  # CellProfiler on Windows
        for one in imports_of(text):
            first = one.name.split(".")[0]
            is_late = one.is_late and (first != "phenoscale" or one.name in FOR_PLUGINS)
            if first in heavy and not is_late:
                found.append(f"{path}:{one.line} imports {one.name}")
    return found


CSV, MODEL, ALONE = (f"{PACKAGE}{name}.py" for name in ("files/csv", "models/model", "ranks/alone"))
ACCURACY, PLUGIN = f"{PACKAGE}scores/classification.py", f"{PLUGINS}cellprofiler/trainwholeimage.py"
PLANTED = [
    (imports_go_down, CSV, "from phenoscale.tables.split import Split"),
    (imports_go_down, CSV, "import phenoscale.tables.split"),
    (imports_go_down, CSV, "def f():\n    from phenoscale.tables import split"),
    (imports_go_down, CSV, "class C:\n    def f(self):\n        import phenoscale.cli.verbs"),
    (imports_go_down, CSV, "from ..tables import split"),
    (imports_go_down, CSV, "import phenoscale\nf = phenoscale.load"),
    (imports_go_down, CSV, "from phenoscale import load"),
    (imports_go_down, CSV, "HOME = 'phenoscale.tables.split'"),
    (imports_go_down, CSV, "from phenoscale.attic import f"),
    (imports_go_down, ALONE, "from phenoscale.tables.split import Split"),  # of one floor
    (imports_go_down, f"{PACKAGE}words.py", "from phenoscale.files import csv"),
    (imports_go_down, f"{PACKAGE}cli/train.py", "import phenoscale.__main__"),
    (floors_are_the_rooms, f"{PACKAGE}attic/boxes.py", ""),
    (imports_make_no_circle, f"{PACKAGE}files/atomic.py", "from phenoscale.files import tensors"),
    (imports_make_no_circle, f"{PACKAGE}streams.py", "def f():\n    import phenoscale.progress"),
    (inits_only_say_what_is_there, f"{PACKAGE}files/__init__.py", "import csv\n"),
    (inits_only_say_what_is_there, f"{PACKAGE}reports/sections/__init__.py", "# more\n"),
    (inits_only_say_what_is_there, f"{PLUGINS}__init__.py", "__all__ = []\n"),
    (light_rooms_stay_light, MODEL, "import safetensors"),
    (light_rooms_stay_light, MODEL, "try:\n    import pandas as pd\nexcept ImportError:\n    pass"),
    (light_rooms_stay_light, MODEL, "class C:\n    from scipy import stats"),
    (light_rooms_stay_light, f"{PACKAGE}hosts/tasks.py", "import phenoscale.training.train"),
    (light_rooms_stay_light, ALONE, "from phenoscale.ranks import mpi"),
    (scores_know_numbers_only, ACCURACY, "def f():\n    import pandas"),
    (scores_know_numbers_only, ACCURACY, "from scipy import optimize"),
    (scores_know_numbers_only, ACCURACY, "def f():\n    from phenoscale.files import csv"),
    (packages_are_the_folders, f"{PACKAGE}attic/__init__.py", ""),
    (packages_are_the_folders, f"{PACKAGE}attic/boxes.py", ""),
    (plugins_load_without_the_engine, PLUGIN, "import phenoscale"),
    (plugins_load_without_the_engine, PLUGIN, "import phenoscale.errors"),
    (plugins_load_without_the_engine, PLUGIN, "from matplotlib import figure"),
    (plugins_load_without_the_engine, PLUGIN, "def f():\n    from phenoscale.tables import read"),
]


@pytest.mark.parametrize("rule", dict.fromkeys(row[0] for row in PLANTED))
def test_the_house_keeps(rule):
    assert rule(SOURCES) == []


@pytest.mark.parametrize("rule, path, text", PLANTED, ids=names_of(PLANTED))
def test_a_planted_violation_is_found(rule, path, text):
    assert [found for found in rule(planted(SOURCES, path, text)) if found.startswith(path)]


def test_what_may_be_imported_for_types():
    """An import that only a checker of types sees goes where it likes."""
    text = "if TYPE_CHECKING:\n    import pandas\n    from phenoscale.cli import verbs\n"
    for rule in (imports_go_down, light_rooms_stay_light, imports_make_no_circle):
        assert rule(planted(SOURCES, CSV, text)) == []
    assert light_rooms_stay_light(planted(SOURCES, CSV, text + "else:\n    import pandas\n"))


def test_a_list_without_its_folder_is_found():
    sources = {**SOURCES, "pyproject.toml": SOURCES["pyproject.toml"].replace(
        '    "phenoscale.files",\n', '    "phenoscale.cellar",\n')}
    assert sorted(packages_are_the_folders(sources)) == [
        "pyproject.toml names phenoscale.cellar",
        f"{PACKAGE}files/__init__.py is not in pyproject.toml"]


def test_what_is_installed_is_all_there_is():
    folder = ROOT / "plugins/cellprofiler"
    there = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert there == sorted(HOSTS["cellprofiler"].files)


@pytest.mark.alone
def test_import_is_light():
    heavy = ["mpi4py", "matplotlib", "pandas", "sklearn", "scipy", "tqdm", "torch", "tensorflow"]
    said = f"print([m for m in {heavy} if m in sys.modules])"
    assert run_python(f"import phenoscale; {said}").strip() == "[]"
    light = ", ".join(module for module in modules_of(SOURCES) if is_light(module))
    heavy += ["click", "jinja2", "PIL", "safetensors", "tifffile"]
    said = f"print([m for m in {heavy} if m in sys.modules])"
    assert run_python(f"import {light}; {said}").strip() == "[]"
    timed = ("import numpy, time; t = time.perf_counter(); import phenoscale; "
             "print(time.perf_counter() - t)")
    assert sorted(float(run_python(timed)) for _ in range(3))[0] < 0.3
