# SPDX-License-Identifier: BSD-3-Clause
"""What a training step costs on many ranks, from what its parts cost on one core and a message on
one link: pure functions of seconds and bytes.

::

    rank   | ahead: forward, head | fields: their backward |       |squares|     | update |
    wire                          | factors or matrix | ...| sums  |       | add |

What is known of the dense layers travels while the field layers compute; what goes over the wire
after them is short.  The update forms the product of all rows of the step, on every rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

ADD_BYTES_PER_S = 6e9  # float32 of a buffer added to another, one core
MEMORY_CORES = 8  # cores of a node from which on its memory is no quicker


@dataclass(frozen=True)
class Link:
    """A rank's way to the others: what a message costs before its first byte, and the rate of its
    bytes, each way at once."""

    latency_s: float
    bytes_per_s: float


# ---- collectives: n bytes, p ranks, all begin at once ------------------------------------------


def all_gather(n, p, link):
    """Everyone's share to everyone, n bytes together: p - 1 messages."""
    return (p - 1) * link.latency_s + n * (p - 1) / p / link.bytes_per_s


def all_reduce(n, p, link):
    """n bytes summed over the ranks: each sums a slice of everyone's, and sends it to all."""
    return 2 * all_gather(n, p, link) + n * (p - 1) / p / ADD_BYTES_PER_S


def recursive_doubling(n, p, link):
    """The same for few bytes: log2(p) times all of them."""
    return math.ceil(math.log2(p)) * (
        link.latency_s + n / link.bytes_per_s + n / ADD_BYTES_PER_S)


def break_even_of_bytes(inputs, outputs):
    """Images of a step from which on the gradient of a dense layer is fewer bytes than its factors,
    whatever the number of ranks.

    >>> round(break_even_of_bytes(81920, 512))
    1018
    """
    return 2 * inputs * outputs / (inputs + outputs)


def break_even_with_product(inputs, outputs, link, flop_per_s):
    """The same where the product of all rows, at a rank's flop_per_s, counts too."""
    matrix = 4 * inputs * outputs
    return (2 * matrix / link.bytes_per_s + matrix / ADD_BYTES_PER_S) / (
        4 * (inputs + outputs) / link.bytes_per_s + 2 * inputs * outputs / flop_per_s)


def slowest(p):
    """Of p times that scatter normally: the largest, in deviations above the mean (Blom 1958).

    >>> [round(slowest(p), 1) for p in (8, 32, 128, 1024)]
    [1.4, 2.1, 2.6, 3.2]
    """
    return NormalDist().inv_cdf((p - 0.375) / (p + 0.25))


# ---- what a rank computes ------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """What one core was measured to need, in seconds; curves are {number: seconds}.

    Attributes
    ----------
    ahead, fields, form : dict
        By images: all up to the head's backward; the field layers' backward and their sum; the
        product, where the matrix travels.
    squares, update : dict
        By rows of the step: what the norm is summed from; the update, which forms the product.
    matrix_squares, matrix_update : float
        The same where the matrix has travelled.
    factor_bytes, field_bytes, matrix_bytes : int
        Of an image's factors, of the field layers' gradient, of the dense layers'.
    factors : int
        Arrays that the former are.
    """

    ahead: dict
    fields: dict
    form: dict
    squares: dict
    update: dict
    matrix_squares: float
    matrix_update: float
    factor_bytes: int
    field_bytes: int
    matrix_bytes: int
    factors: int


@dataclass(frozen=True)
class Parts:
    """Seconds that a rank computes in a step, in their order; `form` is a part of `ahead`."""

    ahead: float
    fields: float
    squares: float
    update: float

    @property
    def total(self):
        """All of them."""
        return self.ahead + self.fields + self.squares + self.update

    def stretched(self, by):
        """The same on cores `by` times slower."""
        return Parts(*(by * s for s in (self.ahead, self.fields, self.squares, self.update)))


def at(curve, number, power):
    """A curve at a number: between its points on a line, beyond the last as that power of it.

    >>> [at({1: 2.0, 4: 8.0}, n, 2) for n in (1, 2, 8)]
    [2.0, 4.0, 32.0]
    """
    known = sorted(curve)
    if number >= known[-1]:
        return curve[known[-1]] * (number / known[-1]) ** power
    above = max(1, next(i for i, n in enumerate(known) if n > number))
    low, high = known[above - 1], known[above]
    return curve[low] + (number - low) / (high - low) * (curve[high] - curve[low])


def on_cores(curve, number, cores):
    """A curve's seconds on `cores` of one rank: what it costs whatever the number is the memory's
    to give, and each of the number is a core's work.

    >>> on_cores({1: 3.0, 4: 6.0}, 4, 1), on_cores({1: 3.0, 4: 6.0}, 40, 40)
    (6.0, 1.25)
    """
    first, last = min(curve), max(curve)
    fixed = max(0.0, curve[first] - first * (curve[last] - curve[first]) / (last - first))
    rest = {n: max(0.0, seconds - fixed) for n, seconds in curve.items()}
    return fixed / min(cores, MEMORY_CORES) + at(rest, number, 1) / cores


def parts(work, exchange, images, ranks=1, cores=1):
    """`Parts` of a step in which each of the ranks has that many images and cores.

    exchange: "factors" or "matrix".  The matrix's squares are summed by one core of one rank.
    """
    ahead, fields = (on_cores(curve, images, cores) for curve in (work.ahead, work.fields))
    if exchange == "matrix":
        return Parts(ahead + on_cores(work.form, images, cores), fields, work.matrix_squares,
                     work.matrix_update / min(cores, MEMORY_CORES))
    rows = images * ranks
    return Parts(ahead, fields, at(work.squares, rows, 2) / (ranks * cores),
                 on_cores(work.update, rows, cores))


# ---- the step ------------------------------------------------------------------------------------


def dense_exchange(work, exchange, images, p, link):
    """Seconds on the wire of what goes beside the field layers' backward."""
    if exchange == "matrix":
        return all_reduce(work.matrix_bytes, p, link)
    return ((work.factors - 1) * (p - 1) * link.latency_s
            + all_gather(images * p * work.factor_bytes, p, link))


def step(work, exchange, images, p, link, computed, jitter=0.0):
    """Seconds of a step of p ranks.

    Parameters
    ----------
    work : Work
    exchange : {"factors", "matrix"}
    images : int
        Of each rank.
    link : Link
    computed : Parts
        What a rank computes: `parts` of all this, stretched or not.
    jitter : float
        Deviation of what a rank computes, as a share of it: all wait for the slowest.
    """
    squares = 8 * (1 if exchange == "matrix" else 1 + images * p * work.factors // 2)
    return (computed.ahead
            + max(computed.fields, dense_exchange(work, exchange, images, p, link))
            + all_reduce(work.field_bytes, p, link) + computed.squares
            + recursive_doubling(squares, p, link) + computed.update
            + jitter * slowest(p) * computed.total)
