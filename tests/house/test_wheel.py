# SPDX-License-Identifier: BSD-3-Clause
"""The self-contained wheel: what is inside, and that it answers as the development build does.

One program (PROBE) runs under the development build and in fresh environments that hold the wheel,
numpy and safetensors; what it prints has to be equal, to the last bit.
"""

import email
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from phenoscale.hosts.install_plugin import HOSTS

ROOT = Path(__file__).resolve().parents[2]
CODECS = ("zlib", "lzw", "zstd", "packbits", "jpeg")
PROBE = """
import hashlib, json, sys
import phenoscale
loaded = sorted(sys.modules)
import numpy as np
from phenoscale import _core
from phenoscale.models import networks

def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()

net = _core.Net(networks.describe("mcnn-gap", 1, 128, 128, 2), threads=2, training=True,
                images=2, batch=2)
net.initialise(5)
fields = np.load("fields.npy")[:2]
net.begin()
net.forward(fields, [1e-3], [0.0])
loss, logits = net.backward([0, 1], [0.5, 0.5])
norm = net.gradient()
_core.Optimizer("nesterov", net).update(net, 0.01)
model = phenoscale.load("model.safetensors")
found = phenoscale.predict(model, np.load("fields.npy"))
from phenoscale.hosts.tasks import execute
from phenoscale.hosts.task_fields import unpack
field = {"model": "model.safetensors", "fields": [[sys.argv[1]]], "field": [sys.argv[1]]}
of_host, evidence = execute("predict", field), execute("evidence", field)
with open("/proc/self/maps") as maps:
    files = sorted({line.split()[-1] for line in maps if ".so" in line})
print(json.dumps({
    "step": [loss.tolist(), norm, digest(logits), digest(net.parameters)],
    "probabilities": found.probabilities.tolist(),
    "host": [of_host, evidence["scales"], digest(unpack(evidence["heat"]))],
    "embeddings": digest(found.embeddings),
    "images": [digest(phenoscale.read_image(name)) for name in sys.argv[1:]],
    "home": phenoscale.__file__, "loaded": loaded, "files": files}))
"""


def run(*command, **options):
    """Standard output and error of a command; fails the test with them if the command fails."""
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, **options)
    assert done.returncode == 0, f"{command[0]}: status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def clean_environment():
    """Ours without what leads to the development build and its libraries."""
    own = Path(sys.executable).parent
    kept = {k: v for k, v in os.environ.items()
            if not k.startswith("LD_") and k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    kept["PATH"] = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep)
                                   if Path(p) != own)
    return kept


def other_python():
    """Another version of Python on this machine, CellProfiler's 3.9 before others, or None."""
    for minor in range(9, 30):
        if minor == sys.version_info.minor:
            continue
        installed = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*[0-9]/bin/python3"))
        for path in [shutil.which(f"python3.{minor}"), *installed]:
            # a name on PATH may be pyenv's, for a version that is not switched on
            if path and subprocess.run([path, "-c", "import ensurepip, venv"],
                                       capture_output=True).returncode == 0:
                return path
    return None


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """(path of a new wheel, what its building said)."""
    for program in ("gcc", "dpkg-query"):
        if not shutil.which(program):
            pytest.skip(f"the wheel needs {program}: it is made on Debian and its kin")
    out = tmp_path_factory.mktemp("wheelhouse")
    said = run(sys.executable, ROOT / "tools/build-wheel", sys.executable, out, cwd=out)
    wheel, = out.iterdir()
    return wheel, said


@pytest.fixture(scope="session", params=["this Python", "another Python"])
def environment(request, built, tmp_path_factory):
    """Interpreter of a fresh environment: the wheel, numpy, safetensors."""
    python, numpy = sys.executable, "numpy"
    if request.param == "another Python":
        python = other_python()
        if python is None:
            pytest.skip("no second version of Python (3.9 or later) on PATH or under ~/.pyenv")
        if "(3, 9)" in run(python, "-c", "import sys; print(sys.version_info[:2])"):
            numpy = "numpy==1.23.*"  # CellProfiler's
    folder = tmp_path_factory.mktemp("environment")
    clean = clean_environment()
    run(python, "-m", "venv", folder, env=clean)
    pip = (folder / "bin/python", "-m", "pip", "-q", "--disable-pip-version-check")
    run(*pip, "install", "--only-binary", ":all:", numpy, "safetensors", env=clean)
    run(*pip, "install", "--no-deps", built[0], env=clean)
    return folder / "bin/python"


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """A folder with fields.npy, model.safetensors and one TIFF a codec."""
    import tifffile

    import phenoscale

    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    fields = rng.integers(0, 1000, (4, 1, 128, 128)).astype(np.uint16)
    fields[2:] //= 8
    np.save(folder / "fields.npy", fields)
    classifier = phenoscale.WholeImageClassifier(network="mcnn-gap", epochs=1, batch=4)
    classifier.fit(fields, ["bright", "bright", "dim", "dim"]).save(folder / "model.safetensors")
    for codec in CODECS:
        plane = fields[0, 0].astype(np.uint8 if codec == "jpeg" else np.uint16)
        tifffile.imwrite(folder / f"{codec}.tif", plane, compression=codec)
    return folder


