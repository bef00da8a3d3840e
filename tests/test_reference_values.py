"""Values of the same objective that others have computed.

mlpack's test of its sparse autoencoder (``src/mlpack/tests/sparse_autoencoder_test.cpp``, by
S. Agrawal, to be found in its history) holds six values computed in Octave, the language of
the UFLDL course: five features, three units, no penalties. A column is a row there, and the
weights and biases are all one number. Of the penalties it holds the formulas, with their λ,
β and ρ.
"""

from dataclasses import replace

import numpy as np
import pytest
from reference import objective_value

from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows

TENTHS = np.arange(1, 6) / 10
CONSTANT_ROWS = np.repeat(TENTHS[:, np.newaxis], 5, axis=1)
EQUAL_ROWS = CONSTANT_ROWS.T


def value(objective, theta):
    return objective(theta)[0]


both = pytest.mark.parametrize("evaluate", [value, objective_value])


@pytest.fixture
def problem():
    """An objective without penalties on uniform data, with weights and biases in [0, 1]."""
    rng = np.random.default_rng(0)
    network = Network((20, 10, 20))
    objective = Objective(network, Rows(rng.uniform(size=(100, 20))), rho=0.01)
    return objective, rng.uniform(size=network.n_params)


@both
@pytest.mark.parametrize(
    ("X", "parameter", "expected"),
    [
        (CONSTANT_ROWS, 1, 1.190472606540),
        (CONSTANT_ROWS, 0, 0.150000000000),
        (CONSTANT_ROWS, -1, 0.048800332266),
        (EQUAL_ROWS, 1, 1.197585812647),
        (EQUAL_ROWS, 0, 0.150000000000),
        (EQUAL_ROWS, -1, 0.063466617408),
    ],
)
def test_values_of_octave(evaluate, X, parameter, expected):
    network = Network((5, 3, 5))
    theta = np.full(network.n_params, float(parameter))
    assert evaluate(Objective(network, Rows(X)), theta) == pytest.approx(expected, abs=1e-12)


@both
@pytest.mark.parametrize(("lam", "factor"), [(0.5, 0.25), (20, 10)])
def test_weight_decay_as_mlpack_expects_it(evaluate, problem, lam, factor):
    objective, theta = problem
    squares = sum((W**2).sum() for W in objective.network.unpack(theta)[0])
    decaying = replace(objective, lam=lam)
    difference = evaluate(decaying, theta) - evaluate(objective, theta)
    assert difference == pytest.approx(factor * squares, rel=1e-10)


@both
@pytest.mark.parametrize("beta", [5, 20])
def test_divergence_as_mlpack_expects_it(evaluate, problem, beta):
    objective, theta = problem
    coefs, intercepts = objective.network.unpack(theta)
    r = (1 / (1 + np.exp(-(objective.rows.X @ coefs[0] + intercepts[0])))).mean(axis=0)
    divergence = np.sum(0.01 * np.log(0.01 / r) + 0.99 * np.log(0.99 / (1 - r)))
    sparse = replace(objective, beta=beta)
    difference = evaluate(sparse, theta) - evaluate(objective, theta)
    assert difference == pytest.approx(beta * divergence, rel=1e-10)
