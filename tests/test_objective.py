"""The objective equals its definition, whatever the blocks, threads and weights."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from problems import TABLE, make_objective, name, take, with_rows
from reference import definition, objective_value, rate
from scipy.sparse import csr_array, issparse
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skl_sae.backprop import blocks
from skl_sae.backprop.activations import STEEPNESS
from skl_sae.backprop.blocks import N_LANES, dense
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.passes import CodePass
from skl_sae.backprop.penalties import kl_sparsity, weight_decay
from skl_sae.backprop.rows import Rows


def assert_same(one, other, rtol=1e-12):
    """Two results ``(value, gradient)`` agree to rounding."""
    assert one[0] == pytest.approx(other[0], rel=rtol)
    np.testing.assert_allclose(one[1], other[1], rtol=0, atol=rtol * np.abs(other[1]).max())


@pytest.mark.parametrize("case", TABLE, ids=name)
def test_value_equals_the_plain_loops(case):
    objective, theta = make_objective(**case)
    assert objective(theta)[0] == pytest.approx(objective_value(objective, theta), rel=1e-12)


@pytest.mark.parametrize("case", TABLE[::5], ids=name)
@pytest.mark.parametrize("block_size", [1, 2, 5, 16, 17, 1000, None])
def test_any_block_size(case, block_size):
    objective, theta = make_objective(**case)
    assert_same(with_rows(objective, block_size=block_size)(theta), objective(theta))


@pytest.mark.parametrize("case", [c for c in TABLE if c["beta"]], ids=name)
def test_activations_kept_or_computed_again(case):
    objective, theta = make_objective(**case)
    kept = objective(theta)
    assert objective._keeps
    for block_size in (7, 1):  # one block in a lane, and several
        again = with_rows(objective, memory=0, block_size=block_size)
        assert_same(again(theta), kept)
        assert not again._keeps


def test_no_more_buffers_than_lanes():
    objective, theta = make_objective(n_threads=64, block_size=1)
    objective(theta)
    assert len(objective.rows._lanes(objective.network).workspaces) == N_LANES


def test_the_mean_code_and_its_complement_are_exactly_one():
    """Else their rounding in float32 enters KL, to first order."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(5000, 20)).astype(np.float32)
    network = Network((20, 10, 20))
    parameters = network.unpack(network.initialise(rng).astype(X.dtype))
    step = CodePass(network, rated=True, solved=False, keeps=False)
    (rates,), _ = Rows(X).sum(step, *parameters, None)
    on, off = rates / rates.sum(axis=0)
    np.testing.assert_allclose(on + off, 1, rtol=3e-16)


@pytest.mark.parametrize("case", TABLE[::5], ids=name)
@pytest.mark.parametrize("block_size", [1, 3])
def test_any_number_of_threads_gives_the_same_bits(case, block_size):
    objective, theta = make_objective(
        **case,
    )
    value, gradient = with_rows(objective, block_size=block_size)(theta)
    for n_threads in (2, 3, 8):
        several = with_rows(objective, block_size=block_size, n_threads=n_threads)
        for _ in range(3):
            assert several(theta)[0] == value
            assert (several(theta)[1] == gradient).all()


@pytest.mark.parametrize("case", TABLE[::5], ids=name)
def test_several_blocks_in_each_of_two_lanes(case, monkeypatch):
    """As of very wide layers, where a block has few rows."""
    objective, theta = make_objective(**case)
    monkeypatch.setattr(blocks, "TWO_LANES_WORK", 1)
    monkeypatch.setattr(blocks, "MOST_WORK", 2 * objective.network.n_weights)
    of_two_rows = with_rows(objective, memory=0, block_size=None)
    value, gradient = of_two_rows(theta)
    lanes = of_two_rows.rows._lanes(objective.network).lanes
    assert [len(lane) > 1 for lane in lanes] == [True] * 2
    assert_same((value, gradient), objective(theta))
    parallel = with_rows(of_two_rows, n_threads=2)(theta)
    assert parallel[0] == value
    assert (parallel[1] == gradient).all()


@pytest.mark.parametrize("block_size", [1000, 5])
def test_a_gradient_stays_when_the_next_one_is_computed(block_size):
    objective, theta = make_objective(beta=0.5, block_size=block_size)
    _, gradient = objective(theta)
    before = gradient.copy()
    objective(theta + 1)
    assert (gradient == before).all()


