"""Files as data: rows are read and converted block by block, with the bits of the whole."""

import tracemalloc

import joblib
import numpy as np
import pytest
from problems import when_slow
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from skl_sae import (
    ConvolveAndPool,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    ZCAWhitening,
    _equal_rows,
)
from skl_sae.backprop.blocks import LazyRows, chunks

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
    pytest.mark.filterwarnings("ignore:.*X has values outside:UserWarning"),
]
N_ROWS, N_FEATURES = 400_000, 48
BYTES = np.random.default_rng(0).integers(0, 2, size=(N_ROWS, N_FEATURES), dtype=np.uint8)
LABELS = BYTES[:, 0] + BYTES[:, 1]
SHORT = {"max_iter": 2, "random_state": 0}


def saved(values, folder, how="load"):
    """A memory-mapped file of these values."""
    path = folder / "X"
    if how == "joblib":
        joblib.dump(values, path)
        return joblib.load(path, mmap_mode="r")
    if how == "memmap":
        np.ascontiguousarray(values).tofile(path)
        return np.memmap(path, dtype=values.dtype, mode="r", shape=values.shape)
    np.save(path.with_suffix(".npy"), values)
    return np.load(path.with_suffix(".npy"), mmap_mode="r")


def peak_of(run):
    """What a call returns, and the bytes that it has allocated at most."""
    tracemalloc.start()
    try:
        found = run()
        return found, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def learned(estimator):
    """Every number that a fit has learned."""
    for name, value in sorted(vars(estimator).items()):
        if name.endswith("_") and not isinstance(value, (str, ConvolveAndPool)):
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, (np.ndarray, float, int)):
                    yield np.asarray(part)


def assert_same_bits(one, other):
    pairs = list(zip(learned(one), learned(other), strict=True))
    assert pairs
    for a, b in pairs:
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


# -- the same bits --------------------------------------------------------------------------

VALUES = BYTES[:3000]
ESTIMATORS = {
    "autoencoder": SparseAutoencoder(3, **SHORT),
    "linear decoder": SparseAutoencoder(3, output_activation="identity", **SHORT),
    "growing": SparseAutoencoder(3, growing_samples=True, max_iter=6, random_state=0),
    "mini-batches": SparseAutoencoder(3, solver="sgd", batch_size=500, **SHORT),
    "deep": MLPBackpropRegressor((4, 3), activation="logistic", beta=1.0, **SHORT),
    "early stopping": MLPBackpropClassifier((4,), early_stopping=True, **SHORT),
    "pretraining": MLPBackpropClassifier(
        (4, 3), pretraining=SparseAutoencoder(activation="tanh", max_iter=2), **SHORT
    ),
    "pretraining and early stopping": MLPBackpropClassifier(
        (4,),
        pretraining=SparseAutoencoder(activation="tanh", max_iter=2),
        early_stopping=True,
        **SHORT,
    ),
    "whitening": ZCAWhitening(),
    "normaliser": PatchNormalizer(),
    "convolution": ConvolveAndPool(
        PCA(3), image_shape=(6, 8), patch_shape=(3, 3), pool_shape=(2, 2), n_patches=2000
    ).set_params(random_state=0),
}


@pytest.mark.parametrize("dtype", ["u1", "f4", *when_slow("i8", "?", "f2", ">f4", "f8")])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_any_type_of_number_has_the_bits_of_its_conversion(name, dtype):
    values = VALUES.astype(dtype)
    precision = dtype if dtype in ("f4", "f8") else "f8"
    one, other = (clone(ESTIMATORS[name]) for _ in range(2))
    y = LABELS[: len(values)]
    one.fit(values, y)
    other.fit(values.astype(precision), y)
    assert_same_bits(one, other)
    for method in ("transform", "predict", "score_samples"):
        if hasattr(one, method):
            a = getattr(one, method)(values)
            b = getattr(other, method)(values.astype(precision))
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
    if hasattr(one, "score"):
        assert one.score(values, y) == other.score(values.astype(precision), y)


