"""Variable projection: the output layer is the best one, and a fit ends where it should."""

import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from problems import make_objective, name, take, with_rows
from reference import KINKED, definition
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import train_test_split
from test_objective import assert_same

from skl_sae import MLPBackprop, MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop import projection
from skl_sae.backprop.activations import ACTIVATIONS, RANGES, STEEPNESS
from skl_sae.backprop.gradient_check import compare_gradient
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows
from skl_sae.backprop.solvers import minimise
from skl_sae.exceptions import CollapseWarning

LINEAR = ("squared_error", "identity")
CASES = [
    {
        "activation": activation,
        "hidden": hidden,
        "beta": beta,
        "weighted": weighted,
        "autoencoder": autoencoder,
    }
    for activation in ACTIVATIONS
    for hidden in [(4,), (4, 3), (3, 2, 4)]
    for beta in ([0.0, 2.0] if activation in STEEPNESS else [0.0])
    for weighted in (False, True)
    for autoencoder in (False, True)
]


def reduced(**case):
    """A reduced objective and the hidden layers to evaluate it at."""
    objective, theta = make_objective(LINEAR, variable_projection=True, **case)
    return objective, objective.reduce(theta)


def full(objective):
    """The same objective as a function of all parameters."""
    return replace(objective, variable_projection=False)


def parts(objective, theta):
    """The gradient of all parameters, cut into that of the hidden layers and of the last."""
    coefs, intercepts = objective.network.unpack(theta)
    last = np.concatenate([coefs[-1].ravel(), intercepts[-1]])
    return objective.network.hidden.pack(coefs[:-1], intercepts[:-1]), last


def code_of(objective, theta):
    """The code of each row in plain NumPy, and the target."""
    f, A = definition(objective.network.activation, np), objective.rows.X
    for W, b in zip(*objective.network.hidden.unpack(theta)):
        with np.errstate(over="ignore"):
            A = f(A @ W + b)
    Y = objective.rows.X if objective.rows.Y is None else objective.rows.Y
    rows = slice(None) if objective.rows.index is None else objective.rows.index
    return A[rows], Y[rows]


def check(objective, theta, **options):
    directions = np.random.default_rng(1).normal(size=(5, theta.size))
    name_of = objective.network.hidden.name_of
    return compare_gradient(
        objective, theta, range(theta.size), directions, name_of, **options
    ).max_relative_error


# -- the reduced objective ------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=name)
def test_gradient(case):
    """With kinks as in test_gradients: away from them, where rounding is larger."""
    if case["activation"] in KINKED:
        assert check(*reduced(**case), epsilon=1e-6) <= 1e-6
    else:
        assert check(*reduced(**case)) <= 1e-7


def too_much_decay(moments, total_weight, reference, lam, rounding):
    return projection.solve_output(moments, total_weight, reference, 1.001 * lam, rounding)


def centred_wrongly(moments, total_weight, reference, lam, rounding):
    code, *others = moments
    wrong = projection.Moments(code + 0.1 * total_weight, *others)
    return projection.solve_output(wrong, total_weight, reference, lam, rounding)


def no_intercept(moments, total_weight, reference, lam, rounding):
    W, b = projection.solve_output(moments, total_weight, reference, lam, rounding)
    return W, 0 * b


def weights_forgotten(moments, total_weight, reference, lam, rounding):
    return projection.solve_output(moments, total_weight * 1.001, reference, lam, rounding)


@pytest.mark.parametrize(
    "mistake", [too_much_decay, centred_wrongly, no_intercept, weights_forgotten]
)
@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in KINKED])
def test_the_gradient_check_sees_a_wrong_output_layer(mistake, activation, monkeypatch):
    monkeypatch.setattr("skl_sae.backprop.objective.solve_output", mistake)
    assert check(*reduced(activation=activation, hidden=(4, 3), lam=0.01)) > 1e-6


