"""Mini-batches and the solvers that step by them: gradients, order, precision, memory, endings."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import TABLE, make_objective, name, with_rows
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skl_sae import (
    LossCurveDisplay,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    SparseAutoencoder,
)
from skl_sae._training import LEAST_EPOCHS, MOST_EPOCHS, epochs
from skl_sae.backprop import batches as engine
from skl_sae.backprop.batches import Batches
from skl_sae.backprop.blocks import LazyRows
from skl_sae.backprop.coordinates import Coordinates
from skl_sae.backprop.descent import WARM_UP, Adam, Nesterov, annealed, rate_on_trial
from skl_sae.backprop.solvers import minimise

X, y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
UNIT = (X - X.min(axis=0)) / np.ptp(X, axis=0)
BY_STEPS = ("adam", "sgd")


def net(**params):
    return MLPBackpropClassifier(
        **{"hidden_layer_sizes": (5,), "solver": "adam", "random_state": 0, **params}
    )


def rng():
    return np.random.RandomState(0)


# -- the engine -----------------------------------------------------------------------------


@pytest.mark.parametrize("part_work", [engine.PART_WORK, 20])
@pytest.mark.parametrize("case", TABLE[::2], ids=name)
def test_a_batch_has_the_value_and_the_gradient_of_the_objective_on_its_rows(
    case, part_work, monkeypatch
):
    monkeypatch.setattr(engine, "PART_WORK", part_work)
    monkeypatch.setattr(engine, "PART_ROWS", 1)
    objective, theta = make_objective(**case)
    batches = Batches(objective, 6, rng())
    assert (len(batches.parts) > 1) == (part_work == 20)
    for batch in batches():
        rows, places = batch.args
        assert len(places) in (5, 6)
        value, gradient = batch(theta)
        expected, expected_gradient = objective.on(rows.take(places))(theta)
        assert value == pytest.approx(expected, rel=1e-13)
        assert_allclose(gradient, expected_gradient, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("case", TABLE[::7], ids=name)
def test_the_value_alone_is_that_of_the_objective(case):
    objective, theta = make_objective(**case)
    value, _ = objective(theta)
    for size in (7, 1):  # with one row in a block, lanes have several blocks
        blocks = with_rows(objective, block_size=size)
        assert blocks.value(theta) == pytest.approx(value, rel=1e-14)


def test_nothing_is_made_anew_for_a_batch():
    objective, theta = make_objective(beta=2.0, weighted=True)
    batches = Batches(objective, 5, rng())
    gradients = [batch(theta)[1] for _ in range(2) for batch in batches()]
    assert len({id(gradient) for gradient in gradients}) == 1


def epoch_of(objective, theta, **options):
    """Values and gradients of an epoch."""
    batches = Batches(objective, 5, rng(), **options)
    return [(value, gradient.copy()) for value, gradient in (batch(theta) for batch in batches())]


def same(first, second, **tolerance):
    for (value, gradient), (other, other_gradient) in zip(first, second, strict=True):
        assert_allclose(value, other, **tolerance)
        assert_allclose(gradient, other_gradient, **tolerance)


def test_the_form_of_the_rows_does_not_matter():
    objective, theta = make_objective(beta=2.0)
    X = objective.rows.X * (objective.rows.X > 0.4)
    expected = epoch_of(with_rows(objective, X=X), theta)
    double = with_rows(
        objective, X=np.repeat(X, 2, axis=0), Y=np.repeat(objective.rows.Y, 2, axis=0)
    )
    strided = double.on(double.rows.take(np.arange(0, 34, 2)))
    forms = [np.asfortranarray(X), csr_array(X), LazyRows(X, X.dtype)]
    for other in [*(with_rows(objective, X=form) for form in forms), strided]:
        same(epoch_of(other, theta), expected, rtol=0)


def test_single_precision_is_kept():
    objective, theta = make_objective(beta=2.0, weighted=True)
    rows = objective.rows
    single = replace(
        rows,
        X=rows.X.astype("f"),
        Y=rows.Y.astype("f"),
        sample_weight=rows.sample_weight.astype("f"),
    )
    batches = Batches(objective.on(single), 5, rng())
    assert batches.dtype == np.float32
    for batch in batches():
        assert batch(theta.astype("f"))[1].dtype == np.float32
    same(epoch_of(objective.on(single), theta.astype("f")), epoch_of(objective, theta), rtol=1e-3)


@pytest.mark.parametrize("options", [{}, {"shuffle": False}])
def test_files_are_mixed_by_blocks_and_every_row_is_taken_once(options, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "FILE_BLOCK", 160)  # four rows
    monkeypatch.setattr(engine, "MIXED_BLOCKS", 3)
    numbers = np.arange(100.0).reshape(20, 5)
    file = np.memmap(tmp_path / "rows", dtype=float, mode="w+", shape=(20, 5))
    file[:] = numbers
    objective, _ = make_objective(autoencoder=True)
    for form in (file, np.asarray(file), LazyRows(file, np.float64)):
        batches = Batches(with_rows(objective, X=form), 6, rng(), **options)
        taken = [rows.X[places] for rows, places in (batch.args for batch in batches())]
        assert [len(rows) for rows in taken] == [6, 6, 4, 4]
        first = np.concatenate(taken)[:, 0]
        assert (np.sort(first) == numbers[:, 0]).all()
        assert (first == numbers[:, 0]).all() == ("shuffle" in options)


def test_weights_choose_the_rows_and_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(engine, "PART_WORK", 100)
    monkeypatch.setattr(engine, "PART_ROWS", 1)
    objective, theta = make_objective(weighted=True, beta=2.0)
    weights = objective.rows.sample_weight.copy()
    weights[::3] = 0
    objective = with_rows(objective, sample_weight=weights)
    taken = np.concatenate([batch.args[1] for batch in Batches(objective, 4, rng())()])
    assert (np.sort(taken) == np.flatnonzero(weights)).all()
    expected = epoch_of(objective, theta)
    for n_threads in (2, 3, 8):
        same(epoch_of(with_rows(objective, n_threads=n_threads), theta), expected, rtol=0)


# -- the steps ------------------------------------------------------------------------------


def test_steps_of_adam_are_those_of_the_paper():
    noise = np.random.default_rng(0)
    theta = noise.normal(size=5)
    expected, m, v, step = theta.copy(), np.zeros(5), np.zeros(5), Adam(theta, size=1.0)
    assert type(step.epsilon) is float  # a scalar of NumPy would slow float32 down
    for t in range(1, 30):
        g = noise.normal(size=5)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected -= 0.01 * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t))
        step(theta, g, 0.01)
    assert_allclose(theta, expected, rtol=1e-5)


def test_adam_steps_in_pieces(monkeypatch):
    gradients, thetas = np.random.default_rng(0).normal(size=(9, 5)), np.zeros((2, 5))
    whole = Adam(thetas[0], 1.0)
    monkeypatch.setattr(Adam, "PIECE", 2)
    pieces = Adam(thetas[1], 1.0)
    for gradient in gradients:
        whole(thetas[0], gradient, 0.1)
        monkeypatch.setattr(Adam, "PIECE", 2)
        pieces(thetas[1], gradient, 0.1)
        monkeypatch.undo()
    assert_array_equal(thetas[1], thetas[0])


def test_adam_steps_in_its_coordinates():
    """A step of a in x = theta / unit is a step of a unit in theta."""
    unit, start = np.array([1.0, 2, 4]), np.array([1.0, -1, 2])
    options = {"solver": "adam", "learning_rate": 0.1, "max_iter": 1, "tol": 0}
    found = minimise(
        lambda theta: (float(theta @ theta), 2 * theta),
        start,
        coordinates=Coordinates(unit=unit),
        **options,
    )
    assert_allclose(found.theta, start - 0.1 * unit * np.sign(start), rtol=1e-7)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_of_gradient_descent_are_those_of_nesterov(momentum):
    noise = np.random.default_rng(0)
    theta = noise.normal(size=5)
    ahead, velocity, step = theta.copy(), np.zeros(5), Nesterov(theta, momentum)
    for _ in range(20):
        gradient = noise.normal(size=5)
        velocity = momentum * velocity - 0.1 * gradient
        ahead += momentum * velocity - 0.1 * gradient
        step(theta, gradient, 0.1)
    assert_allclose(theta, ahead, rtol=1e-12)


def test_the_schedule_goes_up_and_down():
    shares = np.linspace(0, 1, 101)
    lengths = np.array([annealed(share) for share in shares])
    top = int(100 * WARM_UP)
    assert (lengths[0], lengths[top], lengths[-1], annealed(2)) == (0, 1, 0, 0)
    assert (np.diff(lengths[: top + 1]) > 0).all()
    assert (np.diff(lengths[top:]) < 0).all()


def test_the_rate_on_trial_is_of_use_at_any_scale_of_the_objective():
    objective, theta = make_objective(hidden=(4,))
    for size in (1e-2, 1.0, 10.0):
        scaled = lambda theta, size=size: tuple(size * part for part in objective(theta))  # noqa: E731
        rate = rate_on_trial(scaled, theta, 0.9)
        found = minimise(
            scaled, theta, solver="sgd", max_iter=200, tol=0, learning_rate=rate, momentum=0.9
        )
        assert found.value < 0.9 * scaled(theta)[0]


# -- the estimators -------------------------------------------------------------------------

FITS = {
    "network": (net(), (X, y)),
    "deep": (net(hidden_layer_sizes=(6, 4), activation="relu"), (X, y)),
    "several labels": (net(), (X, np.column_stack([y == 0, y == 1]).astype(int))),
    "regressor": (MLPBackpropRegressor((5,), solver="adam", random_state=0), (X[:, :3], X[:, 3])),
    "no hidden layer": (net(hidden_layer_sizes=()), (X, y)),
    "autoencoder": (SparseAutoencoder(3, solver="adam", random_state=0), (UNIT,)),
    "tied": (
        SparseAutoencoder(3, solver="adam", rho=0.2, tied_weights=True, random_state=0),
        (UNIT,),
    ),
    "linear": (
        SparseAutoencoder(3, solver="adam", output_activation="identity", random_state=0),
        (100 * X,),
    ),
    "sgd": (net(solver="sgd"), (X, y)),
    "sgd, autoencoder": (SparseAutoencoder(3, solver="sgd", beta=0.1, random_state=0), (UNIT,)),
}


def j_of(estimator, *data):
    """J of the fitted weights."""
    objective, _ = clone(estimator)._prepare(*data)
    return objective(objective.network.pack(estimator.coefs_, estimator.intercepts_))[0]


@pytest.mark.parametrize("name", FITS)
def test_default_fits_are_of_use_quiet_and_exact(name):
    estimator, data = FITS[name]
    fitted = clone(estimator).fit(*data)  # warnings are errors
    assert fitted.loss_ == pytest.approx(j_of(fitted, *data), rel=1e-12)
    assert fitted.n_iter_ == epochs(len(data[0]), 200) == MOST_EPOCHS
    assert not fitted.converged_
    best = clone(estimator).set_params(solver="lbfgs").fit(*data)
    objective, _ = clone(estimator)._prepare(*data)
    assert fitted.loss_ - best.loss_ < 0.4 * (objective.baseline - best.loss_)
    single = clone(estimator).fit(data[0].astype(np.float32), *data[1:])
    assert single.coefs_[0].dtype == np.float32
    assert single.loss_ == pytest.approx(fitted.loss_, rel=0.05)


def test_epochs_are_so_many_that_steps_are():
    assert [epochs(n, 200) for n in (1, 200, 12_000, 60_000, 10**7)] == [
        MOST_EPOCHS,
        MOST_EPOCHS,
        34,
        LEAST_EPOCHS,
        LEAST_EPOCHS,
    ]


@pytest.mark.parametrize("solver", BY_STEPS)
def test_limits_of_blas_and_fresh_fits_change_no_bit(solver, monkeypatch):
    monkeypatch.setattr(engine, "PART_WORK", 2**12)
    monkeypatch.setattr(engine, "PART_ROWS", 1)
    digits = load_digits()
    fits = []
    for limit in (1, 2, 2):
        with threadpool_limits(limit, "blas"):
            estimator = net(solver=solver, hidden_layer_sizes=(20,), max_iter=6, lam=1e-4)
            fits.append(estimator.fit(digits.data / 16, digits.target))
    for other in fits[1:]:
        assert_array_equal(other.coefs_[0], fits[0].coefs_[0])
        assert other.loss_ == fits[0].loss_


@pytest.mark.parametrize("solver", BY_STEPS)
@pytest.mark.parametrize("batch_size", [None, 40])
def test_partial_fits_go_on_over_pickles_as_one_run(solver, batch_size):
    params = {"learning_rate": 0.02, "batch_size": batch_size, "shuffle": False}
    estimator = net(solver=solver, **params)
    for _ in range(4):
        estimator = pickle.loads(pickle.dumps(estimator.partial_fit(X, y)))
    objective, _ = clone(estimator)._prepare(X, y)
    theta = objective.start(rng())
    options = {"learning_rate": 0.02, "max_iter": 4, "tol": 0, "baseline": objective.baseline}
    options |= {"coordinates": objective.coordinates} if solver == "adam" else {"momentum": 0.9}
    if batch_size:
        options["batches"] = Batches(objective, batch_size, rng(), shuffle=False)
    expected = minimise(objective, theta, solver=solver, **options)
    fitted = objective.network.pack(estimator.coefs_, estimator.intercepts_)
    assert_allclose(fitted, expected.theta, rtol=1e-12)
    assert estimator.n_iter_ == 4
    assert_allclose(estimator.loss_curve_, expected.loss_curve, rtol=1e-12)


def test_a_fit_forgets_and_another_solver_begins_anew():
    estimator = net().partial_fit(X, y)
    assert estimator._memory[0] == "adam"
    assert estimator.learning_rate_ == 0.001
    estimator.set_params(solver="sgd").partial_fit(X, y)
    rate = estimator.learning_rate_
    assert estimator.partial_fit(X[:50], y[:50], classes=[0, 1, 2]).learning_rate_ == rate
    estimator.fit(X, y)
    assert not hasattr(estimator, "_memory")
    assert not hasattr(estimator.set_params(solver="lbfgs").fit(X, y), "learning_rate_")


@pytest.mark.parametrize("solver", BY_STEPS)
def test_steps_that_are_too_long_end_at_the_start_with_one_warning(solver):
    estimator = net(solver=solver, learning_rate=1e3, max_iter=3)
    with pytest.warns(
        UserWarning, match=r"found no lower value .* decrease learning_rate"
    ) as told:
        estimator.fit(X, y)
    assert len(told) == 1
    objective, _ = clone(estimator)._prepare(X, y)
    start = objective.start(rng())
    assert_array_equal(objective.network.pack(estimator.coefs_, estimator.intercepts_), start)


@pytest.mark.parametrize(
    ("first", "second"), [("adam", "lbfgs"), ("lbfgs", "adam"), ("sgd", "cg")]
)
def test_a_fit_goes_on_with_another_solver(first, second):
    estimator = net(solver=first, max_iter=5, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = estimator.fit(X, y).loss_
        after = estimator.set_params(solver=second, max_iter=20).fit(X, y).loss_
    assert after < before


def test_the_order_of_the_rows_is_kept_if_asked():
    rows = np.arange(len(X))[::-1]
    fits = [
        clone(net(batch_size=20, max_iter=9, shuffle=shuffle)).fit(X[order], y[order]).loss_
        for shuffle in (True, False)
        for order in (rows, np.sort(rows))
    ]
    assert len(set(fits)) == 4


def test_class_weights_and_sample_weights_are_those_of_the_objective():
    weights = np.random.default_rng(0).uniform(0, 2, size=len(X))
    fitted = net(class_weight={0: 1, 1: 5, 2: 2}).fit(X, y, sample_weight=weights)
    assert fitted.loss_ == pytest.approx(j_of(fitted, X, y, weights), rel=1e-12)
    assert fitted.loss_ != pytest.approx(net().fit(X, y).loss_, rel=1e-3)


# -- rows of the user's own to validate -------------------------------------------------------

SHUFFLED = rng().permutation(len(X))
TRAIN, VALID = SHUFFLED[:100], SHUFFLED[100:]
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2, size=50)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["lbfgs", "cg", *BY_STEPS])
@pytest.mark.parametrize("kind", ["labels", "numbers"])
def test_validation_on_rows_of_the_users_own(kind, solver, early_stopping):
    estimator, target = net(), y
    if kind == "numbers":
        estimator, target = MLPBackpropRegressor((5,), random_state=0), 1000 + 50 * X[:, 3]
    estimator.set_params(solver=solver, early_stopping=early_stopping, max_iter=20, lam=1e-3)
    train, valid = (X[TRAIN], target[TRAIN]), (X[VALID], target[VALID])
    own = {"X_val": valid[0], "y_val": valid[1], "sample_weight_val": WEIGHTS}
    fitted = clone(estimator).fit(*train, **own)
    assert len(fitted.validation_scores_) == len(fitted.validation_loss_curve_) == fitted.n_iter_
    score = fitted.score(*valid, sample_weight=WEIGHTS)
    kept = fitted.validation_scores_.argmax() if early_stopping else -1
    assert score == pytest.approx(fitted.validation_scores_[kept], rel=1e-9)
    assert fitted.best_validation_score_ == fitted.validation_scores_.max()
    objective, targets = clone(estimator)._prepare(*train)
    theta = objective.network.pack(fitted.coefs_, fitted.intercepts_)
    rows = estimator._validating(objective, targets, *valid, WEIGHTS).rows
    value, _ = objective.on(rows)(theta)
    assert fitted.validation_loss_curve_[kept] == pytest.approx(value, rel=1e-9)
    if not early_stopping:
        assert_array_equal(fitted.coefs_[0], clone(estimator).fit(*train).coefs_[0])
    assert (
        "validation" in LossCurveDisplay.from_estimator(fitted).validation_loss_line_.get_label()
    )


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"X_val": X}, "X_val and y_val go together"),
        ({"y_val": y}, "X_val and y_val go together"),
        ({"sample_weight_val": WEIGHTS}, "X_val and y_val go together"),
        ({"X_val": X[:, :2], "y_val": y}, "X has 2 features"),
        ({"X_val": X, "y_val": y[1:]}, "inconsistent numbers of samples"),
        ({"X_val": X, "y_val": y + 1}, "3"),
        ({"X_val": X, "y_val": y, "sample_weight_val": -np.ones(150)}, "Negative"),
    ],
)
def test_rows_to_validate_that_do_not_fit(own, message):
    with pytest.raises(ValueError, match=message):
        net().fit(X, y, **own)


def test_a_fit_without_them_forgets_them():
    estimator = net(max_iter=2).fit(X, y, X_val=X, y_val=y)
    estimator.fit(X, y)
    assert not any(
        hasattr(estimator, name) for name in ("validation_scores_", "validation_loss_curve_")
    )
