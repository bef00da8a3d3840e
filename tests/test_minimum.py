"""What the estimators find is a minimum of the true objective, and known where known."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop.batches import Batches
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows


def test_a_linear_autoencoder_spans_the_principal_subspace():
    X = StandardScaler(with_std=False).fit_transform(load_digits().data[:500] / 16)
    sae = SparseAutoencoder(
        5,
        lam=0,
        beta=0,
        activation="identity",
        output_activation="identity",
        max_iter=3000,
        tol=1e-6,
        random_state=0,
    ).fit(X)
    pca = PCA(5).fit(X)
    best = ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum()
    assert -sae.score_samples(X).sum() == pytest.approx(best, rel=1e-6)
    basis = np.linalg.qr(sae.coefs_[1].T)[0]
    cosines = np.linalg.svd(basis.T @ pca.components_.T)[1]
    assert cosines.min() > 1 - 1e-6


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_the_gradient_vanishes_at_the_result(tied, solver):
    """The gradient is taken from an objective built by hand from the fitted weights."""
    X = load_iris().data / 8
    sae = SparseAutoencoder(
        3,
        rho=0.2,
        lam=1e-3,
        beta=1.0,
        output_activation="identity",
        tied_weights=tied,
        solver=solver,
        max_iter=5000,
        tol=1e-5,
        random_state=0,
    ).fit(X, sample_weight=np.linspace(0.5, 1, len(X)))
    assert sae.converged_
    network = Network((4, 3, 4), tied=tied)
    objective = Objective(
        network,
        Rows(X, sample_weight=np.linspace(0.5, 1, len(X))),
        output_activation="identity",
        lam=1e-3,
        beta=1.0,
        rho=0.2,
    )
    value, gradient = objective(network.pack(sae.coefs_, sae.intercepts_))
    assert value == pytest.approx(sae.loss_, rel=1e-12)
    assert np.abs(gradient).max() < 2e-4


def test_linear_regression_is_ridge():
    X, y = load_iris(return_X_y=True)
    lam = 0.03
    net = MLPBackpropRegressor((), lam=lam, tol=1e-9, max_iter=1000).fit(X, y)
    ridge = Ridge(alpha=lam * len(X)).fit(X, y)
    [scale], [mean] = net.target_scale_, net.target_offset_
    np.testing.assert_allclose(scale * net.coefs_[0].ravel(), ridge.coef_, atol=1e-6)
    np.testing.assert_allclose(mean + scale * net.intercepts_[0], ridge.intercept_, atol=1e-5)
    np.testing.assert_allclose(net.predict(X), ridge.predict(X), atol=1e-5)


def test_the_best_of_several_starts_is_kept():
    X = load_iris().data / 8
    options = {"n_components": 3, "beta": 1.0, "max_iter": 1000, "tol": 1e-3}
    rng = np.random.RandomState(5)
    single = [SparseAutoencoder(**options, random_state=rng).fit(X).loss_ for _ in range(4)]
    several = SparseAutoencoder(**options, n_init=4, random_state=5).fit(X)
    assert several.loss_ == min(single)
    assert len(set(single)) == 4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_float32_ends_where_float64_does():
    X = load_digits().data[:500] / 16
    losses = [
        SparseAutoencoder(10, max_iter=2000, random_state=0).fit(X.astype(dtype)).loss_
        for dtype in (np.float32, np.float64)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def held_out_rows(y, fraction=0.1, stratify=True):
    rows = np.arange(len(y))
    return train_test_split(
        rows, test_size=fraction, random_state=0, stratify=y if stratify else None
    )[1]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("batch_size", [None, 50])
@pytest.mark.parametrize("kind", ["classes", "several labels", "numbers"])
def test_validation_score_is_the_weighted_metric_of_the_rows_held_out(kind, batch_size):
    X, y = load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    weights = rng.uniform(0.1, 5, size=len(X))
    y = np.where(rng.uniform(size=len(y)) < 0.3, rng.integers(0, 3, size=len(y)), y)  # noise
    net, metric = MLPBackpropClassifier, accuracy_score
    if kind == "several labels":
        y = np.column_stack([y == 0, y == 1, X[:, 0] > 6]).astype(int)
    elif kind == "numbers":
        y, net, metric = X[:, 3], MLPBackpropRegressor, r2_score
    solver = {}
    if batch_size:
        solver = {"solver": "sgd", "batch_size": 50, "learning_rate": 0.1}
    net = net((6,), early_stopping=True, max_iter=30, random_state=0, **solver)
    net.fit(X[:, :3], y, sample_weight=weights)
    rows = held_out_rows(y, stratify=kind == "classes")
    expected = metric(y[rows], net.predict(X[rows, :3]), sample_weight=weights[rows])
    assert net.best_validation_score_ == pytest.approx(expected, rel=1e-12)
    assert net.best_validation_score_ != metric(y[rows], net.predict(X[rows, :3]))


def test_loss_is_that_of_the_weights_kept_by_early_stopping_with_mini_batches():
    X, y = load_iris(return_X_y=True)
    net = MLPBackpropClassifier(
        (),
        lam=1e-4,
        early_stopping=True,
        solver="sgd",
        batch_size=20,
        max_iter=300,
        random_state=0,
    ).fit(X, y)
    kept = np.setdiff1d(np.arange(len(y)), held_out_rows(y))
    objective = Objective(
        Network((4, 3), "tanh"),
        Rows(X[kept], np.eye(3)[y[kept]]),
        loss="log_loss",
        output_activation="softmax",
        lam=1e-4,
    )
    theta = objective.network.pack(net.coefs_, net.intercepts_)
    assert net.loss_ == pytest.approx(objective(theta)[0], rel=1e-12)


def test_early_stopping_waits_for_a_rise_by_tol():
    X, y = load_iris(return_X_y=True)
    net = MLPBackpropClassifier(
        (4,),
        solver="sgd",
        batch_size=None,
        momentum=0,
        learning_rate=0.1,
        early_stopping=True,
        n_iter_no_change=7,
        tol=0.999,
        random_state=0,
    )
    assert net.fit(X, y).n_iter_ == 8
    assert np.ptp(net.validation_scores_) > 0.1  # rises, but by less


def test_history_size_reaches_the_solver():
    X = load_iris().data / 8
    fits = [
        SparseAutoencoder(3, history_size=n, max_iter=5000, tol=1e-3, random_state=0).fit(X)
        for n in (1, 20)
    ]
    assert fits[0].n_iter_ != fits[1].n_iter_


def test_mini_batches_are_shuffled_and_leave_out_rows_without_weight():
    network, weights = Network((2, 1)), np.ones(40)
    weights[::4] = 0
    objective = Objective(network, Rows(np.ones((40, 2)), np.ones((40, 1)), weights))
    rng = np.random.RandomState(0)
    batches = Batches(objective, 7, rng)
    first, second = ([places for _, places in map(of_batch, batches())] for _ in range(2))
    assert len(batches) == len(first)
    assert [len(b) for b in first] == [6, 6, 6, 6, 6]  # as even as can be
    for epoch in (first, second):
        assert sorted(np.concatenate(epoch)) == np.flatnonzero(weights).tolist()
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    assert not np.array_equal(np.concatenate(first), np.flatnonzero(weights))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_takes_another_order_in_each_call_if_any(solver, monkeypatch):
    orders, call = [], Batches.__call__

    def recorded(self):
        batches = list(call(self))
        orders.append(np.concatenate([places for _, places in map(of_batch, batches)]).tolist())
        return batches

    monkeypatch.setattr(Batches, "__call__", recorded)
    X = load_iris().data / 8
    sae = SparseAutoencoder(3, solver=solver, batch_size=10, random_state=0)
    for _ in range(3):
        sae.partial_fit(X)
    assert len({tuple(order) for order in orders}) == 3
    sae.set_params(shuffle=False).partial_fit(X)
    assert orders[-1] == list(range(len(X)))


def of_batch(batch):
    """Where the rows of a batch are, and which they are."""
    return batch.args


def test_early_stopping_keeps_the_weights_that_scored_best():
    X, y = load_digits(return_X_y=True)
    net = MLPBackpropClassifier(
        (20,), early_stopping=True, n_iter_no_change=5, tol=1e-3, random_state=0
    ).fit(X / 16, y)
    assert net.n_iter_ == len(net.validation_scores_) < 400
    assert net.best_validation_score_ == net.validation_scores_.max()
    best = int(np.argmax(net.validation_scores_))
    assert net.loss_ == pytest.approx(net.loss_curve_[best], rel=1e-12)
    assert best < net.n_iter_ - 1
