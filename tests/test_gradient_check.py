"""The checker is checked: it passes what is right and catches planted mistakes."""

import numpy as np
import pytest
from problems import make_objective
from sklearn.pipeline import make_pipeline

from skl_sae import (
    MLPBackprop,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    SparseAutoencoder,
    check_gradient,
)
from skl_sae.backprop.gradient_check import central_difference, compare_gradient


def largest_error(function, theta, name_of=str):
    directions = np.random.default_rng(1).normal(size=(3, theta.size))
    return compare_gradient(function, theta, range(theta.size), directions, name_of)


def plant(objective, mistake):
    """The objective with a gradient (or value) that is wrong in one way."""

    def wrong(theta):
        value, gradient = objective(theta)
        coefs, intercepts = objective.network.unpack(gradient)
        if mistake == "all times 1.001":
            gradient *= 1.001
        elif mistake == "one layer times 1.001":
            coefs[1] *= 1.001
        elif mistake == "weight decay of the decoder dropped":
            coefs[1] -= objective.lam * objective.network.unpack(theta)[0][1]
        elif mistake == "sign of the output bias":
            intercepts[-1] *= -1
        elif mistake == "value divided by n_outputs":
            value /= objective.network.sizes[-1]
        elif mistake == "one entry":
            coefs[0][2, 1] += 0.01
        return value, gradient

    return wrong


def without_sparsity_gradient(objective):
    """The value with the penalty, the gradient without it."""
    bare = type(objective)(objective.network, objective.rows, lam=objective.lam)
    return lambda theta: (objective(theta)[0], bare(theta)[1])


MISTAKES = [
    "all times 1.001",
    "one layer times 1.001",
    "weight decay of the decoder dropped",
    "sign of the output bias",
    "value divided by n_outputs",
    "one entry",
]


@pytest.fixture
def problem():
    return make_objective(beta=2.0, autoencoder=True)


def test_passes_the_right_gradient(problem):
    objective, theta = problem
    assert largest_error(objective, theta).max_relative_error <= 1e-7


@pytest.mark.parametrize("mistake", MISTAKES)
def test_catches_a_planted_mistake(problem, mistake):
    objective, theta = problem
    assert largest_error(plant(objective, mistake), theta).max_relative_error > 1e-4


def test_catches_a_dropped_sparsity_term(problem):
    objective, theta = problem
    assert largest_error(without_sparsity_gradient(objective), theta).max_relative_error > 1e-2


@pytest.mark.parametrize("mistake", MISTAKES[:-1])
def test_directions_alone_catch_it(problem, mistake):
    objective, theta = problem
    wrong = plant(objective, mistake)
    directions = np.random.default_rng(1).normal(size=(10, theta.size))
    found = compare_gradient(wrong, theta, [], directions, str)
    assert found.max_relative_error > 1e-5
    assert found.where.startswith("random direction")


def test_says_where(problem):
    objective, theta = problem
    wrong = plant(objective, "one entry")
    found = compare_gradient(wrong, theta, range(theta.size), [], objective.network.name_of)
    assert found.where == "coefs_[0][2, 1]"
    assert "coefs_[0][2, 1]" in str(found)


def test_a_nan_is_the_largest_error(problem):
    objective, theta = problem

    def broken(theta):
        value, gradient = objective(theta)
        gradient[5] = np.nan
        return value, gradient

    found = compare_gradient(broken, theta, range(theta.size), [], objective.network.name_of)
    assert np.isnan(found.max_relative_error)
    assert found.where == objective.network.name_of(5)


def test_the_tutorials_simple_function():
    """h(x) = x1^2 + 3 x1 x2 at (4, 10) has the gradient (38, 12)."""

    def h(x):
        return x[0] ** 2 + 3 * x[0] * x[1], np.array([2 * x[0] + 3 * x[1], 3 * x[0]])

    point = np.array([4.0, 10.0])
    assert central_difference(h, point, np.array([1.0, 0.0])) == pytest.approx(38, rel=1e-9)
    assert largest_error(h, point).max_relative_error < 1e-9


