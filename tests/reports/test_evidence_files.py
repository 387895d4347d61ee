# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale evidence`: the same numbers as files, and the section of the report."""

import os
import signal

import numpy as np
import pandas
import pytest
import tifffile

import calls
import phenoscale
import screens
from phenoscale.prediction.evidence import Explainer
from phenoscale.reports import evidence_files


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder of a screen, its table, run folder)."""
    folder = tmp_path_factory.mktemp("screen")
    path = screens.write_screen(folder, 2, 6, 0)
    recipe = phenoscale.Recipe(network="mcnn-gap", epochs=2)
    table = phenoscale.read_table(path)
    run = calls.train_run(table, "Metadata_Class", folder / "run", recipe,
                          holdout={"Metadata_Plate": ["P2"]}, val_fraction=0)[1]
    return folder, path, run


def test_the_verb(call, trained, tmp_path):
    folder, path, run = trained
    screens.ruin(folder / "P1" / "A03_DNA.tif")
    model = phenoscale.load(f"{run}/model.safetensors")
    for words, names in (((), None), (("--class", "fine"), "fine")):
        out = tmp_path / f"maps {names}"
        status, said, err = call("evidence", f"{run}/model.safetensors", path, "--out", out,
                                 "--quiet", *words)
        assert status == 3 and said.split("\n")[0] == str(out / "evidence.csv"), err
        found = pandas.read_csv(out / "evidence.csv")
        assert len(found) == 11 and len(pandas.read_csv(out / "evidence.errors.csv")) == 1
        assert set(found["Phenoscale_Class"]) <= ({names} if names else set(screens.CLASSES))
        for _, row in found.iterrows():
            shares = tifffile.imread(out / row["Phenoscale_Map"])
            scales = sum(row[f"Phenoscale_Scale{2**k}"] for k in range(7))
            assert shares.dtype == np.float32 and shares.shape == (128, 128)
            assert abs(shares.sum() + row["Phenoscale_Bias"] - row["Phenoscale_Logit"]) < 1e-4
            assert abs(scales + row["Phenoscale_Bias"] - row["Phenoscale_Logit"]) < 1e-4
            assert (out / row["Phenoscale_Picture"]).stat().st_size > 5000
    field = np.stack([tifffile.imread(folder / "P1" / f"A01_{c}.tif") for c in screens.CHANNELS])
    wanted = Explainer(model, (128, 128)).explain(field, "fine").map.astype(np.float32)
    assert (tifffile.imread(tmp_path / "maps fine" / "2_P1_A01_1.tif") == wanted).all()
    assert "2_P1_A01_1.png" in found["Phenoscale_Picture"].tolist()


def test_mistakes(call, trained, tmp_path):
    folder, path, run = trained
    model = f"{run}/model.safetensors"
    for words, sentence in (
            ((model, path, "--out", folder), "is not empty: give a folder to make"),
            ((model, path, "--out", path), "cannot be made: File exists"),
            ((model, path, "--out", tmp_path / "a", "--class", "fin"),
             "no class 'fin': it has fine, coarse"),
            ((tmp_path / "no", path, "--out", tmp_path / "b"), "no does not exist")):
        status, _, err = call("evidence", *words, "--quiet")
        assert status == 1 and sentence in err and "Traceback" not in err, err
    assert not (tmp_path / "a").exists()


def test_a_signal_leaves_no_lock(call, trained, tmp_path, monkeypatch):
    folder, path, run = trained
    monkeypatch.setattr(evidence_files, "usable",
                        lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    status, out, err = call("evidence", f"{run}/model.safetensors", path, "--out", tmp_path,
                            "--quiet")
    assert (status, out, err) == (75, "", "stopped by SIGTERM\n") and not os.listdir(tmp_path)


def test_the_report_shows_it(call, trained):
    folder, path, run = trained
    assert call("report", run)[0] == 0
    page = open(f"{run}/report.html", encoding="utf-8").read()
    section = page[page.index('id="evidence"') :]
    assert "speaks" in section and "data:image/jpeg" in section.split("</section>")[0]
