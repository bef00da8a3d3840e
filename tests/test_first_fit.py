"""A first fit is useful and quiet, or says in one sentence why it is not."""

import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, minmax_scale, scale

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae._advice import bearable_decay
from skl_sae.exceptions import CollapseWarning

IRIS = minmax_scale(load_iris().data)
SPECIES = load_iris().target
SMALL = {"n_components": 5, "random_state": 0}


def spikes(n_rows=300, n_features=30):
    """Rows of zeros with one value each: each column varies little."""
    X = np.zeros((n_rows, n_features))
    X[np.arange(n_rows), np.arange(n_rows) % n_features] = 1
    return X


def seen(estimator, *data):
    """The warnings of a fit."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        estimator.fit(*data)
    return found


@pytest.mark.parametrize("X", [IRIS, spikes(), 0.2 * IRIS], ids=["iris", "spikes", "dark"])
def test_defaults_learn_in_silence(X):
    sae = SparseAutoencoder(random_state=0)
    assert not seen(sae, X)
    assert sae.score(X) > 0.5
    assert sae.converged_


@pytest.mark.parametrize("beta", [0.0, 3.0])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss": "log_loss"},
        {"output_activation": "identity"},
        {"activation": "tanh"},
        {"activation": "tanh", "output_activation": "identity"},
    ],
    ids=str,
)
def test_the_bound_of_the_weight_decay(params, beta):
    """Weights of zero are the best from a λ on that the data tell."""
    sae = SparseAutoencoder(**SMALL, beta=beta, rho=0.1, tol=1e-5, max_iter=3000, **params)
    flat, _ = bearable_decay(sae._prepare(IRIS)[0])
    (collapsed,) = seen(sae.set_params(lam=1.05 * flat), IRIS)
    assert collapsed.category is CollapseWarning
    assert sae.std_activation_.max() < 1e-2
    assert sae.loss_ == pytest.approx(sae._prepare(IRIS)[0].baseline, rel=1e-4)
    sae.set_params(lam=flat / 2)
    seen(sae, IRIS)
    assert sae.loss_ < 0.98 * sae._prepare(IRIS)[0].baseline


@pytest.mark.parametrize("X", [IRIS, spikes()], ids=["iris", "spikes"])
def test_the_advice_works(X):
    sae = SparseAutoencoder(**SMALL, lam=0.1)
    (warning,) = seen(sae, X)
    assert warning.category is CollapseWarning
    assert warning.filename == __file__
    text = str(warning.message)
    assert text.startswith("SparseAutoencoder: 5 of 5 hidden units give every row the same")
    lam = float(re.search(r"decrease it to (\S+?)[,;]", text)[1])
    assert not seen(sae.set_params(lam=lam), X)
    assert sae.score(X) > 0.05


def test_it_names_beta_where_beta_is_to_blame():
    (warning,) = seen(SparseAutoencoder(**SMALL, lam=5e-4, beta=3, rho=0.005), IRIS)
    assert "together with beta" in str(warning.message)
    assert "bring rho nearer to 0.5" in str(warning.message)


def test_networks_that_predict_a_constant_say_so():
    for net, y in (
        (MLPBackpropClassifier((3,), lam=10), SPECIES),
        (MLPBackpropRegressor((3,), lam=10), SPECIES),
    ):
        (warning,) = seen(net.set_params(random_state=0), IRIS, y)
        assert warning.category is CollapseWarning
        assert "predicts no better than a constant" in str(warning.message)
        assert "decrease lam to" in str(warning.message)


def test_a_layer_of_pretraining_is_named():
    sae = SparseAutoencoder(lam=0.5, random_state=0)
    net = MLPBackpropClassifier((5,), activation="logistic", pretraining=sae, random_state=0)
    texts = [str(w.message) for w in seen(net, IRIS, SPECIES)]
    assert texts[0].startswith("autoencoder 1 of the pretraining: SparseAutoencoder: 5 of 5")


def test_a_search_does_not_repeat_itself():
    pipe = make_pipeline(MinMaxScaler(), SparseAutoencoder(**SMALL))
    search = GridSearchCV(pipe, {"sparseautoencoder__lam": [0.1, 0.2, 0.3]}, cv=2)
    found = seen(search, IRIS)
    assert [w.category for w in found] == [CollapseWarning] * 2  # the candidates, the refit
    assert {w.filename for w in found} == {__file__}


def test_the_warning_can_be_filtered():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", CollapseWarning)
        SparseAutoencoder(**SMALL, lam=0.1).fit(IRIS)


@pytest.mark.parametrize("stops", [False, True])
def test_a_fit_that_is_cut_short_gets_advice_that_helps(stops):
    (warning,) = seen(SparseAutoencoder(**SMALL, max_iter=9), IRIS)
    assert warning.category is ConvergenceWarning
    assert "Increase max_iter, or scale the data." in str(warning.message)
    assert "increase tol" not in str(warning.message)
    net = MLPBackpropRegressor((5,), lam=0, max_iter=3, early_stopping=stops, random_state=0)
    (warning,) = seen(net, IRIS, SPECIES)
    assert "increase lam instead" in str(warning.message)
    assert ("early_stopping=True" in str(warning.message)) == (not stops)


@pytest.mark.parametrize("n_components", [15, 25])
def test_no_plateau_is_taken_for_a_minimum(n_components):
    """From biases of zero three of eight fits stopped with every code equal (J 0.232)."""
    X = load_digits().data[::3] / 16
    code = SparseAutoencoder(30, lam=1e-4, random_state=0).fit(X).transform(X)
    sae = SparseAutoencoder(n_components, lam=1e-4, max_iter=3000, random_state=1)
    assert not seen(sae, code)
    assert sae.score(code) > 0.3


@pytest.mark.parametrize("unit", [1e4, 1e-2, 1e-4])
def test_no_scale_of_its_own(unit):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 10)) + 0.4 * rng.normal(size=(400, 10))
    sae = SparseAutoencoder(**SMALL, output_activation="identity", lam=0, beta=0)
    first, other = sae.fit(Z).score(Z), clone(sae).fit(unit * Z).score(unit * Z)
    assert first == pytest.approx(other, abs=0.02)
    X, t = load_diabetes(return_X_y=True)
    net = MLPBackpropRegressor((5,), random_state=0)
    first, other = net.fit(X, t), clone(net).fit(X, unit * t)
    np.testing.assert_allclose(unit * first.predict(X), other.predict(X), rtol=1e-3)
    assert first.loss_ == pytest.approx(other.loss_, rel=1e-3)


# -- targets are scaled -----------------------------------------------------------------------


def test_targets_are_scaled_by_weighted_mean_and_deviation():
    X, t = load_diabetes(return_X_y=True)
    Y = np.column_stack([t, 100 - 3 * t, np.full(len(t), 7.0)])
    s = np.linspace(1, 3, len(t))
    net = MLPBackpropRegressor((3,), random_state=0).fit(X, Y, sample_weight=s)
    mean = np.average(Y, axis=0, weights=s)
    deviation = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=s))
    np.testing.assert_allclose(net.target_offset_, mean, rtol=1e-12)
    np.testing.assert_allclose(net.target_scale_, [*deviation[:2], 1], rtol=1e-12)
    np.testing.assert_allclose(net.predict(X)[:, 2], 7, atol=1e-6)
    by_hand = MLPBackpropRegressor((3,), scale_targets=False, random_state=0)
    by_hand.fit(X, (Y - net.target_offset_) / net.target_scale_, sample_weight=s)
    np.testing.assert_allclose(
        by_hand.predict(X) * net.target_scale_ + net.target_offset_, net.predict(X), rtol=1e-6
    )
    assert (by_hand.target_offset_, by_hand.target_scale_) == (
        pytest.approx([0] * 3),
        pytest.approx([1] * 3),
    )


def test_a_fit_that_goes_on_keeps_the_unit_of_its_targets():
    X, t = load_diabetes(return_X_y=True)
    net = MLPBackpropRegressor((3,), warm_start=True, random_state=0).fit(X, t)
    mean, before = net.target_offset_, net.predict(X)
    net.set_params(max_iter=1)
    seen(net, X, t + 1000)
    assert net.target_offset_ == mean
    assert np.abs(net.predict(X) - before).mean() > 1
    sgd = MLPBackpropRegressor((3,), solver="sgd", random_state=0).partial_fit(scale(X), t)
    mean = sgd.target_offset_
    assert sgd.partial_fit(scale(X)[:10], t[:10]).target_offset_ == mean
