# SPDX-License-Identifier: BSD-3-Clause
"""train: labelled fields in, a run folder out."""

from __future__ import annotations

import sys

import click

from phenoscale.cli.endings import say_skipped, say_stopped, say_unscored
from phenoscale.cli.options import (
    LIMITS,
    gathered,
    given,
    listed_words,
    nuclei_option,
    on_error_option,
    pairs,
    quiet_option,
    reading_options,
    threads_option,
    tower_option,
)
from phenoscale.errors import InputError
from phenoscale.evaluation.cross_validation import Folds, cross_validate, pooled_folder
from phenoscale.evaluation.evaluate import evaluate
from phenoscale.images.fields import AUGMENTS
from phenoscale.models.averaged import MOST_MEMBERS, VIEWS
from phenoscale.models.feeding import NORMALISERS
from phenoscale.models.head import HEADS
from phenoscale.models.networks import NETWORKS
from phenoscale.progress import Progress
from phenoscale.ranks.alone import EXCHANGES
from phenoscale.ranks.crew import Crew
from phenoscale.ranks.job import join
from phenoscale.ranks.roll_call import agree
from phenoscale.reports.report import write_report
from phenoscale.signals import Stopped
from phenoscale.tables.folds import FOLDS_BY
from phenoscale.tables.outputs import refuse_to_lose
from phenoscale.tables.read import read_table
from phenoscale.tables.split import Split
from phenoscale.training.recipe import Recipe
from phenoscale.training.run import train_run
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.running import DATA_CHANGED, Running
from phenoscale.words import visible

__all__ = ["verb"]


# ---- the recipe ----------------------------------------------------------------------------------


_RECIPE = {
    "network": click.option("--network", default="mcnn", show_default=True,
                            type=click.Choice(list(NETWORKS))),
    "epochs": click.option("--epochs", default=40, show_default=True, type=click.IntRange(1)),
    "batch": click.option("--batch", default=4, show_default=True, type=click.IntRange(1, 65536)),
    "rate": click.option("--lr", "rate", type=float, help="Learning rate. Default: 0.01 for a "
                         "batch of 4, in proportion to the batch, at most 0.032."),
    "schedule": click.option("--schedule", default="linear", show_default=True,
                             help="linear, cosine (both after a warm-up), constant, or "
                             "published."),
    "optimizer": click.option("--optimizer", default="nesterov", show_default=True,
                              help="nesterov, sgd, adam."),
    "momentum": click.option("--momentum", default=0.9, show_default=True),
    "decay": click.option("--decay", default=5e-5, show_default=True, help="Weight decay."),
    "smoothing": click.option("--smoothing", default=0.1, show_default=True,
                              help="Label smoothing."),
    "clip": click.option("--clip", default=5.0, show_default=True,
                         help="Norm of gradients; 0: no limit."),
    "augment": click.option("--augment", default="flip,turn,intensity", show_default=True,
                            help=f"Any of {','.join(AUGMENTS)}; none: ''."),
    "balance": click.option("--balance", default="class", show_default=True,
                            help="class or none."),
    "patience": click.option("--patience", default=0, show_default=True, type=click.IntRange(0),
                             help="Stop after so many epochs without a smaller validation loss; "
                             "0: never."),
    "select": click.option("--select", default="last", show_default=True,
                           help="last or best epoch."),
    "average": click.option("--average", default=1, show_default=True, type=click.IntRange(1),
                            help="The weights are the mean of those at the ends of so many last "
                            "epochs."),
    "fc_relu": click.option("--fc-relu/--no-fc-relu", default=True, show_default=True,
                            help="mcnn: a ReLU after the dense layer of 512."),
    "tower": tower_option,
    "head": click.option("--head", type=click.Choice(HEADS), help="What the classes come from: "
                         "both is the mean of what network and measures (docs/measures.md) say. "
                         "Default: chosen at the end, and said."),
    "nuclei": nuclei_option,
    "normalise": click.option("--normalise", default=NORMALISERS[0], show_default=True,
                              type=click.Choice(NORMALISERS), help="By what counts are made alike: "
                              "all training fields; or each plate's own negative controls, over "
                              "mean and deviation (plate) or between percentiles "
                              "(docs/normalisation.md)."),
    "seed": click.option("--seed", default=0, show_default=True, type=click.IntRange(0)),
    "views": click.option("--views", default="one", show_default=True, type=click.Choice(VIEWS),
                          help="all: the model's answers are means over the flips and quarter "
                          "turns of a field, which takes it 8 times as long (not square: 4)."),
    "members": click.option("--members", default=1, show_default=True,
                            type=click.IntRange(1, MOST_MEMBERS), help="Networks, trained with "
                            "SEED, SEED + 1, ..., whose answers one model file averages."),
    "bin": click.option("--bin", default=1, show_default=True,
                        type=click.IntRange(1, LIMITS["bin"]),
                        help="Means of so many pixels each way.")}


def _recipe(augment, **words):
    """A function from z, which the options of reading have, to the recipe."""
    try:
        recipe = {**words, "augment": tuple(listed_words(augment))}
        Recipe(**recipe)
    except InputError as error:
        raise click.UsageError(str(error)) from None
    return lambda z: Recipe(**recipe, z=z)


# ---- the split, and how it is gone about ---------------------------------------------------------


