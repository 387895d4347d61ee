# SPDX-License-Identifier: BSD-3-Clause
# What the built module has: the C library of csrc/ as python/binding/ wraps it.  The docstrings of
# the module say what each thing does, csrc/phenoscale.h how; here are the types and the shapes.
# Throughout: n, c, h, w are images (fields), channels, height, width.

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal, TypedDict, Union, final

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

# uint8, uint16 or float32
_Pixels = Union[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.float32]]
# a list of (c, h, w), or one (n, c, h, w)
_Fields = Union[Sequence[_Pixels], _Pixels]
# name, where it begins in the flat parameters, shape, is_bias
_Slice = tuple[str, int, tuple[int, ...], bool]
# shares (h, w, c), places (h, w, c), window, pixel
_Map = tuple[NDArray[np.float32], Union[NDArray[np.int32], None], int, int]

class _ImageInfo(TypedDict):  # and of several pages reduced: tuple[int, ...], numbers
    pages: int
    samples: int
    height: int
    width: int
    dtype: Literal["uint8", "uint16", "float32"]  # in a Loader
    native: str  # in read_image
    is_min_white: bool
    description: str

class _Measures(TypedDict):
    min: float
    max: float
    mean: float
    at_max: int  # pixels
    bits: int
    detail: list[float]  # by octave

class _NumberRow(TypedDict):
    name: str  # with {0}, {1} for channels a, b
    a: int
    b: int
    gain: int  # 1: leaves the number as it is
    offset: int
    flip: int
    turn: int
    undefined: Union[str, None]  # where it is NaN

class _Limits(TypedDict):
    pixels: int  # of one plane
    expansion: int  # decoded bytes a byte of file,
    small: int  # where it decodes to more than these bytes
    bin: int
    channels: int
    side: int  # pixels
    threads: int

class ImageError(ValueError): ...
class UnsupportedImage(ImageError): ...

# ---- images and planes (images.c) ----------------------------------------------------------------

def image_info(path: str | bytes | os.PathLike, page: int = 0) -> _ImageInfo: ...

# (samples, h, w)
def read_image(path: str | bytes | os.PathLike, page: int = 0) -> NDArray: ...

# (planes, h, w) -> (h, w)
def z(name: str, stack: _Pixels, /) -> _Pixels: ...

# (h, w) -> (h // n, w // n)
def bin(plane: _Pixels, n: int, /) -> _Pixels: ...

# (h, w)
def measure(plane: _Pixels, /) -> _Measures: ...

# (h, w) of float32
def check_floats(plane: NDArray[np.float32], /) -> None: ...

# (c, h, w), in place; rows: bits
def augment(field: _Pixels, rows: int, seed: int, epoch: int, sample: int, /) -> None: ...

# ---- measures (measures.c) -----------------------------------------------------------------------

# (c, h, w) -> (numbers,)
def numbers(field: _Pixels, nuclei: int = -1) -> NDArray[np.float64]: ...
def number_rows(channels: int, nuclei: int = -1) -> list[_NumberRow]: ...

# ---- losses, tables, the build and the machine (core.c) ------------------------------------------

# (n, k) -> (n, k)
def softmax(logits: ArrayLike, /) -> NDArray[np.float32]: ...

# (k,) -> loss, gradient (k,)
def loss(name: str, logits: ArrayLike, label: int,
         smoothing: float = 0.0, /) -> tuple[float, NDArray[np.float64]]: ...

def layer_names() -> list[str]: ...
def loss_names() -> list[str]: ...
def optimizer_names() -> list[str]: ...
def z_names() -> list[str]: ...
def augment_names() -> list[str]: ...
def limits() -> _Limits: ...
def isa() -> Literal["avx512", "avx2", "portable"]: ...
def fma_peak() -> float: ...  # GFLOP/s of one core
def versions() -> dict[str, str]: ...

# ---- classes -------------------------------------------------------------------------------------

