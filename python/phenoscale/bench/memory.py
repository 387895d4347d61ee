# SPDX-License-Identifier: BSD-3-Clause
"""How much memory `phenoscale train` takes, run as a user would; a part of `phenoscale bench`.

Run as a program this file is the command line itself and prints its peak RSS at the end.
"""

from __future__ import annotations

import csv
import runpy
import subprocess
import sys

from phenoscale.bench.peers import peak_rss_mb
from phenoscale.bench.process import ContenderError

FIELDS = 8  # different ones; a longer table names them again
WELLS = 12  # the fewest that `simulate` draws
STEPS = 2  # the loader reads ahead: within one step its ring would be half empty
#: figure -> (network, batch, threads) of the run whose peak RSS it is, in MB of 1e6 bytes
RUNS = {"rss_mb_batch8": ("mcnn", 8, 1),
        "rss_mb_batch64": ("mcnn", 64, 1),
        "rss_mb_gap_batch8": ("mcnn-gap", 8, 1),
        "rss_mb_two_threads": ("mcnn", 8, 2)}
FIGURES = (*RUNS, "rss_mb_per_thread")


def repeat_table(screen, out, count):
    """A table of `count` rows that names the first fields of the table `screen` over and over,
    each a class of its own."""
    with open(screen, newline="", encoding="utf-8") as text:
        rows = [{name: value for name, value in row.items() if name.startswith("Image_")}
                for row in csv.DictReader(text)][:FIELDS]
    with open(out, "w", newline="", encoding="utf-8") as text:
        table = csv.DictWriter(text, [*rows[0], "Metadata_Plate", "Metadata_Well",
                                      "Metadata_Class"])
        table.writeheader()
        for i in range(count):
            table.writerow({**rows[i % FIELDS], "Metadata_Plate": "P1", "Metadata_Well": f"W{i}",
                            "Metadata_Class": f"field{i % FIELDS}"})


def peak_of(arguments):
    """Peak RSS in MB of `phenoscale` with these words; ContenderError where it fails."""
    done = subprocess.run([sys.executable, "-m", "phenoscale.bench.memory", *map(str, arguments)],
                          capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ContenderError(f"phenoscale train ended with status {done.returncode}: {last[0]}")
    return float(done.stdout.split()[-1])


def measure_memory(folder, size, say):
    """The `FIGURES`: peaks, and what a second thread adds at batch 8.

    Parameters
    ----------
    folder : pathlib.Path
        To write fields, tables and run folders into.
    size : (int, int)
        Height and width of a field in pixels.
    say : callable
        Takes a line of progress.

    Returns
    -------
    dict
        Figure to peak RSS in MB of 1e6 bytes.

    Raises
    ------
    ContenderError
        A run failed.
    """
    from phenoscale.simulation.simulate import simulate

    screen = simulate(folder / "screen", plates=1, wells=WELLS, size=size)
    found = {}
    for figure, (network, batch, threads) in RUNS.items():
        table = screen.with_name(f"{figure}.csv")
        repeat_table(screen, table, STEPS * batch)
        found[figure] = peak_of([
            "train", table, "--label", "Metadata_Class", "--out", folder / figure,
            "--network", network, "--batch", batch, "--threads", threads, "--epochs", 1,
            "--val-fraction", 0, "--quiet"])
        say(f"  {network}, batch {batch}, threads {threads}: {found[figure]:.0f} MB")
    found["rss_mb_per_thread"] = found["rss_mb_two_threads"] - found["rss_mb_batch8"]
    return found


if __name__ == "__main__":
    try:
        runpy.run_module("phenoscale", run_name="__main__", alter_sys=True)
    finally:
        print(peak_rss_mb())
