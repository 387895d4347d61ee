# SPDX-License-Identifier: BSD-3-Clause
"""The simulator: same seed same files, the table's contract, believable light, honest classes."""

import hashlib
import os
import signal

import numpy as np
import pandas
import pytest
import tifffile

from baselines import CHANNELS, baseline_features, baselines
from phenoscale.errors import InputError
from phenoscale.simulation import simulate as module
from phenoscale.simulation.cells import PHENOTYPES
from phenoscale.simulation.microscope import render_field
from phenoscale.simulation.simulate import _COLUMNS, LIMITS, Well, plan_plate, simulate

SMALL = {"plates": 2, "size": (96, 112), "wells": 12, "phenotypes": 3}
DEMO = {"plates": 3, "size": (256, 320), "wells": 40, "phenotypes": 6}
SEEDS = (0, 1, 2)


def hashes(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def read_fields(csv):
    frame = pandas.read_csv(csv, keep_default_na=False)
    return frame, np.stack([[tifffile.imread(
        csv.parent / row[f"Image_PathName_{ch}"] / row[f"Image_FileName_{ch}"])
        for ch in CHANNELS] for _, row in frame.iterrows()])


@pytest.fixture(scope="module")
def screens(tmp_path_factory):
    """A screen of the demo's size for each seed: paths of the tables."""
    return [simulate(tmp_path_factory.mktemp(f"seed{seed}"), seed=seed, **DEMO)
            for seed in SEEDS]


@pytest.fixture(scope="module")
def fields(screens):
    return read_fields(screens[0])


def test_same_seed_same_bytes_for_any_number_of_processes(tmp_path):
    one = hashes(simulate(tmp_path / "one", seed=7, processes=1, **SMALL).parent)
    two = hashes(simulate(tmp_path / "two", seed=7, processes=2, **SMALL).parent)
    assert one == two
    assert len(one) == 2 * 12 * 3 + 1


def test_other_seed_other_images_and_layout(tmp_path):
    few = {**SMALL, "processes": 1}
    one = hashes(simulate(tmp_path / "one", seed=7, **few).parent)
    two = hashes(simulate(tmp_path / "two", seed=8, **few).parent)
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())


def test_a_part_of_a_screen_has_the_bytes_of_the_whole(tmp_path):
    few = {**SMALL, "processes": 1}
    whole = hashes(simulate(tmp_path / "whole", seed=3, **few).parent)
    part = hashes(simulate(tmp_path / "part", seed=3, **{**few, "plates": 1}).parent)
    part.pop("screen.csv")
    assert part and all(whole[name] == value for name, value in part.items())


def test_a_script_without_guard_is_not_run_again(tmp_path):
    import subprocess
    import sys

    script = tmp_path / "script.py"
    script.write_text("from phenoscale.simulation.simulate import simulate\n"
                      "print('run')\n"
                      "print(simulate('out', plates=1, phenotypes=2, size=(64, 64), wells=12,\n"
                      "               processes=2))\n")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=False,
                          capture_output=True, text=True)
    assert done.stdout.split() == ["run", "out/screen.csv"], done.stderr


def test_progress_sites_and_a_table_written_last(tmp_path):
    seen = []

    def progress(event):
        assert event["stage"] == "simulate"
        seen.append((event["done"], event["of"]))
        assert not (tmp_path / "screen.csv").exists()

    few = {**SMALL, "plates": 1, "processes": 1, "sites": 2}
    (tmp_path / "screen.csv").write_text(",".join(_COLUMNS) + "\nold\n")
    frame = pandas.read_csv(simulate(tmp_path, progress=progress, **few))
    assert seen == [(i + 1, 12) for i in range(12)]
    assert len(frame) == 24 and set(frame["Metadata_Site"]) == {1, 2}


