"""Bad input gets one clear sentence, and a fit that fails leaves nothing half done."""

import warnings
from datetime import date, timedelta
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from problems import LABEL_LOSSES, OUTPUTS
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skl_sae import (
    MLPBackprop,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    ZCAWhitening,
    check_gradient,
    code_diagnostics,
)
from skl_sae._training import BY_STEPS
from skl_sae.backprop.activations import ACTIVATIONS, RANGES, STEEPNESS
from skl_sae.backprop.batches import Batches
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.solvers import SOLVERS
from skl_sae.exceptions import CollapseWarning

pytestmark = [  # of fits of five iterations
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(30, 4))
LABELS = np.repeat([0, 1, 2], 10)
TARGETS = X @ [1.0, -2.0, 0.5, 1.0]


def sae(**params):
    return SparseAutoencoder(**{"n_components": 3, "max_iter": 5, "random_state": 0, **params})


def classifier(**params):
    return MLPBackpropClassifier(
        **{"hidden_layer_sizes": (3,), "max_iter": 5, "random_state": 0, **params}
    )


def regressor(**params):
    return MLPBackpropRegressor(
        **{"hidden_layer_sizes": (3,), "max_iter": 5, "random_state": 0, **params}
    )


def generic(**params):
    return MLPBackprop(**{"hidden_layer_sizes": (3,), "max_iter": 5, "random_state": 0, **params})


def y_for(estimator, labels=LABELS, targets=TARGETS):
    """Targets that suit the estimator; None for the autoencoder."""
    if isinstance(estimator, SparseAutoencoder):
        return None
    is_regressor = isinstance(estimator, MLPBackpropRegressor)
    is_regressor |= getattr(estimator, "task", None) == "regression"
    return targets if is_regressor else labels


def fit(estimator, X=X, **options):
    return estimator.fit(X, y_for(estimator), **options)


def message_of_fit(estimator, X, y):
    """What a fit says when it refuses the data; empty if it does not refuse."""
    try:
        estimator.fit(X, y)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def weights_are_finite(estimator):
    return all(np.isfinite(W).all() for W in [*estimator.coefs_, *estimator.intercepts_])


def methods_of(estimator):
    names = ["transform", "predict", "predict_proba", "predict_log_proba", "score_samples"]
    return [name for name in names if hasattr(estimator, name)]


def assert_as_before(estimator, before):
    after = vars(estimator)
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)


EACH = [sae(), classifier(), regressor(), generic(task="regression")]
SUPERVISED = EACH[1:]
each_estimator = pytest.mark.parametrize("estimator", EACH, ids=repr)
each_supervised = pytest.mark.parametrize("estimator", SUPERVISED, ids=repr)


def with_value(value, dtype=float):
    bad = X.astype(dtype)
    bad[3, 2] = value
    return bad


BAD_X = {
    "nan": (with_value(np.nan), "contains NaN"),
    "inf": (with_value(np.inf), "contains infinity"),
    "nan in float32": (with_value(np.nan, np.float32), "contains NaN"),
    "nan in a sparse matrix": (csr_array(with_value(np.nan)), "contains NaN"),
    "complex": (with_value(1j, complex), "Complex data not supported"),
    "one dimension": (X[:, 0], "Expected 2D array"),
    "three dimensions": (X[np.newaxis], "dim 3"),
    "no rows": (X[:0], "0 sample"),
    "no columns": (X[:, :0], "0 feature"),
    "ragged": ([[0.1, 0.2, 0.3, 0.4], [0.5]] * 15, "inhomogeneous|sequence"),
    "strings": (np.full((30, 4), "x"), "could not convert string to float"),
    "dates": (np.full((30, 4), "2020-01-01", "M8[D]"), "X holds dates or durations"),
    "durations": (np.full((30, 4), 7, "m8[s]"), "X holds dates or durations"),
    "a list of dates": ([[date(2020, 1, 1)] * 4] * 30, "X holds dates or durations"),
    "objects that are durations": (
        np.full((30, 4), timedelta(1), dtype=object),
        "X holds dates or durations",
    ),
    "a column of dates": (
        pd.DataFrame(X)
        .assign(when=pd.date_range("2020", periods=30))
        .set_axis(list("abcde"), axis=1),
        "X holds dates or durations",
    ),
    "a column of objects that are dates": (
        pd.DataFrame({"a": pd.Series([date(2020, 1, 1)] * 30, dtype=object), "b": X[:, 0]}),
        "X holds dates or durations",
    ),
    "a column of dates with time zones": (
        pd.DataFrame({"a": pd.date_range("2020", periods=30, tz="UTC")}),
        "X holds dates or durations",
    ),
    "a column of dates of polars": (
        pl.DataFrame({"a": [0.5] * 30, "b": [date(2020, 1, 1)] * 30}),
        "X holds dates or durations",
    ),
    "a string": ("words", "Expected 2D array|could not convert"),
    "None": (None, "Expected 2D array"),
}
bad_data = pytest.mark.parametrize(("bad", "message"), BAD_X.values(), ids=BAD_X)


# -- X -----------------------------------------------------------------------------------


@each_estimator
@bad_data
def test_fit_rejects_bad_x_and_stays_unfitted(estimator, bad, message):
    estimator = clone(estimator)
    before = dict(vars(estimator))
    with pytest.raises((ValueError, TypeError), match=message):
        fit(estimator, bad)
    assert_as_before(estimator, before)
    with pytest.raises(NotFittedError):
        estimator.predict(X)


@each_estimator
@bad_data
def test_fitted_methods_reject_bad_x(estimator, bad, message):
    fitted = fit(clone(estimator))
    for name in methods_of(fitted):
        with pytest.raises((ValueError, TypeError), match=message):
            getattr(fitted, name)(bad)
    with pytest.raises((ValueError, TypeError), match=message):
        fitted.score(bad, y_for(fitted))


@each_estimator
@pytest.mark.parametrize("n_columns", [3, 5])
def test_wrong_number_of_columns(estimator, n_columns):
    fitted = fit(clone(estimator))
    wrong = np.zeros((30, n_columns))
    for name in methods_of(fitted):
        with pytest.raises(ValueError, match=f"X has {n_columns} features, but .* is expecting 4"):
            getattr(fitted, name)(wrong)
    with pytest.raises(ValueError, match=f"X has {n_columns} features"):
        fitted.score(wrong, y_for(fitted))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((5, 4)), "4 columns, but codes of this SparseAutoencoder have 3"),
        (np.full((5, 3), np.nan), "contains NaN"),
        (np.zeros(3), "Expected 2D array"),
        (np.zeros((0, 3)), "0 sample"),
    ],
)
def test_inverse_transform_rejects_bad_codes(codes, message):
    with pytest.raises(ValueError, match=message):
        fit(sae()).inverse_transform(codes)


