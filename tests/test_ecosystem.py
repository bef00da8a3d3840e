"""The estimators inside scikit-learn's tools, and what a user may rely on around them."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from problems import LABEL_LOSSES, when_slow
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, minmax_scale
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.utils.class_weight import compute_sample_weight
from threadpoolctl import threadpool_info, threadpool_limits

from skl_sae import MLPBackprop, MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop.solvers import SOLVERS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]

X, LABELS = load_iris(return_X_y=True)
X = minmax_scale(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])[LABELS]
TARGET = X @ [0.5, -1.0, 2.0, 0.3] + np.sin(3 * X[:, 0])
PIXELS = minmax_scale(load_digits().data[:200])
WEIGHTS = np.random.default_rng(5).integers(0, 4, size=len(X)).astype(float)


# Steps on all rows, as the tutorial takes them: test_adam.py has those of mini-batches.
ALL_ROWS = {"batch_size": None, "momentum": 0}


def sae(**params):
    return SparseAutoencoder(
        **{"n_components": 3, "beta": 0.1, "max_iter": 20, "random_state": 0, **ALL_ROWS, **params}
    )


def classifier(**params):
    return MLPBackpropClassifier(
        **{"hidden_layer_sizes": (5,), "max_iter": 30, "random_state": 0, **ALL_ROWS, **params}
    )


def regressor(**params):
    return MLPBackpropRegressor(
        **{"hidden_layer_sizes": (5,), "max_iter": 30, "random_state": 0, **ALL_ROWS, **params}
    )


def y_for(estimator):
    return {SparseAutoencoder: None, MLPBackpropRegressor: TARGET}.get(type(estimator), LABELS)


def fit(estimator, X=X, **options):
    return estimator.fit(X, y_for(estimator), **options)


def assert_same_fit(one, other):
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert_array_equal(a, b)
    assert one.loss_ == other.loss_


EACH = [sae(), classifier(), regressor()]
SUPERVISED = EACH[1:]
each_estimator = pytest.mark.parametrize("estimator", EACH, ids=lambda e: type(e).__name__)
each_supervised = pytest.mark.parametrize("estimator", SUPERVISED, ids=lambda e: type(e).__name__)
each_solver = pytest.mark.parametrize("solver", SOLVERS)


# -- pipelines, searches, compositions ---------------------------------------------------


def test_autoencoder_in_the_middle_of_a_pipeline():
    pipe = make_pipeline(MinMaxScaler(clip=True), sae(beta=0), LogisticRegression())
    assert pipe.fit(X, LABELS).score(X, LABELS) > 0.8
    names = pipe[:-1].get_feature_names_out()
    assert names.tolist() == [f"sparseautoencoder{k}" for k in range(3)]


def test_network_in_the_middle_of_a_pipeline():
    pipe = make_pipeline(StandardScaler(), classifier(), LogisticRegression())
    assert pipe.fit(X, LABELS).score(X, LABELS) > 0.9


@each_estimator
def test_end_of_a_pipeline(estimator):
    pipe = make_pipeline(MinMaxScaler(clip=True), clone(estimator))
    pipe.fit(X, y_for(estimator))
    assert len(pipe.predict(X)) == len(X)
    assert pipe.score(X, y_for(estimator)) == estimator.fit(X, y_for(estimator)).score(
        X, y_for(estimator)
    )


def test_grid_search_of_an_autoencoder_without_y():
    grid = {"lam": [1e-4, 10.0], "beta": [0, 0.1], "rho": [0.1, 0.5]}
    search = GridSearchCV(sae(), grid, cv=3).fit(X)
    assert search.best_params_["lam"] == 1e-4
    assert search.score(X) == search.best_estimator_.score(X)
    assert search.inverse_transform(search.transform(X)).shape == X.shape


def test_grid_search_through_a_pipeline():
    code = sae(beta=0, max_iter=100)
    pipe = Pipeline([("code", code), ("classify", classifier(lam=1e-4, max_iter=100))])
    search = GridSearchCV(pipe, {"code__n_components": [1, 4]}, cv=2).fit(X, NAMES)
    assert search.best_params_ == {"code__n_components": 4}


@each_estimator
def test_grid_search_in_two_processes_equals_one(estimator):
    grid = {"lam": [1e-4, 1.0]}
    one, two = (
        GridSearchCV(clone(estimator), grid, cv=2, n_jobs=n).fit(X, y_for(estimator))
        for n in (1, 2)
    )
    for key in ("split0_test_score", "split1_test_score"):
        assert_array_equal(one.cv_results_[key], two.cv_results_[key])
    assert_same_fit(one.best_estimator_, two.best_estimator_)


@each_estimator
def test_halving_search_with_max_iter_as_the_resource(estimator):
    search = HalvingGridSearchCV(
        clone(estimator).set_params(max_iter=1, beta=0),
        {"lam": [1e-5, 1e-3, 10.0]},
        resource="max_iter",
        min_resources=8,
        max_resources=72,
        cv=KFold(3, shuffle=True, random_state=0),
        random_state=0,
    ).fit(X, y_for(estimator))
    assert search.n_resources_ == [8, 24]
    assert search.best_params_["lam"] < 10


@each_estimator
def test_cross_validation(estimator):
    scores = cross_val_score(estimator, X, y_for(estimator), cv=3, error_score="raise")
    assert np.isfinite(scores).all()
    result = cross_validate(estimator, X, y_for(estimator), cv=3, return_estimator=True)
    assert_array_equal(result["test_score"], scores)


def test_classification_is_stratified():
    """Sorted labels: without stratified folds no class of the test fold is in training."""
    assert cross_val_score(classifier(), X, LABELS, cv=3).min() > 0.8


def test_column_transformer():
    frame = pd.DataFrame(X, columns=list("abcd"))
    union = ColumnTransformer([("one", sae(n_components=2), ["a", "b"]), ("two", sae(), ["c"])])
    union.set_output(transform="pandas")
    out = union.fit_transform(frame)
    assert out.columns[:3].tolist() == [
        "one__sparseautoencoder0",
        "one__sparseautoencoder1",
        "two__sparseautoencoder0",
    ]
    assert_array_equal(out.to_numpy()[:, 2:], sae().fit(frame[["c"]]).transform(frame[["c"]]))


def test_feature_union():
    union = FeatureUnion([("logistic", sae()), ("tanh", sae(activation="tanh", n_components=2))])
    assert union.fit_transform(X).shape == (150, 5)


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting_classifier(voting):
    vote = VotingClassifier([("a", classifier()), ("b", LogisticRegression())], voting=voting)
    assert vote.fit(X, NAMES).score(X, NAMES) > 0.9


def test_voting_regressor():
    vote = VotingRegressor([("a", regressor()), ("b", Ridge())]).fit(X, TARGET)
    assert vote.score(X, TARGET) > 0.9


@pytest.mark.parametrize("passthrough", [False, True])
def test_stacking_classifier(passthrough):
    stack = StackingClassifier(
        [("a", classifier()), ("b", LogisticRegression())],
        final_estimator=classifier(),
        cv=3,
        passthrough=passthrough,
    )
    assert stack.fit(X, NAMES).score(X, NAMES) > 0.9


@pytest.mark.parametrize("ensemble", [True, False])
def test_calibration(ensemble):
    calibrated = CalibratedClassifierCV(classifier(), cv=3, ensemble=ensemble).fit(X, NAMES)
    assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_calibration_of_a_frozen_network():
    fitted = classifier().fit(X[::2], NAMES[::2])
    calibrated = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(X[1::2], NAMES[1::2])
    assert calibrated.score(X, NAMES) > 0.9


def test_frozen_autoencoder_is_not_fitted_again():
    fitted = sae().fit(X[:50])
    pipe = make_pipeline(FrozenEstimator(fitted), LogisticRegression()).fit(X, LABELS)
    assert_array_equal(pipe[0].transform(X), fitted.transform(X))
    assert clone(pipe[0]).n_features_in_ == 4


@pytest.mark.parametrize("ensemble", [AdaBoostClassifier, BaggingClassifier])
def test_ensembles_of_classifiers(ensemble):
    fitted = ensemble(classifier(), n_estimators=3, random_state=0).fit(X, NAMES)
    assert fitted.score(X, NAMES) > 0.9


@pytest.mark.parametrize("ensemble", [AdaBoostRegressor, BaggingRegressor])
def test_ensembles_of_regressors(ensemble):
    fitted = ensemble(regressor(), n_estimators=3, random_state=0).fit(X, TARGET)
    assert fitted.score(X, TARGET) > 0.9


def test_bagging_passes_sample_weights_on():
    bagging = BaggingClassifier(classifier(), n_estimators=2, random_state=0)
    weights = np.where(LABELS == 0, 0.0, 1.0)
    fitted = bagging.fit(X, LABELS, sample_weight=weights)
    assert (fitted.predict(X)[LABELS == 0] != 0).mean() > 0.9


def test_multi_output_classifier():
    Y = np.c_[LABELS, X[:, 0] > 0.5]
    assert MultiOutputClassifier(classifier()).fit(X, Y).predict(X).shape == (150, 2)


def test_transformed_target():
    model = TransformedTargetRegressor(regressor(), transformer=StandardScaler())
    assert model.fit(X, 1e4 * TARGET).score(X, 1e4 * TARGET) > 0.95


def test_self_training():
    some = LABELS.copy()
    some[::3] = -1
    assert SelfTrainingClassifier(classifier()).fit(X, some).score(X, LABELS) > 0.9


@each_estimator
def test_permutation_importance(estimator):
    fitted = fit(clone(estimator))
    result = permutation_importance(fitted, X, y_for(fitted), n_repeats=2, random_state=0)
    assert result.importances_mean.shape == (4,)
    assert result.importances_mean.max() > 0


@each_estimator
def test_clone_has_the_same_parameters_and_fit(estimator):
    fitted = fit(clone(estimator))
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "coefs_")
    assert_same_fit(fit(copy), fitted)


@pytest.mark.parametrize("container", ["pandas", "polars"])
@each_estimator
def test_set_output(estimator, container):
    frame_type = pytest.importorskip(container).DataFrame
    fitted = fit(clone(estimator).set_output(transform=container))
    out = fitted.transform(X)
    assert isinstance(out, frame_type)
    assert list(out.columns) == list(fitted.get_feature_names_out())
    assert_array_equal(out.to_numpy(), fitted.set_output(transform="default").transform(X))


@each_estimator
def test_data_frames_carry_their_names(estimator):
    frame = pd.DataFrame(X, columns=list("abcd"))
    fitted = clone(estimator).fit(frame, y_for(estimator))
    assert fitted.feature_names_in_.tolist() == list("abcd")
    assert_same_fit(fitted, fit(clone(estimator), frame.to_numpy()))
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="valid feature names"):
        fitted.predict(X)


@each_estimator
def test_weights_are_routed_through_pipeline_and_search(estimator):
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(estimator).set_fit_request(sample_weight=True)
        routed.set_score_request(sample_weight=True)
        pipe = make_pipeline(MinMaxScaler(clip=True), routed)
        pipe.set_score_request(sample_weight=True)  # scikit-learn 1.6 asks for it
        search = GridSearchCV(pipe, {f"{pipe.steps[-1][0]}__lam": [1e-3]}, cv=2)
        search.fit(X, y_for(estimator), sample_weight=WEIGHTS)
    expected = fit(clone(estimator).set_params(lam=1e-3), sample_weight=WEIGHTS)
    assert_same_fit(search.best_estimator_[-1], expected)


# -- persistence -------------------------------------------------------------------------

LOAD = """
import sys, joblib, pickle, numpy as np
for fitted, X, expected in (joblib.load(sys.argv[1]), pickle.load(open(sys.argv[2], "rb"))):
    for estimator, values in zip(fitted, expected):
        for name, value in values.items():
            np.testing.assert_array_equal(getattr(estimator, name)(X), value)