@pytest.mark.parametrize("header", ["my,own,table", ",".join([*_COLUMNS, "Mine"])])
def test_a_table_of_another_is_not_replaced(tmp_path, header):
    (tmp_path / "screen.csv").write_text(header + "\n")
    with pytest.raises(InputError, match="screen.csv is not of simulate, and would be replaced"):
        simulate(tmp_path, **SMALL)
    assert (tmp_path / "screen.csv").read_text() == header + "\n"
    assert [path.name for path in tmp_path.iterdir()] == ["screen.csv"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_leaves_no_lock(tmp_path, number, call, monkeypatch):
    """And no list, as not all of it is there."""
    monkeypatch.setattr(module, "_in_processes", lambda *_: os.kill(os.getpid(), number))
    status, out, err = call("simulate", tmp_path, "--wells", "12", "--plates", "1", "--quiet")
    assert (status, out, err) == (75, "", f"stopped by {signal.Signals(number).name}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["Plate01"]


def test_a_full_disk_is_said_with_the_file(tmp_path):
    os.mkdir(tmp_path / "Plate01")
    (tmp_path / "Plate01" / "Plate01_A01_s1_w2.tif").symlink_to("/dev/full")
    with pytest.raises(InputError, match="A01_s1_w2.tif cannot be written: No space left on dev"):
        simulate(tmp_path, processes=1, **SMALL)


def test_table_contract(fields):
    frame, _ = fields
    assert len(frame) == 3 * 40
    assert not frame.duplicated(["Metadata_Plate", "Metadata_Well", "Metadata_Site"]).any()
    assert frame["Metadata_Well"].str.fullmatch(r"[A-P]\d\d").all()
    assert pandas.api.types.is_numeric_dtype(frame["Metadata_Concentration"])
    assert set(frame["Metadata_Control"]) == {"negative", "positive", ""}
    dmso = frame["Metadata_Compound"] == "DMSO"
    assert (dmso == (frame["Metadata_Control"] == "negative")).all()
    assert (frame.loc[dmso, "Metadata_Phenotype"] == "Normal").all()
    assert (frame.loc[dmso, "Metadata_Concentration"] == 0).all()
    assert frame.loc[frame["Metadata_Control"] == "positive", "Metadata_Compound"].nunique() == 1
    weak = ~dmso & (frame["Truth_Strength"] < 0.3)
    assert weak.any() and ((frame["Metadata_Phenotype"] == "") == weak).all()
    strong = frame[~dmso & ~weak]
    assert (strong["Metadata_Phenotype"] == strong["Truth_Phenotype"]).all()
    per_plate = pandas.crosstab(strong["Metadata_Phenotype"], strong["Metadata_Plate"])
    assert per_plate.shape == (5, 3) and (per_plate >= 2).all().all()
    assert frame.groupby("Metadata_Plate")["Metadata_Batch"].nunique().eq(1).all()


def test_doses_rise_and_compounds_have_one_phenotype(fields):
    treated = fields[0][fields[0]["Metadata_Compound"] != "DMSO"]
    for _, group in treated.groupby("Metadata_Compound"):
        assert group["Truth_Phenotype"].nunique() == 1
        strength = group.groupby("Metadata_Concentration")["Truth_Strength"].agg(["min", "max"])
        assert (strength["min"] == strength["max"]).all()
        assert strength["min"].is_monotonic_increasing and len(strength) >= 3
    assert treated.groupby("Truth_Phenotype")["Metadata_Compound"].nunique().isin([1, 2]).all()


def test_controls_stay_in_their_wells_and_treatments_move():
    first, second = (plan_plate(plate, 6, 40, 0) for plate in (0, 1))
    for kind in ("negative", "positive"):
        wells = [well.name for well in first if well.control == kind]
        assert len(wells) >= 4
        assert wells == [well.name for well in second if well.control == kind]
    assert ([(well.compound, well.concentration) for well in first]
            != [(well.compound, well.concentration) for well in second])


def test_images(fields):
    frame, images = fields
    assert images.dtype == np.uint16 and images.shape == (len(frame), 3, 256, 320)
    assert (images == 4095).mean((2, 3)).max() < 0.01
    assert images.min() > 50 and np.percentile(images, 1) < 300
    contrast = np.percentile(images, 99, axis=(2, 3)) / np.percentile(images, 5, axis=(2, 3))
    assert contrast.min() > 2
    assert frame["Truth_CellCount"].between(8, 60).all()


def test_cells_have_one_size_in_small_and_large_fields():
    well = Well(0, 2, 3, False)
    small, few = render_field(well, (256, 320), 0, 1)
    large, many = render_field(well, (512, 640), 0, 1)
    assert 2.5 < many / few < 6
    spectrum = []
    for image in (small, large):
        nuclei = image[0] > image[0].mean() + image[0].std()
        spectrum.append(nuclei.sum() / (nuclei[1:] != nuclei[:-1]).sum())
    assert np.isclose(*spectrum, rtol=0.2)


@pytest.mark.parametrize("phenotype", list(PHENOTYPES))
def test_a_phenotype_keeps_the_light_of_a_cell(phenotype):
    per_cell = []
    for well in (Well(0, 2, 3, False), Well(0, 2, 3, False, "x", 1.0, "", phenotype, 1.0)):
        fields = [render_field(well, (256, 320), 0, site) for site in range(1, 7)]
        light = sum(field.mean((1, 2)) - field.min((1, 2)) for field, _ in fields)
        per_cell.append(light / sum(count for _, count in fields))
    assert np.allclose(per_cell[0], per_cell[1], rtol=0.3)


def test_plate_and_well_effects(fields):
    frame, images = fields
    level = pandas.DataFrame(np.log(images.mean((2, 3))), columns=CHANNELS)
    plates = level.groupby(frame["Metadata_Plate"]).mean()
    assert (plates.max() - plates.min()).max() > 0.1
    assert (level.groupby(frame["Metadata_Plate"]).std() > 0.1).all().all()


def test_brightness_and_count_say_nothing_but_texture_does(screens):
    for csv in screens:
        frame = pandas.read_csv(csv, keep_default_na=False)
        scores = baselines(csv, ["Plate03"], baseline_features(frame, csv.parent))
        simple = max(value for name, value in scores.items() if name != "texture")
        print({name: round(value, 2) for name, value in scores.items()})
        assert simple <= 0.5
        assert scores["texture"] >= simple + 0.2 and scores["texture"] > 0.6


@pytest.mark.parametrize("wrong", [{"plates": 0}, {"phenotypes": 9}, {"size": (32, 320)},
                                   {"wells": 5}, {"sites": 0}])
def test_a_number_out_of_range_is_one_sentence_and_writes_nothing(tmp_path, wrong):
    with pytest.raises(InputError, match=r"simulate: \w+ is \d+; give \d+ to \d+"):
        simulate(tmp_path / "out", **{**SMALL, **wrong})
    assert not (tmp_path / "out").exists()


def test_effects_that_are_not_known(tmp_path):
    with pytest.raises(InputError, match="effects is 'wild'; give one of usual"):
        simulate(tmp_path / "out", effects="wild", **SMALL)


@pytest.mark.parametrize("name", ["plates", "wells", "sites", "phenotypes"])
def test_the_verb_has_the_same_limits(tmp_path, call, name):
    low, high = LIMITS[name]
    for value in (low - 1, high + 1):
        status, _, err = call("simulate", tmp_path / "out", f"--{name}", value)
        assert status == 2 and f"{value} is not in the range {low}<=x<={high}" in err
