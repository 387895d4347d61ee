# SPDX-License-Identifier: BSD-3-Clause
"""M-CNN here, in PyTorch and in TensorFlow, side by side: same numbers, speed, memory.

Every contender runs in a process of its own (ours ours.py, the peers' peers.py) with
the same cores, weights and fields, and is asked for one step at a time::

    run_bench -> fields, weights in a temporary folder
              -> equality:  logits and gradients of ours against everyone's
              -> work:      live windows, operations of ours
              -> search:    each contender, each batch, a fresh process: time and peak RSS
              -> races:     the best of each framework, one step each a round; minimum counts
              -> memory:    `phenoscale train` itself (memory.py)
              -> ratios, shares, rates (figures.py); a table (show.py) or JSON
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

from phenoscale import _core
from phenoscale.bench import figures as bench_figures
from phenoscale.bench import memory as bench_train
from phenoscale.bench import ours as bench_ours
from phenoscale.bench import peers as bench_peers
from phenoscale.bench.figures import KINDS, LEAST_LIVE, best, fastest
from phenoscale.bench.process import Contender, ContenderError
from phenoscale.bench.show import show
from phenoscale.errors import InputError

BATCH = 8  # of ours, and the number of different fields
SEEDS = 5  # of the comparison of gradients
PAUSE_S = 0.3  # lets the threads of the contender before fall asleep
LOGITS_TOLERANCE = 1e-4  # largest difference over largest value
OURS = [sys.executable, "-m", "phenoscale.bench.ours"]
LAYOUTS = ("channels_last", "contiguous")
#: peer -> what is tried at every batch
VARIANTS = {"pytorch": [{"layout": layout} for layout in LAYOUTS], "tensorflow": [{}]}
#: PHENOSCALE_ISA -> environment that holds the peers to the same instruction set
ISA_ENVIRONMENT = {
    "avx512": {},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2",
             "ATEN_CPU_CAPABILITY": "avx2"},
    "portable": {"ONEDNN_MAX_CPU_ISA": "SSE41", "DNNL_MAX_CPU_ISA": "SSE41",
                 "ATEN_CPU_CAPABILITY": "default"}}


def say(text):
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


def put(result, as_json, show, out=None):
    """The result: one JSON object, or as `show` prints it; to `out`, by default stdout."""
    out = out or sys.stdout
    if as_json:
        print(json_text.dumps(result), file=out)
    else:
        show(result, out)


# ---- what is compared ---------------------------------------------------------------------------


def find_peers(peer_python):
    """Command of the peers' process, and which frameworks its environment has."""
    command = [os.fspath(peer_python or sys.executable), bench_peers.__file__]
    try:
        with Contender(command, {"contender": "find"}) as process:
            return command, process.first["found"]
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run as the peers' Python ({error}): "
                         "name a Python interpreter with --peer-python") from error


