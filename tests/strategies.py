"""What the tests of properties draw: data of every kind and size, weights, hyperparameters."""

from math import prod

import numpy as np
from hypothesis import strategies as st
from sklearn.pipeline import make_pipeline

from skl_sae import (
    ConvolveAndPool,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    ZCAWhitening,
)
from skl_sae._training import BY_STEPS
from skl_sae.backprop.activations import ACTIVATIONS, STEEPNESS
from skl_sae.backprop.losses import DECODERS
from skl_sae.backprop.solvers import SOLVERS

seeds = st.integers(0, 2**31 - 1)


def one_of(*values):
    """One of some values; what fails is simplified towards the first."""
    return st.sampled_from(values)


# -- data ----------------------------------------------------------------------------------


def columns(rng, shape):
    return np.broadcast_to(rng.normal(size=shape[1]), shape)


def repeated_rows(rng, shape):
    return rng.normal(size=(2, shape[1]))[rng.integers(2, size=shape[0])]


def equal_columns(rng, shape):
    return np.broadcast_to(rng.normal(size=(shape[0], 1)), shape)


def mostly_zero(rng, shape):
    return rng.normal(size=shape) * (rng.uniform(size=shape) < 0.2)


def with_outlier(rng, shape):
    X = rng.normal(size=shape)
    X.flat[-1] = 1e6
    return X


def every_magnitude(rng, shape):
    return rng.normal(size=shape) * 10.0 ** rng.integers(-300, 300, size=shape)


VALUES = (
    lambda rng, shape: rng.uniform(size=shape),
    lambda rng, shape: rng.normal(size=shape),
    lambda rng, shape: np.full(shape, rng.normal()),
    lambda rng, shape: np.zeros(shape),
    columns,
    repeated_rows,
    equal_columns,
    mostly_zero,
    with_outlier,
    every_magnitude,
)
EXPONENTS = (0, -1, 2, -5, 5, -19, 19, -38, 37, -100, 100, 150, 153, -160, 160, -300, 307, -320)
DTYPES = ("f8", "f4", "f2", "i8", "i4", "u1", "?", "O", ">f8", "g")


