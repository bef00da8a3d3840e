"""Blocks shared among threads: the order of results, errors, and what is left alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_array, issparse
from sklearn.datasets import load_digits
from test_interrupts import until
from threadpoolctl import threadpool_info, threadpool_limits

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop import blocks as blocks_module
from skl_sae.backprop import threads as threads_module
from skl_sae.backprop.blocks import (
    N_LANES,
    Lanes,
    LazyRows,
    as_floats,
    chunks,
    in_precision,
    over_blocks,
    propagate,
    share_and_block_size,
)
from skl_sae.backprop.network import Network
from skl_sae.backprop.threads import Helpers, share_out

MAIN = threading.get_ident()
X, LABELS = load_digits(return_X_y=True)
X = X / 16


def in_helper():
    return threading.get_ident() != MAIN


# -- share_out ------------------------------------------------------------------------------


@pytest.mark.parametrize("n_tasks", [0, 1, 2, 50])
@pytest.mark.parametrize("n_helpers", [0, 1, 3])
def test_results_come_in_the_order_of_the_tasks(n_tasks, n_helpers):
    def slow_at_first(task):
        time.sleep(0.002 if task < 5 else 0)
        return task**2

    found = share_out(slow_at_first, range(n_tasks), Helpers(n_helpers))
    assert found == [task**2 for task in range(n_tasks)]


def test_helpers_really_help():
    """Two tasks that wait for each other need two threads."""
    both = threading.Barrier(2, timeout=10)
    share_out(lambda task: both.wait(), range(2), Helpers(1))


@pytest.mark.parametrize("helpers", [None, Helpers(0)], ids=["none", "none to be had"])
@pytest.mark.parametrize("error", [ValueError, IndexError, StopIteration, KeyboardInterrupt])
def test_an_error_in_the_calling_thread_drops_the_other_tasks(error, helpers):
    begun = []

    def fail(task):
        begun.append(task)
        if task == 2:
            raise error("planted")

    with pytest.raises(error, match="planted"):
        share_out(fail, range(10), helpers)
    assert begun == [0, 1, 2]


@pytest.mark.parametrize("error", [ValueError, IndexError, SystemExit])
def test_an_error_in_a_helper_is_raised_and_drops_the_other_tasks(error):
    begun, both = [], threading.Barrier(2, timeout=10)

    def fail(task):
        begun.append(task)
        both.wait()
        if in_helper():
            raise error("planted")
        free = threading.Event()
        helpers.call(free.set)  # when the only helper has ended
        assert free.wait(10)

    helpers = Helpers(1)
    with pytest.raises(error, match="planted"):
        share_out(fail, range(10), helpers)
    assert len(begun) == 2


def test_after_an_error_no_task_goes_on():
    """The helper's task has ended when the error of the calling thread is seen."""
    helping, ended = threading.Event(), []

    def fail(task):
        if in_helper():
            helping.set()
            time.sleep(0.02)
            ended.append(task)
            return
        assert helping.wait(10)
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        share_out(fail, range(2), Helpers(1))
    assert len(ended) == 1


def test_an_interrupt_between_the_tasks_waits_for_the_helpers():
    helping, go_on, ended = threading.Event(), threading.Event(), []

    def help_slowly(task):
        helping.set()
        assert go_on.wait(10)
        time.sleep(0.02)
        ended.append(task)

    class Interrupted(Helpers):
        def call(self, job):
            super().call(job)
            assert helping.wait(10)
            raise KeyboardInterrupt("planted")

    with pytest.raises(KeyboardInterrupt, match="planted"):
        share_out(help_slowly, range(5), Interrupted(1), go_on.set)
    assert ended == [0]


def test_helpers_end_with_their_object_and_are_not_there_in_a_child():
    helpers, ended = Helpers(2), []
    inbox = helpers.inbox
    helpers.process += 1
    helpers.call(lambda: ended.append(1))  # what a fork finds
    assert inbox.empty()
    del helpers
    until(lambda: not inbox.empty())  # the last of them leaves the word for no one
    assert inbox.get()() is None  # a reference to what has gone
    assert ended == []


def test_where_no_thread_can_be_started_nobody_helps(monkeypatch):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads_module, "start_new_thread", refuse)
    helpers = Helpers(3)
    assert helpers.n == 0
    assert share_out(lambda task: in_helper(), range(4), helpers) == [False] * 4


