"""Nothing copies X: fit, transform, predict and score work beside it, whatever its layout."""

import tracemalloc

import numpy as np
import pytest

from skl_sae import MLPBackpropRegressor, SparseAutoencoder

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]
ROWS = np.random.default_rng(0).uniform(0.1, 0.9, size=(240_000, 32)).astype(np.float32)


def peak_of(run):
    """Bytes that a call has allocated at most, beyond what was there."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def as_layout(layout, folder):
    if layout == "memory-mapped":
        np.save(folder / "X.npy", ROWS)
        return np.load(folder / "X.npy", mmap_mode="r")
    return np.asarray(ROWS, order=layout)


@pytest.mark.parametrize("layout", ["C", "F", "memory-mapped"])
@pytest.mark.parametrize("growing", [False, True])
@pytest.mark.parametrize("decoder", ["logistic", "identity"])
def test_fit_does_not_copy_its_rows(layout, growing, decoder, tmp_path):
    X = as_layout(layout, tmp_path)
    sae = SparseAutoencoder(
        2, output_activation=decoder, max_iter=2, growing_samples=growing, random_state=0
    )
    assert peak_of(lambda: sae.fit(X)) < 0.6 * ROWS.nbytes
    assert sae.coefs_[0].dtype == np.float32


@pytest.mark.parametrize("layout", ["C", "F", "memory-mapped"])
def test_what_follows_a_fit_does_not_copy_its_rows(layout, tmp_path):
    X = as_layout(layout, tmp_path)
    sae = SparseAutoencoder(2, max_iter=1, growing_samples=False, random_state=0).fit(X[:100])
    result = len(X) * 2 * 4
    assert peak_of(lambda: sae.transform(X)) < result + 0.4 * ROWS.nbytes
    assert peak_of(lambda: sae.score_samples(X)) < 0.4 * ROWS.nbytes
    assert peak_of(lambda: sae.score(X)) < 0.4 * ROWS.nbytes
    assert peak_of(lambda: sae.predict(X)) < 1.4 * ROWS.nbytes


def test_regression_does_not_copy_its_rows():
    net = MLPBackpropRegressor((3,), max_iter=2, growing_samples=False, random_state=0)
    assert peak_of(lambda: net.fit(ROWS, ROWS[:, 0])) < 0.6 * ROWS.nbytes


def test_activations_are_kept_within_the_working_memory():
    """One row of 200 features and 300 codes takes 2,400 bytes from pass to pass."""
    from sklearn import config_context

    X = np.tile(ROWS[:24_000], 7)[:, :200]
    sae = SparseAutoencoder(300, max_iter=1, growing_samples=False, random_state=0)
    with config_context(working_memory=1):
        small = peak_of(lambda: sae.fit(X))
    assert peak_of(lambda: sae.fit(X)) - small > 0.9 * 24_000 * 2400
