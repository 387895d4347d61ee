# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale profile`: files, fits that later plates do not move, reversal, words for mistakes."""

import json

import numpy as np
import pandas
import pytest

pytest.importorskip("click")
import phenoscale
import profiled
from phenoscale.errors import InputError


@pytest.fixture
def table(tmp_path):
    """Predictions of four plates; those of six, the same four among them."""
    frame = profiled.predictions(plates=("P1", "P2", "P3", "P4", "P5", "P6"))
    frame.to_csv(tmp_path / "six.csv", index=False)
    frame[frame["Metadata_Plate"] < "P5"].to_csv(tmp_path / "four.csv", index=False)
    return tmp_path / "four.csv"


def test_the_verb_writes_what_python_gives(call, table, tmp_path):
    status, out, err = call("profile", table, "--out", tmp_path / "out")
    assert status == 0 and err == ""
    assert "6 of 15 treatments are hits at q < 0.05" in out and "sphering: " in out
    assert out.splitlines()[-4:] == [str(tmp_path / "out" / name) for name in (
        "profile.json", "wells.csv", "treatments.csv", "hits.csv")]
    found = phenoscale.profile(table)
    for name in ("wells", "treatments", "hits"):
        frame = getattr(found, name)
        written = pandas.read_csv(tmp_path / "out" / f"{name}.csv", keep_default_na=False,
                                  na_values={c: [""] for c in frame
                                             if frame[c].dtype.kind in "fi"})
        assert list(written) == list(frame) and len(written) == len(frame)
        for column in frame:
            if frame[column].dtype.kind in "fi":
                assert np.allclose(written[column], frame[column], equal_nan=True)
    about = json.loads((tmp_path / "out" / "profile.json").read_text())
    (read,) = about["inputs"]
    assert (tmp_path / "out" / read.pop("path")).resolve() == table.resolve()
    given = json.loads(json.dumps(found.about))
    assert given["inputs"][0].pop("path") == str(table)
    assert about == given and about["hits"]["hits"] == 6 and about["wells"] == 152
    assert [score["after"] for score in about["scores"]] == ["aggregated", "profile"]
    before, after = about["scores"]
    assert before["plate_accuracy"] > 0.9 and after["plate_accuracy"] < 0.5
    assert after["above"] > before["above"]
    pandas.testing.assert_frame_equal(phenoscale.hits(table), found.hits)


def test_later_plates_do_not_move_old_results(call, table, tmp_path):
    fit = tmp_path / "fit"
    assert call("profile", table, "--out", tmp_path / "first", "--fit", fit)[0] == 0
    content = fit.read_bytes()
    for name, source in (("old", table), ("new", tmp_path / "six.csv")):
        status, out, _ = call("profile", source, "--out", tmp_path / name, "--apply", fit)
        assert status == 0 and f"by the fit of {fit}, unchanged" in out
    assert fit.read_bytes() == content

    def lines(name, file="wells.csv"):
        return (tmp_path / name / file).read_text().splitlines()

    assert lines("first") == lines("old") and lines("first", "hits.csv") == lines("old", "hits.csv")
    old, new = lines("old"), lines("new")
    assert len(new) > len(old) and new[: len(old)] == old
    hits = pandas.read_csv(tmp_path / "new" / "hits.csv")
    is_active = profiled.is_active(hits["Treatment"])
    assert (hits["Hit"] == "yes").tolist() == is_active.tolist()


def test_reversal_goes_with_the_fit(call, table, tmp_path):
    words = "--reversal", "Metadata_Compound=SIM-1,DMSO"
    status, _, _ = call("profile", table, "--out", tmp_path / "out", "--fit", tmp_path / "f",
                        *words)
    assert status == 0
    hits = pandas.read_csv(tmp_path / "out" / "hits.csv").set_index("Treatment")
    assert hits.loc["SIM-1 1", "Reversal"] == pytest.approx(-0.1, abs=0.1)
    assert hits.loc["SIM-1 0.8", "Reversal"] == pytest.approx(0.1, abs=0.1)
    assert (abs(hits["Reversal"][~profiled.is_active(hits.index)] - 1) < 0.2).all()
    assert hits.loc["SIM-2 1", "OffAxis"] > 2 * hits.loc["DUD-1 1", "OffAxis"]
    again = phenoscale.profile(table, apply=tmp_path / "f")
    assert np.allclose(again.hits.set_index("Treatment")["Reversal"], hits["Reversal"])
    assert again.about["reversal"] == ["SIM-1", "DMSO"]


def test_strange_plates_are_said(table, tmp_path):
    phenoscale.profile(table, fit=tmp_path / "f")
    frame = pandas.read_csv(table)
    names = [c for c in frame if "Emb" in c]
    noisy = (frame["Metadata_Plate"] == "P2") & (frame["Metadata_Compound"] == "DMSO")
    wells = frame.groupby("Metadata_Well").ngroup()[noisy]
    frame.loc[noisy, names] += np.random.default_rng(0).standard_cauchy(
        (64, len(names)))[wells % 64] * 30
    notes = phenoscale.profile(frame, apply=tmp_path / "f").about["notes"]
    assert any(note.startswith("the control wells of P2 lie") for note in notes)


def test_without_controls_it_says_so_and_goes_on(table):
    frame = pandas.read_csv(table)
    frame = frame[frame["Metadata_Compound"] != "DMSO"]
    found = phenoscale.profile(frame)
    assert found.about["standardise"] == "none" and found.about["hits"]["floor"] is None
    assert any("no negative controls are known" in note for note in found.about["notes"])
    assert found.hits["Agreement"].notna().all() and "cannot be said" in found.text()
    with pytest.raises(InputError, match="--standardise mean needs negative controls"):
        phenoscale.profile(frame, standardise="mean")


def test_formulas_are_defused(tmp_path, table):
    frame = pandas.read_csv(table)
    frame["Metadata_Compound"] = frame["Metadata_Compound"].replace("SIM-1", "=SIM(1)")
    phenoscale.profile(frame).write(tmp_path / "out")
    for name in ("wells.csv", "treatments.csv", "hits.csv"):
        assert "'=SIM(1)" in (tmp_path / "out" / name).read_text()


@pytest.mark.parametrize("words, sentence", [
    (["--controls", "Metadata_Compound=water"], "has no water as controls"),
    (["--treatment", "Metadata_Gene"], "has no column Metadata_Gene"),
    (["--reversal", "Metadata_Compound=SIM-1"], "COLUMN=DISEASE,HEALTHY"),
    (["--reversal", "Metadata_Compound=DMSO,DMSO"], "COLUMN=DISEASE,HEALTHY"),
    (["--apply", "nowhere"], "nowhere does not exist"),
    (["--fit", "no/folder/f"], "no/folder/f cannot be written"),
    (["--features", "Cells_"], "begins with Cells_")])
def test_a_wrong_word_is_said(call, table, tmp_path, words, sentence):
    status, _, err = call("profile", table, "--out", tmp_path / "out", *words)
    assert status in (1, 2) and sentence in err and "Traceback" not in err


def test_what_is_read_is_not_written_over(call, tmp_path):
    (tmp_path / "out").mkdir()
    frame = profiled.predictions()
    frame.to_csv(tmp_path / "out" / "wells.csv", index=False)
    status, _, err = call("profile", tmp_path / "out" / "wells.csv", "--out", tmp_path / "out")
    assert status == 1 and "is a file to read: choose another to write" in err
