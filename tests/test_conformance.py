"""scikit-learn's own checks, on every public estimator and the configurations that differ."""

from functools import partial

import numpy as np
import pytest
import sklearn
import sklearn.utils.estimator_checks as sk_checks
from numpy.testing import assert_allclose
from problems import OUTPUTS
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skl_sae import (
    ConvolveAndPool,
    MLPBackprop,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    SparseAutoencoderDetector,
    ZCAWhitening,
)
from skl_sae._training import BY_STEPS
from skl_sae.backprop.activations import ACTIVATIONS, STEEPNESS
from skl_sae.backprop.solvers import SOLVERS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
    pytest.mark.filterwarnings("ignore:.*X has values outside:UserWarning"),
]


def sae(**params):
    return SparseAutoencoder(**{"n_components": 3, "max_iter": 10, **params})


def classifier(**params):
    return MLPBackpropClassifier(**{"hidden_layer_sizes": (5,), "max_iter": 15, **params})


def regressor(**params):
    return MLPBackpropRegressor(**{"hidden_layer_sizes": (5,), "max_iter": 15, **params})


def generic(**params):
    return MLPBackprop(**{"hidden_layer_sizes": (5,), "max_iter": 15, **params})


OTHER_SOLVERS = [solver for solver in SOLVERS if solver not in ("lbfgs", *BY_STEPS)]
WITHOUT_RATE = [activation for activation in ACTIVATIONS if activation not in STEEPNESS]
ALL_ROWS = {"solver": "sgd", "batch_size": None, "momentum": 0}
SGD = {**ALL_ROWS, "learning_rate": 0.5, "max_iter": 50}
SGD_REGRESSION = {**ALL_ROWS, "learning_rate": 0.1, "max_iter": 100}

DEFAULTS = [
    SparseAutoencoder(),
    MLPBackpropClassifier(),
    MLPBackpropRegressor(),
    MLPBackprop(task="regression"),
    MLPBackpropClassifier(()),
    MLPBackpropRegressor(()),
    SparseAutoencoderDetector(),
]
# Each setting that changes the way of a fit stands in one of these; some share an estimator.
AUTOENCODERS = [
    *[sae(solver=solver, n_init=2) for solver in OTHER_SOLVERS],
    sae(**ALL_ROWS, tied_weights=True),
    sae(solver="adam"),
    sae(solver="adam", batch_size=None, tied_weights=True),
    sae(solver="sgd", batch_size=8),
    *[sae(output_activation=output) for output in OUTPUTS if output not in ("logistic", "tanh")],
    sae(loss="log_loss"),
    sae(activation="tanh", output_activation="tanh", rho=0.3),
    *[sae(activation=name, output_activation="identity", beta=0) for name in WITHOUT_RATE],
    sae(activation="identity", output_activation="identity", beta=0, tied_weights=True),
]
CLASSIFIERS = [
    *[classifier(solver=solver, n_init=2) for solver in OTHER_SOLVERS],
    classifier(**SGD),
    classifier(solver="sgd", learning_rate=0.3, batch_size=10),
    classifier(solver="adam", max_iter=50, learning_rate=0.05),
    classifier(loss="squared_error", max_iter=20),
    classifier(activation="logistic", beta=0.1, rho=0.3, max_iter=20),
    classifier(activation="tanh", beta=0.1, rho=0.3, class_weight="balanced"),
    *[classifier(hidden_layer_sizes=(6, 4), activation=name) for name in WITHOUT_RATE],
    classifier(early_stopping=True, validation_fraction=0.4),
]
REGRESSORS = [
    *[regressor(solver=solver, n_init=2) for solver in OTHER_SOLVERS],
    regressor(**SGD_REGRESSION),
    regressor(solver="sgd", learning_rate=0.1, batch_size=10),
    regressor(solver="adam", batch_size=20, max_iter=100),
    regressor(activation="logistic", beta=0.1, rho=0.3, scale_targets=False, max_iter=20),
    *[regressor(hidden_layer_sizes=(6, 4), activation=name) for name in WITHOUT_RATE],
    regressor(early_stopping=True, validation_fraction=0.4),
]
GENERIC = [
    generic(output_activation="tanh", max_iter=20),
    generic(task="regression", output_activation="logistic"),
]
TRANSFORMERS = [
    ZCAWhitening(),
    PatchNormalizer(),
    PatchNormalizer(n_std=None, feature_range=None),
    ConvolveAndPool(
        sae(random_state=0), patch_shape=(1, 2), pool_shape=(1, 2), n_patches=50, random_state=0
    ),
]
DETECTORS = [SparseAutoencoderDetector(n_estimators=3, max_iter=3)]
ONE_OF_EACH = [
    sae(),
    generic(),
    generic(task="regression"),
    classifier(),
    regressor(),
    *TRANSFORMERS,
]

DRAWS_ROWS = "rows are drawn at random, and a repeated row is drawn otherwise than a weighted one"


