# SPDX-License-Identifier: BSD-3-Clause
"""The networks, as plain data: text that csrc/describe.c reads and the model file keeps.

The published whole-image network (Godinez 2017, Bioinformatics 33:2010; Datta 2019, arXiv
1910.04852), seven scales of one field beside each other::

    field (c, h, w), padded to multiples of 128, the field centred, 0 after normalisation
      |- scale 0 -----------> 3 x conv 5x5 (16) -> max 64 -.
      |- scale 1  max  2 ---> 3 x conv 5x5 (16) -> max 32 --\\
      |- scale 2  max  4 ---> 3 x conv 5x5 (16) -> max 16 ---\\
      |- scale 3  max  8 ---> 3 x conv 5x5 (32) -> max  8 ---- merge (208) -> conv 1x1 (1024)
      |- scale 4  max 16 ---> 3 x conv 5x5 (32) -> max  4 ---/
      |- scale 5  max 32 ---> 3 x conv 5x5 (32) -> max  2 --/
      '- scale 6  max 64 ---> 3 x conv 5x5 (64) -----------'
    mcnn:      -> max 2 -> dense 512 -> dense classes        tied to one field size
    mcnn-gap:  -> global average and maximum -> dense classes    any field size
"""

from __future__ import annotations

#: Sides are padded to a multiple of this.
PAD = 128
_FILTERS = (16, 16, 16, 32, 32, 32, 64)


def _columns(channels: int, height: int, width: int) -> list[str]:
    """The seven scales, merged and mixed to 1024 channels of (h / 64, w / 64)."""
    last = len(_FILTERS) - 1
    lines = [f"field: input channels={channels} height={height} width={width} pad={PAD}"]
    lines += [f"half{s}: pool from={'field' if s == 1 else f'half{s - 1}'} window=2"
              for s in range(1, last + 1)]
    ends = []
    for s, filters in enumerate(_FILTERS):
        source = "field" if s == 0 else f"half{s}"
        for k in (1, 2, 3):
            lines.append(f"scale{s}.conv{k}: conv from={source} filters={filters} kernel=5 relu=1")
            source = f"scale{s}.conv{k}"
        if s < last:
            lines.append(f"scale{s}.max: pool from={source} window={2 ** (last - s)}")
            source = f"scale{s}.max"
        ends.append(source)
    lines.append("merge: merge from=" + ",".join(ends))
    lines.append("mix: conv filters=1024 kernel=1 relu=1")
    return lines


def _mcnn(channels: int, height: int, width: int, classes: int, fc_relu: bool) -> list[str]:
    return [*_columns(channels, height, width),
            "mix.max: pool window=2",
            f"fc: dense units=512 relu={int(fc_relu)}",
            f"classes: dense units={classes}"]


def _mcnn_gap(channels: int, height: int, width: int, classes: int, fc_relu: bool) -> list[str]:
    return [*_columns(channels, height, width),
            "gap: gap",
            f"classes: dense units={classes}"]


#: name -> how its description is made
NETWORKS = {"mcnn": _mcnn, "mcnn-gap": _mcnn_gap}
#: networks that take fields of any size once trained
ANY_SIZE = frozenset({"mcnn-gap"})


def describe(network: str, channels: int, height: int, width: int, classes: int,
             fc_relu: bool = True) -> str:
    """The description of a network for fields of (channels, height, width).

    Parameters
    ----------
    network : str
        One of `NETWORKS`.
    channels, height, width : int
        Of a field, in pixels, before padding.
    classes : int
        Units of the last layer.
    fc_relu : bool
        A ReLU after the dense layer of 512 (``mcnn`` only): the published drawings have it, the
        published scaling code does not.

    Returns
    -------
    str
        One layer a line, for `phenoscale._core.Net`.

    Raises
    ------
    ValueError
        For an unknown network.

    Examples
    --------
    >>> from phenoscale import _core
    >>> _core.Net(describe("mcnn-gap", 3, 128, 128, 13)).parameters.size
    653677
    """
    if network not in NETWORKS:
        raise ValueError(f"there is no network '{network}': choose one of {', '.join(NETWORKS)}")
    return "\n".join(NETWORKS[network](channels, height, width, classes, fc_relu)) + "\n"


def resize(description: str, height: int, width: int) -> str:
    """The same network for fields of another size; `_core.Net` says if it cannot be."""
    head, _, rest = description.partition("\n")
    words = [f"height={height}" if word.startswith("height=") else
             f"width={width}" if word.startswith("width=") else word for word in head.split(" ")]
    return " ".join(words) + "\n" + rest
