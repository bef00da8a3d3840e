"""Convolution and pooling: against plain loops, inside searches, and within memory."""

import pickle
import tracemalloc
from math import prod

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import when_slow
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skl_sae import ConvolveAndPool, PatchNormalizer, SparseAutoencoder, ZCAWhitening, convolution

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def sae(**params):
    return SparseAutoencoder(
        **{
            "n_components": 3,
            "output_activation": "identity",
            "max_iter": 5,
            "random_state": 0,
            **params,
        }
    )


def images(n, shape, dtype=float):
    return np.random.default_rng(1).uniform(size=(n, prod(shape))).astype(dtype)


def plain_patches(image, patch_shape, stride):
    """The patches of an image (rows, columns, channels), by loops over positions."""
    h, w = patch_shape
    last_row, last_column = image.shape[0] - h, image.shape[1] - w
    return np.array(
        [
            [image[i : i + h, j : j + w].ravel() for j in range(0, last_column + 1, stride)]
            for i in range(0, last_row + 1, stride)
        ]
    )


def plain_features(conv, X):
    """Each image's features by loops over positions and regions."""
    result = []
    for image in X.reshape(len(X), *conv.image_shape_):
        patches = plain_patches(image, conv.patch_shape, conv.stride)
        maps = np.array([conv.encoder_.transform(line) for line in patches])
        h, w = conv.pool_shape or maps.shape[:2]
        for i in range(0, len(maps), h):
            for j in range(0, maps.shape[1], w):
                region = maps[i : i + h, j : j + w]
                result.append(region.reshape(-1, maps.shape[2]).mean(axis=0))
    return np.reshape(result, (len(X), -1))


CASES = {
    "grey": {"image_shape": (9, 9), "patch_shape": (4, 4), "pool_shape": (3, 3)},
    "colour": {"image_shape": (9, 7, 3), "patch_shape": (3, 3), "pool_shape": (4, 2)},
    "one channel": {"image_shape": (6, 6, 1), "patch_shape": (3, 3), "pool_shape": (2, 2)},
    "not square": {"image_shape": (5, 11), "patch_shape": (2, 5), "pool_shape": (2, 4)},
    "stride": {"image_shape": (10, 9), "patch_shape": (3, 2), "pool_shape": (2, 3), "stride": 2},
    "whole map": {"image_shape": (8, 6, 2), "patch_shape": (3, 3)},
    "no pooling": {"image_shape": (6, 7), "patch_shape": (3, 3), "pool_shape": (1, 1)},
    "region larger than map": {
        "image_shape": (6, 7),
        "patch_shape": (3, 3),
        "pool_shape": (99, 4),
    },
    "patch is image": {"image_shape": (4, 5), "patch_shape": (4, 5), "pool_shape": (2, 2)},
    "line": {"image_shape": None, "patch_shape": (1, 4), "pool_shape": (1, 5)},
}
# All images at once, some rows of the map, some columns, patch by patch.
BLOCKS = [2**22, 3000, 500, 1]


@pytest.mark.parametrize("block_bytes", [BLOCKS[2], *when_slow(*BLOCKS[:2], BLOCKS[3])])
@pytest.mark.parametrize("case", CASES)
def test_features_are_those_of_plain_loops(case, block_bytes, monkeypatch):
    monkeypatch.setattr(convolution, "BLOCK_BYTES", block_bytes)
    params = CASES[case]
    X = images(4, params["image_shape"] or (1, 20))
    encoder = make_pipeline(ZCAWhitening(), sae())
    conv = ConvolveAndPool(encoder, n_patches=30, random_state=0, **params).fit(X)
    result = conv.transform(X)
    assert_allclose(result, plain_features(conv, X), rtol=1e-10)
    assert result.shape == (4, prod(conv.grid_shape_) * 3)
    assert_allclose(conv.transform(np.asfortranarray(X)), result, rtol=1e-12)


