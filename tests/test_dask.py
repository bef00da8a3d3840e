"""Dask collections: the same objective where the rows are, lazy predictions, clear refusals."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from threadpoolctl import threadpool_limits

from skl_sae import (
    ConvolveAndPool,
    MLPBackprop,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    ZCAWhitening,
    _estimator,
)
from skl_sae._dask import ChunkedRows
from skl_sae._dask_tasks import sums_of_chunk
from skl_sae.backprop.passes import LossPass
from skl_sae.backprop.rows import Rows

dask = pytest.importorskip("dask", reason="the extra skl-sae[dask] is not installed")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]
RNG = np.random.default_rng(0)
N_ROWS, N_FEATURES = 400, 6
X = RNG.uniform(0.1, 0.9, size=(N_ROWS, N_FEATURES))
S = RNG.uniform(0, 1, size=N_ROWS).round(1)
TARGETS = X[:, :2] @ np.array([[1.0, 2.0], [3.0, -1.0]])
LABELS = np.array(["low", "mid", "high"])[X[:, :3].argmax(axis=1)]
CUTS = (90, 1, 130, 179)
SHORT = {"max_iter": 5, "random_state": 0}

CASES = {
    "autoencoder": (SparseAutoencoder(3), None),
    "linear decoder": (SparseAutoencoder(3, output_activation="identity"), None),
    "tied": (SparseAutoencoder(3, tied_weights=True, activation="tanh", rho=0.3), None),
    "not sparse": (SparseAutoencoder(3, beta=0, activation="relu"), None),
    "deep": (MLPBackpropRegressor((4, 3), beta=1.0), TARGETS),
    "one target": (MLPBackpropRegressor((4,), beta=1.0), TARGETS[:, 0]),
    "classes": (MLPBackpropClassifier((4,)), LABELS),
    "two classes": (MLPBackpropClassifier((4, 3), beta=0.5), LABELS == "low"),
}


def cut(values, sizes=CUTS):
    """A dask array of these rows."""
    return da.from_array(values, chunks=(sizes, *((n,) for n in values.shape[1:])))


@pytest.fixture(autouse=True)
def nothing_hangs():
    """No test takes longer than this, whatever it waits for."""

    def stop(*_):
        pytest.fail("the test has taken too long")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)  # a busy machine starts a cluster slowly
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def own_cluster(folder, n_workers=2):
    """A scheduler and workers in processes of their own, and a client of theirs."""
    file = str(folder / "scheduler.json")
    common = ["--no-dashboard", "--scheduler-file", file]
    scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    worker = ["dask_worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny"]
    worker += ["--local-directory", str(folder)]
    with ExitStack() as stack:

        def start(command):
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command[0]}", *command[1:], *common],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        own = SimpleNamespace(scheduler=start(scheduler), start_worker=partial(start, worker))
        own.workers = [own.start_worker() for _ in range(n_workers)]
        own.client = distributed.Client(scheduler_file=file, timeout=30, set_as_default=False)
        stack.enter_context(own.client)
        own.client.wait_for_workers(n_workers, timeout=30)
        yield own


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with own_cluster(tmp_path_factory.mktemp("cluster")) as own:
        yield own.client


@contextmanager
def engine(name, request):
    """The scheduler that dask uses inside."""
    if name == "cluster":
        with request.getfixturevalue("cluster").as_current():
            yield
    elif name == "local cluster":
        with (
            distributed.LocalCluster(
                n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
            ) as local,
            distributed.Client(local),
        ):
            yield
    elif name == "processes":
        with (
            ProcessPoolExecutor(1, get_context("spawn")) as pool,
            dask.config.set(scheduler="processes", pool=pool),
        ):
            yield
    else:
        with dask.config.set(scheduler=name):
            yield


def same(one, other, rtol=1e-10):
    """Two results ``(value, gradient)`` agree to rounding."""
    assert one[0] == pytest.approx(other[0], rel=rtol)
    np.testing.assert_allclose(one[1], other[1], rtol=0, atol=rtol * np.abs(other[1]).max())


def objectives(estimator, y, s, X=X):
    """The local objective and the one in chunks."""
    for part in (lambda v: v, lambda v: None if v is None else cut(v)):
        arguments = (part(X), part(y), part(s))
        yield clone(estimator)._prepare(*arguments)[0]


# -- the objective --------------------------------------------------------------------------


def assert_value_and_gradient(name, weighted):
    estimator, y = CASES[name]
    local, chunked = objectives(estimator, y, S if weighted else None)
    assert isinstance(chunked.rows, ChunkedRows)
    theta = local.network.initialise(np.random.default_rng(1))
    same(chunked(theta), local(theta))
    value, gradient = chunked(theta)
    again, once_more = replace(chunked)(theta)
    assert again == value
    assert (once_more == gradient).all()
    if local.output_activation == "identity":
        local, chunked = (replace(o, variable_projection=True) for o in (local, chunked))
        same(chunked(local.reduce(theta)), local(local.reduce(theta)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_the_local_ones(name, weighted):
    assert_value_and_gradient(name, weighted)


CLUSTER = pytest.param("cluster", marks=pytest.mark.slow)


@pytest.mark.parametrize("where", ["threads", "processes", "local cluster", CLUSTER])
def test_on_every_scheduler(where, request):
    with engine(where, request):
        for name in ("autoencoder", "linear decoder", "deep", "classes"):
            assert_value_and_gradient(name, weighted=name == "deep")


@pytest.mark.parametrize("dtype", ["u1", "?", "f4", "f2"])
def test_other_numbers_are_converted_where_they_are(dtype):
    values = X.round().astype(dtype)
    local, chunked = objectives(CASES["autoencoder"][0], None, None, values)
    assert chunked.rows.dtype == local.rows.dtype == ("f4" if dtype == "f4" else "f8")
    assert chunked.rows.X.array.dtype == np.dtype(dtype)
    theta = local.network.initialise(np.random.default_rng(1))
    same(chunked(theta), local(theta), rtol=1e-5 if dtype == "f4" else 1e-10)


@pytest.mark.parametrize(
    ("name", "projects", "expected"),
    [
        ("autoencoder", False, 1),
        ("not sparse", False, 1),
        ("classes", False, 1),
        ("linear decoder", False, 1),
        ("linear decoder", True, 2),
        ("deep", False, 2),
    ],
)
def test_round_trips_of_an_evaluation(name, projects, expected):
    _, chunked = objectives(*CASES[name], None)
    chunked = replace(chunked, variable_projection=projects)
    theta = chunked.reduce(chunked.network.initialise(np.random.default_rng(1)))
    chunked(theta)  # what is computed once
    trips = []
    with dask.callbacks.Callback(start=lambda graph: trips.append(len(graph))):
        chunked(theta)
    assert len(trips) == expected
    assert all(n <= 4 * len(CUTS) for n in trips)  # X, Y, a task each, and few more


def test_sums_are_added_as_a_tree():
    data = cut(X, (4,) * 100)
    chunked, _ = SparseAutoencoder(3)._prepare(data)
    theta = chunked.network.initialise(np.random.default_rng(1))
    same(chunked(theta), SparseAutoencoder(3)._prepare(X)[0](theta))
    widest = []

    def look(key, graph, *_):
        widest.append(len(graph[key].dependencies))

    with dask.config.set(scheduler="sync"), dask.callbacks.Callback(pretask=look):
        chunked(theta)
    assert max(widest) <= 8


def test_samples_lie_within_each_other_and_need_a_weight():
    _, chunked = objectives(CASES["autoencoder"][0], None, S)
    samples = [o for _, o in chunked.samples((1 / 8, 1 / 2), np.random.RandomState(0))]
    small, large = ([i.compute() for *_, i in o.rows._data] for o in samples)
    for part, rows, more, begin in zip(CUTS, small, large, np.cumsum((0, *CUTS)), strict=False):
        assert (np.diff(more) > 0).all()
        assert set(rows) <= set(more) <= set(range(part))
        assert (S[begin + more] > 0).all()
    index = np.concatenate([b + i for b, i in zip(np.cumsum((0, *CUTS)), large, strict=False)])
    local, _ = objectives(CASES["autoencoder"][0], None, None)
    local = local.on(Rows(X, sample_weight=S).take(index))  # in memory equal rows are merged
    theta = local.network.initialise(np.random.default_rng(1))
    same(samples[1](theta), local(theta))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_the_start_is_the_local_one(name, weighted):
    estimator, y = CASES[name]
    local, chunked = objectives(estimator, y, S if weighted else None)
    starts = [o.start(np.random.RandomState(0)) for o in (chunked, local)]
    np.testing.assert_allclose(*starts, rtol=1e-10, atol=1e-12)
    assert chunked.baseline == pytest.approx(local.baseline, rel=1e-12)
    np.testing.assert_allclose(chunked.unit, local.unit, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_targets_are_scaled_as_local_ones(scale, weighted):
    y = scale * np.column_stack([TARGETS, np.full(N_ROWS, 0.3)])
    s = S if weighted else None
    fits = [
        MLPBackpropRegressor((4,), **SHORT).fit(part(X), part(y), sample_weight=s)
        for part in (partial(cut, sizes=(0, 300, 100)), np.asarray)
    ]
    for name in ("target_offset_", "target_scale_"):
        found, expected = (getattr(net, name) for net in fits)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert fits[0].target_scale_[2] == 1  # of what does not vary
    found, expected = (net.predict(X) / scale for net in fits)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


# -- fit, and what follows ------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_fit_and_score_are_the_local_ones(name, weighted):
    estimator, y = CASES[name]
    s = S if weighted else None
    local = clone(estimator).set_params(**SHORT).fit(X, y, sample_weight=s)
    lazy = [None if v is None else cut(v) for v in (y, s)]
    chunked = clone(estimator).set_params(**SHORT).fit(cut(X), lazy[0], sample_weight=lazy[1])
    assert chunked.loss_ == pytest.approx(local.loss_, rel=1e-7)
    assert chunked.n_evaluations_ == local.n_evaluations_
    if y is None:
        np.testing.assert_allclose(chunked.mean_activation_, local.mean_activation_, rtol=1e-5)
    found = chunked.score(cut(X), lazy[0], sample_weight=lazy[1])
    assert found == pytest.approx(chunked.score(X, y, sample_weight=s), rel=1e-12)


@pytest.mark.slow
def test_growing_samples_have_the_same_bits_in_every_run():
    sae = SparseAutoencoder(3, growing_samples=True, max_iter=40, random_state=0)
    one, other = (clone(sae).fit(cut(X)) for _ in range(2))
    assert len(one.stage_lengths_) == 4
    assert all((a == b).all() for a, b in zip(one.coefs_, other.coefs_, strict=True))
    assert one.loss_ == pytest.approx(clone(sae).fit(X).loss_, rel=0.1)


def test_mixed_y_and_weights():
    """NumPy arrays beside a dask X, and chunks that lie elsewhere."""
    net = MLPBackpropRegressor((4,), **SHORT)
    one = clone(net).fit(cut(X), TARGETS, sample_weight=S)
    other = clone(net).fit(cut(X), cut(TARGETS, (399, 1)), sample_weight=cut(S, (1, 399)))
    assert one.loss_ == other.loss_


def counted(values, calls):
    """A dask array that counts the chunks that are made."""

    def make(block):
        calls.append(len(block))
        return block

    return cut(values).map_blocks(make, dtype=values.dtype, meta=np.empty((0, 0), values.dtype))


def test_the_data_are_made_once():
    calls = []
    SparseAutoencoder(3, **SHORT).fit(counted(X, calls))
    assert sorted(calls) == sorted(CUTS)


METHODS = [
    (SparseAutoencoder(3), None, ["transform", "predict", "score_samples"]),
    (MLPBackpropRegressor((4, 3)), TARGETS, ["transform", "predict"]),
    (MLPBackpropRegressor((4,)), TARGETS[:, 0], ["predict"]),
    (
        MLPBackpropClassifier((4,)),
        LABELS,
        ["transform", "predict", "predict_proba", "predict_log_proba"],
    ),
    (MLPBackprop((4,)), TARGETS.mean() < TARGETS, ["predict", "predict_proba"]),
    (ZCAWhitening(), None, ["transform", "inverse_transform"]),
    (PatchNormalizer(), None, ["transform"]),
    (
        ConvolveAndPool(FrozenEstimator(ZCAWhitening().fit(X[:, :4])), patch_shape=(1, 4)),
        None,
        ["transform"],
    ),
]


@pytest.mark.parametrize(
    ("estimator", "y", "method"),
    [(e, y, m) for e, y, methods in METHODS for m in methods],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
@pytest.mark.parametrize("dtype", ["f8", "f4", "u1"])
def test_predictions_are_lazy(estimator, y, method, dtype):
    values = X.round().astype(dtype) if dtype == "u1" else X.astype(dtype)
    if "max_iter" in estimator.get_params():
        estimator = clone(estimator).set_params(**SHORT)
    fitted, calls = clone(estimator).fit(X, y), []
    found = getattr(fitted, method)(counted(values, calls))
    assert not calls
    assert isinstance(found, da.Array)
    expected = getattr(fitted, method)(values)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert found.chunks[0] == CUTS
    assert type(found._meta) is np.ndarray
    computed = found.compute()
    assert computed.dtype == expected.dtype
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(computed, expected, rtol=2e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(computed, expected)
    assert sorted(calls) == sorted(CUTS)


def test_a_lazy_prediction_is_that_of_the_fit_it_was_asked_of():
    sae = SparseAutoencoder(3, **SHORT).fit(X)
    lazy, expected = sae.transform(cut(X)), sae.transform(X)
    sae.fit(X[:100])
    np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-12)


def test_a_fitted_estimator_holds_no_dask():
    sae = SparseAutoencoder(3, **SHORT).fit(cut(X))
    assert b"dask" not in pickle.dumps(sae)
    assert all(type(W) is np.ndarray for W in sae.coefs_)


# -- forms of collections -------------------------------------------------------------------


def test_unknown_chunk_sizes_are_computed():
    keep = X[:, 0] > 0.5
    keep[90:91] = False  # an empty chunk
    data = cut(X)
    data = data[da.from_array(keep, chunks=(CUTS,))]
    assert np.isnan(data.shape[0])
    sae = SparseAutoencoder(3, **SHORT).fit(data)
    assert sae.loss_ == pytest.approx(SparseAutoencoder(3, **SHORT).fit(X[keep]).loss_, rel=1e-8)
    assert sae.score(data) == pytest.approx(sae.score(X[keep]), rel=1e-12)
    np.testing.assert_allclose(sae.transform(data).compute(), sae.transform(X[keep]), rtol=1e-12)


def test_features_in_several_chunks_are_joined():
    data = da.from_array(X, chunks=(100, 2))
    sae = SparseAutoencoder(3, **SHORT).fit(data)
    assert sae.loss_ == pytest.approx(SparseAutoencoder(3, **SHORT).fit(X).loss_, rel=1e-8)
    assert sae.transform(data).numblocks == (4, 1)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("sizes", [(0, N_ROWS, 0), (1,) * 9 + (N_ROWS - 9,)])
def test_chunks_of_no_rows_and_of_one(name, sizes):
    estimator, y = CASES[name]
    net = clone(estimator).set_params(**SHORT)
    data = cut(X, sizes), None if y is None else cut(y, sizes)
    found, local = clone(net).fit(*data), clone(net).fit(X, y)
    assert found.loss_ == pytest.approx(local.loss_, rel=1e-8)
    assert found.score(*data) == pytest.approx(found.score(X, y), rel=1e-12)


def test_a_task_takes_one_thread(monkeypatch):
    """Others of dask's tasks run beside it."""
    sae, taken = SparseAutoencoder(3, **SHORT).fit(X), []

    def propagate(*arguments):
        taken.append(arguments[-1])
        return original(*arguments)

    original = _estimator.propagate
    monkeypatch.setattr(_estimator, "propagate", propagate)
    with threadpool_limits(2, user_api="blas"):
        sae.transform(X)
        lazy = sae.transform(cut(X))
        begun = len(taken)
        lazy.compute()
    assert taken[0] == 2
    assert taken[begun:] == [1] * len(CUTS)