# -- lanes and blocks -----------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 7, 8, 9, 100])
@pytest.mark.parametrize("block_size", [1, 3, 1000, None])
def test_lanes_are_consecutive_and_do_not_depend_on_the_threads(n_rows, block_size):
    network = Network((5, 4, 5))
    one, many = (Lanes.plan(network, n_rows, float, block_size, n) for n in (1, 64))
    assert one.lanes == many.lanes
    assert len(one.lanes) <= N_LANES
    assert len(many.workspaces) == len(many.lanes)
    rows = [block for lane in one.lanes for block in lane]
    assert (rows[0].start, rows[-1].stop) == (0, n_rows)
    assert all(a.stop == b.start for a, b in pairwise(rows))


@pytest.mark.parametrize(
    ("sizes", "itemsize", "n_rows", "expected"),
    [
        ((784, 196, 784), 8, 60_000, (509, 509)),  # at least 512 rows, in 118 equal blocks
        ((64, 25, 64), 8, 100_000, (2703, 2703)),  # 5 MiB are 2708 rows, in 37 equal blocks
        ((64, 25, 64), 4, 100_000, (5264, 5264)),  # half the precision, twice the rows
        ((2, 1), 8, 16_384, (8192, 8192)),  # at most 8192 rows
        ((2, 1), 8, 16_385, (4097, 4097)),  # few blocks are 1, 2, 4 or 8
        ((2, 1), 8, 40_000, (5000, 5000)),
        ((2, 1), 8, 65_536, (8192, 8192)),
        ((2, 1), 8, 65_537, (7282, 7282)),  # or more than 8
        ((2, 1), 8, 8192, (8192, 8192)),
        ((2, 1), 8, 1, (1, 1)),
        ((2048, 64, 2048), 8, 127, (127, 127)),  # one lane where a second thread does not pay
        ((2048, 64, 2048), 8, 128, (64, 64)),  # two lanes from 2**25 rows times weights
        ((2048, 64, 2048), 8, 513, (257, 257)),
        ((2**25, 1), 8, 1, (1, 1)),  # but no more than there are rows
        ((2**16, 1, 2**16), 8, 1024, (512, 128)),  # 256 MiB are 170.7 rows: 4 blocks for 512
        ((2**16, 1, 2**16), 8, 682, (341, 114)),  # and 3 for 341, since 171 would be too many
        ((2**16, 1, 2**16), 4, 1024, (512, 256)),
        ((2**13, 2**10), 8, 4096, (512, 256)),  # 3 * 2**30 rows times weights are 384 rows
        ((2**13, 2**10), 4, 4096, (512, 256)),
        ((15_000, 1000), 8, 858, (429, 143)),  # 214.7 rows: 3 blocks for 429
        ((2**15, 2**10), 8, 600, (300, 75)),  # 96 rows: 4 blocks of equal length
        ((2**18, 2**15), 8, 3, (2, 1)),  # a row at least
        ((2**25, 1, 2**25), 8, 2, (1, 1)),
    ],
)
def test_share_and_block_size(sizes, itemsize, n_rows, expected):
    assert share_and_block_size(Network(sizes), itemsize, n_rows) == expected


def test_of_wide_layers_a_lane_has_several_blocks():
    """As many lanes as of narrow ones, since each has a gradient of its own."""
    network = Network((2**16, 1, 2**16))
    lanes = Lanes.plan(network, 1000, "f4", n_threads=2)
    assert [len(lane) for lane in lanes.lanes] == [2, 2]
    assert len(lanes.workspaces) == 2
    for work in lanes.workspaces:
        assert len(work.ones) == 250
        assert sum(a.nbytes for a in (*work.outputs, *work.slopes, *work.deltas)) < 2**28


def test_lazy_rows_are_taken_and_converted_when_asked_for():
    values = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    whole, some = LazyRows(values, "f4"), LazyRows(values, "f4", np.array([4, 0, 5]))
    assert (whole.shape, whole.dtype, len(whole)) == ((6, 2, 2), np.float32, 6)
    assert (some.shape, some.dtype, len(some)) == ((3, 2, 2), np.float32, 3)
    for taken, expected in ((whole[1:3], values[1:3]), (some[1:], values[[0, 5]])):
        assert taken.dtype == np.float32
        assert (taken == expected).all()
    assert LazyRows(np.array([1e300]), "f4")[:1] == np.inf  # and no warning
    assert np.shares_memory(LazyRows(values, "u1")[1:3], values)


