# SPDX-License-Identifier: BSD-3-Clause
"""The C core, its binding and its stub: pure, prefixed, documented, safe where it is not ready."""

import ast
import inspect
import re
import shutil
import subprocess

import pytest

import reference
import reference_augment
from phenoscale import _core
from phenoscale.models import networks
from tree import PACKAGE, ROOT, SOURCES, below, c_code, names_of, planted, run_python

CORE, BINDING, PROGRAMS, HEADER = "csrc/", "python/binding/", "tests/c/", "csrc/phenoscale.h"
STUB = f"{PACKAGE}_core.pyi"


def core(sources):
    """The C files of the library."""
    return {**below(sources, CORE, ending=".c"), **below(sources, CORE, ending=".h")}


def core_is_pure_c(sources):
    """No Python, no printing, no end of the process: a status with a message."""
    found = []
    for path, text in core(sources).items():
        words = re.findall(r"\b(f?printf|puts|exit|_exit|abort|longjmp|assert)\b\s*\(?",
                           c_code(text))
        # error.c declares that its format is checked like printf's
        if words and path not in (f"{CORE}error.c", f"{CORE}internal.h") or "Python.h" in text:
            found.append(f"{path}: {', '.join(words) or 'Python.h'}")
    return found


def the_binding_alone_knows_python(sources):
    """Of all C files."""
    return [f"{path} includes Python.h" for path, text in sources.items()
            if path.endswith((".c", ".h")) and not path.startswith(BINDING)
            and re.search(r"#\s*include\s*[<\"]Python\.h", text)]


def libraries_are_met_in_their_files_only(sources):
    """libtiff in image.c and blocks.c; oneDNN in dnn.c, the loss and the layers."""
    found = []
    for path, text in core(sources).items():
        name, text = path.rpartition("/")[2], c_code(text)
        if name not in ("image.c", "blocks.c") and "tiffio" in text:
            found.append(f"{path} meets libtiff")
        if name not in ("dnn.c", "loss.c") and not name.startswith("layer_") and re.search(
                r"\bdnnl", text):
            found.append(f"{path} meets oneDNN")
    return found


def included(text, headers):
    """Names of the library's own headers that a C file sees, directly or through others."""
    names = set(re.findall(r'#include "(?:\w+/)?(\w+\.h)"', text))
    return names.union(*(included(headers[name], headers) for name in names if name in headers))


def layers(sources):
    """The files of the layers."""
    return {path: text for path, text in core(sources).items()
            if re.fullmatch(r"layer_\w+\.c", path.rpartition("/")[2])}


def layers_do_not_know_the_net(sources):
    """A layer sees layer.h; net.h is for those that build, run and update the whole."""
    headers = {path.rpartition("/")[2]: text
               for path, text in below(sources, CORE, ending=".h").items()}
    seen = {path: included(text, headers) for path, text in layers(sources).items()}
    return [f"{path} includes {', '.join(sorted(names))}" for path, names in seen.items()
            if "layer.h" not in names or "net.h" in names]


def core_keeps_no_globals(sources):
    """Const tables and the thread's last error only."""
    inside = r"^(?:static |_Thread_local )[^()=;]*(?:=|;)"
    return [f"{path}: {line}" for path, text in core(sources).items()
            for line in re.findall(inside, c_code(text), re.M)
            if "const" not in line and "_Thread_local" not in line]


def public_functions(sources):
    """Functions that the public header declares."""
    return re.findall(r"^[a-z][^;{}#(]*?\**(\w+)\([^;{}]*\);", c_code(sources[HEADER]), re.M)


def public_functions_are_prefixed_and_used(sources):
    """By the binding or by a C test; macros have a prefix too."""
    users = "".join(map(c_code, {**below(sources, BINDING, ending=".c"),
                                 **below(sources, BINDING, ending=".h"),
                                 **below(sources, PROGRAMS, ending=".c")}.values()))
    names = public_functions(sources)
    macros = re.findall(r"^#define (\w+)", sources[HEADER], re.M)
    return [f"{HEADER}: {name} {why}" for name, why in (
        *((name, "has no ps_") for name in names if not name.startswith("ps_")),
        *((name, "has no PS_") for name in macros if not name.startswith(("PS_", "PHENOSCALE_"))),
        *((name, "is used neither by the binding nor by a C test") for name in names
          if not re.search(rf"\b{name}\b", users)))]


