# SPDX-License-Identifier: BSD-3-Clause
"""The rules that keep the code base in shape; each test is one rule."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import phenoscale
import reference
from phenoscale import _core
from phenoscale.hosts.install_plugin import HOSTS
from phenoscale.models.networks import networks

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted(ROOT.glob("csrc/**/*.[ch]"))
HEADER = ROOT / "csrc" / "phenoscale.h"
BINDING = sorted(ROOT.glob("python/binding/*.[ch]"))
STUB = ROOT / "python/phenoscale/_core.pyi"
PACKAGE = sorted(ROOT.glob("python/phenoscale/*.py"))
JAVA = sorted(ROOT.glob("plugins/imagej/src/**/*.java"))
PLUGINS = sorted(ROOT.glob("plugins/**/*.py"))
STUDIES = sorted(ROOT.glob("tools/studies/*.py"))
SOURCES = [*CORE, *BINDING, STUB, *PACKAGE, *JAVA, *PLUGINS, *ROOT.glob("tests/*.py"),
           *ROOT.glob("tests/c/*.c"), *ROOT.glob("tests/java/*"), *ROOT.glob("*.py"),
           *ROOT.glob("tools/*"), *STUDIES]
MODULES = sorted(module.name for module in pkgutil.iter_modules(phenoscale.__path__)
                 if module.name not in ("_core", "__main__"))


def lines_with(pattern, paths):
    """["file:line: text"] of all lines in which the pattern occurs."""
    return [f"{path.name}:{number}: {line.strip()}" for path in paths
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if re.search(pattern, line)]


def code(path):
    """A C file without its comments and strings."""
    text = re.sub(r'"(\\.|[^"\\\n])*"', '""', path.read_text())
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


# ---- the C core -----------------------------------------------------------------------------


def test_core_is_pure_c():
    assert len(CORE) > 15
    for path in CORE:
        words = re.findall(r"\b(Python\.h|f?printf|puts|exit|_exit|abort|longjmp|assert)\b\s*\(?",
                           code(path).replace("#include <Python.h>", "Python.h"))
        # error.c declares that its format is checked like printf's
        assert not [word for word in words if path.name not in ("error.c", "internal.h")], path.name
        assert "Python.h" not in path.read_text(), path.name


def test_libraries_are_met_in_their_files_only():
    for path in CORE:
        text = code(path)
        if path.name != "image.c":
            assert "tiffio" not in text, path.name
        if path.name not in ("dnn.c", "loss.c") and not path.name.startswith("layer_"):
            assert not re.search(r"\bdnnl", text), path.name


def included(path):
    """Names of the library's own headers that a C file sees, directly or through others."""
    names = set(re.findall(r'#include "(?:\w+/)?(\w+\.h)"', path.read_text()))
    return names.union(*(included(header) for header in CORE if header.name in names))


def test_layers_do_not_know_the_net():
    """A layer sees layer.h; net.h is for those that build, run and update the whole."""
    layers = [path for path in CORE if re.match(r"layer_\w+\.c", path.name)]
    assert len(layers) >= len(_core.layer_names())
    for path in layers:
        assert "layer.h" in included(path) and "net.h" not in included(path), path.name


def test_core_keeps_no_globals():
    """Const tables and the thread's last error only."""
    for path in CORE:
        found = re.findall(r"^(?:static |_Thread_local )[^()=;]*(?:=|;)", code(path), re.MULTILINE)
        found = [line for line in found if "const" not in line and "_Thread_local" not in line]
        assert not found, (path.name, found)


def built_module():
    return _core.__file__


