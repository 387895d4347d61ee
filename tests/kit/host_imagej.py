# SPDX-License-Identifier: BSD-3-Clause
"""The real ImageJ for tests: a folder with plugin, models and worker; macros under Xvfb, commands
without any screen, sessions of several.

Every process has a time limit, since ImageJ shows its own errors in a dialog that waits for ever.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phenoscale.models.controls import controls_of
from screens import make_model

ROOT = Path(__file__).resolve().parents[2]
IJ = Path(os.environ.get("IJ_JAR", "/usr/share/java/ij.jar"))
PLUGINS = ROOT / "plugins/imagej"
JAVA = PLUGINS / "src/phenoscale"
LIMIT_S = "60"
COMMAND = "worker"
#: name -> (channels, dtype)
MODELS = {"gray8": (["DNA"], "uint8"), "gray16": (["DNA"], "uint16"),
          "float": (["DNA"], "float32"), "pair": (["DNA", "Actin"], "uint16"),
          "rgb": (["R", "G", "B"], "uint8")}

#: `phenoscale serve` that notes its process and what it was asked beside itself.
WORKER = """
import os, sys, threading
from pathlib import Path
from phenoscale.hosts.serve import serve
home, stdin, (source, target) = Path(__file__).parent, os.dup(0), os.pipe()
os.dup2(source, 0)
def relay():
    with open(home / "requests", "ab", 0) as log, open(target, "wb") as requests:
        while chunk := os.read(stdin, 1 << 20):
            log.write(chunk)
            requests.write(chunk)
            requests.flush()
with open(home / "starts", "a") as starts:
    print(os.getpid(), file=starts)
threading.Thread(target=relay, daemon=True).start()
sys.exit(serve())
"""


def make_home(folder):
    """A folder with a difficult name, with models, images, ImageJ's plugin and its worker."""
    for program in ("javac", "java", "xvfb-run"):
        if not shutil.which(program):
            pytest.skip(f"needs {program}: tools/install-system-deps tests")
    if not IJ.is_file():
        pytest.skip(f"needs ImageJ ({IJ}): tools/install-system-deps tests, or IJ_JAR=FILE")
    home = folder / "Möller, B"
    (home / "plugins").mkdir(parents=True)
    build_jar(home / "plugins/phenoscale_.jar")
    for name, (channels, dtype) in MODELS.items():
        model = make_model(channels=channels, dtype=dtype)
        model.controls = controls_of(np.random.default_rng(0).random(
            (5, model.embedding["size"]), np.float32))
        model.save(home / f"{name}.safetensors")
    worker = home / "worker"
    worker.write_text(f"#!{sys.executable}\n{WORKER}")
    worker.chmod(0o755)
    return home


def build_jar(path):
    subprocess.run([ROOT / "tools/build-imagej", IJ, path], check=True)


def environment(home):
    """With the worker on the path."""
    return os.environ | {"LC_ALL": "C.UTF-8", "PATH": f"{home}:{os.environ['PATH']}"}


def java(home, *words):
    """The words after `java`."""
    settings = home / "settings"  # not the user's own preferences
    settings.mkdir(exist_ok=True)
    return ["timeout", LIMIT_S, "java", f"-Duser.home={settings}", "-Dfile.encoding=UTF-8",
            "-Dsun.jnu.encoding=UTF-8", *words]


def headless(home, *words):
    """phenoscale.Main without a screen: (status, stdout)."""
    path = f"{IJ}:{home / 'plugins/phenoscale_.jar'}"
    done = subprocess.run(
        java(home, "-Djava.awt.headless=true", "-cp", path, "phenoscale.Main", *map(str, words)),
        capture_output=True, text=True, cwd=home, env=environment(home))
    return done.returncode, done.stdout + done.stderr


def batch(home, macro, argument=None):
    """A macro in ImageJ under Xvfb; what it printed. Its status says nothing."""
    file = home / "macro.ijm"
    if isinstance(macro, Path):
        file = macro
    else:
        file.write_text(f'd = getArgument() + "/";\nrun("Phenoscale Options...", '
                        f'"command=[{COMMAND}]");\n' + macro)
    done = subprocess.run(
        ["xvfb-run", "-a", *java(home, "-cp", str(IJ), "ij.ImageJ", "-ijpath", str(home),
                                 "-batch", str(file), argument or str(home))],
        capture_output=True, text=True, env=environment(home))
    assert done.returncode == 0, done.stderr
    return done.stdout


class Session:
    """An ImageJ without a screen that stays, and does one line after the other."""

    def __init__(self, home):
        self.home = home
        self.process = subprocess.Popen(
            java(home, "-Djava.awt.headless=true", "-cp",
                 f"{IJ}:{home / 'plugins/phenoscale_.jar'}", ROOT / "tests/java/Session.java"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env=environment(home))

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        """What it printed until it was done."""
        said = []
        while (line := self.process.stdout.readline()) not in ("done\n", ""):
            said.append(line)
        assert line, "".join(said)
        return "".join(said)

    def do(self, *lines):
        for line in lines:
            self.tell(line)
            said = self.answer()
        return said

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0

    def command(self, words):
        return self.do(f"run Options command=[{words}]")

    def classify(self, image="gray16.tif", model="gray16"):
        return self.do(f"open {self.home / image}",
                       f"run ClassifyImage model=[{self.home}/{model}.safetensors]")


def started(home):
    """The processes of all workers so far."""
    return (home / "starts").read_text().split()


def asked(home):
    return (home / "requests").read_text().count('"EXECUTE"')
