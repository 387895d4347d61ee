# SPDX-License-Identifier: BSD-3-Clause
"""The comparison with other frameworks: its figures, its words, and M-CNN in each peer."""

import io
import json
import os
import sys

import numpy as np
import pytest

from phenoscale import _core
from phenoscale.bench import figures as bench_figures
from phenoscale.bench import memory as bench_train
from phenoscale.bench import ours as bench_ours
from phenoscale.bench import peers as bench_peers
from phenoscale.bench import run as bench
from phenoscale.bench import show as bench_show
from phenoscale.bench.process import Contender, ContenderError
from phenoscale.errors import InputError
from phenoscale.models import networks

pytestmark = pytest.mark.alone
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
    bench_show.show(result, table)
    return result, out.getvalue(), table.getvalue()


def test_json_is_one_object_with_the_promised_keys(alone):
    result, printed, _ = alone
    assert json.loads(printed) == result
    for kind in ("train", "infer"):
        for end in ("", "_pytorch", "_tensorflow", "_all_cores"):
            assert result[f"{kind}_ratio{end}"] is None
        for which in ("dense", "executed"):
            assert 0 < result[f"{kind}_share_{which}"]
            assert 0 < result["operations"][which][kind]
    assert result["isa"] in bench.ISA_ENVIRONMENT and result["fma_peak_gflops"] > 1
    assert (result["two_core_ratio"] is None) == (len(os.sched_getaffinity(0)) == 1)
    assert result["rss_mb_plain"] > 30 and result["rss_mb_tower"] > 30
    assert result["rss_mb_pytorch"] is result["rss_mb_tensorflow"] is None
    assert result["live_windows"] >= bench.LEAST_LIVE and not result["is_void"]
    assert 0 < result["live_windows_all"] < 1
    assert 0 < result["images_per_s_core"] < result["images_per_s_core_infer"]
    assert result["cores_for_120_per_s"] >= 1
    assert result["hours_20_epochs_one_core"] > 0 and result["hours_20_epochs_all_cores"] > 0
    assert {row["contender"] for row in result["raw"]} == {"tower", "plain"}
    for row in result["raw"]:
        assert row["batch"] == 8 and row["error"] is None and set(row["raced"]) == set(bench.KINDS)
        assert row["train_ms"] > 0 and row["infer_ms"] > 0


def test_memory_of_the_train_command(alone):
    result, _, table = alone
    assert result["rss_mb_batch64"] > result["rss_mb_batch8"] > 30
    assert result["rss_mb_gap_batch8"] > 30
    added = result["rss_mb_two_threads"] - result["rss_mb_batch8"]
    assert result["rss_mb_per_thread"] == added
    for words in bench_show.MEMORY.values():
        assert words in table


def test_a_failed_train_command_gives_its_last_line():
    with pytest.raises(ContenderError, match="no-such-table"):
        bench_train.peak_of(["train", "no-such-table.csv", "--label", "x", "--out", "y"])


def test_the_table_fits_a_terminal_and_says_what_it_shows(alone):
    result, _, table = alone
    assert max(map(len, table.splitlines())) <= bench_show.WIDTH
    for words in ("128 x 128 x 3 uint16", "at scales 0-2", "at all seven", "plain", "1 core ",
                  "GFLOP an image", "of the FMA peak", "published training: 0.375",
                  "Training at 120 images/s takes", "20 epochs of 9,093 images"):
        assert words in table
    assert "VOID" not in table
    out = io.StringIO()
    bench_show.show({**result, "is_void": True}, out)
    assert "VOID: with less than 90% live windows" in out.getvalue()


def test_without_peers_it_says_how_to_get_them(alone):
    _, _, table = alone
    assert f"Not found: pytorch, tensorflow.\n{bench_show.CPU_BUILDS}" in table


def test_ours_are_one_network(alone):
    result, _, table = alone
    assert result["equality"]["passed"]
    assert result["equality"]["logits_plain"] <= bench.LOGITS_TOLERANCE
    assert "Logits of tower differ" in table and "NOT the same" not in table
    nets = [_core.Net(networks.describe("mcnn", 3, 128, 128, 13, tower=tower))
            for tower in bench_ours.TOWERS.values()]
    assert nets[0].slices == nets[1].slices


def row(contender, cores, batch, train, infer, rss, variant=""):
    return {"contender": contender, "cores": cores, "batch": batch, "train_ms": train,
            "infer_ms": infer, "rss_mb": rss, "variant": variant}