@pytest.mark.parametrize("case", [c for c in TABLE if not c["weighted"]][::3], ids=name)
def test_integer_weights_are_repeated_rows(case):
    objective, theta = make_objective(**case)
    times = np.random.default_rng(2).integers(0, 4, size=len(objective.rows.X))
    repeated = take(objective, np.repeat(np.arange(len(times)), times))
    assert_same(with_rows(objective, sample_weight=times.astype(float))(theta), repeated(theta))
    assert_same(with_rows(objective, sample_weight=times * 1e-30)(theta), repeated(theta))


@pytest.mark.parametrize("case", TABLE[::9], ids=name)
def test_sparse_memory_mapped_and_fortran_rows(case, tmp_path):
    objective, theta = make_objective(**case)
    np.save(tmp_path / "X.npy", objective.rows.X)
    for X in (
        csr_array(objective.rows.X),
        np.asfortranarray(objective.rows.X),
        np.load(tmp_path / "X.npy", mmap_mode="r"),
    ):
        assert_same(with_rows(objective, X=X)(theta), objective(theta))


@pytest.mark.parametrize(
    ("hidden", "tied"), [((), False), ((4,), False), ((4, 3), False), ((4,), True)]
)
def test_weight_decay_alone(hidden, tied):
    """Two objectives that differ in lam only differ by lam / 2 times the squared weights."""
    with_it, theta = make_objective(hidden=hidden, lam=0.7, tied=tied)
    without = replace(with_it, lam=0.0)
    coefs, _ = with_it.network.unpack(theta)
    expected = 0.35 * sum((W**2).sum() for W in coefs)
    assert with_it(theta)[0] - without(theta)[0] == pytest.approx(expected, rel=1e-12)
    _, biases = with_it.network.unpack(with_it(theta)[1] - without(theta)[1])
    assert all((b == 0).all() for b in biases)