def public_functions_take_few_parameters(sources):
    """Eight at most; more are a struct with a name."""
    declared = re.findall(r"^[a-z][^;{}#(]*?\**(\w+)\(([^;{}]*)\);", c_code(sources[HEADER]), re.M)
    return [f"{HEADER}: {name} has {words.count(',') + 1} parameters" for name, words in declared
            if words.count(",") >= 8]


NET, LAYER = f"{CORE}net.c", f"{CORE}layer_conv.c"
PLANTED = [
    (core_is_pure_c, NET, 'void f(void) { fprintf(stderr, "no"); }'),
    (core_is_pure_c, f"{CORE}kernels/tower_forward.h", "void f(void) { abort(); }"),
    (core_is_pure_c, f"{CORE}attic.c", "#include <Python.h>"),
    (the_binding_alone_knows_python, f"{PROGRAMS}test_net.c", "#include <Python.h>"),
    (libraries_are_met_in_their_files_only, NET, "#include <tiffio.h>"),
    (libraries_are_met_in_their_files_only, NET, "dnnl_stream_t stream;"),
    (layers_do_not_know_the_net, LAYER, '#include "net.h"'),
    (layers_do_not_know_the_net, f"{CORE}layer_new.c", '#include "internal.h"'),
    (core_keeps_no_globals, NET, "static int count;"),
    (core_keeps_no_globals, f"{CORE}kernels/attic.h", "static float table[2] = {0};"),
    (public_functions_are_prefixed_and_used, HEADER, "\nint ps_more(int n);\n"),
    (public_functions_are_prefixed_and_used, HEADER, "\nint net_free(int n);\n"),
    (public_functions_are_prefixed_and_used, HEADER, "\n#define MORE 1\n"),
    (public_functions_take_few_parameters, HEADER,
     "\nint ps_many(" + ", ".join(f"int p{k}" for k in range(9)) + ");\n"),
]


@pytest.mark.parametrize("rule", dict.fromkeys(row[0] for row in PLANTED))
def test_the_core_keeps(rule):
    assert rule(SOURCES) == []


@pytest.mark.parametrize("rule, path, text", PLANTED, ids=names_of(PLANTED))
def test_a_planted_violation_is_found(rule, path, text):
    assert [found for found in rule(planted(SOURCES, path, text)) if found.startswith(path)]


def test_there_is_something_to_look_at():
    assert len(core(SOURCES)) > 15 and len(public_functions(SOURCES)) > 30
    assert len(layers(SOURCES)) >= len(_core.layer_names())


# ---- the built module -----------------------------------------------------------------------


def test_module_exports_its_entry_only():
    if not shutil.which("nm"):
        pytest.skip("nm (binutils) is not installed")
    lines = subprocess.run(["nm", "-D", "--defined-only", _core.__file__], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    names = {line.split()[-1] for line in lines}
    of_the_linker = {"_init", "_fini", "_end", "_edata", "__bss_start"}
    assert names - of_the_linker == {"PyInit__core"}


def test_every_table_row_has_a_twin():
    assert set(_core.layer_names()) == set(reference.LAYERS) | set(networks.PLAIN_LAYERS)
    assert set(_core.loss_names()) == set(reference.LOSSES)
    assert set(_core.optimizer_names()) == set(reference.OPTIMIZERS)
    assert set(_core.augment_names()) == set(reference_augment.AUGMENTS)


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
    assert stub_names(SOURCES[STUB]) == core_names()
    assert (ROOT / PACKAGE / "py.typed").read_text() == ""


@pytest.mark.parametrize("name", ["limits", "ImageError", "Loader", "Net.sums", "Optimizer.update"])
def test_the_stub_misses_nothing(name):
    text, last = SOURCES[STUB], name.split(".")[-1]
    changed = re.sub(rf"^( *(?:def|class) ){last}\b", rf"\1{last}_", text, flags=re.MULTILINE)
    assert name in core_names() - stub_names(changed)
    assert stub_names(changed) - core_names()


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
    text = f"from phenoscale import _core\nblank = _core.{name}.__new__(_core.{name})\n"
    for call in tries:
        text += f"try:\n    {call}\n    print({call!r}, 'went through')\n"
        text += "except RuntimeError as error:\n    assert 'not initialised' in str(error)\n"
    assert run_python(text) == ""


def test_every_extension_class_is_walked():
    classes = {name for name, thing in vars(_core).items()
               if inspect.isclass(thing) and not issubclass(thing, Exception)}
    assert classes == set(BLANK_CALLS)
