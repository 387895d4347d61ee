# SPDX-License-Identifier: BSD-3-Clause
"""Pages that stand alone: a template, pictures within it, nothing that is fetched, and of scripts
the one that a page names, by its hash.

Under report.py and check_page.py.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import warnings

from phenoscale.files.atomic import write_atomically
from phenoscale.reports import pictures
from phenoscale.words import count, number

__all__ = ["Picture", "encode", "page_data", "save_figure", "write_page"]

_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
_SCRIPT = "page.js"


def write_page(path, template: str, **values) -> None:
    """Render a template of this package, every value escaped, and write the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True,
                            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.filters.update(number=number, count=count, colour=pictures.class_colour,
                             ink=pictures.ink_on, data=page_data)
    text = templates.get_template(template).render(**values, **_script())
    write_atomically(path, [text.encode("utf-8", "replace")])


def _script() -> dict:
    """The script as a page has it, and the policy that lets it alone run: by its hash, so that
    nothing in a name could be a script too."""
    from markupsafe import Markup

    with open(os.path.join(_TEMPLATES, _SCRIPT), encoding="utf-8") as file:
        text = file.read()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    policy = ("default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
              f"script-src 'sha256-{digest}'")
    return {"script": Markup(text), "policy": policy}


def page_data(value):
    """JSON that no text in it can end."""
    from markupsafe import Markup

    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))


class Picture(str):
    """A data URI that knows what was drawn: `figure`, and `table`, the numbers of it, or None."""

    figure, table = None, None


def encode(figure, kind, dpi=100, table=None) -> Picture:
    """A figure as a data URI, the same text for the same figure.

    table: the numbers that it shows, as a DataFrame.
    """
    buffer = io.BytesIO()
    save_figure(figure, buffer, kind.split("+")[0], dpi)
    uri = Picture(f"data:image/{kind};base64,"
                  + base64.b64encode(buffer.getvalue()).decode("ascii"))
    uri.figure, uri.table = figure, table
    return uri


def save_figure(figure, file, kind: str, dpi=100) -> None:
    """Write a figure as "svg", "png" or "jpeg", the same bytes for the same figure."""
    import matplotlib

    with matplotlib.rc_context({"svg.hashsalt": "phenoscale"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in a script that the font lacks
        figure.savefig(file, format=kind, dpi=dpi,
                       **({"metadata": {"Date": None}} if kind == "svg" else {}))
