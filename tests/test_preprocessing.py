"""Whitening and normalised patches: against plain formulas, and where the data are awkward."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA

from skl_sae import PatchNormalizer, ZCAWhitening, preprocessing

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 5)) @ RNG.normal(size=(5, 5)) + [0, 1, -2, 30, 4]
WEIGHTS = RNG.integers(0, 4, size=300)


def centred(X):
    return X - X.mean(axis=0)


def plain_whitening(X, epsilon):
    covariance = centred(X).T @ centred(X) / len(X)
    s, U = np.linalg.eigh(covariance)
    return U @ np.diag(1 / np.sqrt(s + epsilon)) @ U.T


# -- whitening ---------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0, 1e-5, 0.1, 10])
def test_whitening_is_the_plain_formula(epsilon):
    zca = ZCAWhitening(epsilon=epsilon).fit(X)
    assert_allclose(zca.mean_, X.mean(axis=0), rtol=1e-13)
    assert_allclose(zca.whitening_, plain_whitening(X, epsilon), rtol=1e-9, atol=1e-12)
    assert_allclose(zca.transform(X), centred(X) @ zca.whitening_, rtol=1e-9, atol=1e-12)
    assert_array_equal(zca.whitening_, zca.whitening_.T)


def test_variances_along_the_axes_become_s_over_s_plus_epsilon():
    zca = ZCAWhitening(epsilon=0.5).fit(X)
    s, U = np.linalg.eigh(np.cov(X.T, ddof=0))
    white = np.cov(zca.transform(X).T, ddof=0)
    assert_allclose(U.T @ white @ U, np.diag(s / (s + 0.5)), atol=1e-12)
    assert_allclose(zca.eigenvalues_, s[::-1], rtol=1e-10)


def test_without_epsilon_the_covariance_becomes_the_identity():
    white = ZCAWhitening(epsilon=0).fit_transform(X)
    assert_allclose(white.T @ white / len(X), np.eye(5), atol=1e-12)


def test_it_is_pca_rotated_back():
    pca = PCA(whiten=True).fit(X)
    n = len(X)
    expected = pca.transform(X) @ pca.components_ * np.sqrt(n / (n - 1))
    assert_allclose(ZCAWhitening(epsilon=0).fit_transform(X), expected, rtol=1e-8, atol=1e-10)


def test_inverse_transform():
    for epsilon in (0, 0.1):
        zca = ZCAWhitening(epsilon=epsilon).fit(X)
        assert_allclose(zca.inverse_transform(zca.transform(X)), X, rtol=1e-10)
    with pytest.raises(ValueError, match="X has 3 columns, but this ZCAWhitening gives 5"):
        zca.inverse_transform(X[:, :3])


def test_weights_are_repetitions():
    weighted = ZCAWhitening().fit(X, sample_weight=WEIGHTS)
    repeated = ZCAWhitening().fit(np.repeat(X, WEIGHTS, axis=0))
    assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-12)
    assert_allclose(weighted.whitening_, repeated.whitening_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weights", [np.zeros(300), -np.ones(300), np.ones(3)])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="weight"):
        ZCAWhitening().fit(X, sample_weight=weights)


def test_blocks_of_rows_give_the_same(monkeypatch):
    whole = ZCAWhitening().fit(X, sample_weight=WEIGHTS)
    white = whole.transform(X)
    monkeypatch.setattr(preprocessing, "BLOCK_ROWS", 7)
    blocks = ZCAWhitening().fit(X, sample_weight=WEIGHTS)
    assert_allclose(blocks.whitening_, whole.whitening_, rtol=1e-10, atol=1e-13)
    assert_allclose(whole.transform(X), white, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("estimator", [ZCAWhitening(), PatchNormalizer()], ids=repr)
def test_a_fit_copies_only_blocks(estimator):
    large = RNG.normal(size=(60_000, 20)).astype(np.float32)
    tracemalloc.start()
    estimator.fit(large)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < large.nbytes / 4


@pytest.mark.parametrize("estimator", [ZCAWhitening(), PatchNormalizer()], ids=repr)
def test_single_precision_stays_and_agrees(estimator):
    single = X.astype(np.float32)
    result = clone(estimator).fit_transform(single)
    assert result.dtype == np.float32
    assert_allclose(result, clone(estimator).fit_transform(single.astype(float)), atol=2e-6)


def test_single_precision_far_from_zero():
    """The mean is subtracted in double precision."""
    far = (RNG.integers(-64, 64, size=(500, 4)) / 64 + 4096).astype(np.float32)
    near = far - np.float32(4096)
    expected = ZCAWhitening().fit_transform(near)
    assert_allclose(ZCAWhitening().fit_transform(far), expected, atol=2e-6)
    assert ZCAWhitening().fit(far).inverse_transform(expected).dtype == np.float32


def test_a_large_offset_does_not_spoil_the_covariance():
    shifted = ZCAWhitening().fit(X + 1e7)
    assert_allclose(shifted.eigenvalues_, ZCAWhitening().fit(X).eigenvalues_, rtol=1e-6)


def test_a_constant_column_becomes_zero():
    constant = np.column_stack([X, np.full(len(X), 0.1)])
    zca = ZCAWhitening(epsilon=1e-20).fit(constant)
    assert zca.eigenvalues_[-1] == 0
    assert_array_equal(zca.transform(constant)[:, -1], 0)


@pytest.mark.parametrize(
    "singular",
    [X[:, [0, 1, 1]], X[:4], np.ones((10, 3)), X[:1], np.column_stack([X, X.sum(axis=1)])],
)
def test_a_singular_covariance_needs_epsilon(singular):
    zca = ZCAWhitening(epsilon=0)
    with pytest.raises(ValueError, match=r"covariance of X is singular.*set epsilon > 0"):
        zca.fit(singular)
    assert not hasattr(zca, "n_features_in_")
    assert np.isfinite(zca.set_params(epsilon=1e-6).fit_transform(singular)).all()


@pytest.mark.parametrize("estimator", [ZCAWhitening(), PatchNormalizer()], ids=repr)
def test_data_whose_squares_overflow(estimator):
    with pytest.raises(ValueError, match="squares overflow: scale it"):
        clone(estimator).fit(X * 1e200)


@pytest.mark.parametrize("estimator", [ZCAWhitening(), PatchNormalizer()], ids=repr)
def test_names_and_pickle(estimator):
    frame = pd.DataFrame(X, columns=list("abcde"))
    fitted = clone(estimator).set_output(transform="pandas").fit(frame)
    assert fitted.transform(frame).columns.tolist() == list("abcde")
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(frame), fitted.transform(frame))


# -- patches -----------------------------------------------------------------------------


def plain_normalisation(X, n_std, low, high):
    """The tutorial's sampleIMAGES, for any range."""
    X = X - X.mean(axis=1, keepdims=True)
    limit = n_std * X.std()
    return (np.clip(X, -limit, limit) / limit + 1) * (high - low) / 2 + low