@pytest.mark.parametrize("how", ["memmap", *when_slow("load", "joblib")])
@pytest.mark.parametrize("dtype", ["u1", "f4"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_file_has_the_bits_of_its_values(name, dtype, how, tmp_path):
    values = VALUES.astype(dtype)
    one, other = (clone(ESTIMATORS[name]) for _ in range(2))
    one.fit(saved(values, tmp_path, how), LABELS[: len(values)])
    other.fit(values, LABELS[: len(values)])
    assert_same_bits(one, other)


def test_a_file_of_real_targets(tmp_path):
    Y = np.random.default_rng(0).normal(size=(len(VALUES), 5))
    net = MLPBackpropRegressor((4,), **SHORT)
    on_file = clone(net).fit(VALUES.astype("f4"), saved(Y, tmp_path))
    assert_same_bits(on_file, net.fit(VALUES.astype("f4"), Y))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_a_value_that_is_not_finite_is_found_in_any_block(dtype, bad):
    X = np.full((50_000, 100), 0.5, dtype)
    X[40_000, 7] = bad
    wanted = "NaN" if np.isnan(bad) else "infinity"
    with pytest.raises(ValueError, match=rf"Input X contains {wanted}"):
        SparseAutoencoder(2).fit(X)
    with pytest.raises(ValueError, match=rf"Input X contains {wanted}"):
        ZCAWhitening().fit(X)


def test_a_value_out_of_range_is_found_in_any_block():
    X = np.full((50_000, 100), 0.5, "f4")
    X[40_000, 7] = 3
    with pytest.warns(UserWarning, match=r"values outside \[0, 1\]"):
        SparseAutoencoder(2, max_iter=1).fit(X)


# -- rows on demand -------------------------------------------------------------------------


def test_lazy_rows_are_those_of_the_array():
    values = np.arange(40, dtype=np.uint8).reshape(10, 4)
    index = np.array([7, 1, 1, 5])
    for lazy, rows in (
        (LazyRows(values, "f4"), values),
        (LazyRows(values, "f4", index), values[index]),
        (LazyRows(LazyRows(values, "f8"), "f4", index), values[index]),
    ):
        assert (len(lazy), lazy.shape, lazy.dtype) == (len(rows), rows.shape, np.float32)
        for at in (0, slice(1, 3), np.array([2, 0])):
            assert lazy[at].dtype == np.float32
            np.testing.assert_array_equal(lazy[at], rows[at])


@pytest.mark.parametrize("n_bytes", [1, 100, 10**6])
def test_chunks_cover_every_row_in_order(n_bytes):
    values = np.arange(60.0).reshape(20, 3)
    found = list(chunks(values, n_bytes))
    np.testing.assert_array_equal(np.concatenate(found), values)
    assert max(part.nbytes for part in found) <= max(n_bytes, 24)


def test_a_growing_sample_takes_its_rows_in_the_order_of_the_file(monkeypatch):
    taken = []
    original = LazyRows.__getitem__

    def recording(self, rows):
        if isinstance(rows, np.ndarray):
            taken.append(rows)
        return original(self, rows)

    monkeypatch.setattr(LazyRows, "__getitem__", recording)
    monkeypatch.setattr(_equal_rows, "MOST_ROWS", 0)  # as of more rows, which are not merged
    for estimator in (ESTIMATORS["growing"], ESTIMATORS["early stopping"]):
        taken.clear()
        clone(estimator).set_params(max_iter=6).fit(VALUES, LABELS[: len(VALUES)])
        assert len(taken) > 3
        assert all((np.diff(rows) > 0).all() for rows in taken)


# -- memory ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("mapped", "growing"), [(False, True), (True, False)])
@pytest.mark.parametrize("decoder", ["logistic", "identity"])
def test_fit_never_converts_all_rows(mapped, growing, decoder, tmp_path):
    """In float64 they would take eight times the bytes of the file; buffers take two."""
    X = saved(BYTES, tmp_path) if mapped else BYTES
    sae = SparseAutoencoder(2, output_activation=decoder, growing_samples=growing, **SHORT)
    sae, peak = peak_of(lambda: sae.fit(X))
    assert peak < 3 * X.nbytes
    assert sae.coefs_[0].dtype == np.float64


def test_what_follows_a_fit_never_converts_all_rows(tmp_path):
    X = saved(BYTES, tmp_path)
    sae = SparseAutoencoder(2, growing_samples=False, **SHORT).fit(X[:100])
    beside = 2 * X.nbytes
    for run, n_values in (
        (lambda: sae.transform(X), 2 * N_ROWS),
        (lambda: sae.score_samples(X), 2 * N_ROWS),
        (lambda: sae.score(X), 2 * N_ROWS),
        (lambda: sae.predict(X), X.size),
    ):
        assert peak_of(run)[1] < 8 * n_values + beside


@pytest.mark.parametrize("how", [{}, {"early_stopping": True}])
def test_a_network_never_converts_all_rows(how, tmp_path):
    wide = np.tile(BYTES[: N_ROWS // 4], 4)  # so that the targets are small beside it
    X = saved(wide, tmp_path)
    net = MLPBackpropClassifier((3,), growing_samples=False, **SHORT, **how)
    y = LABELS[: len(X)].astype(bool)
    net, peak = peak_of(lambda: net.fit(X, y))
    assert peak < 2 * X.nbytes
    assert peak_of(lambda: net.score(X, y))[1] < 2 * X.nbytes


def test_real_targets_are_not_copied(tmp_path):
    Y = saved(BYTES[: N_ROWS // 2, :40] / 2, tmp_path)
    X = BYTES[: N_ROWS // 2, :4].astype(np.float32)
    net = MLPBackpropRegressor((3,), growing_samples=False, **SHORT)
    assert peak_of(lambda: net.fit(X, Y))[1] < 0.4 * Y.nbytes


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", ["whitening", "normaliser", "convolution"])
def test_preparation_of_patches_never_converts_all_rows(name, order, tmp_path):
    X = saved(np.asarray(BYTES[: N_ROWS // 4], order=order), tmp_path)
    step = clone(ESTIMATORS[name])
    if name == "convolution":
        step.set_params(encoder=FrozenEstimator(PCA(2).fit(VALUES[:, :9])), pool_shape=(4, 6))
    step, peak = peak_of(lambda: step.fit(X))
    assert peak < 2 * X.nbytes
    found, peak = peak_of(lambda: step.transform(X))
    assert peak < found.nbytes + 3 * X.nbytes