@pytest.mark.parametrize("estimator", [sae(), regressor()], ids=repr)
def test_one_row_is_enough(estimator):
    y = y_for(estimator, targets=TARGETS[:1])
    fitted = clone(estimator).fit(X[:1], y)
    assert np.isfinite(fitted.predict(X)).all()
    assert np.isfinite(fitted.loss_)


def test_one_row_is_one_class():
    with pytest.raises(ValueError, match="at least two classes, but y has one class: 0"):
        classifier().fit(X[:1], LABELS[:1])


@each_estimator
def test_one_column_works(estimator):
    fitted = fit(clone(estimator), X[:, :1])
    assert len(fitted.predict(X[:, :1])) == 30


@each_estimator
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_columns_leave_all_attributes_finite(estimator, value):
    constant = X.copy()
    constant[:, 1:] = value
    fitted = fit(clone(estimator), constant)
    arrays = [*fitted.coefs_, *fitted.intercepts_, fitted.loss_curve_, fitted.loss_]
    assert all(np.isfinite(a).all() for a in arrays)
    assert np.isfinite(fitted.predict(constant)).all()


def test_rows_that_are_all_the_same():
    same = np.tile(X[:1], (20, 1))
    fitted = sae().fit(same)
    assert np.isfinite(fitted.mean_activation_).all()
    assert fitted.score(same) == 0  # not reproduced to the last digit, and nothing varies


# -- parameters --------------------------------------------------------------------------

COMMON_BAD = [
    ("rho", 0),
    ("rho", 1),
    ("rho", -0.1),
    ("rho", np.nan),
    ("lam", -1e-9),
    ("lam", np.inf),
    ("lam", np.nan),
    ("lam", 10**400),
    ("lam", Fraction(1, 3)),
    ("beta", -1),
    ("beta", True),
    ("tol", 1j),
    ("max_iter", True),
    ("history_size", 2**31),
    ("history_size", 10**30),
    ("history_size", 13_972),
    ("history_size", True),
    ("beta", "3"),
    ("activation", "sigmoid"),
    ("solver", "adagrad"),
    ("max_iter", 0),
    ("max_iter", 2.5),
    ("tol", -1),
    ("history_size", 0),
    ("learning_rate", 0),
    ("batch_size", 0),
    ("batch_size", "all"),
    ("momentum", 1),
    ("momentum", -0.1),
    ("shuffle", "no"),
    ("max_iter", "all"),
    ("learning_rate", "adaptive"),
    ("n_init", 0),
    ("warm_start", "yes"),
    ("random_state", "seed"),
    ("verbose", -1),
]
SAE_BAD = [
    ("n_components", 0),
    ("n_components", 2.5),
    ("n_components", None),
    ("n_components", True),
    ("n_components", 10**30),
    ("n_components", 10**400),
    ("lam", np.array([1e-3])),
    ("output_activation", "softmax"),
    ("output_activation", "relu"),
    ("loss", "hinge"),
    ("tied_weights", None),
]
MLP_BAD = [
    ("hidden_layer_sizes", 0),
    ("hidden_layer_sizes", 2.5),
    ("hidden_layer_sizes", (3, 0)),
    ("hidden_layer_sizes", (3, 2.5)),
    ("hidden_layer_sizes", ((3, 2),)),
    ("hidden_layer_sizes", ("3",)),
    ("hidden_layer_sizes", "3"),
    ("hidden_layer_sizes", None),
    ("hidden_layer_sizes", True),
    ("hidden_layer_sizes", (True,)),
    ("hidden_layer_sizes", np.array([True])),
    ("hidden_layer_sizes", 10.0),
    ("hidden_layer_sizes", (10.0,)),
    ("hidden_layer_sizes", 10**30),
    ("hidden_layer_sizes", (3, 10**400)),
    ("lam", np.array(-1e-9)),
    ("lam", np.array(np.nan)),
    ("lam", [np.nan]),
    ("lam", [1e-3, np.nan]),
    ("lam", [1e-3, 1j]),
    ("lam", [1e-3, True]),
    ("lam", [1e-3, "1"]),
    ("transform_layer", 0.5),
    ("transform_layer", False),
    ("validation_fraction", 1.0),
    ("n_iter_no_change", 0),
]
CASES = [
    *[(e, *pair) for pair in COMMON_BAD for e in EACH],
    *[(sae(), *pair) for pair in SAE_BAD],
    *[(classifier(), *pair) for pair in [*MLP_BAD, ("loss", "hinge"), ("class_weight", "even")]],
    *[(regressor(), *pair) for pair in MLP_BAD],
    (generic(), "task", "clustering"),
]


@pytest.mark.parametrize(("estimator", "name", "value"), CASES, ids=str)
def test_bad_parameter_is_named(estimator, name, value):
    estimator = clone(estimator).set_params(**{name: value})
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=name):
        fit(estimator)
    assert_as_before(estimator, before)


@pytest.mark.parametrize("estimator", SUPERVISED, ids=repr)
def test_a_number_in_an_array_is_that_number(estimator):
    arrays = clone(estimator).set_params(lam=np.array(1e-3), hidden_layer_sizes=np.array(3))
    plain = clone(estimator).set_params(lam=1e-3, hidden_layer_sizes=3)
    assert_array_equal(fit(arrays).coefs_[0], fit(plain).coefs_[0])


@each_estimator
@pytest.mark.parametrize("params", [{}, {"solver": "sgd", "batch_size": 20}])
def test_small_integers_of_numpy_are_integers(estimator, params):
    """Sizes are computed from them, and 8 bits do not hold these."""
    names = {"max_iter", "history_size", "batch_size", "n_components", "n_iter_no_change"}
    wide = np.tile(X, (10, 40))
    values = estimator.get_params() | params
    small = {k: np.int8(v) for k, v in values.items() if k in names and isinstance(v, int)}
    fits = [clone(estimator).set_params(**(params | more)) for more in ({}, small)]
    y = y_for(estimator, np.tile(LABELS, 10), np.tile(TARGETS, 10))
    first, second = (each.fit(wide, y) for each in fits)
    assert_array_equal(first.coefs_[0], second.coefs_[0])


@pytest.mark.parametrize("output_activation", ["tanh", "identity"])
def test_missing_pair_of_loss_and_activation_lists_the_pairs(output_activation):
    estimator = sae(loss="log_loss", output_activation=output_activation)
    with pytest.raises(ValueError, match="does not go with") as caught:
        fit(estimator)
    for pair in (("squared_error", "identity"), ("log_loss", "logistic")):
        assert "loss={!r} with output_activation={!r}".format(*pair) in str(caught.value)


