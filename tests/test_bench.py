# SPDX-License-Identifier: BSD-3-Clause
"""The comparison with other frameworks: its figures, its words, and M-CNN in each peer."""

import io
import json
import os
import sys

import numpy as np
import pytest

from phenoscale import bench, bench_peers
from phenoscale.errors import InputError

TINY = {"batches": (1, 2), "repeats": 1, "size": (128, 128)}
#: a Python with PyTorch or TensorFlow, where the tests' own has neither
PEER_PYTHON = os.environ.get("PHENOSCALE_PEER_PYTHON", sys.executable)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What a run without any peer returns and prints, as JSON and as a table.

    The peers' Python is one that finds no packages but NumPy.
    """
    python = tmp_path_factory.mktemp("peer") / "python"
    places = [os.path.dirname(os.path.dirname(np.__file__))]
    python.write_text(
        f"#!{sys.executable}\n"
        "import importlib.util, runpy, sys\n"
        f"sys.path += {places!r}\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: "
        "None if name in ('torch', 'tensorflow') else found(name, *rest)\n"
        "runpy.run_path(sys.argv[1], run_name='__main__')\n", encoding="utf-8")
    python.chmod(0o755)
    out = io.StringIO()
    result = bench.run_bench(json=True, peer_python=python, out=out, **TINY)
    table = io.StringIO()
    bench.show(result, table)
    return result, out.getvalue(), table.getvalue()


def test_json_is_one_object_with_the_promised_keys(alone):
    result, printed, _ = alone
    assert json.loads(printed) == result
    for kind in ("train", "infer"):
        for end in ("", "_pytorch", "_tensorflow", "_all_cores"):
            assert result[f"{kind}_ratio{end}"] is None
    assert result["isa"] and result["rss_mb_plain"] >= result["rss_mb_batch1"] > 30
    assert result["rss_mb_pytorch"] is result["rss_mb_tensorflow"] is None
    assert result["live_windows"] >= bench.LEAST_LIVE and not result["is_void"]
    for row in result["raw"]:
        assert row["contender"] == "plain" and row["error"] is None
        assert row["train_ms"] > 0 and row["infer_ms"] > 0


def test_without_peers_it_says_how_to_get_them(alone):
    _, _, table = alone
    assert f"Not found: pytorch, tensorflow. {bench.CPU_BUILDS}" in table


def row(contender, cores, batch, train, infer, rss):
    return {"contender": contender, "cores": cores, "batch": batch, "train_ms": train,
            "infer_ms": infer, "rss_mb": rss}


def test_ratios_are_the_best_peer_over_our_best():
    rows = [row("plain", 1, 1, 100, 30, 500), row("plain", 1, 8, 80, 40, 600),
            row("pytorch", 1, 1, 300, 90, 900), row("pytorch", 1, 8, 320, 60, 4000),
            row("pytorch", 1, 8, 400, 80, 3000), row("tensorflow", 1, 8, 160, 120, 5000),
            row("plain", 2, 8, 50, 20, 700), row("pytorch", 2, 8, 150, 40, 4100),
            row("tensorflow", 2, 8, None, None, None)]
    found = bench.ratios(rows, ["pytorch", "tensorflow"])
    assert found["train_ratio"] == found["train_ratio_tensorflow"] == 2
    assert found["train_ratio_pytorch"] == 3.75
    assert found["infer_ratio"] == found["infer_ratio_pytorch"] == 2
    assert found["infer_ratio_tensorflow"] == 4
    assert found["train_ratio_all_cores"] == found["train_ratio_pytorch_all_cores"] == 3
    assert found["train_ratio_tensorflow_all_cores"] is None
    assert found["two_core_ratio"] == 1.6 and found["two_core_ratio_infer"] == 1.5
    assert found["rss_mb_plain"] == found["rss_mb_batch8"] == 600
    assert found["rss_mb_pytorch"] == 3000 and found["rss_mb_batch1"] == 500


def test_a_size_with_padding_is_refused():
    with pytest.raises(InputError, match="multiples of 128"):
        bench.run_bench(size=(100, 128))


def test_a_peer_python_that_does_not_run_is_named():
    with pytest.raises(InputError, match="no-such-python"):
        bench.run_bench(peer_python="/no-such-python", size=(128, 128))


def test_a_failed_contender_gives_the_end_of_its_log(tmp_path):
    job = {"folder": str(tmp_path), "batch": 1, "cores": [0], "contender": "plain"}
    found = bench.search(bench.OURS, job)
    assert found["train_ms"] is None and "fields.npy" in found["error"]


def test_every_peer_computes_the_same_network(tmp_path):
    command, names = bench.find_peers(PEER_PYTHON)
    if not names:
        pytest.skip(f"neither PyTorch nor TensorFlow: {bench.CPU_BUILDS}")
    bench.write_fields(tmp_path, (128, 256), 2)
    job = {"folder": str(tmp_path), "batch": 2, "cores": sorted(os.sched_getaffinity(0))}
    found = bench.check_equality(job, command, names, 2)
    for name in names:
        assert found[f"logits_{name}"] <= bench.LOGITS_TOLERANCE
        figures = bench.search(command, {**job, "contender": name})
        assert figures["train_ms"] > 0 and figures["infer_ms"] > 0 and figures["rss_mb"] > 100
    if "pytorch" in names:
        assert found["passed"] and len(found["seeds"]) == 2


@pytest.mark.parametrize("kind, is_traced", [("flip", True), ("wrong", False)])
def test_trace_explains_a_flip_and_nothing_else(tmp_path, monkeypatch, kind, is_traced):
    """A gradient with one near-zero ReLU decided the other way is traced; a wrong one is not."""
    torch = pytest.importorskip("torch")
    bench.write_fields(tmp_path, (128, 128), 1)
    ours = bench.Plain({"folder": str(tmp_path), "batch": 1, "cores": [0]})
    ours.weights(0)
    peer = bench_peers.PyTorch(ours.job)
    x, label = peer.inputs(peer.fields), torch.tensor([3])
    base = bench_peers.Trace(peer, x, label, None)
    gradients = [g.detach() for g in base.gradients(False)]
    # the least decided ReLU of a small scale, so that it certainly matters
    margin = base.margins["scale4.conv2"]
    at = tuple(int(i) for i in np.unravel_index(int(margin.argmin()), margin.shape))
    monkeypatch.setattr(bench_peers, "MARGIN", float(margin[at]) * 1.01)
    monkeypatch.setattr(bench_peers, "GRADIENT_TOLERANCE", 1e-5)
    base.flip("scale4.conv2", at)
    flipped = [g.detach() for g in base.gradients(False)]
    assert max(peer.differences(flipped, gradients)) > 1e-4
    if kind == "wrong":
        flipped[0] = flipped[0] + 0.01 * flipped[0].abs().max()
    found = bench_peers.Trace(peer, x, label, flipped).run()
    assert found["traced"] is is_traced
    if is_traced:
        assert [(flip["site"], flip["at"]) for flip in found["flips"]] == [("scale4.conv2", at)]
