# SPDX-License-Identifier: BSD-3-Clause
"""What the ranks of tests/ranks/test_mpi.py do.

Usage: python mpi_program.py CASES TABLE FOLDER [TABLE ...]

Rank 0 prints one line of JSON, case to what came of it.
"""

import errno
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from calls import train_run
from phenoscale.ranks.job import join, leave
from phenoscale.tables.read import read_table
from phenoscale.training import train
from phenoscale.training.recipe import Recipe

LABEL = "Metadata_Class"
HOLDOUT = {"Metadata_Plate": ["P2"]}
ALL = Recipe(network="mcnn-gap", epochs=2, batch=8, seed=2, patience=3, select="best",
             augment=("flip", "turn", "shift", "intensity"))
#: case -> recipe: a step and its last, shorter one; two dense layers; fewer images than ranks
RECIPES = {
    "all": ALL,
    "mcnn": Recipe(epochs=1, batch=6, optimizer="adam", rate=1e-4, schedule="published", decay=0.0),
    "few": replace(ALL, epochs=1, batch=1, select="last"),
    "plain": replace(ALL, batch=16, tower="plain", optimizer="sgd", clip=0.0, patience=0,
                     select="last", average=2),
    "broken": ALL, "matrix": ALL, "skip": ALL,
}


def break_steps():
    """A loss of the third step and a gradient of the fifth are no numbers, on one rank alone."""
    begin, send, steps = train.Exchange.begin, train.Exchange.send, []

    def broken_begin(self, n):
        self.own = begin(self, n)
        steps.append(self.own)
        return self.own

    def broken_send(self):
        if self.own[0] == 0 and len(steps) == 3:
            self._losses[0] = np.nan
        if self.own[0] == 0 and len(steps) == 5:
            self._factors[0][0, 0] = np.inf
        send(self)

    def mend():
        train.Exchange.begin, train.Exchange.send = begin, send

    train.Exchange.begin, train.Exchange.send = broken_begin, broken_send
    return mend


def run_case(name, ranks, table, folder):
    """What came of a case: digest of the weights, notes, the table of predictions."""
    ranks.exchange = "matrix" if name == "matrix" else "factors"
    mend = break_steps() if name == "broken" else lambda: None
    model, out = train_run(read_table(table), LABEL, folder / name, RECIPES[name], holdout=HOLDOUT,
                           val_fraction=0.25, threads=1, ranks=ranks,
                           on_error="skip" if name == "skip" else "stop")
    mend()
    if ranks.rank:
        return None
    config = json.loads(Path(out, "config.json").read_text())
    log = [line.split(",") for line in Path(out, "log.csv").read_text().splitlines()]
    kept = [k for k, word in enumerate(log[0]) if word not in ("seconds", "images_per_s")]
    return {"weights": model.digest(), "notes": config["notes"],
            "log": [[row[k] for k in kept] for row in log],
            "norm": float(np.linalg.norm(model.parameters)),
            "predictions": Path(out, "predictions.csv").read_text()}


def talk(ranks):
    """What the ranks say to one another, and arrays of all kinds that they bring together."""
    size, rank = ranks.size, ranks.rank
    said = ranks.everyone({"rank": rank, "words": "x" * (1000 * rank)})
    heard = ranks.spread(["from", rank])
    ends = [3 * r for r in range(size)] + [3 * size - 2]
    ends = ends[1:]
    rows = np.full((3 * size, 5), -1, np.float32)
    first, end = [0, *ends][rank], ends[rank]
    rows[first:end] = np.arange(first, end)[:, None]
    ranks.rows(rows, ends)
    summed = np.float32(1) / np.arange(rank + 1, rank + 1001, dtype=np.float32)
    ranks.tree(summed, size)
    added = np.zeros(size)
    added[rank] = rank + 0.5
    ranks.add(added)
    numbers = np.full(10, rank, np.float32)
    ranks.copy(numbers)
    ranks.barrier()
    return [[one["rank"] for one in said], len(said[-1]["words"]), heard,
            rows[: ends[-1], 0].tolist(), (rows[ends[-1] :] == -1).all().item(), summed.tolist(),
            added.tolist(), numbers.tolist()]


def growth(ranks, n):
    """Kilobytes by which this process grows over n exchanges of every kind."""
    arrays = [np.ones(3000, np.float32) for _ in range(2)]
    for number in range(n):
        if number == 100:
            before = resident()
        ranks.rows(arrays[0], [1000, 3000][: ranks.size], wait=False)
        ranks.tree(arrays[1], ranks.size)
        ranks.settle()
        ranks.add(np.zeros(9))
    return resident() - before


def resident():
    """Kilobytes of memory that this process has."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def main(cases, table, folder):
    """Do the cases, one after the other."""
    ranks, said = join(), {}
    for name in cases.split(","):
        if name == "talk":
            said[name] = talk(ranks)
        elif name.startswith("flat:"):
            said["flat"] = ranks.everyone(growth(ranks, int(name[5:])))
        elif name == "fault":
            if ranks.rank == 1:
                raise ZeroDivisionError("on rank 1 alone")
            ranks.barrier()
        elif name == "full":
            fill_disk(ranks)
        else:
            said[name] = run_case(name, ranks, table, Path(folder))
    if not ranks.rank:
        print(json.dumps(said), flush=True)


def fill_disk(ranks):
    """From now on rank 0 can write no file."""
    from phenoscale.files import tensors as tensor_file

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if not ranks.rank:
        tensor_file.write_atomically = fail


if __name__ == "__main__":
    status = 1
    try:
        main(*sys.argv[1:4])
        status = 0
    finally:
        leave(status)