@each_supervised
@pytest.mark.parametrize("rows", [X, csr_array(X)])
def test_growing_samples_with_early_stopping_are_refused(estimator, rows):
    estimator = clone(estimator).set_params(growing_samples=True, early_stopping=True)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match="does not go with early_stopping=True"):
        fit(estimator, rows)
    assert_as_before(estimator, before)
    fit(estimator.set_params(growing_samples="auto"), rows)


def test_regression_has_no_log_loss():
    with pytest.raises(ValueError, match="'log_loss' does not go with"):
        fit(generic(task="regression", loss="log_loss"))


@each_estimator
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in STEEPNESS])
def test_sparsity_needs_a_bounded_activation(estimator, activation):
    estimator = clone(estimator).set_params(activation=activation, beta=0.1)
    with pytest.raises(ValueError, match=r"beta=0.1 .* needs activation='logistic' or 'tanh'"):
        fit(estimator)


@each_estimator
@pytest.mark.parametrize("solver", [name for name in SOLVERS if name not in BY_STEPS])
def test_partial_fit_exists_for_solvers_that_take_steps_only(estimator, solver):
    for by_steps in BY_STEPS:
        assert hasattr(clone(estimator).set_params(solver=by_steps), "partial_fit")
    estimator = clone(estimator).set_params(solver=solver)
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        estimator.partial_fit(X, y_for(estimator))


# -- sample weights ----------------------------------------------------------------------

BAD_WEIGHTS = {
    "zero": (np.zeros(30), "weights? .*zero"),
    "negative": (-np.ones(30), "Negative values"),
    "one negative": (np.where(np.arange(30) == 7, -1e-9, 1), "Negative values"),
    "nan": (np.full(30, np.nan), "NaN"),
    "inf": (np.full(30, np.inf), "infinity"),
    "too few": (np.ones(29), r"\(29,\)"),
    "a matrix": (np.ones((30, 1)), "1D"),
    "strings": (["heavy"] * 30, "could not convert"),
}


@each_estimator
@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights(estimator, weights, message):
    estimator = clone(estimator)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=f"(?i){message}"):
        fit(estimator, sample_weight=weights)
    assert_as_before(estimator, before)


@each_estimator
@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights_in_score(estimator, weights, message):
    with pytest.raises(ValueError, match=f"(?i){message}"):
        fit(clone(estimator)).score(X, y_for(estimator), sample_weight=weights)


@each_supervised
def test_early_stopping_needs_weight_on_both_sides(estimator):
    estimator = clone(estimator).set_params(early_stopping=True)
    weights = np.eye(30)[0]
    with pytest.raises(ValueError, match=r"early_stopping .* weights are zero"):
        fit(estimator, sample_weight=weights)


@each_estimator
def test_dates_are_no_weights(estimator):
    days = np.full(30, "2020-01-01", "M8[D]")
    with pytest.raises(TypeError, match="sample_weight holds dates"):
        fit(clone(estimator), sample_weight=days)
    with pytest.raises(TypeError, match="sample_weight holds dates"):
        fit(clone(estimator)).score(X, y_for(estimator), sample_weight=days)


def test_early_stopping_needs_two_rows_for_r2():
    """R² of the one row held out of five does not exist."""
    estimator = regressor(early_stopping=True)
    with pytest.raises(ValueError, match=r"validation_fraction|held out"):
        estimator.fit(X[:5], TARGETS[:5])


@pytest.mark.parametrize("n_rows", [21, 11])
def test_early_stopping_of_tiny_classes_is_refused_clearly(n_rows):
    with pytest.raises(ValueError, match=r"least populated class|number of classes"):
        classifier(early_stopping=True).fit(X[:n_rows], LABELS[:n_rows])


# -- y -----------------------------------------------------------------------------------

BAD_LABELS = {
    "one class": (np.zeros(30, int), "at least two classes, but y has one class"),
    "real numbers": (TARGETS, "Unknown label type"),
    "nan": (np.where(LABELS == 1, np.nan, LABELS), "contains NaN"),
    "inf": (np.where(LABELS == 1, np.inf, LABELS), "infinity"),
    "several columns": (np.c_[LABELS, LABELS], "MultiOutputClassifier"),
    "columns of -1 and 1": (np.c_[LABELS > 0, LABELS > 1] * 2 - 1, "must hold 0 and 1 alone"),
    "sparse columns of 2": (csr_array(np.c_[LABELS > 0, LABELS > 1] * 2), "0 and 1 alone"),
    "too few": (LABELS[:-1], "inconsistent numbers of samples"),
    "None": (None, "requires y to be passed"),
    "mixed": (np.array([0, "a", 1] * 10, dtype=object), "y mixes values of the types int, str"),
    "a mixed list": ([0, "a", 1] * 10, "y mixes values of the types int, str"),
    "bytes and strings": (np.array([b"a", "a"] * 15, dtype=object), "y mixes values"),
    **{
        f"{missing!r} in {kind}": (convert(["a", "b", missing] * 10), "y has missing values")
        for missing in (None, np.nan, pd.NA, pd.NaT)
        for kind, convert in {
            "a list": list,
            "an array": partial(np.array, dtype=object),
            "a series": partial(pd.Series, dtype=object),
        }.items()
    },
    "a missing string": (pd.Series(["a", "b", None] * 10, dtype="string"), "y has missing"),
    "a missing category": (pd.Series(["a", "b", None] * 10, dtype="category"), "y has missing"),
    "a missing string of polars": (pl.Series(["a", "b", None] * 10), "y has missing values"),
    "a missing date": (np.array(["2020", "2021", "NaT"] * 10, "M8[D]"), "y has missing values"),
    "a missing number": (np.array([0, 1, None] * 10, dtype=object), "y has missing values"),
    "three dimensions": (np.zeros((30, 2, 2)), "dim 3"),
}
BAD_TARGETS = {
    "nan": (with_value(np.nan)[:, 2], "contains NaN"),
    "inf": (with_value(np.inf)[:, 2], "infinity"),
    "strings": (np.full(30, "x"), "could not convert|numeric"),
    "missing": (np.array([*TARGETS[1:], None], dtype=object), "y has missing values"),
    "NA": (np.array([*TARGETS[1:], pd.NA], dtype=object), "y has missing values"),
    "mixed": ([*TARGETS[1:], "1"], "y mixes values of the types"),
    "complex": (TARGETS + 1j, "(?i)complex"),
    "too few": (TARGETS[:-1], "inconsistent numbers of samples"),
    "None": (None, "requires y to be passed"),
    "three dimensions": (np.zeros((30, 2, 2)), "dim 3"),
}