@pytest.mark.parametrize("case", CASES, ids=name)
def test_value_and_gradient_are_the_ordinary_ones_at_the_best_output_layer(case):
    objective, theta = reduced(**case)
    value, gradient = objective(theta)
    expected, all_of_it = full(objective)(objective.expand(theta))
    assert value == pytest.approx(expected, rel=1e-12)
    hidden, last = parts(objective, all_of_it)
    scale = np.abs(all_of_it).max()
    np.testing.assert_allclose(last, 0, atol=1e-13 * max(scale, 1))
    np.testing.assert_allclose(gradient, hidden, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("case", CASES[::3], ids=name)
def test_reduce_undoes_expand(case):
    objective, theta = reduced(**case)
    assert (objective.reduce(objective.expand(theta)) == theta).all()


def test_an_ordinary_objective_is_one_of_all_parameters():
    objective, theta = make_objective(LINEAR)
    assert objective.reduce(theta) is theta
    assert objective.expand(theta) is theta


def test_expand_is_right_whatever_was_evaluated_before():
    """SciPy gives the objective one array, and changes it in place."""
    objective, theta = reduced(hidden=(4, 3))
    others = [theta + 0.1, theta - 0.1]
    expected = [replace(objective).expand(other) for other in others]
    assert not np.allclose(*expected)
    objective(others[0])
    assert (objective.expand(others[1]) == expected[1]).all()
    assert (objective.expand(others[0]) == expected[0]).all()
    moving = others[0].copy()
    objective(moving)
    moving[:] = others[1]
    assert (objective.expand(moving) == expected[1]).all()


def test_expand_after_an_evaluation_costs_none(monkeypatch):
    calls = []

    class Counted(Objective):
        def __call__(self, theta):
            calls.append(1)
            return super().__call__(theta)

    plain, theta = make_objective(LINEAR, variable_projection=True, hidden=(4,))
    fields = {field: getattr(plain, field) for field in Objective.__dataclass_fields__}
    found = minimise(Counted(**fields), theta, max_iter=30, tol=1e-6)
    assert found.status == "converged"
    assert found.theta.size == theta.size
    assert len(calls) == found.n_evaluations


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("lam", [1e-3, 1.0])
@pytest.mark.parametrize("case", CASES[::7], ids=name)
def test_the_output_layer_is_ridge_regression_on_the_code(case, lam, offset):
    objective, theta = reduced(**case, lam=lam)
    Y = np.random.default_rng(5).normal(size=(len(objective.rows.X), objective.network.sizes[-1]))
    objective = with_rows(objective, Y=Y + offset)
    s = objective.rows.sample_weight
    total = len(Y) if s is None else s.sum()
    code, target = code_of(objective, theta)
    ridge = Ridge(alpha=lam * total, solver="cholesky").fit(code, target, sample_weight=s)
    coefs, intercepts = objective.network.unpack(objective.expand(theta))
    accuracy = 1e-9 * (1 + offset) if lam < 1 else 1e-11 * (1 + offset)
    np.testing.assert_allclose(coefs[-1].T, ridge.coef_, rtol=0, atol=accuracy)
    np.testing.assert_allclose(intercepts[-1], ridge.intercept_, rtol=0, atol=accuracy)


@pytest.mark.parametrize("case", [c for c in CASES if not c["weighted"]][::3], ids=name)
def test_integer_weights_are_repeated_rows(case):
    objective, theta = reduced(**case)
    times = np.random.default_rng(2).integers(0, 4, size=len(objective.rows.X))
    repeated = take(objective, np.repeat(np.arange(len(times)), times))
    for factor in (1.0, 1e-30):
        weighted = with_rows(objective, sample_weight=times * factor)
        assert_same(weighted(theta), repeated(theta))
        np.testing.assert_allclose(weighted.expand(theta), repeated.expand(theta), atol=1e-12)


@pytest.mark.parametrize("case", CASES[::5], ids=name)
def test_blocks_threads_and_memory_change_nothing(case):
    objective, theta = reduced(**case)
    expected = objective(theta)
    assert objective._keeps
    for block_size in (1, 2, 16, 17, 1000, None):
        one = with_rows(objective, block_size=block_size)
        assert_same(one(theta), expected)
        for n_threads in (2, 8):
            several = with_rows(one, n_threads=n_threads)
            value, gradient = several(theta)
            assert value == one(theta)[0]
            assert (gradient == one(theta)[1]).all()
            assert (several.expand(theta) == one.expand(theta)).all()
    again = with_rows(objective, memory=0)
    assert_same(again(theta), expected)
    assert not again._keeps


@pytest.mark.parametrize("case", CASES[::5], ids=name)
def test_some_of_the_rows(case):
    objective, theta = reduced(**case)
    index = np.array([3, 3, 0, 16, 8, 5])
    cut = {
        field: None if array is None else array[index]
        for field, array in [
            ("X", objective.rows.X),
            ("Y", objective.rows.Y),
            ("sample_weight", objective.rows.sample_weight),
        ]
    }
    copy, again = with_rows(objective, **cut), np.array([5, 1, 2])
    assert_same(take(objective, index)(theta), copy(theta))
    assert_same(take(take(objective, index), again)(theta), take(copy, again)(theta))


@pytest.mark.parametrize("case", CASES[::9], ids=name)
def test_sparse_memory_mapped_and_fortran_rows(case, tmp_path):
    objective, theta = reduced(**case)
    np.save(tmp_path / "X.npy", objective.rows.X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for X in (csr_array(objective.rows.X), np.asfortranarray(objective.rows.X), mapped):
        assert_same(with_rows(objective, X=X)(theta), objective(theta))


@pytest.mark.parametrize("case", CASES[::4], ids=name)
def test_float32_is_float64_to_single_precision(case):
    objective, theta = reduced(**case)
    value, gradient = objective(theta)
    single = {
        field: None if array is None else array.astype(np.float32)
        for field, array in [
            ("X", objective.rows.X),
            ("Y", objective.rows.Y),
            ("sample_weight", objective.rows.sample_weight),
        ]
    }
    value32, gradient32 = with_rows(objective, **single)(theta)
    assert gradient32.dtype == np.float64
    assert value32 == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(gradient32, gradient, atol=1e-5 * np.abs(gradient).max())


def test_a_code_far_from_zero_loses_nothing():
    """The intercept of the output layer makes up for that of the code."""
    objective, theta = reduced(activation="identity", lam=1e-3)
    _, intercepts = objective.network.hidden.unpack(theta)
    values = []
    for intercepts[0][:] in (0.0, 1e6):
        values.append(objective(theta)[0])
    assert values[1] == pytest.approx(values[0], rel=1e-7)


def test_the_best_output_layer_is_used_in_the_precision_of_the_rows():
    objective, theta = reduced(lam=1e-4)
    single = with_rows(objective, X=objective.rows.X.astype("f4"), Y=objective.rows.Y.astype("f4"))
    assert single(theta)[0] == pytest.approx(full(single)(single.expand(theta))[0], rel=1e-14)


# -- where the system for the output layer is not determined --------------------------------


def output_weights(variances, reference=(0.0, 0.0), right=((1.0,), (1.0,))):
    """Of two uncorrelated units, where one part in a thousand of every sum is rounding."""
    moments = projection.Moments(np.zeros(2), np.zeros(1), np.diag(variances), np.array(right))
    return projection.solve_output(moments, 1.0, np.array(reference), 0.0, 1e-3)[0].ravel()


@pytest.mark.parametrize(
    ("variance", "reference", "determined"),
    [
        (0.0204, (0.0, 0.0), True),  # 10 * 0.001 * (2 + 0.0204) is less
        (0.0200, (0.0, 0.0), False),
        (0.1525, (2.0, 3.0), True),  # of the codes themselves (0.1 * 2)^2 + (0.1 * 3)^2
        (0.1500, (2.0, 3.0), False),
    ],
)
def test_a_unit_that_varies_less_than_rounding_gets_no_weight(variance, reference, determined):
    expected = [0.5, 1 / variance if determined else 0]
    np.testing.assert_allclose(output_weights([2, variance], reference), expected, rtol=1e-12)


def test_units_that_do_not_vary_get_no_weight():
    assert (output_weights([0.0, 0.0]) == 0).all()


def test_an_output_layer_of_sums_that_overflowed_is_nan():
    with np.errstate(invalid="ignore"):
        assert np.isnan(output_weights([1, np.inf])).all()
        assert np.isnan(output_weights([1, 1], right=[[1.0], [np.inf]])).all()


def duplicates(coefs, intercepts):
    coefs[-1][:, 1] = coefs[-1][:, 0]
    intercepts[-1][1] = intercepts[-1][0]


def constant_units(coefs, intercepts):
    coefs[-1][:, :2] = 0
    intercepts[-1][:2] = [1e3, -1e3]


def constant_code(coefs, intercepts):
    coefs[-1][:] = 0


def as_it_is(coefs, intercepts):
    pass


@pytest.mark.parametrize("n_rows", [17, 2, 1])
@pytest.mark.parametrize("code", [as_it_is, duplicates, constant_units, constant_code])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_weight_decay_it_is_least_squares(activation, code, n_rows):
    """Also where there are several solutions, or more units than rows."""
    for hidden, offset in product([(4,), (3, 4), (40,)], [0.0, 1e3]):
        objective, theta = reduced(activation=activation, hidden=hidden, lam=0.0)
        code(*objective.network.hidden.unpack(theta))
        objective = take(with_rows(objective, Y=objective.rows.Y + offset), np.arange(n_rows))
        value, gradient = objective(theta)
        assert np.isfinite(gradient).all()
        assert np.isfinite(objective.expand(theta)).all()
        A, Y = code_of(objective, theta)
        design = np.column_stack([A, np.ones(n_rows)])
        errors = design @ np.linalg.lstsq(design, Y)[0] - Y
        assert value <= 0.5 * (errors**2).sum() / n_rows + 1e-12 * (1 + offset)


@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_constant_targets(lam):
    objective, theta = reduced(lam=lam)
    objective = with_rows(objective, Y=np.full_like(objective.rows.Y, 7.0))
    value, _ = objective(theta)
    decay = 0.5 * lam * (objective.network.hidden.unpack(theta)[0][0] ** 2).sum()
    assert value == pytest.approx(decay, rel=1e-12, abs=1e-20)
    coefs, intercepts = objective.network.unpack(objective.expand(theta))
    np.testing.assert_allclose(coefs[1], 0, atol=1e-11)
    np.testing.assert_allclose(intercepts[1], 7, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e-1, 1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_code_that_hardly_varies_does_no_harm(activation, scale, dtype):
    """The best output layer is at least as good as the mean target for every row."""
    for seed, n_units in product(range(3), [4, 12, 40]):
        rng = np.random.default_rng(seed)
        network = Network((5, n_units, 3), activation)
        Y = rng.normal(size=(17, 3)).astype(dtype)
        objective = Objective(
            network,
            Rows(rng.normal(size=(17, 5)).astype(dtype), Y),
            output_activation="identity",
            variable_projection=True,
        )
        theta = network.hidden.initialise(rng)
        coefs, intercepts = network.hidden.unpack(theta)
        coefs[0][:] *= scale
        intercepts[0][:] = rng.normal(size=n_units)
        value, _ = objective(theta)
        of_the_mean = 0.5 * Y.astype(float).var(axis=0).sum()
        assert value <= of_the_mean * (1 + 10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("activation", [name for name in RANGES if RANGES[name][1] == np.inf])
@pytest.mark.parametrize("lam", [0.0, 0.3])
@pytest.mark.parametrize("factor", [1e100, 1e200, np.inf])
def test_an_overflow_shows_in_the_value_and_not_as_a_warning(activation, lam, factor):
    objective, theta = reduced(activation=activation, lam=lam, autoencoder=True)
    value, _ = with_rows(objective, X=objective.rows.X * factor)(np.abs(theta) * 1e100)
    assert not np.isfinite(value)


# -- the estimators -------------------------------------------------------------------------

IRIS = load_iris().data / 8
DIGITS = load_digits().data / 16
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
DIABETES, PROGRESS = DIABETES * 20, (PROGRESS - 150) / 75
SAE = SparseAutoencoder(
    3, output_activation="identity", lam=1e-3, beta=0.3, rho=0.2, max_iter=5000, random_state=0
)
NET = MLPBackpropRegressor((4,), lam=3e-2, max_iter=5000, random_state=0)
BOTH = pytest.mark.parametrize(
    ("estimator", "X", "y"), [(SAE, IRIS, None), (NET, DIABETES, PROGRESS)], ids=["sae", "net"]
)
stops_short = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::skl_sae.exceptions.CollapseWarning"
)


def objective_of(fitted, X, y=None, sample_weight=None):
    """The objective that was minimised, built by hand, and the fitted weights."""
    if y is not None:
        y = (y.reshape(len(y), -1) - fitted.target_offset_) / fitted.target_scale_
    network = Network((X.shape[1], *(len(b) for b in fitted.intercepts_)), fitted.activation_)
    objective = Objective(
        network,
        Rows(X, y, sample_weight),
        output_activation="identity",
        lam=fitted.lam,
        beta=fitted.beta,
        rho=fitted.rho,
    )
    return objective, network.pack(fitted.coefs_, fitted.intercepts_)


def fit(estimator, X, y=None, sample_weight=None, projects=True, **params):
    params = {"variable_projection": projects} | params
    return clone(estimator).set_params(**params).fit(X, y, sample_weight=sample_weight)


def assert_honest(fitted, X, y=None, sample_weight=None):
    """What a fit says of its objective and its iterations is true."""
    objective, theta = objective_of(fitted, X, y, sample_weight)
    assert fitted.loss_ == pytest.approx(objective(theta)[0], rel=1e-12)
    assert fitted.loss_ == pytest.approx(fitted.loss_curve_[-1], rel=1e-14)
    assert fitted.stage_lengths_.sum() == fitted.n_iter_ == len(fitted.loss_curve_)
    assert fitted.stage_lengths_ @ fitted.stage_shares_ <= fitted.max_iter


@BOTH
@pytest.mark.parametrize("weighted", [False, True])
def test_it_ends_at_the_same_minimum(estimator, X, y, weighted):
    s = np.linspace(0.2, 1, len(X)) if weighted else None
    with_it, without = (fit(estimator, X, y, s, projects, tol=1e-7) for projects in (True, False))
    for fitted in (with_it, without):
        assert fitted.converged_
        assert_honest(fitted, X, y, s)
        objective, theta = objective_of(fitted, X, y, s)
        assert np.abs(objective(theta)[1]).max() < 1e-7
    assert len(with_it.stage_lengths_) == 2
    assert len(without.stage_lengths_) == 1
    assert with_it.loss_ == pytest.approx(without.loss_, rel=1e-6)


@stops_short
@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_fewer_iterations_to_the_same_objective(beta):
    sae = SparseAutoencoder(
        16, output_activation="identity", beta=beta, max_iter=150, random_state=0
    )
    with_it, without = (fit(sae, DIGITS, projects=projects) for projects in (True, False))
    assert np.argmax(with_it.loss_curve_ <= without.loss_) in range(1, 75)


@stops_short
@BOTH
@pytest.mark.parametrize("max_iter", [1, 2, 3, 20])
@pytest.mark.parametrize("growing_samples", [True, False])
def test_max_iter(estimator, X, y, max_iter, growing_samples):
    fitted = fit(estimator, X, y, max_iter=max_iter, growing_samples=growing_samples, tol=0)
    assert max_iter - 1 < fitted.stage_lengths_ @ fitted.stage_shares_ <= max_iter
    assert_honest(fitted, X, y)


def test_five_stages_with_growing_samples():
    s = np.random.default_rng(0).uniform(size=len(DIGITS))
    fitted = fit(SAE, DIGITS, sample_weight=s, growing_samples=True, tol=1e-4)
    assert len(fitted.stage_lengths_) == 5
    assert fitted.stage_shares_.tolist() == [1 / 32, 1 / 8, 1 / 2, 1, 1]
    assert fitted.converged_
    assert_honest(fitted, DIGITS, sample_weight=s / s.max())
    objective, theta = objective_of(fitted, DIGITS, sample_weight=s)
    assert np.abs(objective(theta)[1]).max() < 1e-3


def test_no_weight_decay():
    fitted = fit(SAE, IRIS, lam=0.0, tol=1e-7)
    assert fitted.converged_
    assert_honest(fitted, IRIS)
    objective, theta = objective_of(fitted, IRIS)
    assert np.abs(objective(theta)[1]).max() < 1e-4


@pytest.mark.parametrize("hidden", [(4,), (5, 4)])
def test_a_linear_network_without_weight_decay_is_least_squares(hidden):
    net = fit(
        NET,
        DIABETES,
        PROGRESS,
        hidden_layer_sizes=hidden,
        activation="identity",
        lam=0.0,
        tol=1e-7,
    )
    assert net.converged_
    assert_honest(net, DIABETES, PROGRESS)
    design = np.column_stack([DIABETES, np.ones(len(DIABETES))])
    errors = design @ np.linalg.lstsq(design, PROGRESS)[0] - PROGRESS
    assert net.loss_ == pytest.approx(0.5 * (errors**2).mean() / PROGRESS.var(), rel=1e-10)


def test_a_linear_autoencoder_without_weight_decay_is_pca():
    sae = fit(SAE, DIGITS, n_components=5, activation="identity", lam=0.0, beta=0.0, tol=1e-8)
    assert sae.converged_
    assert_honest(sae, DIGITS)
    variances = PCA().fit(DIGITS).explained_variance_ * (1 - 1 / len(DIGITS))
    assert sae.loss_ == pytest.approx(0.5 * variances[5:].sum(), rel=1e-8)


@stops_short
@BOTH
@pytest.mark.parametrize("lam", [0.0, 1e-4])
def test_warm_start_goes_on(estimator, X, y, lam):
    fitted = fit(estimator, X, y, warm_start=True, max_iter=7, lam=lam)
    losses = [fitted.loss_] + [fitted.fit(X, y).loss_ for _ in range(4)]
    assert (np.diff(losses) <= 0).all()
    assert losses[-1] < losses[0]


def test_early_stopping_keeps_the_best():
    options = {"early_stopping": True, "n_iter_no_change": 5, "tol": 1e-3, "lam": 1e-4}
    net = fit(NET, DIABETES, PROGRESS, **options)
    scores = net.validation_scores_
    assert len(scores) == net.n_iter_ == len(net.loss_curve_) == net.stage_lengths_.sum()
    kept, held_out = train_test_split(np.arange(len(PROGRESS)), test_size=0.1, random_state=0)
    found = net.score(DIABETES[held_out], PROGRESS[held_out])
    assert net.best_validation_score_ == scores.max() == pytest.approx(found, rel=1e-12)
    objective, theta = objective_of(net, DIABETES[kept], PROGRESS[kept])
    assert net.loss_ == pytest.approx(objective(theta)[0], rel=1e-12)


@stops_short
def test_verbose_prints_every_iteration(capsys):
    fitted = fit(SAE, DIGITS, verbose=1, growing_samples=True, max_iter=30)
    lines = capsys.readouterr().out.splitlines()
    words = [line.split() for line in lines]
    assert [int(line[2]) for line in words] == list(range(1, fitted.n_iter_ + 1))
    np.testing.assert_allclose([float(line[4]) for line in words], fitted.loss_curve_, rtol=1e-7)


@stops_short
@BOTH
@pytest.mark.parametrize("growing_samples", [True, False])
def test_deterministic(estimator, X, y, growing_samples):
    options = {"growing_samples": growing_samples, "max_iter": 30, "n_init": 2}
    one, other = (fit(estimator, X, y, **options) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one.coefs_, other.coefs_, strict=True))
    third = fit(estimator, X, y, random_state=1, **options)
    assert (third.coefs_[0] != one.coefs_[0]).any()


@BOTH
def test_float32_ends_where_float64_does(estimator, X, y):
    single = fit(estimator, X.astype(np.float32), y)
    assert {part.dtype for part in single.coefs_ + single.intercepts_} == {np.dtype("float32")}
    assert single.loss_ == pytest.approx(fit(estimator, X, y).loss_, rel=1e-4)


@stops_short
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_auto_does_no_harm_where_rounding_drowns_the_weight_decay(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    Y = np.sin(2 * X[:, :3]) + rng.normal(size=(200, 3))
    net = MLPBackpropRegressor(
        (20,), activation="logistic", lam=1e-8, max_iter=200, random_state=0
    )
    auto, without = (fit(net, (X / 10).astype(dtype), Y, projects=p) for p in ("auto", False))
    assert auto.loss_ <= 1.02 * without.loss_


def test_several_layers_and_outputs():
    Y = np.column_stack([PROGRESS, DIABETES[:, 0] ** 2, 1e3 + PROGRESS**2])
    net = fit(NET, DIABETES, Y, hidden_layer_sizes=(5, 4), tol=1e-4)
    assert net.converged_
    assert_honest(net, DIABETES, Y)
    objective, theta = objective_of(net, DIABETES, Y)
    assert np.abs(objective(theta)[1]).max() < 1e-2


@stops_short  # or collapses
@pytest.mark.parametrize("lam", [0.0, 1e-2])
@pytest.mark.parametrize("projects", [True, "auto"])
@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_few_rows(n_rows, projects, lam):
    fitted = fit(SAE, IRIS[:n_rows], projects=projects, growing_samples=True, lam=lam)
    objective, theta = objective_of(fitted, IRIS[:n_rows])
    value, gradient = objective(theta)
    assert fitted.loss_ == pytest.approx(value, rel=1e-12)
    assert np.abs(gradient).max() < 1e-4


def test_an_overflow_is_reported_and_changes_nothing():
    fitted = fit(SAE, IRIS, activation="relu", beta=0.0)
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match="Scale the data"):
        fitted.fit(IRIS * 1e200)
    assert vars(fitted) == before


# -- "auto", and what can't be ------------------------------------------------------------


def projects(estimator, X, y=None):
    """Whether a fit that stops at its start would have run on the hidden layers first."""
    with warnings.catch_warnings(action="ignore", category=CollapseWarning):
        return len(clone(estimator).set_params(tol=1e9).fit(X, y).stage_lengths_) == 2


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (SAE, True),
        (clone(SAE).set_params(lam=1e-10), True),
        (clone(SAE).set_params(warm_start=True), True),
        (clone(SAE).set_params(n_components=33), False),  # 33² > 4 (4 * 33 + 33 * 4)
        (clone(SAE).set_params(n_components=32), True),
        (clone(SAE).set_params(lam=0.0), False),
        (clone(SAE).set_params(output_activation="logistic"), False),
        (clone(SAE).set_params(output_activation="logistic", loss="log_loss"), False),
        (clone(SAE).set_params(output_activation="tanh"), False),
        (clone(SAE).set_params(tied_weights=True), False),
        (clone(SAE).set_params(variable_projection=False), False),
        (clone(SAE).set_params(variable_projection=True, lam=0.0), True),
        (clone(SAE).set_params(variable_projection=True, n_components=33), True),
        (clone(SAE).set_params(solver="cg"), False),
        (clone(SAE).set_params(solver="sgd"), False),
    ],
)
def test_auto_of_the_autoencoder(estimator, expected):
    assert projects(estimator, IRIS) == expected


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (NET, True),
        (clone(NET).set_params(hidden_layer_sizes=(30, 4)), True),
        (clone(NET).set_params(hidden_layer_sizes=()), False),
        (clone(NET).set_params(hidden_layer_sizes=(4, 30)), False),
        (clone(NET).set_params(early_stopping=True), True),
        (clone(NET).set_params(lam=0), False),
        (clone(NET).set_params(solver="cg"), False),
        (clone(NET).set_params(solver="sgd"), False),
        (MLPBackprop((4,), task="regression"), True),
        (MLPBackprop((4,), task="classification"), False),
        (MLPBackprop((4,), task="classification", loss="squared_error"), False),
        (MLPBackpropClassifier((4,)), False),
    ],
)
def test_auto_of_the_networks(estimator, expected):
    assert projects(estimator, DIABETES, (PROGRESS > 0).astype(int)) == expected