def test_dataframes():
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    names = [f"pixel{i}" for i in range(N_FEATURES)]
    frame = pd.DataFrame(X, columns=names).assign(y=TARGETS[:, 0])
    lazy = dd.from_pandas(frame, npartitions=3)
    net = MLPBackpropRegressor((4,), **SHORT).fit(lazy[names], lazy["y"])
    local = clone(net).fit(frame[names], frame["y"])
    assert net.loss_ == pytest.approx(local.loss_, rel=1e-8)
    assert net.feature_names_in_.tolist() == names
    found = net.predict(lazy[names])
    np.testing.assert_allclose(found.compute(), net.predict(frame[names]), rtol=1e-12)
    score = net.score(frame[names], frame["y"])
    assert net.score(lazy[names], lazy["y"]) == pytest.approx(score, rel=1e-12)
    with pytest.raises(ValueError, match="feature names should match"):
        net.predict(lazy[names[::-1]])


NULLABLE = ("boolean", "Int64", "Float64", "bool[pyarrow]", "int64[pyarrow]", "category")
COMPLETE = [(dtype, LABELS == "low") for dtype in NULLABLE] + [
    (dtype, LABELS) for dtype in ("string", "string[pyarrow]", "category", "object")
]


@pytest.mark.parametrize(("dtype", "labels"), COMPLETE)
def test_labels_of_any_type_of_pandas_are_taken_from_dask_too(dtype, labels):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(X).rename(columns=str).assign(y=pd.Series(labels).astype(dtype))
    lazy, names = dd.from_pandas(frame, npartitions=3), [str(i) for i in range(N_FEATURES)]
    net = MLPBackpropClassifier((4,), **SHORT).fit(lazy[names], lazy["y"])
    local = clone(net).fit(frame[names], frame["y"])
    assert net.classes_.tolist() == local.classes_.tolist()
    assert net.loss_ == pytest.approx(local.loss_, rel=1e-8)
    score = local.score(frame[names], frame["y"])
    assert net.score(lazy[names], lazy["y"]) == pytest.approx(score, abs=0.02)