def write_fields(folder, size, count):
    """Simulated fields (count, 3, h, w) uint16 and their normalisation, as .npy files."""
    from phenoscale.simulation.microscope import render_field
    from phenoscale.simulation.simulate import plan_plate

    wells = plan_plate(0, 6, 40, 0)
    fields = np.stack([render_field(well, size, 0, 1)[0]
                       for well in wells[:: len(wells) // count][:count]])
    mean = fields.mean((0, 2, 3), dtype=float)
    deviation = fields.std((0, 2, 3), dtype=float)
    np.save(folder / "fields.npy", fields)
    np.save(folder / "scale.npy", (1 / deviation).astype(np.float32))
    np.save(folder / "offset.npy", (-mean / deviation).astype(np.float32))


def job_in(folder):
    """What every contender is told: files, batch, cores, and the instruction set if one is
    asked for."""
    return {"folder": os.fspath(folder), "batch": 1, "cores": sorted(os.sched_getaffinity(0)),
            "environment": ISA_ENVIRONMENT.get(os.environ.get("PHENOSCALE_ISA"), {})}


def check_equality(job, command, peers, seeds):
    """Logits of ours (tower) against everyone's, and gradients against PyTorch's."""
    result = {"seeds": [], "logits": None, "gradients_equal": None}
    others = {"plain": OURS, **dict.fromkeys(peers, command)}
    with Contender(OURS, {**job, "contender": "tower"}) as ours:
        ours.do("weights", seed=0)
        logits = np.array(ours.do("infer"))
        for name, run in others.items():
            ours.do("weights", seed=0)
            with Contender(run, {**job, "contender": name}) as other:
                theirs = np.array(other.do("infer"))
                result[f"logits_{name}"] = float(abs(logits - theirs).max() / abs(theirs).max())
                say(f"  {name}: logits {result[f'logits_{name}']:.1e}")
                for seed in range(seeds if name == "pytorch" else 0):
                    names = ours.do("gradients", seed=seed)
                    row = other.do("compare", seed=seed)
                    row["tensor"] = names[row["tensor"]]
                    result["seeds"].append(row)
                    say(f"  seed {seed}: logits {row['logits']:.1e}, gradients "
                        f"{row['gradient']:.1e} ({row['tensor']})")
    rows = result["seeds"]
    if rows:
        result["logits"] = max(row["logits"] for row in rows)
        result["gradients_equal"] = sum(row["traced"] is None for row in rows)
    differences = [*(row["logits"] for row in rows), *(result[f"logits_{name}"] for name in others)]
    result["passed"] = (all(value <= LOGITS_TOLERANCE for value in differences)
                        # an excess that undecided ReLUs and maxima explain is float32, not a
                        # difference of the networks, however many seeds have one
                        and all(row["traced"] is not False for row in rows))
    return result


def measure_work(job):
    """Live windows over all fields, and operations an image, of ours."""
    executed = {}
    with Contender(OURS, {**job, "contender": "tower", "batch": BATCH}) as ours:
        ours.do("weights", seed=0)
        live, live_all = ours.do("live")
        for kind in KINDS:
            ours.do(kind)
            executed[kind] = ours.do("executed") / BATCH
        operations = {"dense": ours.do("dense"), "executed": executed}
    return {"live_windows": live, "live_windows_all": live_all, "is_void": live < LEAST_LIVE,
            "operations": operations}


# ---- speed --------------------------------------------------------------------------------------


def search(command, job, kinds=KINDS):
    """One contender and batch in a fresh process: a row with ms an image and peak RSS in MB."""
    variant = job.get("layout", "") + " compiled" * job.get("compiled", False)
    row = {"contender": job["contender"], "variant": variant, "batch": job["batch"],
           "version": "", "cores": len(job["cores"]), "train_ms": None, "infer_ms": None,
           "raced": [], "rss_mb": None, "error": None, "job": (command, job)}
    try:
        with Contender(command, job) as process:
            row["version"] = process.first["version"]
            for kind in kinds:
                # the first warms up; the least of two, or noise would choose the best batch
                _, *answers = [process.ask({"do": kind}) for _ in range(3)]
                least = min(answer["seconds"] for answer in answers)
                row[kind + "_ms"] = 1000 * least / job["batch"]
            row["rss_mb"] = answers[-1]["rss_mb"]
    except ContenderError as error:
        row["error"] = str(error)
    shown = row["error"] or ", ".join(f"{kind} {row[kind + '_ms']:.0f} ms" for kind in kinds) + (
        f" an image, {row['rss_mb']:.0f} MB")
    say(f"  {row['contender']} {row['variant']} batch {row['batch']}: {shown}")
    return row


def compiled_jobs(rows):
    """[(job, kinds)] of PyTorch compiled: each layout at the batches that were its best when
    eager, since compiling takes minutes; each batch for what it was the best at."""
    jobs = []
    for layout in LAYOUTS:
        mine = [row for row in rows if row["variant"] == layout]
        for row in mine:
            kinds = [kind for kind in KINDS if fastest(mine, kind) is row]
            if kinds:
                jobs.append(({**row["job"][1], "compiled": True}, kinds))
    return jobs


def search_ours(job, contender):
    """The row of ours; ContenderError where it fails, for then there is nothing to compare."""
    row = search(OURS, {**job, "contender": contender, "batch": BATCH})
    if row["error"]:
        raise ContenderError(f"{contender} {row['error']}")
    return row


def search_all(job, command, peers, batches, compiled):
    """Rows of all contenders on one core and on all, and of ours on two."""
    cores, rows = job["cores"], []
    for count in sorted({1, len(cores)}):
        say(f"speed on {count} core{'s' * (count > 1)}:")
        pinned = {**job, "cores": cores[:count]}
        rows += [search_ours(pinned, name) for name in bench_ours.TOWERS]
        for name in peers:
            mine = [search(command, {**pinned, **options, "contender": name, "batch": batch})
                    for options in VARIANTS[name] for batch in sorted(batches)]
            if compiled and name == "pytorch":
                mine += [search(command, *again) for again in compiled_jobs(mine)]
            rows += mine
    if len(cores) > 2:
        rows.append(search_ours({**job, "cores": cores[:2]}, "tower"))
    return rows


def race(racing, kind, repeats):
    """The rows in turns, one step each a round, all processes alive: their minima (ms an image),
    and the highest FMA peak of a core seen between the rounds, in GFLOP/s.

    The first must be ours, which knows the peak.
    """
    times, peak = [[] for _ in racing], 0.0
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(Contender(*row["job"])) for row in racing]
        for turn in range(repeats + 1):
            for row, process, mine in zip(racing, processes, times):
                time.sleep(PAUSE_S)
                ms = 1000 * process.ask({"do": kind})["seconds"] / row["batch"]
                if turn:  # the first round warms up
                    mine.append(ms)
            peak = max(peak, processes[0].do("fma_peak"))
    least = [min(mine) for mine in times]
    say(f"  {kind}: " + ", ".join(f"{row['contender']} on {row['cores']} {ms:.0f} ms"
                                  for row, ms in zip(racing, least)))
    return least, peak


def race_all(rows, repeats):
    """Race the best of each framework; a row keeps its minimum.

    Ours on two cores runs in the race on one, so that noise meets both. Returns the figures that
    only a race can tell: ``two_core_ratio``, ``two_core_ratio_infer``, ``fma_peak_gflops``.
    """
    names = [*bench_ours.TOWERS, *bench_peers.PEERS]
    found = {"two_core_ratio": None, "two_core_ratio_infer": None, "fma_peak_gflops": 0.0}
    for count in sorted({1, max(row["cores"] for row in rows)}):
        say(f"races on {count} core{'s' * (count > 1)}:")
        for kind in KINDS:
            racing = [row for name in names if (row := best(rows, kind, count, name))]
            two = best(rows, kind, 2, "tower") if count == 1 else None
            least, peak = race(racing + ([two] if two else []), kind, repeats)
            found["fma_peak_gflops"] = max(found["fma_peak_gflops"], peak)
            if two:  # its time goes into this ratio only: all have as many tries in their own race
                key = "two_core_ratio" + "_infer" * (kind == "infer")
                found[key] = least[0] / least[-1]
            for row, ms in zip(racing, least):
                row[kind + "_ms"] = min(ms, row[kind + "_ms"])
                row["raced"].append(kind)
    return found


# ---- the whole --------------------------------------------------------------------------------


def run_bench(json=False, quick=False, peer_python=None, batches=(1, 2, 4, 8), repeats=3,
              equality=True, out=None, size=(1024, 1280)):
    """Compare M-CNN here with PyTorch and TensorFlow: numbers, speed, memory.

    PyTorch is also compiled, at the batches that were best when eager: that takes minutes each.

    Parameters
    ----------
    json : bool
        Print one JSON object instead of a table.
    quick : bool
        Batches 1 and 8 of the peers, one repeat, two seeds; nothing compiled, and no memory of
        the train command.
    peer_python : path, optional
        Python of the environment with PyTorch or TensorFlow; default this one.
    batches : sequence of int
        A peer's best of these counts; ours runs with 8.
    repeats : int
        Rounds of a race; the minimum counts.
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
        ``_tensorflow`` and ``_all_cores``; ``two_core_ratio`` and ``two_core_ratio_infer`` (our
        ms an image on one core over that on two, None where there is one); ``rss_mb_<contender>``
        (peak RSS in training with the largest batch, MB of 1e6 bytes, one core); of the train
        command ``rss_mb_batch8``, ``rss_mb_batch64``, ``rss_mb_gap_batch8``,
        ``rss_mb_two_threads`` and ``rss_mb_per_thread``, None if quick; ``fma_peak_gflops`` of a
        core, and ours on one core as a share of it, ``<kind>_share_dense`` (as if nothing were
        left out) and ``<kind>_share_executed`` (before the dense layers); ``images_per_s_core``,
        ``images_per_s_core_infer``, ``cores_for_120_per_s`` (training),
        ``hours_20_epochs_one_core`` and ``hours_20_epochs_all_cores`` (of 9,093 images);
        ``live_windows`` (share at scales 0-2), ``live_windows_all``, ``is_void`` (the former is
        below 0.9); ``isa``, ``size``, ``operations`` (an image), ``equality``, ``missing`` and
        ``raw``, the rows of all times.

    Raises
    ------
    InputError
        For a size that is no multiple of 128, or a peers' Python that does not run.
    ContenderError
        Ours failed, or any process in a race, for want of memory for instance.
    """
    if any(n < 128 or n % 128 for n in size):
        raise InputError(f"bench: size {size[0]}x{size[1]}: give multiples of 128")
    if quick:
        batches, repeats = (1, 8), 1
    command, peers = find_peers(peer_python)
    result = {"isa": _core.isa(), "size": list(size), "equality": None,
              "missing": [name for name in bench_peers.PEERS if name not in peers]}
    with tempfile.TemporaryDirectory(prefix="phenoscale-bench-") as folder:
        say(f"fields {size[0]}x{size[1]}")
        write_fields(Path(folder), size, BATCH)
        job = job_in(folder)
        if equality:
            say("equality")
            result["equality"] = check_equality(job, command, peers, 2 if quick else SEEDS)
        result.update(measure_work(job))
        rows = search_all(job, command, peers, batches, compiled=not quick)
        result.update(race_all(rows, repeats))
        result.update(dict.fromkeys(bench_train.FIGURES))
        if not quick:
            say("memory of phenoscale train")
            result.update(bench_train.measure_memory(Path(folder), size, say))
    result.update(bench_figures.of_rows(rows, result["operations"], result["fma_peak_gflops"]))
    result["raw"] = [{key: row[key] for key in row if key != "job"} for row in rows]
    put(result, json, show, out)
    return result