@pytest.mark.parametrize(
    ("true", "claimed", "error"),
    [
        ([3.0, 0.0], [1.0, 0.0], 2 / 3),  # the numerical derivative is the largest
        ([1.0, 0.0], [3.0, 0.0], 2 / 3),  # the claimed one
        ([0.5, 10.0], [0.1, 10.0], 0.4 / np.sqrt(50.005)),  # the root mean square
        ([0.5, 0.0], [0.0, 0.0], 0.5),  # none: all are claimed to be zero
    ],
)
def test_the_error_is_relative_to_the_largest_of_three(true, claimed, error):
    def linear(theta):
        return np.array(true) @ theta, np.array(claimed)

    found = compare_gradient(linear, np.zeros(2), [0], [], str)
    assert found.max_relative_error == pytest.approx(error, rel=1e-9)
    assert (found.numerical, found.analytic) == (pytest.approx(true[0], rel=1e-9), claimed[0])


def test_epsilon_is_half_the_distance():
    """Of x^3 at 1 the central difference is 3 + epsilon^2."""

    def cube(x):
        return float(x[0] ** 3), 3 * x**2

    one = np.ones(1)
    assert central_difference(cube, one, one) == pytest.approx(3 + 1e-8, abs=1e-9)
    for epsilon, expected in (({}, 3 + 1e-8), ({"epsilon": 0.5}, 3.25)):
        found = compare_gradient(cube, one, [0], [], str, **epsilon)
        assert found.numerical == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "estimator",
    [
        SparseAutoencoder(4),
        SparseAutoencoder(4, tied_weights=True, activation="tanh"),
        SparseAutoencoder(4, loss="log_loss"),
        SparseAutoencoder(4, output_activation="identity"),
        MLPBackprop((4, 3), task="classification", beta=1.0),
        MLPBackpropClassifier((4,), class_weight="balanced"),
        MLPBackpropClassifier((), loss="squared_error"),
    ],
    ids=repr,
)
def test_check_gradient_of_an_estimator(estimator):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(size=(30, 6)), rng.integers(0, 3, size=30)
    before = dict(vars(estimator))
    found = check_gradient(estimator, X, y, sample_weight=rng.uniform(size=30))
    assert found.max_relative_error < 1e-7
    assert found.n_directions == 10
    assert vars(estimator) == before


@pytest.mark.parametrize(
    ("estimator", "X", "options", "error", "message"),
    [
        (SparseAutoencoder(lam=-1), np.ones((3, 2)), {}, ValueError, "'lam' parameter"),
        (SparseAutoencoder(n_components=0), np.ones((3, 2)), {}, ValueError, "'n_components'"),
        (SparseAutoencoder(), np.ones((3, 2)) * 1j, {}, ValueError, "[Cc]omplex"),
        (SparseAutoencoder(), [[np.nan]], {}, ValueError, "NaN"),
        *[
            (SparseAutoencoder(), np.ones((3, 2)), {name: value}, ValueError, "epsilon > 0")
            for name, values in {
                "epsilon": (0, "a", None, 1j, True, np.nan, np.inf, [1e-4]),
                "max_params": (-1, "a", None, 2.5, True, np.inf),
                "n_directions": (-1, "a", None, 2.5, True, np.inf),
            }.items()
            for value in values
        ],
        (SparseAutoencoder(), np.ones((3, 2), "M8[D]"), {}, TypeError, "X holds dates"),
        (
            SparseAutoencoder(),
            np.ones((3, 2)),
            {"max_params": 0, "n_directions": 0},
            ValueError,
            "to try",
        ),
        (
            SparseAutoencoder(output_activation="identity"),
            np.full((3, 2), 1e200),
            {},
            ValueError,
            "scale the data",
        ),
        (make_pipeline(SparseAutoencoder()), np.ones((3, 2)), {}, TypeError, "last step"),
    ],
)
def test_check_gradient_refuses(estimator, X, options, error, message):
    with pytest.raises(error, match=message):
        check_gradient(estimator, X, **options)


def test_check_gradient_draws_from_large_networks():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 30)), rng.normal(size=(20, 2))
    found = check_gradient(MLPBackpropRegressor((50,)), X, y, max_params=40, n_directions=3)
    assert (found.n_params, found.n_directions) == (40, 3)
    assert found.max_relative_error < 1e-7


def test_check_gradient_of_tied_weights_that_overflow_refuses_without_a_warning():
    huge = np.where(np.random.default_rng(0).uniform(size=(20, 4)) > 0.5, 1e200, -1e200)
    sae = SparseAutoencoder(
        3, tied_weights=True, activation="identity", beta=0, output_activation="identity"
    )
    with pytest.raises(ValueError, match="objective overflows"):
        check_gradient(sae, huge)
