# SPDX-License-Identifier: BSD-3-Clause
"""Matching from a table to files, in Python and from the command line."""

import json
import math

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("click")
from phenoscale.errors import InputError
from phenoscale.evaluation.matching import match_profiles, write_matching
from phenoscale.evaluation.profile_table import read_profiles

LABELS = ("other compounds of one label, against other labels",)
REPLICATES = tuple(f"replicates, against {what}" for what in (
    "other compounds", "negative controls"))


def screen_frame(signal=3.0, compounds=24, controls=16, seed=0):
    """Three wells of each compound, each mechanism in both batches; the last has one compound."""
    rng, rows, values = np.random.default_rng(seed), [], []
    mechanisms = rng.normal(size=(6, 24))
    for c in range(compounds):
        moa = 5 if c == compounds - 1 else c % 5
        own = rng.normal(size=24) / 2
        for replicate in range(3):
            rows.append((f"P{replicate + 1}", f"C{c:02}", 1, f"m{moa}", f"b{c // 5 % 2}"))
            values.append(signal * (mechanisms[moa] + own) + rng.normal(size=24))
    for k in range(controls):
        rows.append((f"P{k % 3 + 1}", "DMSO", 0, "DMSO", "b0"))
        values.append(rng.normal(size=24))
    about = pandas.DataFrame(rows, columns=["Metadata_Plate", "Metadata_Compound",
                                            "Metadata_Concentration", "Metadata_moa",
                                            "Metadata_Batch"])
    about.insert(1, "Metadata_Well", [f"{'ABCDEFGH'[k % 8]}{k // 8 + 1:02}"
                                      for k in range(len(about))])
    features = pandas.DataFrame(values, columns=[f"emb_{k}" for k in range(24)])
    return pandas.concat([about, features], axis=1)


def matched(frame, **words):
    return match_profiles(read_profiles(frame, **words))


def slow_scores(frame):
    """NSC and NSCB by loops over treatments, of a frame as `screen_frame` makes it."""
    features = [name for name in frame if name.startswith("emb_")]
    frame = frame[frame["Metadata_Compound"] != "DMSO"].astype(dict.fromkeys(features, "f4"))
    groups = frame.groupby("Metadata_Compound")
    profiles = {name: mine[features].median().to_numpy() for name, mine in groups}
    moa, batch = ({name: mine[column].iloc[0] for name, mine in groups}
                  for column in ("Metadata_moa", "Metadata_Batch"))
    scores = {}
    for score, may in (("NSC", lambda a, b: a != b),
                       ("NSCB", lambda a, b: a != b and batch[a] != batch[b])):
        asked = [a for a in profiles if any(may(a, b) and moa[a] == moa[b] for b in profiles)]
        there = asked if score == "NSCB" else list(profiles)
        right = 0
        for a in asked:
            cosine = {b: profiles[a] @ profiles[b] / np.linalg.norm(profiles[b])
                      for b in there if may(a, b)}
            right += moa[max(cosine, key=cosine.get)] == moa[a]
        scores[score] = right / len(asked), len(asked)
    return scores


@pytest.mark.parametrize("signal", [0.3, 3.0])
def test_scores_equal_their_slow_twin(signal):
    frame = screen_frame(signal)
    found = matched(frame)
    for name, (accuracy, n) in slow_scores(frame).items():
        assert (found.scores[name]["accuracy"], found.scores[name]["n"]) == (accuracy, n)
    assert found.scores["NSC"]["left_out"] == 1 and n == 23


def test_every_score_of_a_screen_with_a_signal(tmp_path):
    found = matched(screen_frame())
    assert list(found.scores) == ["NSC", "NSCB", *LABELS, *REPLICATES]
    nsc = found.scores["NSC"]
    assert nsc["accuracy"] > 0.9 and np.sum(nsc["confusion"]) == nsc["n"] == nsc["compounds"] == 23
    assert nsc["interval"][0] <= nsc["accuracy"] <= nsc["interval"][1]
    assert nsc["balanced_accuracy"] > 0.9 and nsc["chance"] == pytest.approx(0.17, abs=0.03)
    for name in REPLICATES:
        assert found.scores[name]["n"] == found.scores[name]["found"] == 24
        assert found.scores[name]["mean"] > 0.9
    assert found.scores[LABELS[0]]["n"] == 5  # the sixth has one compound
    by_left = found.neighbours["Left_Out"].value_counts()
    assert by_left["negative control"] == 1 and by_left[""] == 24
    alone = found.neighbours.set_index("Compound").loc["C23"]
    assert alone["NSC_Result"] == "left out: no other compound has its label"
    assert alone["NSCB_Result"].startswith("left out: no other compound in another batch")
    assert math.isnan(alone["NSC_Distance"]) and alone["NSC_Compound"] == ""
    asked = found.neighbours[found.neighbours["NSC_Result"] == "right"]
    assert len(asked) == round(nsc["accuracy"] * 23)
    assert (asked["Label"] == asked["NSC_Label"]).all()
    assert (asked["Compound"] != asked["NSC_Compound"]).all()
    batches = dict(zip(screen_frame()["Metadata_Compound"], screen_frame()["Metadata_Batch"]))
    pairs = found.neighbours[found.neighbours["NSCB_Compound"].fillna("") != ""]
    assert all(batches[a] != batches[b] for a, b in zip(pairs["Compound"], pairs["NSCB_Compound"]))

    paths = write_matching(found, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "match.json").read_text())
    assert about["scores"]["NSC"]["accuracy"] == nsc["accuracy"] and about["notes"] == found.notes
    table = pandas.read_csv(paths[2])
    assert table["Score"].value_counts().to_dict() == dict(zip(
        (*LABELS, *REPLICATES), (5, 24, 24)))
    for name in (*LABELS, *REPLICATES):
        mine = table[table["Score"] == name]
        assert np.average(mine["mAP"], weights=mine["Profiles"]) == pytest.approx(
            found.scores[name]["mean"])
        assert (mine["q"] < 0.05).sum() == found.scores[name]["found"]


