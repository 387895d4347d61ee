# SPDX-License-Identifier: BSD-3-Clause
"""A training run: a table in, a run folder out.

    table -> split -> every header -> every pixel -> steps, checkpoints -> the rest scored -> model
                                                  -> of several networks a run each first

What the folder holds is said in run_folder.py.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, replace

from phenoscale.errors import InputError
from phenoscale.files.csv import write_csv
from phenoscale.images.usable import Usable, usable
from phenoscale.machine import environment
from phenoscale.models.averaged import cost_words
from phenoscale.models.model import Model
from phenoscale.prediction.plates import find_plates, unmeasured
from phenoscale.ranks.crew import Crew
from phenoscale.ranks.exchange import break_even
from phenoscale.tables.class_keys import class_keys
from phenoscale.tables.confounded import confounding
from phenoscale.tables.keys import KEY
from phenoscale.tables.outputs import refuse_to_lose
from phenoscale.tables.predictions import about_columns
from phenoscale.tables.repeats import doubts
from phenoscale.tables.roles import absent_roles
from phenoscale.tables.split import SIDES, Split, split_table
from phenoscale.tables.table import Table, file_cells
from phenoscale.training.begun import changed, check_unchanged, record, stamps_of
from phenoscale.training.ended import check_ended
from phenoscale.training.ending import Ending, model_of
from phenoscale.training.first_pass import Labelled, check_copies, read_all
from phenoscale.training.follower import Follower
from phenoscale.training.keeper import Keeper
from phenoscale.training.members import member_folders, member_recipe, refuse_others, take_members
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.running import Running
from phenoscale.training.train import Trained, begin, fit
from phenoscale.training.unscored import why_unscored
from phenoscale.words import count

__all__ = ["train_run"]


def train_run(table: Table, label: str, out, recipe: Recipe, split: Split | None = None,
              controls: dict | None = None, running: Running | None = None,
              crew: Crew | None = None) -> tuple[Model, str]:
    """Train on a table and leave a run folder.

    Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP stop at once and leave a checkpoint of the last finished
    step.

    Parameters
    ----------
    table : Table
    label : str
        Column of the classes; fields without one are scored, never trained on.
    out : path
        The run folder.
    recipe : Recipe
    split : Split, optional
        Which fields are held out, and which watched.
    controls : dict of str to str or list of str, optional
        Column to one value or several that mark control wells, for the report and the model's
        distances.
    running : Running, optional
        Fields that cannot be used, checkpoints, event files.
    crew : Crew, optional
        Who does it; told of notes, and of the stages "check", "statistics", "step", "epoch" and
        "predict".

    Returns
    -------
    model : Model
        Its parameters are those of the trained network, which stays in memory with it.
    folder : str

    Raises
    ------
    InputError
        For anything wrong with table, files or options.
    phenoscale.signals.Stopped
        After a signal; a KeyboardInterrupt.
    """
    if not isinstance(table, Table):
        raise InputError(f"the table of a training is {type(table).__name__}: read it with "
                         "phenoscale.read_table")
    since, folder = time.monotonic(), RunFolder(out)
    refuse_to_lose(*folder.lying(), inputs=[table.source, *_named_as(folder, table)])
    split, running, crew = split or Split(), running or Running(), crew or Crew()
    label, controls = table.known(label), table.known_values(controls or {}, "for a control")
    split = replace(split, holdout=table.known_values(split.holdout, "to hold out"))
    marked = table.skipped()  # fields that do not count, nor do classes that have no other
    rows = [row for row in range(len(table)) if row not in marked]
    split_table(table.select(rows) if rows else table, label, split, recipe.seed)  # before a look
    doubtful = confounding(table, label)
    crew.watch.note([*absent_roles(table), *doubts(table), *doubtful])
    is_control = table.matches(controls)
    crew.agree(lambda: {"table": table.digest(), **environment()})
    members = _train_members(table, label, folder, recipe, split, controls, running, crew)
    with (Keeper(folder, running, crew) if crew.is_first
          else Follower(crew, running.on_error)) as keeper:
        with keeper.computing():
            begun = crew.ranks.spread(keeper.begun())
            found = usable(table, running.on_error, crew.threads, crew.watch, crew.ranks,
                           dict(begun["left_out"]) if begun else None)
            fields = _first_look(found, label, recipe, split, crew, controls)
            crew.roll_call(fields.recipe.batch, keeper.warn)
            trained = _begin(fields, begun, keeper, running, crew)
        config = _config(fields, trained, split, controls, crew)
        if crew.is_first:
            folder.write_config(config)
            _write_split(folder, fields)
        others = take_members(fields, trained, members, crew)
        if not members:
            fit(fields.source, fields.labels, fields.rows("train"), fields.rows("val"),
                fields.recipe, crew, trained, keeper)
        keeper.ended()
        with keeper.computing():
            ending = Ending(fields, trained, keeper, crew, running.certainty, others)
            model = ending.model(is_control[fields.usable.rows])
            ending.notes += cost_words(model)
            ending.score_rest(folder, model)
            crew.watch.note(ending.notes)
        notes = [*table.notes, *doubtful, *_gone(fields), *fields.notes, *keeper.notes,
                 *ending.notes, *_lost(trained, fields)]
        if crew.is_first:
            folder.write_config({**config, "notes": notes, "weights_sha256": model.digest(),
                                 "unscored": why_unscored(fields, split, running.certainty),
                                 "seconds": round(time.monotonic() - since, 1)})
            keeper.save_model(model)
    return model, folder.path


def _train_members(table: Table, label: str, folder: RunFolder, recipe: Recipe, split: Split,
                   controls: dict, running: Running, crew: Crew) -> list[RunFolder]:
    """The runs of the members, those done that have not ended; none for one network."""
    if crew.is_first:
        refuse_others(folder, recipe.members, running.resume)
    members = member_folders(folder, recipe.members)
    split = replace(split, seed=recipe.seed if split.seed is None else split.seed)
    for number, member in enumerate(members):
        ours = member_recipe(recipe, number)
        crew.watch.note([f"network {number + 1} of {len(members)}, of the seed {ours.seed}"])
        if crew.ranks.spread(running.resume and member.has(member.MODEL)):
            check_ended(member, ours)
        else:
            train_run(table, label, member.path, ours, split, controls,
                      replace(running, certainty=None), crew)
    return members


def _named_as(folder: RunFolder, table: Table) -> set[str]:
    """Paths of images that are called as files of a run; nobody is asked for the others."""
    names = {*folder.WRITTEN, folder.REPORT}
    return {plane.path for row in table.planes for planes in row for plane in planes
            if os.path.basename(plane.path) in names}


def _first_look(found: Usable, label: str, recipe: Recipe, split: Split, crew: Crew,
                controls: dict) -> Labelled:
    """The labelled fields of those whose files can be used."""
    fields = Labelled(found, label, split, recipe, crew.threads, controls)
    crew.watch.note(fields.words)
    crew.agree(lambda: fields.same(crew.ranks.exchange))
    return fields


def _gone(fields: Labelled) -> list[str]:
    """A note on each class all of whose fields were left out."""
    labels = fields.usable.whole.column(fields.label)
    left_out = labels.iloc[sorted(fields.usable.left_out)].value_counts()
    return [f"class {name} is none of the model's: {count(n, 'field')} of it, and all were left out"
            for name, n in left_out.items() if name and n == (labels == name).sum()]


def _lost(trained: Trained, fields: Labelled) -> list[str]:
    """A note on the fields that could not be read to the end."""
    return [f"{len(trained.lost)} of {len(fields.table)} fields could be used at the beginning and "
            "not to the end: see errors.csv"] if trained.lost else []


def _begin(fields: Labelled, begun: dict | None, keeper, running: Running, crew: Crew) -> Trained:
    """A training that stands at its beginning, or where the newest checkpoint does.

    begun: what the run began with, as of `phenoscale.training.begun.read_begun`; None: it does now.
    """
    ranks = crew.ranks
    keeper.check_same(fields.same(ranks.exchange))
    lost = _compare(fields, begun, keeper, running, crew) if begun is not None else {}
    trained = begin(fields.source, fields.labels, fields.rows("train"), fields.recipe, crew)
    feeding = fields.about["feeding"]
    if feeding:
        trained.plates = unmeasured(fields.table, feeding, len(fields.table.channels))
        fields.notes += trained.plates.notes
        crew.watch.note(trained.plates.notes)
    keeper.take(trained, lambda: model_of(fields, trained))
    if begun is None:
        stamps = stamps_of(fields, crew)  # before they are read: what changes after is noticed
        moments, trained.unread, digests = read_all(fields, running.on_error, crew, keeper.warn)
        trained.know(moments)
        if feeding:
            trained.plates = find_plates(fields.source, fields.table, feeding, crew)
        if crew.is_first:
            keeper.write_begun(record(fields, stamps, digests))
    about, tensors = trained.state()
    trained.stand(ranks.spread(about))
    for _, numbers in tensors:
        ranks.copy(numbers)
    fields.leave_out(trained.unread)
    for row in trained.unread.keys() | trained.lost.keys():
        lost.pop(row, None)
    trained.lost.update(lost)
    if lost:
        keeper.warn(f"{next(iter(lost.values()))}; the run goes on without it: "
                    f"{count(len(lost), 'field')} that it began with cannot be used any more")
    most = break_even(trained.net)
    if ranks.size > 1 and ranks.exchange == "factors" and 0 < most < fields.recipe.batch:
        keeper.warn(f"a batch of {fields.recipe.batch} is over {most} images: --exchange matrix "
                    "sends less, to bits that depend on the number of ranks")
    model_of(fields, trained).check()
    return trained


def _compare(fields: Labelled, begun: dict, keeper, running: Running, crew: Crew) -> dict:
    """The fields that a run that goes on has lost, and why; InputError where others changed and
    that is not accepted."""
    if not begun:
        keeper.warn("which files the run began with is not known (files.json is missing or "
                    "damaged): whether they changed since is not seen")
        return {}
    stamps = stamps_of(fields, crew)
    others, unread, digests = changed(fields, begun, stamps, crew)
    lost = {**fields.usable.gone, **unread}
    if unread and running.on_error == "stop":
        raise InputError(next(iter(unread.values())))
    for words in check_unchanged(fields, others, running.data_changed):
        check_copies(fields, digests)
        keeper.warn(words)
    if crew.is_first:
        keeper.write_begun(record(fields, stamps, digests))
    return lost


def _config(fields: Labelled, trained: Trained, split: Split, controls: dict, crew: Crew) -> dict:
    """Every option as resolved, for config.json."""
    table = fields.table
    return {
        "table": table.source, "label": fields.label, "channels": table.channels,
        "classes": fields.classes, "keys": class_keys(fields.classes),
        "size": list(fields.source.size),
        "dtype": fields.source.dtype, **asdict(fields.recipe), "roles": table.roles,
        "normalisation": {"mean": trained.mean.tolist(), "std": trained.std.tolist(),
                          **dict(zip(("scale", "offset"), trained.scales)),
                          **({"plates": trained.plates.about()} if trained.plates else {})},
        "split": split.column, "holdout": split.holdout, "val_by": split.val_by,
        "val_fraction": split.val_fraction, "controls": controls, "threads": crew.threads,
        "ranks": crew.ranks.size, "exchange": crew.ranks.exchange,
        "table_digest": fields.about["table_digest"],
        **{f"n_{side}": int((fields.sides == side).sum()) for side in SIDES},
        **environment()}


def _write_split(folder: RunFolder, fields: Labelled) -> None:
    import pandas

    table = fields.table
    files = file_cells(table)
    columns = {**{c: cells for c, cells in files.items() if "PathName_" not in c},
               **{c: table.frame[c].to_numpy() for c in about_columns(table, fields.label)},
               KEY: table.keys, "Split": fields.sides}
    write_csv(pandas.DataFrame(columns), folder.file(folder.SPLIT))
