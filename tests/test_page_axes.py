# SPDX-License-Identifier: BSD-3-Clause
"""What programs write of the pages of a TIFF: understood, or refused where it does not fit."""

import pytest

from phenoscale.page_axes import axes


@pytest.mark.parametrize(("text", "pages", "found"), [
    ("ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\n", 6, {"C": 2, "Z": 3, "T": 1}),
    ("ImageJ=1.53t\nimages=6\n", 6, {"Z": 6}),
    ('<OME><Pixels DimensionOrder="XYZCT" SizeC="2" SizeT="1" SizeZ="3" SizeX="5"/></OME>', 6,
     {"Z": 3, "C": 2, "T": 1}),
    ("<ome:OME><ome:Pixels DimensionOrder='XYCTZ' SizeC='2' SizeT='1' SizeZ='3'/>", 6,
     {"C": 2, "T": 1, "Z": 3}),
    ('<OME><Pixels DimensionOrder="XYZCT" SizeC="2" SizeZ="3" /></OME>', 6, None),
    ('<OME><Pixels DimensionOrder="XYZZZ" SizeC="2" SizeZ="3" SizeT="1"/></OME>', 6, None),
    ('<OME><Pixels DimensionOrder="XYZCT" SizeC="9999999999" SizeZ="3" SizeT="1"/></OME>', 6, None),
    ('{"shape": [3, 2, 5, 6], "axes": "ZCYX"}', 6, {"C": 2, "Z": 3}),
    ('{"shape": [6, 5, 6]}', 6, None), ('{"shape": [1e9, 2], "axes": "ZC"}', 6, None),
    ('{"shape": 7, "axes": "Z"}', 6, None), ('{"shape"', 6, None), ("a plate", 6, None)])
def test_descriptions(text, pages, found):
    assert axes({"description": text, "samples": 1, "pages": pages}) == found


OME = ('<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="3" SizeZ="2" SizeT="1">{}</Pixels>'
       '</Image>{}')


@pytest.mark.parametrize(("text", "pages", "words"), [
    ("ImageJ=1.53t\nimages=6\nchannels=2\n", 6, "has 6 pages, but its description by ImageJ "
     "speaks of 2 C x 1 Z x 1 T"),
    ("ImageJ=1.53t\nimages=15\nchannels=3\nslices=5\n", 14, "has 14 pages"),
    ("ImageJ=1.53t\nimages=5\nslices=5\n", 1, "has 1 page, but"),
    ('{"shape": [5, 6, 6], "axes": "ZYX", "truncated": true}', 1, "has 1 page, but"),
    ('{"shape": [5, 6, 6], "truncated": true}', 1, "has 1 page, but"),
    (OME.format("", ""), 5, "has 5 pages, but its description by OME speaks of 3 C x 2 Z x 1 T"),
    (OME.format("", '<Image><Pixels SizeC="3"/></Image>'), 6, "holds 2 images of OME"),
    (OME.format('<TiffData IFD="0" FirstC="2"/><TiffData IFD="1" FirstC="1"/>', ""), 6,
     "its pages lie in another order"),
    (OME.format('<TiffData IFD="-1"/>', ""), 6, "its OME description is damaged")])
def test_descriptions_that_do_not_fit(text, pages, words):
    """An acquisition that was stopped, planes behind one page, another order: never a guess."""
    with pytest.raises(ValueError, match=words):
        axes({"description": text, "samples": 1, "pages": pages})


@pytest.mark.parametrize("inside", [
    "", "<TiffData/>", '<TiffData IFD="0" PlaneCount="6"/>',
    "".join(f'<TiffData IFD="{i}" FirstC="{i % 3}" FirstZ="{i // 3}"/>' for i in range(6))])
def test_planes_of_ome_in_their_order(inside):
    about = {"description": OME.format(inside, ""), "samples": 1, "pages": 6}
    assert axes(about) == {"C": 3, "Z": 2, "T": 1}
    assert axes({**about, "pages": 1}) is None  # one of a set of files
