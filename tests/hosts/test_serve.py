# SPDX-License-Identifier: BSD-3-Clause
"""`phenoscale serve`: the protocol of docs/serve.md, kept whatever comes in."""

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import phenoscale
import screens
from phenoscale.hosts.serve import LIMIT_LINE, PROTOCOL
from phenoscale.hosts.task_fields import pack

WAIT_S = 60


class Client:
    """One worker and its lines."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, "-m", "phenoscale", "serve"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self._lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.hello = self.read()

    def _listen(self):
        for line in self.process.stdout:
            self._lines.put(line)

    def send(self, line):
        self.process.stdin.write(line if isinstance(line, bytes) else json.dumps(line).encode())
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def ask(self, task, script, **inputs):
        self.send({"task": task, "requestType": "EXECUTE", "script": script, "inputs": inputs})

    def read(self):
        return json.loads(self._lines.get(timeout=WAIT_S))

    def answer(self, task):
        """The last answer to a task, and all before it."""
        before = []
        while True:
            line = self.read()
            if line["task"] == task and line["responseType"] not in ("LAUNCH", "UPDATE"):
                return line, before
            before.append(line)

    def end(self):
        self.process.stdin.close()
        status, err = self.process.wait(WAIT_S), self.process.stderr.read().decode()
        return status, err


@contextmanager
def worker():
    client = Client()
    try:
        yield client
    finally:
        client.process.kill()
        client.process.wait()
        client.process.stderr.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mödel, 1.safetensors"
    screens.make_model(size=(512, 512)).save(path)
    return str(path)


def field(seed=0, size=(512, 512)):
    random = np.random.default_rng(seed)
    return random.integers(0, 60000, (2, *size)).astype(np.uint16)


def test_what_the_manual_shows(model):
    with worker() as client:
        assert client.hello == {"phenoscale": phenoscale.__version__, "protocol": PROTOCOL,
                                "tasks": ["about", "evidence", "predict", "table", "train",
                                          "version"]}
        pixels = field()
        client.ask("7", "predict", model=model, fields=[[pack(plane) for plane in pixels]])
        last, before = client.answer("7")
        assert [line["responseType"] for line in before] == ["LAUNCH", "UPDATE"]
        assert before[1] == {"task": "7", "responseType": "UPDATE", "current": 1, "maximum": 1,
                             "message": "1 of 1 fields"}
        wanted = phenoscale.predict(phenoscale.load(model), pixels[None]).probabilities
        assert last["responseType"] == "COMPLETION"
        assert (np.array(last["outputs"]["probabilities"], np.float32) == wanted).all()
        assert last["outputs"]["distance"] == [None]
        client.ask("8", "predict", model=model, fields=[["gone.tif", "gone.tif"]])
        assert client.answer("8")[0] == {
            "task": "8", "responseType": "FAILURE",
            "error": "gone.tif does not exist: restore it, or correct its path"}
        client.ask("9", "version")
        assert client.end() == (0, "")  # what was asked for is done first
        assert client.answer("9")[0]["responseType"] == "COMPLETION"


GARBAGE = [
    (b"\xff\xfe nothing", None, "no JSON in UTF-8"), (b"{", None, "no JSON"),
    (b"[" * 100_000, None, "no JSON"), (b"[]", None, "a request is a JSON object"),
    (b"{}", None, "'task' is text of 1 to 200"), (b'{"task": 7}', None, "'task' is text"),
    (json.dumps({"task": "x" * 201}).encode(), None, "'task' is text"),
    (b'{"task": "a"}', "a", "'requestType' is EXECUTE or CANCEL"),
    (b'{"task": "a", "requestType": "execute"}', "a", "'requestType' is"),
    (b'{"task": "a", "requestType": "EXECUTE"}', "a", "'script' names one of the tasks about"),
    (b'{"task": "a", "requestType": "EXECUTE", "script": ["predict"]}', "a", "'script' names"),
    (b" " * (LIMIT_LINE + 5), None, "a line of more than 16,777,216 bytes: give files"),
]


def test_garbage_gets_a_sentence_and_ends_nothing(model):
    with worker() as client:
        for line, task, words in GARBAGE:
            client.send(line)
            answer = client.read()
            assert answer["task"] == task and answer["responseType"] == "FAILURE"
            assert words in answer["error"], answer
        for inputs, words in ((5, "the inputs of a task are an object"),
                              ({"model": [model]}, "the input 'model'")):
            client.send({"task": "b", "requestType": "EXECUTE", "script": "about",
                         "inputs": inputs})
            assert words in client.answer("b")[0]["error"]
        client.send(b"")
        client.send({"task": "never", "requestType": "CANCEL"})
        client.ask("c", "__import__('os')")
        assert "no task '__import__('os')'" in client.answer("c")[0]["error"]
        client.ask("d", "about", model=model)
        assert client.answer("d")[0]["outputs"]["classes"] == screens.CLASSES


def test_random_bytes(model):
    rng, lines = random.Random(0), []
    good = json.dumps({"task": "a", "requestType": "EXECUTE", "script": "version"}).encode()
    for _ in range(500):
        line = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            line[rng.randrange(len(line))] = rng.choice([rng.randrange(256), 34, 123, 91, 92])
        lines.append(bytes(line).replace(b"\n", b" "))
    with worker() as client:
        client.send(b"\n".join(lines))
        client.ask("last one", "version")
        answer, before = client.answer("last one")
        assert answer["responseType"] == "COMPLETION" and len(before) > 400
        assert {line["responseType"] for line in before} <= {"LAUNCH", "COMPLETION", "FAILURE",
                                                            "CANCELATION"}


@pytest.mark.alone
def test_cancelled_within_half_a_second(model, tmp_path):
    """One that runs, one that waits; then the worker goes on."""
    one = [str(tmp_path / "a.tif")] * 2
    import tifffile

    tifffile.imwrite(one[0], field()[0])
    with worker() as client:
        client.ask("long", "predict", model=model, fields=[one] * 5000)
        client.ask("waits", "predict", model=model, fields=[one])
        client.ask("next", "predict", model=model, fields=[one])
        while client.read()["responseType"] != "UPDATE":
            pass
        client.send({"task": "waits", "requestType": "CANCEL"})
        client.send({"task": "long", "requestType": "CANCEL"})
        client.send({"task": "long", "requestType": "CANCEL"})
        begun, seen = time.monotonic(), []
        while len(seen) < 2:
            line = client.read()
            if line["responseType"] == "CANCELATION":
                seen.append(line["task"])
            assert line["responseType"] in ("UPDATE", "CANCELATION")
        assert sorted(seen) == ["long", "waits"] and time.monotonic() - begun < 2
        assert client.answer("next")[0]["responseType"] == "COMPLETION"
        client.send({"task": "next", "requestType": "CANCEL"})
        client.ask("again", "version")
        assert client.answer("again")[0]["responseType"] == "COMPLETION"
        assert client.end()[0] == 0


def test_many_cancels_at_any_moment(model):
    """However a CANCEL meets the end of its task: one answer a task, and the worker lives."""
    rng = random.Random(0)
    with worker() as client:
        pixels = [[pack(plane) for plane in field(size=(128, 128))]]
        for k in range(40):
            client.ask(str(k), "predict", model=model, fields=pixels)
            time.sleep(rng.uniform(0, 0.02))
            client.send({"task": str(k), "requestType": "CANCEL"})
        client.ask("end", "version")
        _, before = client.answer("end")
        last = [line["task"] for line in before
                if line["responseType"] in ("COMPLETION", "CANCELATION", "FAILURE")]
        assert sorted(last, key=int) == [str(k) for k in range(40)]


def test_a_cancelled_training_goes_on(tmp_path):
    screen = screens.write_screen(tmp_path / "screen", 1, 8, 0)
    inputs = {"table": str(screen), "label": "Metadata_Class", "out": str(tmp_path / "run"),
              "recipe": {"network": "mcnn-gap", "epochs": 300, "batch": 2}, "threads": 2}
    with worker() as client:
        client.ask("t", "train", **inputs)
        while "epoch 3" not in client.read().get("message", ""):
            pass
        client.send({"task": "t", "requestType": "CANCEL"})
        assert client.answer("t")[0]["responseType"] == "CANCELATION"
        assert any(name.startswith("checkpoint-") for name in os.listdir(tmp_path / "run"))
        client.ask("u", "train", **inputs)
        assert "holds a run that was stopped" in client.answer("u")[0]["error"]
        client.ask("v", "train", **inputs, resume=True)
        messages = [client.read().get("message", "") for _ in range(6)]
        assert any("resumed after step" in words for words in messages), messages
        client.send({"task": "v", "requestType": "CANCEL"})
        assert client.answer("v")[0]["responseType"] == "CANCELATION"
        client.ask("w", "version")
        assert client.answer("w")[0]["responseType"] == "COMPLETION"


def test_who_asked_for_a_training_goes_away(tmp_path):
    screen = screens.write_screen(tmp_path / "screen", 1, 8, 0)
    inputs = {"table": str(screen), "label": "Metadata_Class", "out": str(tmp_path / "run"),
              "recipe": {"network": "mcnn-gap", "epochs": 300, "batch": 2}, "threads": 2}
    process = subprocess.Popen([sys.executable, "-m", "phenoscale", "serve"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdin.write(json.dumps({"task": "t", "requestType": "EXECUTE", "script": "train",
                                    "inputs": inputs}).encode() + b"\n")
    process.stdin.flush()
    while b"epoch 3" not in process.stdout.readline():
        pass
    process.stdout.close()
    assert process.communicate(timeout=WAIT_S)[1] == b"" and process.returncode == 1
    assert any(name.startswith("checkpoint-") for name in os.listdir(tmp_path / "run"))


def test_ends_with_who_asked(model):
    """Ctrl-C in its terminal, a pipe that nobody reads any more: no orphan, no traceback."""
    with worker() as client:
        client.process.send_signal(signal.SIGINT)
        assert client.process.wait(WAIT_S) == 130
        assert client.process.stderr.read() == b"\ninterrupted\n"
    asked, answers = os.pipe(), os.pipe()
    process = subprocess.Popen([sys.executable, "-m", "phenoscale", "serve"], stdin=asked[0],
                               stdout=answers[1], stderr=subprocess.PIPE)
    os.close(answers[1])
    assert b"protocol" in os.read(answers[0], 1000)
    os.close(answers[0])
    os.write(asked[1], b'{"task": "a", "requestType": "EXECUTE", "script": "version"}\n')
    assert process.wait(WAIT_S) == 1 and process.stderr.read() == b""
    for end in (asked[0], asked[1]):
        os.close(end)
    process.stderr.close()
    with worker() as client:
        assert client.end() == (0, "")


def test_stdout_is_for_the_protocol_alone(model):
    """What a library prints does not get among the lines."""
    code = ("import os, sys\nfrom phenoscale.hosts import serve, tasks\n"
            "def loud(inputs, watch):\n    print('hello'); os.write(1, b'there')\n"
            "    return tasks.TASKS['version'](inputs, watch)\n"
            "tasks.TASKS['loud'] = loud\ntasks.SCHEMAS['loud'] = tasks.SCHEMAS['version']\n"
            "sys.exit(serve.serve())")
    line = json.dumps({"task": "1", "requestType": "EXECUTE", "script": "loud"}).encode()
    done = subprocess.run([sys.executable, "-c", code], input=line, capture_output=True)
    assert done.returncode == 0 and [json.loads(line)["responseType"] for line in
                                     done.stdout.splitlines()[1:]] == ["LAUNCH", "COMPLETION"]
    assert b"there" in done.stderr and b"hello" in done.stderr


def test_a_fault_of_ours_is_said_and_survived():
    code = ("import sys\nfrom phenoscale.hosts import serve, tasks\n"
            "tasks.TASKS['bad'] = lambda inputs, watch: {'a': 1 / 0}\n"
            "tasks.SCHEMAS['bad'] = tasks.SCHEMAS['version']\nsys.exit(serve.serve())")
    lines = "\n".join(json.dumps({"task": t, "requestType": "EXECUTE", "script": s})
                      for t, s in (("1", "bad"), ("2", "version")))
    done = subprocess.run([sys.executable, "-c", code], input=lines.encode(), capture_output=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert "a fault in phenoscale itself (ZeroDivisionError" in answers[2]["error"]
    assert answers[-1]["responseType"] == "COMPLETION" and b"ZeroDivisionError" in done.stderr


# ---- requests that are wrong ---------------------------------------------------------------------

WRONG = [None, True, 0, -1, 1.5, 1 << 70, "", "nothing", "a\0", "\ud800", [], [1], [[]], {},
         {"a": 1}, [{"a": []}], [None], "x" * 20000]


def spoiled(value, rng, place=""):
    """(place, copy) of a request's inputs, with one value of another kind somewhere."""
    if isinstance(value, dict) and value and (not place or rng.random() < 0.8):
        name = rng.choice(list(value))
        at, one = spoiled(value[name], rng, name)
        return at, {**value, name: one}
    if isinstance(value, list) and value and rng.random() < 0.7:
        number = rng.randrange(len(value))
        at, one = spoiled(value[number], rng, place)
        return at, [*value[:number], one, *value[number + 1 :]]
    kinds = [wrong for wrong in WRONG if type(wrong) is not type(value) or wrong == "a\0"]
    return place, rng.choice(kinds)


