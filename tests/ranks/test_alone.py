# SPDX-License-Identifier: BSD-3-Clause
"""Shares of steps, and what is said of ranks that do not fit together; no MPI in it."""

import os
import re

import numpy as np
import pytest

from phenoscale import _core
from phenoscale.errors import InputError
from phenoscale.models import networks
from phenoscale.ranks.alone import Alone, branches, even_ends, own_places
from phenoscale.ranks.exchange import Exchange, break_even
from phenoscale.ranks.roll_call import agree, roll_call


@pytest.mark.parametrize("n", [1, 2, 5, 7, 8, 12, 16, 100])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 64])
def test_shares_are_branches_of_the_tree(n, size):
    ends = branches(n, size)
    shares = np.diff([0, *ends])
    assert len(ends) == size and ends[-1] == n and (shares >= 0).all()
    used = shares[shares > 0]
    assert len(set(used[:-1])) <= 1 and used[-1] <= used[0]
    assert used[0] & (used[0] - 1) == 0 or len(used) == 1  # a power of two
    assert even_ends(n, size)[-1] == n and np.ptp(np.diff([0, *even_ends(n, size)])) <= 1


def test_the_places_of_all_ranks_are_those_of_the_epoch_once():
    class One(Alone):
        def __init__(self, rank):
            self.rank, self.size = rank, 4

    own = [own_places(8, 45, 8, One(rank)) for rank in range(4)]
    assert sorted(np.concatenate(own)) == list(range(8, 45))
    assert own[1].tolist()[:4] == [10, 11, 18, 19]  # images 2 and 3 of steps of 8
    assert own_places(45, 45, 8, One(0)).tolist() == []


def test_one_process_alone_has_the_gradient_of_a_plain_step():
    fields = np.random.default_rng(0).integers(0, 999, (5, 1, 128, 128)).astype(np.uint16)
    labels = np.array([0, 1, 1, 0, 1])
    nets = [_core.Net(networks.describe("mcnn", 1, 128, 128, 2), training=True, images=2, batch=5)
            for _ in range(2)]
    exchange = Exchange(nets[1], Alone())
    for net in nets:
        net.initialise(1)
    nets[0].begin()
    assert exchange.begin(5) == (0, 5)
    losses = []
    for at in (0, 2, 4):
        part = labels[at : at + 2]
        for net in nets:
            net.forward(fields[at : at + 2], [0.001], [0.0])
        losses += nets[0].backward(part, np.full(len(part), 0.2), 0.1)[0].tolist()
        exchange.head(at, part, 0.1)
        nets[1].backward_fields()
    exchange.send()
    assert exchange.finish() == (np.sum(losses), nets[0].gradient())
    assert nets[0].gradients.tobytes() == nets[1].gradients.tobytes()


def test_break_even_is_that_of_the_published_network():
    net = _core.Net(networks.describe("mcnn", 3, 1024, 1280, 13), training=True)
    assert break_even(net) == pytest.approx(1018, abs=30)  # one layer of 81,920 x 512: 1,018


# ---- roll call -----------------------------------------------------------------------------------


class Several(Alone):
    """Ranks of which the others say something else."""

    def __init__(self, *others):
        self.size, self.others = 1 + len(others), others
        self.names = [f"rank {rank} on node{rank}" for rank in range(self.size)]

    def everyone(self, value):
        return [value, *({**value, **other} for other in self.others)]


def call(*others, threads=1, batch=8):
    told, warned = [], []
    roll_call(Several(*others), threads, batch, told.append, warned.append)
    return told, warned


def test_ranks_are_listed_by_host():
    told, warned = call({"host": "node1"}, {"host": "node1"}, {"host": "node1"})
    lines = told[0]["lines"]
    assert len(lines) == 2 and "rank 0" in lines[0] and lines[1].startswith("node1: ranks 1-3")
    assert call()[0] == []  # one alone


@pytest.mark.parametrize("options, versions, words", [
    ({"epochs": 3, "isa": "avx512"}, {"numpy": "1.26"}, "numpy is 1.26, not 2.0; install the same"),
    ({"epochs": 3, "isa": "avx2"}, {"numpy": "2.0"}, "isa is avx2, not avx512; set PHENOSCALE_ISA"),
    ({"epochs": 4, "isa": "avx512"}, {"numpy": "2.0"}, "epochs is 4, not 3; give all the same op"),
    ({"isa": "avx512"}, {"numpy": "2.0"}, "epochs is None, not 3"), (None, None, None)])
def test_a_rank_that_differs_is_named(options, versions, words):
    class Two(Alone):
        size, names = 2, ["rank 0 on a", "rank 1 on b"]

        def everyone(self, value):
            return [value, value if options is None else [options, versions]]

    same = {"epochs": 3, "isa": "avx512", "versions": {"numpy": "2.0"}}
    if words is None:
        agree(Two(), lambda: same)
        return
    with pytest.raises(InputError, match="rank 1 on b differs from rank 0 on a: " + words):
        agree(Two(), lambda: same)


def test_bound_ranks_are_warned_of():
    few = {"processors": 1, "of": 40, "threads": 1}
    ranks = Several(few)
    ranks.everyone = lambda value: [{**value, **few}, {**value, **few}]
    warned = []
    roll_call(ranks, 1, 8, lambda event: None, warned.append)
    assert "bound to 1 each: start with 'phenoscale launch'" in warned[0]


def test_too_many_threads_are_warned_of():
    _, warned = call({}, threads=os.cpu_count())
    assert "fewer ranks, or fewer --threads" in warned[0]


@pytest.mark.parametrize("batch, size, words", [
    (16, 3, "a batch of 16 over 3 ranks is 8 images for some and 0 for others.*batch of 12 or 24"),
    (2, 4, "a batch of 2 over 4 ranks.*choose a batch of 4 or 8"), (24, 3, None), (8, 8, None)])
def test_batches_that_do_not_fit_are_warned_of(batch, size, words):
    _, warned = call(*[{"host": f"node{k}"} for k in range(1, size)], batch=batch)
    if words is None:
        assert warned == []
    else:
        assert len(warned) == 1 and re.search(words, warned[0])
