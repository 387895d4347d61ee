# SPDX-License-Identifier: BSD-3-Clause
"""The report of a run: one HTML page that stands alone, made from the files of the run folder.

    run.py, what the files say -> sections/, one file each -> the page

Last in the flow.  A part that cannot be made is left out with one line why.
"""

from __future__ import annotations

import os

from phenoscale.evaluation.run import read_run
from phenoscale.reports.drawing import drawing
from phenoscale.reports.page import write_page
from phenoscale.reports.sections import (
    changed,
    curves,
    doses,
    evidence,
    examples,
    heads,
    plates,
    result,
)

__all__ = ["write_report"]

#: name in the template -> the module whose function `section` makes it, in its order
_SECTIONS = {"result": result, "heads": heads, "curves": curves, "plates": plates, "doses": doses,
             "changed": changed, "gallery": examples, "evidence": evidence}


@drawing()
def write_report(run) -> str:
    """Write ``report.html`` into the folder of a training run.

    Parameters
    ----------
    run : str or path
        What ``phenoscale train --out`` wrote; all but ``config.json`` may be missing.

    Returns
    -------
    str
        Path of the page: one file, a few MB at most, that needs no other.

    Raises
    ------
    InputError
        No readable config.json, a table that `train` did not write, or no room for the page.
    """
    data = read_run(os.path.abspath(run))
    sections = {name: {"why": "", **module.section(data)}
                for name, module in _SECTIONS.items()}
    path = data.folder.file(data.folder.REPORT)
    write_page(path, "report.html.j2", run=data, **sections)
    return path
