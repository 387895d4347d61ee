# SPDX-License-Identifier: BSD-3-Clause
"""What the pages of a TIFF are - channels, planes of z, times - from what programs write into it.

survey.py asks here; a description that does not fit its file is an error, never a guess.
"""

from __future__ import annotations

import json
import math
import re

__all__ = ["axes"]


def axes(info: dict) -> dict[str, int] | None:
    """How many channels, z-planes and times the pages are, and in which order they follow.

    Parameters
    ----------
    info : dict
        Of `phenoscale.image_file.image_info`: description, samples, pages.

    Returns
    -------
    dict of str to int
        "C", "Z" and "T", the one that runs fastest over the pages first; None where the file does
        not say.

    Raises
    ------
    ValueError
        Where what it says does not fit its pages.
    """
    text, samples, pages = info["description"], info["samples"], info["pages"]
    for program, read in (("ImageJ", _imagej), ("OME", _ome), ("tifffile", _tifffile)):
        found = read(text, samples, pages)
        if found is None:
            continue
        if math.prod(found.values()) != pages:
            words = " x ".join(f"{size} {axis}" for axis, size in found.items())
            raise ValueError(f"has {pages} page{'s' * (pages > 1)}, but its description by "
                             f"{program} speaks of {words}")
        return found
    return None


def _imagej(text: str, samples: int, pages: int) -> dict[str, int] | None:
    """ImageJ's description: a line each for channels, slices, frames that are not 1."""
    if not text.startswith("ImageJ="):
        return None
    numbers = dict(re.findall(r"^(channels|slices|frames|images)=(\d{1,9})\s*$", text, re.M))
    if not {"channels", "slices", "frames"} & set(numbers):
        return {"Z": int(numbers.get("images", 1))}
    return {"C": int(numbers.get("channels", 1)), "Z": int(numbers.get("slices", 1)),
            "T": int(numbers.get("frames", 1))}


def _tifffile(text: str, samples: int, pages: int) -> dict[str, int] | None:
    """tifffile's description: the shape of the whole, and the names of its axes if it was told."""
    try:
        about = json.loads(text) if text.startswith('{"shape"') else {}
        shape, names = about.get("shape"), about.get("axes", "")
        if about.get("truncated") and not names:
            return {"images": 0}  # however many: they are not in pages
        sizes = dict(zip(names, shape or ()))
        if len(names) != len(shape or ()) or not set(names) <= set("TZCSYX") or not names:
            return None
        if any(type(size) is not int or size < 1 for size in shape):
            return None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if sizes.get("C") == samples > 1 and "S" not in names:
        del sizes["C"]  # the samples of a pixel
    return {name: sizes[name] for name in reversed(names) if name in "TZC" and name in sizes}


# ---- OME -----------------------------------------------------------------------------------------


def _ome(text: str, samples: int, pages: int) -> dict[str, int] | None:
    """OME-XML: the attributes of Pixels, and where its planes are said to lie."""
    found = re.findall(r"<(?:\w+:)?Pixels\b([^>]*)>", text)
    if not found or "<OME" not in text.replace("ome:", "") or pages == 1:
        return None  # one page is one plane, of whatever set
    if len(found) > 1:
        raise ValueError(f"holds {len(found)} images of OME in one file, each with its own pages")
    about, sizes = _attributes(found[0]), {}
    order = about.get("DimensionOrder", "")
    if sorted(order) != sorted("XYZCT"):
        return None
    for axis in order[2:]:
        size = about.get(f"Size{axis}", "")
        if not size.isdecimal() or len(size) > 9:
            return None
        sizes[axis] = int(size)
    sizes["C"] = sizes["C"] // samples if sizes["C"] % samples == 0 else sizes["C"]
    _check_order(text, sizes, samples)
    return sizes


def _attributes(text: str) -> dict[str, str]:
    return dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", text))


def _check_order(text: str, sizes: dict[str, int], samples: int) -> None:
    """Planes lie where their order puts them: what TiffData says must not differ."""
    for words in re.findall(r"<(?:\w+:)?TiffData\b([^>]*)>", text):
        about = _attributes(words)
        if not all(about.get(name, "0").isdecimal() and len(about.get(name, "0")) < 10
                   for name in ("IFD", "FirstZ", "FirstC", "FirstT")):
            raise ValueError("its OME description is damaged (TiffData)")
        plane, step = 0, 1
        for axis, size in sizes.items():
            first = int(about.get(f"First{axis}", 0))
            plane += step * (first // samples if axis == "C" else first)
            step *= size
        if "IFD" in about and int(about["IFD"]) != plane:
            raise ValueError("its pages lie in another order than its OME description's "
                             "DimensionOrder says (TiffData)")
