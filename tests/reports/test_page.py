# SPDX-License-Identifier: BSD-3-Clause
"""The pages as documents: a landmark for what is in them, tables that say what they are, tags in
pairs, no table wider than the page that could not be scrolled."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser

import pytest

from phenoscale.reports.page import page_data
from phenoscale.reports.report import write_report
from tree import ROOT

TEMPLATES = ROOT / "python/phenoscale/reports/templates"
_ALONE = {"meta", "img", "br", "input"}


class Tree(HTMLParser):
    """Open tags at every tag, as lists: `seen`; what was closed out of turn: `faults`."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.faults = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        about = dict(attributes)
        self.seen.append((tag, about, list(self.open)))
        if tag not in _ALONE:
            self.open.append((tag, about))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop()[0] != tag:
            self.faults.append(tag)


def without_jinja(text):
    """A template's own tags: its page with every branch and every part in it."""
    text = re.sub(r'\{% include "(.*html.j2)" %\}',
                  lambda match: without_jinja((TEMPLATES / match[1]).read_text()), text)
    return re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", text, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["report", "check"])
def test_landmarks_and_tables(name):
    seen = Tree(without_jinja((TEMPLATES / f"{name}.html.j2").read_text())).seen
    assert [tag for tag, *_ in seen].count("main") == 1
    for number, (tag, about, inside) in enumerate(seen):
        tags = [one for one, _ in inside]
        if tag == "section":
            assert "main" in tags
        if tag == "table":
            assert seen[number + 1][0] == "caption", about
            is_wide = about.get("class") != "recipe"
            assert not is_wide or any("scroll" in one.get("class", "") for _, one in inside), about
        if tag == "img":
            assert about["alt"] is not None
        if about.get("class") == "key":  # a dot stays with its word
            assert "td" in tags or inside[-1][1].get("class") == "keyed", about


def test_the_one_script_is_allowed_by_its_hash(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"classes": ["a", "b"], "label": "x"}))
    with open(write_report(tmp_path), encoding="utf-8") as file:
        page = file.read()
    run = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert run == [(TEMPLATES / "page.js").read_text()]
    digest = base64.b64encode(hashlib.sha256(run[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1]
    assert html.unescape(policy) == ("default-src 'none'; img-src data:; style-src "
                                     f"'unsafe-inline'; script-src 'sha256-{digest}'")


def test_data_ends_no_script(tmp_path):
    """Whatever a name is, it stays a text of the JSON."""
    name = "</script><script>alert(1)</script>&amp;<!--"
    text = str(page_data({"name": name}))
    assert "<" not in text and "&" not in text and json.loads(text) == {"name": name}


def test_a_rendered_page_is_whole(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"classes": ["a", "b"], "label": "x"}))
    (tmp_path / "split.csv").write_text("FileName_A,x,Split,Phenoscale_Field\na.tif,a,test,a.tif\n")
    with open(write_report(tmp_path), encoding="utf-8") as file:
        page = Tree(file.read())
    assert page.faults == [] and page.open == []
    assert "class-table" in [about.get("id") for _, about, _ in page.seen]


def test_words_are_broken_where_one_is_too_long_alone():
    """`anywhere` lets a column shrink to one letter; the paths of a recipe may."""
    style = (TEMPLATES / "page.css.j2").read_text()
    breaking = [line for line in style.splitlines() if "anywhere" in line or "break-all" in line]
    assert len(breaking) == 1 and breaking[0].startswith(".recipe td {")
    assert "@media (max-width: 600px)" in style and "@media print" in style
