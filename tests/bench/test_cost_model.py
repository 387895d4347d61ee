# SPDX-License-Identifier: BSD-3-Clause
"""The cost model: figures worked out by hand, what holds for any, and a machine that obeys it."""

import pytest

from phenoscale.bench import cost_model
from phenoscale.bench.cost_model import Link, Parts, Work

GIGABIT, TEN, HUNDRED = Link(50e-6, 0.117e9), Link(25e-6, 1.1e9), Link(1.5e-6, 11e9)
INPUTS, OUTPUTS = 81920, 512
MATRIX = 4 * INPUTS * OUTPUTS
WORK = Work(ahead={1: 0.13, 4: 0.46}, fields={1: 0.1, 4: 0.4}, form={1: 0.016, 4: 0.022},
            squares={1: 0.0, 4: 0.001, 16: 0.004, 64: 0.05, 256: 1.3},
            update={1: 0.04, 4: 0.05, 16: 0.13, 64: 0.4, 256: 1.6}, matrix_squares=0.08,
            matrix_update=0.04, factor_bytes=331828, field_bytes=2508160, matrix_bytes=167800884,
            factors=4)


@pytest.mark.parametrize("link, factors_ms, matrix_ms", [
    (GIGABIT, 700, 2808), (TEN, 75, 324), (HUNDRED, 7, 57)])
def test_256_images_on_32_ranks(link, factors_ms, matrix_ms):
    """n (p - 1) / p / B, and twice that with 31/32 n / (6 GB/s), for 84 and 168 MB."""
    factors = cost_model.all_gather(256 * 4 * (INPUTS + OUTPUTS), 32, link)
    assert 1000 * factors == pytest.approx(factors_ms, abs=1)
    assert 1000 * cost_model.all_reduce(MATRIX, 32, link) == pytest.approx(matrix_ms, abs=1)


@pytest.mark.parametrize("link, milliseconds", [
    (TEN, (14, 17, 22)), (Link(3e-6, 2.9e9), (6.0, 6.8, 7.5)), (HUNDRED, (2.5, 2.8, 3.1))])
def test_8_megabytes_are_summed(link, milliseconds):
    """14.0, 15.6, 16.1 of bytes at 10 Gb/s, and 0.35, 1.55, 6.35 of messages."""
    for p, expected in zip((8, 32, 128), milliseconds):
        assert 1000 * cost_model.all_reduce(8e6, p, link) == pytest.approx(expected, rel=0.04)


def test_few_bytes_are_summed_in_as_many_messages_as_the_number_of_ranks_has_bits():
    for p, messages in ((2, 1), (8, 3), (9, 4), (1024, 10)):
        seconds = cost_model.recursive_doubling(8, p, GIGABIT)
        assert seconds == pytest.approx(messages * 50e-6, rel=0.01)


def test_break_even():
    assert cost_model.break_even_of_bytes(INPUTS, OUTPUTS) == pytest.approx(1018, abs=1)
    for p in (2, 32):  # whatever the number of ranks
        factors, matrix = (
            call(n, p, Link(0, 1e9)) for call, n in (
                (cost_model.all_gather, 1018 * 4 * (INPUTS + OUTPUTS)),
                (lambda n, p, link: 2 * cost_model.all_gather(n, p, link), MATRIX)))
        assert factors == pytest.approx(matrix, rel=0.001)
    for link, images in ((GIGABIT, 976), (TEN, 741), (HUNDRED, 325)):
        found = cost_model.break_even_with_product(INPUTS, OUTPUTS, link, 560e9)
        assert found == pytest.approx(images, abs=1)


def test_the_slowest_of_many():
    for p, deviations in ((8, 1.43), (32, 2.07), (128, 2.59), (1024, 3.25)):
        assert cost_model.slowest(p) == pytest.approx(deviations, rel=0.01)


def test_parts_are_what_was_measured_where_it_was():
    one, four = (cost_model.parts(WORK, "factors", images) for images in (1, 4))
    assert one == Parts(pytest.approx(0.13), pytest.approx(0.1), 0.0, pytest.approx(0.04))
    assert four == Parts(pytest.approx(0.46), pytest.approx(0.4), 0.001, pytest.approx(0.05))
    assert four.stretched(10).total == pytest.approx(10 * four.total)
    matrix = cost_model.parts(WORK, "matrix", 4, 8)
    assert matrix.ahead == pytest.approx(0.46 + 0.022) and matrix.squares == 0.08


def test_more_ranks_share_the_squares_but_not_the_product():
    few, many = (cost_model.parts(WORK, "factors", 4, ranks) for ranks in (4, 64))
    assert (few.ahead, few.fields) == (many.ahead, many.fields)
    assert few.squares == pytest.approx(0.004 / 4) and many.squares == pytest.approx(1.3 / 64)
    assert few.update == pytest.approx(0.13) and many.update == pytest.approx(1.6)


def test_cores_share_all_but_the_memory():
    one = cost_model.parts(WORK, "factors", 1)
    forty = cost_model.parts(WORK, "factors", 40, cores=40)
    assert one.fields == pytest.approx(forty.fields, rel=0.01)  # all of it is the images'
    assert one.ahead / cost_model.MEMORY_CORES < forty.ahead < one.ahead


def test_a_step_hides_what_travels_beside_the_fields():
    parts, quick = cost_model.parts(WORK, "factors", 1, 2), Link(0, 1e15)
    free = cost_model.step(WORK, "factors", 1, 2, quick, parts)
    assert free == pytest.approx(parts.total, rel=0.01)
    hidden = cost_model.step(WORK, "factors", 1, 2, TEN, parts)
    fields = cost_model.all_reduce(WORK.field_bytes, 2, TEN)
    assert hidden == pytest.approx(parts.total + fields, rel=0.001)
    assert cost_model.dense_exchange(WORK, "factors", 1, 2, TEN) < parts.fields
    matrix = cost_model.parts(WORK, "matrix", 1, 2)
    travels = cost_model.all_reduce(WORK.matrix_bytes, 2, TEN)
    assert travels > matrix.fields
    assert cost_model.step(WORK, "matrix", 1, 2, TEN, matrix) == pytest.approx(
        matrix.total - matrix.fields + travels + fields, rel=0.001)


def test_jitter_is_waited_for():
    parts = cost_model.parts(WORK, "factors", 1, 32)
    calm, rough = (cost_model.step(WORK, "factors", 1, 32, TEN, parts, jitter)
                   for jitter in (0, 0.02))
    assert rough - calm == pytest.approx(0.02 * 2.07 * parts.total, rel=0.01)
