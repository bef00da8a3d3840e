"""What y means: labels coded for each output activation, and real targets within bounds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import r2_score
from sklearn.preprocessing import scale

from skl_sae import MLPBackprop, MLPBackpropClassifier, MLPBackpropRegressor, check_gradient

IRIS, SPECIES = load_iris(return_X_y=True)
IRIS = scale(IRIS)
X, PROGRESS = load_diabetes(return_X_y=True)
X = scale(X)
TWO = np.column_stack([PROGRESS, -3 * PROGRESS + 7])
CODES = {"logistic": (0, 1), "tanh": (-1, 1)}
BOUNDED = MLPBackpropRegressor((6,), lam=1e-3, random_state=0)


def outputs(net, X):
    """The activations of the last layer, in plain NumPy."""
    A = np.tanh(X @ net.coefs_[0] + net.intercepts_[0])
    Z = A @ net.coefs_[1] + net.intercepts_[1]
    f = {"tanh": np.tanh, "logistic": lambda Z: 1 / (1 + np.exp(-Z)), "identity": lambda Z: Z}
    return f[net.out_activation_](Z)


def loss_and_decay(net, X, codes):
    decay = net.lam_ / 2 * sum((W**2).sum() for W in net.coefs_)
    return ((outputs(net, X) - codes) ** 2).sum(axis=1).mean() / 2 + decay


@pytest.mark.parametrize("output", CODES)
@pytest.mark.parametrize("kind", ["two classes", "three classes", "several labels"])
def test_labels_are_coded_as_the_ends_of_the_range(output, kind):
    y = {
        "two classes": SPECIES > 0,
        "three classes": SPECIES,
        "several labels": np.column_stack([SPECIES > 0, SPECIES < 2]).astype(int),
    }[kind]
    net = MLPBackpropClassifier((4,), output_activation=output, random_state=0).fit(IRIS, y)
    yes = y if kind == "several labels" else y[:, np.newaxis]
    yes = yes == np.arange(3) if kind == "three classes" else yes
    low, high = CODES[output]
    assert net.out_activation_ == output
    assert net.loss_ == pytest.approx(loss_and_decay(net, IRIS, np.where(yes, high, low)))
    assert net.score(IRIS, y) > 0.9
    rates = (outputs(net, IRIS) - low) / (high - low)
    cut = rates > 0.5
    expected = {"two classes": cut[:, 0], "several labels": cut}.get(kind, rates.argmax(axis=1))
    assert (net.predict(IRIS) == expected).all()
    if kind == "two classes":
        rates = np.hstack([1 - rates, rates])
    if kind == "three classes":
        rates /= rates.sum(axis=1, keepdims=True)
    assert_allclose(net.predict_proba(IRIS), rates, rtol=1e-9)
    assert_allclose(net.predict_log_proba(IRIS), np.log(rates), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("output", CODES)
@pytest.mark.parametrize("y", [PROGRESS, TWO], ids=["one", "two"])
def test_bounded_targets_fill_the_range_and_predictions_keep_to_it(output, y):
    net = clone(BOUNDED).set_params(output_activation=output).fit(X, y)
    Y = y.reshape(len(y), -1)
    low, high = CODES[output]
    codes = low + (high - low) * (Y - Y.min(axis=0)) / (Y.max(axis=0) - Y.min(axis=0))
    assert net.loss_ == pytest.approx(loss_and_decay(net, X, codes), rel=1e-9)
    far = net.predict(100 * X).reshape(len(y), -1)
    assert (far >= Y.min(axis=0) * (1 + 1e-12) - 1e-9).all()
    assert (far <= Y.max(axis=0) * (1 + 1e-12) + 1e-9).all()
    assert net.score(X, y) == pytest.approx(r2_score(y, net.predict(X)))
    assert net.score(X, y) > 0.5
    expected = net.target_offset_ + net.target_scale_ * outputs(net, X)
    assert_allclose(net.predict(X).reshape(len(y), -1), expected, rtol=1e-9)


@pytest.mark.parametrize("output", CODES)
def test_bounded_targets_have_no_unit(output):
    net = clone(BOUNDED).set_params(output_activation=output)
    one = clone(net).fit(X, PROGRESS).predict(X)
    other = clone(net).fit(X, PROGRESS * 2.0**-30).predict(X)
    assert (other == one * 2.0**-30).all()


@pytest.mark.parametrize("output", CODES)
def test_a_row_without_weight_is_not_in_the_range(output):
    net = clone(BOUNDED).set_params(output_activation=output)
    weights, y = np.ones(len(X)), PROGRESS.copy()
    weights[3], y[3] = 0, 1e6
    weighted = clone(net).fit(X, y, sample_weight=weights)
    left_out = clone(net).fit(np.delete(X, 3, axis=0), np.delete(y, 3))
    assert (weighted.predict(X) == left_out.predict(X)).all()


@pytest.mark.parametrize("output", CODES)
def test_a_constant_target_is_predicted(output):
    y = np.column_stack([PROGRESS, np.full(len(X), 7.5)])
    net = clone(BOUNDED).set_params(output_activation=output).fit(X, y)
    assert net.target_scale_[1] == 1
    assert_allclose(net.predict(X)[:, 1], 7.5, atol=0.05)


@pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning")
@pytest.mark.parametrize("output", CODES)
def test_targets_left_alone_must_lie_in_the_range(output):
    net = clone(BOUNDED).set_params(output_activation=output, scale_targets=False)
    low, high = CODES[output]
    share = (PROGRESS - PROGRESS.min()) / np.ptp(PROGRESS)
    fitted = clone(net).fit(X, low + (high - low) * share)
    assert (fitted.target_offset_, fitted.target_scale_) == (0, 1)
    with pytest.warns(UserWarning, match=r"y has values outside \["):
        net.fit(X, PROGRESS)


def test_a_fit_that_goes_on_keeps_the_range():
    net = clone(BOUNDED).set_params(output_activation="tanh", warm_start=True).fit(X, PROGRESS)
    scale_before = net.target_scale_
    net.fit(X[:50], PROGRESS[:50] / 2)
    assert net.target_scale_ == scale_before
    with pytest.raises(ValueError, match="goes on with the activations"):
        net.set_params(output_activation="logistic").fit(X, PROGRESS)


@pytest.mark.parametrize("output", CODES)
def test_early_stopping_scores_bounded_outputs(output):
    net = clone(BOUNDED).set_params(output_activation=output, early_stopping=True)
    net.fit(X, PROGRESS)
    assert 0.2 < net.best_validation_score_ == net.validation_scores_.max() < 1


@pytest.mark.parametrize("output", CODES)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_gradient_is_right(task, output):
    net = MLPBackprop((4, 3), task=task, output_activation=output, lam=0.1)
    y = SPECIES if task == "classification" else IRIS[:, 0]
    assert check_gradient(net, IRIS, y, epsilon=1e-5).max_relative_error < 1e-7


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"output_activation": "identity"}, "is for task='regression'"),
        ({"output_activation": "tanh", "loss": "log_loss"}, "needs loss='squared_error'"),
        ({"output_activation": "softmax"}, "output_activation"),
        ({"output_activation": "tanh", "task": "regression", "loss": "log_loss"}, "does not go"),
        (
            {"output_activation": "tanh", "task": "regression", "variable_projection": True},
            "variable_projection=True needs",
        ),
    ],
)
def test_pairs_that_do_not_exist_are_refused(params, match):
    with pytest.raises(ValueError, match=match):
        MLPBackprop((3,), **params).fit(IRIS, SPECIES)


def test_what_an_earlier_task_has_left_is_removed():
    net = MLPBackprop((3,), early_stopping=True, random_state=0).fit(IRIS, SPECIES)
    assert hasattr(net, "classes_")
    assert hasattr(net, "validation_scores_")
    net.set_params(task="regression", early_stopping=False).fit(IRIS, SPECIES)
    for name in ("classes_", "validation_scores_", "best_validation_score_"):
        assert not hasattr(net, name)
    net.set_params(task="classification").fit(IRIS, SPECIES)
    assert not hasattr(net, "target_scale_")
