# SPDX-License-Identifier: BSD-3-Clause
"""How training goes on over more ranks: measured on this machine and on emulated nodes, and beyond
them by a model that these have checked.

::

    run_scaling -> here:   the parts of a step on one core (work.py); 1, 2, 4 ranks, real
                           training steps (rank.py); a stand-in's step beside a real one
                -> nodes:  emulated, 1 Gb/s (network.py): latency and bandwidth by ping-pong,
                           collectives, the cells {factors, matrix} x {images of a core and step}
                -> beyond: 8 to 1,024 ranks by the model (cost_model.py)
                -> a table (scaling_show.py), JSON, a picture (scaling_picture.py)
"""

from __future__ import annotations

import json as json_text
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, fields
from statistics import median

from phenoscale import _core
from phenoscale.bench import cost_model
from phenoscale.bench.cost_model import Link, Work
from phenoscale.bench.network import Nodes, why_not
from phenoscale.bench.process import ContenderError
from phenoscale.bench.run import put, say
from phenoscale.bench.work import IMAGES
from phenoscale.files.atomic import real_file
from phenoscale.files.names import check_name
from phenoscale.ranks.alone import EXCHANGES
from phenoscale.ranks.launchers import Job, find_launcher, library_variables

NETWORKS = ("mcnn", "mcnn-gap")
LOCAL = (1, 2, 4)  # ranks on this machine, one thread each
BUSY = 0.5  # load of the machine before, from which on its times mean little
LINK_BITS, CLUSTER_BITS = 1e9, 1e10  # a second: of the emulated links, and what they stand for
STRETCH = CLUSTER_BITS / LINK_BITS  # of what is computed, so that the ratio is the cluster's
SIZES = (1 << 14, 1 << 18, 1 << 22, 1 << 24)  # bytes of the collectives
#: links of clusters, as a rank sees them: TCP, but for the last
LINKS = {"1 Gb/s": Link(50e-6, 0.117e9), "10 Gb/s": Link(25e-6, 1.1e9),
         "100 Gb/s": Link(1.5e-6, 11e9)}
RANKS = (8, 32, 128, 1024)
CORES = {1: 1, 40: 32}  # of a rank -> its images of a step


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    size : (int, int)
        Height and width of a field in pixels, multiples of 128.
    steps, rounds : int
        Steps of each cell; how often ranks on this machine have their turn.
    nodes : tuple of int
        Emulated nodes, one run each.
    images : tuple of int
        Of a rank and step on this machine.
    cells : tuple of (int, int)
        Cores of a node, and images of its step.
    """

    size: tuple
    steps: int
    rounds: int
    nodes: tuple
    images: tuple
    cells: tuple


#: one and four images a core; and 32 of a node of 40, as published
FULL = Plan((1024, 1280), 4, 3, (2, 4), IMAGES, ((1, 1), (1, 4), (40, 32)))
QUICK = Plan((256, 256), 2, 1, (2,), (1,), ((1, 1),))


# ---- processes -----------------------------------------------------------------------------------


def run(command, environment, what):
    """The JSON in the last line that a command prints; ContenderError where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **environment})
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
        raise ContenderError(f"{what} ended with status {done.returncode}: {last[0]}")
    return json_text.loads(done.stdout.splitlines()[-1])


def module(name, job):
    """The command of a module of this room with a job."""
    return [sys.executable, "-m", f"phenoscale.bench.{name}", json_text.dumps(job)]


class Launcher:
    """The MPI that is installed here: ranks on this machine and on emulated nodes.

    Raises
    ------
    LaunchError
        There is none.
    """

    def __init__(self):
        self.path, self._flavour = find_launcher(os.environ)
        self.name = self._flavour.name
        self._library = library_variables(self.path, self._flavour, os.environ)

    def here(self, ranks, jobs):
        """What the jobs of rank.py give on that many ranks of this machine."""
        words = module("rank", jobs)
        if ranks > 1:
            job = Job(ranks, 1, as_root=os.geteuid() == 0, variables=self._library)
            names = job.forwarded(os.environ)
            words = [self.path, "-n", str(ranks), *self._flavour.words(job, names), *words]
        return run(words, self._library, f"{ranks} ranks")

    def on(self, nodes, jobs):
        """The same, a rank on each emulated node."""
        words, variables = nodes.command(self.path, module("rank", jobs))
        return run(words, {**self._library, **variables}, f"{len(nodes.hosts)} nodes")


# ---- measured ------------------------------------------------------------------------------------


def read_work(found):
    """A `Work` from the JSON of work.py, which makes words of a curve's numbers."""
    return Work(**{
        field.name: {int(n): seconds for n, seconds in value.items()}
        if isinstance(value := found["work"][field.name], dict) else value
        for field in fields(Work)})


