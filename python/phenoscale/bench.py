# SPDX-License-Identifier: BSD-3-Clause
"""M-CNN here, in PyTorch and in TensorFlow, side by side: same numbers, speed, memory.

Every contender runs in a process of its own (bench_peers.py; ours is this file) with the same
cores, weights and fields, and is asked for one step at a time, in turns::

    run_bench -> fields, weights in a temporary folder
              -> equality:  ours writes logits and gradients, PyTorch compares and traces
              -> search:    each contender, each batch, a fresh process: time and peak RSS
              -> race:      the best of each framework, one step each a round; minimum counts
              -> ratios, table, JSON
"""

from __future__ import annotations

import contextlib
import json as json_text
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from phenoscale import bench_peers
from phenoscale.bench_peers import Contender, ContenderError
from phenoscale.errors import InputError

CLASSES = 13
FIELDS = 8  # different ones; larger batches repeat them
SEEDS = 5  # of the comparison of gradients
LEAST_LIVE = 0.9
SPARSE_CHANNELS = 48  # scales 0-2, the ones whose windows are 64x64, 32x32 and 16x16 pixels
PAUSE_S = 0.3  # lets the threads of the contender before fall asleep
LOGITS_TOLERANCE = 1e-4  # largest difference over largest value
CPU_BUILDS = ("CPU builds: `pip install tensorflow-cpu`, and for PyTorch the line that its own "
              "page gives for 'CPU', here or in an environment named by --peer-python.")


# ---- our side of the comparison, in its own process ---------------------------------------------


