"""Whatever is given: a result that keeps the promises, or one documented sentence.

`make properties` tries many more examples than the suite does.
"""

import re
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
import strategies as draws
from hypothesis import assume, event, given, note
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skl_sae import (
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    ZCAWhitening,
)
from skl_sae._training import BY_STEPS
from skl_sae.backprop.activations import ACTIVATIONS, RANGES, STEEPNESS
from skl_sae.exceptions import CollapseWarning

# What a fit may say of data and parameters that are valid each on its own.
REFUSALS = (
    r"can't be fitted: the objective is .*Scale the data",
    r"can't be fitted: float(32|64), the dtype of X, does not hold numbers as large as y",
    r"early_stopping",
    r"test_size|least populated class|resulting train set|number of classes",
)
TOO_LARGE = r"X is so (large|small) that its squares (over|under)flow: scale it"
OUTPUT = r"X is so large that the output of the network overflows: scale X"
OVERFLOW = r"The result overflows in float(32|64): scale X, or (set|choose) "
SINGULAR = r"covariance of X is singular.*set epsilon > 0"


def quietly(call):
    """The result of a call during which nothing but what is documented may warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", CollapseWarning)
        warnings.filterwarnings("ignore", ".*X has values outside", UserWarning)
        return call()


def or_refused(call, words):
    """The result of a call; None where it was refused in these words."""
    try:
        return quietly(call)
    except ValueError as error:
        if not re.search(words, str(error)):
            raise
        return None


def fitted_or_refused(estimator, *data, allowed=REFUSALS, **options):
    """The fitted estimator; None where the fit was refused in words that are documented."""
    before = dict(vars(estimator))
    try:
        quietly(lambda: estimator.fit(*data, **options))
    except ValueError as error:
        event("refused: " + str(error)[:40])
        if not any(re.search(words, str(error)) for words in allowed):
            raise
        assert list(vars(estimator)) == list(before)
        return None
    event("fitted")
    return estimator


def arrays(estimator):
    """All numbers that a fit has stored."""
    for name, value in vars(estimator).items():
        if name.endswith("_") and name != "classes_":
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, (np.ndarray, float, int)):
                    yield name, np.asarray(part)


def assert_fit_is_sound(estimator, X):
    for name, array in arrays(estimator):
        if "validation_score" in name:  # that of rows whose squared errors overflow is -inf
            assert (array <= 1).all()
        else:
            assert np.isfinite(array).all(), name
    assert estimator.n_iter_ == len(estimator.loss_curve_) == estimator.stage_lengths_.sum()
    assert 0 <= estimator.stage_lengths_ @ estimator.stage_shares_ <= estimator.max_iter
    assert estimator.n_evaluations_ <= 100 * (estimator.n_iter_ + 1) * (2 + X.shape[0])
    dtype = np.float32 if X.dtype == np.float32 else np.float64
    assert all(a.dtype == dtype for a in [*estimator.coefs_, *estimator.intercepts_])


def objective_of(estimator, *data, **options):
    """What the fit minimises, and where it starts."""
    probe = clone(estimator)
    objective, targets = quietly(lambda: probe._prepare(*data, **options))
    if probe.get_params().get("early_stopping"):
        objective, _ = probe._hold_out(objective, targets)
    theta = objective.start(check_random_state(estimator.random_state))
    if estimator.solver in BY_STEPS:
        return objective, theta
    with np.errstate(all="ignore"):
        seen = objective.coordinates
        return objective, seen.theta(seen.of(theta))  # as SciPy sees it


def assert_not_above_start(estimator, *data, **options):
    """``loss_`` is J of the fitted weights, and J at the start is no less."""
    objective, theta0 = objective_of(estimator, *data, **options)
    theta = objective.network.pack(estimator.coefs_, estimator.intercepts_)
    (loss, _), (start, _) = objective(theta), objective(theta0)
    note(f"loss_ {estimator.loss_!r}, J there {loss!r}, at the start {start!r}")
    slack = 1e-4 if objective.rows.X.dtype == np.float32 else 1e-12
    smallest = float(np.finfo(objective.rows.X.dtype).tiny)  # below it weights lose digits
    assert abs(loss - estimator.loss_) <= slack * max(abs(loss), smallest)
    params = estimator.get_params()
    if not params.get("early_stopping"):
        rounding = 1e-6 if slack > 1e-6 else 0
        assert not estimator.loss_ > start * (1 + rounding)  # the best output layer bears more


# -- the autoencoder -----------------------------------------------------------------------


@given(st.data())
def test_an_autoencoder_is_sound_or_refused(data):
    X = data.draw(draws.matrices())
    s = data.draw(draws.weights(len(X)))
    estimator = fitted_or_refused(data.draw(draws.autoencoders()), X, sample_weight=s)
    if estimator is None:
        return
    assert_fit_is_sound(estimator, X)
    assert_not_above_start(estimator, X, sample_weight=s)
    code = quietly(lambda: estimator.transform(X))
    low, high = RANGES[estimator.activation]
    assert code.shape == (len(X), estimator.n_components)
    assert ((low <= code) & (code <= high)).all()
    decoded = quietly(lambda: estimator.inverse_transform(code))
    np.testing.assert_array_equal(decoded, quietly(lambda: estimator.predict(X)))
    assert decoded.shape == X.shape
    assert (quietly(lambda: estimator.score_samples(X)) <= 0).all()
    assert quietly(lambda: estimator.score(X, sample_weight=s)) <= 1


# -- networks ------------------------------------------------------------------------------


@given(st.data())
def test_a_classifier_is_sound_or_refused(data):
    X = data.draw(draws.matrices(rows=(2, 14)))
    y, s = data.draw(draws.labels(len(X))), data.draw(draws.weights(len(X)))
    estimator = data.draw(draws.networks(MLPBackpropClassifier))
    if y.ndim == 1:
        estimator.set_params(class_weight=data.draw(draws.one_of(None, "balanced")))
    estimator = fitted_or_refused(estimator, X, y, sample_weight=s)
    if estimator is None:
        return
    assert_fit_is_sound(estimator, X)
    assert_not_above_start(estimator, X, y, sample_weight=s)
    P = or_refused(lambda: estimator.predict_proba(X), OUTPUT)
    if P is not None:
        assert ((P >= 0) & (P <= 1)).all()
        assert (quietly(lambda: estimator.predict_log_proba(X)) <= 0).all()
        if y.ndim == 1:
            np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    predicted = quietly(lambda: estimator.predict(X))
    assert predicted.shape == y.shape
    assert np.isin(predicted, y if y.ndim == 1 else [0, 1]).all()
    assert 0 <= quietly(lambda: estimator.score(X, y, sample_weight=s)) <= 1


@given(st.data())
def test_a_regressor_is_sound_or_refused(data):
    X = data.draw(draws.matrices())
    y, s = data.draw(draws.targets(len(X))), data.draw(draws.weights(len(X)))
    estimator = data.draw(draws.networks(MLPBackpropRegressor))
    estimator = fitted_or_refused(estimator, X, y, sample_weight=s)
    if estimator is None:
        return
    assert_fit_is_sound(estimator, X)
    assert_not_above_start(estimator, X, y, sample_weight=s)
    predicted = quietly(lambda: estimator.predict(X))
    assert np.isfinite(predicted).all()
    assert predicted.shape == y.shape
    if len(X) > 1:
        assert quietly(lambda: estimator.score(X, y, sample_weight=s)) <= 1


@given(st.data())
def test_a_fit_that_goes_on_does_not_rise(data):
    """From fitted weights, and from pretrained ones."""
    X, estimator = data.draw(draws.matrices()), data.draw(draws.autoencoders())
    estimator.set_params(warm_start=True, n_init=1, max_iter=3)
    if fitted_or_refused(estimator, X) is None:
        return
    loss = estimator.loss_
    if fitted_or_refused(estimator, X) is not None:
        rounding = 1e-4 if X.dtype == np.float32 else 0  # weights are stored in it
        assert estimator.loss_ <= loss * (1 + rounding) + rounding


@given(st.data())
def test_fine_tuning_does_not_rise_above_pretraining(data):
    X = data.draw(draws.matrices(rows=(2, 14)))
    net, template = data.draw(draws.networks(MLPBackpropClassifier)), draws.autoencoders()
    encoder = data.draw(template).set_params(activation=net.activation, max_iter=2)
    if net.activation not in STEEPNESS:
        encoder.set_params(beta=0)
    net.set_params(early_stopping=False, pretraining=encoder, n_init=1)
    y, words = data.draw(draws.labels(len(X))), (*REFUSALS, "0 autoencoders|for 0 hidden layers")
    net = fitted_or_refused(net, X, y, allowed=(*words, OUTPUT))
    if net is None:
        return
    assert_fit_is_sound(net, X)
    assert net.loss_ <= net.pretrained_.loss_


FITTED = {
    "X": np.random.default_rng(0).uniform(size=(30, 3)),
    "y": np.random.default_rng(1).permutation(np.arange(30) % 3),
}


@given(st.data())
def test_what_is_fitted_bears_any_rows(data):
    """In float64 and float32, of any magnitude: no number is missing, or a sentence says why."""
    cls = data.draw(draws.one_of(SparseAutoencoder, MLPBackpropClassifier, MLPBackpropRegressor))
    size = 2 if cls is SparseAutoencoder else (3, 2)
    activation = data.draw(draws.one_of(*ACTIVATIONS))
    estimator = cls(size, activation=activation, beta=0, max_iter=5, random_state=0)
    quietly(lambda: estimator.fit(**FITTED))
    X = data.draw(draws.matrices(columns=(3, 3)))
    names = ("transform", "predict", "predict_proba", "predict_log_proba", "score_samples")
    for name in [name for name in names if hasattr(estimator, name)]:
        found = or_refused(lambda name=name: getattr(estimator, name)(X), OUTPUT)
        assert found is None or (len(found) == len(X) and not np.isnan(found).any())
    if cls is SparseAutoencoder:
        score = or_refused(lambda: estimator.score(X), OUTPUT)
        assert score is None or score <= 1


# -- preprocessing and convolution ---------------------------------------------------------


def precision_of(X):
    return np.float32 if X.dtype == np.float32 else np.float64


def transformed(fitted, X):
    """X transformed, of the same shape and precision and finite; None where it was refused."""
    found = or_refused(lambda: fitted.transform(X), OVERFLOW)
    if found is not None:
        assert found.shape == X.shape
        assert found.dtype == precision_of(X)
        assert np.isfinite(found).all()
    return found


@given(st.data())
def test_whitening_is_sound_or_refused(data):
    X = data.draw(draws.matrices(exponents=(*draws.EXPONENTS, 154, -154)))
    s = data.draw(draws.weights(len(X)))
    epsilon = data.draw(draws.one_of(0.1, 0, 5e-324, 1e-300, 1e-12, 1e10, 1e300, 1.7e308))
    zca = ZCAWhitening(epsilon=epsilon)
    zca = fitted_or_refused(zca, X, sample_weight=s, allowed=(TOO_LARGE, SINGULAR))
    if zca is None:
        return
    for name, array in arrays(zca):
        assert np.isfinite(array).all(), name
    assert (zca.eigenvalues_ >= 0).all()
    white = transformed(zca, X)
    if white is None:
        return
    back = or_refused(lambda: zca.inverse_transform(white), OVERFLOW)
    if back is None:
        return
    assert np.isfinite(back).all()
    scales = np.sqrt(zca.eigenvalues_[[0, -1]]) + np.sqrt(epsilon)
    rounding = 100 * np.finfo(white.dtype).eps * scales[0] / scales[1]
    largest = float(np.abs(X).max())
    if rounding < 0.01 and largest / (scales[0] + 1) > 1e-30:  # nothing has underflowed
        np.testing.assert_allclose(
            back, X.astype(float), rtol=0, atol=X.shape[1] * rounding * largest
        )


@given(st.data())
def test_normalising_patches_is_sound_or_refused(data):
    X = data.draw(draws.matrices(exponents=(*draws.EXPONENTS, 154, -154, -45)))
    normalizer = data.draw(draws.normalizers())
    normalizer = fitted_or_refused(normalizer, X, allowed=(TOO_LARGE,))
    if normalizer is None:
        return
    assert 0 <= normalizer.std_ < np.inf
    patches = transformed(normalizer, X)
    if patches is not None and normalizer.feature_range is not None:
        low, high = normalizer.feature_range
        slack = 4 * np.finfo(patches.dtype).eps * max(abs(low), abs(high))
        assert low - slack <= patches.min() <= patches.max() <= high + slack


@given(st.data())
def test_preprocessing_bears_any_rows(data):
    fitted = data.draw(
        draws.one_of(ZCAWhitening(), PatchNormalizer(), PatchNormalizer(feature_range=None))
    ).fit(FITTED["X"])
    X = data.draw(draws.matrices(columns=(3, 3)))
    transformed(fitted, X)


@given(st.data())
def test_convolution_is_the_mean_of_codes_or_refused(data):
    estimator, n_values = data.draw(draws.convolutions())
    X = data.draw(draws.matrices(rows=(1, 4), columns=(n_values, n_values)))
    allowed = (*REFUSALS, TOO_LARGE, OVERFLOW)
    estimator = fitted_or_refused(estimator, X, allowed=allowed)
    if estimator is None:
        return
    pooled = or_refused(lambda: estimator.transform(X), OVERFLOW)
    if pooled is None:
        return
    assert pooled.dtype == precision_of(X)
    images = np.asarray(X, pooled.dtype).reshape(len(X), *estimator.image_shape_)
    (h, w), t = estimator.patch_shape, estimator.stride
    height, width = estimator.map_shape_
    maps = [
        [quietly(lambda p=p: estimator.encoder_.transform(p.reshape(len(X), -1))) for p in row]
        for row in [
            [images[:, t * i : t * i + h, t * j : t * j + w] for j in range(width)]
            for i in range(height)
        ]
    ]
    maps = np.moveaxis(np.array(maps), 2, 0)
    high, wide = estimator.pool_shape or (height, width)
    expected = [
        maps[:, i : i + high, j : j + wide].mean(axis=(1, 2))
        for i in range(0, height, high)
        for j in range(0, width, wide)
    ]
    precision = np.finfo(pooled.dtype)
    size = float(np.abs(maps).max() + precision.tiny)  # below it numbers have fewer digits
    if "ZCAWhitening" in repr(estimator.encoder):  # what rows have in common cancels
        size += min(10 * float(np.abs(images).max()), 1e300)
    np.testing.assert_allclose(
        pooled, np.hstack(expected), rtol=0, atol=1e3 * float(precision.eps) * size
    )


# -- what must not matter ------------------------------------------------------------------

ordinary = {"exponents": (0, -1, 2, -5), "dtypes": ("f8", "f4"), "values": draws.VALUES[:-1]}


def same_objective(first, second, theta, dtype):
    """The same value and gradient, but for the rounding of sums in another order."""
    (value, gradient), (other, other_gradient) = first(theta), second(theta)
    rounding = 1e4 * float(np.finfo(dtype).eps)
    assume(np.isfinite(value))
    assert other == pytest.approx(value, rel=rounding)
    size = np.abs(gradient).max()
    np.testing.assert_allclose(other_gradient, gradient, rtol=0, atol=rounding * max(size, value))


@given(st.data())
def test_the_order_of_rows_does_not_matter(data):
    X = data.draw(draws.matrices(**ordinary))
    s = data.draw(draws.weights(len(X)))
    estimator = data.draw(draws.autoencoders()).set_params(lam=0.1)
    estimator.set_params(beta=min(estimator.beta, 1.0))
    order = np.random.default_rng(data.draw(draws.seeds)).permutation(len(X))
    first, theta = objective_of(estimator, X, sample_weight=s)
    second, _ = objective_of(estimator, X[order], sample_weight=None if s is None else s[order])
    same_objective(first, second, theta, X.dtype)


@given(st.data())
def test_integer_weights_are_repeated_rows(data):
    X = data.draw(draws.matrices(rows=(2, 14), **ordinary))
    y, estimator = None, data.draw(draws.autoencoders())
    if data.draw(st.booleans()):
        y = data.draw(draws.labels(len(X)))
        estimator = data.draw(draws.networks(MLPBackpropClassifier))
        estimator.set_params(class_weight=None if y.ndim > 1 else "balanced")
        estimator.set_params(early_stopping=False)
    estimator.set_params(lam=0.1, beta=min(estimator.beta, 1.0))
    rng = np.random.default_rng(data.draw(draws.seeds))
    s = rng.integers(1, 4, size=len(X))
    rows = np.repeat(np.arange(len(X)), s)
    first, theta = objective_of(estimator, X, y, sample_weight=s)
    second, _ = objective_of(estimator, X[rows], None if y is None else y[rows])
    same_objective(first, second, theta, X.dtype)


def as_memmap(X, folder):
    path = Path(folder) / "X.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


@given(st.data())
def test_the_form_of_the_rows_does_not_matter(data):
    """The same bits for whatever is read row by row; the same numbers for other layouts."""
    X = np.ascontiguousarray(data.draw(draws.matrices(**ordinary)))
    s = data.draw(draws.weights(len(X)))
    estimator = data.draw(draws.autoencoders())
    fitted = fitted_or_refused(clone(estimator), X, sample_weight=s)
    with TemporaryDirectory() as folder:
        for form in (csr_array(X), as_memmap(X, folder), X.tolist() if X.dtype == "f8" else X):
            other = fitted_or_refused(clone(estimator), form, sample_weight=s)
            assert (other is None) == (fitted is None)
            if fitted is not None:
                assert other.loss_ == fitted.loss_
                np.testing.assert_array_equal(other.coefs_[0], fitted.coefs_[0])
                np.testing.assert_array_equal(
                    quietly(lambda other=other, form=form: other.transform(form)),
                    quietly(lambda: fitted.transform(X)),
                )
    first, theta = objective_of(estimator.set_params(lam=0.1, beta=min(estimator.beta, 1.0)), X)
    for form in (np.asfortranarray(X), pd.DataFrame(X), draws.every_other(X)):
        same_objective(first, objective_of(estimator, form)[0], theta, X.dtype)