def test_nullable_columns_of_numbers_are_taken_from_dask_too():
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame({"a": X[:, 0], "b": LABELS == "low", "c": (9 * X[:, 1]).round()})
    frame = frame.astype({"a": "Float64", "b": "boolean", "c": "Int64"})
    sae = SparseAutoencoder(2, output_activation="identity", **SHORT)
    sae.fit(dd.from_pandas(frame, npartitions=3))
    assert sae.loss_ == pytest.approx(clone(sae).fit(frame).loss_, rel=1e-8)
    codes = sae.transform(dd.from_pandas(frame, npartitions=2)).compute()
    np.testing.assert_allclose(codes, sae.transform(frame), rtol=1e-12)
    frame.loc[7, "c"] = pd.NA
    with pytest.raises(ValueError, match="X contains NaN"):
        sae.fit(dd.from_pandas(frame, npartitions=3))


@pytest.mark.parametrize("dtype", ["string", "category", "object", "Int64", "boolean", "mixed"])
@pytest.mark.parametrize("cls", [MLPBackpropClassifier, MLPBackpropRegressor])
def test_missing_and_mixed_labels_are_named(cls, dtype):
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    values = [0, 1, None] if dtype in ("Int64", "boolean") else ["a", "b", None]
    y = pd.Series(values * 20, dtype=None if dtype == "mixed" else dtype)
    if dtype == "mixed":
        y = pd.Series(["a", "b", 3] * 20, dtype=object)
    rows = pd.DataFrame(X[:60]).rename(columns=str)
    collections = [cut(X[:60], (20, 40)), dd.from_pandas(rows, npartitions=2)]
    targets = [cut(y.to_numpy(object), (30, 30))]
    if dtype != "mixed":  # pyarrow would refuse them
        targets.append(dd.from_pandas(y, npartitions=2))
    for rows, y in zip(collections, targets):
        with pytest.raises(ValueError, match=r"y (has missing|mixes values|contains NaN)"):
            cls((4,), **SHORT).fit(rows, y)


