# SPDX-License-Identifier: BSD-3-Clause
"""Nearest neighbours and average precision: plain loops, copairs, chance, memory, threads."""

import math
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from phenoscale.scores import retrieval
from phenoscale.scores.retrieval import average_precision, nearest_neighbours


def slow_distance(a, b):
    dot = math.fsum(float(x) * float(y) for x, y in zip(a, b))
    return 1 - dot / math.sqrt(math.fsum(float(x) ** 2 for x in a)
                               * math.fsum(float(y) ** 2 for y in b))


def slow_neighbours(profiles, labels, compounds, batches=None):
    """(answerable, nearest, tied, right) by loops; batches: a set for each row."""
    n = len(profiles)

    def may(i, j):
        return compounds[i] != compounds[j] and not (batches and batches[i] & batches[j])

    answerable = [any(may(i, j) and labels[i] == labels[j] for j in range(n)) for i in range(n)]
    nearest, tied, right = [-1] * n, [False] * n, [False] * n
    for i in range(n):
        others = [j for j in range(n) if may(i, j) and (batches is None or answerable[j])]
        if not answerable[i]:
            continue
        far = {j: slow_distance(profiles[i], profiles[j]) for j in others}
        same = [j for j in others if far[j] <= min(far.values()) + 1e-12]
        nearest[i], tied[i], right[i] = same[0], len(same) > 1, labels[same[0]] == labels[i]
    return answerable, nearest, tied, right


def slow_precision(distance, positives, negatives):
    """Of one row, from distances by number; a positive goes before a negative as far away."""
    order = sorted((float(distance[j]), j not in positives) for j in [*positives, *negatives])
    seen, total = 0, 0.0
    for rank, (_, is_negative) in enumerate(order, 1):
        if not is_negative:
            seen += 1
            total += seen / rank
    return total / seen


def drawn(seed, n=60, d=7, copies=6):
    """Profiles, some of them there twice or at another length; labels, compounds, batches."""
    rng = np.random.default_rng(seed)
    profiles = rng.normal(size=(n, d)).astype(np.float32)
    at, of = rng.choice(n, (2, copies), replace=False)
    profiles[at] = profiles[of] * np.float32(4)
    compounds = rng.integers(0, 14, n)
    labels = np.array(list("abcdz"))[np.where(compounds == 13, 4, compounds % 4)]
    batches = [set(rng.choice(5, rng.integers(1, 3), replace=False).tolist()) for _ in range(n)]
    membership = np.array([[b in mine for b in range(5)] for mine in batches])
    return profiles, labels, compounds, batches, membership