def requests(path, rng, n):
    """(name of what is wrong, task, inputs)."""
    plane = pack(field(size=(128, 128))[0])
    good = [("about", {"model": path, "threads": 1}),
            ("predict", {"model": path, "embeddings": True, "on_error": "stop", "threads": 1,
                         "fields": [[plane, {"path": "a", "page": 0, "sample": 0}]]}),
            ("evidence", {"model": path, "field": {"DNA": plane, "Actin": plane}, "class": "fine",
                          "threads": 1}),
            ("table", {"model": path, "source": "gone", "out": "/gone/p.csv", "threads": 1,
                       "how": {"pattern": "a", "channels": ["DNA"], "roles": {"plate": "P"},
                               "path_map": {"a": "b"}, "join": ["gone"], "root": "gone"}}),
            ("train", {"table": "gone", "label": "x", "out": "/gone/run", "threads": 1,
                       "recipe": {"epochs": 1, "network": "mcnn", "rate": 0.1, "augment": ["flip"],
                                  "fc_relu": True}, "holdout": {"P": ["1"]},
                       "controls": {"C": "x"}, "on_error": "stop", "resume": False})]
    for k in range(n):
        task, inputs = good[k % len(good)]
        if k % 7 == 0:
            yield "nonsense", task, {**inputs, "nonsense": 1}
        else:
            at, inputs = spoiled(inputs, rng)
            yield at, task, inputs


def test_wrong_requests_are_told_what_is_wrong(tmp_path):
    """Hundreds, each with one value of another kind: one line, the name of it, no fault of ours."""
    rng, path = random.Random(0), str(tmp_path / "m")
    screens.make_model().save(path)
    with worker() as client:
        for number, (at, task, inputs) in enumerate(requests(path, rng, 400)):
            client.ask(str(number), task, **inputs)
            answer, before = client.answer(str(number))
            assert len(before) == 1, before
            words = json.dumps(answer)
            assert "a fault in phenoscale itself" not in words, (at, inputs, words)
            if answer["responseType"] != "COMPLETION":  # null, and texts that say something else
                assert set(answer) == {"task", "responseType", "error"}
                assert "\n" not in answer["error"] and len(answer["error"]) < 1000
                if "the input" in words or "there is no input" in words:
                    assert at in answer["error"] or at in words, (at, inputs, words)
        client.ask("last", "version")
        assert client.answer("last")[0]["responseType"] == "COMPLETION"
        assert client.end() == (0, "")
