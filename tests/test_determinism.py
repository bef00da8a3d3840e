"""The same seed gives the same bits, in every process and for any number of threads.

And nearly the same numbers on every platform: the golden values were computed once, with
NumPy 2.4 and SciPy 1.17 on an x86-64 server with AVX2. Another BLAS, SciPy or processor rounds
differently: values agree to 1e-12, those after some iterations to 1e-9, minima to 1e-11. With
kernels for SSE they differed by 5e-15, 2e-10 and 1e-12.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from hashlib import sha256

import numpy as np
import pytest
from problems import when_slow
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop import blocks, network
from skl_sae.backprop.blocks import Lanes
from skl_sae.backprop.network import affine

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]

X, y = load_digits(return_X_y=True)
X = X / 16
SAE = SparseAutoencoder(9, rho=0.1, max_iter=12, random_state=0)
NET = MLPBackpropClassifier((7,), max_iter=12, random_state=0)
FITS = {
    "autoencoder": SAE,
    "exact output": clone(SAE).set_params(output_activation="identity"),
    "growing samples": clone(SAE).set_params(growing_samples=True, max_iter=4),
    "cg": clone(NET).set_params(solver="cg"),
    "mini-batches": clone(NET).set_params(solver="sgd", learning_rate=0.1),
    "adam": clone(NET).set_params(solver="adam", max_iter=3),
    "classifier": clone(NET).set_params(hidden_layer_sizes=(7, 5), n_init=2),
    "early stopping": clone(NET).set_params(early_stopping=True),
    "pretraining": clone(NET).set_params(
        activation="logistic", pretraining=SparseAutoencoder(max_iter=8)
    ),
    "regressor": MLPBackpropRegressor((7,), max_iter=12, random_state=0),
}
FORMS = {
    "float64": X,
    "float32": X.astype(np.float32),
    "bytes": (X > 0.5).astype(np.uint8),
    "csr": csr_array(X),
}


def bits(fitted):
    """A short name of all bits of what a fit has learned, and of what it predicts."""
    digest = sha256()
    for name, value in sorted(vars(fitted).items()):
        if name.endswith("_") and name != "pretrained_":
            for part in value if isinstance(value, list) else [value]:
                part = np.nan if part is None else part  # of which there are no bits
                digest.update(name.encode() + np.ascontiguousarray(part).tobytes())
    digest.update(np.ascontiguousarray(fitted.predict(X)).tobytes())
    return digest.hexdigest()


@contextmanager
def more_blocks(forced=None):
    """Blocks of 64 rows, and so many threads whatever the machine has."""
    plan, limits = Lanes.plan, (blocks.MIN_ROWS, blocks.MAX_ROWS)

    def planned(network, n_rows, dtype, block_size=None, n_threads=1, n_entries=None):
        return plan(network, n_rows, dtype, block_size, forced or n_threads, n_entries)

    blocks.MIN_ROWS = blocks.MAX_ROWS = 64
    Lanes.plan = planned
    try:
        yield
    finally:
        Lanes.plan, (blocks.MIN_ROWS, blocks.MAX_ROWS) = plan, limits


def all_bits(n_threads=None, names=FITS):
    with more_blocks(n_threads):
        return {name: bits(clone(FITS[name]).fit(X, y)) for name in names}


@pytest.fixture(scope="module")
def expected():
    return all_bits(1)


@pytest.mark.parametrize("n_threads", [3, *when_slow(2, 5, 8)])
def test_any_number_of_threads(n_threads, expected):
    assert all_bits(n_threads) == expected


@pytest.mark.slow
@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_a_fresh_process_with_any_number_of_threads(n_threads, expected):
    """As many as BLAS is allowed by the environment; strings are hashed differently too."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    code = (
        "import json, warnings; warnings.simplefilter('ignore');"
        "import test_determinism; print(json.dumps(test_determinism.all_bits()))"
    )
    environment = dict.fromkeys(names, str(n_threads)) | {"PYTHONHASHSEED": str(n_threads)}
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    assert json.loads(found.stdout) == expected


@pytest.mark.parametrize("limit", [2, *when_slow(1, 8)])
def test_any_limit_of_blas(limit, expected):
    with threadpool_limits(limit):
        assert all_bits() == expected


def test_one_after_the_other_or_in_workers():
    grid = {"lam": [1e-4, 1e-2]}
    searches = [GridSearchCV(clone(NET), grid, cv=2, n_jobs=n).fit(X, y) for n in (1, 2)]
    one, other = (search.best_estimator_ for search in searches)
    assert bits(one) == bits(other)
    scores = [search.cv_results_["mean_test_score"] for search in searches]
    assert (scores[0] == scores[1]).all()


@pytest.mark.parametrize("form", FORMS)
def test_again_and_from_any_place_in_memory(form):
    """An array may begin at any byte."""
    rows = FORMS[form]
    once = bits(clone(SAE).fit(rows))
    assert bits(clone(SAE).fit(rows)) == once
    if isinstance(rows, np.ndarray):
        for shift in (1, 3, 4, 8, 16, 24):
            assert bits(clone(SAE).fit(moved(rows, shift))) == once