def least(values):
    """Of dicts of dicts of numbers, the least of each; a list is the same in all.

    >>> least([{"a": {"b": 2}, "c": [5]}, {"a": {"b": 1}, "c": [5]}])
    {'a': {'b': 1}, 'c': [5]}
    """
    first = values[0]
    if isinstance(first, dict):
        return {key: least([value[key] for value in values]) for key in first}
    return first if isinstance(first, list) else min(values)


def measure_here(launcher, plan, cores):
    """What the parts of a step need, by network, and `local_rows`: all in turns, so that other work
    on the machine does not meet one of them alone."""
    works, times = [], {}
    for _ in range(plan.rounds):
        works.append({name: run(module("work", {"network": name, "size": plan.size}), {},
                                name) for name in NETWORKS})
        say("  parts of a step on one core")
        for ranks in LOCAL:
            jobs = [{"do": "real", "network": "mcnn", "size": plan.size, "images": images,
                     "steps": plan.steps} for images in plan.images]
            for images, seconds in zip(plan.images, launcher.here(ranks, jobs)):
                times.setdefault((images, ranks), []).extend(seconds)
                say(f"  {ranks} ranks, {images} images each: {1000 * min(seconds):.0f} ms a step")
    return least(works), local_rows(times, cores)


def local_rows(times, cores):
    """Rows of real steps from {(images of a rank, ranks): seconds}: the least and the median."""
    rows = []
    for (images, ranks), seconds in sorted(times.items()):
        alone = min(times[images, 1])
        busy = max(1.0, ranks / cores)  # ranks that share a core take turns
        rows.append({"ranks": ranks, "images": images, "step_s": min(seconds),
                     "median_s": median(seconds), "images_per_s": ranks * images / min(seconds),
                     "efficiency": alone * busy / min(seconds)})
    return rows


def stand_in_job(found, exchange, images, computed, steps):
    """The job of a stand-in's steps."""
    return {"do": "stand_in", "sums": found["sums"], "factors": found["factors"],
            "exchange": exchange, "images": images, "computed": asdict(computed), "steps": steps}


def check_stand_in(launcher, found, work, local, plan):
    """A stand-in's step beside the real one of `local`, one and two ranks here, no stretch."""
    rows = []
    for row in local:
        images, ranks = row["images"], row["ranks"]
        if ranks <= 2:
            computed = cost_model.parts(work, "factors", images, ranks)
            job = stand_in_job(found, "factors", images, computed, plan.steps)
            seconds = min(launcher.here(ranks, [job])[0])
            rows.append({"ranks": ranks, "images": images, "stand_in_s": seconds,
                         "real_s": row["step_s"], "ratio": seconds / row["step_s"]})
    return rows


def fit_link(pings):
    """Latency from the shortest message, bandwidth from the difference of the longest two."""
    (_, short), *_, (n, t), (longest, most) = pings
    return Link(short, (longest - n) / (most - t))


def cell_of(work, count, link, exchange, cores, images, steps_s):
    """A cell: steps as they were measured, beside the model."""
    computed = cost_model.parts(work, exchange, images, count, cores).stretched(STRETCH)
    alone_s = STRETCH * cost_model.parts(work, "factors", images, 1, cores).total
    step_s = median(steps_s)
    model_s = cost_model.step(work, exchange, images, count, link, computed)
    say(f"  {count} nodes, {exchange}, {images} images of {cores} cores: {step_s:.3f} s a step, "
        f"model {model_s:.3f} s")
    return {"nodes": count, "cores": cores, "images": images, "exchange": exchange,
            "alone_s": alone_s, "step_s": step_s, "model_s": model_s,
            "model_error": model_s / step_s - 1, "efficiency": alone_s / step_s,
            "model_efficiency": alone_s / model_s, "steps_s": steps_s}


def measure_nodes(launcher, count, found, work, plan):
    """One emulated cluster: its link, its collectives and its cells beside the model."""
    asked = [(exchange, cores, images) for cores, images in plan.cells for exchange in EXCHANGES]
    jobs = [{"do": "ping"}, {"do": "collectives", "sizes": SIZES}, *(
        stand_in_job(found, exchange, images, cost_model.parts(
            work, exchange, images, count, cores).stretched(STRETCH), plan.steps)
        for exchange, cores, images in asked)]
    with Nodes(count, LINK_BITS) as nodes:
        pings, collectives, *times = launcher.on(nodes, jobs)
    link = fit_link(pings)
    return {"nodes": count, "link": asdict(link), "pings": pings, "collectives": [
        {"bytes": n, "sum_s": total, "sum_model_s": cost_model.all_reduce(n, count, link),
         "gather_s": gather, "gather_model_s": cost_model.all_gather(n, count, link)}
        for n, total, gather in collectives],
        "cells": [cell_of(work, count, link, *one, steps) for one, steps in zip(asked, times)]}