def test_rows_are_converted_only_where_that_is_needed():
    X = np.ones((5, 3), np.float32)
    assert in_precision(X, np.float32) is X
    assert in_precision(X, np.float64)[1:2].dtype == np.float64
    assert in_precision(X.astype(float), np.float32)[1:2].dtype == np.float32
    assert as_floats(X) is X
    assert as_floats(whole := X.astype(float)) is whole
    assert as_floats(X.astype(np.float16)).dtype == np.float64
    assert as_floats(X > 0)[:].tolist() == [[1.0, 1.0, 1.0]] * 5


@pytest.mark.parametrize(("n_bytes", "expected"), [(1, 1), (24, 1), (71, 2), (72, 3), (2**22, 7)])
@pytest.mark.parametrize("make", [np.asarray, csr_array], ids=["dense", "csr"])
def test_chunks_are_dense_and_as_large_as_told(n_bytes, expected, make):
    whole = X[:7, 1:4]
    found = list(chunks(make(whole), n_bytes))
    assert [len(block) for block in found[:-1]] == [expected] * (len(found) - 1)
    assert all(isinstance(block, np.ndarray) for block in found)
    assert (np.concatenate(found) == whole).all()
    assert [block.shape for block in chunks(make(X[:4, :1]), 16)] == [(2, 1), (2, 1)]
    assert [block.shape for block in chunks(X[:2, :0])] == [(2, 0)]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_gives_the_buffers_back(n_threads):
    lanes = Lanes.plan(Network((5, 4, 5)), 100, float, 2, n_threads)

    def fail(blocks, work):
        raise ZeroDivisionError

    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            lanes.map(fail)
        assert len(lanes.workspaces) == n_threads
    starts = [rows[0].start for rows in lanes.lanes]
    assert lanes.map(lambda rows, work: rows[0].start) == starts


def test_after_an_error_no_lane_begins_another_block():
    lanes, helping = Lanes.plan(Network((5, 4, 5)), 100, float, 5, 2), threading.Event()
    left = []

    def sums(blocks, work):
        if not in_helper():
            assert helping.wait(10)
            raise ValueError("planted")
        helping.set()
        end = time.monotonic() + 10
        while blocks and time.monotonic() < end:
            time.sleep(0.001)
        left.append(len(blocks))

    with pytest.raises(ValueError, match="planted"):
        lanes.map(sums)
    assert left == [0]


def test_lanes_are_shared_among_as_many_threads_as_planned():
    """Three lanes that wait for each other need three threads; what overflows warns in none."""
    lanes, all_three = Lanes.plan(Network((5, 4, 5)), 3, float, 1, 3), threading.Barrier(3)

    def overflow(blocks, work):
        all_three.wait(10)
        return np.exp(work.ones * 1e3).tolist()

    assert lanes.map(overflow) == [[np.inf]] * 3


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks_module, "MIN_ROWS", 16)
    monkeypatch.setattr(blocks_module, "MAX_ROWS", 64)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(64, 3), (64, 6, 2), (64, 5, 4, 3)])
def test_over_blocks_passes_every_row_once_with_its_output(sizes, n_threads):
    rng = np.random.default_rng(0)
    network = Network(sizes, "tanh")
    coefs, intercepts = network.unpack(rng.normal(size=network.n_params))
    expected = X
    for W, b in zip(coefs, intercepts):
        raw = expected @ W + b
        expected = np.tanh(raw)
    seen, found = np.zeros(len(X)), np.empty_like(raw)

    def use(rows, block, output):
        assert (block == X[rows]).all()
        seen[rows] += 1
        found[rows] = output

    over_blocks(use, X, network, coefs, intercepts, "identity", n_threads)
    assert (seen == 1).all()
    np.testing.assert_allclose(found, raw, rtol=1e-13, atol=1e-12)
    assert (propagate(X, network, coefs, intercepts, "identity", n_threads) == found).all()


@pytest.mark.usefixtures("small_blocks")
def test_one_thread_unless_told_otherwise_and_the_precision_of_the_rows(monkeypatch):
    monkeypatch.setattr(blocks_module, "Helpers", None)
    network, X32 = Network((64, 6, 2)), X.astype(np.float32)
    work = Lanes.plan(network, len(X), "f4").workspaces.pop()
    for buffer in (*work.outputs, *work.slopes, *work.deltas, *work.products, work.ones):
        assert buffer.dtype == np.float32
    parameters = network.unpack(np.ones(network.n_params, np.float32))

    def use(rows, block, output):
        assert output.dtype == np.float32

    over_blocks(use, X32, network, *parameters, "identity")
    assert propagate(X32, network, *parameters, "identity").dtype == np.float32


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_over_blocks_raises_what_its_user_raises(n_threads):
    network = Network((64, 2))

    def use(rows, block, output):
        raise IndexError("planted")

    with pytest.raises(IndexError, match="planted"):
        over_blocks(use, X, network, [np.ones((64, 2))], [np.ones(2)], "identity", n_threads)


