"""J, its parts and the fits at the ends of the range of numbers, against many-digit arithmetic."""

from itertools import product

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import definition, rate
from sklearn.exceptions import ConvergenceWarning

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop.activations import STEEPNESS
from skl_sae.backprop.losses import LOSSES
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.penalties import kl_sparsity
from skl_sae.backprop.rows import Rows
from skl_sae.backprop.solvers import minimise
from skl_sae.exceptions import CollapseWarning

RNG = np.random.default_rng(0)
TINIEST, BEFORE_ONE = 5e-324, 1 - 2.0**-53
RHOS = [1e-300, 1e-12, 0.05, 1 - 1e-12, BEFORE_ONE]

# -- penalties and losses ------------------------------------------------------------------


@pytest.mark.parametrize("rho", RHOS)
@pytest.mark.parametrize("on", [1e-300, 1e-12, 0.7, "off 1e-12", "off 1e-300"])
def test_kl_next_to_the_ends(rho, on):
    with mp.workdps(700):
        if isinstance(on, str):
            off = mp.mpf(float(on.split()[1]))
            rates = 1 - off, off
        else:
            rates = mp.mpf(on), 1 - mp.mpf(on)
        p, q = mp.mpf(rho), 1 - mp.mpf(rho)
        exact = p * mp.log(p / rates[0]) + q * mp.log(q / rates[1])
        slope = q / rates[1] - p / rates[0]
    value, gradient = kl_sparsity(*(np.array([float(r)]) for r in rates), rho)
    assert value == pytest.approx(float(exact), rel=1e-12, abs=1e-15)
    assert gradient[0] == pytest.approx(float(slope), rel=1e-12, abs=1e-12)


RAW = [0.0, TINIEST, -1e-300, 1e-8, -30.0, 40.0, -40.0, 600.0, -600.0, 1e5, -1e5, 1e300, -1e300]


@pytest.mark.parametrize("z", RAW)
@pytest.mark.parametrize("y", [0.0, 1.0, 1e-300, 0.5, BEFORE_ONE])
def test_log_loss_of_one_unit(z, y):
    """Also where the loss of a unit that is right is far below its raw output."""
    Z = np.array([[z]])
    loss = LOSSES["log_loss", "logistic"](Z, np.array([[y]]), np.empty((1, 1)))
    with mp.workdps(700):
        away = mp.log1p(mp.exp(-abs(mp.mpf(z))))
        exact = (1 - mp.mpf(y)) * max(mp.mpf(z), 0) + mp.mpf(y) * max(-mp.mpf(z), 0) + away
        delta = 1 / (1 + mp.exp(-max(mp.mpf(z), -2000))) - mp.mpf(y)
    assert loss[0] == pytest.approx(float(exact), rel=1e-12, abs=1e-307)
    assert Z[0, 0] == pytest.approx(float(delta), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("first", RAW)
@pytest.mark.parametrize("target", [0, 1])
def test_log_loss_of_a_softmax(first, target):
    Z, z = np.array([[first, 1.0, -1.0]]), [mp.mpf(first), mp.mpf(1), mp.mpf(-1)]
    loss = LOSSES["log_loss", "softmax"](Z, np.eye(3)[[target]], np.empty((1, 3)))
    with mp.workdps(700):
        exact = mp.log(mp.fsum(mp.exp(v - max(z)) for v in z)) - z[target] + max(z)
    assert loss[0] == pytest.approx(float(exact), rel=1e-12, abs=1e-307)


# -- J as a whole --------------------------------------------------------------------------


def rates_of(code, activation, s):
    """Both sides of a unit's mean code, cut where the objective cuts them."""
    on = [rate(activation)(a) for a in code]
    mean = mp.fsum(w * a for w, a in zip(s, on)) / mp.fsum(s)
    floor = mp.mpf(float(np.finfo(float).tiny) ** 0.8)
    return max(mean, floor), max(1 - mean, floor)


def exact_value(objective, theta):
    """J of an autoencoder with one hidden layer."""
    f, g = (
        definition(objective.network.activation, mp),
        definition(objective.output_activation, mp),
    )
    (W, V), (b, c) = objective.network.unpack(theta)
    W, V, b, c, X = (mp.matrix(a.tolist()) for a in (W, V, b, c, objective.rows.X))
    s = [mp.mpf(float(w)) for w in objective.rows.sample_weight]
    n, d, h = X.rows, X.cols, W.cols
    code = [
        [f(b[j] + mp.fsum(X[i, k] * W[k, j] for k in range(d))) for j in range(h)]
        for i in range(n)
    ]
    value = mp.mpf(objective.lam) / 2 * mp.fsum(w**2 for w in [*W, *V])
    for i, k in product(range(n), range(d)):
        output = g(c[k] + mp.fsum(code[i][j] * V[j, k] for j in range(h)))
        value += s[i] / mp.fsum(s) * (output - X[i, k]) ** 2 / 2
    p = mp.mpf(objective.rho)
    for j in range(h if objective.beta else 0):
        on, off = rates_of([row[j] for row in code], objective.network.activation, s)
        value += objective.beta * (p * mp.log(p / on) + (1 - p) * mp.log((1 - p) / off))
    return float(value)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1e-8, 30.0, 1e4, 1e100, 1e150])