@pytest.mark.parametrize("activation", STEEPNESS)
@pytest.mark.parametrize("hidden", [(4,), (4, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparsity_penalty_alone(activation, hidden, weighted):
    """Two objectives that differ in beta only differ by beta times the KL divergence."""
    with_it, theta = make_objective(
        activation=activation, hidden=hidden, beta=1.3, weighted=weighted
    )
    A, expected = with_it.rows.X, 0.0
    coefs, intercepts = with_it.network.unpack(theta)
    for W, b in list(zip(coefs, intercepts, strict=True))[:-1]:
        A = definition(activation, np)(A @ W + b)
        on = np.average(rate(activation)(A), axis=0, weights=with_it.rows.sample_weight)
        expected += 1.3 * kl_sparsity(on, 1 - on, with_it.rho)[0]
    difference = with_it(theta)[0] - replace(with_it, beta=0.0)(theta)[0]
    assert difference == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("case", TABLE[::4], ids=name)
def test_some_of_the_rows(case):
    """The same as an objective on a copy of these rows; rows of rows too."""
    objective, theta = make_objective(**case)
    index = np.array([3, 3, 0, 16, 8, 5])
    copy = with_rows(
        objective,
        X=objective.rows.X[index],
        Y=None if objective.rows.Y is None else objective.rows.Y[index],
        sample_weight=None
        if objective.rows.sample_weight is None
        else objective.rows.sample_weight[index],
    )
    assert_same(take(objective, index)(theta), copy(theta))
    again = np.array([5, 1, 2])
    assert_same(take(take(objective, index), again)(theta), take(copy, again)(theta))


@pytest.mark.parametrize("form", [np.asarray, csr_array])
def test_data_are_the_rows_that_count(form):
    rng, index = np.random.default_rng(0), np.array([3, 0])
    X, Y, s = rng.uniform(size=(5, 4)).astype("f4"), rng.uniform(size=(5, 2)), np.arange(5.0)
    whole = Rows(form(X), Y, s)
    assert all(one is other for one, other in zip(whole.data(), (whole.X, Y, s), strict=True))
    rows, targets, weights = whole.take(index).data()
    assert (rows.shape, rows.dtype) == ((2, 4), np.float32)
    assert issparse(rows) == (form is csr_array)
    assert (dense(rows, slice(0, 2)) == X[index]).all()
    assert (targets == Y[index]).all()
    assert (weights == s[index]).all()
    assert Rows(form(X)).take(index).data()[1:] == (None, None)


def test_float32_rows_are_computed_on_in_float32():
    """All but the weight decay is that of the rounded weights, to the last bit."""
    objective, theta = make_objective(beta=1.0, lam=0.0)
    single = with_rows(objective, X=objective.rows.X.astype("f4"), Y=objective.rows.Y.astype("f4"))
    rounded = theta.astype("f4").astype(float)
    assert single(theta)[0] == single(rounded)[0]
    assert (single(theta)[1] == single(rounded)[1]).all()
    decaying = replace(single, lam=1e6)
    decay = weight_decay(objective.network.unpack(theta)[0], 1e6)[0]
    assert decaying(theta)[0] == pytest.approx(single(theta)[0] + decay, rel=1e-14)


@pytest.mark.parametrize("variable_projection", [False, True])
@pytest.mark.parametrize("memory", [0, 2**30])
def test_only_the_first_evaluation_allocates_blocks(memory, variable_projection):
    X = np.random.default_rng(0).uniform(size=(4096, 16))
    objective = Objective(
        Network((16, 16, 16, 16)),
        Rows(X, memory=memory),
        output_activation="identity",
        lam=0.1,
        beta=1.0,
        variable_projection=variable_projection,
    )
    theta = objective.reduce(objective.network.initialise(np.random.RandomState(0)))
    value, _ = objective(theta)
    tracemalloc.start()
    try:
        assert objective(theta)[0] == value
        assert tracemalloc.get_traced_memory()[1] < X.nbytes / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("weight", [None, 0.3])
def test_losses_of_float32_rows_are_summed_in_float64(weight):
    """The mean of a thousand equal numbers is this number."""
    objective, theta = make_objective(lam=0.0)
    s = None if weight is None else np.full(len(objective.rows.X), weight, "f4")
    single = with_rows(
        objective, X=objective.rows.X.astype("f4"), sample_weight=s, block_size=None
    )
    one, thousand = (take(single, np.zeros(n, int))(0 * theta)[0] for n in (1, 1000))
    assert thousand == pytest.approx(one, rel=1e-14)


def test_no_penalty_is_divided_by_the_number_of_rows():
    objective, theta = make_objective(beta=2.0)
    twice = take(objective, np.tile(np.arange(len(objective.rows.X)), 2))
    assert_same(twice(theta), objective(theta))


def test_an_overflow_shows_in_the_value_and_not_as_a_warning():
    objective, theta = make_objective(pair=("squared_error", "identity"))
    value, _ = objective(theta * 1e200)
    assert not np.isfinite(value)


# -- the same theta in scikit-learn's networks ----------------------------------------------


def sklearn_loss_and_gradient(net, X, Y, coefs, intercepts):
    """Value and gradient of scikit-learn's network at given weights."""
    n_layers = len(coefs) + 1
    net.n_layers_, net.n_outputs_ = n_layers, Y.shape[1]
    net.coefs_, net.intercepts_ = coefs, intercepts
    units = [X.shape[1], *(len(b) for b in intercepts)]
    activations = [X] + [None] * (n_layers - 1)
    deltas = [None] * (n_layers - 1)
    gradients = [np.empty_like(W) for W in coefs], [np.empty(n) for n in units[1:]]
    arguments = [X, Y, activations, deltas, *gradients]
    if "sample_weight" in net._backprop.__code__.co_varnames:
        arguments.insert(2, None)
    value, coef_grads, intercept_grads = net._backprop(*arguments)
    return value, np.concatenate([g.ravel() for g in coef_grads + intercept_grads])


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "identity"])  # what it has
@pytest.mark.parametrize("hidden", [(4,), (4, 3)])
@pytest.mark.parametrize("kind", ["multiclass", "binary", "regression"])
def test_equals_scikit_learn_at_the_same_theta(activation, hidden, kind):
    """With alpha = n_samples * lam; regression with one output, where its loss is right."""
    rng = np.random.default_rng(3)
    n_rows, n_outputs = 30, 4 if kind == "multiclass" else 1
    X = rng.normal(size=(n_rows, 6))
    labels = rng.integers(0, max(n_outputs, 2), size=n_rows)
    Y = np.eye(n_outputs)[labels] if kind == "multiclass" else labels[:, np.newaxis] * 1.0
    lam, output = 0.02, {"multiclass": "softmax", "binary": "logistic"}.get(kind, "identity")
    network = Network((6, *hidden, n_outputs), activation)
    theta = rng.normal(scale=0.5, size=network.n_params)
    loss = "squared_error" if kind == "regression" else "log_loss"
    ours = Objective(network, Rows(X, Y), loss=loss, output_activation=output, lam=lam)(theta)
    net = (MLPRegressor if kind == "regression" else MLPClassifier)(
        hidden_layer_sizes=hidden, activation=activation, alpha=n_rows * lam
    )
    net.out_activation_ = output
    if kind != "regression":
        net.loss = "log_loss"
    theirs = sklearn_loss_and_gradient(net, X, Y, *network.unpack(theta.copy()))
    assert_same(ours, theirs, rtol=1e-10)