# -- threads in transform, predict and score ------------------------------------------------

ESTIMATORS = {
    "autoencoder": SparseAutoencoder(7, output_activation="identity"),
    "regressor": MLPBackpropRegressor((6, 5)),
    "classifier": MLPBackpropClassifier((6,)),
}


def results(estimator, X):
    """What each method that runs over the blocks makes of X."""
    found = [estimator.transform(X), estimator.score(X, LABELS)]
    for method in ("score_samples", "predict_proba"):
        if hasattr(estimator, method):
            found.append(getattr(estimator, method)(X))
    if isinstance(estimator, SparseAutoencoder):  # whose predict refuses sparse rows
        found.append(estimator.inverse_transform(found[0]))
    if not (isinstance(estimator, SparseAutoencoder) and issparse(X)):
        found.append(estimator.predict(X))
    return found


def same_bits(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def fitted():
    return {
        name: estimator.set_params(tol=0.5, random_state=0).fit(X, LABELS)
        for name, estimator in ESTIMATORS.items()
    }


def forms(X, folder):
    """X in every form in which rows come, none of which may be written to."""
    np.save(folder / "X.npy", X)
    sparse = csr_array(X)
    sparse.data.setflags(write=False)
    found = {
        "dense": X.copy(),
        "csr": sparse,
        "fortran": np.asfortranarray(X),
        "mapped": np.load(folder / "X.npy", mmap_mode="r"),
    }
    for array in (found["dense"], found["fortran"]):
        array.setflags(write=False)
    return found


def allowed():
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("form", ["dense", "csr", "fortran", "mapped"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_any_number_of_threads_gives_the_same_bits(name, form, fitted, tmp_path):
    data = forms(X, tmp_path)[form]
    with threadpool_limits(1, user_api="blas"):
        one = results(fitted[name], data)
    for limit in (2, 5):
        with threadpool_limits(limit, user_api="blas"):
            before = allowed()
            assert same_bits(results(fitted[name], data), one)
            assert allowed() == before
    assert (np.asarray(data.todense() if form == "csr" else data) == X).all()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_form_of_x_changes_rounding_only(name, fitted, tmp_path):
    dense, *others = (results(fitted[name], data) for data in forms(X, tmp_path).values())
    for other in others:
        for a, b in zip(dense, other):  # the last, predict, is not there for sparse rows
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_the_estimators_do_use_the_threads_that_blas_may_use(fitted, monkeypatch):
    used = []

    def plan(*args, n_threads, **options):
        used.append(n_threads)
        return original(*args, n_threads=n_threads, **options)

    original = Lanes.plan
    monkeypatch.setattr(Lanes, "plan", plan)
    with threadpool_limits(2, user_api="blas"):
        expected = max(allowed())
        fitted["autoencoder"].transform(X)
    assert used == [expected]


@pytest.mark.usefixtures("small_blocks")
def test_the_mean_activation_has_the_same_bits_for_any_number_of_threads():
    found = []
    for limit in (1, 2, 5):
        with threadpool_limits(limit, user_api="blas"):
            sae = SparseAutoencoder(7, tol=0.5, random_state=0)
            found.append(sae.fit(X, sample_weight=np.linspace(0.1, 1, len(X))))
    for sae in found[1:]:
        assert same_bits(sae.coefs_, found[0].coefs_)
        assert (sae.mean_activation_ == found[0].mean_activation_).all()


def test_blas_gets_its_threads_back_after_an_error(fitted, monkeypatch):
    def fail(*args):
        raise ZeroDivisionError

    monkeypatch.setattr(blocks_module, "apply_output", fail)
    with threadpool_limits(2, user_api="blas"):
        before = allowed()
        with pytest.raises(ZeroDivisionError):
            fitted["autoencoder"].transform(X)
        assert allowed() == before


@pytest.mark.usefixtures("small_blocks")
def test_several_callers_at_once(fitted):
    """Threads of a web server, say, that share one fitted estimator."""
    sae = fitted["autoencoder"]
    with threadpool_limits(2, user_api="blas"):
        before = allowed()
        expected = results(sae, X)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: results(sae, X), range(8)))
        assert all(same_bits(one, expected) for one in found)
        assert allowed() == before