def test_auto_needs_more_weight_decay_in_float32():
    """As much as the docstring says."""
    rows = IRIS.astype(np.float32)
    assert not projects(clone(SAE).set_params(lam=5.9e-6), rows)
    assert projects(clone(SAE).set_params(lam=6e-6), rows)
    assert projects(clone(SAE).set_params(lam=1e-12), IRIS)


def test_auto_needs_as_many_rows_as_units():
    sae = clone(SAE).set_params(n_components=9)
    assert projects(sae, DIGITS[:9])
    assert not projects(sae, DIGITS[:8])


REFUSED = [
    clone(SAE).set_params(output_activation="logistic"),
    clone(SAE).set_params(output_activation="tanh"),
    clone(SAE).set_params(output_activation="logistic", loss="log_loss"),
    clone(SAE).set_params(tied_weights=True),
    clone(SAE).set_params(solver="cg"),
    clone(SAE).set_params(solver="sgd"),
    clone(NET).set_params(hidden_layer_sizes=()),
    clone(NET).set_params(solver="cg"),
    MLPBackprop((4,), task="classification"),
    MLPBackprop((4,), task="classification", loss="squared_error"),
]


@stops_short
@pytest.mark.parametrize("estimator", REFUSED)
def test_what_cannot_be_projected_is_refused_in_one_sentence(estimator):
    estimator = clone(estimator).set_params(variable_projection=True)
    with pytest.raises(ValueError, match="variable_projection=True needs") as refused:
        estimator.fit(IRIS, np.arange(len(IRIS)) % 2)
    text = str(refused.value)
    assert text.endswith(".")
    assert text.count(". ") == 0
    assert not hasattr(estimator, "coefs_")
    assert estimator.set_params(variable_projection="auto", tol=1e9).fit(
        IRIS, np.arange(len(IRIS)) % 2
    )


@pytest.mark.parametrize("value", ["yes", None, 2])
def test_only_auto_and_booleans(value):
    with pytest.raises(ValueError, match="variable_projection"):
        clone(SAE).set_params(variable_projection=value).fit(IRIS)


def test_a_classifier_has_no_such_parameter():
    assert "variable_projection" not in MLPBackpropClassifier().get_params()
    assert "variable_projection" not in MLPBackpropClassifier.__doc__
    with pytest.raises(TypeError):
        MLPBackpropClassifier(variable_projection=True)
