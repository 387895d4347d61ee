# SPDX-License-Identifier: BSD-3-Clause
"""A run that has ended, taken as it is by a larger training that goes on: a fold, a member."""

from __future__ import annotations

from dataclasses import asdict

from phenoscale.errors import InputError
from phenoscale.tables.keys import KEY
from phenoscale.training.recipe import Recipe
from phenoscale.training.run_folder import RunFolder

__all__ = ["check_ended"]


def check_ended(folder: RunFolder, recipe: Recipe, sides: dict | None = None) -> None:
    """InputError where a run was trained by another recipe, or had fields on other sides.

    Parameters
    ----------
    folder : RunFolder
    recipe : Recipe
    sides : dict of str to str, optional
        Key of a field to its side; one that either left out is of no account.
    """
    config, ours = folder.config(), asdict(recipe)
    told = config.get("augment") or []  # without the turns that oblong fields cannot make
    ours["augment"] = [name for name in recipe.augment if name != "turn" or name in told]
    other = [name for name in ours if config.get(name) != ours[name]]
    if other:
        raise InputError(_refusal(folder, f"with another {other[0]}"))
    split = folder.cells(RunFolder.SPLIT) if sides else None
    theirs = {} if split is None else dict(zip(split[KEY], split["Split"]))
    if any(theirs.get(key, side) not in (side, "skipped") for key, side in (sides or {}).items()
           if side != "skipped"):
        raise InputError(_refusal(folder, "of another split, or another table"))


def _refusal(folder: RunFolder, what: str) -> str:
    return (f"{folder.path} is {what}: resume with what it was begun with, choose another folder, "
            "or remove it")
