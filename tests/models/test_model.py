# SPDX-License-Identifier: BSD-3-Clause
"""The model file: nothing lost on the way, and no file, however made, but an InputError."""

import json
import os
import re
import struct
import time
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

pytest.importorskip("pandas"), pytest.importorskip("tifffile")
import phenoscale
import screens
from phenoscale import InputError, _core, load
from phenoscale.files.atomic import write_atomically
from phenoscale.models import networks
from phenoscale.models.model import Model
from phenoscale.tables.class_keys import class_key

TINY = ("field: input channels=1 height=8 width=8 pad=1\n"
        "conv: conv filters=2 kernel=3 relu=1\n"
        "gap: gap\n"
        "classes: dense units=2\n")  # 2 * 9 + 2 + 4 * 2 + 2 = 30 numbers


def tiny_model(**options):
    return Model(**{
        "parameters": np.arange(30, dtype=np.float32), "slices": _core.Net(TINY).slices,
        "description": TINY, "network": "mcnn-gap", "classes": ["a", "b"], "channels": ["DNA"],
        "size": [8, 8], "dtype": "uint16", "scale": [0.5], "offset": [-1.0],
        "embedding": {"name": "x", "size": _core.Net(TINY).embedding}, **options})


def split_file(path):
    """(header as a dict, bytes of the tensors)."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join_file(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


@pytest.fixture
def parts(tmp_path):
    tiny_model().save(tmp_path / "good")
    return split_file(tmp_path / "good")


def refused(path, content, words=None):
    """Load the bytes: an InputError of one sentence that names the file, and soon."""
    path.write_bytes(content)
    begun = time.process_time()
    with pytest.raises(InputError, match=words) as caught:
        load(path)
    assert time.process_time() - begun < 2
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


# ---- there and back -------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["mcnn", "mcnn-gap"])
def test_round_trip(tmp_path, network):
    model = screens.make_model(network)
    model.split = {"column": None, "holdout": {"Metadata_Plate": ["P2"]}}
    model.classes = ["Ωmega", 'quo"te']
    model.parameters[7] = np.float32(1e-42)  # a denormal
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.parameters.tobytes() == model.parameters.tobytes()
    for name in {f.name for f in fields(Model)} - {"parameters", "path"}:
        assert getattr(again, name) == getattr(model, name), name
    assert again.digest() == model.digest()


def test_the_metadata_has_all_that_design_promises(parts):
    about = json.loads(parts[0]["__metadata__"]["phenoscale"])
    assert parts[0]["__metadata__"]["format"] == "phenoscale 1"
    assert about.keys() == {
        "description", "network", "classes", "channels", "size", "dtype", "scale", "offset",
        "normalisation", "label", "split", "table_digest", "seed", "sources", "bin", "z", "padding",
        "embedding", "controls", "counts", "novelty", "certainty", "version", "keys",
        "recipe", "labels", "head", "feeding"}
    assert [about[key] for key in ("bin", "z", "controls", "counts", "certainty",
                                   "novelty", "head")] == [1, *6 * [None]]


def test_the_safetensors_package_reads_it(tmp_path):
    model = screens.make_model("mcnn")
    model.save(tmp_path / "m")
    tensors = safetensors.numpy.load_file(tmp_path / "m")
    assert tensors["scale0.conv1.weight"].shape == (16, 2, 5, 5)
    assert tensors["classes.bias"].shape == (2,)
    flat = np.concatenate([tensors[name].ravel() for name, *_ in model.slices])
    assert flat.tobytes() == model.parameters.tobytes()


def test_the_safetensors_package_would_write_the_same(tmp_path):
    model = screens.make_model("mcnn", channels=["Ωmega"])
    model.save(tmp_path / "m")
    ours, data = split_file(tmp_path / "m")
    theirs = safetensors.numpy.save(safetensors.numpy.load_file(tmp_path / "m"),
                                    metadata=ours["__metadata__"])
    (tmp_path / "theirs").write_bytes(theirs)
    header, other = split_file(tmp_path / "theirs")
    assert ours.keys() == header.keys() and ours["__metadata__"] == header["__metadata__"]
    assert ((tmp_path / "m").stat().st_size - len(data)) % 8 == 0 and len(data) == len(other)
    for name in ours.keys() - {"__metadata__"}:
        assert {k: ours[name][k] for k in ("dtype", "shape")} == {
            k: header[name][k] for k in ("dtype", "shape")}
        here, there = (slice(*h[name]["data_offsets"]) for h in (ours, header))
        assert data[here] == other[there]


def test_tensors_in_another_order_are_the_same_model(tmp_path, parts):
    header, data = parts
    size = len(data)
    turned, at = {"__metadata__": header.pop("__metadata__")}, 0
    blocks = []
    for name in sorted(header, reverse=True):
        begin, end = header[name]["data_offsets"]
        blocks.append(data[begin:end])
        turned[name] = {**header[name], "data_offsets": [at, at + end - begin]}
        at += end - begin
    assert at == size
    (tmp_path / "m").write_bytes(join_file(turned, b"".join(blocks)))
    assert load(tmp_path / "m").digest() == tiny_model().digest()


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    tiny_model().save(tmp_path / "m")
    before = (tmp_path / "m").read_bytes()
    with pytest.raises(InputError, match="cannot be written: No such file"):
        write_atomically(tmp_path / "nowhere" / "m", [])
    os.mkfifo(tmp_path / "pipe")
    for special in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="cannot be written: it is a folder or a device"):
            write_atomically(special, [])
    assert (tmp_path / "pipe").is_fifo()
    os.remove(tmp_path / "pipe")
    assert os.listdir(tmp_path) == ["m"]

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="m cannot be written: No space left on device"):
        tiny_model(seed=7).save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == before and os.listdir(tmp_path) == ["m"]


def test_class_keys():
    assert [class_key(n) for n in ("Eg5 inhibitors", "a-b_c.d", "Ω", "7")] == [
        "Eg5inhibitors", "abcd", "", "7"]


# ---- what is no model -----------------------------------------------------------------------


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(InputError, match="does not exist: give the model.safetensors"):
        load(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(InputError, match="is no file"):
            load(path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="loop (cannot be read|does not exist)"):
        load(tmp_path / "loop")


def test_files_of_other_programs(tmp_path):
    path, words = tmp_path / "m", "is no phenoscale file, or is damaged"
    refused(path, b"", words)
    refused(path, b"II*\0" + bytes(100), words)
    refused(path, b"\x80\x04}\x94\x8c\x07weights\x94]\x94G?\xf0\x00\x00\x00\x00\x00\x00as.", words)
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02c")
    refused(path, (tmp_path / "zip").read_bytes(), words)
    refused(path, safetensors.numpy.save({"weight": np.zeros(4, np.float32)}), words)
    refused(path, safetensors.numpy.save({"weight": np.zeros(4, np.float32)},
                                         metadata={"format": "pt"}), words)
    np.save(tmp_path / "n.npy", np.zeros(9))
    refused(path, (tmp_path / "n.npy").read_bytes(), words)


def test_a_later_format_asks_for_a_later_version(tmp_path, parts):
    header, data = parts
    header["__metadata__"]["format"] = "phenoscale 2"
    refused(tmp_path / "m", join_file(header, data), "later phenoscale: install that version")


@pytest.mark.parametrize("length", [0, 1, 7, 100, 2**20 + 1, 2**31, 2**63, 2**64 - 1])
def test_lengths_of_the_header(tmp_path, parts, length):
    refused(tmp_path / "m", join_file(*parts, length=length))


@pytest.mark.parametrize("text", [
    b"\xff\xfe{}", b"[]", b"null", b"12", b'"x"', b"{", b"{}", b"[" * 100000, b'{"a":' * 100000,
    b'{"__metadata__": 5}', b'{"__metadata__": {"format": 5}}',
    b'{"__metadata__": {"format": "phenoscale one"}}',
    b'{"__metadata__": {"format": "phenoscale 1"}}',
    b'{"__metadata__": {"format": "phenoscale ' + b"9" * 5000 + b'"}}',
    b'{"__metadata__": {"format": "phenoscale 1", "phenoscale": 5}}',
    b'{"__metadata__": {"format": "phenoscale 1", "phenoscale": "[]"}}',
    b'{"__metadata__": {"format": "phenoscale 1", "phenoscale": "' + b"[" * 100000 + b'"}}',
    b'{"__metadata__": {}, "__metadata__": {}}',
], ids=lambda text: text[:40].decode("latin-1"))
def test_headers_that_are_none(tmp_path, text):
    refused(tmp_path / "m", join_file(text, b""))


def test_keys_that_are_there_twice(tmp_path, parts):
    header, data = parts
    text = json.dumps(header)
    refused(tmp_path / "m", join_file(text.replace("{", '{"__metadata__": {}, ', 1).encode(), data))
    about = header["__metadata__"]["phenoscale"]
    header["__metadata__"]["phenoscale"] = about.replace("{", '{"seed": 3, ', 1)
    refused(tmp_path / "m", join_file(header, data))


@pytest.mark.parametrize("key, value", [
    ("classes", []), ("classes", ["a"]), ("classes", ["a", "a"]), ("classes", ["a", 1]),
    ("classes", ["a", ""]), ("classes", {"a": 1}), ("classes", ["a", "b", "c"]),
    ("channels", []), ("channels", ["DNA", "Actin"]), ("channels", "DNA"), ("channels", [None]),
    ("size", [8]), ("size", [8, 8.0]), ("size", [8, -8]), ("size", [8, True]), ("size", [8, 9]),
    ("size", [2**40, 8]), ("size", "8x8"),
    ("dtype", "int8"), ("dtype", ["uint16"]), ("dtype", None),
    ("scale", [float("nan")]), ("scale", [float("inf")]), ("scale", [1e300]),
    ("scale", [10**400]),
    ("scale", ["1"]), ("scale", [True]), ("scale", []), ("scale", [1, 1]), ("scale", 1),
    ("offset", [None]), ("offset", [-1e39]), ("offset", [1, 2]),
    ("bin", 0), ("bin", 65), ("bin", 2.0), ("z", "sum"), ("z", 1), ("z", "-1"),
    ("sources", ["A"] * 9), ("sources", "A"), ("controls", {}),
    ("seed", 1.5), ("seed", None), ("split", []), ("embedding", "512"), ("version", 1),
    ("network", None), ("label", 3), ("padding", 128), ("normalisation", {}),
    ("table_digest", None), ("description", ["conv"]),
], ids=repr)
def test_metadata_that_makes_no_sense(tmp_path, parts, key, value):
    header, data = parts
    about = json.loads(header["__metadata__"]["phenoscale"])
    header["__metadata__"]["phenoscale"] = json.dumps({**about, key: value})
    refused(tmp_path / "m", join_file(header, data))
    del about[key]
    header["__metadata__"]["phenoscale"] = json.dumps(about)
    refused(tmp_path / "m", join_file(header, data), f"its '{key}' is missing")


@pytest.mark.parametrize("old, new", [
    ("units=2", "units=3"), ("units=2", "units=99999999999"), ("units=2", "units=-2"),
    ("units=2", "units=1e1"), ("units=2", "units=0x2"), ("filters=2", "filters=4096"),
    ("kernel=3", "kernel=2"), ("kernel=3", "kernel=1001"), ("gap: gap", "gap: softmax"),
    ("gap: gap", "gap: gap\ngap: gap"), ("relu=1", "relu=1 relu=1"), ("relu=1", "speed=9"),
    ("conv: conv", "conv: conv from=classes"), ("conv: conv", "conv: conv from=conv"),
    ("pad=1", "pad=0"), ("pad=1", "pad=4096"), ("height=8", "height=80000"),
    ("channels=1", "channels=2"), ("channels=1", "channels=1 channels=1"), (TINY, ""),
    (TINY, "\n" * 1000), (TINY, "x" * 100000), ("conv: conv", "conv: conv\0"),
    ("conv: conv", "conv: eval"), ("classes: dense units=2\n", ""),
    ("field: input channels=1 height=8 width=8 pad=1\n", ""),
    ("gap: gap\n", "two: input channels=1 height=8 width=8 pad=1\ngap: gap\n"),
    (TINY, networks.describe("mcnn", 1, 8, 8, 2)),
    ("gap: gap", "\n".join(f"c{i}: conv filters=4096 kernel=5" for i in range(600)) + "\ngap: gap"),
])
def test_networks_that_are_none(tmp_path, parts, old, new):
    header, data = parts
    about = json.loads(header["__metadata__"]["phenoscale"])
    assert old in about["description"]
    about["description"] = about["description"].replace(old, new)
    header["__metadata__"]["phenoscale"] = json.dumps(about)
    refused(tmp_path / "m", join_file(header, data))


def change(header, name, **entries):
    return {**header, name: {**header[name], **entries}}


def hostile_tensors(header, data):
    """What is wrong -> the bytes of a file."""
    size = len(data)
    bias = header["conv.bias"]["data_offsets"]
    without = {name: entry for name, entry in header.items() if name != "conv.bias"}
    made = {
        "missing": join_file(without, data),
        "extra": join_file({**header, "more": {"dtype": "F32", "shape": [1],
                                               "data_offsets": [size, size + 4]}}, data + bytes(4)),
        "renamed": join_file({**without, "conv.bios": header["conv.bias"]}, data),
        "trailing bytes": join_file(header, data + b"PK\x03\x04"),
        "too short": join_file(header, data[:-1]),
        "hole": join_file(change(header, "conv.bias", data_offsets=[size + 8, size + 16]),
                          data + bytes(16)),
        "no data": join_file(header, b""),
    }
    for what, entries in {
        "shape": {"shape": [1, 2]}, "transposed": {"shape": [2, 1]}, "scalar": {"shape": []},
        "negative": {"shape": [-2]}, "float": {"shape": [2.0]}, "zero": {"shape": [0]},
        "overflow": {"shape": [4194305, 4194305, 211106198978564]},
        "type": {"dtype": "I32"}, "brain": {"dtype": "BF16", "shape": [4]},
        "eight": {"dtype": "F8_E4M3", "shape": [8]}, "unknown": {"dtype": "F33"},
        "number": {"dtype": 5}, "reversed": {"data_offsets": bias[::-1]},
        "overlap": {"data_offsets": [0, 8]}, "beyond": {"data_offsets": [2**40, 2**40 + 8]},
        "one": {"data_offsets": bias[:1]}, "words": {"data_offsets": ["0", "8"]},
        "below": {"data_offsets": [-8, 0]}, "extra key": {"code": "__import__('os')"},
    }.items():
        made[what] = join_file(change(header, "conv.bias", **entries), data)
    made["not a dict"] = join_file({**header, "conv.bias": 5}, data)
    return made


def test_tensors_that_are_not_those_of_the_network(tmp_path, parts):
    for what, content in hostile_tensors(*parts).items():
        if what == "extra key":  # nothing reads it: the safetensors package lets it pass
            (tmp_path / "m").write_bytes(content)
            continue
        refused(tmp_path / "m", content)


def test_a_million_tensors(tmp_path, parts):
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = {**parts[0], **{f"t{i}": entry for i in range(20000)}}
    assert len(json.dumps(header)) > 2**20
    refused(tmp_path / "m", join_file(header, parts[1]))


def test_truncated_anywhere(tmp_path):
    tiny_model().save(tmp_path / "good")
    content = (tmp_path / "good").read_bytes()
    assert len(content) < 4096
    for length in range(len(content)):
        refused(tmp_path / "m", content[:length])


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers(tmp_path, weight):
    model = tiny_model()
    model.parameters[3] = weight
    model.save(tmp_path / "m")
    with pytest.raises(InputError, match="m is damaged: it has weights that are NaN or infinite"):
        load(tmp_path / "m")


@pytest.mark.soak
def test_mutants(tmp_path, amount):
    """A model that works, or a sentence: 20,000 at each change, a million in a soak."""
    tiny_model().save(tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    rng, loaded, path = np.random.default_rng(0), 0, tmp_path / "m"
    words = [b"0", b"-1", b"1e999", b"null", b"[]", b"{}", b'"', b"\\u0000", b"9" * 30]
    begun, n = time.process_time(), amount(20_000, 1_000_000)
    for _ in range(n):
        content = bytearray(good)
        for _ in range(rng.integers(1, 5)):
            at, kind = int(rng.integers(len(content))), rng.integers(4)
            if kind == 0:
                content[at] ^= 1 << int(rng.integers(8))
            elif kind == 1:
                del content[at : at + int(rng.integers(1, 50))]
            elif kind == 2:
                content[at:at] = words[rng.integers(len(words))]
            else:
                other = int(rng.integers(len(content)))
                content[at : at + 9] = content[other : other + 9]
            content = content or bytearray(1)
        path.write_bytes(content)
        try:
            model = load(path)
        except InputError:
            continue
        loaded += 1
        assert model.parameters.shape == (30,) and len(model.classes) == 2
        phenoscale.predict(model, np.zeros((1, 1, 8, 8), model.dtype), 1)
    print(f"{n} mutants of a model file, {loaded} of them models still")
    assert (time.process_time() - begun) / n < 0.01
    assert 0 < loaded < 0.75 * n  # those whose weights alone were hit


def test_a_model_that_claims_to_take_any_size(tmp_path):
    model = screens.make_model("mcnn")
    model.network = "mcnn-gap"
    model.save(tmp_path / "m")
    with pytest.raises(InputError, match="the model takes no fields of 256 x 128, only of 128 x"):
        phenoscale.predict(load(tmp_path / "m"), np.zeros((1, 2, 256, 128), np.uint16))


def test_nothing_in_the_package_runs_what_a_file_says():
    forbidden = re.compile(r"pickle|\beval\(|\bexec\(|yaml\.load\(|allow_pickle=True|shell=True|"
                           r"os\.system|__import__")
    for path in Path(phenoscale.__file__).parent.rglob("*.py"):
        assert not forbidden.findall(path.read_text()), path.name
