# SPDX-License-Identifier: BSD-3-Clause
"""Tables and images on the command line: marked fields, skipped ones, bins, stacks, channels."""

import os

import numpy as np
import pandas
import tifffile

import phenoscale
import screens
from phenoscale.predict import predict

FAST = ["--network", "mcnn-gap", "--epochs", "1", "--batch", "4", "--threads", "2", "--quiet"]
LABEL = ["--label", "Metadata_Class"]


def test_marked_fields_are_honoured_by_train_and_predict(call, tmp_path):
    """check --write marks them; train and predict leave them out, list them, and say so."""
    screen = screens.write_screen(tmp_path / "screen", 2, 4, 1)
    os.remove(tmp_path / "screen" / "P1" / "A02_DNA.tif")
    screens.spoil(tmp_path / "screen" / "P1" / "A03_DNA.tif")
    clean, html, run = (tmp_path / name for name in ("clean.csv", "check.html", "run"))
    status, out, err = call("check", screen, "--write", clean, "--html", html, "--quiet", *LABEL)
    assert status == 3 and out.splitlines()[-3:] == [
        f"written: {html}", f"written: {clean}, 2 fields in it marked not to be used",
        str(tmp_path / "errors.csv")]
    assert err == f"2 fields were skipped: see {tmp_path / 'errors.csv'}\n"
    assert "2 field" in html.read_text()
    status, out, err = call("train", clean, *LABEL, "--out", run, *FAST)
    assert status == 3 and out.split()[-1] == str(run / "errors.csv"), err
    errors = pandas.read_csv(run / "errors.csv", dtype=str)
    assert errors["Line"].tolist() == ["3", "4"] and errors["Well"].tolist() == ["P1 A02", "P1 A03"]
    assert errors["Error"].str.contains("marked by a check").all()
    assert len(pandas.read_csv(run / "split.csv")) == 8
    out_file = tmp_path / "p" / "predictions.csv"
    out_file.parent.mkdir()
    status, out, err = call("predict", run / "model.safetensors", clean, "--out", out_file,
                            "--quiet")
    assert status == 3 and len(pandas.read_csv(out_file)) == 8
    assert len(pandas.read_csv(out_file.parent / "errors.csv")) == 2


def test_train_skips_what_cannot_be_used_when_told(call, tmp_path):
    screen = screens.write_screen(tmp_path / "screen", 2, 4, 1)
    screens.ruin(tmp_path / "screen" / "P1" / "A02_DNA.tif")
    assert call("train", screen, *LABEL, "--out", tmp_path / "no", *FAST)[0] == 1
    status, out, err = call("train", screen, *LABEL, "--out", tmp_path / "run", *FAST,
                            "--on-error", "skip")
    assert status == 3 and err.startswith("1 fields were skipped")
    assert pandas.read_csv(tmp_path / "run" / "errors.csv")["Line"].tolist() == [3]


def test_bins_stacks_and_channels_of_one_file(call, tmp_path):
    """What the model file says of them is done again by predict, without another word."""
    rows, rng = [], np.random.default_rng(0)
    for number in range(8):
        kind = screens.CLASSES[number % 2]
        stack = np.stack([screens.draw_field(kind, rng, (256, 256)) for _ in range(3)])
        tifffile.imwrite(tmp_path / f"{number}.tif", stack, metadata={"axes": "ZCYX"}, imagej=True)
        rows.append({"file": f"{number}.tif", "well": f"A{number + 1}", "class": kind})
    table = tmp_path / "screen.csv"
    pandas.DataFrame(rows).to_csv(table, index=False)
    words = ["--channels", "DNA=file:0,Actin=file:1", "--z", "max"]
    status, _, err = call("train", table, "--label", "class", "--out", tmp_path / "run", *FAST,
                          *words, "--bin", "2", "--holdout", "Metadata_Well=A01,A02")
    assert status == 0, err
    model = phenoscale.load(tmp_path / "run" / "model.safetensors")
    assert (model.size, model.bin, model.z) == ([256, 256], 2, "max")
    assert (model.channels, model.sources) == (["DNA", "Actin"], ["file:0", "file:1"])
    assert "height=128 width=128" in model.description
    status, _, err = call("predict", tmp_path / "run" / "model.safetensors", table, "--out",
                          tmp_path / "p.csv", "--quiet")
    assert status == 0, err
    ours, theirs = (pandas.read_csv(path, dtype=str) for path in
                    (tmp_path / "p.csv", tmp_path / "run" / "predictions.csv"))
    features = [c for c in theirs if "Phenoscale_" in c]
    pandas.testing.assert_frame_equal(ours.loc[:1, features], theirs[features])
    # the same from arrays: the stack projected, not binned
    first = np.stack([tifffile.imread(tmp_path / f"{n}.tif").max(axis=0) for n in (0, 1)])
    found = predict(model, first).probabilities
    columns = ["Phenoscale_Prob_coarse", "Phenoscale_Prob_fine"]
    assert np.allclose(found, ours.loc[:1, columns].astype(float), atol=1e-6)