def test_labels_of_one_type_in_each_chunk_may_still_be_mixed():
    y = np.array(["a", "b"] * 30 + [0, 1] * 170, dtype=object)
    with pytest.raises(ValueError, match="y mixes values of the types int, str"):
        MLPBackpropClassifier((4,), **SHORT).fit(cut(X, (60, 340)), cut(y, (60, 340)))


def test_dates_are_refused():
    days = np.full((N_ROWS, 2), "2020-01-01", "M8[D]")
    with pytest.raises(TypeError, match="X holds dates"):
        SparseAutoencoder(2).fit(cut(days))
    with pytest.raises(TypeError, match="y holds dates"):
        MLPBackpropRegressor((2,)).fit(cut(X), cut(days[:, 0]))


def test_nan_that_nobody_looks_for_is_named():
    bad = X.copy()
    bad[100, 2] = np.nan
    with config_context(assume_finite=True), dask.config.set(scheduler="sync"):
        with pytest.raises(ValueError, match="X holds NaN"):
            SparseAutoencoder(2, **SHORT).fit(cut(bad))
        with pytest.raises(ValueError, match="y holds NaN"):
            MLPBackpropRegressor((2,), **SHORT).fit(cut(X), cut(bad[:, 2]))


def test_a_model_from_dask_is_what_was_fitted():
    sae = SparseAutoencoder(2, **SHORT).fit(cut(X))
    before = sae.predict(cut(X)).compute()
    sae.set_params(activation="relu", output_activation="identity")
    assert (sae.predict(cut(X)).compute() == before).all()


