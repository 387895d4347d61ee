# SPDX-License-Identifier: BSD-3-Clause
"""The self-contained wheel: what is inside, and that it answers as the development build does.

One program (PROBE) runs under the development build and in fresh environments that hold the wheel,
numpy and safetensors; what it prints has to be equal, to the last bit.
"""

import email
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from phenoscale.hosts.install_plugin import HOSTS
from wheels import ROOT, clean_environment, run

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
of_host = execute("predict", {"model": "model.safetensors", "fields": [[sys.argv[1]]]})
evidence = execute("evidence", {"model": "model.safetensors", "field": [sys.argv[1]]})
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
    tags = re.fullmatch(r"phenoscale-[\d.]+-cp39-abi3-([\w.]+)\.whl", wheel.name).group(1)
    assert all(int(re.fullmatch(r"manylinux_2_(\d+)_x86_64", tag).group(1)) <= 28
               for tag in tags.split(".")), tags
    said = " ".join(said.split())
    assert "1 extensions scanned; 0 ABI version mismatches and 0 ABI violations found" in said


def test_names_inside(built):
    names = zipfile.ZipFile(built[0]).namelist()
    sources = ROOT / "python"
    ours = {path.relative_to(sources).as_posix() for kind in ("py", "j2", "js", "pyi")
            for path in sources.glob(f"phenoscale/**/*.{kind}")} | {"phenoscale/py.typed"}
    assert {"phenoscale/tables/table.py", "phenoscale/reports/templates/report.html.j2"} <= ours
    assert {name for name in names if name.startswith("phenoscale/")
            and not name.startswith("phenoscale/plugins/")} == ours | {"phenoscale/_core.abi3.so"}
    files = ((host, Path(file).name) for host in HOSTS for file in HOSTS[host].files)
    of_hosts = {f"{host}/{file}" for host, file in files
                if (ROOT / "plugins" / host / file).exists()}  # the jar, where it is built
    assert {name.removeprefix("phenoscale/plugins/") for name in names
            if name.startswith("phenoscale/plugins/")} == {"__init__.py", *of_hosts}
    assert not [name for name in names if name.endswith((".c", ".h", ".pyc"))]
    roots = {name.split("/")[0] for name in names}
    assert {re.sub(r"-[\d.]+\.", ".", root) for root in roots} == {
        "phenoscale", "phenoscale.libs", "phenoscale.dist-info"}


def about_of(wheel):
    """{file of the dist-info: text}, and the other names inside."""
    with zipfile.ZipFile(wheel) as inside:
        names = inside.namelist()
        about = {name.split(".dist-info/")[1]: inside.read(name).decode() for name in names
                 if ".dist-info/" in name}
    return about, [name for name in names if ".dist-info/" not in name]


def test_libraries_come_with_their_licences(built):
    """Nothing inside that the table does not name; nothing of the GPL but with GCC's exception."""
    about, names = about_of(built[0])
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in about["licenses/THIRD-PARTY.md"].splitlines() if line.startswith("|")][2:]
    linked = {"zlib", "libdeflate", "libzstd", "libjpeg-turbo", "tiff"}
    assert {row[0] for row in rows} == {"onednn", "libgomp"} | linked
    for name, version, licence, source in rows:
        assert re.match(r"\d+\.\d", version) and re.search(r"\S sha256:[0-9a-f]{64}", source), name
        assert "GPL" not in licence or licence == "GPL-3.0-or-later WITH GCC-exception-3.1", name
        texts = [text for file, text in about.items() if file.startswith(f"licenses/{name}/")]
        assert texts and all(len(text) > 500 for text in texts), name
    assert {re.match(r"[A-Za-z]+", name.split("/")[1]).group() for name in names
            if ".libs/" in name} == {"libdnnl", "libgomp"}
    metadata = email.message_from_string(about["METADATA"])
    said = metadata["License-Expression"].split(" AND ")
    assert set(said) == {"BSD-3-Clause"} | {word for row in rows for word in row[2].split(" AND ")}
    assert "GNU GENERAL PUBLIC LICENSE" in about["licenses/libgomp/GPL-3"]
    assert about["licenses/libgomp/EXCEPTION"].startswith("GCC RUNTIME LIBRARY EXCEPTION")


def decoders(library):
    """What a built libtiff can decode, by the names of its functions and in its messages."""
    return set(re.findall(rb"\b(Fax|JBIG|JPEG|LERC|LogLuv|LZMA|LZW|NeXT|OJPEG|PackBits|PixarLog|"
                          rb"Thunder|TWebP|WebP|ZIP|ZSTD)\d?Decode", library))


def test_only_the_codecs_that_the_reader_takes(built, expected):
    with zipfile.ZipFile(built[0]) as wheel:
        core = wheel.read("phenoscale/_core.abi3.so")
    assert decoders(core) == {b"JPEG", b"LZW", b"PackBits", b"ZIP", b"ZSTD"}
    of_system = [Path(file).read_bytes() for file in expected["files"] if "libtiff" in file]
    assert all(decoders(library) > decoders(core) for library in of_system)


def test_metadata(built):
    """It asks for no oneDNN, and says what a package index shows."""
    about, _ = about_of(built[0])
    metadata = email.message_from_string(about["METADATA"])
    asked = metadata.get_all("Requires-Dist")
    assert {re.match(r"[\w-]+", line).group() for line in asked if "extra ==" not in line} == {
        "numpy", "safetensors"}
    assert not [line for line in asked if "onednn-cpu" in line]
    assert {"cli", "all", "mpi", "cellprofiler"} <= set(metadata.get_all("Provides-Extra"))
    assert metadata["Requires-Python"] == ">=3.9" and metadata["Keywords"]
    assert "Operating System :: POSIX :: Linux" in metadata.get_all("Classifier")
    assert metadata.get_payload().lstrip().startswith("# phenoscale")
    texts = {file.removeprefix("licenses/") for file in about if file.startswith("licenses/")}
    assert set(metadata.get_all("License-File")) == texts


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
    linked_in = ("libtiff", "libjpeg", "libzstd", "libdeflate")
    assert not [file for file in found["files"] if Path(file).name.startswith(linked_in)]
    for library in ("libdnnl", "libgomp"):
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
