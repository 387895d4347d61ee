# SPDX-License-Identifier: BSD-3-Clause
"""What programs write of the pages of a TIFF: understood, or refused where it does not fit."""

import time

import pytest

from phenoscale.images.pages import axes, full_pages, is_of_set


@pytest.mark.parametrize(("text", "pages", "found"), [
    ("ImageJ=1.53t\nimages=6\nchannels=2\nslices=3\n", 6, {"C": 2, "Z": 3, "T": 1}),
    ("ImageJ=1.53t\nimages=6\n", 6, {"Z": 6}),
    ('<OME><Pixels DimensionOrder="XYZCT" SizeC="2" SizeT="1" SizeZ="3" SizeX="5"/></OME>', 6,
     {"Z": 3, "C": 2, "T": 1}),
    ("<o:OME xmlns:o='a'><o:Pixels DimensionOrder='XYCTZ' SizeC='2' SizeT='1' SizeZ='3'/></o:OME>",
     6, {"C": 2, "T": 1, "Z": 3}), ("<OME/>", 6, None),
    ('{"shape": [3, 2, 5, 6], "axes": "ZCYX"}', 6, {"C": 2, "Z": 3}),
    ('{"axes": "ZCYX", "shape": [3, 2, 5, 6]}', 6, {"C": 2, "Z": 3}),  # of some years ago
    ('{"shape": [6, 5, 6]}', 6, None), ('{"shape": [1e9, 2], "axes": "ZC"}', 6, None),
    ('{"shape": 7, "axes": "Z"}', 6, None), ('{"shape"', 6, None), ("a plate", 6, None)])
def test_descriptions(text, pages, found):
    assert axes({"description": text, "samples": 1, "pages": pages}) == found


def test_one_page_of_several_that_ome_speaks_of():
    """Without a word on files too; what does not fit several pages stays an error."""
    about = {"description": OME.format("", ""), "samples": 1, "pages": 1}
    assert axes(about) is None and is_of_set(about)
    assert axes({**about, "description": OME.format("", "<Image><Pixels/></Image>")}) is None
    one = about["description"].replace("3", "1").replace("2", "1")
    assert axes({**about, "description": one}) == {"C": 1, "Z": 1, "T": 1}
    assert not is_of_set({**about, "description": one})
    reduced = {**about, "pages": 8, "reduced": (0, 4)}
    assert axes(reduced) == {"C": 3, "Z": 2, "T": 1}
    assert list(full_pages(reduced)) == [1, 2, 3, 5, 6, 7] and not is_of_set(reduced)


OME = ('<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="3" SizeZ="2" SizeT="1">{}</Pixels>'
       '</Image>{}</OME>')


@pytest.mark.parametrize(("text", "pages", "words"), [
    ("ImageJ=1.53t\nimages=6\nchannels=2\n", 6, "has 6 pages, but its description by ImageJ "
     "speaks of 2 C x 1 Z x 1 T"),
    ("ImageJ=1.53t\nimages=15\nchannels=3\nslices=5\n", 14, "has 14 pages"),
    ("ImageJ=1.53t\nimages=5\nslices=5\n", 1, "has 1 page, but"),
    ('{"shape": [5, 6, 6], "axes": "ZYX", "truncated": true}', 1, "has 1 page, but"),
    ('{"shape": [5, 6, 6], "truncated": true}', 1, "has 1 page, but its description by tifffile "
     "speaks of 5 planes"),
    ('<OME><Pixels DimensionOrder="XYZCT" SizeC="2" SizeZ="3" /></OME>', 6, "is damaged"),
    ('<OME><Pixels DimensionOrder="XYZZZ" SizeC="2" SizeZ="3" SizeT="1"/></OME>', 6, "is damaged"),
    ('<OME><Pixels DimensionOrder="XYZCT" SizeC="9999999999" SizeZ="3" SizeT="1"/></OME>', 6,
     "is damaged"), ("<OME><Pixels>", 6, "is damaged"),
    ('<OME><!DOCTYPE x [<!ENTITY a "b">]><Pixels/></OME>', 6, "defines entities"),
    (OME.format("", ""), 5, "has 5 pages, but its description by OME speaks of 3 C x 2 Z x 1 T"),
    (OME.format("", '<Image><Pixels SizeC="3"/></Image>'), 6, "holds 2 images of OME"),
    (OME.format('<TiffData IFD="0" FirstC="2"/><TiffData IFD="1" FirstC="1"/>', ""), 6,
     "its pages lie in another order"),
    (OME.format('<TiffData IFD="-1"/>', ""), 6, "its OME description is damaged")])