"""


def test_a_new_process_predicts_the_same(tmp_path):
    fitted = [make_pipeline(sae()).fit(X), classifier().fit(X, NAMES), regressor().fit(X, TARGET)]
    methods = ("predict", "transform")
    expected = [{name: getattr(estimator, name)(X) for name in methods} for estimator in fitted]
    everything = fitted, X, expected
    joblib.dump(everything, tmp_path / "joblib")
    (tmp_path / "pickle").write_bytes(pickle.dumps(everything))
    paths = [str(tmp_path / "joblib"), str(tmp_path / "pickle")]
    subprocess.run([sys.executable, "-c", LOAD, *paths], check=True)


@each_estimator
def test_memory_mapped_weights_and_data(estimator, tmp_path):
    joblib.dump((X, fit(clone(estimator))), tmp_path / "both")
    mapped, loaded = joblib.load(tmp_path / "both", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    assert_array_equal(loaded.predict(mapped), fit(clone(estimator)).predict(X))
    assert_same_fit(fit(clone(estimator), mapped), loaded)


# -- layout and precision ----------------------------------------------------------------


@each_estimator
@pytest.mark.parametrize("convert", [np.asfortranarray, lambda X: np.repeat(X, 2, 1)[:, ::2]])
def test_memory_layout_does_not_matter(estimator, convert):
    other = convert(X)
    assert not other.flags.c_contiguous
    fitted = fit(clone(estimator))
    again = fit(clone(estimator), other)
    assert_allclose(again.loss_, fitted.loss_, rtol=1e-6)
    assert_allclose(fitted.predict(other), fitted.predict(X), rtol=1e-12)


@each_solver
@each_estimator
@pytest.mark.parametrize("convert", [np.asarray, csr_array])
def test_float32_stays_float32(estimator, solver, convert):
    data = convert(X.astype(np.float32))
    fitted = fit(clone(estimator).set_params(solver=solver), data)
    for array in [*fitted.coefs_, *fitted.intercepts_]:
        assert array.dtype == np.float32
    names = ["transform", "predict", "predict_proba", "predict_log_proba", "score_samples"]
    if hasattr(fitted, "classes_") or (issparse(data) and isinstance(fitted, SparseAutoencoder)):
        names.remove("predict")
    for name in names:
        if hasattr(fitted, name):
            assert getattr(fitted, name)(data).dtype == np.float32, name
    assert isinstance(fitted.score(data, y_for(fitted)), float)
    if isinstance(fitted, SparseAutoencoder):
        assert fitted.inverse_transform(fitted.transform(data)).dtype == np.float32
        assert fitted.mean_activation_.dtype == np.float32
        assert fitted.components_.dtype == np.float32


@each_estimator
def test_float32_is_close_to_float64(estimator):
    params = {"max_iter": 5, "lam": 1e-2}
    wide = fit(clone(estimator).set_params(**params))
    narrow = fit(clone(estimator).set_params(**params), X.astype(np.float32))
    assert_allclose(narrow.loss_, wide.loss_, rtol=1e-4)


@each_estimator
def test_other_numbers_become_float64(estimator):
    for dtype in (int, bool, np.float16, object):
        fitted = fit(clone(estimator), np.rint(X).astype(dtype))
        assert fitted.coefs_[0].dtype == np.float64


@each_estimator
def test_fit_leaves_its_arguments_as_they_are(estimator):
    data, weights = X.copy(), WEIGHTS.copy()
    y = y_for(estimator)
    y = None if y is None else y.copy()
    fitted = clone(estimator).fit(data, y, sample_weight=weights)
    fitted.predict(data), fitted.transform(data), fitted.score(data, y)
    assert_array_equal(data, X)
    assert_array_equal(weights, WEIGHTS)
    assert y is None or (y == y_for(estimator)).all()


# -- threads, randomness -----------------------------------------------------------------


def blas_threads():
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


@each_estimator
@pytest.mark.parametrize("limit", [1, 2])
def test_blas_threads_are_given_back(estimator, limit):
    with threadpool_limits(limit, user_api="blas"):
        before = blas_threads()
        fit(clone(estimator))
        assert blas_threads() == before
        with pytest.raises(ValueError, match="Scale"):
            regressor(activation="relu").fit(1e200 * X, TARGET)
        assert blas_threads() == before


def test_two_fits_at_once_are_right_and_give_the_threads_back():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        jobs = [classifier(max_iter=60), sae(max_iter=60), regressor(), sae(solver="cg")] * 2
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(fit, [clone(job) for job in jobs]))
        assert blas_threads() == before
        for parallel, job in zip(together, jobs, strict=True):
            assert_same_fit(parallel, fit(clone(job)))


@each_estimator
def test_number_of_threads_does_not_change_a_bit(estimator):
    many_rows = np.tile(X, (20, 1)) * np.linspace(0.5, 1, 3000)[:, np.newaxis]
    y = y_for(estimator)
    y = None if y is None else np.tile(y, 20)
    fits = []
    for limit in (1, 2):
        with threadpool_limits(limit, user_api="blas"):
            fits.append(clone(estimator).fit(many_rows, y))
    assert_same_fit(*fits)


@each_solver
@each_estimator
@pytest.mark.parametrize("batch_size", [None, *when_slow(64)])
def test_random_state_fixes_every_bit(estimator, solver, batch_size):
    make = clone(estimator).set_params(solver=solver, batch_size=batch_size, n_init=2)
    first = fit(clone(make))
    assert_same_fit(first, fit(clone(make)))
    fresh = [clone(make).set_params(random_state=np.random.RandomState(7)) for _ in range(2)]
    assert_same_fit(*map(fit, fresh))
    other = fit(clone(make).set_params(random_state=1))
    assert not np.array_equal(other.coefs_[0], first.coefs_[0])


# -- solver options ----------------------------------------------------------------------


@each_solver
@each_estimator
def test_warm_start_goes_on(estimator, solver):
    estimator = clone(estimator).set_params(solver=solver, max_iter=5, warm_start=True, tol=1e-9)
    losses = [fit(estimator).loss_ for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    ("params", "meant"),
    [
        ({}, "tanh"),
        ({"solver": "cg"}, "tanh"),
        ({"solver": "adam"}, "relu"),
        ({"solver": "sgd"}, "relu"),
        ({"solver": "sgd", "batch_size": 50}, "relu"),
        ({"solver": "adam", "beta": 0.1}, "tanh"),
        ({"pretraining": SparseAutoencoder(max_iter=2)}, "logistic"),
        ({"solver": "adam", "pretraining": [SparseAutoencoder(activation="tanh")]}, "tanh"),
    ],
)
def test_what_auto_means_for_the_activation(make, params, meant):
    found = fit(make(**params))
    named = fit(make(activation=meant, **params))
    assert found.activation_ == meant
    assert found.get_params()["activation"] == "auto"
    assert_same_fit(found, named)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_what_auto_means_for_the_weight_decay(make, solver):
    """Rows without a weight do not count, and equal rows count once."""
    few = 0.005 if make is classifier else 0.01
    rows = np.random.default_rng(0).normal(size=(2000, 4))
    y, s = np.sign(rows[:, 0]), np.repeat([1.0, 0.0], [1600, 400])
    net = make(solver=solver, max_iter=1, lam="auto")
    for n, expected in ((150, few), (1000, few), (2000, few / 2)):
        assert clone(net).fit(rows[:n], y[:n]).lam_ == pytest.approx(expected)
    for early in (False, True):
        again = clone(net).set_params(early_stopping=early)
        again.fit(np.tile(rows, (2, 1)), np.tile(y, 2))
        assert again.lam_ == pytest.approx(few / 2)
    weighted = clone(net).fit(rows, y, s)
    assert weighted.lam_ == pytest.approx(few / 1.6)
    named = clone(net).set_params(lam=weighted.lam_).fit(rows, y, s)
    assert_same_fit(weighted, named)


def test_auto_is_the_activation_of_a_fitted_autoencoder():
    encoder = SparseAutoencoder(5, activation="logistic", max_iter=2).fit(X)
    encoder.set_params(activation="relu")  # counts from the next fit on
    assert fit(classifier(pretraining=FrozenEstimator(encoder))).activation_ == "logistic"


def test_a_fit_that_goes_on_keeps_what_auto_has_meant():
    one = fit(classifier(solver="adam", warm_start=True))
    assert fit(one.set_params(solver="lbfgs")).activation_ == "relu"
    assert one.set_params(solver="sgd").partial_fit(X, LABELS).activation_ == "relu"
    assert fit(one.set_params(solver="lbfgs", warm_start=False)).activation_ == "tanh"
    one.set_params(solver="sgd").partial_fit(X, LABELS)
    assert one.activation_ == "tanh"


def test_warm_start_of_sgd_is_one_long_run():
    twice = sae(solver="sgd", max_iter=5, warm_start=True)
    twice.fit(X).fit(X)
    assert_allclose(twice.loss_, sae(solver="sgd", max_iter=10).fit(X).loss_, rtol=1e-12)


@each_estimator
def test_warm_start_at_the_minimum_keeps_every_attribute_usable(estimator):
    estimator = clone(estimator).set_params(max_iter=5000, tol=1e-7, lam=1e-2, warm_start=True)
    first = fit(estimator).loss_
    assert estimator.converged_
    assert first * (1 - 1e-7) <= fit(estimator).loss_ <= first
    assert estimator.converged_
    assert estimator.loss_curve_.shape == (estimator.n_iter_,)


@each_estimator
@pytest.mark.parametrize("early_stopping", [False, True])
def test_best_of_several_starts(estimator, early_stopping):
    early_stopping = early_stopping and not isinstance(estimator, SparseAutoencoder)
    if early_stopping:
        estimator = clone(estimator).set_params(early_stopping=True)

    def badness(fitted):
        return -fitted.best_validation_score_ if early_stopping else fitted.loss_

    # One generator for both: three single fits draw the starts that n_init=3 draws. The
    # rows held out are drawn by an int, so that all of them score the same rows.
    several = badness(fit(clone(estimator).set_params(n_init=3, random_state=0)))
    assert several <= badness(fit(clone(estimator).set_params(n_init=1, random_state=0)))
    if not early_stopping:
        rng = np.random.RandomState(0)
        singles = [badness(fit(clone(estimator).set_params(random_state=rng))) for _ in range(3)]
        assert several == min(singles)


@each_solver
@each_estimator
def test_curve_of_the_loss(estimator, solver):
    fitted = fit(clone(estimator).set_params(solver=solver))
    assert fitted.loss_curve_.shape == (fitted.n_iter_,)
    assert fitted.loss_curve_[-1] == fitted.loss_
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0]
    assert fitted.n_evaluations_ >= fitted.n_iter_
    if solver not in ("adam", "sgd"):
        assert (np.diff(fitted.loss_curve_) <= 0).all()


@each_solver
@each_estimator
def test_verbose_prints_a_line_for_each_iteration(estimator, solver, capsys):
    fitted = fit(clone(estimator).set_params(solver=solver, verbose=1, max_iter=7))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == fitted.n_iter_
    assert all(line.startswith(f"[{type(estimator).__name__}] iteration") for line in lines)
    assert float(lines[-1].split()[-1]) == pytest.approx(fitted.loss_, rel=1e-7)
    fit(clone(estimator))
    assert capsys.readouterr().out == ""


# -- partial_fit -------------------------------------------------------------------------


@each_estimator
@pytest.mark.parametrize("batch_size", [None, 32])
def test_loss_falls_over_partial_fits(estimator, batch_size):
    estimator = clone(estimator).set_params(solver="sgd", batch_size=batch_size)
    for _ in range(30):
        estimator.partial_fit(X, y_for(estimator))
    assert estimator.n_iter_ == 30
    assert estimator.loss_curve_.shape == (30,)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


@each_estimator
def test_partial_fits_equal_a_fit_of_as_many_steps(estimator):
    estimator = clone(estimator).set_params(solver="sgd", max_iter=6, tol=0)
    whole, steps = fit(clone(estimator)), clone(estimator)
    for _ in range(6):
        steps.partial_fit(X, y_for(steps))
    assert_allclose(steps.loss_, whole.loss_, rtol=1e-12)
    assert_allclose(steps.coefs_[0], whole.coefs_[0], rtol=1e-9)


def test_partial_fit_learns_classes_it_has_not_seen_yet():
    estimator = classifier(solver="sgd", learning_rate=0.5, activation="tanh")
    estimator.partial_fit(X[:50], NAMES[:50], classes=np.unique(NAMES))
    assert estimator.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert estimator.predict_proba(X).shape == (150, 3)
    for _ in range(200):
        estimator.partial_fit(X, NAMES)
    assert estimator.score(X, NAMES) > 0.8


def test_partial_fit_with_weights_equals_repeated_rows():
    repeated = np.repeat(np.arange(len(X)), WEIGHTS.astype(int))
    weighted = classifier(solver="sgd").partial_fit(X, LABELS, sample_weight=WEIGHTS)
    rows = classifier(solver="sgd").partial_fit(X[repeated], LABELS[repeated])
    assert_allclose(weighted.coefs_[0], rows.coefs_[0], rtol=1e-9)


def test_partial_fit_forgets_the_validation_scores_of_an_earlier_fit():
    estimator = fit(classifier(solver="sgd", early_stopping=True))
    estimator.set_params(early_stopping=False).partial_fit(X, LABELS)
    assert not hasattr(estimator, "validation_scores_")
    assert not hasattr(estimator, "best_validation_score_")


# -- early stopping ----------------------------------------------------------------------


@each_solver
@each_supervised
def test_early_stopping_keeps_the_best_weights(estimator, solver):
    y = y_for(estimator)
    fitted = fit(
        clone(estimator).set_params(
            solver=solver, early_stopping=True, n_iter_no_change=5, max_iter=200
        )
    )
    _, X_held_out, _, y_held_out = train_test_split(
        X, y, test_size=0.1, random_state=0, stratify=None if y is TARGET else y
    )
    assert fitted.validation_scores_.shape == (fitted.n_iter_,)
    assert fitted.best_validation_score_ == fitted.validation_scores_.max()
    assert fitted.score(X_held_out, y_held_out) == pytest.approx(
        fitted.best_validation_score_, abs=1e-12
    )
    best = fitted.validation_scores_.argmax()
    assert fitted.loss_ == fitted.loss_curve_[best]


def test_early_stopping_ends_the_fit():
    fitted = fit(classifier(early_stopping=True, max_iter=5000, n_iter_no_change=3))
    assert fitted.n_iter_ < 100


def test_a_fit_without_early_stopping_has_no_validation_scores():
    fitted = fit(classifier(early_stopping=True))
    fit(fitted.set_params(early_stopping=False))
    assert not hasattr(fitted, "validation_scores_")


@each_supervised
def test_early_stopping_of_weighted_and_several_outputs(estimator):
    Y = np.c_[TARGET, X[:, 0] ** 2]
    Y = (Y - np.median(Y, axis=0) > 0).astype(int) if estimator is SUPERVISED[0] else Y
    fitted = clone(estimator).set_params(early_stopping=True)
    fitted.fit(X, Y, sample_weight=WEIGHTS + 0.1)
    assert 0 <= fitted.best_validation_score_ <= 1


@each_supervised
def test_early_stopping_of_sparse_and_float32_data(estimator):
    estimator = clone(estimator).set_params(early_stopping=True, max_iter=5)
    fitted = fit(clone(estimator))
    for other in (csr_array(X), X.astype(np.float32)):
        again = fit(clone(estimator), other)
        assert_allclose(again.validation_scores_, fitted.validation_scores_, rtol=1e-4)


@each_supervised
def test_early_stopping_from_a_minimum_has_a_finite_best_score(estimator):
    """A warm start that has converged already makes no iteration."""
    estimator = clone(estimator).set_params(max_iter=5000, tol=0.05, warm_start=True)
    fit(estimator)
    fit(estimator.set_params(early_stopping=True, tol=10.0))
    assert np.isfinite(estimator.best_validation_score_)


# -- weights -----------------------------------------------------------------------------


@each_solver
@pytest.mark.parametrize("y", [LABELS, NAMES, (LABELS > 0).astype(int)])
def test_balanced_classes_equal_sample_weights(solver, y):
    rows = np.r_[0:20, 50:150]
    params = {"solver": solver, "max_iter": 5}
    weights = compute_sample_weight("balanced", y[rows])
    balanced = classifier(class_weight="balanced", **params).fit(X[rows], y[rows])
    weighted = classifier(**params).fit(X[rows], y[rows], sample_weight=weights)
    assert_allclose(balanced.coefs_[0], weighted.coefs_[0], rtol=1e-7)


def test_class_weights_multiply_sample_weights():
    by_class = {0: 1.0, 1: 3.0, 2: 0.5}
    both = classifier(class_weight=by_class, max_iter=5).fit(X, LABELS, sample_weight=WEIGHTS)
    weights = WEIGHTS * np.array([1.0, 3.0, 0.5])[LABELS]
    product = classifier(max_iter=5).fit(X, LABELS, sample_weight=weights)
    assert_allclose(both.coefs_[0], product.coefs_[0], rtol=1e-7)


@each_solver
@each_estimator
@pytest.mark.parametrize("beta", [0, 0.5])
def test_integer_weights_equal_repeated_rows(estimator, solver, beta):
    estimator = clone(estimator).set_params(solver=solver, max_iter=5, beta=beta, rho=0.2)
    rows = np.repeat(np.arange(len(X)), WEIGHTS.astype(int))
    y = y_for(estimator)
    weighted = clone(estimator).fit(X, y, sample_weight=WEIGHTS)
    repeated = clone(estimator).fit(X[rows], None if y is None else y[rows])
    scaled = clone(estimator).fit(X, y, sample_weight=1e6 * WEIGHTS)
    for other in (repeated, scaled):
        assert_allclose(weighted.loss_, other.loss_, rtol=1e-9)
        assert_allclose(weighted.predict(X), other.predict(X), rtol=1e-6)
    if isinstance(estimator, SparseAutoencoder):
        assert_allclose(weighted.mean_activation_, repeated.mean_activation_, rtol=1e-6)


# -- kinds of y --------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LABEL_LOSSES)
@pytest.mark.parametrize("y", [NAMES, NAMES.astype(object), LABELS + 5, LABELS.astype(float)])
def test_multiclass(y, loss):
    fitted = classifier(loss=loss, max_iter=100).fit(X, y)
    P = fitted.predict_proba(X)
    assert fitted.classes_.dtype == y.dtype
    assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(np.exp(fitted.predict_log_proba(X)), P, rtol=1e-9)
    assert_array_equal(fitted.predict(X), fitted.classes_[P.argmax(axis=1)])
    assert fitted.score(X, y) == accuracy_score(y, fitted.predict(X)) > 0.9
    assert fitted.out_activation_ == ("softmax" if loss == "log_loss" else "logistic")


@pytest.mark.parametrize("loss", LABEL_LOSSES)
@pytest.mark.parametrize("names", [["no", "yes"], [-1, 1], [False, True]])
def test_binary(names, loss):
    y = np.array(names)[(LABELS == 2).astype(int)]
    fitted = classifier(loss=loss, max_iter=100).fit(X, y)
    P = fitted.predict_proba(X)
    assert P.shape == (150, 2)
    assert fitted.n_outputs_ == 1
    assert_allclose(P.sum(axis=1), 1, rtol=1e-12)
    assert_array_equal(fitted.predict(X), fitted.classes_[(P[:, 1] > 0.5).astype(int)])
    assert fitted.score(X, y) > 0.9


@pytest.mark.parametrize("loss", LABEL_LOSSES)
def test_multilabel(loss):
    Y = np.c_[LABELS == 2, X[:, 0] > 0.5, LABELS == 0].astype(int)
    fitted = classifier(loss=loss, max_iter=200).fit(X, Y)
    P = fitted.predict_proba(X)
    assert P.shape == Y.shape
    assert_array_equal(fitted.predict(X), (P > 0.5).astype(int))
    assert fitted.score(X, Y) == (fitted.predict(X) == Y).all(axis=1).mean() > 0.8


def test_multi_output_regression():
    Y = np.c_[TARGET, X[:, 0] ** 2]
    fitted = regressor(max_iter=200).fit(X, Y)
    assert fitted.predict(X).shape == Y.shape
    assert fitted.score(X, Y) == r2_score(Y, fitted.predict(X)) > 0.9
    assert regressor().fit(X, TARGET[:, np.newaxis]).predict(X).shape == (150,)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_generic_network_equals_its_subclass(task):
    params = {"hidden_layer_sizes": (5,), "max_iter": 30, "lam": 1e-3, "random_state": 0}
    special = classifier(**params) if task == "classification" else regressor(**params)
    one = MLPBackprop(task=task, **params).fit(X, y_for(special))
    two = fit(special)
    assert_same_fit(one, two)
    assert one.score(X, y_for(special)) == two.score(X, y_for(special))
    assert hasattr(one, "predict_proba") == hasattr(one, "classes_") == (task == "classification")


def test_a_fitted_task_outlives_a_change_of_the_parameter():
    """Until the next fit all methods mean the task that was fitted."""
    fitted = MLPBackprop((5,), max_iter=30, random_state=0).fit(X, NAMES)
    accuracy = fitted.score(X, NAMES)
    fitted.set_params(task="regression")
    assert set(fitted.predict(X)) <= set(NAMES)
    assert hasattr(fitted, "predict_proba")
    assert fitted.score(X, NAMES) == accuracy


# -- transform, predict, score -----------------------------------------------------------


def test_dir_of_a_network_without_hidden_layers():
    net = MLPBackpropClassifier((), tol=0.1).fit([[0.0], [1.0]], [0, 1])
    assert "coefs_" in dir(net)
    with pytest.raises(AttributeError, match="get_feature_names_out"):
        net.get_feature_names_out()


@each_supervised
def test_what_scikit_learns_networks_tell_of_their_fit(estimator):
    fitted = fit(clone(estimator).set_params(hidden_layer_sizes=(6, 4)))
    assert fitted.n_layers_ == 4
    assert fitted.best_loss_ == min(fitted.loss_curve_)
    assert isinstance(fitted.best_loss_, float)
    early = fit(clone(estimator).set_params(early_stopping=True))
    assert early.best_loss_ is None
    assert early.n_layers_ == len(early.coefs_) + 1


@pytest.mark.parametrize(("layer", "n_units"), [(0, 6), (1, 4), (-1, 4), (-2, 6)])
@each_supervised
def test_transform_layer(estimator, layer, n_units):
    estimator = clone(estimator).set_params(hidden_layer_sizes=(6, 4), transform_layer=layer)
    fitted = fit(estimator)
    A = X
    for k in range(layer % 2 + 1):
        A = np.tanh(A @ fitted.coefs_[k] + fitted.intercepts_[k])
    assert_allclose(fitted.transform(X), A, rtol=1e-10)
    assert len(fitted.get_feature_names_out()) == n_units
    assert_array_equal(clone(estimator).fit_transform(X, y_for(estimator)), fitted.transform(X))


AUTOENCODERS = [
    sae(),
    sae(output_activation="identity"),
    sae(activation="tanh", output_activation="tanh"),
    sae(loss="log_loss", tied_weights=True),
    sae(activation="relu", beta=0, output_activation="identity"),
]
each_autoencoder = pytest.mark.parametrize("estimator", AUTOENCODERS, ids=repr)


@each_autoencoder
def test_decoding_the_code_is_the_prediction(estimator):
    fitted = clone(estimator).fit(X)
    assert_array_equal(fitted.inverse_transform(fitted.transform(X)), fitted.predict(X))
    assert_array_equal(clone(estimator).fit_transform(X), fitted.transform(X))
    assert_allclose(fitted.mean_activation_, fitted.transform(X).mean(axis=0), rtol=1e-9)
    assert_array_equal(fitted.components_, fitted.coefs_[0].T)
    if estimator.tied_weights:
        assert_array_equal(fitted.coefs_[1], fitted.coefs_[0].T)


@each_autoencoder
@pytest.mark.parametrize("convert", [np.asarray, csr_array])
def test_scores_by_hand(estimator, convert):
    fitted = clone(estimator).fit(X)
    errors = ((X - fitted.predict(X)) ** 2).sum(axis=1)
    assert_allclose(fitted.score_samples(convert(X)), -errors, rtol=1e-9)
    variation = ((X - X.mean(axis=0)) ** 2).sum()
    assert fitted.score(convert(X)) == pytest.approx(1 - errors.sum() / variation, rel=1e-9)


@each_autoencoder
@pytest.mark.parametrize("weights", [None, WEIGHTS, 1e-30 * WEIGHTS])
def test_score_is_the_variance_weighted_r2(estimator, weights):
    fitted = clone(estimator).fit(X)
    expected = r2_score(
        X, fitted.predict(X), sample_weight=weights, multioutput="variance_weighted"
    )
    assert fitted.score(X, sample_weight=weights) == pytest.approx(expected, rel=1e-9)


@each_supervised
def test_weighted_score(estimator):
    fitted = fit(clone(estimator))
    metric = r2_score if isinstance(estimator, MLPBackpropRegressor) else accuracy_score
    y = y_for(estimator)
    expected = metric(y, fitted.predict(X), sample_weight=WEIGHTS)
    assert fitted.score(X, y, sample_weight=WEIGHTS) == expected


def test_anomalies_have_the_lowest_scores():
    fitted = sae(n_components=20, max_iter=100).fit(PIXELS)
    noise = np.random.default_rng(0).uniform(size=(20, 64))
    assert fitted.score_samples(noise).max() < np.median(fitted.score_samples(PIXELS))