@pytest.mark.parametrize(
    ("activation", "output", "beta", "rho"),
    [
        ("logistic", "logistic", 3.0, 1e-12),
        ("logistic", "identity", 1e10, 1 - 1e-12),
        ("tanh", "tanh", 3.0, 1 - 1e-12),
        ("tanh", "identity", 1e50, 0.05),
        ("identity", "identity", 0.0, 0.5),
    ],
)
def test_the_objective_at_every_magnitude(scale, activation, output, beta, rho):
    """With one row that weighs a million times as much as the others."""
    rng = np.random.default_rng(1)
    X = scale * rng.normal(size=(4, 2)) * [[1], [-1], [1], [-1]]
    objective = Objective(
        Network((2, 3, 2), activation),
        Rows(X, sample_weight=np.array([1e6, 1.0, 1.0, 1.0])),
        output_activation=output,
        lam=1e-3,
        beta=beta,
        rho=rho,
    )
    theta = rng.normal(size=objective.network.n_params)
    with mp.workdps(450):
        exact = exact_value(objective, theta)
    value, gradient = objective(theta)
    assert value == pytest.approx(exact, rel=1e-12)
    assert np.isfinite(gradient).all()


# -- fits ----------------------------------------------------------------------------------

X = RNG.uniform(0.1, 0.9, size=(40, 4))
quiet = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::skl_sae.exceptions.CollapseWarning"
)


@quiet
@pytest.mark.parametrize("rho", [1e-12, 1 - 1e-12])
@pytest.mark.parametrize("activation", STEEPNESS)
def test_units_are_driven_to_a_target_next_to_the_ends(rho, activation):
    sae = SparseAutoencoder(3, rho=rho, activation=activation, random_state=0).fit(X)
    assert_allclose(rate(activation)(sae.mean_activation_), rho, atol=2e-3)
    assert all(np.isfinite(a).all() for a in [*sae.coefs_, *sae.intercepts_, sae.loss_curve_])


@pytest.mark.parametrize("lam", [1e10, 1e100])
def test_huge_weight_decay_leaves_the_biases(lam):
    sae = SparseAutoencoder(3, lam=lam, beta=0, output_activation="identity", random_state=0)
    with pytest.warns(CollapseWarning, match=f"lam={lam:.0e} is too strong".replace("+", r"\+")):
        sae.fit(X)
    assert max(np.abs(W).max() for W in sae.coefs_) < 1e-9
    assert sae.score(X) == pytest.approx(0, abs=1e-6)


@quiet
def test_huge_beta_leaves_the_mean_code():
    sae = SparseAutoencoder(3, beta=1e10, rho=0.2, random_state=0).fit(X)
    assert_allclose(sae.mean_activation_, 0.2, atol=1e-4)


@pytest.mark.parametrize(
    ("params", "category"),
    # with beta, the rounding of KL decides which of the two warnings it is
    [({"lam": 1e300}, ConvergenceWarning), ({"beta": 1e300}, UserWarning)],
)
def test_penalties_that_no_step_can_lower_are_not_called_converged(params, category):
    """The squared gradient overflows: the fit ends where it starts, and says so."""
    sae = SparseAutoencoder(3, random_state=0, **params)
    with pytest.warns(category, match=r"found no lower value.* decrease lam or beta"):
        sae.fit(X)
    assert not sae.converged_
    assert np.isfinite(sae.loss_)


