# SPDX-License-Identifier: BSD-3-Clause
"""What a change of a measure is called by those who look at cells: "fewer cells", "Actin dimmer".

A row for each kind of measure that the C library knows (`phenoscale.images.measures`), with the
words for more and for less of it.  Under explain.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Wording", "channels_in", "wording"]


@dataclass(frozen=True)
class Wording:
    """The words for a measure.

    Attributes
    ----------
    family : str
        What it tells of, with its channels: measures of one family say much the same.
    up, down : str
        A change to more, to less.
    is_amount : bool
        Whether it counts or weighs something from zero, so that a percentage means something.
    """

    family: str
    up: str
    down: str
    is_amount: bool = False


_AMOUNT = True
_A, _BOTH = "(?P<a>.+)", "(?P<both>.+_.+)"
#: kind of measure -> its family, more, less.  {a}, {b}: channels, {px}: pixels
_ROWS = {
    f"Cells_Count_{_A}": ("cells", "more cells", "fewer cells", _AMOUNT),
    f"Cells_Spacing_{_A}": ("cells", "cells farther apart", "cells closer together", _AMOUNT),
    f"Cells_Radius_{_A}": ("nuclei", "larger nuclei", "smaller nuclei", _AMOUNT),
    f"Intensity_MeanIntensity_{_A}": ("brightness", "{a} brighter", "{a} dimmer", _AMOUNT),
    f"Intensity_MedianIntensity_{_A}": (
        "brightness", "typical pixel of {a} brighter", "typical pixel of {a} dimmer", _AMOUNT),
    f"Intensity_MinIntensity_{_A}": (
        "brightness", "darkest pixel of {a} brighter", "darkest pixel of {a} darker"),
    f"Intensity_MaxIntensity_{_A}": (
        "brightness", "brightest pixel of {a} brighter", "brightest pixel of {a} dimmer"),
    f"Intensity_LowerQuartileIntensity_{_A}": (
        "brightness", "darker quarter of {a} brighter", "darker quarter of {a} darker"),
    f"Intensity_UpperQuartileIntensity_{_A}": (
        "brightness", "brighter quarter of {a} brighter", "brighter quarter of {a} dimmer"),
    f"Intensity_Percentile_(?P<low>1|5)_{_A}": (
        "brightness", "background of {a} brighter (percentile {low})",
        "background of {a} darker (percentile {low})"),
    f"Intensity_Percentile_(?P<high>95|99)_{_A}": (
        "brightness", "bright parts of {a} brighter (percentile {high})",
        "bright parts of {a} dimmer (percentile {high})"),
    f"Intensity_StdIntensity_{_A}": ("contrast", "{a} richer in contrast", "{a} flatter"),
    f"Intensity_MADIntensity_{_A}": (
        "contrast", "{a} more varied around its middle", "{a} more even around its middle"),
    f"Intensity_Skewness_{_A}": (
        "contrast", "{a} in fewer, brighter places", "{a} spread more evenly"),
    f"Intensity_PercentMaximal_{_A}": (
        "brightness", "more pixels of {a} at its maximum", "fewer pixels of {a} at its maximum"),
    f"Foreground_Share_{_A}": (
        "cover", "{a} covers more of the field", "{a} covers less of the field", _AMOUNT),
    f"Foreground_Step_{_A}": (
        "contrast", "{a} stands out more from its background",
        "{a} stands out less from its background"),
    f"ImageQuality_FocusScore_{_A}": (
        "focus", "{a} with more contrast for its brightness",
        "{a} with less contrast for its brightness"),
    f"ImageQuality_LocalFocusScore_{_A}_20": (
        "evenness", "contrast of {a} less even over the field",
        "contrast of {a} more even over the field"),
    f"ImageQuality_PowerLogLogSlope_{_A}": (
        "focus", "{a} with more fine detail (spectrum)", "{a} with less fine detail (spectrum)"),
    f"ImageQuality_Laplacian_{_A}": ("focus", "{a} sharper", "{a} blurrier"),
    f"Gradient_Lean_{_A}": (
        "light", "light of {a} leans more to a side", "light of {a} leans less to a side"),
    f"Gradient_Falloff_{_A}": (
        "light", "{a} darker towards the edges of the field",
        "{a} brighter towards the edges of the field"),
    f"Granularity_(?P<size>\\d+)_{_A}": (
        "grains", "{a} with more grains of {px} px", "{a} with fewer grains of {px} px"),
    f"Bands_RMS_(?P<octave>\\d+)_{_A}": (
        "detail", "{a} with stronger detail at {px} px", "{a} with weaker detail at {px} px"),
    f"Bands_Kurtosis_(?P<octave>\\d+)_{_A}": (
        "spikes", "{a} detail at {px} px in fewer, stronger places",
        "{a} detail at {px} px spread more evenly"),
    f"Patterns_(?P<scale>\\d+)_(?P<kind>\\d|Other)_{_A}": (
        "patterns", "{a} with more {kind} at {px} px", "{a} with fewer {kind} at {px} px"),
    f"Texture_Contrast_{_A}_(?P<apart>\\d+)_(?P<way>0\\d)_256": (
        "texture", "{a} rougher over {px} px {way}", "{a} smoother over {px} px {way}"),
    f"Texture_Correlation_{_A}_(?P<apart>\\d+)_(?P<way>0\\d)_256": (
        "coarseness", "{a} coarser over {px} px {way}", "{a} finer over {px} px {way}"),
    f"Texture_Entropy_{_A}_(?P<apart>\\d+)_(?P<way>0\\d)_256": (
        "texture", "{a} of more varied greys over {px} px {way}",
        "{a} of more uniform greys over {px} px {way}"),
    f"CoarseTexture_Contrast_{_A}_(?P<apart>\\d+)": (
        "texture", "{a} rougher over {px} px", "{a} smoother over {px} px"),
    f"CoarseTexture_Correlation_{_A}_(?P<apart>\\d+)": (
        "coarseness", "{a} coarser over {px} px", "{a} finer over {px} px"),
    f"CoarseTexture_Entropy_{_A}_(?P<apart>\\d+)": (
        "texture", "{a} of more varied greys over {px} px",
        "{a} of more uniform greys over {px} px"),
    f"Correlation_Correlation_{_BOTH}": (
        "overlap", "{a} and {b} rise and fall together more",
        "{a} and {b} rise and fall together less"),
    f"Correlation_Overlap_{_BOTH}": (
        "overlap", "{a} and {b} overlap more", "{a} and {b} overlap less"),
    f"Correlation_Manders_{_BOTH}": (
        "overlap", "more of {a} lies where {b} is", "less of {a} lies where {b} is"),
    f"Correlation_RWC_{_BOTH}": (
        "overlap", "more of {a} lies where {b} is as bright",
        "less of {a} lies where {b} is as bright"),
    f"Bands_Coherence_(?P<octave>\\d+)_{_BOTH}": (
        "likeness", "{a} and {b} more alike at {px} px", "{a} and {b} less alike at {px} px"),
}
_ROWS = {re.compile(f"Image_{name}"): row for name, row in _ROWS.items()}
#: by how many of the eight neighbours are as bright as the pixel, side by side
_KINDS = dict(zip([*"012345678", "Other"], [
    "bright spots", "bright tips", "bright corners", "outward edges", "straight edges",
    "inward edges", "dark corners", "dark tips", "dark spots or even places", "irregular places"]))
_WAYS = {"00": "across", "01": "along a falling diagonal", "02": "down",
         "03": "along a rising diagonal"}
#: what of a name is a scale -> pixels: CellProfiler's granularity looks at every fourth pixel
_PIXELS = {"octave": lambda k: 2 ** (k - 1), "size": lambda k: 4 * k, "scale": int, "apart": int}


def channels_in(columns) -> list[str]:
    """The channels of some measures, by those that are of one alone, in their order."""
    found = (_match(column)[0] for column in columns)
    return list(dict.fromkeys(match["a"] for match in found if match and "a" in match.groupdict()))


def wording(column: str, channels=()) -> Wording | None:
    """The words for a measure; None for a column that is none of this version.

    Parameters
    ----------
    column : str
        "Image_Bands_RMS_3_DNA".
    channels : list of str
        As of `channels_in`: which of the "_" stands between two channels is told by them.

    >>> wording("Image_Bands_RMS_3_DNA").up
    'DNA with stronger detail at 4 px'
    """
    match, row = _match(column)
    if match is None:
        return None
    said = match.groupdict()
    for scale in _PIXELS.keys() & said.keys():
        said["px"] = _PIXELS[scale](int(said[scale]))
    if "both" in said:
        said["a"], said["b"] = _pair(said["both"], channels)
    said["kind"], said["way"] = _KINDS.get(said.get("kind")), _WAYS.get(said.get("way"))
    about, up, down, *is_amount = row
    of = [said[channel] for channel in "ab" if channel in said]
    return Wording(" ".join([about, *of]), up.format(**said), down.format(**said), bool(is_amount))


def _match(column: str):
    """What a column is, and its row; (None, None) for no measure."""
    for pattern, row in _ROWS.items():
        match = pattern.fullmatch(column)
        if match:
            return match, row
    return None, None


def _pair(both: str, channels) -> tuple[str, str]:
    """Two channels of "DNA_Actin"."""
    cuts = [(both[:at], both[at + 1:]) for at, letter in enumerate(both) if letter == "_"]
    return next((cut for cut in cuts if {*cut} <= {*channels}), cuts[0])