def test_what_came_over_the_network_reaches_the_products_aligned(monkeypatch):
    """At odd bytes NumPy would copy it in another order, and bits could change."""

    def at_odd_bytes(values):
        store = np.empty(values.nbytes + 1, np.uint8)[1:]
        moved = store.view(values.dtype).reshape(values.shape)
        moved[...] = values
        assert not moved.flags.aligned
        return moved

    def is_aligned(rows, step, *parameters):
        coefs, intercepts, code_gradients = parameters
        arrays = [*coefs, *intercepts, *code_gradients, rows.X[:5], rows.Y[:5]]
        return [values.flags.aligned for values in arrays]

    monkeypatch.setattr(Rows, "sum", is_aligned)
    parameters = [X[:2], X[:3, :2]], [X[0], X[1, :2]], [X[2]]
    parameters = [[at_odd_bytes(values) for values in part] for part in parameters]
    rows = at_odd_bytes(X)
    found = sums_of_chunk(X.dtype, None, parameters, rows, rows, None, None)
    assert found == 7 * [True]


# -- refusals and faults --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "y"),
    [
        (SparseAutoencoder(solver="sgd", batch_size=10), None),
        (SparseAutoencoder(solver="adam"), None),
        (MLPBackpropClassifier(early_stopping=True), LABELS),
        (MLPBackpropClassifier(class_weight="balanced"), LABELS),
        (MLPBackpropRegressor((3,), pretraining=SparseAutoencoder(activation="tanh")), TARGETS),
    ],
)
def test_parameters_that_need_the_rows_in_one_place(estimator, y):
    with pytest.raises(ValueError, match=r"does not work with dask collections: set it to"):
        estimator.fit(cut(X), y)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (cut(X)[:, 0], ValueError, "Expected 2D array"),
        (cut(X.astype(str)), TypeError, "NumPy arrays of numbers"),
        (dask.delayed(X), TypeError, "arrays and dataframes are supported, not Delayed"),
        (cut(np.where(X > 0.89, np.nan, X)), ValueError, "Input X contains NaN"),
        (cut(X)[:0], ValueError, "X has no rows"),
        (cut(X)[:, :0], ValueError, "X has no features"),
    ],
)
def test_bad_collections(data, error, message):
    with pytest.raises(error, match=message):
        SparseAutoencoder(3).fit(data)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "give y"),
        (LABELS[:10], "inconsistent numbers of samples"),
        (np.full(N_ROWS, "one"), "at least two classes"),
        (np.eye(2)[(X[:, 0] > 0.5).astype(int)], "y must have one dimension"),
        (np.where(X[:, 0] > 0.8, np.nan, 1), "NaN"),
    ],
)
def test_bad_targets(y, message):
    with pytest.raises(ValueError, match=message):
        MLPBackpropClassifier().fit(cut(X), y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (TARGETS * 1j, "y must be real"),
        (TARGETS[:, :, np.newaxis], "one or two dimensions, not 3"),
        (LABELS, "could not convert string to float"),
        (np.where(X[:, 0] > 0.8, None, 1.0), "y has missing values"),
    ],
)
def test_bad_numbers_as_targets(y, message):
    with pytest.raises(ValueError, match=message):
        MLPBackpropRegressor().fit(cut(X), cut(y))