@pytest.mark.parametrize(("n_std", "range_"), [(3, (0.1, 0.9)), (1, (-1, 1)), (0.5, [0, 5])])
def test_normalisation_is_the_plain_formula(n_std, range_):
    normalizer = PatchNormalizer(n_std=n_std, feature_range=range_).fit(X)
    expected = plain_normalisation(X, n_std, *range_)
    assert_allclose(normalizer.transform(X), expected, rtol=1e-10, atol=1e-12)
    assert normalizer.std_ == pytest.approx((X - X.mean(axis=1, keepdims=True)).std(), rel=1e-12)


def test_sigma_is_that_of_the_training_data():
    normalizer = PatchNormalizer().fit(X)
    other = 10 * X
    result = normalizer.transform(other)
    assert result.min() == pytest.approx(0.1)
    assert result.max() == pytest.approx(0.9)
    assert_array_equal(result[:5], normalizer.transform(other[:5]))


def test_parts_of_the_normalisation():
    less_mean = X - X.mean(axis=1, keepdims=True)
    only_mean = PatchNormalizer(n_std=None, feature_range=None).fit_transform(X)
    assert_allclose(only_mean, less_mean, atol=1e-13)
    cut = PatchNormalizer(n_std=1, feature_range=None).fit_transform(X)
    assert_allclose(cut, np.clip(less_mean, -less_mean.std(), less_mean.std()), atol=1e-13)


