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

The last ReLU before the classes is described as the reader's (rectify=1): it is the embedding that
is then read before it.  Files of older models have it as the writer's (relu=1), and an embedding
behind it, where most numbers are 0 for most fields.
"""

from __future__ import annotations

#: Sides are padded to a multiple of this.
PAD = 128
_FILTERS = (16, 16, 16, 32, 32, 32, 64)


def _columns(channels: int, height: int, width: int) -> list[str]:
    """The seven scales, merged: 208 channels of (h / 64, w / 64)."""
    last = len(_FILTERS) - 1
    lines = [f"field: input channels={channels} height={height} width={width} pad={PAD}",
             f"pyramid: pyramid levels={last}",
             f"scale0: tower from=field filters={_FILTERS[0]} window={2 ** last}"]
    lines += [f"scale{s}: tower from=pyramid level={s} filters={_FILTERS[s]} "
              f"window={2 ** (last - s)}" for s in range(1, last + 1)]
    lines.append("merge: merge from=" + ",".join(f"scale{s}" for s in range(last + 1)))
    return lines


def _plain_pyramid(name: str, options: dict[str, str]) -> list[str]:
    """The levels of a pyramid as pools: NAME.1, NAME.2, ..."""
    return [f"{name}.{level}: pool "
            f"from={options['from'] if level == 1 else f'{name}.{level - 1}'} window=2"
            for level in range(1, int(options["levels"]) + 1)]


def _plain_tower(name: str, options: dict[str, str]) -> list[str]:
    """A tower as three convolutions and a pool, with the tower's names and order of parameters."""
    source = options["from"] + (f".{options['level']}" if "level" in options else "")
    lines = []
    for k in (1, 2, 3):
        lines.append(f"{name}.conv{k}: conv from={source} filters={options['filters']} kernel=5 "
                     "relu=1")
        source = f"{name}.conv{k}"
    return [*lines, f"{name}: pool from={source} window={options.get('window', 1)}"]


#: layer type -> the plain layers it stands for
PLAIN_LAYERS = {"pyramid": _plain_pyramid, "tower": _plain_tower}


def plain(description: str) -> str:
    """The same network through plain oneDNN layers: the slow twin of the towers.

    Names, shapes and order of its parameters are the same, so weights of one fit the other.
    """
    lines, previous = [], None
    for line in description.splitlines():
        name, _, rest = line.strip().partition(": ")
        kind, *words = rest.split()
        options = {"from": previous} | dict(word.split("=", 1) for word in words)
        lines += PLAIN_LAYERS[kind](name, options) if kind in PLAIN_LAYERS else [line]
        previous = name
    return "\n".join(lines) + "\n"


#: how towers are run -> the description for it
TOWERS = {"fused": lambda description: description, "plain": plain}


def _mcnn(channels: int, height: int, width: int, classes: int, fc_relu: bool) -> list[str]:
    return [*_columns(channels, height, width),
            "mix: conv filters=1024 kernel=1 relu=1",
            "mix.max: pool window=2",
            "fc: dense units=512",
            f"classes: dense units={classes} rectify={int(fc_relu)}"]


def _mcnn_gap(channels: int, height: int, width: int, classes: int, fc_relu: bool) -> list[str]:
    return [*_columns(channels, height, width),
            "mix: conv filters=1024 kernel=1",
            "gap: gap rectify=1",
            f"classes: dense units={classes}"]


#: name -> how its description is made
NETWORKS = {"mcnn": _mcnn, "mcnn-gap": _mcnn_gap}
#: what an embedding is
EMBEDDING = "input of the last dense layer, before a ReLU"
#: networks that take fields of any size once trained, one size at a time
ANY_SIZE = frozenset({"mcnn-gap"})


def describe(network: str, channels: int, height: int, width: int, classes: int,
             fc_relu: bool = True, tower: str = "fused") -> str:
    """The description of a network for fields of (channels, height, width).

    Parameters
    ----------
    network : str
        One of `NETWORKS`.
    channels, height, width : int
        Of a field, in pixels, before padding.
    classes : int
        Units of the last layer.
    tower : str
        ``fused``: a scale is one layer (csrc/layer_tower.c); ``plain``: convolutions and pools of
        oneDNN, several times slower, the same result up to rounding.
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
    lines = NETWORKS[network](channels, height, width, classes, fc_relu)
    return TOWERS[tower]("\n".join(lines) + "\n")


def resize(description: str, height: int, width: int) -> str:
    """The same network for fields of another size; `_core.Net` says if it cannot be."""
    head, _, rest = description.partition("\n")
    words = [f"height={height}" if word.startswith("height=") else
             f"width={width}" if word.startswith("width=") else word for word in head.split(" ")]
    return " ".join(words) + "\n" + rest