# ---- beyond --------------------------------------------------------------------------------------


def row_beyond(network, work, cores, images, link, ranks, jitter):
    """A row of the model, by the quicker exchange."""
    alone = cost_model.parts(work, "factors", images, 1, cores).total
    seconds, exchange = min(
        (cost_model.step(work, exchange, images, ranks, LINKS[link],
                         cost_model.parts(work, exchange, images, ranks, cores), jitter), exchange)
        for exchange in EXCHANGES)
    return {"network": network, "cores": cores, "images": images, "link": link, "ranks": ranks,
            "exchange": exchange, "step_s": seconds, "images_per_s": images * ranks / seconds,
            "efficiency": alone / seconds}


def rows_beyond(works, jitter):
    """Rows of the model: every network, cores of a rank, link and number of ranks."""
    return [row_beyond(network, work, cores, images, link, ranks, jitter)
            for network, work in works.items() for cores, images in CORES.items()
            for link in LINKS for ranks in RANKS]


def figures(clusters, works, jitter):
    """What follows from the measured."""
    cells = [cell for cluster in clusters for cell in cluster["cells"]]
    return {
        "factors_efficiency": min((
            cell["efficiency"] for cell in cells
            if cell["exchange"] == "factors" and cell["images"] == cell["cores"]), default=None),
        "model_error": max((abs(cell["model_error"]) for cell in cells), default=None),
        "jitter": jitter, "beyond": rows_beyond(works, jitter),
        "images_per_s_core": {
            name: max(IMAGES) / cost_model.parts(work, "factors", max(IMAGES)).total
            for name, work in works.items()}}


# ---- the whole -----------------------------------------------------------------------------------


def run_scaling(json=False, quick=False, picture=None, out=None):
    """Measure how training goes on over ranks, and say what the model makes of more of them.

    Parameters
    ----------
    json : bool
        Print one JSON object instead of a table.
    quick : bool
        Small fields, two steps of each, one image each, two emulated nodes: shows that all works,
        not how fast.
    picture : path, optional
        PNG to write.
    out : file, optional
        Where the result goes; default stdout. Progress goes to stderr.

    Returns
    -------
    dict
        ``work`` (network -> what its parts need on one core), ``local`` and ``stand_in`` (rows of
        this machine), ``no_nodes`` (why none could be emulated, or ""), ``clusters`` (of each
        number of emulated nodes its link, collectives and cells), ``beyond`` (rows of the model);
        ``factors_efficiency`` (the least of the cells with one image a core) and
        ``model_error`` (the largest of the cells, as a share), None without nodes; ``isa``,
        ``size``, ``processors``, ``load`` (of the machine before), ``is_busy``, ``launcher``,
        ``stretch``, ``cluster_gigabits``, ``jitter``, ``images_per_s_core``.

    Raises
    ------
    LaunchError
        There is no MPI here.
    ContenderError
        A process failed.
    """
    from phenoscale.bench.scaling_show import show_scaling

    if picture:
        check_name(picture, "picture")
        real_file(picture)
    launcher, cores, plan = Launcher(), len(os.sched_getaffinity(0)), QUICK if quick else FULL
    load = os.getloadavg()[0]
    result = {"isa": _core.isa(), "size": list(plan.size), "processors": cores, "load": load,
              "is_busy": load > BUSY, "launcher": launcher.name, "stretch": STRETCH,
              "cluster_gigabits": CLUSTER_BITS / 1e9}
    say("this machine")
    found, result["local"] = measure_here(launcher, plan, cores)
    works = {name: read_work(one) for name, one in found.items()}
    result["work"] = found
    result["stand_in"] = check_stand_in(launcher, found["mcnn"], works["mcnn"], result["local"],
                                        plan)
    result["no_nodes"] = why_not() or (
        "" if launcher.name.startswith("Open MPI") else
        f"daemons on emulated nodes need Open MPI, this is {launcher.name}")
    result["clusters"] = []
    for count in () if result["no_nodes"] else plan.nodes:
        say(f"{count} emulated nodes")
        result["clusters"].append(
            measure_nodes(launcher, count, found["mcnn"], works["mcnn"], plan))
    result.update(figures(result["clusters"], works, min(one["jitter"] for one in found.values())))
    if picture:
        from phenoscale.bench.scaling_picture import write_scaling
        from phenoscale.reports.drawing import drawing

        with drawing():
            write_scaling(result, picture)
    put(result, json, show_scaling, out)
    return result
