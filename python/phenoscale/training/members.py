# SPDX-License-Identifier: BSD-3-Clause
"""Several networks of one recipe that differ by their seed, each in a run folder of its own, and
their weights as those of one model.

    RUN/member-1-of-3 ... -> a run each, that goes on as runs do
                          -> RUN, which takes their weights in place of steps of its own
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.machine import free_memory
from phenoscale.models import networks
from phenoscale.models.head import HEADS
from phenoscale.ranks.crew import Crew
from phenoscale.training.ended import check_ended
from phenoscale.training.first_pass import Labelled
from phenoscale.training.keeper import other_option, refuse_taken
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder
from phenoscale.training.train import Trained

__all__ = ["member_folders", "member_recipe", "refuse_others", "take_members"]

_NAME = re.compile(r"member-\d+-of-(\d+)")


def member_folders(folder: RunFolder, members: int) -> list[RunFolder]:
    """Where the runs of the members of a run lie, in their order; none for one network."""
    return [RunFolder(folder.file(f"member-{number + 1}-of-{members}"))
            for number in range(members if members > 1 else 0)]


def refuse_others(folder: RunFolder, members: int, resume: bool) -> None:
    """InputError where a run of another number of members was begun in a folder, or this one and it
    is not to be resumed; or, where there are several, what keeps their run from ending."""
    theirs = set()
    if not folder.has(folder.MODEL):  # that of an ended run is for its keeper to refuse
        with suppress(FileNotFoundError, NotADirectoryError):
            theirs = {int(found[1]) for found in map(_NAME.fullmatch, os.listdir(folder.path))
                      if found}
    if theirs and not resume:
        raise InputError(f"{folder.path} holds a training of several networks that was stopped: go "
                         "on with --resume, choose another --out, or remove it")
    if theirs - {members}:
        raise InputError(other_option(folder.path, "members", max(theirs - {members}), members))
    if members > 1:
        if resume and folder.has_checkpoint():
            raise InputError(other_option(folder.path, "members", 1, members))
        refuse_taken(folder, resume)


def member_recipe(recipe: Recipe, number: int) -> Recipe:
    """That of a member, counted from 0: the network alone, since a head is of all of them; the
    same where there is but one."""
    if recipe.members == 1:
        return recipe
    return replace(recipe, members=1, seed=recipe.seed + number, head=HEADS[0])


def take_members(fields: Labelled, trained: Trained, folders: list[RunFolder], crew: Crew) -> list:
    """Give a training that has made no step the weights of the first member.

    Returns
    -------
    list of phenoscale._core.Net
        Of the other members, for predictions.

    Raises
    ------
    InputError
        Where a member was trained on other fields, or by another recipe.
    """
    nets, sides = [], dict(zip(fields.table.keys, fields.sides))
    for number, folder in enumerate(folders):
        check_ended(folder, member_recipe(fields.recipe, number), sides)
        model = folder.model()
        if (model.description, model.scale, model.offset) != (trained.description,
                                                              *trained.scales):
            raise InputError(f"{folder.path} was trained on other fields than there are now: "
                             "restore them, or remove it and go on with --resume")
        net = trained.net if not number else _core.Net(
            networks.TOWERS[fields.recipe.tower](trained.description), threads=crew.threads,
            memory=free_memory())
        net.parameters[:] = model.parameters
        nets.append(net)
    return nets[1:]
