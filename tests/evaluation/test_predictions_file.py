# SPDX-License-Identifier: BSD-3-Clause
"""A file of predictions without its run: its classes, and one sentence for each thing wrong."""

import gzip
import json

import numpy as np
import pandas
import pytest

from phenoscale.errors import InputError
from phenoscale.evaluation.predictions_file import read_predictions
from phenoscale.tables.class_keys import class_keys

CLASSES = ["IL-6", "IL6", "TNFα"]


def written(path, change=lambda frame: frame, classes=CLASSES, never=(), n=24):
    """Predictions of n fields of some classes; `never` is called."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet([0.5] * len(classes), n).astype(np.float32)
    p[:, [classes.index(name) for name in never]] = 0
    p /= p.sum(axis=1, keepdims=True)
    frame = pandas.DataFrame({
        "Metadata_Plate": "P1", "Metadata_Well": [f"a{k % 12 + 1}" for k in range(n)],
        "moa": [classes[k % len(classes)] for k in range(n)],
        "Phenoscale_Field": [f"f{k}" for k in range(n)],
        "Phenoscale_Class": [classes[k] for k in p.argmax(axis=1)],
        **{f"Phenoscale_Prob_{key}": p[:, k] for k, key in enumerate(class_keys(classes))},
        "Image_Phenoscale_Emb0000": 0.5})
    frame = change(frame)
    if str(path).endswith(".parquet"):
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    return frame


def test_classes_and_their_columns_are_found(tmp_path):
    frame = written(tmp_path / "p.csv")
    found = read_predictions(tmp_path / "p.csv", "moa")
    assert found.classes == sorted(CLASSES)
    assert found.keys == dict(zip(CLASSES, class_keys(CLASSES)))
    assert found.scored["Truth"].tolist() == frame["moa"].tolist()
    assert found.scored["Metadata_Well"][0] == "A01"
    for name, key in found.keys.items():
        assert np.allclose(found.scored[found.column(name)], frame[f"Phenoscale_Prob_{key}"])
    assert not [name for name in found.scored if "Emb" in name]
    assert "does not say which fields its model was trained on" in found.notes[0]


def test_every_form_says_the_same(tmp_path):
    pytest.importorskip("pyarrow")
    written(tmp_path / "p.csv")
    written(tmp_path / "p.parquet")
    written(tmp_path / "image.csv", lambda frame: frame.rename(columns=lambda name: (
        f"Image_{name}" if name.startswith("Phenoscale_") else name)))
    (tmp_path / "p.csv.gz").write_bytes(gzip.compress((tmp_path / "p.csv").read_bytes()))
    first = read_predictions(tmp_path / "p.csv", "moa").scored
    for name in ("p.parquet", "image.csv", "p.csv.gz"):
        other = read_predictions(tmp_path / name, "moa").scored
        pandas.testing.assert_frame_equal(first, other, rtol=1e-6, check_like=True)


def test_a_class_that_is_never_called_is_named_by_the_label(tmp_path):
    written(tmp_path / "p.csv", classes=["a b", "c", "d"], never=["a b"])
    found = read_predictions(tmp_path / "p.csv", "moa")
    assert found.keys == {"a b": "ab", "c": "c", "d": "d"}
    written(tmp_path / "q.csv", lambda frame: frame[frame["moa"] != "a b"],
            classes=["a b", "c", "d"], never=["a b"])
    assert read_predictions(tmp_path / "q.csv", "moa").keys == {"ab": "ab", "c": "c", "d": "d"}


def test_fields_of_strangers_are_left_out_and_said(tmp_path):
    def rename(frame):
        frame.loc[:1, "moa"] = "other", "nan"
        return frame

    written(tmp_path / "p.csv", rename)
    found = read_predictions(tmp_path / "p.csv", "moa")
    assert found.notes[1] == "Left out, of no class that the model knows: 'other' (1 field)."
    assert found.scored["Truth"].tolist()[:2] == ["", ""]


def set_cell(row, column, value):
    def change(frame):
        frame = frame.astype({column: object})
        frame.loc[row, column] = value
        return frame
    return change


WRONG = {
    "no label": (lambda frame: frame, None, "--label COLUMN: moa has names of them"),
    "no such label": (lambda frame: frame, "mao", "no column mao to score against: it has moa"),
    "what the model says": (lambda frame: frame, "Phenoscale_Class", "is what the model says"),
    "no probabilities": (lambda frame: frame.drop(columns=[
        name for name in frame if "Prob" in name]), "moa", "is no file of predictions"),
    "no class": (lambda frame: frame.drop(columns="Phenoscale_Class"), "moa",
                 "is no file of predictions"),
    "strangers": (lambda frame: pandas.DataFrame({"a": [1], "b": [2]}), "moa",
                  "is no file of predictions: .* has a, b; give what phenoscale predict wrote"),
    "no rows": (lambda frame: frame.iloc[:0], "moa", "is no file of predictions"),
    "nan": (set_cell(2, "Phenoscale_Prob_IL6", np.nan), "moa",
            r"row 3 \(P1 A03\): '' in column Phenoscale_Prob_IL6 is no probability"),
    "a word": (set_cell(0, "Phenoscale_Prob_IL6", "high"), "moa", r"row 1 .*: 'high' in column"),
    "infinite": (set_cell(0, "Phenoscale_Prob_IL6", "inf"), "moa", "'inf' in column"),
    "negative": (set_cell(0, "Phenoscale_Prob_IL6", -0.5), "moa", "'-0.5' in column"),
    "a column is missing": (lambda frame: frame.drop(columns="Phenoscale_Prob_IL6"), "moa",
                            "add up to 0.*: is the column of a class missing"),
    "another call": (set_cell(3, "Phenoscale_Class", "odd"), "moa",
                     "Phenoscale_Class is .* they are not of one model"),
    "twice": (lambda frame: pandas.concat([frame, frame.iloc[[4]]]), "moa", "the field f4 twice"),
    "labels of others": (lambda frame: frame.assign(moa="x"), "moa",
                         r"no class of the model, which knows .*; it has 'x' \(24 fields\)"),
    "Image_ and not": (lambda frame: frame.assign(Image_Phenoscale_Class="x"), "moa",
                       "a column twice, with Image_")}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_sentence(tmp_path, what):
    change, label, words = WRONG[what]
    written(tmp_path / "p.csv", change)
    with pytest.raises(InputError, match=words) as error:
        read_predictions(tmp_path / "p.csv", label)
    assert "\n" not in str(error.value) and "p.csv" in str(error.value)


@pytest.mark.parametrize("content, words", [
    (b"", "is no file of predictions"), (b"\xff\xfe\0", "cannot be read as a table"),
    (b"\x89PNG\r\n\x1a\n", "is a PNG image"), (b"PAR1nonsense", "cannot be read as Parquet"),
    (json.dumps({"a": 1}).encode(), "is no file of predictions"),
    (gzip.compress(b"a" * 10_000_000_0), "unpacks to more than")])
def test_files_of_other_kinds(tmp_path, content, words):
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_predictions(tmp_path / "p.csv", "moa")


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_predictions(tmp_path / "p.csv", "moa")
