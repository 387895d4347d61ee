# SPDX-License-Identifier: BSD-3-Clause
"""A small prediction in many blocks, for the tests of what becomes of them."""

import os

import screens
from calls import counting, predict_to_file
from phenoscale import load
from phenoscale.files.csv import write_csv
from phenoscale.prediction import stream
from phenoscale.prediction.blocks import Blocks
from phenoscale.prediction.frame import prediction_frame
from phenoscale.prediction.predict import predict_table
from phenoscale.tables.outputs import write_errors
from phenoscale.tables.read import read_table

BLOCKS = 6  # of 3 fields


class Prediction:
    """A folder with a table of 17 fields, four of them bad, and a model.

    Attributes
    ----------
    written : list of int
        Numbers of the blocks that were predicted, as they came.
    """

    def __init__(self, folder, monkeypatch):
        self.folder, self.out, self.written = folder, folder / "out", []
        self.source, self.parts = folder / "screen" / "screen.csv", self.out / "p.csv.parts"
        paths = read_table(screens.write_screen(folder / "screen", 1, 16, 1)).paths
        os.remove(paths[4][0])
        for path in (paths[7][1], paths[12][0], paths[14][0]):
            screens.spoil(path)
        screens.make_model().save(folder / "m")
        os.mkdir(self.out)
        monkeypatch.setattr(stream, "BLOCK", 3)
        real = Blocks.__setitem__

        def write(blocks, number, found):
            real(blocks, number, found)
            self.written.append(number)

        monkeypatch.setattr(Blocks, "__setitem__", write)

    @property
    def paths(self):
        """(fields, channels): the files of the table."""
        return read_table(self.source).paths

    def run(self, resume=False, **options):
        """What `predict_to_file` gives."""
        self.written.clear()
        options = {"model": load(self.folder / "m"), "threads": 2, **options}
        return predict_to_file(source=self.source, out=self.out / "p.csv", resume=resume,
                               **options)

    def stop_after(self, fields):
        """A run that is stopped once so many fields are done."""
        def tell(done, of):
            if done >= fields:
                raise KeyboardInterrupt

        try:
            self.run(progress=counting("predict", tell), threads=1)
        except KeyboardInterrupt:
            return
        raise AssertionError("it was not stopped")

    def content(self, folder=None):
        """The bytes of what came out."""
        return [((folder or self.out) / name).read_bytes() for name in ("p.csv", "p.errors.csv")]

    def wanted(self):
        """The bytes that should come out, by another way: all fields at once."""
        model, table, folder = load(self.folder / "m"), read_table(self.source), self.folder / "all"
        found = predict_table(model, table, 1, "skip")
        assert sorted(found.skipped) == [4, 7, 12, 14]
        folder.mkdir()
        write_csv(prediction_frame(model, table, found), folder / "p.csv")
        write_errors(table, found.skipped, folder / "p.errors.csv")
        return self.content(folder)

    def blocks(self):
        """Names in the folder of the blocks."""
        return sorted(os.listdir(self.parts))
