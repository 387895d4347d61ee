# SPDX-License-Identifier: BSD-3-Clause
"""The group of verbs: each is found, and its module loaded, when it is called."""

from __future__ import annotations

import importlib
import os

import click

import phenoscale
from phenoscale.ranks.job import promised_size

__all__ = ["RANKED", "VERBS", "cli"]

#: verb -> the beginning of its help, for the list of verbs; its module here has a function `verb`
VERBS = {
    "bench": "Numbers, speed and memory, side by side with PyTorch...",
    "check": "Look at a table or FOLDER and all its files before a...",
    "doctor": "What is installed, what is used, what is missing.",
    "evaluate": "Score the folder of a run, or a file of predictions,...",
    "evidence": "Show where in the fields of a TABLE or FOLDER the...",
    "explain": "Say what changed against the controls, from a TABLE of...",
    "install-plugin": "Put the modules for CellProfiler into its plugins...",
    "ladder": "Score a simple model on a TABLE, FOLDER or file of...",
    "launch": "Run a VERB, train, predict or measure, as RANKS...",
    "match": "Match the profiles of a TABLE: does the nearest have...",
    "measure": "Measure every field of a TABLE or FOLDER: the classic...",
    "predict": "Classify every field of a TABLE or FOLDER:...",
    "profile": "Profile the wells and treatments of PREDICTIONS, and...",
    "report": "Write RUN/report.html from what is in the run folder.",
    "serve": "Work for other programs: JSON lines on stdin and stdout...",
    "simulate": "Draw a simulated screen: TIFFs, a LoadData CSV, and the...",
    "train": "Train a network on the labelled fields of a TABLE or...",
}
#: verbs that several ranks may share
RANKED = ("train", "predict", "measure")


class _Verbs(click.Group):
    """Commands that are modules of this room."""

    def list_commands(self, context):
        return sorted(VERBS)

    def get_command(self, context, name):
        if name not in VERBS:
            return None
        module = importlib.import_module(f"phenoscale.cli.{name.replace('-', '_')}")
        return module.verb

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(sorted(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(phenoscale.__version__)
@click.pass_context
def cli(context):
    """Whole-image networks for high-content screens."""
    ranks = promised_size(os.environ) or 1
    if ranks > 1 and context.invoked_subcommand not in RANKED:
        raise click.UsageError(f"'{context.invoked_subcommand}' is not shared by {ranks} ranks: "
                               "start it without mpiexec or srun, once")