@pytest.mark.parametrize(
    ("s", "message"),
    [
        (-S, "Negative values"),
        (0 * S, "All sample weights are zero"),
        (S[:5], "inconsistent numbers of samples"),
        (S[:, np.newaxis], "one dimension"),
        (np.where(S > 0.5, np.inf, S), "Input sample_weight contains infinity"),
    ],
)
def test_bad_weights(s, message):
    with pytest.raises(ValueError, match=message):
        SparseAutoencoder(3).fit(cut(X), sample_weight=s)


def test_other_estimators_are_fitted_to_rows_in_memory():
    with pytest.raises(TypeError, match=r"needs rows in memory .* such as X\[:100_000\]"):
        ZCAWhitening().fit(cut(X))


def test_wrong_features_and_frames_raise_before_anything_is_computed():
    sae = SparseAutoencoder(3, **SHORT).fit(X)
    with pytest.raises(ValueError, match="X has 5 features"):
        sae.transform(cut(X[:, :5]))
    with pytest.raises(ValueError, match="transform gives dask arrays"):
        sae.set_output(transform="pandas").transform(cut(X))


def test_a_value_out_of_range_warns():
    with pytest.warns(UserWarning, match=r"values outside \[0, 1\]"):
        SparseAutoencoder(3, **SHORT).fit(cut(X + (X > 0.89)))