def test_module_exports_its_entry_only():
    if not shutil.which("nm"):
        pytest.skip("nm (binutils) is not installed")
    lines = subprocess.run(["nm", "-D", "--defined-only", built_module()], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    names = {line.split()[-1] for line in lines}
    of_the_linker = {"_init", "_fini", "_end", "_edata", "__bss_start"}
    assert names - of_the_linker == {"PyInit__core"}


def public_functions():
    """Functions that the public header declares."""
    return re.findall(r"^[a-z][^;{}#(]*?\**(\w+)\([^;{}]*\);", code(HEADER), re.MULTILINE)


def test_public_functions_are_prefixed_and_used():
    names = public_functions()
    assert len(names) > 30
    users = "".join(code(path) for path in [*BINDING, *ROOT.glob("tests/c/*.c")])
    for name in names:
        assert name.startswith("ps_"), name
        assert re.search(rf"\b{name}\b", users), f"{name}: neither the binding nor a C test uses it"
    for name in re.findall(r"^#define (\w+)", HEADER.read_text(), re.MULTILINE):
        assert name.startswith(("PS_", "PHENOSCALE_")), name


def c_functions(path):
    """(name, number of lines of the body) of each function of a C file."""
    lines, name = path.read_text().splitlines(), ""
    for number, line in enumerate(lines):
        called = re.match(r"(\w+)\(", line)
        name = called.group(1) if called else name
        if line == "{":
            yield name, lines.index("}", number) - number + 1


def test_sizes():
    c_files = [*CORE, *BINDING, *sorted(ROOT.glob("tests/c/*.[ch]"))]
    too_long = []
    for path in [*c_files, *JAVA, *PACKAGE, *PLUGINS, *STUDIES, *ROOT.glob("tests/*.py"),
                 *ROOT.glob("*.py")]:
        lines = path.read_text().splitlines()
        limit = {HEADER: 350, **dict.fromkeys(BINDING, 450)}.get(
            path, 100 if path.name == "setup.py" else 400)
        if len(lines) > limit:
            too_long.append(f"{path.name}: {len(lines)} lines")
        too_long += [f"{path.name}:{number}: over 100 columns"
                     for number, line in enumerate(lines, 1) if len(line) > 100]
    too_long += [f"{path.name}: {name} has {length} lines" for path in c_files
                 for name, length in c_functions(path) if length > 60]
    assert not too_long, too_long


def test_every_file_names_its_licence():
    sources = [path for path in SOURCES if path.is_file()]
    bare = [path.name for path in sources
            if "SPDX-License-Identifier: BSD-3-Clause" not in path.read_text()[:200]]
    assert not bare, bare


# ---- tables ---------------------------------------------------------------------------------


def test_every_table_row_has_a_twin():
    assert set(_core.layer_names()) == set(reference.LAYERS) | set(networks.PLAIN_LAYERS)
    assert set(_core.loss_names()) == set(reference.LOSSES)
    assert set(_core.optimizer_names()) == set(reference.OPTIMIZERS)
    assert set(_core.augment_names()) == set(reference.AUGMENTS)


# ---- the Python package ---------------------------------------------------------------------


def public_objects(module):
    """(name, object) of the functions, classes and methods that a module defines."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield name, thing
        if inspect.isclass(thing):
            for method, value in vars(thing).items():
                value = getattr(value, "__func__", value)
                if not method.startswith("_") and (inspect.isfunction(value)
                                                   or isinstance(value, property)):
                    yield f"{name}.{method}", value


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name):
    module = importlib.import_module(f"phenoscale.{name}")
    bare = [label for label, thing in public_objects(module) if not (thing.__doc__ or "").strip()]
    assert module.__doc__ and not bare, bare


@pytest.mark.parametrize("name", MODULES)
def test_doctests_run(name):
    module = importlib.import_module(f"phenoscale.{name}")
    assert doctest.testmod(module).failed == 0


def test_the_core_has_docstrings():
    for name, thing in vars(_core).items():
        if name.startswith("_"):
            continue
        assert thing.__doc__, name
        for method, value in vars(thing).items() if inspect.isclass(thing) else ():
            assert method.startswith("_") or value.__doc__, f"{name}.{method}"


def stub_names(text):
    """Functions and classes of a stub; methods and attributes as CLASS.NAME."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    public = [node for node in ast.parse(text).body
              if isinstance(node, kinds) and not node.name.startswith("_")]
    inside = {f"{node.name}.{part.name}" for node in public if isinstance(node, ast.ClassDef)
              for part in node.body if isinstance(part, kinds)}
    return {node.name for node in public} | inside


def core_names():
    """The same names of the built module."""
    public = {name: thing for name, thing in vars(_core).items() if not name.startswith("_")}
    inside = {f"{name}.{part}" for name, thing in public.items() if inspect.isclass(thing)
              for part in vars(thing) if part == "__init__" or not part.startswith("_")}
    return set(public) | inside


def test_the_stub_is_the_core():
    assert stub_names(STUB.read_text()) == core_names()
    assert (STUB.parent / "py.typed").read_text() == ""


@pytest.mark.parametrize("name", ["limits", "ImageError", "Loader", "Net.sums", "Optimizer.update"])
def test_the_stub_misses_nothing(name):
    text = STUB.read_text()
    last = name.split(".")[-1]
    planted = re.sub(rf"^( *(?:def|class) ){last}\b", rf"\1{last}_", text, flags=re.MULTILINE)
    assert name in core_names() - stub_names(planted)
    assert stub_names(planted) - core_names()