class Plain:
    """M-CNN of phenoscale through the plain layers, with the requests of bench_peers."""

    def __init__(self, job):
        from phenoscale import _core, models

        self.core, self.job = _core, job
        self.version = "oneDNN " + _core.versions()["oneDNN"]
        self.fields, self.scale, self.offset = bench_peers.read_batch(job)
        c, h, w = self.fields.shape[1:]
        self.description = models.describe("mcnn", c, h, w, CLASSES)
        self.net = self.optimizer = None

    def net_for(self, **plan):
        """The one network held, made for training or for predictions, with the weights given."""
        training = plan.get("training", False)
        if self.net is None or (self.net.gradients is not None) != training:
            self.net = self.optimizer = None  # give the old one's memory back first
            self.net = self.core.Net(self.description, threads=len(self.job["cores"]), **plan)
            self.net.parameters[:] = np.load(self.path("parameters.npy"), mmap_mode="r")
        return self.net

    def path(self, name):
        """Of a file in the folder of the job."""
        return os.path.join(self.job["folder"], name)

    def weights(self, seed):
        """Write Glorot weights and the table of tensors."""
        net = self.core.Net(self.description)
        net.initialise(seed)
        np.save(self.path("parameters.npy"), net.parameters)
        with open(self.path("slices.json"), "w", encoding="utf-8") as text:
            json_text.dump([row[:3] for row in net.slices], text)

    def live(self):
        """Share of (window, channel) pairs above 0, of scales 0-2, over the fields."""
        lines = self.description.splitlines()
        merge = next(i for i, line in enumerate(lines) if line.split()[1] == "merge")
        towers = self.core.Net("\n".join([*lines[: merge + 1], "end: dense units=2", ""]))
        flat = np.load(self.path("parameters.npy"), mmap_mode="r")
        end = towers.slices[-2][1]
        towers.parameters[:end] = flat[:end]
        maxima = towers.predict(self.fields, self.scale, self.offset)[1]
        h, w = (n // 64 for n in self.fields.shape[2:])
        return float((maxima.reshape(len(maxima), h, w, -1)[..., :SPARSE_CHANNELS] > 0).mean())

    def infer(self):
        """Logits (n, classes) as lists."""
        return self.net_for().predict(self.fields, self.scale, self.offset)[0].tolist()

    def train(self):
        """One step: forward, loss, backward, clip, momentum update.  The loss."""
        batch, part = self.job["batch"], len(self.job["cores"])
        net = self.net_for(training=True, images=min(batch, part), batch=batch)
        if self.optimizer is None:
            self.optimizer = self.core.Optimizer("sgd", net)
        labels = bench_peers.labels_of(batch, CLASSES)
        net.begin()
        loss = 0.0
        for at in range(0, batch, part):
            fields = self.fields[at : at + part]
            net.forward(fields, self.scale, self.offset)
            share = np.full(len(fields), 1 / batch)
            loss += net.backward(labels[at : at + part], share)[0]
        clip = min(1.0, bench_peers.CLIP / net.gradient())
        self.optimizer.update(net, bench_peers.RATE, momentum=bench_peers.MOMENTUM, scale=clip)
        return loss

    def gradients(self, seed):
        """Write weights, and logits and gradients of one field, for bench_peers' compare."""
        self.weights(seed)
        self.net = None
        net = self.net_for(training=True, images=1, batch=1)
        fields = np.load(self.path("fields.npy"), mmap_mode="r")
        net.begin()
        net.forward(fields[[seed % len(fields)]], self.scale, self.offset)
        _, logits = net.backward(np.array([seed % CLASSES]), np.ones(1))
        net.gradient()
        np.save(self.path(f"logits_{seed}.npy"), logits)
        np.save(self.path(f"gradients_{seed}.npy"), net.gradients)
        return [row[0] for row in net.slices]


# ---- what is measured ---------------------------------------------------------------------------

OURS = [sys.executable, "-m", "phenoscale.bench"]


def find_peers(peer_python):
    """Command of the peers' process, and which frameworks its environment has."""
    command = [os.fspath(peer_python or sys.executable), bench_peers.__file__]
    try:
        with Contender(command, {"contender": "find"}) as process:
            return command, process.first["found"]
    except (OSError, ContenderError) as error:
        raise InputError(f"{command[0]} cannot be run as the peers' Python ({error}): "
                         "name a Python interpreter with --peer-python") from error


def say(text):
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def write_fields(folder, size, count):
    """Simulated fields (count, 3, h, w) uint16 and their normalisation, as .npy files."""
    from phenoscale.simulate import plan_plate, render_field

    wells = plan_plate(0, 6, 40, 0)
    fields = np.stack([render_field(well, size, 0, 1)[0]
                       for well in wells[:: len(wells) // count][:count]])
    mean = fields.mean((0, 2, 3), dtype=float)
    deviation = fields.std((0, 2, 3), dtype=float)
    np.save(folder / "fields.npy", fields)
    np.save(folder / "scale.npy", (1 / deviation).astype(np.float32))
    np.save(folder / "offset.npy", (-mean / deviation).astype(np.float32))


def check_equality(job, command, peers, seeds):
    """Logits and gradients of ours against PyTorch's, and logits against TensorFlow's."""
    result = {"seeds": [], "logits": None, "gradients_equal": None, "passed": None}
    with Contender(OURS, {**job, "contender": "plain"}) as ours:
        ours.ask({"do": "weights", "seed": 0})
        logits = np.array(ours.ask({"do": "infer"})["result"])
        for name in peers:
            ours.ask({"do": "weights", "seed": 0})
            with Contender(command, {**job, "contender": name}) as peer:
                theirs = np.array(peer.ask({"do": "infer"})["result"])
                result[f"logits_{name}"] = float(abs(logits - theirs).max() / abs(theirs).max())
                for seed in range(seeds if name == "pytorch" else 0):
                    names = ours.ask({"do": "gradients", "seed": seed})["result"]
                    row = peer.ask({"do": "compare", "seed": seed})["result"]
                    row["tensor"] = names[row["tensor"]]
                    result["seeds"].append(row)
                    say(f"  seed {seed}: logits {row['logits']:.1e}, gradients "
                        f"{row['gradient']:.1e} ({row['tensor']})")
    if result["seeds"]:
        rows = result["seeds"]
        equal = sum(row["traced"] is None for row in rows)
        result["logits"] = max(row["logits"] for row in rows)
        result["gradients_equal"] = equal
        result["passed"] = (result["logits"] <= LOGITS_TOLERANCE and equal >= 0.8 * len(rows)
                            and all(row["traced"] is not False for row in rows)
                            and all(result[f"logits_{name}"] <= LOGITS_TOLERANCE for name in peers))
    return result


def search(command, job):
    """One contender and batch in a fresh process: a row with ms an image and peak RSS in MB."""
    variant = job.get("layout", "") + " compiled" * job.get("compiled", False)
    row = {"contender": job["contender"], "variant": variant, "batch": job["batch"],
           "version": "", "cores": len(job["cores"]), "train_ms": None, "infer_ms": None,
           "rss_mb": None, "error": None, "job": (command, job)}
    try:
        with Contender(command, job) as process:
            row["version"] = process.first["version"]
            for kind in ("infer", "train"):
                process.ask({"do": kind})  # warm-up
                answer = process.ask({"do": kind})
                row[kind + "_ms"] = 1000 * answer["seconds"] / job["batch"]
            row["rss_mb"] = answer["rss_mb"]
    except ContenderError as error:
        row["error"] = str(error)
    shown = row["error"] or (f"train {row['train_ms']:.0f} ms, infer {row['infer_ms']:.0f} ms "
                             f"an image, {row['rss_mb']:.0f} MB")
    say(f"  {row['contender']} {row['variant']} batch {row['batch']}: {shown}")
    return row


def best(rows, kind, cores, contender):
    """The fastest row of a contender, or None."""
    mine = [row for row in rows if row["contender"] == contender and row["cores"] == cores
            and row[kind + "_ms"] is not None]
    return min(mine, key=lambda row: row[kind + "_ms"], default=None)


def race(rows, kind, cores, contenders, repeats):
    """The best of each framework in turns, `repeats` rounds; a row keeps its minimum."""
    racing = [row for name in contenders if (row := best(rows, kind, cores, name))]
    with contextlib.ExitStack() as stack:
        lanes = [(row, stack.enter_context(Contender(*row["job"]))) for row in racing]
        for turn in range(repeats + 1):
            for row, process in lanes:
                time.sleep(PAUSE_S)
                ms = 1000 * process.ask({"do": kind})["seconds"] / row["batch"]
                if turn:  # the first round warms up
                    row[kind + "_ms"] = min(ms, row[kind + "_ms"])
    say(f"  {kind}: " + ", ".join(f"{r['contender']} {r[kind + '_ms']:.0f} ms" for r in racing))


def measure_speed(job, command, peers, batches, repeats, compiled):
    """Rows of all contenders on one core, on two, and on all."""
    cores = sorted(os.sched_getaffinity(0))
    variants = {"plain": [{}], "tensorflow": [{}], "pytorch": [
        {"layout": layout, "compiled": c} for c in ([False, True] if compiled else [False])
        for layout in ("channels_last", "contiguous")]}
    rows = []
    for count in sorted({1, min(2, len(cores)), len(cores)}):
        say(f"speed on {count} core{'s' * (count > 1)}:")
        contenders = ["plain", *peers] if count in (1, len(cores)) else ["plain"]
        for name in contenders:
            for options in variants[name]:
                rows += [search(OURS if name == "plain" else command, {
                    **job, **options, "contender": name, "cores": cores[:count], "batch": batch})
                    for batch in sorted(batches)]
        for kind in ("train", "infer"):
            race(rows, kind, count, contenders, repeats)
    return rows


def ratios(rows, peers):
    """The figures of the JSON object that are derived from rows.

    A ratio is a peer's best time over ours, both on the same cores: above 1, ours is faster.
    """
    found, most = {}, max(row["cores"] for row in rows)
    for kind in ("train", "infer"):
        for cores, ending in ((1, ""), (most, "_all_cores")):
            ours = best(rows, kind, cores, "plain")
            each = {}
            for name in bench_peers.PEERS:
                peer = best(rows, kind, cores, name) if name in peers else None
                each[name] = peer and ours and peer[kind + "_ms"] / ours[kind + "_ms"]
                found[f"{kind}_ratio_{name}{ending}"] = each[name]
            known = [ratio for ratio in each.values() if ratio]
            found[f"{kind}_ratio{ending}"] = min(known, default=None)
        one, two = (best(rows, kind, cores, "plain") for cores in (1, 2))
        key = "two_core_ratio" if kind == "train" else "two_core_ratio_infer"
        found[key] = one and two and one[f"{kind}_ms"] / two[f"{kind}_ms"]
    largest = max(row["batch"] for row in rows)
    for name in ("plain", *bench_peers.PEERS):
        mine = [row["rss_mb"] for row in rows if row["contender"] == name and row["rss_mb"]
                and row["cores"] == 1 and row["batch"] == largest]
        found[f"rss_mb_{name}"] = min(mine, default=None)
    return found | {f"rss_mb_batch{row['batch']}": row["rss_mb"] for row in rows
                    if row["contender"] == "plain" and row["cores"] == 1}


# ---- what is shown ------------------------------------------------------------------------------


def show(result, out):
    """The result as a table for a terminal."""
    equality, h, w = result["equality"], *result["size"]
    print(f"M-CNN, {CLASSES} classes, fields 3x{h}x{w} uint16, {result['isa']}; live windows "
          f"{100 * result['live_windows']:.1f} %", file=out)
    if result["is_void"]:
        print(f"VOID: below {100 * LEAST_LIVE:.0f} % live windows speed means little", file=out)
    if equality and equality["seeds"]:
        print("\nDifference from PyTorch, largest over largest value (gradients: worst tensor)",
              file=out)
        for row in equality["seeds"]:
            print(f"  seed {row['seed']}   logits {row['logits']:.1e}   gradients "
                  f"{row['gradient']:.1e}  {row['tensor']}", file=out)
            for flip in row["flips"]:
                print(f"    {flip['site']} {tuple(flip['at'])}: margin {flip['margin']:.1e}, the "
                      f"other way {flip['before']:.1e} -> {flip['after']:.1e}", file=out)
            if row["traced"] is False:
                print("    NOT explained by decisions with a margin below 1e-5", file=out)
    for cores in sorted({row["cores"] for row in result["raw"]}):
        print(f"\n{cores} core{'s' * (cores > 1)}, ms an image (minimum)\n"
              f"  {'':36}{'batch':>6}{'train':>9}{'infer':>9}{'peak RSS MB':>13}", file=out)
        for row in (row for row in result["raw"] if row["cores"] == cores):
            label = f"{row['contender']} {row['version']} {row['variant']}"
            figures = row["error"] or (f"{row['train_ms']:9.0f}{row['infer_ms']:9.0f}"
                                       f"{row['rss_mb']:13.0f}")
            print(f"  {label:36}{row['batch']:6}{figures}", file=out)
    print("\nTimes as fast as", file=out)
    for name in bench_peers.PEERS:
        if result[f"train_ratio_{name}"]:
            print(f"  {name:12}" + ", ".join(
                f"{kind} {result[f'{kind}_ratio_{name}{end}']:.2f} on {where}"
                for end, where in (("", "one core"), ("_all_cores", "all cores"))
                for kind in ("train", "infer")), file=out)
    if result["two_core_ratio"]:
        print(f"  one core    train {result['two_core_ratio']:.2f}, infer "
              f"{result['two_core_ratio_infer']:.2f} on two cores", file=out)
    if result["missing"]:
        print(f"Not found: {', '.join(result['missing'])}. {CPU_BUILDS}", file=out)


def run_bench(json=False, quick=False, peer_python=None, batches=(1, 2, 4, 8), repeats=3,
              compiled=False, equality=True, out=None, size=(1024, 1280)):
    """Compare M-CNN here with PyTorch and TensorFlow: numbers, speed, memory.

    Parameters
    ----------
    json : bool
        Print one JSON object instead of a table.
    quick : bool
        Batches 1 and 4, one repeat, two seeds.
    peer_python : path, optional
        Python of the environment with PyTorch or TensorFlow; default this one.
    batches : sequence of int
        Each contender's best of these counts.
    repeats : int
        Rounds of the race; the minimum counts.
    compiled : bool
        PyTorch compiled as well (takes minutes).
    equality : bool
        Compare logits and gradients first.
    out : file, optional
        Where the result goes; default stdout. Progress goes to stderr.
    size : (int, int)
        Height and width of a field in pixels, multiples of 128.

    Returns
    -------
    dict
        ``train_ratio`` and ``infer_ratio`` (the fastest peer's best ms an image over ours on one
        core, above 1: ours is faster; None without peers), the same with ``_pytorch``,
        ``_tensorflow`` and ``_all_cores``, ``two_core_ratio`` and ``two_core_ratio_infer`` (our
        ms an image on one core over that on two), ``rss_mb_<contender>`` (peak RSS in training
        with the largest batch, MB of 1e6 bytes, one core), ``rss_mb_batch<n>`` (ours), ``isa``,
        ``live_windows``, ``is_void``, ``equality`` and ``raw``, the rows of all times.

    Raises
    ------
    InputError
        For a size that is no multiple of 128, or a peers' Python that does not run.
    ContenderError
        A process died outside of the search, for want of memory for instance.
    """
    if any(n < 128 or n % 128 for n in size):
        raise InputError(f"bench: size {size[0]}x{size[1]}: give multiples of 128")
    if quick:
        batches, repeats = (1, 4), 1
    from phenoscale import _core

    command, peers = find_peers(peer_python)
    result = {"isa": _core.isa(), "size": list(size), "equality": None,
              "missing": [name for name in bench_peers.PEERS if name not in peers]}
    with tempfile.TemporaryDirectory(prefix="phenoscale-bench-") as folder:
        say(f"fields {size[0]}x{size[1]}")
        write_fields(Path(folder), size, min(FIELDS, max(batches)))
        job = {"folder": folder, "batch": 1, "cores": sorted(os.sched_getaffinity(0))}
        if equality:
            say("equality")
            result["equality"] = check_equality(job, command, peers, 2 if quick else SEEDS)
        with Contender(OURS, {**job, "contender": "plain"}) as ours:
            ours.ask({"do": "weights", "seed": 0})
            result["live_windows"] = ours.ask({"do": "live"})["result"]
        result["is_void"] = result["live_windows"] < LEAST_LIVE
        rows = measure_speed(job, command, peers, batches, repeats, compiled)
    result.update(ratios(rows, peers))
    result["raw"] = [{key: row[key] for key in row if key != "job"} for row in rows]
    out = out or sys.stdout
    if json:
        print(json_text.dumps(result), file=out)
    else:
        show(result, out)
    return result


if __name__ == "__main__":
    bench_peers.serve({"plain": Plain})
