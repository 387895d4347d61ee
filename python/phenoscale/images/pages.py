# SPDX-License-Identifier: BSD-3-Clause
"""What the pages of a TIFF are - channels, planes of z, times - from what programs write into it.

survey.py asks here; a description that does not fit its file is an error, never a guess.
"""

from __future__ import annotations

import json
import math
import re
from xml.etree import ElementTree

__all__ = ["axes"]


def axes(info: dict, name: str = "") -> dict[str, int] | None:
    """How many channels, z-planes and times the pages are, and in which order they follow.

    Parameters
    ----------
    info : dict
        Of `phenoscale.images.read.image_info`.
    name : str
        Of the file, without its folder: a description of OME may speak of several.

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
    for program, read in (("ImageJ", _imagej), ("OME", _ome), ("tifffile", _tifffile)):
        found = read(info, name)
        if found is None:
            continue
        if math.prod(found.values()) != info["pages"]:
            words = " x ".join(f"{size} {axis}" for axis, size in found.items())
            raise ValueError(f"has {info['pages']} page{'s' * (info['pages'] > 1)}, but its "
                             f"description by {program} speaks of {words}")
        return found
    return None


def _imagej(info: dict, name: str) -> dict[str, int] | None:
    """ImageJ's description: a line each for channels, slices, frames that are not 1."""
    text = info["description"]
    if not text.startswith("ImageJ="):
        return None
    numbers = dict(re.findall(r"^(channels|slices|frames|images)=(\d{1,9})\s*$", text, re.M))
    if not {"channels", "slices", "frames"} & set(numbers):
        return {"Z": int(numbers.get("images", 1))}
    return {"C": int(numbers.get("channels", 1)), "Z": int(numbers.get("slices", 1)),
            "T": int(numbers.get("frames", 1))}


def _tifffile(info: dict, name: str) -> dict[str, int] | None:
    """tifffile's description: the shape of the whole, and the names of its axes if it was told."""
    text, samples = info["description"], info["samples"]
    try:
        about = json.loads(text) if text.startswith('{"shape"') else {}
        shape, names = about.get("shape"), about.get("axes", "")
        if shape is None or any(type(size) is not int or size < 1 for size in shape):
            return None
        if about.get("truncated") and not names:  # planes that are not in pages
            page = samples * info["height"] * info["width"]
            return None if math.prod(shape) == page else {"planes": math.prod(shape) // page}
        sizes = dict(zip(names, shape))
        if len(names) != len(shape) or not set(names) <= set("TZCSYX"):
            return None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if sizes.get("C") == samples > 1 and "S" not in names:
        del sizes["C"]  # the samples of a pixel
    return {axis: sizes[axis] for axis in reversed(names) if axis in "TZC"}


# ---- OME -----------------------------------------------------------------------------------------


def _ome(info: dict, name: str) -> dict[str, int] | None:
    """OME-XML: the sizes in Pixels, and where its planes are said to lie."""
    text, samples = info["description"], info["samples"]
    if not re.match(r"\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*)*<(\w+:)?OME\b", text[:4096], re.DOTALL):
        return None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("its OME description defines entities, which is not read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"its OME description is damaged ({error})") from None
    every = [one for one in root.iter() if _tag(one) == "Pixels"]
    mine = [one for one in every if name and name in _files(one)] or every
    if not mine:
        return None
    if len(mine) > 1:
        raise ValueError(f"holds {len(mine)} images of OME in one file, each with its own pages")
    if info["pages"] == 1 and _files(mine[0]):
        return None  # one plane of a set of files
    about, sizes = mine[0].attrib, {}
    order = about.get("DimensionOrder", "")
    for axis in order[2:]:
        size = about.get(f"Size{axis}", "")
        sizes[axis] = int(size) if size.isdecimal() and len(size) < 10 else 0
    if sorted(order) != sorted("XYZCT") or not all(sizes.values()):
        raise ValueError("its OME description is damaged (DimensionOrder, or a size)")
    sizes["C"] = sizes["C"] // samples if sizes["C"] % samples == 0 else sizes["C"]
    _check_order(mine[0], sizes, samples)
    return sizes


def _tag(element) -> str:
    return element.tag.rpartition("}")[2]


def _files(pixels) -> set[str]:
    """Names of the files that planes of an image are said to lie in."""
    return {one.get("FileName", "") for one in pixels.iter() if _tag(one) == "UUID"} - {""}


def _check_order(pixels, sizes: dict[str, int], samples: int) -> None:
    """Planes lie where their order puts them: what TiffData says must not differ."""
    for about in (one.attrib for one in pixels if _tag(one) == "TiffData"):
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