@pytest.mark.parametrize("estimator", [classifier(), generic()], ids=repr)
@pytest.mark.parametrize(("y", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels(estimator, y, message):
    estimator = clone(estimator)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y)
    assert_as_before(estimator, before)


@pytest.mark.parametrize("estimator", [regressor(), generic(task="regression")], ids=repr)
@pytest.mark.parametrize(("y", "message"), BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_bad_targets(estimator, y, message):
    estimator = clone(estimator)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, y)
    assert_as_before(estimator, before)


@pytest.mark.parametrize(
    "y",
    [
        np.arange(30).astype("M8[D]"),
        np.arange(30).astype("m8[s]"),
        pd.Series(pd.date_range("2020", periods=30)),
        [date(2020, 1, 1)] * 30,
    ],
    ids=lambda y: type(y).__name__,
)
def test_dates_are_no_targets_of_regression(y):
    with pytest.raises(TypeError, match="y holds dates or durations"):
        regressor().fit(X, y)


def test_numbers_that_are_held_as_objects_are_labels():
    for dtype in (int, float, bool):
        y = (LABELS > 0).astype(dtype)
        fitted = classifier().fit(X, y.astype(object))
        assert fitted.classes_.dtype == y.dtype
        assert_array_equal(fitted.predict(X), classifier().fit(X, y).predict(X))
        assert fitted.score(X, y.astype(object)) == fitted.score(X, y)


def test_missing_and_mixed_labels_elsewhere():
    y = np.array(["a", None] * 15, dtype=object)
    fitted = classifier().fit(X, np.where(LABELS > 0, "a", "b"))
    with pytest.raises(ValueError, match="y has missing values"):
        fitted.score(X, y)
    with pytest.raises(ValueError, match="classes mixes values of the types int, str"):
        classifier(solver="sgd").partial_fit(X, LABELS, classes=[0, 1, "2"])


def test_sparse_targets_of_regression_are_used_or_refused_clearly():
    y, estimator = np.c_[TARGETS, TARGETS], regressor()
    refusal = message_of_fit(estimator, X, csr_array(y))
    if refusal:
        assert "sparse" in refusal.lower()
    else:
        assert_array_equal(estimator.predict(X), regressor().fit(X, y).predict(X))


def test_sparse_label_matrix_works():
    Y = (X[:, :2] > 0.5).astype(int)
    dense, sparse = classifier().fit(X, Y), classifier().fit(X, csr_array(Y))
    assert_array_equal(dense.predict(X), sparse.predict(X))


def test_labels_unseen_in_fit_count_as_errors_in_score():
    fitted = classifier(max_iter=50).fit(X[:20], LABELS[:20])
    y = np.full(30, 7)
    y[:10] = fitted.predict(X[:10])
    assert fitted.score(X, y) == pytest.approx(1 / 3)


def test_column_of_labels_warns_as_in_scikit_learn():
    with pytest.warns(DataConversionWarning, match="column-vector"):
        fitted = classifier().fit(X, LABELS[:, np.newaxis])
    assert fitted.predict(X).shape == (30,)


@pytest.mark.parametrize("weights", [{"a": 1.0, "b": 2.0}, {7: 1.0}])
def test_class_weight_must_name_the_classes(weights):
    with pytest.raises(ValueError, match="class"):
        fit(classifier(class_weight=weights))


@pytest.mark.parametrize("weights", [{0: 0, 1: 0, 2: 0}, {0: -1, 1: 1, 2: 1}])
def test_class_weights_are_checked_like_sample_weights(weights):
    with pytest.raises(ValueError, match=r"weights? "):
        fit(classifier(class_weight=weights))


def test_class_weight_is_not_for_regression():
    with pytest.raises(ValueError, match="class_weight is for task='classification'"):
        fit(generic(task="regression", class_weight="balanced"))


def test_class_weight_is_not_for_several_labels():
    with pytest.raises(ValueError, match="class_weight takes one label for each row"):
        classifier(class_weight="balanced").fit(X, (X > 0.5).astype(int))


def test_classes_are_not_for_regression():
    with pytest.raises(ValueError, match="classes is for task='classification'"):
        generic(task="regression", solver="sgd").partial_fit(X, TARGETS, classes=[0, 1])


def test_partial_fit_rejects_what_it_can_not_do():
    with pytest.raises(ValueError, match="partial_fit takes no class_weight"):
        classifier(solver="sgd", class_weight="balanced").partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="partial_fit can't stop early"):
        classifier(solver="sgd", early_stopping=True).partial_fit(X, LABELS)


def test_partial_fit_rejects_labels_that_are_not_in_classes():
    estimator = classifier(solver="sgd")
    with pytest.raises(ValueError, match=r"not in classes: \[2\]"):
        estimator.partial_fit(X, LABELS, classes=[0, 1])
    estimator.partial_fit(X[:20], LABELS[:20])
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"not in classes: \[2\]"):
        estimator.partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="goes on with the classes"):
        estimator.partial_fit(X, LABELS, classes=[0, 1, 2])
    assert_as_before(estimator, before)


@pytest.mark.parametrize("go_on", ["partial_fit", "fit"])
def test_a_fit_does_not_go_on_with_another_kind_of_labels(go_on):
    """Three labels in a 0/1 matrix are not three classes, although the shapes agree."""
    estimator = classifier(solver="sgd", warm_start=True).fit(X, (X[:, :3] > 0.5).astype(int))
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"label|classes"):
        getattr(estimator, go_on)(X, LABELS)
    assert_as_before(estimator, before)


# -- layers ------------------------------------------------------------------------------


def test_a_network_without_hidden_layers_is_no_transformer():
    names = ["transform", "fit_transform", "get_feature_names_out", "set_output"]
    net = classifier(hidden_layer_sizes=())
    for estimator in (net, fit(clone(net))):
        assert not [name for name in names if hasattr(estimator, name)]
        with pytest.raises(AttributeError, match="no attribute 'transform'") as caught:
            estimator.transform(X)
        assert "without hidden layers has no code" in str(caught.value.__cause__)
        with pytest.raises(TypeError, match="should be transformers"):
            make_pipeline(estimator, LogisticRegression()).fit(X, LABELS)
    for sizes in ((3,), [3], np.array([3]), 3, None, "three"):
        assert all(hasattr(clone(net).set_params(hidden_layer_sizes=sizes), n) for n in names)


def test_whether_there_is_a_transform_is_known_from_the_fit():
    net = fit(classifier()).set_params(hidden_layer_sizes=())
    assert net.transform(X).shape == (30, 3)
    assert not hasattr(fit(net).set_params(hidden_layer_sizes=(3,)), "transform")


# -- parameters that change after the fit --------------------------------------------------

