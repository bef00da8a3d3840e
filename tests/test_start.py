"""The start from the data, and J₀, the objective of the best constant output."""

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose, assert_array_equal
from reference import definition, rate
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.datasets import load_iris
from sklearn.preprocessing import minmax_scale

from skl_sae import SparseAutoencoder
from skl_sae.backprop.activations import STEEPNESS
from skl_sae.backprop.blocks import LazyRows
from skl_sae.backprop.losses import LOSSES, get_loss
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows
from skl_sae.backprop.start import BEST_CONSTANTS, MARGIN, Columns, best_constant, power_of_two

RNG = np.random.default_rng(0)
X = minmax_scale(load_iris().data)
S = RNG.uniform(0, 2, len(X)) * (RNG.random(len(X)) > 0.2)


def targets(output_activation, n_rows=60):
    """Rows in the range of the output."""
    P = RNG.dirichlet([0.5] * 3, n_rows)
    return {"softmax": P, "tanh": 2 * P - 1, "identity": 10 * P - 3}.get(output_activation, P)


@pytest.mark.parametrize(("loss", "output_activation"), LOSSES)
def test_no_constant_output_is_better(loss, output_activation):
    """J₀ and its raw output are what a search over all constants finds."""
    Y, s = targets(output_activation), S[:60]
    z, value = best_constant(loss, output_activation, Columns.of(Y, s))

    def mean_loss(z):
        Z = np.tile(z, (len(Y), 1))
        return s @ get_loss(loss, output_activation)(Z, Y, np.empty_like(Z)) / s.sum()

    found = scipy.optimize.minimize(mean_loss, np.zeros(3), tol=1e-12)
    assert value == pytest.approx(found.fun, rel=1e-9)
    assert mean_loss(z) == pytest.approx(value, rel=1e-9)


def test_a_pair_without_a_best_constant_says_where_it_is_missing(monkeypatch):
    monkeypatch.delitem(BEST_CONSTANTS, ("squared_error", "logistic"))
    with pytest.raises(
        NotImplementedError, match=r"'logistic'\) is missing in BEST_CONSTANTS of "
    ):
        SparseAutoencoder(2).fit(X)


def test_a_constant_at_the_ends_of_the_range_or_beyond():
    """J₀ is that of the end itself, the start keeps a margin."""
    columns = Columns.of(np.array([[0.0, 1.0, 2.0, -1.0]] * 3))
    z, value = best_constant("squared_error", "logistic", columns)
    assert_allclose(expit(z), [MARGIN, 1 - MARGIN, 1 - MARGIN, MARGIN], rtol=1e-9)
    assert value == 0.5 * (1 + 1)
    assert best_constant("log_loss", "logistic", Columns.of(np.eye(2)[:1]))[1] == 0
    assert best_constant("log_loss", "softmax", Columns.of(np.eye(2)[:1]))[1] == 0


@pytest.mark.parametrize("s", [None, S], ids=["alike", "weighted"])
@pytest.mark.parametrize(
    "rows", [X, csr_array(X), LazyRows(X, float)], ids=["dense", "csr", "lazy"]
)
def test_columns_are_weighted_means_and_variances(rows, s):
    found = Columns.of(rows, s)
    weights = np.ones(len(X)) if s is None else s
    mean = np.average(X, axis=0, weights=weights)
    assert found.weight == pytest.approx(weights.sum())
    assert_allclose(found.mean, mean, rtol=1e-13)
    assert_allclose(found.variance, np.average((X - mean) ** 2, axis=0, weights=weights))


def test_columns_far_from_zero_and_constant_ones():
    """In several blocks; a row without weight, however large, is none."""
    values = np.column_stack([1e9 + RNG.normal(size=300_000), np.full(300_000, 0.1)])
    s = np.ones(len(values))
    values[1], s[1] = 1e300, 0
    found = Columns.of(values, s)
    assert_allclose(found.variance[0], np.delete(values[:, 0], 1).var(), rtol=1e-6)
    assert (found.mean[1], found.variance[1]) == (0.1, 0)


