"""Many threads at once: right results, BLAS gets its threads back, nothing is left behind.

``SKL_SAE_ROUNDS=10`` does ten times as much.
"""

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from test_determinism import FITS, X, bits, more_blocks, y
from test_interrupts import until
from threadpoolctl import threadpool_info, threadpool_limits

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae._threads import on_one_blas_thread

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
LONG = int(os.environ.get("SKL_SAE_ROUNDS", 1))


def allowed():
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def _quick_switches():
    """Threads take turns as often as they can, and BLAS has two threads before and after."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    with threadpool_limits(2, user_api="blas"), more_blocks(2):
        before = allowed()
        yield
        assert allowed() == before
    sys.setswitchinterval(interval)


def at_once(jobs, n_threads=8):
    """The results of the jobs, which begin together in threads."""
    start = threading.Barrier(n_threads, timeout=60)

    def work(share):
        start.wait()
        return [job() for job in share]

    with ThreadPoolExecutor(n_threads) as pool:
        shares = [jobs[i::n_threads] for i in range(n_threads)]
        done = list(pool.map(work, shares))
    return [done[i % n_threads][i // n_threads] for i in range(len(jobs))]


@pytest.mark.slow
def test_fits_of_clones():
    expected = {name: bits(clone(estimator).fit(X, y)) for name, estimator in FITS.items()}
    names = [*FITS] * (2 * LONG)
    found = at_once([lambda name=name: bits(clone(FITS[name]).fit(X, y)) for name in names])
    assert found == [expected[name] for name in names]


def uses(fitted):
    """All that can be asked of a fitted estimator, as calls without arguments."""
    names = ["transform", "predict", "predict_proba", "predict_log_proba", "score_samples"]
    found = [lambda n=name: getattr(fitted, n)(X) for name in names if hasattr(fitted, name)]
    return [*found, lambda: np.array(fitted.score(X, y))]


@pytest.mark.parametrize("name", FITS)
def test_one_fitted_estimator_in_many_threads(name):
    fitted = clone(FITS[name]).fit(X, y)
    before, calls = dict(vars(fitted)), uses(fitted)
    expected = [call().tobytes() for call in calls]
    found = at_once(calls * (10 * LONG))
    assert [result.tobytes() for result in found] == expected * (10 * LONG)
    assert vars(fitted) == before


@pytest.mark.slow
def test_fits_beside_transforms_of_a_fitted_estimator():
    """Clones are fitted and fail while the original and a pipeline with it are used."""
    fitted = clone(FITS["autoencoder"]).fit(X)
    pipe = make_pipeline(MinMaxScaler(), clone(FITS["classifier"])).fit(X, y)
    refitted, code, labels = bits(clone(fitted).fit(X)), fitted.transform(X), pipe.predict(X)

    def fail():
        with pytest.raises(ValueError, match="Scale"):
            MLPBackpropRegressor((3,), activation="relu").fit(1e200 * X, y)
        return True

    jobs = [
        lambda: bits(clone(fitted).fit(X)) == refitted,
        lambda: (fitted.transform(X) == code).all(),
        lambda: (pipe.predict(X) == labels).all(),
        fail,
    ]
    assert all(at_once(jobs * (8 * LONG)))


def test_every_thread_can_hold_blas_and_leaves_the_limits_to_others():
    """One after the other, while those that have held it before are still there."""

    def hold():
        return on_one_blas_thread(lambda n_threads: allowed())

    before, pools = allowed(), [ThreadPoolExecutor(1) for _ in range(4)]
    for pool in pools:
        assert pool.submit(hold).result() == [1] * len(before)
        assert allowed() == before
    with threadpool_limits(1, user_api="blas"):
        assert set(allowed()) == {1}
    assert allowed() == before
    for pool in pools:
        pool.shutdown()


def test_limits_that_overlap_are_given_back_by_the_last():
    """The first to come is not the last to go."""
    n = 8
    inside, step = threading.Barrier(n, timeout=60), [threading.Event() for _ in range(n)]

    def inside_of_it(i, n_threads):
        inside.wait()
        assert set(allowed()) == {1}
        if i > 0:
            assert step[i - 1].wait(60)
        return n_threads, allowed()

    def hold(i):
        found = on_one_blas_thread(lambda n_threads: inside_of_it(i, n_threads))
        step[i].set()
        return found

    before = allowed()
    with ThreadPoolExecutor(n) as pool:
        found = list(pool.map(hold, range(n)))
    assert found == [(max(before), [1] * len(before))] * n
    assert allowed() == before


@pytest.mark.slow
def test_many_fits_leave_nothing_behind():
    """Of threads and memory, in a process where nothing else runs."""
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    subprocess.run(
        [sys.executable, "-c", "import test_concurrency; test_concurrency.fit_many_times()"],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
        timeout=300 * LONG,
    )


def fit_many_times():
    """120 fits; more than a thousand with ``SKL_SAE_ROUNDS=10``."""
    rows, labels = X[:130], y[:130] % 2
    estimators = [
        SparseAutoencoder(2, max_iter=1, random_state=0),
        SparseAutoencoder(2, max_iter=1, output_activation="identity", random_state=0),
        MLPBackpropClassifier((2,), max_iter=1, early_stopping=True, random_state=0),
        MLPBackpropClassifier((2,), max_iter=1, solver="sgd", batch_size=100, random_state=0),
    ]

    def fit(n):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for i in range(n):
                clone(estimators[i % 4]).fit(rows, labels).predict(rows[:3])
        gc.collect()

    fit(20)
    n_threads = threading.active_count()
    tracemalloc.start()
    try:
        fit(20)
        before, _ = tracemalloc.get_traced_memory()
        fit(120 * LONG)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000
    until(lambda: threading.active_count() <= n_threads)  # they end by themselves


def test_a_fit_that_failed_keeps_no_thread_and_no_rows():
    """Its error does not hold on to them either."""
    n_threads = threading.active_count()
    tracemalloc.start()
    try:
        for _ in range(10):
            rows = 1e200 * np.random.default_rng(0).uniform(size=(200, 300))
            with pytest.raises(ValueError, match="Scale"):
                MLPBackpropRegressor((3,), activation="relu").fit(rows, y[:200])
        del rows
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 2e6
    finally:
        tracemalloc.stop()
    until(lambda: threading.active_count() <= n_threads)  # they end by themselves