OTHERS = {
    "activation": "relu",
    "beta": 0.0,
    "lam": 1.0,
    "rho": 0.3,
    "solver": "cg",
    "tol": 0.1,
    "warm_start": True,
}
OTHERS_OF_AUTOENCODER = {
    "n_components": 7,
    "output_activation": "identity",
    "loss": "log_loss",
    "tied_weights": True,
}
OTHERS_OF_NETWORK = {
    "hidden_layer_sizes": (),
    "early_stopping": True,
    "pretraining": SparseAutoencoder(),
    "transform_layer": 0,
}
FITTED = [
    *[(sae(), OTHERS_OF_AUTOENCODER), (sae(output_activation="tanh"), OTHERS_OF_AUTOENCODER)],
    *[
        (estimator(hidden_layer_sizes=(4, 3)), OTHERS_OF_NETWORK | more)
        for estimator, more in [
            (classifier, {"loss": "squared_error", "class_weight": "balanced"}),
            (regressor, {}),
            (generic, {"task": "regression", "loss": "squared_error"}),
            (partial(generic, task="regression"), {"task": "classification"}),
        ]
    ],
]


def results(estimator):
    y = np.arange(30) % 3 if hasattr(estimator, "classes_") else TARGETS
    found = [np.asarray(getattr(estimator, name)(X)) for name in methods_of(estimator)]
    if hasattr(estimator, "inverse_transform"):
        found.append(estimator.inverse_transform(X[:, :3]))
    tags = estimator.__sklearn_tags__()
    return [*found, estimator.score(X, y), estimator.get_feature_names_out(), tags.estimator_type]


@pytest.mark.parametrize(("estimator", "others"), FITTED, ids=str)
def test_a_fitted_model_is_what_was_fitted(estimator, others):
    fitted = fit(clone(estimator))
    before = results(fitted)
    for name, value in (OTHERS | others).items():
        fitted.set_params(**{name: value})
        for now, then in zip(results(fitted), before, strict=True):
            assert_array_equal(now, then, err_msg=name)


def test_fitted_preprocessing_is_what_was_fitted():
    patches = PatchNormalizer(feature_range=[0.2, 0.8]).fit(X)
    white = ZCAWhitening().fit(X)
    before = patches.transform(X), white.transform(X)
    patches.feature_range[0] = 0.0
    assert_array_equal(patches.transform(X), before[0])
    patches.set_params(n_std=0.1, feature_range=None)
    assert_array_equal(patches.transform(X), before[0])
    assert_array_equal(white.set_params(epsilon=3).transform(X), before[1])


@each_estimator
@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
def test_a_fit_does_not_go_on_with_another_activation(estimator, go_on):
    estimator = clone(estimator).set_params(solver="sgd", warm_start=True, beta=0)
    fit(estimator.set_params(activation="tanh")).set_params(activation="relu")
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"not 'relu' and .*: keep them, or fit anew"):
        getattr(estimator, go_on)(X, y_for(estimator))
    assert_as_before(estimator, before)
    assert fit(estimator.set_params(warm_start=False)).activation_ == "relu"


@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
def test_a_fit_does_not_go_on_with_another_output_activation(go_on):
    changes = (sae(), "output_activation", "tanh"), (classifier(), "loss", "squared_error")
    for estimator, name, value in changes:
        fitted = fit(clone(estimator).set_params(solver="sgd", warm_start=True))
        with pytest.raises(ValueError, match=r"of the output, not .* keep them, or fit anew"):
            getattr(fitted.set_params(**{name: value}), go_on)(X, y_for(fitted))
    fitted = fit(sae(solver="sgd", warm_start=True)).set_params(loss="log_loss")
    assert getattr(fitted, go_on)(X).output_activation_ == "logistic"


def test_a_frozen_autoencoder_is_what_was_fitted():
    frozen = FrozenEstimator(fit(sae(activation="tanh")).set_params(activation="relu"))
    assert fit(classifier(pretraining=frozen)).transform(X).shape == (30, 3)
    with pytest.raises(ValueError, match="of pretraining has 'tanh'"):
        fit(classifier(pretraining=frozen, activation="relu"))


# -- sparse rows -------------------------------------------------------------------------


def test_the_reconstruction_of_sparse_rows_is_refused():
    fitted = fit(sae(), csr_array(X))
    with pytest.raises(TypeError, match=r"sparse rows is dense.*inverse_transform.*toarray"):
        fitted.predict(csr_array(X))
    assert_allclose(
        fitted.inverse_transform(fitted.transform(csr_array(X))), fitted.predict(X), rtol=1e-12
    )


# -- partial_fit -------------------------------------------------------------------------


@each_supervised
def test_partial_fit_takes_classes_and_weights_by_name_only(estimator):
    """scikit-learn's networks and SGDClassifier have them in opposite order."""
    estimator = clone(estimator).set_params(solver="sgd")
    with pytest.raises(TypeError, match="positional argument"):
        estimator.partial_fit(X, y_for(estimator), [0, 1, 2])


def test_partial_fit_of_a_regressor_has_no_classes():
    with pytest.raises(TypeError, match="unexpected keyword argument 'classes'"):
        regressor(solver="sgd").partial_fit(X, TARGETS, classes=[0, 1])


@each_supervised
def test_the_warning_of_partial_fit_points_to_the_line_of_the_user(estimator):
    estimator = clone(estimator).set_params(
        solver="sgd", batch_size=None, lam=1, learning_rate=1e3
    )
    with pytest.warns(ConvergenceWarning, match="no lower value") as seen:
        estimator.partial_fit(X, y_for(estimator))
    assert [w.filename for w in seen] == [__file__]


# -- warm start --------------------------------------------------------------------------


@each_estimator
def test_warm_start_with_other_shapes(estimator):
    estimator = fit(clone(estimator).set_params(warm_start=True))
    before, predictions = dict(vars(estimator)), estimator.predict(X)
    with pytest.raises(ValueError, match=r"shapes .* fit anew with warm_start=False"):
        fit(estimator, X[:, :3])
    assert_as_before(estimator, before)
    assert_array_equal(estimator.predict(X), predictions)
    sizes = "n_components" if isinstance(estimator, SparseAutoencoder) else "hidden_layer_sizes"
    with pytest.raises(ValueError, match="keep the layer sizes"):
        fit(estimator.set_params(**{sizes: 7}))


def test_warm_start_with_other_classes():
    estimator = fit(classifier(warm_start=True))
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"classes \[0, 1, 2\] as .* but y has \[0, 1\]"):
        estimator.fit(X[:20], LABELS[:20])
    assert_as_before(estimator, before)


def test_tied_weights_go_on_from_tied_weights_alone():
    """A decoder of its own would be lost without a word."""
    estimator = fit(sae(warm_start=True))
    before = dict(vars(estimator))
    estimator.set_params(tied_weights=True)
    with pytest.raises(ValueError, match=r"not the transposed encoder.*tied_weights=False"):
        fit(estimator)
    assert_as_before(estimator, before | {"tied_weights": True})
    tied = fit(sae(warm_start=True, tied_weights=True), X.astype(np.float32))
    first = tied.loss_
    assert fit(tied).loss_ < first
    assert fit(tied.set_params(tied_weights=False)).loss_ < first


