"""Activations, losses and penalties against 700-digit arithmetic, saturation included."""

import mpmath as mp
import numpy as np
import pytest
from reference import KINKED, definition, row_loss

from skl_sae.backprop.activations import (
    ACTIVATIONS,
    RANGES,
    STEEPEST,
    STEEPNESS,
    apply_output,
    logistic_pair,
)
from skl_sae.backprop.losses import LOSSES, get_loss
from skl_sae.backprop.penalties import kl_sparsity, weight_decay

mp.mp.dps = 700
POINTS = [-708.3, -700.0, -40.0, -20.0, -3.0, -1e-3, 0.0, 1e-9, 0.5, 5.0, 20.0, 36.0, 40.0, 700.0]


def exactly(function, points):
    """The function in 700 digits, and its derivative, rounded to float64."""
    values = [function(mp.mpf(p)) for p in points]
    slopes = [mp.diff(function, mp.mpf(p), h=mp.mpf(10) ** -330) for p in points]
    return np.array(values, dtype=float), np.array(slopes, dtype=float)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_and_its_slope(name):
    points = [p for p in POINTS if not (name in KINKED and p == 0)]
    k = STEEPNESS.get(name, 1)
    points = [p for p in points if k * abs(p) < 709]  # beyond, the slope underflows
    A, slope = np.array([points]), np.empty((1, len(points)))
    ACTIVATIONS[name](A, slope)
    value, derivative = exactly(definition(name, mp), points)
    np.testing.assert_allclose(A[0], value, rtol=1e-14)
    np.testing.assert_allclose(slope[0], derivative, rtol=1e-13)


