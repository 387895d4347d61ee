# SPDX-License-Identifier: BSD-3-Clause
"""The gradient of a step, put together from the images that each rank has.

    begin -> (forward, head) for each part, and after the last head: send -> fields -> finish

Of the field layers, ranks send sums.  Of the dense head, which has almost all the weights, they
send by default the two factors of its gradient, image by image: it is known when the head is done,
and travels while the field layers still compute; each rank forms the product, in one fixed order.
Below 2 N M / (N + M) images a step (N inputs, M outputs: 1,018 for mcnn) that is less than the
matrix, whatever the number of ranks.
"""

from __future__ import annotations

import numpy as np

from phenoscale.ranks.alone import Alone, branches, share

__all__ = ["Exchange", "break_even"]


def break_even(net) -> int:
    """Images of a step from which on the matrices of the dense head are less than the factors; 0
    where they are less than the sums of the field layers, and it does not matter."""
    inputs = [x.shape[1] for x in net.factors[0::2]]
    outputs = [d.shape[1] for d in net.factors[1::2]]
    matrix = sum(n * m for n, m in zip(inputs, outputs))
    return 2 * matrix // (sum(inputs) + sum(outputs)) if matrix > len(net.sums[0]) else 0


class Exchange:
    """The steps of one network over ranks.

    Parameters
    ----------
    net : phenoscale._core.Net
        Made for steps of all ranks' images, with forms_dense where `ranks.exchange` is "matrix".
    ranks : Alone or phenoscale.ranks.mpi.Ranks
    """

    def __init__(self, net, ranks: Alone):
        self._net, self._ranks, self._is_matrix = net, ranks, ranks.exchange == "matrix"
        self._of_fields, self._of_dense = net.sums
        self._factors = net.factors

    def begin(self, n: int) -> tuple[int, int]:
        """Begin a step of n images: those that this rank has, first and end."""
        self._n, self._ends = n, branches(n, self._ranks.size)
        first, end = share(self._ends, self._ranks.rank)
        self._losses = np.zeros(n)
        self._net.begin(0 if self._is_matrix else first)
        return first, end

    @property
    def _active(self) -> int:
        """Ranks that have images."""
        return 1 + sum(end < self._n for end in self._ends)

    def head(self, at: int, labels, smoothing: float) -> None:
        """Loss and head of the images of the last forward, from image `at` of the step on."""
        weights = np.full(len(labels), 1 / self._n)
        losses = self._net.backward_head(labels, weights, smoothing)[0]
        self._losses[at : at + len(labels)] = losses

    def spoil(self, at: int) -> None:
        """Image `at` has no pixels: the loss of the step is no number, at every rank."""
        self._losses[at] = np.nan

    def send(self) -> None:
        """After the last head: what is known of the dense layers goes to the others."""
        self._ranks.rows(self._losses, self._ends, wait=False)
        if self._is_matrix:
            self._net.form()
            self._ranks.tree(self._of_dense, self._active, wait=False)
        else:
            for factor in self._factors:
                self._ranks.rows(factor[: self._n], self._ends, wait=False)

    def finish(self) -> tuple[float, float]:
        """After the last backward: loss of the step, and the Euclidean norm of its gradient."""
        ranks, net = self._ranks, self._net
        net.sum()
        ranks.tree(self._of_fields, self._active)
        ranks.settle()
        squares = net.squares(self._n, ranks.rank, ranks.size)
        ranks.add(squares)
        return float(self._losses.sum()), net.end(self._n, squares)