def break_second(block, block_info=None):
    if block_info and block_info[0]["chunk-location"][0] == 1:
        raise ZeroDivisionError("planted in a chunk")
    return block


@pytest.mark.parametrize("where", ["threads", CLUSTER])
def test_a_chunk_that_raises_gives_its_error(where, request):
    sae = SparseAutoencoder(3, **SHORT).fit(X)
    before = dict(vars(sae))
    with engine(where, request):
        bad = cut(X).map_blocks(break_second, dtype=float)
        with pytest.raises(ZeroDivisionError, match="planted in a chunk"):
            sae.fit(bad)
    assert vars(sae) == before


# -- faults of a cluster ----------------------------------------------------------------------


LONG = SparseAutoencoder(3, max_iter=15, tol=0, random_state=0)


def fit_while(action, monkeypatch, data):
    """A fit that calls ``action()`` before its eighth evaluation."""
    original, evaluations = ChunkedRows.sum, []

    def counted_sum(self, step, *parameters):
        evaluations.extend([1] * isinstance(step, LossPass))
        if len(evaluations) == 8:
            action()
        return original(self, step, *parameters)

    with monkeypatch.context() as patch:
        patch.setattr(ChunkedRows, "sum", counted_sum)
        found = clone(LONG).fit(data)
    assert len(evaluations) == found.n_evaluations_ > 10
    return found


def kill(*processes):
    for process in processes:
        process.kill()
        process.wait(10)


def in_files(folder):
    """The rows as files that dask reads."""
    da.to_npy_stack(folder / "rows", cut(X).rechunk((90, -1)))
    return da.from_npy_stack(folder / "rows")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["array", "files"])
def test_a_fit_survives_the_death_of_workers(source, tmp_path, monkeypatch):
    """Of one of two, and of all when others come; rows that were persisted are made again."""
    with own_cluster(tmp_path) as own, own.client.as_current():
        data = in_files(tmp_path).persist() if source == "files" else cut(X)
        expected = clone(LONG).fit(data)

        def act():
            kill(*own.workers[: 2 if source == "files" else 1])
            if source == "files":
                own.start_worker()

        found = fit_while(act, monkeypatch, data)
    assert found.loss_ == expected.loss_
    assert all((a == b).all() for a, b in zip(found.coefs_, expected.coefs_, strict=True))