def test_random_features_give_chance():
    rng, nsc, replicates = np.random.default_rng(1), [], []
    for seed in range(6):
        frame = screen_frame(signal=0, compounds=60, seed=seed)
        frame["Metadata_Compound"] = rng.permutation(frame["Metadata_Compound"])
        frame["Metadata_moa"] = [f"m{int(name[1:]) % 5}" if name != "DMSO" else "DMSO"
                                 for name in frame["Metadata_Compound"]]
        frame["Metadata_Batch"] = "b" + frame["Metadata_Compound"].map(lambda name: name[-1])
        found = matched(frame.assign(Metadata_Concentration=1))
        nsc.append(found.scores["NSC"])
        replicates.append(found.scores[REPLICATES[0]])
    n = sum(one["n"] for one in nsc)
    chance = np.mean([one["chance"] for one in nsc])
    accuracy = sum(one["accuracy"] * one["n"] for one in nsc) / n
    assert abs(accuracy - chance) < 4 * math.sqrt(chance * (1 - chance) / n)
    assert abs(np.mean([one["normalised"] for one in replicates])) < 0.02
    assert sum(one["found"] for one in replicates) <= 3


def test_the_order_of_rows_and_columns_says_nothing():
    frame = screen_frame(0.5)
    mixed = frame.sample(frac=1, random_state=0)[sorted(frame.columns, reverse=True)]
    one, other = matched(frame), matched(mixed)
    for name in one.scores:
        for key in ("accuracy", "mean"):
            assert one.scores[name].get(key) == pytest.approx(other.scores[name].get(key))


def test_what_cannot_be_asked_is_said():
    frame = screen_frame()
    found = matched(frame.drop(columns=["Metadata_moa", "Metadata_Batch"]))
    assert list(found.scores) == list(REPLICATES)
    assert any("NSC and NSCB are not asked: no column is the label" in one for one in found.notes)
    found = matched(frame.drop(columns="Metadata_Batch"))
    assert "NSCB" not in found.scores
    assert "NSCB is not asked: no column is the batch" in found.text()
    found = matched(frame.drop_duplicates("Metadata_Compound"))
    assert "NSC" in found.scores and REPLICATES[0] not in found.scores
    assert "replicates are not asked: no treatment has two wells" in found.text()
    some = frame.assign(Metadata_moa=frame["Metadata_moa"].where(frame["Metadata_moa"] != "m1", ""))
    assert "5 treatments without a label left out of NSC" in matched(some).text()
    with pytest.raises(InputError, match="nothing can be matched: .*no column is the label"):
        matched(frame.drop_duplicates("Metadata_Compound").drop(columns="Metadata_moa"))
    frame.loc[4, [name for name in frame if name.startswith("emb_")]] = 0
    with pytest.raises(InputError, match="all features of P2 E01 C01 1 are 0, and 0 more"):
        matched(frame)


def test_scales_that_differ_are_said():
    frame = screen_frame()
    assert "differ in scale" not in matched(frame).text()
    frame[["emb_1", "emb_3", "emb_5"]] *= 1e4
    assert "features differ in scale: a tenth ranges over" in matched(frame).text()


# ---- the verb ------------------------------------------------------------------------------------


def test_the_verb_writes_parquet_beside_each_csv(call, tmp_path, write_text):
    pytest.importorskip("pyarrow")
    table = write_text(screen_frame().to_csv(index=False), "t.csv")
    status, out, _ = call("match", table, "--out", tmp_path / "out", "--parquet")
    assert status == 0 and len(out.splitlines()[-5:]) == 5
    for name in ("neighbours", "average_precision"):
        csv, parquet = (pandas.read_csv(tmp_path / "out" / f"{name}.csv"),
                        pandas.read_parquet(tmp_path / "out" / f"{name}.parquet"))
        assert list(csv) == list(parquet) and len(csv) == len(parquet)
        for column in csv.select_dtypes("number"):
            mine = pandas.to_numeric(parquet[column])
            np.testing.assert_allclose(mine, csv[column])