def test_forbidden_calls():
    """No code from data, no shell: the grep of the threat model."""
    calls = (r"\bpickle\b|\beval\(|\bexec\(|yaml\.load\(|allow_pickle=True|shell=True|"
             r"os\.system|\bmarshal\b|\bsystem\(|\bpopen\(|torch\.load")
    own = [path for path in SOURCES if path.is_file() and path.name != Path(__file__).name]
    found = [line for line in lines_with(calls, own)
             if not re.search(r"(#|\*|no|never|without|\")[^(]*pickle", line, re.IGNORECASE)]
    assert not found, found


def test_layers_of_imports():
    """Nothing below the command line imports it; predict and what it stands on never train."""
    below = {"table", "split", "models", "model_file", "predict", "profiles", "evaluate", "errors"}
    for path in PACKAGE:
        imported = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported |= {(node.module or "").split(".")[-1], *(a.name for a in node.names)}
            elif isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[-1] for alias in node.names}
        assert "__main__" not in imported, path.name
        if path.stem in below:
            assert not imported & {"train", "report", "bench", "estimator"}, path.name


def test_plugins_load_without_the_engine():
    """Copied into a host, a plugin finds neither phenoscale nor a window; it asks when it runs."""
    folders = {path.parent for path in PLUGINS}
    assert ROOT / "plugins/cellprofiler" in folders
    heavy = {"phenoscale", "wx", "jpype", "javabridge", "matplotlib"}
    for path in PLUGINS:
        tree = ast.parse(path.read_text(), feature_version=(3, 8))  # CellProfiler on Windows
        for node in tree.body:
            names = [alias.name for alias in getattr(node, "names", ())]
            module = [node.module] if isinstance(node, ast.ImportFrom) else names
            assert not {(name or "").split(".")[0] for name in module} & heavy, path.name


def test_what_is_installed_is_all_there_is():
    folder = ROOT / "plugins/cellprofiler"
    there = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert there == sorted(HOSTS["cellprofiler"].files)


def run_python(text):
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True,
                          cwd=ROOT / "tests").stdout


def test_import_is_light():
    heavy = ["mpi4py", "matplotlib", "pandas", "sklearn", "scipy", "tqdm", "torch", "tensorflow"]
    path = f"import sys; sys.path.insert(0, {str(Path(phenoscale.__file__).parent.parent)!r}); "
    loaded = run_python(
        path + f"import phenoscale; print([m for m in {heavy} if m in sys.modules])")
    assert loaded.strip() == "[]"
    timed = path + ("import numpy, time; t = time.perf_counter(); import phenoscale; "
                    "print(time.perf_counter() - t)")
    assert sorted(float(run_python(timed)) for _ in range(3))[0] < 0.3


# What each method is called with, so that it gets past its arguments to the missing object.
BLANK_CALLS = {
    "Net": {"initialise": "0", "predict": "[], [1.0], [1.0]", "begin": "",
            "forward": "[], [1.0], [1.0]", "backward": "[0], [1.0]", "gradient": "",
            "backward_head": "[0], [1.0]", "backward_fields": "", "sum": "", "form": "",
            "squares": "1", "end": "1, [0.0]",
            "evidence": "[], [1.0], [1.0], 0"},
    "Loader": {"start": "[0]", "next": "", "release": "1"},
    "Optimizer": {"update": "_core.Net('f: input channels=1 height=1 width=1\\nz: dense units=1', "
                            "training=True), 0.1"},
}


@pytest.mark.parametrize("name", BLANK_CALLS)
def test_blank_objects_raise(name):
    """An object that skipped __init__ refuses every call, in a process of its own."""
    kind = getattr(_core, name)
    methods = {m for m in vars(kind) if not m.startswith("_") and callable(getattr(kind, m))}
    assert methods == set(BLANK_CALLS[name]), "name the arguments of a new method above"
    attributes = {m for m in vars(kind) if not m.startswith("_")} - methods
    tries = [f"blank.{method}({words})" for method, words in BLANK_CALLS[name].items()]
    tries += [f"blank.{attribute}" for attribute in sorted(attributes)]
    text = ("import sys; sys.path.insert(0, "
            f"{str(Path(phenoscale.__file__).parent.parent)!r})\n"
            f"from phenoscale import _core\nblank = _core.{name}.__new__(_core.{name})\n")
    for call in tries:
        text += f"try:\n    {call}\n    print({call!r}, 'went through')\n"
        text += "except RuntimeError as error:\n    assert 'not initialised' in str(error)\n"
    assert run_python(text) == ""


def test_every_extension_class_is_walked():
    classes = {name for name, thing in vars(_core).items()
               if inspect.isclass(thing) and not issubclass(thing, Exception)}
    assert classes == set(BLANK_CALLS)