def test_descriptions_that_do_not_fit(text, pages, words):
    """An acquisition that was stopped, planes behind one page, another order: never a guess."""
    with pytest.raises(ValueError, match=words):
        axes({"description": text, "samples": 1, "pages": pages, "height": 6, "width": 6})


@pytest.mark.parametrize("inside", [
    "", "<TiffData/>", '<TiffData IFD="0" PlaneCount="6"/>',
    "".join(f'<TiffData IFD="{i}" FirstC="{i % 3}" FirstZ="{i // 3}"/>' for i in range(6))])
def test_planes_of_ome_in_their_order(inside):
    about = {"description": OME.format(inside, ""), "samples": 1, "pages": 6}
    assert axes(about) == {"C": 3, "Z": 2, "T": 1}


def test_one_file_of_a_set():
    """A description may speak of all files of a set: the image of this one is chosen by its name,
    and a file of one page is one plane of it."""
    image = ('<Image><Pixels DimensionOrder="XYCZT" SizeC="{}" SizeZ="1" SizeT="1">'
             '<TiffData IFD="0"><UUID FileName="{}">urn:1</UUID></TiffData></Pixels></Image>')
    text = f"<OME>{image.format(2, 'a.tif')}{image.format(3, 'b.tif')}</OME>"
    about = {"description": text, "samples": 1, "pages": 3}
    assert axes(about, "b.tif") == {"C": 3, "Z": 1, "T": 1}
    assert axes({**about, "pages": 1}, "a.tif") is None
    with pytest.raises(ValueError, match="has 3 pages, but"):
        axes(about, "a.tif")
    with pytest.raises(ValueError, match="holds 2 images of OME"):
        axes(about, "c.tif")


def test_planes_that_lie_in_several_files():
    """What is the matter is said, not a number of pages."""
    parts = "".join(f'<TiffData FirstC="{c}" PlaneCount="4"><UUID FileName="{c}.tif">urn:{c}</UUID>'
                    '</TiffData>' for c in range(2))
    text = ('<OME><Image><Pixels DimensionOrder="XYZCT" SizeC="2" SizeZ="4" SizeT="1">' + parts
            + "</Pixels></Image></OME>")
    with pytest.raises(ValueError, match="is one of 2 files of OME that have 4 Z x 2 C x 1 T"):
        axes({"description": text, "samples": 1, "pages": 4}, "0.tif")
    assert axes({"description": text, "samples": 1, "pages": 8}, "0.tif") == {"Z": 4, "C": 2,
                                                                              "T": 1}


def test_planes_that_became_colours():
    """tifffile takes an array of 3 planes for planar RGB unless it is told otherwise."""
    about = {"description": '{"shape": [3, 40, 30], "axes": "ZYX"}', "samples": 3, "pages": 1,
             "height": 40, "width": 30}
    with pytest.raises(ValueError, match="has its 3 Z planes as colours of one page"):
        axes(about)


def test_a_long_description_takes_its_length():
    """Hundreds of thousands of elements: linear."""
    text = OME.format("<TiffData/>" * 400_000, "")
    begun = time.process_time()
    assert axes({"description": text, "samples": 1, "pages": 6}) == {"C": 3, "Z": 2, "T": 1}
    assert time.process_time() - begun < 30