def expected_failures(estimator):
    reasons = {}
    params = estimator.get_params()
    # "auto" takes the few rows of the checks at once
    by_batches = params.get("solver") in BY_STEPS and isinstance(params["batch_size"], int)
    if by_batches or params.get("early_stopping"):
        for kind in ("dense", "sparse"):
            reasons[f"check_sample_weight_equivalence_on_{kind}_data"] = DRAWS_ROWS
    return reasons


def with_checks(estimators):
    """`parametrize_with_checks` as a list: pytest 9 warns of the generator of 1.6."""
    mark = parametrize_with_checks(estimators, expected_failed_checks=expected_failures)
    names, checks = mark.args
    return pytest.mark.parametrize(names, list(checks), **mark.kwargs)


# A fifth of them at once; the others wait for the slow tests.
UNUSUAL = [*AUTOENCODERS, *CLASSIFIERS, *REGRESSORS, *GENERIC]
AT_ONCE = UNUSUAL[::5]


@with_checks([*AT_ONCE, *TRANSFORMERS, *DETECTORS])
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.slow
@with_checks([estimator for estimator in UNUSUAL if estimator not in AT_ONCE])
def test_check_estimator_with_other_parameters(estimator, check):
    check(estimator)


@pytest.mark.slow
@with_checks(DEFAULTS)
def test_check_estimator_with_default_parameters(estimator, check):
    """As a user would call it, with no failure expected."""
    assert not expected_failures(estimator)
    check(estimator)


@with_checks([sae(), classifier(), regressor()])
def test_check_estimator_with_metadata_routing(estimator, check):
    with sklearn.config_context(enable_metadata_routing=True):
        check(estimator)


MORE_CHECKS = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
]


# The checks of set_output themselves fit a data frame and transform an array.
@pytest.mark.filterwarnings("ignore:X (does not have|has) .*feature names:UserWarning")
@pytest.mark.parametrize("estimator", ONE_OF_EACH, ids=repr)
@pytest.mark.parametrize("name", MORE_CHECKS)
def test_checks_that_check_estimator_leaves_out(name, estimator):
    if not hasattr(sk_checks, name):
        pytest.skip(f"this scikit-learn has no {name}")
    getattr(sk_checks, name)(type(estimator).__name__, estimator)


@pytest.mark.parametrize("name", MORE_CHECKS[:2])
def test_checks_that_are_left_out_and_need_no_transformer(name):
    getattr(sk_checks, name)("SparseAutoencoderDetector", DETECTORS[0])


@pytest.mark.parametrize(
    "make",
    [
        SparseAutoencoder,
        SparseAutoencoderDetector,
        MLPBackpropClassifier,
        MLPBackpropRegressor,
        ZCAWhitening,
        PatchNormalizer,
        partial(ConvolveAndPool, SparseAutoencoder()),
    ],
)
def test_defaults_pass_the_checks_of_parameters(make):
    for name in ("check_no_attributes_set_in_init", "check_parameters_default_constructible"):
        getattr(sk_checks, name)(type(make()).__name__, make())


# `predict` refuses sparse rows; nothing else differs between a dense and a sparse X.


@pytest.mark.parametrize("container", [csr_array, csr_matrix])
@pytest.mark.parametrize("estimator", [sae(), *AUTOENCODERS], ids=repr)
def test_sparse_x_gives_the_same_autoencoder(estimator, container):
    X = np.random.default_rng(0).uniform(size=(40, 6))
    X[X < 0.6] = 0
    dense = clone(estimator).set_params(random_state=0).fit(X)
    sparse = clone(dense).fit(container(X))
    for method in ("transform", "score_samples", "score"):
        expected = getattr(dense, method)(X)
        assert_allclose(getattr(sparse, method)(X), expected, rtol=1e-10)
        assert_allclose(getattr(dense, method)(container(X)), expected, rtol=1e-10)


def test_sparse_rows_give_the_bits_of_dense_ones():
    """Equal rows are the same ones whatever their zeros: of either sign, stored or not."""
    X = np.random.default_rng(0).integers(-1, 2, size=(60, 3)) / 3
    stored = csr_array(X)
    stored.data[::2] = 0
    X = stored.toarray()
    X[X == 0] = -0.0
    fits = [sae(random_state=0).fit(rows) for rows in (X, X + 0, stored, csr_array(X))]
    assert len({fitted.loss_ for fitted in fits}) == 1
    assert all((fitted.coefs_[0] == fits[0].coefs_[0]).all() for fitted in fits)


@pytest.mark.parametrize("convert", ["tocsc", "tocoo", "todok", "tolil", "tobsr"])
def test_other_sparse_formats_give_the_same_autoencoder(convert):
    X = csr_array(np.eye(6))
    fitted = sae(random_state=0).fit(X)
    other = getattr(X, convert)()
    assert_allclose(clone(fitted).fit(other).transform(other), fitted.transform(X), rtol=1e-12)
