# SPDX-License-Identifier: BSD-3-Clause
"""Where in a field the evidence for a class lies: one implementation for every host.

After its towers the network is linear in pieces, so the logit of a class is exactly the sum of the
shares of all window maxima and of the biases behind them (csrc/evidence.c); and each maximum is the
value of one known pixel of one scale.  The map puts every share where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.images.fields import check_plane
from phenoscale.machine import thread_count
from phenoscale.models.model import Model
from phenoscale.prediction.inputs import check_fits
from phenoscale.words import listed

__all__ = ["Evidence", "Explainer", "check_class", "smooth"]


@dataclass
class Evidence:
    """The evidence for one class in one field.

    Attributes
    ----------
    name : str
        The class.
    logits, probabilities : ndarray of float32, (classes,)
    logit : float
        Of the class; `map.sum()` and `bias` together.
    map : ndarray of float64, (height, width)
        Shares of the logit, each on the pixel of the field that it comes from, spread over the
        pixel's square for the coarser scales.
    bias : float
        Share of the biases, which no pixel has.
    scales : dict of int to float
        Side of a scale's pixels, in pixels of the field, to the sum of its shares.
    is_coarse : bool
        The network has no windows: shares are known by cells of its last map only.
    """

    name: str
    logits: np.ndarray
    probabilities: np.ndarray
    logit: float
    map: np.ndarray
    bias: float
    scales: dict
    is_coarse: bool

    def heat(self, radius: float | None = None) -> np.ndarray:
        """The map as one looks at it, (height, width) float32: smoothed, 1 at the strongest.

        radius: standard deviation in pixels; by default a fortieth of the shorter side.
        """
        heat = smooth(self.map, radius or min(self.map.shape) / 40)
        top = np.abs(heat).max()
        return (heat / top if top > 0 else heat).astype(np.float32)


def check_class(model: Model, name: str | None) -> None:
    """InputError for a name, where there is one, that is none of the model's classes."""
    if name is not None and not isinstance(name, str):
        raise InputError(f"the class {name!r} is no text: it is one of {listed(model.classes)}")
    if name is not None and name not in model.classes:
        raise InputError(f"the model has no class '{name}': it has "
                         f"{listed(model.classes, near=name)}")


class Explainer:
    """Evidence by one model, for fields of one size: a network is made once.

    Parameters
    ----------
    model : Model
    size : (int, int)
        Height and width of a field in its files.
    threads : int, optional
    plates : phenoscale.prediction.plates.Plates, optional
        Of the fields, for a model by plate.

    Raises
    ------
    InputError
        For a size that the model does not take, and for a model by plate without plates.
    """

    def __init__(self, model: Model, size, threads: int | None = None, plates=None):
        model.check_alone(plates)
        self.model, self.size, self._plates = model, tuple(size), plates
        self._net = model.net(*size, thread_count(threads), training=True)

    def explain(self, field: np.ndarray, name: str | None = None, row: int = 0) -> Evidence:
        """The evidence for a class, by default the most probable.

        Parameters
        ----------
        field : ndarray, (channels, height, width)
            Counts as in the files, stacks projected.
        name : str, optional
            One of the model's classes.
        row : int
            Number of the field among those of the plates.
        """
        model, field = self.model, np.asarray(field)
        check_class(model, name)
        if field.ndim == 3:
            check_fits(model, field.shape, field.dtype.newbyteorder("=").name)
        if field.ndim != 3 or field.shape[1:] != self.size:
            raise InputError(f"a field of shape {field.shape}: this explainer takes (channels, "
                             f"{self.size[0]}, {self.size[1]})")
        for channel, plane in zip(model.channels, field):
            check_plane(plane, f"channel {channel}")
        binned = np.stack([_core.bin(np.ascontiguousarray(plane), model.bin) for plane in field])
        wanted = -1 if name is None else model.classes.index(name)
        fed = self._plates.of([row]) if self._plates else (model.scale, model.offset)
        try:
            wanted, logits, bias, maps, top, left = self._net.evidence([binned], *fed, wanted)
        except OverflowError as error:
            raise InputError(f"{model.name}: {error}") from None
        drawn, scales = np.zeros(binned.shape[1:]), {}
        for shares, places, window, pixel in maps:
            _draw(drawn, shares, places, window, pixel, top, left)
            scales[pixel] = scales.get(pixel, 0.0) + shares.sum(dtype=np.float64)
        return Evidence(model.classes[wanted], logits, _core.softmax(logits[None])[0],
                        float(logits[wanted]), _unbin(drawn, model.bin, field.shape[1:]), bias,
                        scales, maps[0][1] is None)


def _draw(drawn, shares, places, window: int, pixel: int, top: int, left: int) -> None:
    """Add the shares of one layer to a map; what lies in the padding goes to the edge."""
    rows, columns, filters = np.nonzero(shares)
    values = shares[rows, columns, filters].astype(np.float64)
    if places is None:  # somewhere in the cell
        y, x, side = rows * window, columns * window, window
    else:
        place = places[rows, columns, filters]
        y, x, side = rows * window + place // window, columns * window + place % window, 1
    side *= pixel
    height, width = drawn.shape
    y, x = y * pixel - top, x * pixel - left
    # a square that sticks out is cut, and one outside becomes the edge's next pixel
    ends = [(np.clip(at, 0, size - 1), np.clip(at + side, 1, size))
            for at, size in ((y, height), (x, width))]
    area = (ends[0][1] - ends[0][0]) * (ends[1][1] - ends[1][0])
    corners = np.zeros((height + 1, width + 1))  # of squares; their running sums fill them
    for k, sign_y in ((0, 1), (1, -1)):
        for j, sign_x in ((0, 1), (1, -1)):
            np.add.at(corners, (ends[0][k], ends[1][j]), sign_y * sign_x * values / area)
    drawn += corners.cumsum(0).cumsum(1)[:height, :width]


def _unbin(drawn, bin: int, size) -> np.ndarray:
    """A map of binned pixels as one of the field's."""
    whole = np.zeros(size)
    wide = drawn.repeat(bin, axis=0).repeat(bin, axis=1) / bin**2
    whole[: wide.shape[0], : wide.shape[1]] = wide
    return whole


def smooth(image: np.ndarray, radius: float) -> np.ndarray:
    """A Gaussian blur of standard deviation `radius`, as three running means; the sum stays."""
    side = 2 * round((np.sqrt(4 * radius**2 + 1) - 1) / 2) + 1  # three have that deviation
    for _ in range(3):
        for axis in (0, 1):
            image = _running_mean(np.moveaxis(image, axis, 0), min(side, 2 * image.shape[axis] - 1))
            image = np.moveaxis(image, 0, axis)
    return image


def _running_mean(rows: np.ndarray, side: int) -> np.ndarray:
    """Means of `side` rows, those beyond the ends mirrored."""
    padded = np.pad(rows, ((side // 2, side // 2), (0, 0)), mode="symmetric")
    sums = np.concatenate([np.zeros((1, *rows.shape[1:])), padded.cumsum(0)])
    return (sums[side:] - sums[:-side]) / side
