# SPDX-License-Identifier: BSD-3-Clause
"""The classic numbers of a field beside cp_measure and CellProfiler, on one core, in one run:

    python tools/studies/measures_speed.py [--cp-measure PYTHON]

PYTHON has cp_measure: ``python3 -m venv DIR && DIR/bin/pip install cp_measure``.  CellProfiler is
asked where it is in .cellprofiler (``make tests``).  Processor time, so that other work on the
machine counts little; ours is of all numbers, theirs of those that we have too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests/kit"))

import numpy as np  # noqa: E402
import pandas  # noqa: E402

import cellprofilers as cp  # noqa: E402
import measure_modules  # noqa: E402
import phenoscale  # noqa: E402
from phenoscale import _core  # noqa: E402
from phenoscale.images.read import read_image  # noqa: E402

CHANNELS = ["DNA", "Actin", "Tubulin"]
SIZE, TIMES = (1024, 1280), 15
#: run by cp_measure's Python: the whole field as one object, its functions as they come, but for
#: as many sizes of grains as ours
PEER = """
import itertools, json, sys, time
import numpy as np
from cp_measure import bulk
field = np.load(sys.argv[1]) / 65535
core, pairs = bulk.get_core_measurements(), bulk.get_correlation_measurements()
seconds = {}
for planes in (field[:, :128, :128], field):  # the first to warm up
    mask = np.ones(planes.shape[1:], int)
    for name in ("intensity", "texture", "granularity"):
        more = {"granular_spectrum_length": 8} if name == "granularity" else {}
        start = time.process_time()
        for plane in planes:
            core[name](mask, plane, **more)
        seconds[name] = time.process_time() - start
    for name in ("pearson", "manders_fold", "rwc"):
        start = time.process_time()
        for a, b in itertools.combinations(planes, 2):
            pairs[name](a, b, mask)
        seconds[name] = time.process_time() - start
print(json.dumps(seconds))
"""


def one_field(folder):
    """A simulated field (c, h, w), alone in the folder's table."""
    table = phenoscale.simulate(folder, plates=1, wells=12, size=SIZE)
    row = pandas.read_csv(table)[:1]
    row.to_csv(table, index=False)
    row = row.loc[0]
    return np.concatenate([
        read_image(folder / row[f"Image_PathName_{name}"] / row[f"Image_FileName_{name}"])
        for name in CHANNELS])


def ours(field):
    """Seconds of each of some runs."""
    found = []
    for _ in range(TIMES):
        start = time.process_time()
        _core.numbers(field, CHANNELS.index("DNA"))
        found.append(time.process_time() - start)
    return found


def cp_measures(python, field, folder):
    """{function: seconds} of cp_measure's."""
    np.save(folder / "field.npy", field)
    done = subprocess.run([python, "-c", PEER, folder / "field.npy"], check=True, text=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def cellprofilers(folder):
    """{module: seconds} of CellProfiler's, as it reports them."""
    pipeline = cp.pipeline_of([cp.load_data(), *measure_modules.modules(CHANNELS), cp.export()])
    pipeline = cp.put(pipeline, {"Range of the granular spectrum": 8})
    rows, _ = cp.start(pipeline, folder, folder / "out", folder, here=False).result()
    return {name.split("_")[1][2:]: float(value) for name, value in rows[0].items()
            if name.startswith("ExecutionTime_") and "Measure" in name}


def compare(name, seconds, own):
    """A line for each of theirs, and one for all."""
    for part, value in seconds.items():
        print(f"{name:<14}{part:<24}{1000 * value:10,.0f} ms")
    value = sum(seconds.values())
    print(f"{name:<14}{'all of these':<24}{1000 * value:10,.0f} ms{value / own:10,.0f} x ours")


def main():
    """Print them."""
    words = argparse.ArgumentParser()
    words.add_argument("--cp-measure", metavar="PYTHON")
    words = words.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        field = one_field(folder)
        found = sorted(ours(field))
        own = found[TIMES // 2]
        print(f"a field of {' x '.join(map(str, field.shape))}, {field.dtype}; processor time")
        print(f"{'phenoscale':<14}{f'{len(_core.numbers(field, 0))} numbers':<24}"
              f"{1000 * own:10,.1f} ms   (best of {TIMES}: {1000 * found[0]:.1f})")
        if words.cp_measure:
            compare("cp_measure", cp_measures(words.cp_measure, field, folder), own)
        if (cp.HOME / "java").exists():
            compare("CellProfiler", cellprofilers(folder), own)


if __name__ == "__main__":
    main()