@final
class Loader:
    # files: n_files paths; planes (p, 3): file, page, sample; ends (n * c); shape: (c, h, w)
    def __init__(self, files: list[str], planes: ArrayLike, ends: ArrayLike,
                 shape: tuple[int, int, int], dtype: DTypeLike, z: str | None = None, bin: int = 1,
                 workers: int = 2, slots: int = 4) -> None: ...

    # order, samples: (n,)
    def start(self, order: ArrayLike, augment: int = 0, seed: int = 0, epoch: int = 0,
              samples: ArrayLike | None = None) -> None: ...

    # (c, h // bin, w // bin), a view
    def next(self) -> _Pixels: ...
    def release(self, n: int, /) -> None: ...

@final
class Net:
    # batch: as images where it is 0
    def __init__(self, description: str, threads: int = 1, training: bool = False, images: int = 1,
                 batch: int = 0, limit: int = 0, forms_dense: bool = False,
                 memory: int = 0) -> None: ...

    @property
    def parameters(self) -> NDArray[np.float32]: ...  # (count,), a view
    @property
    def gradients(self) -> NDArray[np.float32] | None: ...  # (count,), a copy
    @property
    def sums(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...  # views
    @property
    def factors(self) -> list[NDArray[np.float32]]: ...  # (batch, columns) each, views
    @property
    def slices(self) -> list[_Slice]: ...
    @property
    def training(self) -> bool: ...
    @property
    def executed(self) -> int: ...  # floating-point operations
    @property
    def classes(self) -> int: ...
    @property
    def embedding(self) -> int: ...
    @property
    def images(self) -> int: ...
    @property
    def memory(self) -> int: ...  # bytes

    def initialise(self, seed: int, /) -> None: ...

    # scale, offset (c,) or (n, c), gain (c, h, w) -> logits (n, classes), embeddings (n, embedding)
    def predict(self, fields: _Fields, scale: ArrayLike, offset: ArrayLike,
                gain: ArrayLike | None = None
                ) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...

    # -> class, logits (classes,), share of the biases, maps, top, left
    def evidence(self, fields: _Fields, scale: ArrayLike, offset: ArrayLike, class_number: int, /
                 ) -> tuple[int, NDArray[np.float32], float, list[_Map], int, int]: ...

    # a training step
    def begin(self, first: int = 0, /) -> None: ...
    def forward(self, fields: _Fields, scale: ArrayLike, offset: ArrayLike,
                gain: ArrayLike | None = None) -> None: ...

    # labels, weights (n,) -> weighted losses (n,), logits (n, classes)
    def backward(self, labels: ArrayLike, weights: ArrayLike, smoothing: float = 0.0,
                 loss: str = "softmax") -> tuple[NDArray[np.float64], NDArray[np.float32]]: ...
    def backward_head(self, labels: ArrayLike, weights: ArrayLike, smoothing: float = 0.0,
                      loss: str = "softmax"
                      ) -> tuple[NDArray[np.float64], NDArray[np.float32]]: ...
    def backward_fields(self) -> None: ...
    def gradient(self) -> float: ...  # its norm

    # one that is shared
    def sum(self) -> None: ...
    def form(self) -> None: ...
    def squares(self, n: int, part: int = 0, parts: int = 1, /) -> NDArray[np.float64]: ...
    def end(self, n: int, squares: ArrayLike, /) -> float: ...  # the norm

@final
class Optimizer:
    def __init__(self, name: str, net: Net) -> None: ...

    @property
    def states(self) -> list[NDArray[np.float32]]: ...  # (count,) each, views
    @property
    def steps(self) -> int: ...
    @steps.setter
    def steps(self, value: int) -> None: ...

    def update(self, net: Net, rate: float, momentum: float = 0.9, second: float = 0.999,
               epsilon: float = 1e-8, decay: float = 0.0, scale: float = 1.0) -> None: ...
