# SPDX-License-Identifier: BSD-3-Clause
"""Every notebook runs from top to bottom, on a smaller screen."""

import base64
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
#: What is made smaller: the line of a notebook -> the line that runs here.
SMALLER = {
    'SCREEN = {"plates": 4, "phenotypes": 6, "size": (256, 256), "sites": 2}':
        'SCREEN = {"plates": 2, "phenotypes": 3, "size": (128, 128), "wells": 24}',
    "EPOCHS = 12": "EPOCHS = 1",
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    parameters = notebook.cells[1]
    for line, smaller in SMALLER.items():
        assert line in parameters.source
        parameters.source = parameters.source.replace(line, smaller)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}
                            ).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output.data["image/png"] for output in outputs
                if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    assert all(len(base64.b64decode(picture)) > 5000 for picture in pictures)
    assert any("balanced accuracy" in output.get("text", "") for output in outputs)
    assert all(not cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells
               if cell.cell_type == "code"), "clear the outputs before committing"