def test_a_convolved_feature_is_the_encoder_on_that_patch():
    """The check of the tutorial's exercise, at random positions."""
    X = images(5, (12, 10, 3))
    conv = ConvolveAndPool(
        make_pipeline(ZCAWhitening(), sae()),
        image_shape=(12, 10, 3),
        patch_shape=(4, 4),
        pool_shape=(1, 1),
        random_state=0,
    )
    maps = conv.fit_transform(X).reshape(5, *conv.map_shape_, 3)
    rng = np.random.default_rng(0)
    for image, i, j in rng.integers((5, 9, 7), size=(20, 3)):
        patch = X[image].reshape(12, 10, 3)[i : i + 4, j : j + 4]
        code = conv.encoder_.transform(patch.reshape(1, -1))[0]
        assert_allclose(maps[image, i, j], code, rtol=1e-12)


def test_shapes_of_the_tutorial():
    conv = ConvolveAndPool(PCA(2), image_shape=(64, 64), pool_shape=(19, 19), random_state=0)
    conv.fit(images(2, (64, 64)))
    assert (conv.map_shape_, conv.grid_shape_) == ((57, 57), (3, 3))
    assert conv.image_shape_ == (64, 64, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("encoder", [sae(), FunctionTransformer(lambda P: P.astype(float))])
def test_the_precision_of_x_is_kept(encoder, dtype):
    X = images(3, (8, 8), dtype)
    conv = ConvolveAndPool(encoder, image_shape=(8, 8), patch_shape=(3, 3), random_state=0)
    assert conv.fit_transform(X).dtype == dtype


# -- the patches that the encoder is fitted on -------------------------------------------


class Seen(TransformerMixin, BaseEstimator):
    """Keeps the patches it was fitted on; overwrites those it transforms."""

    def fit(self, X, y=None):
        self.patches_ = X.copy()
        return self

    def transform(self, X):
        X += 1
        return X


def seen(n_patches, **params):
    X = np.arange(3 * 20.0).reshape(3, 20)  # each pixel has a value of its own
    params = {"image_shape": (4, 5), "patch_shape": (2, 2), "random_state": 0, **params}
    conv = ConvolveAndPool(Seen(), n_patches=n_patches, **params).fit(X)
    patches = [plain_patches(image, conv.patch_shape, 1) for image in X.reshape(3, 4, 5, 1)]
    return conv.encoder_.patches_, np.reshape(patches, (-1, prod(conv.patch_shape)))


def test_patches_are_drawn_once_each():
    drawn, existing = seen(20)
    assert len(np.unique(drawn, axis=0)) == 20
    assert {tuple(p) for p in drawn} <= {tuple(p) for p in existing}
    assert_array_equal(drawn, seen(20)[0])
    assert not np.array_equal(drawn, seen(20, random_state=1)[0])


@pytest.mark.parametrize("stride", [1, 2])
def test_all_patches_are_taken_where_there_are_no_more(stride):
    drawn, existing = seen(1000, stride=stride)
    assert_array_equal(np.unique(drawn, axis=0), np.unique(existing, axis=0))
    assert len(drawn) == len(existing) == 3 * 3 * 4


@pytest.mark.parametrize("patch_shape", [(1, 1), (4, 5), (2, 2)])
def test_an_encoder_that_overwrites_its_input_does_not_change_x(patch_shape):
    X = images(3, (4, 5))
    before = X.copy()
    conv = ConvolveAndPool(Seen(), image_shape=(4, 5), patch_shape=patch_shape, pool_shape=(1, 1))
    assert_allclose(conv.fit_transform(X).min(), 1 + X.min())
    assert_array_equal(X, before)


# -- frozen encoders ---------------------------------------------------------------------


def test_a_frozen_encoder_is_used_as_it_is():
    encoder = make_pipeline(PatchNormalizer(), sae()).fit(images(50, (3, 3)))
    before = pickle.dumps(encoder)
    X = images(4, (8, 8))
    conv = ConvolveAndPool(FrozenEstimator(encoder), image_shape=(8, 8), patch_shape=(3, 3))
    result = clone(conv).fit(X).transform(X)
    patches = plain_patches(X[0].reshape(8, 8, 1), (3, 3), 1).reshape(36, 9)
    expected = encoder.transform(patches).mean(axis=0)
    assert_allclose(result[0], expected, rtol=1e-12)
    assert pickle.dumps(encoder) == before


def test_an_encoder_that_is_not_frozen_is_cloned():
    encoder = sae()
    ConvolveAndPool(encoder, image_shape=(6, 6), patch_shape=(3, 3)).fit(images(3, (6, 6)))
    assert not hasattr(encoder, "coefs_")


def test_bad_frozen_encoders():
    X = images(4, (8, 8))
    conv = ConvolveAndPool(FrozenEstimator(sae()), image_shape=(8, 8), patch_shape=(3, 3))
    with pytest.raises(NotFittedError, match="frozen encoder is not fitted"):
        conv.fit(X)
    conv.set_params(encoder=FrozenEstimator(sae().fit(images(20, (4, 4)))))
    with pytest.raises(ValueError, match=r"fitted on patches of 16 values.*patches of 9"):
        conv.fit(X)
    with pytest.raises(NotFittedError):
        conv.transform(X)


# -- inside scikit-learn -----------------------------------------------------------------


def test_grid_search_reaches_into_the_encoder():
    X = images(30, (8, 8))
    y = np.arange(30) % 2
    X[y == 1] = np.sort(X[y == 1].reshape(-1, 8, 8), axis=1).reshape(-1, 64)
    conv = ConvolveAndPool(
        make_pipeline(ZCAWhitening(), sae()),
        image_shape=(8, 8),
        patch_shape=(4, 4),
        n_patches=100,
        random_state=0,
    )
    pipe = Pipeline(
        [("conv", conv), ("scale", StandardScaler()), ("classify", LogisticRegression())]
    )
    grid = {
        "conv__encoder__sparseautoencoder__rho": [0.05, 0.5],
        "conv__encoder__zcawhitening__epsilon": [0.1, 1e-3],
        "conv__pool_shape": [None, (3, 3)],
    }
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    best = search.best_estimator_["conv"]
    wanted = search.best_params_["conv__encoder__sparseautoencoder__rho"]
    assert best.encoder_["sparseautoencoder"].rho == wanted
    assert best.grid_shape_ == ((1, 1) if best.pool_shape is None else (2, 2))


def test_names_and_data_frames():
    frame = pd.DataFrame(images(4, (6, 6)), columns=[f"pixel{k}" for k in range(36)])
    conv = ConvolveAndPool(
        sae(), image_shape=(6, 6), patch_shape=(3, 3), pool_shape=(2, 4), random_state=0
    )
    result = conv.set_output(transform="pandas").fit_transform(frame)
    names = [f"row{i}_col0_sparseautoencoder{k}" for i in range(2) for k in range(3)]
    assert result.columns.tolist() == names
    assert_array_equal(conv.feature_names_in_, frame.columns)
    again = pickle.loads(pickle.dumps(conv))
    assert_array_equal(again.transform(frame), result)
    with pytest.raises(ValueError, match="input_features"):
        conv.get_feature_names_out(["other"] * 36)


def test_names_of_an_encoder_without_names():
    for encoder in (FunctionTransformer(), make_pipeline(FunctionTransformer(), Seen())):
        conv = ConvolveAndPool(encoder, image_shape=(4, 4), patch_shape=(1, 2), pool_shape=(4, 3))
        names = conv.fit(images(2, (4, 4))).get_feature_names_out()
        assert names.tolist() == ["row0_col0_feature0", "row0_col0_feature1"]


@pytest.mark.parametrize("n_images", [1, 40])
def test_transform_keeps_few_patches_in_memory(n_images):
    """Many images, and one large image; all their patches would fill 60 MB."""
    shape = (320 // round(n_images**0.5), 320 // round(n_images**0.5))
    X = images(n_images, shape)
    encoder = make_pipeline(ZCAWhitening(), sae(n_components=10))
    conv = ConvolveAndPool(encoder, image_shape=shape, pool_shape=(9, 9), n_patches=500)
    conv.fit(X)
    tracemalloc.start()
    result = conv.transform(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_images * prod(conv.map_shape_) * 74 * 8 > 5 * 2**22
    assert peak < result.nbytes + 4 * convolution.BLOCK_BYTES


# -- what raises -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"image_shape": (5, 5)}, r"means 25 values, but X has 36 features"),
        ({"image_shape": (6, 6, 3)}, r"means 108 values, but X has 36 features"),
        ({"image_shape": (36,)}, "image_shape must be 2 or 3 positive integers"),
        ({"image_shape": (6.0, 6)}, "image_shape must be 2 or 3 positive integers"),
        ({"image_shape": (-6, -6)}, "image_shape must be 2 or 3 positive integers"),
        ({"image_shape": 6}, "image_shape"),
        ({"image_shape": None}, "larger than the images of 1 x 36"),
        ({"patch_shape": (7, 1)}, r"patch_shape=\(7, 1\) is larger than the images of 6 x 6"),
        ({"patch_shape": (1, 7)}, r"patch_shape=\(1, 7\) is larger than the images of 6 x 6"),
        ({"patch_shape": (0, 2)}, "patch_shape must be 2 positive integers"),
        ({"patch_shape": (2, 2, 1)}, "patch_shape must be 2 positive integers"),
        ({"patch_shape": 3}, "patch_shape"),
        ({"pool_shape": (0, 1)}, "pool_shape must be 2 positive integers"),
        ({"pool_shape": ()}, "pool_shape must be 2 positive integers"),
        ({"pool_shape": (2,)}, "pool_shape must be 2 positive integers"),
        ({"pool_shape": (True, 1)}, "pool_shape must be 2 positive integers"),
        ({"stride": 0}, "stride"),
        ({"stride": True}, "stride"),
        ({"n_patches": 0}, "n_patches"),
    ],
)
def test_bad_parameters(params, message):
    params = {"image_shape": (6, 6), "patch_shape": (3, 3), **params}
    conv = ConvolveAndPool(sae(), **params)
    with pytest.raises(ValueError, match=message):
        conv.fit(images(4, (6, 6)))
    assert not hasattr(conv, "n_features_in_")


def test_sizes_larger_than_the_image_are_those_of_the_image():
    wide = {"image_shape": (1, 12), "patch_shape": (1, 2), "random_state": 0}
    for large, small in [
        ({"stride": 10**30}, {"stride": 11}),
        ({"stride": np.int8(5)}, {"stride": 5}),
    ]:
        found, expected = (
            ConvolveAndPool(sae(), **wide, pool_shape=(10**30, 2), **one).fit_transform(
                images(30, (1, 12))
            )
            for one in (large, small)
        )
        assert_array_equal(found, expected)


@pytest.mark.parametrize("encoder", [None, LogisticRegression(), "sae"])
def test_an_encoder_must_transform(encoder):
    with pytest.raises(TypeError, match="encoder must be an estimator with fit and transform"):
        ConvolveAndPool(encoder, image_shape=(6, 6), patch_shape=(3, 3)).fit(images(4, (6, 6)))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (lambda P: P.sum(axis=1), "Expected 2D array"),
        (lambda P: P[:, :, np.newaxis], "array with dim 3"),
        (csr_array, "Sparse data was passed"),
    ],
)
def test_a_code_must_be_a_dense_table(code, message):
    conv = ConvolveAndPool(FunctionTransformer(code), image_shape=(6, 6), patch_shape=(3, 3))
    with pytest.raises((ValueError, TypeError), match=message):
        conv.fit(images(4, (6, 6)))


def test_parameters_changed_after_the_fit_wait_for_the_next():
    X = images(4, (8, 8))
    conv = ConvolveAndPool(sae(), image_shape=(8, 8), patch_shape=(3, 3), pool_shape=(2, 2)).fit(X)
    before = conv.transform(X)
    conv.set_params(patch_shape=(2, 2), pool_shape=None, stride=2, image_shape=None)
    assert_array_equal(conv.transform(X), before)
