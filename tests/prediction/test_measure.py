# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale measure`: the numbers of every field in a file, stopped, resumed, over ranks."""

import os

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
tifffile = pytest.importorskip("tifffile")
from scipy.ndimage import gaussian_filter

import screens
from calls import counting
from mpi_jobs import LIBRARIES, run_ranks
from phenoscale import Crew, InputError, read_image
from phenoscale.images.measures import Measurer
from phenoscale.prediction import stream
from phenoscale.prediction.measure import measure_to_file
from phenoscale.prediction.stream import Writing
from phenoscale.simulation.simulate import simulate
from phenoscale.tables.read import read_table


@pytest.fixture
def screen(tmp_path, monkeypatch):
    """A table of 7 fields, one without its file, in blocks of 2."""
    monkeypatch.setattr(stream, "BLOCK", 2)
    path = screens.write_screen(tmp_path / "screen", 1, 6, 1, size=(64, 72))
    os.remove(read_table(path).paths[3][1])
    return path


def test_the_file_has_the_numbers_of_each_field(screen, tmp_path):
    n, errors = measure_to_file(screen, tmp_path / "m.csv", crew=Crew(threads=2))
    assert n == 6 and "A04" in open(errors).read()
    frame, table = pandas.read_csv(tmp_path / "m.csv"), read_table(screen)
    wells = [well for k, well in enumerate(table.role("well")) if k != 3]
    assert frame["Metadata_Well"].tolist() == wells
    measurer = Measurer(table.channels, 0, 1)
    fields = [np.concatenate([read_image(path) for path in paths])
              for k, paths in enumerate(table.paths) if k != 3]
    wanted = np.array(measurer(fields))
    np.testing.assert_allclose(frame[measurer.names], wanted, rtol=1e-6, atol=1e-12)
    assert (frame["Metadata_CellCount"] == frame["Image_Cells_Count_DNA"]).all()


def test_a_blurred_field_is_said_beside_its_plate_whatever_the_blocks(tmp_path, monkeypatch):
    """The plate's other fields are in other blocks; on disk, and in memory."""
    path = simulate(tmp_path / "screen", plates=2, phenotypes=2, wells=12, size=(192, 240),
                    processes=1)
    for plane in read_table(path).paths[4]:
        tifffile.imwrite(plane, gaussian_filter(tifffile.imread(plane), 8))
    found = []
    for block, resume in ((64, None), (2, None), (5, False)):
        monkeypatch.setattr(stream, "BLOCK", block)
        out = tmp_path / f"{block}.csv"
        measure_to_file(path, out, writing=Writing(resume=resume))
        found.append(out.read_bytes())
    assert len(set(found)) == 1
    quality = pandas.read_csv(out, keep_default_na=False)["Phenoscale_Quality"]
    assert ["blurred" in words.split() for words in quality] == [k == 4 for k in range(24)]


def test_without_nuclei_no_cells_are_counted_and_it_is_said(screen, tmp_path):
    said = []
    measure_to_file(screen, tmp_path / "m.csv", nuclei="none")
    assert "Metadata_CellCount" not in pandas.read_csv(tmp_path / "m.csv")
    measure_to_file(screen, tmp_path / "n.csv", crew=Crew(progress=said.append))
    assert any("cells are counted in channel DNA" in event.get("words", "") for event in said)


def test_stopped_it_goes_on_to_the_same_bytes(screen, tmp_path):
    def stop(done, of):
        if done == 4:
            raise KeyboardInterrupt

    whole, out = tmp_path / "whole.csv", tmp_path / "m.csv"
    measure_to_file(screen, whole)
    with pytest.raises(KeyboardInterrupt):
        measure_to_file(screen, out, writing=Writing(resume=False),
                        crew=Crew(threads=1, progress=counting("measure", stop)))
    with pytest.raises(InputError, match="begun with --nuclei 0, not 1"):
        measure_to_file(screen, out, nuclei="Actin", writing=Writing(resume=True))
    measure_to_file(screen, out, writing=Writing(resume=True))
    assert out.read_bytes() == whole.read_bytes() and not (tmp_path / "m.csv.parts").exists()


def test_the_verb(screen, tmp_path, call):
    status, out, err = call("measure", screen, "--out", tmp_path / "m.csv")
    assert status == 3 and out.split()[0] == str(tmp_path / "m.csv")
    assert "note: cells are counted in channel DNA" in err and "1 field was skipped" in err
    status, _, err = call("measure", screen, "--out", tmp_path / "m.csv", "--nuclei", "Golgi")
    assert status == 1 and "there is no channel Golgi of nuclei: the fields have" in err


@pytest.mark.parametrize("library", LIBRARIES[:1])
def test_over_ranks_the_bytes_are_those_of_one(screen, tmp_path, library):
    measure_to_file(screen, tmp_path / "one.csv")
    status, _, err = run_ranks(library, 2, ["-m", "phenoscale", "measure", screen, "--out",
                                            tmp_path / "two.csv", "--threads", "1", "--quiet"])
    assert status == 3, err
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
