# SPDX-License-Identifier: BSD-3-Clause
"""What the pages of a TIFF are - channels, planes of z, times - from what programs write into it.

survey.py asks here; a description that does not fit its file is an error, never a guess.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from xml.etree import ElementTree

__all__ = ["axes", "full_pages", "is_of_set"]

_COLUMNS = 16  # fewer are no field of hundreds of rows
_IS_OME = re.compile(r"\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*)*<(\w+:)?OME\b", re.DOTALL)


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
        "C", "Z" and "T", the one that runs fastest over the pages first (those of `full_pages`);
        None where the file does not say.

    Raises
    ------
    ValueError
        Where what it says does not fit its pages.
    """
    pages = len(full_pages(info))
    if info.get("width", _COLUMNS) < _COLUMNS < min(info["height"], pages):
        raise ValueError(f"is {pages} pages of {info['width']} columns, an array whose last axis "
                         "is the channel and not the column (write np.moveaxis(array, -1, 0))")
    for program, read in (("ImageJ", _imagej), ("OME", _ome), ("tifffile", _tifffile)):
        found = read(info, name)
        if found is None:
            continue
        if math.prod(found.values()) != pages:
            words = _words(found)
            if program == "tifffile" and math.prod(found.values()) == info["samples"] > pages == 1:
                raise ValueError(f"has its {words} planes as colours of one page, which tifffile "
                                 "makes of 3 or 4 (photometric='minisblack' makes pages)")
            raise ValueError(f"has {pages} page{'s' * (pages > 1)}, but its description by "
                             f"{program} speaks of {words}")
        return found
    return None


def _words(sizes: dict[str, int]) -> str:
    return " x ".join(f"{size} {axis}" for axis, size in sizes.items())


def full_pages(info: dict) -> Sequence[int]:
    """Numbers of the pages that are planes: no thumbnails, smaller copies or masks."""
    every, reduced = range(info["pages"]), info.get("reduced", ())
    return [page for page in every if page not in reduced] if reduced else every


def is_of_set(info: dict) -> bool:
    """Whether a description by OME speaks of more than the one page of its file."""
    text = info["description"]
    if info["pages"] > 1 or not _IS_OME.match(text[:4096]):
        return False
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
    sizes = re.findall(r"\bSize[CZT]=[\"'](\d{1,9})", pixels[0]) if pixels else []
    return math.prod(map(int, sizes)) not in (1, info["samples"])


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
        about = json.loads(text) if text.startswith(('{"shape"', '{"axes"')) else {}
        shape, names = about.get("shape"), about.get("axes", "")
        if shape is None or any(type(size) is not int or size < 1 for size in shape):
            return None
        if about.get("truncated") and not names:  # planes that are not in pages
            page = samples * info["height"] * info["width"]
            return None if math.prod(shape) == page else {"planes": math.prod(shape) // page}
        sizes = dict(zip(names, shape))
        is_named = len(names) == len(shape) and set(names) <= set("TZCSYX")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    if not is_named:
        _refuse_unnamed(shape[:-2] if samples == 1 else shape[:-3], len(full_pages(info)))
        return None
    if sizes.get("C") == samples > 1 and "S" not in names:
        del sizes["C"]  # the samples of a pixel
    return {axis: sizes[axis] for axis in reversed(names) if axis in "TZC"}


def _refuse_unnamed(shape, pages: int) -> None:
    """Pages along one axis may be asked for; those of several have no order that one could say."""
    sizes = [size for size in shape if size > 1]
    if len(sizes) > 1 and math.prod(sizes) == pages:
        raise ValueError(f"has {' x '.join(map(str, sizes))} pages, and its description by "
                         "tifffile does not say which are channels and which planes (with "
                         "metadata={'axes': 'CZYX'} or 'ZCYX' it would, for --channels and --z)")


# ---- OME -----------------------------------------------------------------------------------------


def _ome(info: dict, name: str) -> dict[str, int] | None:
    """OME-XML: the sizes in Pixels, and where its planes are said to lie."""
    text, samples = info["description"], info["samples"]
    if not _IS_OME.match(text[:4096]):
        return None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("its OME description defines entities, which is not read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"its OME description is damaged ({error})") from None
    every = [one for one in root.iter() if _tag(one) == "Pixels"]
    mine = [one for one in every if name and name in _files(one)] or every
    is_cut = mine and len(full_pages(info)) == 1 and (
        len(mine) > 1 or _files(mine[0]) or _planes(mine[0], samples) > 1)
    if not mine or is_cut:  # cut: one plane of a set of files
        return None
    if len(mine) > 1:
        raise ValueError(f"holds {len(mine)} images of OME in one file, each with its own pages")
    about, sizes = mine[0].attrib, {}
    order = about.get("DimensionOrder", "")
    for axis in order[2:]:
        size = about.get(f"Size{axis}", "")
        sizes[axis] = int(size) if size.isdecimal() and len(size) < 10 else 0
    if sorted(order) != sorted("XYZCT") or not all(sizes.values()):
        raise ValueError("its OME description is damaged (DimensionOrder, or a size)")
    sizes["C"] = sizes["C"] // samples if sizes["C"] % samples == 0 else sizes["C"]
    files, pages = len(_files(mine[0])), len(full_pages(info))
    if files > 1 and math.prod(sizes.values()) != pages:
        raise ValueError(f"is one of {files} files of OME that have {_words(sizes)} planes between "
                         f"them, and {pages} pages: which planes those are is not read")
    _check_order(mine[0], sizes, samples)
    return sizes


def _planes(pixels, samples: int) -> int:
    """How many pages an image says that it has; 0 where it does not."""
    sizes = [pixels.get(f"Size{axis}", "") for axis in "CZT"]
    if not all(size.isdecimal() and len(size) < 10 for size in sizes):
        return 0
    channels, *others = map(int, sizes)
    return math.prod(others) * (channels // samples if channels % samples == 0 else channels)


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