@pytest.mark.parametrize("block", [1, 1000, 1 << 26])
@pytest.mark.parametrize("seed", range(4))
def test_neighbours_equal_their_slow_twin(seed, block, monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK_BYTES", block)
    profiles, labels, compounds, batches, membership = drawn(seed)
    for fast, slow in ((None, None), (membership, batches)):
        found = nearest_neighbours(profiles, labels, compounds, fast)
        answerable, nearest, tied, right = slow_neighbours(profiles, labels, compounds, slow)
        assert found["answerable"].tolist() == answerable and not all(answerable)
        assert found["nearest"].tolist() == nearest
        assert found["tied"].tolist() == tied and found["ties"] == sum(tied) > 0
        assert found["right"].tolist() == right
        assert found["accuracy"] == sum(right) / sum(answerable)
        assert (found["n"], found["left_out"]) == (sum(answerable), 60 - sum(answerable))
        for i in np.flatnonzero(answerable):
            assert found["distance"][i] == pytest.approx(
                slow_distance(profiles[i], profiles[nearest[i]]), abs=1e-12)


def test_without_an_answer_a_profile_is_a_neighbour_of_nsc_alone():
    """One compound of its label, and nearest to all: it misleads NSC, and is no part of NSCB."""
    profiles = [[1, 0.1], [1, -0.2], [1, 0.0]]
    labels, compounds, batches = "aab", "ABC", np.eye(3, dtype=bool)
    found = nearest_neighbours(profiles, list(labels), list(compounds))
    assert found["nearest"].tolist() == [2, 2, -1] and found["accuracy"] == 0
    found = nearest_neighbours(profiles, list(labels), list(compounds), batches)
    assert found["nearest"].tolist() == [1, 0, -1] and found["accuracy"] == 1
    assert found["left_out"] == 1


def test_nothing_to_answer_and_profiles_without_direction():
    found = nearest_neighbours(np.eye(3), ["a", "b", "c"], [1, 2, 3])
    assert math.isnan(found["accuracy"]) and math.isnan(found["chance"]) and found["left_out"] == 3
    for bad in (0, np.nan, np.inf):
        with pytest.raises(ValueError, match="profile 1 has the length"):
            nearest_neighbours([[1, 2], [bad, 0]], ["a", "a"], [1, 2])


@pytest.mark.parametrize("block", [1, 1 << 26])
@pytest.mark.parametrize("seed", range(3))
def test_precision_equals_its_slow_twin(seed, block, monkeypatch):
    monkeypatch.setattr(retrieval, "BLOCK_BYTES", block)
    profiles, labels, compounds, _, _ = drawn(seed)
    controls = np.arange(60) % 5 == 0
    unit = profiles / np.sqrt((profiles.astype(float) ** 2).sum(axis=1, keepdims=True))
    far = np.round(1 - unit @ unit.T, 6)
    for apart, kin, negative in ((None, None, None), (compounds, None, None),
                                 (None, compounds, controls), (None, None, controls)):
        found = average_precision(profiles, labels, apart, kin, negative)
        for i in range(60):
            rest = [j for j in range(60) if j != i]
            positives = {j for j in rest if labels[j] == labels[i]
                         and (apart is None or apart[j] != apart[i])
                         and not (negative is not None and negative[j])}
            negatives = [j for j in rest if labels[j] != labels[i]
                         and (kin is None or kin[j] != kin[i])
                         and (negative is None or negative[j])]
            if negative is not None and negative[i]:
                positives, negatives = set(), []
            assert found["n_pos"][i] == len(positives)
            assert found["n_total"][i] == len(positives) + len(negatives)
            if not (positives and negatives):
                assert math.isnan(found["precision"][i])
                continue
            expected = slow_precision(far[i], positives, negatives)
            assert found["precision"][i] == pytest.approx(expected, abs=1e-9) or found["tied"][i]


def test_of_equally_far_ones_positives_come_first_and_are_counted():
    profiles = np.array([[1, 0], [0, 1], [0, -1], [0, 2]], np.float32)
    found = average_precision(profiles, ["a", "a", "b", "c"])
    assert found["precision"][0] == 1 and found["tied"].tolist() == [True, False, False, False]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="copairs is for Python 3.11 on")
@pytest.mark.parametrize("seed", range(3))
def test_precision_equals_copairs(seed):
    pandas, copairs = pytest.importorskip("pandas"), pytest.importorskip("copairs.map")
    rng = np.random.default_rng(seed)
    compounds = rng.integers(0, 30, 240)
    about = pandas.DataFrame({"compound": compounds, "dose": rng.integers(0, 2, 240),
                              "label": compounds % 7, "control": (compounds == 0).astype(int)})
    about["treatment"] = 2 * about["compound"] + about["dose"]
    profiles = (rng.normal(size=(240, 20)) + rng.normal(size=(30, 20))[compounds]).astype("f4")
    asked = {"replicates": ((["treatment"], [], [], ["compound"]),
                            {"groups": about["treatment"], "kin": compounds}),
             "labels": ((["label"], ["compound"], [], ["label"]),
                        {"groups": about["label"], "apart": compounds}),
             "controls": ((["treatment"], [], [], ["compound", "control"]),
                          {"groups": about["treatment"], "controls": about["control"] == 1,
                           "kin": compounds})}
    for theirs, ours in asked.values():
        expected = copairs.average_precision(about, profiles, *theirs, progress_bar=False)
        found = average_precision(profiles, **ours)
        there = np.isfinite(found["precision"])
        assert there.sum() > 150
        for mine, name in (("precision", "average_precision"), ("n_pos", "n_pos_pairs"),
                           ("n_total", "n_total_pairs"),
                           ("normalised", "normalized_average_precision")):
            np.testing.assert_allclose(found[mine][there], expected[name].to_numpy()[there],
                                       atol=1e-6)


def test_random_features_give_chance():
    rng = np.random.default_rng(5)
    compounds = np.arange(1188) // 3
    labels = compounds % 12
    found = nearest_neighbours(rng.normal(size=(1188, 8)), labels, compounds)
    assert found["chance"] == pytest.approx(96 / 1185)
    error = math.sqrt(found["chance"] * (1 - found["chance"]) / 1188)
    assert abs(found["accuracy"] - found["chance"]) < 4 * error
    precision = average_precision(rng.normal(size=(1188, 8)), compounds)
    assert abs(precision["normalised"].mean()) < 4 * precision["normalised"].std() / 20


