"""The gradient is the derivative of the value, over the whole table."""

import numpy as np
import pytest
from problems import TABLE, make_objective, name, with_rows
from reference import KINKED

from skl_sae.backprop.activations import ACTIVATIONS, STEEPNESS
from skl_sae.backprop.gradient_check import compare_gradient
from skl_sae.backprop.rows import Rows

SMOOTH = [case for case in TABLE if case.get("activation") not in KINKED]
NOT_SMOOTH = [case for case in TABLE if case.get("activation") in KINKED]


def check(objective, theta, **options):
    n_params = theta.size
    directions = np.random.default_rng(1).normal(size=(5, n_params))
    return compare_gradient(
        objective, theta, range(n_params), directions, objective.network.name_of, **options
    )


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_slope_of_an_activation(activation):
    """It is that of the function itself, whatever that is; no point is zero."""

    def f(Z):
        slope = np.empty_like(Z)
        ACTIVATIONS[activation](Z, slope)
        return Z, slope

    Z, step = np.linspace(-6, 6, 30).reshape(3, 10), 1e-5
    difference = (f(Z + step)[0] - f(Z - step)[0]) / (2 * step)
    np.testing.assert_allclose(f(Z)[1], difference, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", SMOOTH, ids=name)
def test_gradient(case):
    assert check(*make_objective(**case)).max_relative_error <= 1e-7


@pytest.mark.parametrize("case", NOT_SMOOTH, ids=name)
def test_gradient_with_kinks(case):
    """Away from the kinks, which a step of 1e-6 seldom meets; rounding is larger there."""
    assert check(*make_objective(**case), epsilon=1e-6).max_relative_error <= 1e-6


@pytest.mark.parametrize("activation", STEEPNESS)
@pytest.mark.parametrize("bias", [-200.0, -30.0, 30.0, 200.0])
@pytest.mark.parametrize("tied", [False, True])
def test_gradient_at_saturation(activation, bias, tied):
    """A unit that is on, or off, for every row still feels the sparsity penalty."""
    objective, theta = make_objective(
        activation=activation, beta=2.0, tied=tied, autoencoder=True, weighted=True
    )
    _, intercepts = objective.network.unpack(theta)
    intercepts[0][1] = bias
    assert check(objective, theta).max_relative_error <= 1e-7
    gradient = objective.network.unpack(objective(theta)[1])[1][0]
    k = STEEPNESS[activation]
    push = (1 - objective.rho) if bias > 0 else -objective.rho
    assert gradient[1] == pytest.approx(k * 2.0 * push, rel=1e-3)


@pytest.mark.parametrize("activation", STEEPNESS)
@pytest.mark.parametrize("bias", [-1e5, 1e5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_beyond_the_floor_value_and_gradient_are_cut_together(activation, bias, dtype):
    objective, theta = make_objective(activation=activation, beta=2.0, autoencoder=True)
    objective = type(objective)(
        objective.network, Rows(objective.rows.X.astype(dtype)), lam=0.0, beta=2.0, rho=0.2
    )
    intercepts = objective.network.unpack(theta)[1]
    intercepts[0][:] = bias
    value, gradient = objective(theta)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert np.abs(objective.network.unpack(gradient)[1][0]).max() < 1e-30
    intercepts[0][:] = 2 * bias
    assert objective(theta)[0] == value


@pytest.mark.parametrize("bias", [-87.0, -75.0, -60.0, 60.0, 75.0, 87.0])
def test_a_strong_penalty_on_a_saturated_unit_overflows_nowhere(bias):
    """In float32, where beta / rate would, if the rate were not cut long before it underflows."""
    objective, theta = make_objective(autoencoder=True)
    X = objective.rows.X.astype(np.float32)
    objective = type(objective)(objective.network, Rows(X), beta=1e6, rho=0.2)
    objective.network.unpack(theta)[1][0][:] = bias
    assert np.isfinite(objective(theta)[1]).all()


@pytest.mark.parametrize("case", TABLE[::7], ids=name)
def test_float32_gradient_is_the_float64_one_to_single_precision(case):
    objective, theta = make_objective(**case)
    value, gradient = objective(theta)
    single = {
        field: None if array is None else array.astype(np.float32)
        for field, array in [
            ("X", objective.rows.X),
            ("Y", objective.rows.Y),
            ("sample_weight", objective.rows.sample_weight),
        ]
    }
    objective32 = with_rows(objective, **single)
    value32, gradient32 = objective32(theta)
    assert gradient32.dtype == np.float64
    assert value32 == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(gradient32, gradient, atol=1e-5 * np.abs(gradient).max())