def test_a_constant_row_becomes_the_middle():
    patches = np.vstack([X, np.full((1, 5), 0.1)])
    assert PatchNormalizer().fit_transform(patches)[-1] == pytest.approx(0.5)


@pytest.mark.parametrize("range_", [(0.1, 0.9), None])
def test_where_no_row_varies_all_is_the_middle(range_):
    constant = np.repeat([[0.1], [0.7], [1e9]], 7, axis=1)
    normalizer = PatchNormalizer(feature_range=range_).fit(constant)
    assert normalizer.std_ == 0
    middle = 0 if range_ is None else 0.5
    assert_allclose(normalizer.transform(constant), middle)
    assert_allclose(normalizer.transform(constant + np.arange(7)), middle)


@pytest.mark.parametrize("range_", [(1, 0), (0, 0), (0,), (0, 1, 2), ("0", 1), (0, np.nan)])
def test_bad_range(range_):
    with pytest.raises(ValueError, match="two numbers"):
        PatchNormalizer(feature_range=range_).fit(X)


def test_values_without_bounds_have_no_range():
    with pytest.raises(ValueError, match="set feature_range=None too"):
        PatchNormalizer(n_std=None).fit(X)


@pytest.mark.parametrize(
    "params", [{"n_std": 0}, {"n_std": -1}, {"n_std": True}, {"feature_range": 0.5}]
)
def test_bad_parameters(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        PatchNormalizer(**params).fit(X)


@pytest.mark.parametrize("epsilon", [-1, None, "small"])
def test_bad_epsilon(epsilon):
    with pytest.raises(ValueError, match="epsilon"):
        ZCAWhitening(epsilon=epsilon).fit(X)


# -- ends of the range of numbers --------------------------------------------------------


def test_squares_that_underflow_are_refused_and_not_taken_for_constant():
    tiny = X * 1e-200
    with pytest.raises(ValueError, match="squares underflow: scale it"):
        PatchNormalizer().fit(tiny)
    with pytest.raises(ValueError, match="Scale X if its squares underflow"):
        ZCAWhitening(epsilon=0).fit(X * 1e-160)
    white = 1e200 * ZCAWhitening().fit_transform(tiny)
    assert_allclose(white, 10**0.5 * centred(X), rtol=1e-10, atol=1e-12)


def test_variances_that_overflow_together_with_epsilon_are_refused():
    with pytest.raises(ValueError, match="squares overflow: scale it"):
        ZCAWhitening(epsilon=1.7e308).fit(1e153 * centred(X))


@pytest.mark.parametrize("n_std", [1e-300, 1e300])
def test_a_limit_beyond_the_precision_of_the_rows(n_std):
    """All values are cut, or none; those at the mean of their row stay there."""
    rows = np.array([[1, 2, 3], [1, 1, 1]], np.float32)
    low, high = (0.1, 0.9) if n_std < 1 else (0.5, 0.5)
    expected = [[low, 0.5, high], [0.5, 0.5, 0.5]]
    assert_allclose(PatchNormalizer(n_std=n_std).fit_transform(rows), expected, rtol=1e-6)


FLAT = np.zeros((2, 2), np.float32)
ENDS = np.array([[1.7e308, -1.7e308]])


@pytest.mark.parametrize(
    ("estimator", "method", "rows", "remedy"),
    [
        (ZCAWhitening(epsilon=1e-300), "transform", FLAT, "set a larger epsilon"),
        (ZCAWhitening(epsilon=1e-3), "transform", ENDS, "scale X"),
        (ZCAWhitening(epsilon=1e80), "inverse_transform", FLAT + 1, "set a smaller epsilon"),
        (PatchNormalizer(n_std=None, feature_range=None), "transform", ENDS, "scale X"),
        (PatchNormalizer(feature_range=(0, 1e39)), "transform", FLAT, "narrower feature_range"),
    ],
)
def test_results_that_overflow_are_refused(estimator, method, rows, remedy):
    fitted = clone(estimator).fit(np.zeros((2, 2), rows.dtype))
    with pytest.raises(ValueError, match=f"result overflows in {rows.dtype}: .*{remedy}"):
        getattr(fitted, method)(rows)