def probe(python, folder, **options):
    words = [f"{codec}.tif" for codec in CODECS]
    return json.loads(run(python, "-c", PROBE, *words, cwd=folder, **options).splitlines()[-1])


@pytest.fixture(scope="session")
def expected(inputs):
    """What the development build says."""
    return probe(sys.executable, inputs)


@pytest.fixture(scope="session")
def found(environment, inputs):
    """What the wheel says, far from the source."""
    return probe(environment, inputs, env=clean_environment())


def test_abi3audit_is_content(built):
    wheel, said = built
    assert re.fullmatch(r"phenoscale-[\d.]+-cp39-abi3-manylinux_2_\d+_x86_64\.whl", wheel.name)
    said = " ".join(said.split())
    assert "1 extensions scanned; 0 ABI version mismatches and 0 ABI violations found" in said


def test_names_inside(built):
    names = zipfile.ZipFile(built[0]).namelist()
    sources = ROOT / "python"
    ours = {path.relative_to(sources).as_posix() for kind in ("py", "j2", "pyi")
            for path in sources.glob(f"phenoscale/**/*.{kind}")} | {"phenoscale/py.typed"}
    assert {"phenoscale/tables/table.py", "phenoscale/reports/templates/report.html.j2"} <= ours
    assert {name for name in names if name.startswith("phenoscale/")
            and not name.startswith("phenoscale/plugins/")} == ours | {"phenoscale/_core.abi3.so"}
    of_hosts = {f"{host}/{file}" for host in HOSTS for file in HOSTS[host].files
                if (ROOT / "plugins" / host / file).exists()}  # the jar, where it is built
    assert {name.removeprefix("phenoscale/plugins/") for name in names
            if name.startswith("phenoscale/plugins/")} == {"__init__.py", *of_hosts}
    assert not [name for name in names if name.endswith((".c", ".h", ".pyc"))]
    roots = {name.split("/")[0] for name in names}
    assert {re.sub(r"-[\d.]+\.", ".", root) for root in roots} == {
        "phenoscale", "phenoscale.libs", "phenoscale.dist-info"}


def test_libraries_come_with_their_licences(built):
    names = zipfile.ZipFile(built[0]).namelist()
    libraries = {re.match(r"[A-Za-z]+", name.split("/")[1]).group().lower() for name in names
                 if name.startswith("phenoscale.libs/lib")}
    assert {"libdnnl", "libtiff", "libgomp"} <= libraries
    texts = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert {"LICENSE", "onednn/LICENSE", "onednn/THIRD-PARTY-PROGRAMS"} <= texts
    for library in libraries - {"libdnnl"}:
        assert any(re.match(rf"{library}\d*[^/]*/copyright", text) for text in texts), library
    assert "common-licenses/GPL-3" in texts  # libgomp's notice points at it


def test_metadata_asks_for_no_onednn(built):
    with zipfile.ZipFile(built[0]) as wheel:
        name, = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_string(wheel.read(name).decode())
        inside = wheel.namelist()
    needed = {re.match(r"[\w-]+", line).group()
              for line in metadata.get_all("Requires-Dist") if "extra ==" not in line}
    assert needed == {"numpy", "safetensors"}
    folder = name.replace("METADATA", "licenses/")
    assert {folder + text for text in metadata.get_all("License-File")} == {
        name for name in inside if name.startswith(folder)}


def test_no_folder_of_the_building_machine(built):
    with zipfile.ZipFile(built[0]) as wheel:
        core = wheel.read("phenoscale/_core.abi3.so")
    for folder in (str(ROOT), "phenoscale-wheel-", "pip-build-env"):
        assert folder.encode() not in core, folder


def test_answers_as_the_development_build(environment, found, expected):
    prefix = str(environment.parent.parent)
    assert found["home"].startswith(prefix) and not expected["home"].startswith(prefix)
    assert np.shape(found["probabilities"]) == (4, 2)
    for key in ("step", "probabilities", "embeddings", "images", "host"):
        assert found[key] == expected[key], key
    assert not {"pandas", "scipy", "matplotlib", "safetensors"} & set(found["loaded"])


def test_libraries_come_from_inside(environment, found):
    prefix = str(environment.parent.parent)
    for library in ("libdnnl", "libtiff", "libgomp", "libjpeg", "libzstd"):
        mapped = [file for file in found["files"] if Path(file).name.startswith(library)]
        assert mapped, library
        assert all(f.startswith(prefix) and "/phenoscale.libs/" in f for f in mapped), mapped


def test_plugins_are_installed_from_inside(environment, tmp_path):
    program = "from phenoscale.hosts.install_plugin import install; install('cellprofiler', '.')"
    run(environment, "-c", program, cwd=tmp_path, env=clean_environment())
    for file in HOSTS["cellprofiler"].files:
        assert (tmp_path / file).read_bytes() == (ROOT / "plugins/cellprofiler" / file).read_bytes()


def test_nothing_is_missing_beside_it(environment):
    """The metadata is satisfied by numpy and safetensors, and there is nothing else."""
    pip = (environment, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "check", env=clean_environment())
    listed = run(*pip, "list", "--format=freeze", env=clean_environment())
    assert set(re.findall(r"^([\w-]+)==", listed, re.MULTILINE)) <= {
        "phenoscale", "numpy", "safetensors", "pip", "setuptools"}
