"""Sparse rows are multiplied by their entries, and give what dense rows give."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import TABLE, make_objective, name, with_rows
from scipy.sparse import coo_array, csr_array, csr_matrix
from sklearn.base import clone

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop import blocks, lean, passes
from skl_sae.backprop import objective as objectives
from skl_sae.backprop.blocks import block_of, entries_of_row, share_and_block_size, stays_sparse
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows
from skl_sae.backprop.start import Columns

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]


def random_rows(shape, density):
    """A CSR array with so many entries from U(0, 1), as SciPy of any version makes them."""
    rng, size = np.random.default_rng(0), int(np.prod(shape))
    at = rng.choice(size, round(density * size), replace=False)
    return csr_array((rng.random(len(at)), np.unravel_index(at, shape)), shape=shape)


@pytest.fixture
def any_rows_stay_sparse(monkeypatch):
    """Those of small problems too."""
    monkeypatch.setattr(blocks, "WIDE", 0)
    monkeypatch.setattr(blocks, "SPARSE", 1.0)


SMALL = pytest.mark.usefixtures("any_rows_stay_sparse")


def both(case, **changes):
    """The same objective on dense and on CSR rows with zeros, one of them empty; a point."""
    objective, theta = make_objective(**case)
    X = np.where(objective.rows.X < 0.4, 0, objective.rows.X)
    X[3] = 0
    dense = with_rows(objective, X=X, **changes)
    return dense, with_rows(dense, X=csr_array(X)), theta


def assert_equal_evaluations(one, other, theta, rtol):
    (value, gradient), (expected, expected_gradient) = one(theta), other(theta)
    assert value == pytest.approx(expected, rel=rtol)
    scale = np.abs(expected_gradient).max()
    assert_allclose(gradient, expected_gradient, rtol=0, atol=rtol * scale)


LEAN = [
    {
        "pair": ("squared_error", "identity"),
        "activation": activation,
        "hidden": hidden,
        "beta": beta,
        "weighted": weighted,
        "autoencoder": True,
        "tied": tied,
        "variable_projection": solved,
    }
    for activation, (hidden, tied), beta, weighted, solved in product(
        ["logistic", "tanh", "relu"],
        [((4,), False), ((4,), True), ((4, 3), False)],
        [0.0, 2.0],
        [False, True],
        [False, True],
    )
    if not (tied and solved) and not (beta and activation == "relu")
]


def point(objective, theta):
    return objective.reduce(theta)


# -- value and gradient --------------------------------------------------------------------


@SMALL
@pytest.mark.parametrize("case", TABLE[::2] + LEAN, ids=name)
@pytest.mark.parametrize("memory", [2**30, 0], ids=["kept", "not kept"])
def test_value_and_gradient_are_those_of_dense_rows(case, memory):
    dense, sparse, theta = both(case, memory=memory)
    linear = case["pair"] == ("squared_error", "identity")
    assert sparse._is_lean == (linear and (case in LEAN or case.get("tied", False)))
    assert_equal_evaluations(sparse, dense, point(dense, theta), 1e-12)


@SMALL
@pytest.mark.parametrize("case", LEAN, ids=name)
def test_in_single_precision_too(case):
    dense, sparse, theta = both(case)
    s = dense.rows.sample_weight
    changes = {
        "X": sparse.rows.X.astype("f4"),
        "sample_weight": s if s is None else s.astype("f4"),
    }
    assert_equal_evaluations(with_rows(sparse, **changes), dense, point(dense, theta), 1e-5)


@pytest.mark.parametrize("far", [0.0, 100.0], ids=["near zero", "far from zero"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LEAN, ids=name)
def test_wide_dense_rows_have_the_same_value_and_gradient(case, dtype, far, monkeypatch):
    """Far from zero too, because the rows are measured from their mean.

    Without this, the value would cancel, and the other pass would have to compute it.
    """
    objective, theta = make_objective(**case)
    X, s = (objective.rows.X + far).astype(dtype), objective.rows.sample_weight
    dense = with_rows(objective, X=X, sample_weight=s if s is None else s.astype(dtype))
    assert not dense._is_lean
    theta = point(dense, theta) / (1 + far)
    value, gradient = with_rows(dense, X=X.astype(float), sample_weight=s)(theta)
    monkeypatch.setattr(objectives, "LEAN_FROM", 0)
    monkeypatch.setattr(objectives, "MUCH_WIDER", 0)
    wide = replace(dense)
    if not (wide.beta or wide.variable_projection or wide.network.tied):
        assert not wide._is_lean
        return
    monkeypatch.delattr(passes.LossPass, "add")
    found, of_wide = wide(theta)
    rtol = (1e-12 if dtype == np.float64 else 1e-5) * (1 + far)
    assert found == pytest.approx(value, rel=rtol)
    assert_allclose(of_wide, gradient, rtol=0, atol=rtol * np.abs(gradient).max())


@pytest.mark.parametrize(
    ("n_features", "n_units", "changes", "expected"),
    [
        (256, 64, {}, True),
        (256, 65, {}, False),
        (255, 10, {}, False),
        (256, 64, {"beta": 0}, False),
        (256, 64, {"beta": 0, "variable_projection": True}, True),
    ],
)
def test_which_dense_rows_are_wide(n_features, n_units, changes, expected):
    """Enough columns, two passes in any case, and memory for the codes between them."""
    network, rows = Network((n_features, n_units, n_features)), Rows(np.ones((2, n_features)))
    objective = Objective(network, rows, "squared_error", "identity", beta=1.0)
    objective = replace(objective, **changes)
    assert objective._is_lean == expected
    assert not with_rows(objective, memory=0)._is_lean


@SMALL
@pytest.mark.parametrize("case", LEAN[::3], ids=name)
def test_any_number_of_threads_gives_the_same_bits(case):
    _, sparse, theta = both(case, block_size=2)
    theta = point(sparse, theta)
    value, gradient = sparse(theta)
    for n_threads in (2, 8):
        other, other_gradient = with_rows(sparse, n_threads=n_threads)(theta)
        assert other == value
        assert (other_gradient == gradient).all()


@SMALL
@pytest.mark.parametrize("case", LEAN[::5], ids=name)
def test_samples_of_the_rows(case):
    dense, sparse, theta = both(case)
    index = np.array([16, 3, 3, 0])
    dense, sparse = (each.on(each.rows.take(index)) for each in (dense, sparse))
    assert_equal_evaluations(sparse, dense, point(dense, theta), 1e-12)


@SMALL
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("share", [10.0**-k for k in range(13)])
def test_the_value_of_a_nearly_perfect_fit_keeps_its_digits(share, tied):
    """The rows lie next to a plane that the output can reach exactly.

    In single precision the outputs are rounded, by whatever way they are computed.
    """
    rng = np.random.default_rng(0)
    W = np.linalg.qr(rng.normal(size=(12, 3)))[0]
    X = rng.normal(size=(50, 3)) @ W.T + np.sqrt(share / 9) * rng.normal(size=(50, 12)) / 2
    network = Network((12, 3, 12), "identity", tied)
    dense = Objective(network, Rows(X), "squared_error", "identity")
    sparse = dense.on(Rows(csr_array(X)))
    theta = network.pack([W, W.T], [np.zeros(3), np.zeros(12)])
    (value, gradient), (expected, expected_gradient) = sparse(theta), dense(theta)
    scale = np.sqrt((X**2).sum() / 50)
    assert value == pytest.approx(expected, rel=max(1e-12, 1e-15 / np.sqrt(share)))
    assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-14 * scale)
    single, theta = sparse.on(Rows(csr_array(X.astype("f4")))), theta.astype("f4").astype(float)
    expected, expected_gradient = dense.on(Rows(X.astype("f4").astype(float)))(theta)
    value, gradient = single(theta)
    assert value == pytest.approx(expected, rel=max(1e-5, 1e-8 / np.sqrt(share)))
    assert_allclose(gradient, expected_gradient, rtol=0, atol=1e-6 * scale)


@SMALL
def test_the_last_pass_of_dense_blocks_takes_over_where_the_value_cancels(monkeypatch):
    dense, sparse, theta = both(LEAN[0])
    expected = sparse(theta)
    monkeypatch.setattr(lean, "CANCELLED", 1.0)
    assert sparse._lean_sums is not None
    assert_equal_evaluations(sparse, dense, theta, 1e-13)
    assert sparse(theta)[0] == pytest.approx(expected[0], rel=1e-13)


@SMALL
def test_a_value_that_is_not_finite_is_not_hidden():
    _, sparse, theta = both(LEAN[0])
    assert not np.isfinite(sparse(theta * np.inf)[0])


# -- the means of the columns ----------------------------------------------------------------


@SMALL
@pytest.mark.parametrize("limits", [None, (0, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_columns_by_entries(limits, weighted, monkeypatch):
    monkeypatch.setattr(blocks.chunks, "__defaults__", (100,))  # several blocks
    rng = np.random.default_rng(0)
    X = np.where(rng.uniform(size=(40, 7)) < 0.6, 0, rng.normal(size=(40, 7)))
    X[:, 2], X[5] = 0.1, [0, 0, 0.1, 0, 0, 0, 0]
    s = rng.uniform(0.1, 1, size=40) if weighted else None
    found, expected = (Columns.of(rows, s, limits) for rows in (csr_array(X), X))
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-13, atol=1e-16)
    assert found.mean[2] == 0.1
    assert found.variance[2] == 0


# -- which rows stay sparse, and in what blocks ------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "density", "expected"),
    [((50, 64), 0.1, True), ((50, 64), 0.11, False), ((50, 63), 0.01, False), ((2, 640), 0, True)],
)
def test_wide_rows_with_few_entries_stay_sparse(shape, density, expected):
    X = random_rows(shape, density)
    assert stays_sparse(X) == expected
    assert not stays_sparse(X.toarray())
    for rows in (slice(1, 2), np.array([0, 1])):
        block = block_of(X, rows)
        assert isinstance(block, csr_array if expected else np.ndarray)
        whole = block.toarray() if expected else block
        assert (whole == X.toarray()[rows]).all()
    assert entries_of_row(X) == (max(1, X.nnz // shape[0]) if expected else None)


@SMALL
@pytest.mark.parametrize(
    ("sizes", "n_rows", "n_entries", "expected"),
    [
        ((20_000, 50, 0), 10_000, 100, (2500, 2500)),
        ((100_000, 100, 10), 10_000, 100, (5000, 5000)),  # 8 times more entries than columns
        ((20_000, 50, 20_000), 10_000, 100, (1250, 625)),  # a decoder that is not linear
    ],
)
def test_blocks_of_sparse_rows(sizes, n_rows, n_entries, expected):
    assert share_and_block_size(Network(sizes), 8, n_rows, n_entries) == expected


# -- the estimators ------------------------------------------------------------------------------

X = random_rows((120, 80), 0.05)
LABELS = np.arange(120) % 3
WEIGHTS = np.random.default_rng(1).integers(0, 3, size=120)

AUTOENCODERS = {
    "logistic": SparseAutoencoder(4, max_iter=4, random_state=0),
    "linear": SparseAutoencoder(4, output_activation="identity", max_iter=4, random_state=0),
    "tied": SparseAutoencoder(
        4, output_activation="identity", tied_weights=True, max_iter=4, random_state=0
    ),
    "cross-entropy": SparseAutoencoder(4, loss="log_loss", max_iter=4, random_state=0),
    "batches": SparseAutoencoder(
        4, output_activation="identity", solver="sgd", batch_size=50, max_iter=3, random_state=0
    ),
}
NETWORKS = {
    "classifier": MLPBackpropClassifier((5,), max_iter=4, random_state=0),
    "regressor": MLPBackpropRegressor((5, 4), max_iter=4, random_state=0),
    "no hidden layer": MLPBackpropClassifier((), max_iter=4, random_state=0),
    "early stopping": MLPBackpropClassifier((5,), early_stopping=True, max_iter=4, random_state=0),
    "batches": MLPBackpropClassifier(
        (5,), solver="sgd", batch_size=50, max_iter=3, random_state=0
    ),
    "pretrained": MLPBackpropClassifier(
        (5,),
        pretraining=AUTOENCODERS["linear"],
        activation="logistic",
        max_iter=3,
        random_state=0,
    ),
}


@pytest.mark.parametrize("sample_weight", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_autoencoders_of_sparse_and_dense_rows_are_the_same(kind, sample_weight):
    dense, sparse = (
        clone(AUTOENCODERS[kind]).fit(rows, sample_weight=sample_weight)
        for rows in (X.toarray(), X)
    )
    assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-8)
    assert_allclose(sparse.mean_activation_, dense.mean_activation_, rtol=1e-6)
    for method in ("transform", "score_samples"):
        assert_allclose(getattr(dense, method)(X), getattr(dense, method)(X.toarray()), rtol=1e-11)
    score = dense.score(X, sample_weight=sample_weight)
    assert score == pytest.approx(dense.score(X.toarray(), sample_weight=sample_weight), rel=1e-10)


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_on_sparse_and_dense_rows_are_the_same(kind):
    y = LABELS * 0.5 if kind == "regressor" else LABELS
    dense, sparse = (clone(NETWORKS[kind]).fit(rows, y) for rows in (X.toarray(), X))
    assert_allclose(sparse.loss_curve_, dense.loss_curve_, rtol=1e-7)
    predict = "predict" if kind == "regressor" else "predict_proba"
    assert_allclose(getattr(dense, predict)(X), getattr(dense, predict)(X.toarray()), rtol=1e-11)


def unsorted(X):
    X = X.copy()
    for start, stop in zip(X.indptr, X.indptr[1:]):
        X.indices[start:stop] = X.indices[start:stop][::-1].copy()
        X.data[start:stop] = X.data[start:stop][::-1].copy()
    return csr_array((X.data, X.indices, X.indptr), shape=X.shape)


def with_duplicates(X):
    row, column = X.nonzero()
    both = np.r_[row, row], np.r_[column, column]
    return coo_array((np.r_[X.data / 2, X.data / 2], both), shape=X.shape)


def duplicates_in_rows(X):
    """Each entry as two halves, one after the other."""
    return csr_array((np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr), X.shape)


def with_long_indices(X):
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def with_zeros(X):
    row, column = X.nonzero()
    others = np.arange(80)
    rows, columns = np.r_[row, others], np.r_[column, others[::-1]]
    return coo_array((np.r_[X.data, np.zeros(80)], (rows, columns)), shape=X.shape).tocsr()


@pytest.mark.parametrize("kind", ["linear", "tied", "logistic"])
@pytest.mark.parametrize(
    "form",
    [
        unsorted,
        with_duplicates,
        duplicates_in_rows,
        with_long_indices,
        with_zeros,
        csr_matrix,
        csr_array.tocsc,
        csr_array.tocoo,
    ],
)
def test_any_sparse_matrix_gives_the_same_bits(form, kind):
    other = form(X)
    before = other.data.copy()
    estimator = clone(AUTOENCODERS[kind])
    expected = estimator.fit(X).loss_curve_, estimator.score(X), estimator.score_samples(X)
    found = (
        estimator.fit(other).loss_curve_,
        estimator.score(other),
        estimator.score_samples(other),
    )
    for one, two in zip(found, expected, strict=True):
        assert_allclose(one, two, rtol=0 if form is not with_zeros else 1e-12)
    assert (other.data == before).all()


def test_rows_without_entries():
    empty = csr_array((30, 70))
    assert np.isfinite(clone(AUTOENCODERS["linear"]).fit(empty).loss_)
    fitted = clone(AUTOENCODERS["linear"]).fit(X)
    none, zeros = csr_array((2, 80)), np.zeros((2, 80))
    assert_allclose(fitted.transform(none), fitted.transform(zeros), rtol=1e-13)
    assert_allclose(fitted.score_samples(none), fitted.score_samples(zeros), rtol=1e-11)


def test_the_score_of_a_row_that_is_met_exactly_keeps_its_digits():
    fitted = clone(AUTOENCODERS["linear"]).fit(X)
    for size in (1.0, 1e-4, 1e-8, 0.0):
        fitted.intercepts_[1] = X.toarray()[7] - fitted.transform(X)[7] @ fitted.coefs_[1]
        fitted.intercepts_[1][0] += size
        found, expected = fitted.score_samples(X), fitted.score_samples(X.toarray())
        assert_allclose(found, expected, rtol=max(1e-11, 1e-16 / (size or 1)), atol=1e-28)
    found = fitted.score_samples(X.astype("f4"))
    assert_allclose(np.delete(found, 7), np.delete(expected, 7), rtol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "tied"])
def test_no_block_of_a_linear_autoencoder_is_made_dense(kind, monkeypatch):
    toarray = csr_array.toarray

    def only_one_row(self, *args, **options):
        assert self.shape[0] == 1
        return toarray(self, *args, **options)

    monkeypatch.setattr(csr_array, "toarray", only_one_row)
    fitted = clone(AUTOENCODERS[kind]).fit(X)
    fitted.transform(X)
    fitted.score_samples(X)
    fitted.score(X, sample_weight=WEIGHTS)


def test_the_memory_of_a_linear_autoencoder_does_not_depend_on_the_size_of_dense_rows():
    import tracemalloc

    wide = random_rows((2000, 20_000), 1e-3)
    estimator = clone(AUTOENCODERS["linear"]).set_params(history_size=2, max_iter=2)
    tracemalloc.start()
    try:
        estimator.fit(wide)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    n_params = sum(part.size for part in estimator.coefs_ + estimator.intercepts_)
    assert peak < 8 * 30 * n_params + 10 * wide.data.nbytes
    assert peak < wide.shape[0] * wide.shape[1] * 8 / 4


@SMALL
def test_variable_projection_is_chosen_as_for_dense_rows():
    dense, sparse, _ = both(LEAN[0])
    assert replace(sparse, variable_projection=True)._is_lean
    assert not dense._is_lean


# -- chunks of dask ------------------------------------------------------------------------


def in_chunks(rows, kind):
    array = pytest.importorskip("dask.array")
    return array.from_array(rows.toarray(), chunks=(50, 80)).map_blocks(kind)


# Of older SciPy dask takes COO for dense rows.
KINDS = [csr_array, csr_matrix, *([coo_array] if hasattr(coo_array, "__getitem__") else [])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["linear", "tied", "logistic"])
def test_sparse_chunks_give_the_fit_of_sparse_rows(name, kind):
    chunks, local = in_chunks(X, kind), clone(AUTOENCODERS[name]).fit(X)
    fitted = clone(local).fit(chunks)
    assert_allclose(fitted.loss_curve_, local.loss_curve_, rtol=1e-10)
    for method in ("transform", "score_samples"):
        expected = getattr(fitted, method)(X)
        assert_allclose(getattr(fitted, method)(chunks).compute(), expected, rtol=1e-12)
    assert fitted.score(chunks) == pytest.approx(fitted.score(X), rel=1e-12)
    with pytest.raises(TypeError, match="reconstruction of sparse rows is dense"):
        fitted.predict(chunks)


def test_a_network_takes_sparse_chunks():
    chunks, local = in_chunks(X, csr_array), clone(NETWORKS["classifier"]).fit(X, LABELS)
    labels = pytest.importorskip("dask.array").from_array(LABELS, chunks=50)
    fitted = clone(local).fit(chunks, labels)
    assert_allclose(fitted.loss_curve_, local.loss_curve_, rtol=1e-10)
    assert_allclose(fitted.predict_proba(chunks).compute(), fitted.predict_proba(X), rtol=1e-12)


def test_bad_values_in_sparse_chunks_are_named():
    bad = X.copy()
    bad.data[3] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        clone(AUTOENCODERS["linear"]).fit(in_chunks(bad, csr_array))