_SPLIT = {
    "column": click.option("--split", "column", help="Column that says train, val or test."),
    "holdout": click.option("--holdout", multiple=True, metavar="COLUMN=VALUE[,...]",
                            help="Scored at the end, never used for a choice. A value with a comma "
                            "in quotes: 'COLUMN=\"a,b\",c'."),
    "val_by": click.option("--val-by", default="well", show_default=True,
                           type=click.Choice(["well", "plate", "compound"])),
    "val_fraction": click.option("--val-fraction", type=float,
                                 help="0: none. Default: 0.15 where wells suffice."),
    "controls": click.option("--controls", multiple=True, metavar="COLUMN=VALUE[,...]",
                             help="For the report."),
    "cv": click.option("--cv", type=click.Choice(list(FOLDS_BY)), help="Cross-validate: hold out "
                       "every field in turn with its well, plate, batch or compound, then train "
                       "on all; those of --holdout are in neither."),
    "folds": click.option("--folds", metavar="N|all", default="5", show_default=True,
                          help="With --cv: so many, or one for each well, plate, ...")}


def _split(column, holdout, val_fraction, controls, cv, folds, **words
           ) -> tuple[Split, dict, Folds | None]:
    """The split, the controls of the report, and how fields are held out in turn."""
    if cv is not None and (column is not None or val_fraction is not None):
        raise click.UsageError("--cv holds out every field in turn: leave --split and "
                               "--val-fraction out, or train without --cv")
    if folds != "all" and not folds.isdecimal():
        raise click.UsageError(f"--folds {folds}: give a number, or all")
    if column is not None and (holdout or val_fraction is not None):
        raise click.UsageError("give either --split, or --holdout and --val-fraction")
    held = pairs(holdout, "--holdout")
    return (Split(column=column, holdout=held, val_fraction=val_fraction, **words),
            pairs(controls, "--controls"),
            Folds(cv, None if folds == "all" else int(folds), held) if cv else None)


_RUNNING = {
    "on_error": on_error_option("stop", "For fields that cannot be used."),
    "resume": click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in "
                           "RUN, to the same weights; begin where there is none."),
    "checkpoint_s": click.option("--checkpoint-every", "checkpoint_s", default=60.0,
                                 show_default=True, type=click.FloatRange(0), help="Seconds."),
    "data_changed": click.option("--data-changed", default="refuse", show_default=True,
                                 type=click.Choice(DATA_CHANGED), help="With --resume, where files "
                                 "have other pixels than when the run began."),
    "tensorboard": click.option("--tensorboard", is_flag=True,
                                help="Event files in RUN/tensorboard.")}
_MACHINE = {
    "exchange": click.option("--exchange", default="factors", show_default=True,
                             type=click.Choice(EXCHANGES), help="What ranks send of the dense "
                             "layers; matrix is for batches over 1,000, and its bits depend on the "
                             "number of ranks (docs/mpi.md)."),
    "threads": threads_option, "quiet": quiet_option}


# ---- the verb ------------------------------------------------------------------------------------


@click.command("train")
@click.argument("table", type=click.Path())
@click.option("--label", required=True, help="Column of the classes.")
@click.option("--out", required=True, type=click.Path(), help="Run folder to make.")
@gathered("recipe", _recipe, _RECIPE)
@gathered("split", _split, _SPLIT)
@gathered("running", Running, _RUNNING)
@reading_options
@gathered("machine", dict, _MACHINE)
def verb(table, label, out, recipe, split, running, reading, machine):
    """Train a network on the labelled fields of a TABLE or FOLDER.

    Ctrl-C stops it with a checkpoint of the last finished step; --resume goes on from there.
    """
    (split, controls, folds), folder, ranks = split, RunFolder(out), join()
    agree(ranks, given)
    ranks.exchange, quiet = machine["exchange"], machine["quiet"] or ranks.rank > 0
    if ranks.spread(running.resume and folder.has(folder.MODEL)):
        return 0 if ranks.rank else _say_ended(folder)
    refuse_to_lose(*folder.lying(), inputs=[table, *reading.join])
    fields = read_table(table, reading)
    try:
        with Progress(quiet) as progress:
            progress.note(fields.notes)
            crew = Crew(ranks, machine["threads"], progress, quiet)
            if folds:
                cross_validate(fields, label, out, recipe(reading.z), folds, controls, running,
                               crew)
            else:
                train_run(fields, label, out, recipe(reading.z), split, controls, running, crew)
    except Stopped as error:  # here, since click takes every KeyboardInterrupt for its own
        return say_stopped(error, out)
    if ranks.rank:
        return 0
    del fields  # and the model is gone: the report has the memory to itself
    print(write_report(out))
    if folds:
        _say_folds(pooled_folder(out).path)
    return _say_left_out(folder)


def _say_folds(pooled: str) -> None:
    """The score of all folds, and where it lies."""
    print(write_report(pooled))
    found = evaluate(pooled)
    print(found.write(pooled)[0], visible(found.text(), keep="\n"), sep="\n")


def _say_ended(folder: RunFolder) -> int:
    """The status where there is nothing to resume; a run may have been stopped in its report."""
    print(f"{folder.path} has ended: nothing to resume", file=sys.stderr)
    has_report = folder.has(folder.REPORT)
    print(folder.file(folder.REPORT) if has_report else write_report(folder.path))
    return _say_left_out(folder)


def _say_left_out(folder: RunFolder) -> int:
    """The status of a run that has ended."""
    status = say_skipped(folder.file(folder.ERRORS)) if folder.has(folder.ERRORS) else 0
    say_unscored(folder.unscored())
    return status