def in_dtype(X, dtype):
    """X in this dtype, cut to its range."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return X > 0
    if kind in "iu":
        info = np.iinfo(dtype)
        X = np.clip(X, float(info.min) / 2, float(info.max) / 2)
    elif kind == "f" and np.dtype(dtype).itemsize < 8:
        largest = float(np.finfo(dtype).max)
        X = np.clip(X, -largest, largest)
    with np.errstate(under="ignore"):
        return X.astype(dtype)


def every_other(X):
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def reversed_strides(X):
    return np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1]


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = (np.ascontiguousarray, np.asfortranarray, every_other, reversed_strides, read_only)


@st.composite
def matrices(
    draw, rows=(1, 14), columns=(1, 5), values=VALUES, exponents=EXPONENTS, dtypes=DTYPES
):
    """An array of finite numbers, of any kind, size, dtype and layout."""
    shape = draw(st.integers(*rows)), draw(st.integers(*columns))
    X = draw(one_of(*values))(np.random.default_rng(draw(seeds)), shape)
    with np.errstate(over="ignore", under="ignore"):
        X = np.clip(X * 10.0 ** draw(one_of(*exponents)), -1.7e308, 1.7e308)
    return draw(one_of(*LAYOUTS))(in_dtype(X, draw(one_of(*dtypes))))


@st.composite
def weights(draw, n_rows):
    """Weights of rows: none, counts with zeros, of every magnitude, all but one zero."""
    rng = np.random.default_rng(draw(seeds))
    kind = draw(one_of("none", "counts", "uniform", "every magnitude", "one row", "1 : 1e6"))
    if kind == "none":
        return None
    if kind == "counts":
        return np.maximum(rng.integers(0, 4, size=n_rows), np.arange(n_rows) == 0)
    if kind == "uniform":
        return rng.uniform(size=n_rows) * 10.0 ** draw(one_of(0, -300, 300))
    if kind == "every magnitude":
        return 10.0 ** rng.uniform(-320, 300, size=n_rows)
    if kind == "one row":
        return (np.arange(n_rows) == rng.integers(n_rows)).astype(float)
    return np.where(np.arange(n_rows) == 0, 1e6, 1.0)


# -- hyperparameters -----------------------------------------------------------------------


@st.composite
def common(draw):
    """Hyperparameters that all networks have."""
    activation, solver = draw(one_of(*ACTIVATIONS)), draw(one_of("lbfgs", *SOLVERS))
    params = {
        "activation": activation,
        "solver": solver,
        "lam": draw(one_of(1e-4, 0, 1e-12, 0.1, 1e10, 1e300)),
        "rho": draw(one_of(0.05, 0.5, 1e-12, 1 - 1e-12, 1e-300)),
        "beta": 0.0,
        "max_iter": draw(st.integers(1, 12)),
        "tol": draw(one_of(1e-5, 0, 1e-12, 0.1, 1e6)),
        "n_init": draw(one_of(1, 1, 2)),
        "random_state": draw(st.integers(0, 5)),
    }
    if activation in STEEPNESS:
        params["beta"] = draw(one_of(3.0, 0, 1e-4, 1e10, 1e300))
    if solver in BY_STEPS:
        params["learning_rate"] = draw(one_of("auto", 0.1, 1e-3, 1e-300, 1e3, 1e300))
        params["batch_size"] = draw(one_of(None, "auto", 1, 3, 1000))
        params["momentum"] = draw(one_of(0.9, 0, 1 - 1e-12))
        params["shuffle"] = draw(st.booleans())
    if solver == "lbfgs":
        params["history_size"] = draw(one_of(10, 1, 100))
        params["growing_samples"] = draw(one_of("auto", False, True))
    return params


@st.composite
def projected(draw, params):
    """Whether the output layer is solved exactly, where that may be asked for."""
    if params["solver"] == "lbfgs":
        params["variable_projection"] = draw(one_of("auto", False, True))
    return params


@st.composite
def autoencoders(draw):
    """An unfitted SparseAutoencoder whose parameters go together."""
    params = draw(common())
    pair = draw(one_of(*DECODERS, ("squared_error", "identity")))
    params["loss"], params["output_activation"] = pair
    params["tied_weights"] = draw(st.booleans())
    if pair[1] == "identity" and not params["tied_weights"]:
        params = draw(projected(params))
    return SparseAutoencoder(draw(st.integers(1, 4)), **params)


@st.composite
def networks(draw, cls):
    """An unfitted network of this class whose parameters go together."""
    params, sizes = draw(common()), draw(one_of((3,), (), (1,), (2, 3)))
    if not sizes:
        params["beta"] = 0.0
    if draw(st.booleans()):
        rates = one_of(1e-4, 0, 1e-12, 0.1, 1e10)
        params["lam"] = draw(st.tuples(*[rates] * (len(sizes) + 1)))
    if draw(one_of(False, False, False, True)):
        params |= {"early_stopping": True, "validation_fraction": draw(one_of(0.1, 0.5, 0.9))}
        params["n_iter_no_change"] = draw(one_of(10, 1))
    if cls is MLPBackpropRegressor and sizes:
        params = draw(projected(params))
    if cls is MLPBackpropClassifier:
        params["loss"] = draw(one_of("auto", "squared_error"))
    return cls(sizes, **params)


@st.composite
def labels(draw, n_rows):
    """Labels of two or more classes, one of which may have one member, or a 0/1 matrix."""
    rng = np.random.default_rng(draw(seeds))
    kind = draw(one_of("ints", "strings", "one member", "matrix", "bools", "huge"))
    n_classes = draw(st.integers(2, min(4, n_rows)))
    if kind == "matrix":
        return rng.integers(2, size=(n_rows, n_classes))
    if kind == "one member":
        return (np.arange(n_rows) == rng.integers(n_rows)).astype(int)
    y = rng.permutation(np.arange(n_rows) % n_classes)
    if kind == "strings":
        return np.array(list("abcd"))[y]
    if kind == "bools":
        return y > 0
    return 10**15 * y if kind == "huge" else y


@st.composite
def targets(draw, n_rows):
    """Real targets, one or more columns, of any magnitude."""
    y = draw(matrices(rows=(n_rows, n_rows), columns=(1, 3)))
    return y[:, 0] if y.shape[1] == 1 else y


# -- preprocessing and convolution ---------------------------------------------------------


@st.composite
def normalizers(draw):
    """An unfitted PatchNormalizer whose parameters go together."""
    n_std = draw(one_of(3, None, 1e-300, 1e-12, 1e300, np.float64(1e300)))
    ranges = (0.1, 0.9), (0, 1), (-1e300, 1e300), (0.0, 1e-300)
    return PatchNormalizer(
        n_std=n_std, feature_range=None if n_std is None else draw(one_of(*ranges, None))
    )


@st.composite
def convolutions(draw):
    """An unfitted ConvolveAndPool, and the number of values of its images."""
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    channels = draw(one_of((), (1,), (2,)))
    encoders = (
        SparseAutoencoder(2, max_iter=3, random_state=0),
        SparseAutoencoder(3, max_iter=2, beta=0, activation="relu", random_state=0),
        make_pipeline(ZCAWhitening(), SparseAutoencoder(2, max_iter=2, random_state=0)),
        make_pipeline(PatchNormalizer(), SparseAutoencoder(2, max_iter=2, random_state=0)),
        ZCAWhitening(),
    )
    estimator = ConvolveAndPool(
        draw(one_of(*encoders)),
        image_shape=(height, width, *channels),
        patch_shape=(draw(st.integers(1, height)), draw(st.integers(1, width))),
        pool_shape=draw(one_of(None, (1, 1), (2, 3), (100, 1))),
        stride=draw(one_of(1, 2, 100)),
        n_patches=draw(one_of(10_000, 1, 3)),
        random_state=0,
    )
    return estimator, height * width * prod(channels)