def moved(rows, shift):
    """The same array, so many bytes behind a multiple of 64."""
    store = np.empty(rows.nbytes + 128, np.uint8)
    start = -store.ctypes.data % 64 + shift
    copy = store[start : start + rows.nbytes].view(rows.dtype).reshape(rows.shape)
    copy[:] = rows
    return copy


def test_rows_at_odd_bytes_reach_the_products_aligned(monkeypatch):
    """NumPy would copy them, in another order; whether bits change then depends on BLAS."""
    seen = []

    def recording(A, W, b, out, raw):
        seen.append(A.flags.aligned)
        return affine(A, W, b, out, raw)

    monkeypatch.setattr(network, "affine", recording)
    rows = moved(X, 3)
    assert not rows.flags.aligned
    clone(SAE).fit(rows).predict(rows)
    assert len(seen) > 12
    assert all(seen)


COUNTS = np.random.default_rng(0).integers(0, 4, size=200)
ORDER = np.random.default_rng(1).permutation(np.repeat(np.arange(200), COUNTS))
AT_RANDOM = ["mini-batches", "adam", "early stopping"]  # these draw rows


def weighted_and_repeated(name, rows):
    """The bits of a fit with weights, and of one to as many rows in another order."""
    weighted = clone(FITS[name]).fit(rows, y[:200], sample_weight=COUNTS)
    return bits(weighted), bits(clone(FITS[name]).fit(rows[ORDER], y[ORDER]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [name for name in FITS if name not in AT_RANDOM])
def test_weights_are_repetition_and_the_order_of_rows_is_nothing(name, form):
    """Rows without weight do not count either; "bytes" have equal rows of their own."""
    weighted, repeated = weighted_and_repeated(name, FORMS[form][:200])
    assert weighted == repeated


@pytest.mark.parametrize("name", AT_RANDOM)
def test_where_rows_are_drawn_a_repeated_one_is_several(name):
    weighted, repeated = weighted_and_repeated(name, X[:200])
    assert weighted != repeated


def test_bits_tell_one_fit_from_another():
    assert bits(clone(SAE).fit(X)) != bits(clone(SAE).set_params(random_state=1).fit(X))
    changed = X.copy()
    changed[0, 20] += 1e-12
    assert bits(clone(SAE).fit(X)) != bits(clone(SAE).fit(changed))


# -- golden values --------------------------------------------------------------------------


START = {  # J and the norm of its gradient
    "autoencoder": (2.3512099170699527, 0.1415907377267058),
    "exact output": (2.8132346481304062, 1.562248594582002),
    "classifier": (2.3814680032514848, 0.3670569911299643),
    "regressor": (0.6532762128815712, 0.5954612710357152),
}
FITTED = {
    "autoencoder": (1.0358247466882466, 0.08528484307516387),
    "exact output": (0.829928640315277, 0.1063745170469378),
    "growing samples": (1.075595404610309, 0.23512651818965802),
    "cg": (0.3944070770750893, 0.08821408139314552),
    "mini-batches": (0.46146520682188297, 0.08430843347895352),
    "adam": (1.8904813844544095, 0.4554794447880078),
    "classifier": (0.566350404114923, 0.14779306101661113),
    "early stopping": (0.42706764014956367, 0.16597852953437814),
    "pretraining": (0.894929822598053, 0.08460078371102364),
    "regressor": (0.19939852370606498, 0.05541117222103238),
}
SOFTMAX = MLPBackpropClassifier((), lam=1e-2, tol=1e-8, max_iter=2000)
LINEAR = MLPBackpropRegressor((), lam=1e-2, tol=1e-8, max_iter=2000)
MINIMA = [  # of convex objectives
    (SOFTMAX, y, 0.7385140818752547),
    (clone(SOFTMAX).set_params(lam=0.1), np.column_stack([y % 2, y > 4]), 1.1215127825072182),
    (clone(LINEAR).set_params(scale_targets=False), y, 1.9121529522219307),
    (LINEAR, y, 1.9121529522219307 / np.var(y)),
]


def value_and_norm(name, theta_of):
    objective, _ = clone(FITS[name])._prepare(X, y, None)
    value, gradient = objective(theta_of(objective))
    return value, np.linalg.norm(gradient)


@pytest.mark.parametrize("name", START)
def test_golden_values_at_the_start(name):
    found = value_and_norm(name, lambda objective: objective.start(np.random.RandomState(0)))
    np.testing.assert_allclose(found, START[name], rtol=1e-12)


@pytest.mark.parametrize("name", FITTED)
def test_golden_values_of_fits(name):
    fitted = clone(FITS[name]).fit(X, y)
    weights = fitted.coefs_, fitted.intercepts_
    found = value_and_norm(name, lambda objective: objective.network.pack(*weights))
    np.testing.assert_allclose([fitted.loss_, found[1]], FITTED[name], rtol=1e-9)
    if name != "early stopping":  # its objective leaves out the rows held out
        assert fitted.loss_ == pytest.approx(found[0], rel=1e-12)


@pytest.mark.parametrize(("estimator", "labels", "golden"), MINIMA)
@pytest.mark.parametrize("random_state", [0, 1])
def test_golden_minima(estimator, labels, golden, random_state):
    fitted = clone(estimator).set_params(random_state=random_state).fit(X, labels.astype(int))
    assert fitted.converged_
    assert fitted.loss_ == pytest.approx(golden, rel=1e-11)
