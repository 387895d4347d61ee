# SPDX-License-Identifier: BSD-3-Clause
"""The result of `phenoscale bench` as a table for a terminal of 100 columns."""

from __future__ import annotations

from phenoscale.bench import peers as bench_peers
from phenoscale.bench.figures import EPOCHS, IMAGES, LEAST_LIVE, PUBLISHED_CORES, PUBLISHED_PER_S
from phenoscale.bench.ours import CLASSES

WIDTH, LABEL = 100, 50  # columns, of them for the first
CPU_BUILDS = ("CPU builds: `pip install tensorflow-cpu`, and for PyTorch the line that its own "
              "page gives\nfor 'CPU', here or in an environment named by --peer-python.")
#: figure of the train command's memory -> what it is
MEMORY = {"rss_mb_batch8": "mcnn, batch 8", "rss_mb_batch64": "mcnn, batch 64",
          "rss_mb_gap_batch8": "mcnn-gap, batch 8",
          "rss_mb_per_thread": "a second thread at batch 8, more"}


def heading(result):
    """What both benches say first."""
    h, w = result["size"]
    return f"M-CNN, {CLASSES} classes, fields {h} x {w} x 3 uint16, {result['isa']}"


def title(result):
    """What was run, and whether it counts."""
    lines = [heading(result),
             f"Live windows: {result['live_windows']:.1%} at scales 0-2, "
             f"{result['live_windows_all']:.1%} at all seven"]
    if result["is_void"]:
        lines.append(f"VOID: with less than {LEAST_LIVE:.0%} live windows at scales 0-2 speed "
                     "means little")
    return lines


def equality(result):
    """How far the numbers of the others are from ours."""
    found = result["equality"]
    if found is None:
        return []
    lines = ["", "Logits of tower differ from those of others by (largest over largest value)",
             "  " + ", ".join(f"{name} {found[f'logits_{name}']:.1e}"
                              for name in ("plain", *bench_peers.PEERS)
                              if f"logits_{name}" in found)]
    if found["seeds"]:
        lines.append("Logits and gradients from those of PyTorch (worst tensor), by seed")
    for row in found["seeds"]:
        lines.append(f"  {row['seed']}: logits {row['logits']:.1e}, gradients "
                     f"{row['gradient']:.1e} {row['tensor']}")
        lines += [f"     {flip['site']} {tuple(flip['at'])}: margin {flip['margin']:.1e}, the "
                  f"other way {flip['before']:.1e} -> {flip['after']:.1e}" for flip in row["flips"]]
        if row["traced"] is False:
            lines.append(f"     NOT explained by decisions with a margin below "
                         f"{bench_peers.MARGIN:.0e}")
    return lines if found["passed"] else [*lines, "  NOT the same network: speed means little"]


def contender(row):
    """One contender as a line of the table of times."""
    label = f"  {row['contender']} {row['version']} {row['variant']}"
    line = f"{label:{LABEL}}{row['batch']:7}"
    if row["error"]:
        return f"{line}  {row['error']}"[:WIDTH]
    for kind in ("train", "infer"):
        ms = row[kind + "_ms"]
        shown = "-" if ms is None else f"{ms:.0f}"
        line += f"{shown:>10}" + ("*" if kind in row["raced"] else " ")
    return line + f"{row['rss_mb']:10.0f}"


def times(result):
    """All rows, by number of cores."""
    lines = ["", "ms an image, peak RSS in MB (* least of several in turns, others of two)"]
    for cores in sorted({row["cores"] for row in result["raw"]}):
        head = f"{cores} core{'s' * (cores > 1)}"
        lines.append(f"{head:{LABEL}}{'batch':>7}{'train':>10} {'infer':>10} {'RSS':>10}")
        lines += [contender(row) for row in result["raw"] if row["cores"] == cores]
    return lines


def columns(label, *values, form="s"):
    """A label and values in columns; "-" for None."""
    return f"{label:{LABEL}}" + "".join(f"{'-' if v is None else format(v, form):>11}"
                                        for v in values)


def speed(result):
    """How many times as fast ours is."""
    there = [name for name in bench_peers.PEERS if name not in result["missing"]]
    lines = ["", columns("", "one core", "", "all cores", ""),
             columns("tower is so many times as fast as", *2 * ("train", "infer"))] if there else []
    for name in there:
        lines.append(columns(f"  {name} at its best", *(
            result[f"{kind}_ratio_{name}{end}"] for end in ("", "_all_cores")
            for kind in ("train", "infer")), form=".2f"))
    if result["two_core_ratio"]:
        lines += ["", f"tower on two cores is {result['two_core_ratio']:.2f} times as fast as on "
                      f"one in training, {result['two_core_ratio_infer']:.2f} in inference"]
    return lines


def work(result):
    """Operations, shares of the peak and rates of ours on one core."""
    lines = ["", columns("tower on one core", "train", "infer")]
    words = {"dense": "were nothing left out", "executed": "executed before the dense layers"}
    for which, count in result["operations"].items():
        giga = (count[kind] / 1e9 for kind in ("train", "infer"))
        lines.append(columns(f"  GFLOP an image, {words[which]}", *giga, form=".1f"))
    for which in words:
        share = (result[f"{kind}_share_{which}"] for kind in ("train", "infer"))
        lines.append(columns(f"  of the FMA peak, {result['fma_peak_gflops']:.0f} GFLOP/s, {which}",
                             *share, form=".0%"))
    published = PUBLISHED_PER_S / PUBLISHED_CORES
    return [*lines, columns(f"  images/s (published training: {published:.3f})",
                            result["images_per_s_core"], result["images_per_s_core_infer"],
                            form=".2f"),
            f"Training at {PUBLISHED_PER_S} images/s takes {result['cores_for_120_per_s']} cores "
            f"(published: {PUBLISHED_CORES}); {EPOCHS} epochs of {IMAGES:,} images",
            f"take {result['hours_20_epochs_one_core']:.1f} hours on one core, "
            f"{result['hours_20_epochs_all_cores']:.1f} on all of this machine"]


def train_memory(result):
    """Peak RSS of the train command."""
    if result["rss_mb_batch8"] is None:
        return []
    return ["", "Peak RSS in MB of `phenoscale train`, one thread",
            *(columns(f"  {words}", result[figure], form=".0f")
              for figure, words in MEMORY.items())]


def missing(result):
    """What was not found, and how to get it."""
    names = ", ".join(result["missing"])
    return ["", f"Not found: {names}.", CPU_BUILDS] if names else []


def show(result, out):
    """Print the result of `phenoscale.bench.run.run_bench` as a table."""
    for part in (title, equality, times, speed, work, train_memory, missing):
        for line in part(result):
            print(line.rstrip(), file=out)