# -- range of the decoder ----------------------------------------------------------------


@pytest.mark.parametrize("activation", [name for name in OUTPUTS if np.isfinite(RANGES[name][0])])
@pytest.mark.parametrize("convert", [np.asarray, csr_array])
def test_data_outside_the_range_of_the_decoder_warn_and_fit(activation, convert):
    estimator, (low, high) = sae(output_activation=activation), RANGES[activation]
    words = rf"outside \[{low}, {high}\].*MinMaxScaler.*identity"
    with pytest.warns(UserWarning, match=words) as seen:
        fit(estimator, convert(3 * X))
    assert [w.filename for w in seen if w.category is UserWarning] == [__file__]
    assert estimator.predict(X).shape == X.shape


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_minmax_scaled_data_do_not_warn(dtype):
    """MinMaxScaler may miss 1 by a rounding error: its user has done what we ask for."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        data = rng.normal(scale=100, size=(40, 5)).astype(dtype)
        sae(max_iter=1).fit(MinMaxScaler().fit_transform(data))
        sae(max_iter=1, output_activation="tanh").fit(MinMaxScaler((-1, 1)).fit_transform(data))


def test_linear_decoder_takes_any_data():
    fit(sae(output_activation="identity"), StandardScaler().fit_transform(X))


# -- overflow ----------------------------------------------------------------------------

HUGE = {"float64": X * 1e200, "float32": (X * 1e30).astype(np.float32)}
huge = pytest.mark.parametrize("data", HUGE.values(), ids=HUGE)


@pytest.mark.filterwarnings("ignore:X has values outside:UserWarning")
@huge
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("output_activation", OUTPUTS)
def test_overflow_of_the_autoencoder_asks_for_scaling(data, solver, output_activation):
    estimator = sae(solver=solver, output_activation=output_activation)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"SparseAutoencoder can't be fitted.*Scale the data"):
        estimator.fit(data)
    assert_as_before(estimator, before)


@huge
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_overflow_of_a_network_asks_for_scaling(data, solver, early_stopping):
    estimator = regressor(solver=solver, activation="relu", early_stopping=early_stopping)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"MLPBackpropRegressor can't be fitted.*Scale the data"):
        estimator.fit(data, TARGETS)
    assert_as_before(estimator, before)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("dtype", "scale_targets"), [(np.float64, False), (np.float32, True)])
def test_overflow_of_the_targets_asks_for_scaling(dtype, scale_targets, early_stopping):
    """Of float64 only if they are not scaled inside; float32 could not hold the predictions."""
    estimator = regressor(early_stopping=early_stopping, scale_targets=scale_targets)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"can't be fitted.*Scale the data"):
        estimator.fit(X.astype(dtype), 1e200 * TARGETS)
    assert_as_before(estimator, before)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("scale", [2.0**-900, 2.0**-600, 2.0**600, 2.0**1000])
def test_targets_of_every_magnitude_are_fitted_alike(scale, early_stopping):
    nets = [regressor(early_stopping=early_stopping).fit(X, s * TARGETS) for s in (1, scale)]
    assert_array_equal(nets[1].predict(X), scale * nets[0].predict(X))


@huge
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("estimator", [classifier(), regressor()], ids=repr)
def test_huge_data_are_fitted_or_refused_clearly(estimator, data, activation, solver):
    """A bounded activation may bear them; no RuntimeWarning of NumPy comes through."""
    estimator = clone(estimator).set_params(activation=activation, solver=solver)
    refusal = message_of_fit(estimator, data, y_for(estimator))
    if refusal:
        assert "Scale the data" in refusal
    else:
        assert weights_are_finite(estimator)
        assert len(estimator.predict(data)) == 30


@each_estimator
@pytest.mark.parametrize("learning_rate", [1e10, 1e200, 1e308])
@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_huge_learning_rate(estimator, learning_rate, batch_size, dtype):
    """It diverges, or saturates every unit; no RuntimeWarning of NumPy comes through."""
    estimator = clone(estimator).set_params(
        solver="sgd", learning_rate=learning_rate, batch_size=batch_size, max_iter=60
    )
    refusal = message_of_fit(estimator, X.astype(dtype), y_for(estimator))
    assert "smaller learning_rate" in refusal if refusal else weights_are_finite(estimator)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_divergence_of_sgd_names_the_learning_rate(early_stopping):
    estimator = regressor(
        solver="sgd",
        learning_rate=1e6,
        activation="relu",
        early_stopping=early_stopping,
        max_iter=100,
    )
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match=r"can't be fitted.*a smaller learning_rate"):
        estimator.fit(X, TARGETS)
    assert_as_before(estimator, before)


@each_estimator
@pytest.mark.parametrize("learning_rate", [1e6, 1e308])
def test_too_long_a_step_of_partial_fit_is_not_silent_and_not_taken(estimator, learning_rate):
    estimator = clone(estimator).set_params(solver="sgd", batch_size=None, lam=1)
    estimator.partial_fit(X, y_for(estimator))
    predictions = estimator.predict(X)
    estimator.set_params(learning_rate=learning_rate)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refusal = ""
        try:
            estimator.partial_fit(X, y_for(estimator))
        except ValueError as error:
            refusal = str(error)
    assert not [w for w in caught if w.category is RuntimeWarning]
    assert "learning_rate" in refusal + " ".join(str(w.message) for w in caught)
    assert_array_equal(estimator.predict(X), predictions)


@each_estimator
def test_too_long_steps_of_a_fit_warn_and_keep_the_start(estimator):
    estimator = clone(estimator).set_params(solver="sgd", lam=1, momentum=0, learning_rate=1e3)
    with pytest.warns(CollapseWarning, match=r"no lower value.*decrease learning_rate") as seen:
        fit(estimator)
    assert len(seen) == 1
    assert not estimator.converged_
    assert estimator.loss_ <= estimator.loss_curve_.min()


@each_estimator
@huge
def test_methods_bear_huge_data(estimator, data):
    """No warning, and no NaN: at worst an infinite value."""
    fitted = fit(clone(estimator))
    for name in methods_of(fitted):
        assert not np.isnan(getattr(fitted, name)(data)).any(), name


@pytest.mark.parametrize("scale", [1e200, 1e300])
def test_score_bears_huge_data(scale):
    fitted = fit(sae())
    score = fitted.score(scale * X)
    assert score == -np.inf


@pytest.mark.parametrize("convert", [np.array, csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize(("dtype", "fill"), [(np.float32, 1e20), (np.float64, 1e300)])
def test_rows_without_weight_do_not_count_in_the_score_however_large(dtype, fill, convert):
    fitted, filled = fit(sae()), np.r_[X, np.full((1, X.shape[1]), fill)].astype(dtype)
    weights = np.r_[np.ones(len(X)), 0]
    score = fitted.score(convert(filled), sample_weight=weights)
    assert score == pytest.approx(fitted.score(X.astype(dtype)), rel=1e-6)


def test_huge_codes_are_decoded():
    fitted = fit(sae())
    assert np.isfinite(fitted.inverse_transform(1e300 * X[:, :3])).all()


# -- assume_finite -----------------------------------------------------------------------

MORE = [
    *EACH,
    sae(solver="cg", activation="relu", output_activation="identity", beta=0),
    sae(growing_samples=True),
    regressor(solver="sgd", batch_size=7),
    regressor(growing_samples=True),
    classifier(early_stopping=True),
    classifier(pretraining=sae(activation="tanh")),
]


@pytest.mark.parametrize("bad", [with_value(np.nan), csr_array(with_value(np.nan))])
@pytest.mark.parametrize("estimator", MORE, ids=repr)
def test_nan_that_nobody_looks_for_is_named(estimator, bad):
    fitted, y = fit(clone(estimator)), y_for(estimator)
    with sklearn.config_context(assume_finite=True):
        with pytest.raises(ValueError, match="X holds NaN"):
            clone(estimator).fit(bad, y)
        for name in methods_of(fitted):
            if not (name == "predict" and issparse(bad) and y is None):
                with pytest.raises(ValueError, match="X holds NaN"):
                    getattr(fitted, name)(bad)
        with pytest.raises(ValueError, match="X holds NaN"):
            fitted.score(bad, y)
        with pytest.raises(ValueError, match="X holds NaN"):
            check_gradient(estimator, bad, y)
        with pytest.raises(ValueError, match="X holds NaN"):
            code_diagnostics(fitted, bad)
        with pytest.raises(ValueError, match="sample_weight holds NaN"):
            clone(estimator).fit(X, y, sample_weight=with_value(np.nan)[:, 2])


def test_nan_among_targets_that_nobody_looks_for_is_named():
    y = with_value(np.nan)[:, 2]
    with sklearn.config_context(assume_finite=True):
        for estimator in (regressor(), regressor(early_stopping=True)):
            with pytest.raises(ValueError, match="y holds NaN"):
                estimator.fit(X, y)
            with pytest.raises(ValueError, match="y holds NaN"):
                fit(estimator).score(X, y)
        with pytest.raises(ValueError, match="y holds NaN"):
            classifier().fit(X, np.where(LABELS == 1, np.nan, LABELS))


@pytest.mark.parametrize("estimator", [ZCAWhitening(), PatchNormalizer()], ids=repr)
def test_nan_that_nobody_looks_for_in_preprocessing(estimator):
    bad, fitted = with_value(np.nan), clone(estimator).fit(X)
    with sklearn.config_context(assume_finite=True):
        for method in (clone(estimator).fit, fitted.transform):
            with pytest.raises(ValueError, match="X holds NaN"):
                method(bad)


# -- all or nothing ----------------------------------------------------------------------


def interrupt_after(n_calls, monkeypatch, error=KeyboardInterrupt):
    """Let the objective raise after some evaluations."""
    calls = []

    def interrupted(original):
        def call(*args):
            calls.append(1)
            if len(calls) > n_calls:
                raise error
            return original(*args)

        return call

    for cls, name in ((Objective, "__call__"), (Batches, "evaluate")):
        monkeypatch.setattr(cls, name, interrupted(getattr(cls, name)))


@each_estimator
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("solver", SOLVERS)
def test_interrupted_first_fit_leaves_nothing(estimator, solver, error, monkeypatch):
    estimator = clone(estimator).set_params(solver=solver)
    before = dict(vars(estimator))
    interrupt_after(2, monkeypatch, error)
    with pytest.raises(error):
        fit(estimator)
    assert_as_before(estimator, before)
    with pytest.raises(NotFittedError):
        estimator.transform(X)


@each_estimator
@pytest.mark.parametrize("solver", ["lbfgs", "sgd"])
def test_interrupted_second_fit_leaves_the_first(estimator, solver, monkeypatch):
    estimator = fit(clone(estimator).set_params(solver=solver))
    before, predictions = dict(vars(estimator)), estimator.predict(X)
    interrupt_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        fit(estimator, X[:, :3])
    assert_as_before(estimator, before)
    assert_array_equal(estimator.predict(X), predictions)


@each_estimator
def test_interrupted_partial_fit_leaves_the_weights(estimator, monkeypatch):
    estimator = clone(estimator).set_params(solver="sgd", batch_size=None)
    estimator.partial_fit(X, y_for(estimator))
    before, predictions = dict(vars(estimator)), estimator.predict(X)
    interrupt_after(1, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        estimator.partial_fit(X, y_for(estimator))
    assert_as_before(estimator, before)
    assert_array_equal(estimator.predict(X), predictions)


@pytest.mark.parametrize("estimator", [classifier(), generic()], ids=repr)
def test_failed_second_fit_leaves_the_first(estimator):
    """Also what a fit sets early (the classes) and removes (the validation scores)."""
    estimator = fit(clone(estimator).set_params(early_stopping=True))
    predictions = estimator.predict(X)
    before = dict(vars(estimator.set_params(beta=1, activation="relu", early_stopping=False)))
    with pytest.raises(ValueError, match="beta"):
        estimator.fit(X, LABELS.astype(str))
    assert_as_before(estimator, before)
    estimator.set_params(beta=0, activation="tanh")
    assert_array_equal(estimator.predict(X), predictions)


@each_estimator
def test_every_method_of_an_unfitted_estimator_says_so(estimator):
    estimator = clone(estimator)
    for name in [*methods_of(estimator), "score"]:
        arguments = (X, y_for(estimator)) if name == "score" else (X,)
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(estimator, name)(*arguments)
    with pytest.raises(NotFittedError):
        estimator.get_feature_names_out()
    if hasattr(estimator, "inverse_transform"):
        with pytest.raises(NotFittedError):
            estimator.inverse_transform(X[:, :3])


# -- convergence -------------------------------------------------------------------------


@each_estimator
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("n_init", [1, 3])
def test_one_warning_at_max_iter(estimator, solver, n_init):
    estimator = clone(estimator).set_params(solver=solver, max_iter=2, tol=1e-9, n_init=n_init)
    estimator.set_params(batch_size=None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X, y_for(estimator))
    collapsed = solver in ("adam", "sgd") and isinstance(
        estimator, SparseAutoencoder
    )  # after two steps
    assert [w.category for w in caught] == [CollapseWarning if collapsed else ConvergenceWarning]
    text = str(caught[0].message)
    assert "max_iter=2" in text
    assert "tol=1e-09" in text
    assert type(estimator).__name__ in text
    assert caught[0].filename == __file__
    assert not estimator.converged_
    assert estimator.n_iter_ == 2


@each_estimator
@pytest.mark.filterwarnings("error")
def test_no_warning_when_it_has_converged(estimator):
    estimator = fit(clone(estimator).set_params(max_iter=2000, tol=1e-2))
    assert estimator.converged_
    assert estimator.n_iter_ < 2000


# -- fits that go on, and layers that do not exist ------------------------------------------


def test_a_fit_does_not_go_on_with_another_task():
    estimator = MLPBackprop((3,), task="regression", warm_start=True, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, np.arange(len(X)))
    with pytest.raises(ValueError, match="goes on with task='regression'"):
        estimator.set_params(task="classification").fit(X, LABELS)


def test_classes_of_several_labels_are_their_columns():
    matrix = np.column_stack([LABELS == 0, LABELS == 1]).astype(int)
    net = MLPBackpropClassifier((3,), solver="sgd")
    with pytest.raises(ValueError, match=r"column numbers \[0, 1\]"):
        net.partial_fit(X, matrix, classes=[0, 1, 2])


@pytest.mark.parametrize("layer", [1, -2])
def test_a_layer_that_does_not_exist_is_noticed_before_the_fit(layer):
    with pytest.raises(ValueError, match=r"transform_layer=.* does not exist"):
        MLPBackpropClassifier((3,), transform_layer=layer).fit(X, LABELS)


def test_a_sparse_code_needs_a_hidden_layer():
    with pytest.raises(ValueError, match="there is no hidden layer"):
        MLPBackpropClassifier((), beta=1.0).fit(X, LABELS)


@pytest.mark.parametrize("weight", [-1.0, np.inf, np.nan, 1j, True, "1", None, [1], 10**400])
def test_bad_class_weights_are_named(weight):
    with pytest.raises(ValueError, match="class_weight must hold finite weights"):
        MLPBackpropClassifier((3,), class_weight={0: weight}).fit(X, LABELS)


# -- ends of the range of numbers ----------------------------------------------------------

ENDS = np.where(X > 0.5, 3.4e38, -3.4e38).astype(np.float32)  # some add up to inf - inf


@pytest.mark.filterwarnings("ignore:X has values outside:UserWarning")
@each_estimator
def test_rows_at_both_ends_of_float32_pass_the_validation_without_a_warning(estimator):
    fitted = fit(clone(estimator))
    fitted.coefs_[0] *= 0.1  # so that no output overflows
    for name in methods_of(fitted):
        assert len(getattr(fitted, name)(ENDS)) == 30
    if hasattr(fitted, "inverse_transform"):
        fitted.coefs_[1] *= 0.1
        assert len(fitted.inverse_transform(ENDS[:, :3])) == 30
    refusal = message_of_fit(clone(estimator), ENDS, y_for(estimator))
    assert not refusal or "Scale the data" in refusal


def test_targets_at_both_ends_of_float32_are_refused_without_a_warning():
    with pytest.raises(ValueError, match="Scale the data"):
        regressor(scale_targets=False).fit(X.astype(np.float32), ENDS[:, :2])


def test_targets_at_both_ends_of_float32_are_fitted_in_double_precision():
    predicted = regressor(max_iter=50).fit(X, ENDS[:, :2]).predict(X)
    assert np.isfinite(predicted).all()
    assert (np.sign(predicted) == np.sign(ENDS[:, :2])).mean() > 0.9


@each_estimator
def test_output_that_is_no_number_is_refused(estimator):
    """Two hidden units are infinite, and the output is their difference."""
    params = {"activation": "relu", "beta": 0}
    fitted = fit(clone(estimator).set_params(**params))
    fitted.coefs_ = [
        np.full((4, 3), 10.0),
        np.tile([[1.0], [-1.0], [0.0]], fitted.coefs_[1].shape[1]),
    ]
    for name in set(methods_of(fitted)) - {"transform"}:
        with pytest.raises(ValueError, match="output of the network overflows: scale X"):
            getattr(fitted, name)(np.full((2, 4), 1e308))


@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_probabilities_of_infinite_scores_are_refused(loss):
    net = MLPBackpropClassifier((2,), activation="relu", loss=loss, max_iter=2, random_state=0)
    rows = np.random.default_rng(0).uniform(size=(9, 4))
    net.fit(rows, np.arange(9) % 3)
    sign = 1 if loss == "log_loss" else -1  # of squared error the scores are log a, at most 0
    net.coefs_ = [np.full((4, 2), 10.0), np.full((2, 3), sign * 10.0)]
    for name in ("predict_proba", "predict_log_proba"):
        with pytest.raises(ValueError, match="output of the network overflows: scale X"):
            getattr(net, name)(np.full((2, 4), 1e308))


def test_penalties_that_overflow_are_named():
    """At the start the mean code is ρ, and the sparsity penalty nothing."""
    with pytest.raises(ValueError, match=r"[Dd]ecrease lam or beta"):
        sae(lam=1e308).fit(X)
    with pytest.warns(CollapseWarning, match=r"[Dd]ecrease lam or beta"):
        fitted = sae(beta=1.7e308).fit(X)
    assert np.isfinite(fitted.loss_)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_r2_bears_what_overflows(early_stopping):
    huge = 1e153 * np.sign(TARGETS)
    net = regressor(early_stopping=early_stopping, validation_fraction=0.5).fit(X, huge)
    assert net.score(X, 100 * huge) == -np.inf
    assert net.score(1e300 * X, TARGETS) <= 1


def test_scores_know_the_ratios_of_weights_only():
    weights = np.linspace(1, 2, 30)
    for estimator, y in [(regressor(), TARGETS), (classifier(), LABELS)]:
        fitted = estimator.fit(X, y)
        expected = fitted.score(X, y, sample_weight=weights)
        for scale in (2.0**1020, 2.0**-1000):
            assert fitted.score(X, y, sample_weight=scale * weights) == expected


def test_balanced_classes_with_weights_of_every_magnitude():
    """Each class counts the same, however little its rows do."""
    plain = classifier().fit(X, LABELS)
    weights = np.array([1.0, 1e-200, 1e-320])[LABELS]
    net = classifier(class_weight="balanced").fit(X, LABELS, sample_weight=weights)
    assert_allclose(net.coefs_[0], plain.coefs_[0], rtol=1e-9)
    huge = classifier(class_weight=dict.fromkeys(range(3), 1e308))
    assert_allclose(huge.fit(X, LABELS).coefs_[0], plain.coefs_[0], rtol=1e-9)
