# SPDX-License-Identifier: BSD-3-Clause
"""What was fitted on the wells of a screen, kept in a file and applied unchanged to later plates.

    wells --[median polish]--> --centre and spread of the plate's controls--> --matrix--> profiles

The matrix is principal components and sphering together.  Beside it the file has control wells as
the test of hits draws them, so that neither profiles nor p of old plates move when new plates come.
The layout is safetensors with JSON in its metadata: nothing in it is code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from phenoscale.errors import InputError
from phenoscale.files.tensors import read_header, read_tensors, write_tensors
from phenoscale.profiles.standardise import METHODS

__all__ = ["Fitted", "Recipe", "load_fit"]

_PROGRAM = "phenoscale-profile"
_WHAT = "a file that phenoscale profile --fit wrote"
_LIMIT_HEADER = 1 << 24  # bytes: names of features, of plates
_LIMIT = 1 << 28  # numbers


class Recipe(NamedTuple):
    """How wells become profiles.

    Attributes
    ----------
    aggregate : str
        Of `phenoscale.profiles.grouped.SUMMARIES`.
    standardise : str
        Of `phenoscale.profiles.standardise.METHODS`, or "none".
    position : bool
        Whether rows and columns of plates are polished.
    scale : bool
        Whether, without controls, features are scaled by their deviation over the fit's wells.
    share : float or None
        Of the variance that the components keep; None: no components.
    eps : float or None
        Strength of the sphering; None: none.
    """

    aggregate: str = "mean"
    standardise: str = "none"
    position: bool = False
    scale: bool = False
    share: float | None = None
    eps: float | None = None


@dataclass
class Fitted:
    """A fit.

    Attributes
    ----------
    recipe : Recipe
    features : list of str
        That wells must have, in this order.
    pooled : ndarray of float32, (features,)
        Spread of the controls over all plates; of no controls, of all wells; 1 where nothing is
        scaled.
    mean : ndarray of float32, (features,)
        Of all wells, where nothing is standardised; else 0.
    matrix : ndarray of float32, (features, columns)
        (0, 0) where the features are the profile.
    null : ndarray of float32, (controls, columns)
        Profiles of control wells, each made without itself.
    null_plates : list of int
        Plate of each.
    states : dict of str to ndarray of float32, (columns,)
        Mean profile of the disease, then of the healthy state; {} where none was asked for.
    about : dict
        Versions, inputs, what was tried: for people.
    """

    recipe: Recipe
    features: list
    pooled: np.ndarray
    mean: np.ndarray
    matrix: np.ndarray
    null: np.ndarray
    null_plates: list
    states: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """Numbers of a profile."""
        return self.matrix.shape[1] or len(self.features)

    def save(self, path) -> None:
        """Write it, whole or not at all."""
        tensors = [(name, array.shape, array.ravel()) for name, array in self._arrays().items()]
        about = {"recipe": self.recipe._asdict(), "features": self.features,
                 "null_plates": [int(plate) for plate in self.null_plates],
                 "states": list(self.states), "shapes": {name: list(shape)
                                                         for name, shape, _ in tensors},
                 "about": self.about}
        write_tensors(path, _PROGRAM, about, tensors)

    def _arrays(self) -> dict:
        return {"pooled": self.pooled, "mean": self.mean, "matrix": self.matrix, "null": self.null,
                **{f"state{k}": profile for k, profile in enumerate(self.states.values())}}


def load_fit(path) -> Fitted:
    """Read a fit.

    Raises
    ------
    InputError
        For a file that is missing, damaged, or something else.
    """
    path = str(path)
    about, places = read_header(path, _PROGRAM, _WHAT, _LIMIT_HEADER)
    shapes = _checked(path, about, places)
    flat = np.empty(sum(length for _, length in places.values()), np.float32)
    read_tensors(path, list(shapes.items()), flat)
    arrays, at = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        arrays[name], at = flat[at : at + size].reshape(shape), at + size
    if not np.isfinite(flat).all():
        raise InputError(f"{path} is damaged: it has numbers that are not finite: fit again")
    states = {name: arrays[f"state{k}"] for k, name in enumerate(about["states"])}
    return Fitted(Recipe(**about["recipe"]), about["features"], arrays["pooled"], arrays["mean"],
                  arrays["matrix"], arrays["null"], about["null_plates"], states, about["about"])


def _checked(path: str, about: dict, places: dict) -> dict:
    """Name to shape of the tensors; InputError where they do not go with what the file says."""
    try:
        recipe, shapes = Recipe(**about["recipe"]), about["shapes"]
        d, states = len(about["features"]), about["states"]
        columns = shapes["matrix"][1] or d
        expected = {"pooled": [d], "mean": [d], "matrix": shapes["matrix"],
                    "null": [len(about["null_plates"]), columns],
                    **{f"state{k}": [columns] for k in range(len(states))}}
        is_good = (shapes == expected and shapes["matrix"] in ([0, 0], [d, columns])
                   and all(isinstance(name, str) for name in [*about["features"], *states])
                   and len(states) in (0, 2) and isinstance(about["about"], dict)
                   and all(type(plate) is int for plate in about["null_plates"])
                   and recipe.standardise in (*METHODS, "none")
                   and recipe.aggregate in ("mean", "median")
                   and {name: length for name, (_, length) in places.items()}
                   == {name: int(np.prod(shape)) for name, shape in shapes.items()}
                   and sum(length for _, length in places.values()) <= _LIMIT)
    except (KeyError, TypeError, ValueError, IndexError):
        is_good = False
    if not is_good:
        raise InputError(f"{path} is damaged: what it says of itself does not go together: give "
                         f"{_WHAT}")
    return {name: tuple(shape) for name, shape in shapes.items()}
