"""Greedy layer-wise pretraining, fine-tuning, self-taught learning, softmax regression."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skl_sae import (
    MLPBackprop,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    SparseAutoencoder,
    check_gradient,
)
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
X, Y = DIGITS[:300], LABELS[:300]
SAE = SparseAutoencoder(rho=0.1, beta=0.3, lam=1e-5, max_iter=30)


def net(hidden=(9, 7), pretraining=SAE, **options):
    return MLPBackpropClassifier(
        hidden,
        activation="logistic",
        pretraining=pretraining,
        **{"max_iter": 15, "random_state": 0} | options,
    )


def test_the_hidden_layers_start_as_encoders_fitted_layer_by_layer():
    """The same by hand: two autoencoders, softmax on the last code, L-BFGS from there."""
    first = clone(SAE).set_params(n_components=9, random_state=3).fit(X)
    second = clone(SAE).set_params(n_components=7, random_state=4).fit(first.transform(X))
    template = [clone(SAE).set_params(random_state=seed) for seed in (3, 4)]
    fitted = net(pretraining=template, lam=(0, 0, 0.01)).fit(X, Y)
    before = fitted.pretrained_
    assert_array_equal(before.coefs_[0], first.coefs_[0])
    assert_array_equal(before.coefs_[1], second.coefs_[0])
    assert_array_equal(before.intercepts_[1], second.intercepts_[0])
    code = second.transform(first.transform(X))
    assert_allclose(before.transform(X), code, rtol=1e-12)
    assert_allclose(before.predict_proba(X), proba_of(before, code), rtol=1e-10)


def proba_of(before, code):
    Z = code @ before.coefs_[-1] + before.intercepts_[-1]
    return np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)


def test_the_output_layer_is_trained_before_fine_tuning():
    """It is a minimum of the objective of the output layer alone."""
    fitted = net(lam=(0, 0, 0.01), max_iter=2000, tol=1e-6).fit(X, Y)
    before = fitted.pretrained_
    objective = Objective(
        Network((7, 10)),
        Rows(before.transform(X), np.eye(10)[Y]),
        loss="log_loss",
        output_activation="softmax",
        lam=0.01,
    )
    theta = objective.network.pack(before.coefs_[-1:], before.intercepts_[-1:])
    value, gradient = objective(theta)
    assert np.abs(gradient).max() < 1e-5
    assert before.loss_ == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_before_and_after(task, weighted):
    y = Y if task == "classification" else Y / 9
    weights = np.random.default_rng(0).uniform(0.1, 1, len(y)) if weighted else None
    fitted = MLPBackprop(
        (9, 7), task=task, activation="logistic", pretraining=SAE, max_iter=30, random_state=0
    ).fit(X, y, sample_weight=weights)
    before = fitted.pretrained_
    assert fitted.loss_ < before.loss_
    assert before.predict(X).shape == fitted.predict(X).shape
    assert before.n_iter_ == 0
    assert not hasattr(before, "pretrained_")
    assert (fitted.coefs_[0] != before.coefs_[0]).any()
    assert_array_equal(fitted.transform(X[:3]).shape, before.transform(X[:3]).shape)


def test_pretrained_before_other_data_were_seen():
    """Self-taught: autoencoders fitted to other, unlabelled data."""
    first = clone(SAE).set_params(n_components=9, random_state=0).fit(DIGITS[300:])
    second = clone(SAE).set_params(n_components=7, random_state=0)
    second.fit(first.transform(DIGITS[300:]))
    kept = [W.copy() for W in first.coefs_]
    fitted = net(pretraining=[FrozenEstimator(first), FrozenEstimator(second)]).fit(X, Y)
    assert_array_equal(fitted.pretrained_.coefs_[0], first.coefs_[0])
    assert_array_equal(fitted.pretrained_.coefs_[1], second.coefs_[0])
    assert all((W == V).all() for W, V in zip(kept, first.coefs_, strict=True))
    mixed = net(pretraining=[FrozenEstimator(first), SAE]).fit(X, Y)
    assert_array_equal(mixed.pretrained_.coefs_[0], first.coefs_[0])


def test_a_single_hidden_layer_takes_a_single_fitted_one():
    sae = clone(SAE).set_params(n_components=9, random_state=0).fit(X)
    fitted = net((9,), FrozenEstimator(sae)).fit(X, Y)
    assert_array_equal(fitted.pretrained_.coefs_[0], sae.coefs_[0])


def test_the_template_is_neither_fitted_nor_changed():
    template = clone(SAE)
    before = template.get_params()
    net(pretraining=template).fit(X, Y)
    assert template.get_params() == before
    assert not hasattr(template, "coefs_")


def test_deterministic_and_reached_by_a_grid():
    one, other = net().fit(X, Y), net().fit(X, Y)
    assert_array_equal(one.coefs_[0], other.coefs_[0])
    pipe = make_pipeline(MinMaxScaler(), net((6,), max_iter=5))
    grid = {"mlpbackpropclassifier__pretraining__rho": [0.05, 0.2]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] != scores[1]
    best = search.best_params_["mlpbackpropclassifier__pretraining__rho"]
    assert search.best_estimator_[-1].pretraining.rho == best


def test_no_gradient_reaches_the_autoencoders_through_float32_or_sparse_rows():
    from scipy.sparse import csr_array

    wide = net().fit(X, Y).pretrained_
    sparse = net().fit(csr_array(X), Y).pretrained_
    assert_allclose(sparse.coefs_[0], wide.coefs_[0], rtol=1e-6, atol=1e-8)
    assert net().fit(X.astype(np.float32), Y).pretrained_.coefs_[0].dtype == np.float32


def test_early_stopping_pretrains_on_the_rows_that_are_not_held_out():
    seen = []

    class Watched(SparseAutoencoder):
        def fit(self, X, y=None, sample_weight=None):
            seen.append(X.shape)
            return super().fit(X, y, sample_weight)

    template = Watched(rho=0.1, beta=0.3, lam=1e-5, max_iter=5)
    fitted = net(pretraining=template, early_stopping=True, max_iter=15).fit(X, Y)
    assert seen == [(270, 64), (270, 9)]
    assert not hasattr(fitted.pretrained_, "validation_scores_")


def test_warm_start_goes_on_from_the_fine_tuned_network():
    fitted = net(warm_start=True).fit(X, Y)
    before, loss = fitted.pretrained_, fitted.loss_
    fitted.fit(X, Y)
    assert fitted.loss_ <= loss
    assert fitted.pretrained_ is before


def test_without_pretraining_nothing_is_left_of_an_earlier_one():
    fitted = net().fit(X, Y)
    fitted.set_params(pretraining=None).fit(X, Y)
    assert not hasattr(fitted, "pretrained_")


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"pretraining": [SAE]}, ValueError, "1 autoencoders for 2 hidden layers"),
        ({"hidden": ()}, ValueError, "0 autoencoders for 0 hidden layers"),
        ({"pretraining": MinMaxScaler()}, TypeError, "pretraining takes a SparseAutoencoder"),
        ({"pretraining": [SAE, "sae"]}, TypeError, "pretraining takes a SparseAutoencoder"),
        ({"pretraining": clone(SAE).set_params(activation="tanh")}, ValueError, "set both to"),
        ({"lam": (0, 0.1)}, ValueError, "a number of at least 0 for each of the 3"),
        ({"lam": (0, -1, 0.1)}, ValueError, "a number of at least 0 for each of the 3"),
        ({"lam": (0, "a", 0.1)}, ValueError, "a number of at least 0 for each of the 3"),
        ({"lam": (0, np.nan, 0.1)}, ValueError, "a number of at least 0 for each of the 3"),
    ],
)
def test_bad_input(options, error, match):
    with pytest.raises(error, match=match):
        net(**options).fit(X, Y)


def test_a_fitted_autoencoder_of_another_size():
    sae = clone(SAE).set_params(n_components=5, random_state=0).fit(X)
    with pytest.raises(ValueError, match="64 features as 5 components, but its layer has 64"):
        net((9,), FrozenEstimator(sae)).fit(X, Y)


def test_partial_fit_does_not_pretrain():
    with pytest.raises(ValueError, match="partial_fit can't pretrain"):
        net(solver="sgd").partial_fit(X, Y)


def test_the_gradient_of_fine_tuning():
    assert check_gradient(net(lam=(0, 1e-2, 1e-3)), X[:30], Y[:30]).max_relative_error < 1e-7
    regressor = MLPBackpropRegressor((4, 3), lam=[0.1, 0, 0.2], pretraining=None)
    assert check_gradient(regressor, X[:30], Y[:30]).max_relative_error < 1e-7


def test_one_weight_decay_for_all_layers_or_the_same_for_each():
    one = net(pretraining=None, lam=0.01).fit(X, Y)
    each = net(pretraining=None, lam=(0.01, 0.01, 0.01)).fit(X, Y)
    assert_array_equal(one.coefs_[0], each.coefs_[0])


def test_projection_takes_the_decay_of_the_output_layer():
    data = load_diabetes()
    y = (data.target - data.target.mean()) / data.target.std()
    fitted = MLPBackpropRegressor(
        (4,), lam=(0.1, 0.02), variable_projection=True, random_state=0, max_iter=500, tol=1e-6
    ).fit(data.data * 20, y)
    objective = Objective(
        Network((10, 4, 1), "tanh"),
        Rows(data.data * 20, y[:, np.newaxis]),
        output_activation="identity",
        lam=(0.1, 0.02),
    )
    value, gradient = objective(objective.network.pack(fitted.coefs_, fitted.intercepts_))
    assert fitted.loss_ == pytest.approx(value, rel=1e-12)
    assert np.abs(gradient).max() < 1e-4


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_softmax_regression_equals_logistic_regression(C):
    """No hidden layer: the tutorial's softmax regression, with λ = 1 / (n C)."""
    softmax = MLPBackpropClassifier((), lam=1 / (len(X) * C), tol=1e-9, max_iter=5000)
    softmax.fit(X, Y)
    theirs = LogisticRegression(C=C, tol=1e-10, max_iter=5000).fit(X, Y)
    assert_allclose(softmax.coefs_[0].T, theirs.coef_, atol=1e-4)
    shift = softmax.intercepts_[0].mean()  # softmax does not see what all intercepts share
    ours = softmax.intercepts_[0] - shift
    assert_allclose(ours, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4)


def test_self_taught_learning_is_a_pipeline():
    """Features learned on the digits 5 to 9 without labels, a classifier for 0 to 4."""
    unlabelled, mine = DIGITS[LABELS >= 5], LABELS < 5
    sae = SparseAutoencoder(30, rho=0.1, max_iter=50, random_state=0).fit(unlabelled)
    pipe = make_pipeline(FrozenEstimator(sae), LogisticRegression(C=100, max_iter=1000))
    pipe.fit(DIGITS[mine][:400], LABELS[mine][:400])
    assert pipe.score(DIGITS[mine][400:], LABELS[mine][400:]) > 0.9
    assert clone(pipe)[0].estimator is sae


@pytest.mark.parametrize("bad", ["foo", None, ["tanh"]])
def test_a_template_with_an_activation_that_does_not_exist_is_refused(bad):
    net = MLPBackpropClassifier((3,), pretraining=SparseAutoencoder(activation=bad))
    with pytest.raises(ValueError, match="'activation' parameter of SparseAutoencoder must be"):
        net.fit(np.eye(4), [0, 1, 0, 1])
