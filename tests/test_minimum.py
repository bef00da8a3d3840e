"""What the estimators find is a minimum of the true objective, and known where known."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective


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
        lam=1e-2,
        tied_weights=tied,
        solver=solver,
        max_iter=5000,
        tol=1e-5,
        random_state=0,
    ).fit(X, sample_weight=np.linspace(0.5, 1, len(X)))
    assert sae.converged_
    network = Network((4, 3, 4), tied=tied)
    objective = Objective(
        network, X, sample_weight=np.linspace(0.5, 1, len(X)), lam=1e-2, beta=3.0, rho=0.2
    )
    value, gradient = objective(network.pack(sae.coefs_, sae.intercepts_))
    assert value == pytest.approx(sae.loss_, rel=1e-12)
    assert np.abs(gradient).max() < 2e-4


def test_linear_regression_is_ridge():
    X, y = load_iris(return_X_y=True)
    lam = 0.03
    net = MLPBackpropRegressor((), lam=lam, tol=1e-9, max_iter=1000).fit(X, y)
    ridge = Ridge(alpha=lam * len(X)).fit(X, y)
    np.testing.assert_allclose(net.coefs_[0].ravel(), ridge.coef_, atol=1e-6)
    np.testing.assert_allclose(net.intercepts_[0], ridge.intercept_, atol=1e-5)


def test_the_best_of_several_starts_is_kept():
    X = load_iris().data / 8
    options = {"n_components": 3, "beta": 1.0, "max_iter": 200, "tol": 1e-3}
    rng = np.random.RandomState(5)
    single = [SparseAutoencoder(**options, random_state=rng).fit(X).loss_ for _ in range(4)]
    several = SparseAutoencoder(**options, n_init=4, random_state=5).fit(X)
    assert several.loss_ == min(single)
    assert len(set(single)) == 4


def test_early_stopping_keeps_the_weights_that_scored_best():
    X, y = load_digits(return_X_y=True)
    net = MLPBackpropClassifier(
        (20,), early_stopping=True, n_iter_no_change=5, tol=1e-3, random_state=0
    ).fit(X / 16, y)
    assert net.n_iter_ == len(net.validation_scores_) < 400
    assert net.best_validation_score_ == net.validation_scores_.max()
    best = int(np.argmax(net.validation_scores_))
    assert net.loss_ == net.loss_curve_[best]
    assert best < net.n_iter_ - 1
