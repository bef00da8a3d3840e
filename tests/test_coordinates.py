"""The coordinates in which the solvers see theta: exact, and free of where the rows lie."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from skl_sae import MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop.coordinates import Coordinates
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows
from skl_sae.backprop.solvers import minimise

NETWORKS = [
    Network((4, 3, 4)),
    Network((4, 3, 4), tied=True),
    Network((4, 2), "tanh"),
    Network((4, 3, 5, 2), "tanh"),
]


def coordinates(network):
    """Centred in every layer, in units of every size."""
    rng = np.random.default_rng(0)
    origins = tuple(rng.normal(size=n) for n in network.sizes[:-1])
    return Coordinates(network, rng.uniform(0.5, 2, network.n_params), origins)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_there_and_back(network):
    seen, theta = coordinates(network), np.random.default_rng(1).normal(size=network.n_params)
    before = theta.copy()
    assert_allclose(seen.theta(seen.of(theta)), theta, rtol=1e-13, atol=1e-13)
    assert_array_equal(theta, before)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_raw_output_of_the_origin_is_the_bias_that_is_seen(network):
    rng = np.random.default_rng(1)
    seen, x = coordinates(network), rng.normal(size=network.n_params)
    _, biases = network.unpack(x * seen.unit)
    for m, W, b, c in zip(seen.origins, *network.unpack(seen.theta(x)), biases):
        assert_allclose(m @ W + b, c, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("dtype", "close"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_gradient(network, dtype, close):
    """theta is linear in x, so along any direction both gradients give the same slope."""
    rng = np.random.default_rng(1)
    seen = coordinates(network).astype(dtype)
    gradient = rng.normal(size=network.n_params).astype(dtype)
    seen_gradient = seen.gradient(gradient.copy())
    assert seen_gradient.dtype == dtype
    for direction in np.eye(network.n_params, dtype=dtype):
        slope = gradient @ seen.theta(direction)
        assert seen_gradient @ direction == pytest.approx(slope, rel=close, abs=close)


def test_without_origins_nothing_but_the_unit_changes():
    theta = np.arange(3.0)
    seen = Coordinates(unit=np.array([1.0, 2.0, 4.0]))
    assert_array_equal(seen.of(theta), [0, 0.5, 0.5])
    assert_array_equal(seen.theta(seen.of(theta)), theta)
    gradient = np.ones(3)
    assert_array_equal(seen.gradient(gradient), seen.unit)
    assert_array_equal(gradient, 1)


@pytest.mark.parametrize("tied", [False, True])
def test_hidden_units_are_centred_where_their_code_starts(tied):
    X = np.random.default_rng(0).normal(np.arange(4.0), size=(50, 4))
    objective = Objective(Network((4, 3, 4), "tanh", tied), Rows(X), beta=1.0, rho=0.2)
    mean, code = objective.coordinates.origins
    assert_allclose(mean, X.mean(axis=0))
    assert_allclose(code, np.full(3, 2 * 0.2 - 1))
    assert objective.on(Rows(X - X.mean(axis=0))).coordinates.origins[0] is None
    dense = Objective(Network((4, 3, 4), "tanh", tied), Rows(X))
    assert dense.coordinates.origins[1] is None
    logistic = Objective(Network((4, 3, 4), tied=tied), Rows(X))
    assert_array_equal(logistic.coordinates.origins[1], 0.5)


LINEAR = SparseAutoencoder(3, output_activation="identity", lam=1e-3)


@pytest.mark.parametrize(
    ("estimator", "solver"),
    [
        (LINEAR, "lbfgs"),
        (LINEAR, "cg"),
        (clone(LINEAR).set_params(variable_projection=True), "lbfgs"),
        (MLPBackpropRegressor((4,)), "lbfgs"),
        (MLPBackpropRegressor((4,)), "cg"),
    ],
)
def test_rows_that_are_moved_take_the_same_way(estimator, solver):
    """The start and the solver's coordinates move with them."""
    X = load_iris().data - load_iris().data.mean(axis=0)
    arguments = [X[:, 0]] if isinstance(estimator, MLPBackpropRegressor) else []
    estimator.set_params(solver=solver, max_iter=15, tol=0, random_state=0)
    moved = X + np.array([5, -3, 2, 9])
    with pytest.warns(ConvergenceWarning):  # 15 iterations are few
        curves = [estimator.fit(rows, *arguments).loss_curve_ for rows in (X, moved)]
    assert_allclose(*curves, rtol=1e-6)


@pytest.mark.parametrize("solver", ["lbfgs", "cg", "adam"])
def test_any_callable_can_be_seen_in_them(solver):
    """An objective that tells nothing of its layers takes the same way."""
    X = load_iris().data
    objective = Objective(Network((4, 3, 4)), Rows(X), output_activation="identity", beta=1.0)
    theta0 = objective.start(np.random.RandomState(0))
    options = {"solver": solver, "max_iter": 5, "tol": 1e-9, "coordinates": objective.coordinates}
    options |= {"learning_rate": 0.01} if solver == "adam" else {}
    found, plain = (minimise(f, theta0, **options) for f in (objective, lambda t: objective(t)))
    assert found.value < objective(theta0)[0]
    assert_array_equal(found.theta, plain.theta)
