# SPDX-License-Identifier: BSD-3-Clause
"""The report of a run: one HTML page that stands alone, in the order in which a screener looks.

    run.py, screen.py, what the files say -> sections/, one file each -> the page

Last in the flow.  A part that cannot be made is left out with one line why.
"""

from __future__ import annotations

import os

from phenoscale.evaluation.run import read_run
from phenoscale.reports.drawing import drawing
from phenoscale.reports.page import write_page
from phenoscale.reports.picture_files import write_pictures
from phenoscale.reports.screen import read_screen
from phenoscale.reports.sections import (
    changed,
    controls,
    curves,
    doses,
    evidence,
    examples,
    heads,
    hit_fields,
    hits,
    like,
    plates,
    result,
    strictness,
    summary,
)

__all__ = ["write_report"]

#: name in the template -> the module whose function `section` makes it: of the run alone
_OF_RUN = {"changed": changed, "result": result, "heads": heads, "curves": curves, "doses": doses,
           "gallery": examples, "evidence": evidence, "strictness": strictness}
#: and of the screen; each may use what those before it found
_OF_SCREEN = {"plates": plates, "controls": controls, "hits": hits, "hit_fields": hit_fields,
              "like": like}


@drawing()
def write_report(run, profile=None, pictures=None) -> str:
    """Write ``report.html`` into the folder of a training run.

    Parameters
    ----------
    run : str or path
        What ``phenoscale train --out`` wrote; all but ``config.json`` may be missing.
    profile : str or path, optional
        What ``phenoscale profile --out`` wrote; by default ``profile`` in the folder of the run,
        where it is.  Without it there are no hits.
    pictures : str or path, optional
        A folder for the pictures as SVG and PNG, the tables behind them, and what MultiQC takes.

    Returns
    -------
    str
        Path of the page: one file that needs no other.

    Raises
    ------
    InputError
        No readable config.json, a table that `train` or `profile` did not write, or no room for
        the page.
    """
    data = read_run(os.path.abspath(run))
    screen = read_screen(data, profile)
    made = {}
    for name, module in _OF_RUN.items():
        made[name] = {"why": "", **module.section(data)}
    screen.words = {where: words for where, _, words in [
        *made["changed"].get("wells", []), *made["changed"].get("more", [])]}
    for name, module in _OF_SCREEN.items():
        made[name] = {"why": "", **module.section(screen)}
    said = summary.section(screen, made)
    path = data.folder.file(data.folder.REPORT)
    write_page(path, "report.html.j2", run=data, screen=screen, summary=said, **made)
    if pictures is not None:
        write_pictures(pictures, screen, made, said)
    return path