def test_the_verb(call, tmp_path, write_text):
    table = write_text(screen_frame().to_csv(index=False), "t.csv")
    status, out, err = call("match", table, "--out", tmp_path / "out")
    assert status == 0 and err == ""
    assert "NSC (not same compound): " in out and "of 23 treatments, 95 % from " in out
    assert "mAP, replicates, against negative controls: " in out
    assert out.splitlines()[-3:] == [str(tmp_path / "out" / name) for name in (
        "match.json", "neighbours.csv", "average_precision.csv")]
    status, again, _ = call("match", table, "--features", "emb_", "--label", "Metadata_moa",
                            "--role", "compound=Metadata_Compound")
    assert status == 0 and again.splitlines()[-5:] == out.splitlines()[-8:-3]


def test_the_verb_joins_mechanisms(call, write_text):
    frame = screen_frame()
    known = frame[["Metadata_Compound", "Metadata_moa"]].drop_duplicates()
    moa = write_text(known.to_csv(index=False), "moa.csv")
    table = write_text(frame.drop(columns="Metadata_moa").to_csv(index=False), "t.csv")
    status, out, _ = call("match", table, "--join", moa)
    assert status == 0 and "moa.csv joined on compound: 88 of 88" in out and "NSCB (" in out


@pytest.mark.parametrize("content, words, sentence", [
    (None, [], "t.csv cannot be read: No such file or directory"),
    ("", [], "t.csv has no rows"),
    ("Metadata_Compound,x\nA,1\n", [], "no columns are features by their names"),
    ("Metadata_Compound,Cells_A\nA,1\nA\n", [], "line 3 has 1 cells where the header has 2"),
    ("Metadata_Compound,Cells_A\nA,1\n", ["--features", "Nuclei_"], "begins with Nuclei_"),
    ("Metadata_Compound,Cells_A\nA,1\n", ["--label", "moa"], "t.csv has no column moa"),
    ("Metadata_Compound,Cells_A\nA,1\n", [], "nothing can be matched: "),
    ("Metadata_Compound,Cells_A\nA,\n", [], "no feature has a number in every row"),
    ("Name,Cells_A\nA,1\n", [], "--role compound=COLUMN"),
])
def test_a_mistake_is_one_sentence(content, words, sentence, call, tmp_path, write_text):
    table = tmp_path / "t.csv" if content is None else write_text(content, "t.csv")
    status, out, err = call("match", table, *words, "--out", tmp_path / "out")
    assert status == 1 and out == "" and err.count("\n") == 1
    assert err.startswith("phenoscale: ") and sentence in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made(call, tmp_path, write_text):
    table = write_text(screen_frame().to_csv(index=False), "t.csv")
    status, _, err = call("match", table, "--out", f"{table}/out")
    assert status == 1 and "cannot be made: Not a directory" in err
    own = write_text(screen_frame().to_csv(index=False), "neighbours.csv")
    status, _, err = call("match", own, "--out", tmp_path)
    assert status == 1 and "neighbours.csv is a file to read" in err


# ---- real fields ---------------------------------------------------------------------------------


def test_measures_of_real_fields_find_their_mechanism(shared_data, tmp_path, call, monkeypatch):
    """The table of docs/match.md: 31 of 32 treatments, by NSC and by NSCB."""
    fields, tables = shared_data("bbbc021_fields"), shared_data("bbbc021_tables")
    from bbbc021_profiles import measured

    monkeypatch.chdir(tmp_path)
    channels = "Actin=file:0,Tubulin=file:1,DNA=file:2"
    assert call("measure", fields / "labels.csv", "--channels", channels, "--out", "measures.csv",
                "--quiet")[0] == 0
    measured("measures.csv", "standard.csv")
    found = matched("standard.csv", join=[tables / "BBBC021_v1_moa.csv"])
    for name in ("NSC", "NSCB"):
        assert found.scores[name]["n"] == 32 and found.scores[name]["accuracy"] >= 31 / 32


def test_the_verb_as_a_function():
    import phenoscale

    frame = screen_frame()
    assert phenoscale.match(frame).text() == matched(frame).text()


def test_profiles_measured_from_the_median_of_the_controls():
    """The treatment of the controls is 0 then, and takes no part in anything."""
    frame = screen_frame()
    features = [name for name in frame if name.startswith("emb_")]
    is_control = frame["Metadata_Compound"] == "DMSO"
    before = matched(frame)
    frame[features] = frame[features].astype("f4")
    frame[features] -= frame.loc[is_control, features].median()
    frame.loc[is_control, features] = np.concatenate([
        values := frame.loc[is_control, features].to_numpy()[:8], -values])
    found = matched(frame)
    assert list(found.scores) == list(before.scores)
    assert found.neighbours.loc[found.neighbours["Compound"] == "DMSO", "Left_Out"].tolist() == [
        "negative control"]
    frame.loc[frame["Metadata_Compound"] == "C00", features] = 0.0
    with pytest.raises(InputError, match="all features of P1 A01 C00 1 are 0"):
        matched(frame)
