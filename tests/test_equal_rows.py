"""Equal rows become one, whatever their numbers are and however they are held."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skl_sae import _equal_rows
from skl_sae._equal_rows import merged

RNG = np.random.default_rng(0)
GRID = np.array(list(product(range(10), repeat=4)), float)
FORMS = {
    "whole numbers": GRID,
    "powers of two": np.ldexp(1.0, GRID.astype(int) * 50 - 300),
    "tiny and huge": np.where(GRID % 2, 1e-300, 1e300) * (GRID + 1),
    "neighbours": np.nextafter(1.0, 1 + GRID / 10) + GRID * np.finfo(float).eps,
    "one column": np.arange(5000.0)[:, np.newaxis],
    "float32": GRID.astype("f4") / 7,
    "signs": np.where(GRID % 2, -1, 1) * np.array([1.0, 2, 4, 8]),
}


@pytest.mark.parametrize("name", FORMS)
def test_rows_that_differ_stay_and_equal_ones_are_counted(name):
    X = FORMS[name]
    different, counts = np.unique(X, axis=0, return_counts=True)
    times = RNG.integers(1, 4, size=len(different))
    repeated = np.repeat(different, times, axis=0)
    rows, _, weights = merged(RNG.permutation(repeated))
    order = np.lexsort(rows.T[::-1])
    assert_array_equal(rows[order], different)
    assert_array_equal(weights[order], times)
    rows, _, weights = merged(X)
    assert len(rows) == len(different)
    assert weights is None if counts.min() == counts.max() else sum(weights) == len(X)


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_the_order_of_the_rows_and_their_zeros_do_not_matter(form):
    X = RNG.integers(-1, 2, size=(500, 4)) / 3
    Y = RNG.integers(0, 2, size=(500, 2)).astype(float)
    order = RNG.permutation(500)
    expected = merged(X, Y)
    negative = np.where(X == 0, -0.0, X)
    found = merged(form(negative[order]), Y[order])
    assert_array_equal(found[0].toarray() if form is csr_array else found[0], expected[0])
    assert_array_equal(found[1], expected[1])
    assert_array_equal(found[2], expected[2])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_the_order_has_no_unit(form, dtype):
    X, y = RNG.normal(size=(200, 3)).astype(dtype), RNG.normal(size=(200, 1))
    X[:, 1] = 0
    expected, targets, _ = merged(form(X), y)
    for power in (-20, 30):
        rows, scaled, _ = merged(form(np.ldexp(X, power)), np.ldexp(y, 5 * power))
        assert abs(rows - np.ldexp(1.0, power) * expected).max() == 0
        assert_array_equal(scaled, np.ldexp(targets, 5 * power))


def test_rows_are_equal_only_if_their_targets_are():
    X, Y = np.zeros((4, 2)), np.array([[0], [1], [0], [2**40]])
    _, targets, weights = merged(X, Y)
    assert sorted(targets.ravel()) == [0, 1, 2**40]
    assert sorted(weights) == [1, 1, 2]
    X, Y = np.array([[1.0], [2.0]]), np.array([[2.0], [1.0]])  # the same numbers, exchanged
    assert len(merged(X, Y)[0]) == 2


def test_weights_of_equal_rows_are_added_and_zeros_are_left_out():
    X = np.array([[1.0], [2.0], [1.0], [3.0]])
    rows, _, weights = merged(X, None, np.array([0.5, 2.0, 1.5, 0.0]))
    assert sorted(rows.ravel()) == [1, 2]
    assert weights is None  # both weigh two
    same = merged(X, None, np.ones(4))
    assert same[2].max() == 2


def test_many_sparse_blocks_have_the_keys_of_one(monkeypatch):
    X = csr_array(RNG.integers(0, 2, size=(300, 7)).astype(float))
    expected, *_ = merged(X)
    monkeypatch.setattr(_equal_rows, "N_ENTRIES", 10)
    found, *_ = merged(X)
    assert_array_equal(found.toarray(), expected.toarray())
    empty = csr_array((5, 3))
    assert merged(empty)[0].shape == (1, 3)


def test_too_many_rows_are_left_alone(monkeypatch):
    monkeypatch.setattr(_equal_rows, "MOST_ROWS", 3)
    X = np.zeros((4, 2))
    assert merged(X)[0] is X
