# SPDX-License-Identifier: BSD-3-Clause
"""The result of `phenoscale bench --scaling` as tables for a terminal of 100 columns."""

from __future__ import annotations

from phenoscale.bench.cost_model import MEMORY_CORES
from phenoscale.bench.figures import PUBLISHED_CORES, PUBLISHED_PER_S
from phenoscale.bench.show import heading

EMULATED = """\
Computing is emulated on the nodes: for each part of its step a rank sleeps {stretch:g} times as
long as one core of this machine was measured to need for it; so 1 Gb/s stands for {gigabits:g}.
Real: processes, Open MPI's daemons, TCP, the exchange and its thread, arrays of the real sizes.
Not real: jitter, there is none; latency, and what the exchange itself costs a processor, are not
stretched. With 40 cores a rank the time slept is the model's."""
ASSUMED = """\
Model. A rank of 40 cores: 40 times the images/s of one core, memory {memory} times as quick; its
step is a published server's, 32 images (256 of 8). All wait for the slowest; jitter as measured
here, {jitter:.1%} of a step. Exchange of factors (f) or of the matrix (m), whichever is quicker."""


def ranks_title(result):
    """What was run, where."""
    lines = [f"{heading(result)}, {result['processors']} processors, {result['launcher']}"]
    if result["is_busy"]:
        lines.append(f"This machine had other work (load {result['load']:.1f}): its times are too "
                     "long, the ranks' above all")
    return lines


def local(result):
    """Ranks on this machine."""
    lines = ["", "Ranks on this machine, one thread each, real steps (least of several in turns)",
             f"{'ranks':>7}{'images each':>13}{'ms a step':>11}{'median':>9}{'images/s':>11}"
             f"{'efficiency':>12}"]
    for row in result["local"]:
        shared = row["ranks"] > result["processors"]
        lines.append(f"{row['ranks']:7}{row['images']:13}{1000 * row['step_s']:11.0f}"
                     f"{1000 * row['median_s']:9.0f}{row['images_per_s']:11.2f}"
                     f"{row['efficiency']:12.1%}" + "  ranks share processors" * shared)
    return [*lines, *(
        f"Ranks {row['ranks']}, images of each {row['images']}: a stand-in's step takes "
        f"{row['ratio']:.1%} of the real one's time" for row in result["stand_in"])]


def cluster(found):
    """One emulated cluster: its link, its collectives, its cells."""
    link = found["link"]
    lines = ["", f"{found['nodes']} emulated nodes: latency {1e6 * link['latency_s']:.0f} us, "
             f"{link['bytes_per_s'] / 1e6:.1f} MB/s by ping-pong",
             f"{'bytes':>12}{'ms to sum':>12}{'model':>9}{'to gather':>12}{'model':>9}"]
    lines += [f"{row['bytes']:12,}" + "".join(
        f"{1000 * row[key]:{width}.1f}" for key, width in (
            ("sum_s", 12), ("sum_model_s", 9), ("gather_s", 12), ("gather_model_s", 9)))
        for row in found["collectives"]]
    lines.append(f"{'cores':>7}{'images':>8}{'exchange':>10}{'alone s':>10}{'step s':>9}"
                 f"{'model':>9}{'differs':>9}{'efficiency':>12}{'model':>8}")
    return lines + [
        f"{cell['cores']:7}{cell['images']:8}{cell['exchange']:>10}{cell['alone_s']:10.3f}"
        f"{cell['step_s']:9.3f}{cell['model_s']:9.3f}{cell['model_error']:9.1%}"
        f"{cell['efficiency']:12.1%}{cell['model_efficiency']:8.1%}" for cell in found["cells"]]


def clusters(result):
    """The emulated nodes, or why there are none."""
    if result["no_nodes"]:
        return ["", f"No emulated nodes: {result['no_nodes']}"]
    lines = ["", *EMULATED.format(stretch=result["stretch"],
                                  gigabits=result["cluster_gigabits"]).splitlines()]
    for found in result["clusters"]:
        lines += cluster(found)
    return [*lines, f"Factors at one image a core: at least {result['factors_efficiency']:.1%} "
                    f"efficient; the model is within {result['model_error']:.1%} of all steps"]


def beyond(result):
    """The model's table: efficiency and images/s by number of ranks."""
    rows = result["beyond"]
    ranks = sorted({row["ranks"] for row in rows})
    lines = ["", *ASSUMED.format(memory=MEMORY_CORES, jitter=result["jitter"]).splitlines(),
             f"{'':9}{'cores':>6}{'images':>8}{'link':>10}  "
             + "".join(f"{f'{n:,} ranks':>16}" for n in ranks)]
    groups = {}
    for row in rows:
        group = row["network"], row["cores"], row["images"], row["link"]
        groups.setdefault(group, []).append(row)
    for (network, cores, images, link), group in groups.items():
        cells = "".join(f"{row['images_per_s']:9,.0f} {row['efficiency']:4.0%} {row['exchange'][0]}"
                        for row in group)
        lines.append(f"{network:9}{cores:6}{images:8}{link:>10}  {cells}")
    alone = result["images_per_s_core"]
    return [*lines, "images/s, of what computing alone would reach, exchange",
            f"Measured on one core, 4 images a step: mcnn {alone['mcnn']:.2f} images/s, mcnn-gap "
            f"{alone['mcnn-gap']:.2f}; published: {PUBLISHED_PER_S / PUBLISHED_CORES:.3f} a core,",
            f"{PUBLISHED_PER_S} images/s of {PUBLISHED_CORES} cores, which are 8 ranks of 40 here"]


def quick(result):
    """What stands in the place of the model's table where fields are small."""
    return ["", "Small fields and few steps: all of it works, how fast it is this does not say"]


def show_scaling(result, out):
    """Print the result of `phenoscale.bench.scaling.run_scaling`."""
    last = beyond if result["size"] == [1024, 1280] else quick
    for part in (ranks_title, local, clusters, last):
        for line in part(result):
            print(line.rstrip(), file=out)