@pytest.mark.slow
def test_what_dask_cannot_mend_ends_a_fit(tmp_path, monkeypatch):
    """Rows that can't be computed again, no workers, and no scheduler."""
    lost = r"lost rows that it can't compute again.* Fit again"
    with own_cluster(tmp_path) as own, own.client.as_current():
        addresses = {pid: address for address, pid in own.client.run(os.getpid).items()}
        rows = own.client.scatter(X, workers=[addresses[own.workers[0].pid]])
        data = da.from_delayed(dask.delayed(rows), X.shape, X.dtype)
        with pytest.raises(RuntimeError, match=lost):
            fit_while(partial(kill, own.workers[0]), monkeypatch, data)
        with (
            dask.config.set({"distributed.scheduler.no-workers-timeout": "1s"}),
            pytest.raises(TimeoutError, match=r"no workers for 1 seconds\. Start some and fit"),
        ):
            fit_while(partial(kill, own.workers[1]), monkeypatch, cut(X))
        own.start_worker()
        with (
            distributed.Client(own.client.scheduler.address, timeout=3),  # to connect again
            pytest.raises(RuntimeError, match=lost),
        ):
            fit_while(partial(kill, own.scheduler), monkeypatch, cut(X))


@pytest.mark.slow
def test_after_a_restart_a_fit_ends(monkeypatch):
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0"
        ) as local,
        distributed.Client(local) as client,
    ):
        with pytest.raises(RuntimeError, match=r"restarted.* Fit again"):
            fit_while(client.restart, monkeypatch, cut(X))
        clone(LONG).fit(cut(X))


@pytest.mark.slow
def test_nothing_stays_on_the_cluster(cluster):
    before = set(cluster.futures)
    with cluster.as_current():
        for name in ("autoencoder", "linear decoder", "classes"):
            estimator, y = CASES[name]
            sae = clone(estimator).set_params(growing_samples=True, max_iter=3, random_state=0)
            sae.fit(cut(X), y, sample_weight=S)
            sae.score(cut(X), y)
    gc.collect()
    end = time.monotonic() + 60  # the client's own thread lets go of them
    while set(cluster.futures) - before and time.monotonic() < end:
        time.sleep(0.05)
    assert set(cluster.futures) <= before


# -- grid search ------------------------------------------------------------------------------


@contextmanager
def back_end(name, request):
    """Of joblib: the engine that runs the fits of a grid search."""
    if name == "ray":
        patch = request.getfixturevalue("monkeypatch")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")  # else it reports home
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it leaves a file there
        ray = pytest.importorskip("ray", reason="ray is not installed")
        from ray.util.joblib import register_ray

        register_ray()
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        request.addfinalizer(ray.shutdown)
        with joblib.parallel_config("ray", n_jobs=2):
            yield
    else:
        with (
            request.getfixturevalue("cluster").as_current(),
            joblib.parallel_config("dask"),
        ):
            yield


def same_search(one, other, equal=np.testing.assert_array_equal):
    """Two grid searches have the same scores and the same best estimator."""
    for name, values in one.cv_results_.items():
        if name.endswith("test_score"):
            equal(other.cv_results_[name], values)
    assert one.best_params_ == other.best_params_
    for W, V in zip(one.best_estimator_.coefs_, other.best_estimator_.coefs_, strict=True):
        equal(W, V)


def grid_search():
    estimator = MLPBackpropClassifier((4,), max_iter=10, random_state=0)
    return GridSearchCV(estimator, {"lam": [1e-4, 1e-2], "beta": [0, 0.5]}, cv=KFold(3))


@pytest.mark.slow
@pytest.mark.parametrize("where", ["dask", "ray"])
def test_a_grid_search_on_a_cluster_is_the_serial_one(where, request):
    expected = grid_search().fit(X, LABELS)
    with back_end(where, request):
        found = grid_search().fit(X, LABELS)
    assert len(np.unique(expected.cv_results_["mean_test_score"])) > 2
    same_search(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("where", [None, "dask"])
def test_a_grid_search_over_a_dask_array(where, request):
    """The rows of each fold stay on the cluster, and its fits may run there too."""
    search = grid_search().set_params(param_grid={"lam": [1e-4, 1e-2]})
    expected = clone(search).fit(X, LABELS)
    with back_end(where, request) if where else engine("threads", request):
        found = clone(search).fit(cut(X), LABELS)
    same_search(found, expected, partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-8))


def test_dask_is_imported_for_its_collections_only():
    code = (
        "import sys, numpy as np, skl_sae; X = np.random.default_rng(0).random((30, 4));"
        "sae = skl_sae.SparseAutoencoder(2, max_iter=500, tol=0.1).fit(X); sae.score(X);"
        "sae.transform(X); assert 'dask' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