def test_a_line_search_over_values_that_are_not_finite_leads_no_higher():
    """Its trials overflow, all but those that are so far away that all units are off."""
    most = np.finfo(np.float32).max
    rows = most * np.array([[0, 0, 0]] * 3 + [[-1, 0, 1], [0, -1, -1], [0, 0, -1]], np.float32)
    rows[3, 1], rows[0, 2] = -6e14, 6e-13
    net = MLPBackpropClassifier((3,), activation="relu", loss="squared_error", random_state=1)
    objective, _ = net._prepare(rows, [0, 2, 2, 1, 0, 1])
    theta0 = objective.start(np.random.RandomState(1))
    coefs, intercepts = objective.network.unpack(theta0)
    intercepts[0][:] = 0
    code = np.maximum(rows.mean(axis=0, dtype=float) @ coefs[0], 0)
    intercepts[1][:] = objective.best_constant[0] - code @ coefs[1]
    found = minimise(objective, theta0, max_iter=1, tol=1e-3, baseline=objective.baseline)
    assert found.status == "failed"
    assert "the objective went from" in found.message
    assert found.value == objective(theta0)[0]
    np.testing.assert_array_equal(found.theta, theta0)


@quiet
@pytest.mark.parametrize("make", [SparseAutoencoder, MLPBackpropRegressor])
def test_a_hundred_thousand_columns(make):
    rng = np.random.default_rng(0)
    wide = rng.uniform(size=(4, 100_000))
    size, y = (2, None) if make is SparseAutoencoder else ((2,), np.arange(4.0))
    net = make(size, activation="logistic", max_iter=30, lam=1e-3, random_state=0).fit(wide, y)
    assert net.loss_ == net.loss_curve_[-1] < net.loss_curve_[0]
    assert net.transform(wide).shape == (4, 2)
    assert net.score(wide, y) > 0.1


@quiet
@pytest.mark.parametrize("value", [0.0, 1e-300, 1e100])
def test_targets_without_variance_are_reproduced(value):
    y = np.full(40, value)
    net = MLPBackpropRegressor((3,), lam=0.1, max_iter=2000, tol=1e-9, random_state=0).fit(X, y)
    assert_allclose(net.predict(X), value, rtol=1e-6, atol=1e-6)


def test_a_class_with_one_member_is_learned():
    y = (np.arange(40) == 7).astype(int)
    net = MLPBackpropClassifier((8,), lam=1e-6, tol=1e-3, max_iter=2000, random_state=0).fit(X, y)
    assert_array_equal(net.predict(X), y)


@quiet
def test_a_row_that_weighs_a_million_times_as_much_decides():
    weights = np.where(np.arange(40) == 7, 1e6, 1.0)
    y = RNG.normal(size=40)
    net = MLPBackpropRegressor((3,), lam=1e-8, random_state=0, tol=1e-8)
    net.fit(X, y, sample_weight=weights)
    assert net.predict(X[[7]])[0] == pytest.approx(y[7], abs=1e-4)


def test_a_weight_of_a_million_is_a_million_rows():
    counts = np.array([10**6, 1, 1])
    network, theta = Network((4, 2, 4)), np.random.default_rng(0).normal(size=22)
    (value, gradient), (expected, of_rows) = (
        Objective(network, Rows(rows, sample_weight=s), beta=3.0, lam=0.1)(theta)
        for rows, s in [(X[:3], counts / 1e6), (np.repeat(X[:3], counts, axis=0), None)]
    )
    assert value == pytest.approx(expected, rel=1e-12)
    assert_allclose(gradient, of_rows, rtol=1e-9, atol=1e-12)


@quiet
def test_columns_that_are_equal_or_constant_stay_so_in_the_reconstruction():
    twins = np.column_stack([X[:, 0], X[:, 0], np.full(40, 0.3), X[:, 1]])
    start = np.random.RandomState(0)
    sae = SparseAutoencoder(2, beta=0, lam=1e-3, tol=1e-7, max_iter=3000, random_state=start)
    found = sae.fit(twins).predict(twins)
    assert_allclose(found[:, 0], found[:, 1], atol=1e-3)
    assert np.ptp(found[:, 2]) < np.ptp(found[:, 0])
