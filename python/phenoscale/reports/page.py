# SPDX-License-Identifier: BSD-3-Clause
"""Pages that stand alone: a template, pictures within it, nothing that is fetched or run.

Under report.py and check_page.py.
"""

from __future__ import annotations

import base64
import io
import os
import warnings

from phenoscale.files.atomic import write_atomically
from phenoscale.reports import pictures
from phenoscale.words import count, number

__all__ = ["encode", "write_page"]

_TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")


def write_page(path, template: str, **values) -> None:
    """Render a template of this package, every value escaped, and write the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True,
                            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.filters.update(number=number, count=count, colour=pictures.class_colour)
    text = templates.get_template(template).render(**values)
    write_atomically(path, [text.encode("utf-8", "replace")])


def encode(figure, kind, dpi=100) -> str:
    """A figure as a data URI, the same text for the same figure."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "phenoscale"}), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in a script that the font lacks
        figure.savefig(buffer, format=kind.split("+")[0], dpi=dpi,
                       **({"metadata": {"Date": None}} if "svg" in kind else {}))
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
