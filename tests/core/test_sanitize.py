# SPDX-License-Identifier: BSD-3-Clause
"""The binding with sanitizers: the tests that go through most of it, in an interpreter of its
own."""

import os
import subprocess
import sys

import pytest

from c_build import ROOT, SANITIZED

#: What is run: files and the words that choose within them.
CHOSEN = {
    "test_augment.py": "",
    "test_damage.py": "not disk and not while",
    "test_image.py": "not lossless and not real",
    "test_loader.py": "",
    "test_measures.py": "no_number",
    "test_many.py": "fork or threads_share or one_thread",
    "test_net.py": "parts or order or wrong or senseless or serves or outlive or nan",
    "test_no_numbers.py": "not published",
    "test_optimizer.py": "",
}


#: Calls of one process of the fuzz.
CALLS = 4000


@pytest.fixture
def environment(sanitized, tmp_path):
    """Of an interpreter whose `phenoscale._core`, in a folder of its own, has sanitizers."""
    package = tmp_path / "phenoscale"
    package.mkdir()
    for path in (ROOT / "python/phenoscale").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():  # modules and rooms
            (package / path.name).symlink_to(path)
    sanitized.extension(package)
    preload = [subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True,
                              check=True).stdout.strip() for name in ("libasan.so", "libubsan.so")]
    environment = {**os.environ, **SANITIZED, "LD_PRELOAD": " ".join(preload),
                   "PYTHONPATH": str(tmp_path), "PYTHONMALLOC": "malloc",
                   "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"}  # Python's own
    which = "import phenoscale._core as core; print(core.__file__)"
    where = subprocess.run([sys.executable, "-c", which], env=environment, capture_output=True,
                           text=True, cwd=tmp_path)
    assert where.stdout.strip() == str(package / "_core.abi3.so"), where.stderr
    return environment


@pytest.mark.sanitize
def test_binding_under_sanitizers(environment, tmp_path):
    for name, words in CHOSEN.items():
        done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                               ROOT / "tests/core" / name, "-k", words], env=environment,
                              capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, f"{name}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        print(name, done.stdout.splitlines()[-1])


@pytest.mark.sanitize
@pytest.mark.soak
def test_calls_at_random_under_sanitizers(environment, tmp_path, amount):
    """20,000 at each change, five million in a soak, a seed for each few thousand of them."""
    program = (f"import runpy, sys; sys.argv[0] = 'fuzz'; "
               f"runpy.run_path({str(ROOT / 'tests/kit/fuzz_binding.py')!r}, run_name='__main__')")
    for seed in range(amount(20_000, 5_000_000) // CALLS):
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", program, str(seed),
                               str(CALLS)], env={**environment, "OMP_NUM_THREADS": "1"},
                              capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, f"seed {seed}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        print(done.stdout.strip())
