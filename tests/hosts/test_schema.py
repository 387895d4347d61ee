# SPDX-License-Identifier: BSD-3-Clause
"""What requests and answers are checked against: kinds, tables, and the manual that shows them."""

import math
from dataclasses import fields

import pytest

from phenoscale import InputError
from phenoscale.hosts.schema import Entry, Flag, Items, Named, Number, Object, Text, Whole
from phenoscale.hosts.task_schema import SCHEMAS
from phenoscale.hosts.tasks import TASKS, execute
from phenoscale.tables.read import Reading
from phenoscale.training.recipe import Recipe
from tree import ROOT


@pytest.mark.parametrize(("kind", "good", "bad"), [
    (Text(), ["", "a", "ä", "\udcff"], [None, 1, True, [], {}, b"a", "a\0", "\ud800", "x" * 10001]),
    (Text("a or b", ("a", "b")), ["a"], ["c", "", 1]),
    (Whole(0, 5), [0, 5], [-1, 6, 1.0, True, "1", None, math.nan]),
    (Number(), [0, 1.5, -3], [math.nan, math.inf, True, "1", None]),
    (Number(may_lack=True), [None, math.nan, 1], [True, "1"]),
    (Flag(), [True, False], [0, 1, None, "true"]),
    (Items(Whole(), "a list"), [[], [1]], [None, "a", {}, [1, "a"], [None]]),
    (Items(Whole(), "a list", may_lack=True), [[None, 1]], [["a"]]),
    (Named(Whole(), "an object"), [{}, {"a": 1}], [[], None, {"a": "b"}, {"a\0": 1}]),
    (Object((Entry("a", Whole()), Entry("b", Flag(), is_needed=False))),
     [{"a": 1}, {"a": 1, "b": None}, {"a": 1, "b": True}],
     [{}, {"b": True}, {"a": None}, {"a": 1, "c": 2}, {"a": 1, "b": 1}, [], None, "a"]),
])
def test_kinds(kind, good, bad):
    for value in good:
        kind.check(value, "x")
    for value in bad:
        with pytest.raises(InputError, match="x"):
            kind.check(value, "x")


def test_every_task_has_its_schema_and_every_option_its_entry():
    assert list(SCHEMAS) == list(TASKS)
    train = {entry.name: entry.kind for entry in SCHEMAS["train"].inputs.entries}
    for name, cls, less in (("recipe", Recipe, set()), ("how", Reading, {"z"})):
        known = {entry.name for entry in train[name].entries}
        assert known == {one.name for one in fields(cls)} - less
    train["recipe"].check({one.name: list(one.default) if one.name == "augment" else one.default
                           for one in fields(Recipe)}, "recipe")


def test_an_answer_that_is_none_is_a_fault(monkeypatch):
    monkeypatch.setitem(TASKS, "version", lambda inputs, watch: {"phenoscale": 1})
    with pytest.raises(RuntimeError, match="'phenoscale' is 1"):
        execute("version", {})


# ---- the manual ----------------------------------------------------------------------------------


def lines_of(name, schema):
    """What docs/serve.md shows of a task."""
    for way, kind in (("takes", schema.inputs), ("gives", schema.outputs)):
        yield f"| `{name}` {way} | | |"
        for entry in kind.entries:
            named = f"`{entry.name}`" if entry.is_needed else f"[`{entry.name}`]"
            yield f"| {named} | {entry.kind.words} | {entry.meaning} |"


def test_the_manual_shows_the_schema():
    text = (ROOT / "docs/serve.md").read_text()
    for name, schema in SCHEMAS.items():
        assert "\n".join(lines_of(name, schema)) in text, "\n".join(
            line for name, schema in SCHEMAS.items() for line in lines_of(name, schema))