def test_the_count_of_the_published_protocol(shared_data):
    """BBBC021: 103 treatments of 12 mechanisms, 92 of which NSCB can answer."""
    pandas = pytest.importorskip("pandas")
    folder = shared_data("bbbc021_tables")
    image = pandas.read_csv(folder / "BBBC021_v1_image.csv.gz")
    image.columns = [name.replace("Image_Metadata_", "").replace("_DAPI", "")
                     for name in image.columns]
    moa = pandas.read_csv(folder / "BBBC021_v1_moa.csv")
    image["Batch"] = image["Plate"].str.split("_").str[0]
    is_control = (image["Compound"] == "taxol") & ~(
        (image["Batch"] == "Week1") & image["Well"].str.startswith("D"))
    treatments = image[~is_control & (image["Compound"] != "DMSO")].merge(
        moa, left_on=["Compound", "Concentration"], right_on=["compound", "concentration"])
    treatments = treatments.drop_duplicates(["Compound", "Concentration"])
    batches = pandas.get_dummies(treatments["Batch"]).to_numpy(bool)
    profiles = np.random.default_rng(0).normal(size=(len(treatments), 5))
    about = profiles, treatments["moa"].to_numpy(str), treatments["Compound"].to_numpy(str)
    assert (nearest_neighbours(*about)["n"], nearest_neighbours(*about, batches)["n"]) == (103, 92)


# ---- memory, threads -----------------------------------------------------------------------------


@pytest.mark.parametrize("score", [
    lambda profiles, compounds: average_precision(profiles, compounds),
    lambda profiles, compounds: nearest_neighbours(profiles, compounds % 9, compounds),
    lambda profiles, compounds: nearest_neighbours(profiles, compounds % 9, compounds,
                                                   np.eye(5, dtype=bool)[compounds % 5])],
    ids=["precision", "NSC", "NSCB"])
def test_no_square_matrix_is_held(score, monkeypatch):
    """Beside the profiles once more, some blocks: 1 MB each here, where n x n would be 36 MB."""
    monkeypatch.setattr(retrieval, "BLOCK_BYTES", 1 << 20)
    profiles = np.random.default_rng(0).normal(size=(3000, 32)).astype(np.float32)
    tracemalloc.start()
    try:
        score(profiles, np.arange(3000) // 4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < profiles.nbytes + 6 * retrieval.BLOCK_BYTES


def test_a_large_screen_fits_into_4_gb_by_arithmetic():
    profiles = 100_000 * 2048 * 4
    assert 2 * profiles + 6 * retrieval.BLOCK_BYTES < 4e9


BIG = """
import resource, sys
import numpy as np
from phenoscale.scores.retrieval import average_precision, nearest_neighbours
n, asked = int(sys.argv[1]), np.arange(int(sys.argv[1])) < 2000
profiles = np.random.default_rng(0).standard_normal((n, 2048), np.float32)
compounds = np.arange(n) // 4
labels = np.where(asked, compounds % 12, 100 + np.arange(n))
batches = np.eye(20, dtype=bool)[np.random.default_rng(1).integers(0, 20, n)]
precision = average_precision(profiles, compounds, controls=~asked)
neighbours = nearest_neighbours(profiles, labels, compounds, batches)
print(np.nanmean(precision["normalised"]), neighbours["accuracy"], neighbours["n"],
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.soak
def test_a_large_screen_fits_into_4_gb(amount):
    """2,000 wells among 100,000 in a soak, blocks as of all; at each change among some."""
    n = amount(4000, 100_000)
    said = subprocess.run([sys.executable, "-c", BIG, str(n)], check=True, capture_output=True,
                          text=True).stdout.split()
    assert abs(float(said[0])) < 0.01 and float(said[1]) == pytest.approx(1 / 12, abs=0.03)
    assert int(said[2]) == 2000
    size = int(said[3]) * (1 if sys.platform == "darwin" else 1024)
    print(f"{n:,} x 2,048: {size / 1e9:.2f} GB")
    assert size < 4e9


THREADS = """
import hashlib
import numpy as np
from phenoscale.scores.retrieval import average_precision, nearest_neighbours
profiles = np.random.default_rng(0).standard_normal((1500, 300), np.float32)
profiles[::7] = profiles[0]
compounds = np.arange(1500) // 3
parts = {**average_precision(profiles, compounds),
         **nearest_neighbours(profiles, compounds % 9, compounds)}
print(hashlib.sha256(b"".join(np.asarray(parts[key]).tobytes() for key in parts)).hexdigest())
"""


def test_the_same_bits_for_any_number_of_threads():
    said = {subprocess.run([sys.executable, "-c", THREADS], check=True, capture_output=True,
                           text=True,
                           env={**os.environ, "OPENBLAS_NUM_THREADS": threads}).stdout
            for threads in ("1", "2", "3")}
    assert len(said) == 1