def test_ratios_are_the_best_peer_over_tower():
    rows = [row("tower", 1, 8, 80, 30, 600), row("plain", 1, 8, 70, 20, 1600),
            row("pytorch", 1, 1, 300, 90, 900), row("pytorch", 1, 8, 320, 60, 4000),
            row("pytorch", 1, 8, 400, 80, 3000), row("pytorch", 1, 8, None, 70, 2000),
            row("tensorflow", 1, 8, 160, 120, 5000),
            row("tower", 2, 8, 50, 20, 700), row("pytorch", 2, 8, 150, 40, 4100),
            row("tensorflow", 2, 8, None, None, None)]
    found = bench_figures.ratios(rows)
    assert found["train_ratio"] == found["train_ratio_tensorflow"] == 2
    assert found["train_ratio_pytorch"] == 3.75
    assert found["infer_ratio"] == found["infer_ratio_pytorch"] == 2
    assert found["infer_ratio_tensorflow"] == 4
    assert found["train_ratio_all_cores"] == found["train_ratio_pytorch_all_cores"] == 3
    assert found["train_ratio_tensorflow_all_cores"] is None
    assert found["rss_mb_tower"] == 600 and found["rss_mb_plain"] == 1600
    assert found["rss_mb_pytorch"] == 3000 and found["rss_mb_tensorflow"] == 5000


def test_shares_and_rates_follow_from_towers_times():
    rows = [row("tower", 1, 8, 500, 200, 600), row("plain", 1, 8, 50, 20, 600),
            row("tower", 2, 8, 250, 100, 600)]
    operations = {"dense": {"train": 150e9, "infer": 50e9}, "executed": {"train": 60e9,
                                                                        "infer": 25e9}}
    assert bench_figures.peak_shares(rows, operations, 100) == pytest.approx({
        "train_share_dense": 3, "infer_share_dense": 2.5, "train_share_executed": 1.2,
        "infer_share_executed": 1.25})
    found = bench_figures.rates(rows)
    assert found["images_per_s_core"] == 2 and found["images_per_s_core_infer"] == 5
    assert found["cores_for_120_per_s"] == 60
    assert found["hours_20_epochs_one_core"] == pytest.approx(20 * 9093 / 2 / 3600)
    assert found["hours_20_epochs_all_cores"] == pytest.approx(20 * 9093 / 4 / 3600)


def test_operations_of_the_published_size():
    slices = [("fc.weight", 0, (512, 8, 10, 1024), False), ("fc.bias", 0, (512,), True)]
    others = _core.Net(networks.describe("mcnn", 3, 128, 128, 13)).slices
    slices += [row for row in others if not row[0].startswith("fc.")]
    found = bench_ours.dense_operations(slices, 1024, 1280)
    assert found["infer"] == pytest.approx(51.4e9, rel=0.01)
    assert found["train"] == pytest.approx(150e9, rel=0.01)


def test_pytorch_is_compiled_where_eager_was_best():
    rows = [row("pytorch", 1, batch, train, infer, 1, layout)
            for layout, batch, train, infer in [
                ("channels_last", 1, 30, 9), ("channels_last", 8, 20, 8),
                ("contiguous", 1, 30, 5), ("contiguous", 4, 29, 8), ("contiguous", 8, None, 9)]]
    rows = [{**each, "job": ("command", {"layout": each["variant"], "batch": each["batch"]})}
            for each in rows]
    assert [(job["layout"], job["batch"], kinds) for job, kinds in bench.compiled_jobs(rows)] == [
        ("channels_last", 8, ["infer", "train"]), ("contiguous", 1, ["infer"]),
        ("contiguous", 4, ["train"])]


@pytest.mark.parametrize("isa", [None, "avx512", "avx2", "portable"])
def test_peers_are_held_to_our_instruction_set(tmp_path, monkeypatch, isa):
    for name in bench.ISA_ENVIRONMENT["avx2"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PHENOSCALE_ISA", isa or "")
    words = {"avx2": ["AVX2", "AVX2", "avx2"], "portable": ["SSE41", "SSE41", "default"]}
    echo = ("import json, os, sys; sys.stdin.readline(); print(json.dumps([os.environ.get(name) "
            "for name in sys.argv[1:]]))")
    names = ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"]
    with Contender([sys.executable, "-c", echo, *names], bench.job_in(tmp_path)) as process:
        assert process.first == words.get(isa, [None] * 3)


def test_a_size_with_padding_is_refused():
    with pytest.raises(InputError, match="multiples of 128"):
        bench.run_bench(size=(100, 128))


def test_a_peer_python_that_does_not_run_is_named():
    with pytest.raises(InputError, match="no-such-python"):
        bench.run_bench(peer_python="/no-such-python", size=(128, 128))


def test_a_failed_contender_gives_the_end_of_its_log(tmp_path):
    job = {"folder": str(tmp_path), "batch": 1, "cores": [0], "contender": "tower"}
    found = bench.search(bench.OURS, job)
    assert found["train_ms"] is None and "fields.npy" in found["error"]


def test_every_peer_computes_the_same_network(tmp_path):
    command, names = bench.find_peers(PEER_PYTHON)
    if not names:
        pytest.skip(f"neither PyTorch nor TensorFlow. {bench_show.CPU_BUILDS}")
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
    ours = bench_ours.Ours({"folder": str(tmp_path), "batch": 1, "cores": [0],
                            "contender": "tower"})
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