@pytest.mark.parametrize("weights", [None, np.ones(1, np.float32)], ids=["alone", "with sums"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_in_single_precision(name, weights):
    """Without sums the slope need not keep its relative precision: see tanh."""
    points = np.linspace(-30, 30, 1001)[np.newaxis].astype(np.float32)
    A, slope = points.copy(), np.empty_like(points)
    ACTIVATIONS[name](A, slope, weights)
    exact, exact_slope = points.astype(float), np.empty(points.shape)
    ACTIVATIONS[name](exact, exact_slope)
    np.testing.assert_allclose(A, exact, rtol=1e-6)
    relative = 0 if name == "tanh" and weights is None else 1e-5
    np.testing.assert_allclose(slope, exact_slope, rtol=relative, atol=2e-7 * (relative == 0))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_range_and_steepest_slope(name):
    A = np.array([[-1e30, *np.linspace(-40, 40, 801), 1e30]])
    slope = np.empty_like(A)
    ACTIVATIONS[name](A, slope)
    ends = np.clip(RANGES[name], -1e30, 1e30)
    np.testing.assert_allclose([A.min(), A.max()], ends, rtol=1e-12, atol=1e-12)
    assert slope.max() == pytest.approx(STEEPEST[name], rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_value_is_out_of_range(name, dtype):
    """Not by a rounding either."""
    positive = np.logspace(-3, 30, 20_001)
    A = np.concatenate([-positive, positive])[np.newaxis].astype(dtype)
    ACTIVATIONS[name](A, np.empty_like(A))
    low, high = RANGES[name]
    assert low <= A.min() <= A.max() <= high


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_of_huge_values_is_finite(name, dtype):
    A = np.array([[-1e30, -1e3, 1e3, 1e30]], dtype)
    slope = np.empty_like(A)
    ACTIVATIONS[name](A, slope)
    assert np.isfinite(A).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("k", [1, 2])
def test_both_sides_of_the_logistic_unit_are_exact(k):
    Z = np.array([[p for p in POINTS if abs(p * k) < 709]])
    on, off = np.empty_like(Z), np.empty_like(Z)
    logistic_pair(Z, k, on, off)
    logistic = definition("logistic", mp)
    np.testing.assert_allclose(on[0], exactly(logistic, k * Z[0])[0], rtol=1e-13)
    np.testing.assert_allclose(off[0], exactly(logistic, -k * Z[0])[0], rtol=1e-13)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_output_activation_is_the_hidden_one(name):
    Z, A = np.array([POINTS]), np.array([POINTS])
    ACTIVATIONS[name](A, np.empty_like(A))
    assert apply_output(Z, name) is Z
    assert (Z == A).all()


def test_softmax_rows_sum_to_one_at_any_size():
    A = apply_output(np.array([[1e5, 0.0, -1e5], [1e300, 1e300, 0.0], [0.0, 0.0, 0.0]]), "softmax")
    np.testing.assert_allclose(A, [[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])


ROWS = [[0.3, -0.2, 1.0], [40.0, -40.0, 0.0], [-90.0, 60.0, 59.0], [300.0, -300.0, -1.0]]
TARGETS = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.2, 0.5, 0.3]]


@pytest.mark.parametrize("pair", LOSSES, ids="-".join)
@pytest.mark.parametrize("z", ROWS, ids=str)
@pytest.mark.parametrize("y", TARGETS, ids=str)
def test_loss_and_its_delta(pair, z, y):
    delta, scratch = np.array([z]), np.empty((1, 3))
    per_row = LOSSES[pair](delta, np.array([y]), scratch)
    z, y = [mp.mpf(v) for v in z], [mp.mpf(v) for v in y]
    assert per_row[0] == pytest.approx(float(row_loss(z, y, pair, mp)), rel=1e-12, abs=0)
    for k in range(3):

        def along(v, k=k):
            return row_loss([*z[:k], v, *z[k + 1 :]], y, pair, mp)

        exact = float(mp.diff(along, z[k], h=mp.mpf(10) ** -330))
        assert delta[0, k] == pytest.approx(exact, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("y", [-0.3, 1.7])
def test_log_loss_takes_targets_outside_the_unit_interval_as_its_ends(y):
    Z, nearest = np.array([[0.4]]), np.array([[0.4]])
    one = get_loss("log_loss", "logistic")(Z, np.array([[y]]), np.empty((1, 1)))
    end = get_loss("log_loss", "logistic")(nearest, np.array([[round(y)]]) * 1.0, np.empty((1, 1)))
    assert one == end
    assert nearest == Z


def test_a_pair_that_does_not_exist_names_those_that_do():
    with pytest.raises(ValueError, match=r"does not go with.*'log_loss' with output_activation="):
        get_loss("log_loss", "tanh")


@pytest.mark.parametrize("rho", [1e-6, 0.05, 0.5, 1 - 1e-6])
@pytest.mark.parametrize("rate", [1e-200, 1e-12, 0.05, 0.3, 0.999, "1 - 1e-30", "1 - 1e-200"])
def test_kl_sparsity(rho, rate):
    def kl(r):
        p = mp.mpf(rho)
        return p * mp.log(p / r) + (1 - p) * mp.log((1 - p) / (1 - r))

    if isinstance(rate, str):
        with mp.workdps(700):
            off = mp.mpf(rate.split("-", 1)[1].strip())
            exact, slope = kl(1 - off), -rho / (1 - off) + (1 - mp.mpf(rho)) / off
            on, off = 1.0, float(off)
    else:
        r = mp.mpf(rate)
        exact, slope = kl(r), -rho / r + (1 - mp.mpf(rho)) / (1 - r)
        on, off = rate, float(1 - r)
    value, gradient = kl_sparsity(np.array([on]), np.array([off]), rho)
    assert value == pytest.approx(float(exact), rel=1e-12, abs=1e-16)
    assert gradient[0] == pytest.approx(float(slope), rel=1e-12, abs=1e-12)


def test_kl_sparsity_is_cut_together_with_its_gradient():
    on, off = np.array([1e-50, 1.0, 0.0]), np.array([1.0, 1e-50, 1.0])
    value, gradient = kl_sparsity(on, off, 0.1, floor=1e-30)
    assert value == kl_sparsity(np.maximum(on, 1e-30), np.maximum(off, 1e-30), 0.1)[0]
    # only the side that is not cut pushes, and at the other end it pushes very little
    np.testing.assert_allclose(gradient, [0.9, -0.1, 0.9])


def test_weight_decay():
    W = [np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])]
    value, gradient = weight_decay(W, 0.1)
    assert value == pytest.approx(0.05 * 30)
    np.testing.assert_allclose(gradient[1], [[0.3], [0.4]])