def test_columns_cut_to_limits():
    assert_array_equal(Columns.of(np.array([[-1.0], [3.0]]), limits=(0, 1)).mean, [0.5])


@pytest.mark.parametrize("activation", STEEPNESS)
@pytest.mark.parametrize("sizes", [(4, 7, 4), (4, 7, 5, 4)])
def test_units_start_at_the_mean_activation_and_the_output_at_its_constant(activation, sizes):
    """Of the mean row, to rounding, whatever the weights of the rows."""
    network = Network(sizes, activation)
    objective = Objective(network, Rows(X, sample_weight=S), beta=3.0, rho=0.1)
    coefs, intercepts = network.unpack(objective.start(np.random.RandomState(0)))
    drawn, _ = network.unpack(network.initialise(np.random.RandomState(0)))
    assert all((W == D).all() for W, D in zip(coefs, drawn, strict=True))
    a, mean = np.average(X, axis=0, weights=S), np.average(X, axis=0, weights=S)
    f = definition(activation, np)
    for W, b in zip(coefs[:-1], intercepts[:-1]):
        a = f(a @ W + b)
        assert_allclose(rate(activation)(a), 0.1, rtol=1e-12)
    assert_allclose(expit(a @ coefs[-1] + intercepts[-1]), mean, rtol=1e-10)


def test_without_a_sparse_code_the_mean_row_is_at_zero():
    objective = Objective(
        Network((4, 7, 1), "tanh"), Rows(X, X[:, :1]), output_activation="identity"
    )
    coefs, intercepts = objective.network.unpack(objective.start(np.random.RandomState(0)))
    assert_allclose(intercepts[0], -X.mean(axis=0) @ coefs[0], rtol=1e-12)
    assert_allclose(intercepts[1], X[:, 0].mean(), rtol=1e-12)


def test_tied_weights_start_as_one():
    objective = Objective(Network((4, 7, 4), tied=True), Rows(X), beta=3.0)
    coefs, intercepts = objective.network.unpack(objective.start(np.random.RandomState(0)))
    assert_array_equal(coefs[1], coefs[0].T)
    assert_allclose(expit(0.05 * coefs[1].sum(axis=0) + intercepts[1]), X.mean(axis=0))


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**12])
@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_linear_rows_in_another_unit_give_the_same_fit(solver, unit):
    """To the last bit, without penalties, if the unit is a power of two."""
    params = {"output_activation": "identity", "lam": 0, "beta": 0, "tol": 0.01}
    one, other = (
        SparseAutoencoder(3, solver=solver, random_state=0, **params).fit(rows)
        for rows in (X, unit * X)
    )
    assert_array_equal(one.transform(X), other.transform(unit * X))
    assert_array_equal(unit * one.predict(X), other.predict(unit * X))
    assert_array_equal(unit**2 * one.loss_curve_, other.loss_curve_)


def test_what_reads_a_sparse_code_has_a_unit_of_its_own():
    network = Network((4, 7, 4))
    (W, V), (b, c) = network.unpack(Objective(network, Rows(X), beta=3.0, rho=0.2).unit)
    for part, unit in ((W, 1), (V, 1 / (2 * 0.2 * 0.8)), (b, 1), (c, 1)):
        assert_array_equal(part, unit)
    assert_array_equal(Objective(network, Rows(X)).unit, 1)
    tied = Network((4, 7, 4), tied=True)
    assert_array_equal(Objective(tied, Rows(X), beta=3.0).unit, 1)


@pytest.mark.parametrize(
    ("size", "power"), [(1, 1), (1.3, 1), (1.5, 2), (1e-300, 2.0**-997), (0, 1), (np.inf, 1)]
)
def test_power_of_two(size, power):
    assert power_of_two(size) == power


def test_the_same_start_for_any_form_of_the_rows():
    network = Network((4, 7, 4))
    forms = [X, csr_array(X), LazyRows(X, float), X.astype(np.float32)]
    starts = [
        Objective(network, Rows(rows), beta=3.0).start(np.random.RandomState(0)) for rows in forms
    ]
    for start in starts[1:]:
        assert_allclose(start, starts[0], rtol=1e-5, atol=1e-6)
