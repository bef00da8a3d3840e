"""Every way a solver ends is reported truthfully, and no fit is worse than its start.

Functions that misbehave stand in for the objective: cliffs, noise, kinks, wrong gradients.
"""

import warnings
from zlib import crc32

import numpy as np
import pytest
import scipy.optimize
from problems import when_slow
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop.batches import Batches
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.solvers import FLAT, SOLVERS, minimise, watch_nothing
from skl_sae.exceptions import CollapseWarning

X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
TOL = 1e-6


def rosenbrock(theta):
    return scipy.optimize.rosen(theta), scipy.optimize.rosen_der(theta)


def change(value=lambda v, theta: v, gradient=lambda g, theta: g):
    """The Rosenbrock function with a value or a gradient that is not its own."""

    def changed(theta):
        v, g = rosenbrock(theta)
        return float(value(v, theta)), gradient(g, theta)

    return changed


def noise(theta):
    """A standard normal number, the same for the same point."""
    return np.random.default_rng(crc32(theta.tobytes())).normal()


def kinks(theta):
    slopes = np.arange(1, 1 + theta.size)
    return float(slopes @ np.abs(theta)), slopes * np.sign(theta)


def cliff(beyond, radius):
    return change(lambda v, theta: beyond if np.abs(theta).max() > radius else v)


FUNCTIONS = {
    "smooth": rosenbrock,
    "tiny": lambda theta: tuple(1e-9 * part for part in rosenbrock(theta)),
    "infinite far away": cliff(np.inf, 1.5),
    "nan far away": cliff(np.nan, 2.5),
    "huge far away": cliff(1e308, 1.5),
    "gradient is nan far away": change(
        gradient=lambda g, theta: g if np.abs(theta).max() < 2 else g * np.nan
    ),
    "explodes": lambda theta: (float(np.exp(50 * theta).sum()), 50 * np.exp(50 * theta)),
    "kinks": kinks,
    "steps": change(lambda v, theta: np.floor(2 * v) / 2),
    "lost in rounding": change(lambda v, theta: 1e20 + v),
    "hardly noisy": change(lambda v, theta: v + 1e-12 * noise(theta)),
    "noisy": change(lambda v, theta: v + 1e-3 * noise(theta)),
    "very noisy": change(lambda v, theta: v * (1 + 0.3 * noise(theta))),
    "uphill": change(gradient=lambda g, theta: -g),
    "wrong gradient": change(gradient=lambda g, theta: g + 3),
    "no gradient": change(gradient=lambda g, theta: 0 * g),
}
SETTINGS = {
    **{solver: {"solver": solver} for solver in SOLVERS},
    "stages": {"solver": "lbfgs", "stages": [1 / 8, 1]},
    "sgd": {"solver": "sgd", "learning_rate": 1e-3},
    "sgd, long steps": {"solver": "sgd", "learning_rate": 0.1},
}


def run(function, options, start, max_iter, on_iteration=watch_nothing):
    """The result, and how often the function was called; it is the sample of a stage too."""
    calls = []

    def counted(theta):
        calls.append(1)
        return function(theta)

    options = dict(options)
    if "stages" in options:
        options["stages"] = [(share, counted) for share in options["stages"]]
    options |= {"max_iter": max_iter, "tol": TOL, "on_iteration": on_iteration}
    found = minimise(counted, start, **options)
    return found, len(calls)


def starts(n):
    return np.random.default_rng(0).uniform(-1.4, 1.4, size=(n, 4))


@pytest.mark.parametrize("solver", SETTINGS)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("max_iter", [1, 7, 200])
@pytest.mark.parametrize("some", [slice(2), *when_slow(slice(2, 8))], ids=["two", "others"])
def test_the_result_is_true_and_no_worse_than_the_start(name, solver, max_iter, some):
    function = FUNCTIONS[name]
    for start in starts(8)[some]:
        at_start, _ = function(start)
        try:
            found, calls = run(function, SETTINGS[solver], start, max_iter)
        except FloatingPointError:  # as documented; L-BFGS comes back from a cliff
            assert solver not in ("lbfgs", "stages")
            continue
        value, gradient = function(found.theta)
        assert found.value == value <= at_start
        assert found.n_evaluations == calls
        work = np.dot(found.stages or [len(found.loss_curve)], found.shares or [1])
        assert work <= max_iter
        assert np.isfinite(found.loss_curve).all()
        if found.status == "max_iter":
            assert work > max_iter - 1
        if SETTINGS[solver]["solver"] not in ("adam", "sgd"):
            curve = [at_start, *found.loss_curve]
            assert curve[-1] == value
            assert (np.diff(curve) <= 0).all()
            steepness = np.abs(gradient).max()
            stalled = len(curve) > 1 and curve[-2] - curve[-1] <= TOL**2 * max(1, abs(curve[-2]))
            stationary = steepness <= TOL or (stalled and solver != "cg")
            assert stationary or found.status != "converged"
            assert not (steepness <= FLAT * TOL and found.status == "max_iter")


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_a_line_search_that_fails_gives_the_value_of_its_point(solver):
    """SciPy goes back to the last point, but reports the value of the last trial."""

    def pit(theta):
        """Whatever the gradient says, there is no lower value than at the start."""
        moved = np.abs(theta - start).max()
        return (5.0 if moved == 0 else 6.0 + moved), np.ones(4)

    for start in starts(5):
        found, calls = run(pit, {"solver": solver}, start, 50)
        assert (found.status, found.value, found.loss_curve) == ("failed", 5.0, [])
        assert (found.theta == start).all()
        assert found.n_evaluations == calls


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_a_minimum_met_by_the_last_iteration_is_convergence(solver):
    whole, _ = run(rosenbrock, {"solver": solver}, starts(1)[0], 500)
    assert whole.status == "converged"
    n_iter = len(whole.loss_curve)
    for max_iter, status in [(n_iter, "converged"), (n_iter - 1, "max_iter")]:
        found, _ = run(rosenbrock, {"solver": solver}, starts(1)[0], max_iter)
        if np.abs(rosenbrock(found.theta)[1]).max() <= TOL or max_iter < n_iter:
            assert found.status == status


@pytest.mark.parametrize("name", FUNCTIONS)
def test_scipys_limit_of_evaluations_is_out_of_reach(name):
    """It is 100 for each iteration."""
    for start in starts(5):
        n_evaluations = []

        def count(so_far, counts=n_evaluations):
            counts.append(so_far.n_evaluations)

        found, _ = run(FUNCTIONS[name], {"solver": "lbfgs"}, start, 200, count)
        assert np.diff([1, *n_evaluations, found.n_evaluations]).max() <= 45


@pytest.mark.parametrize("stop_at", [1, 5, 12])
def test_a_stop_on_a_sample_tells_the_value_of_the_whole(stop_at):
    sample = lambda theta: tuple(2 * part for part in rosenbrock(theta))  # noqa: E731
    found = minimise(
        rosenbrock,
        starts(1)[0],
        max_iter=50,
        tol=0,
        stages=[(1 / 8, sample)],
        on_iteration=lambda so_far: len(so_far.loss_curve) == stop_at,
    )
    assert found.status == "stopped"
    assert found.value == rosenbrock(found.theta)[0]
    assert found.loss_curve[-1] == 2 * found.value


def test_samples_that_lead_astray_are_undone():
    """What a sample wants is not what the whole wants, and one iteration does not undo it."""
    start = np.full(4, 0.99)
    away = lambda theta: (float(np.sum((theta + 5) ** 2)), 2 * (theta + 5))  # noqa: E731
    found = minimise(rosenbrock, start, max_iter=4, tol=TOL, stages=[(1 / 2, away)])
    assert found.status == "failed"
    assert (found.theta == start).all()
    assert found.value == rosenbrock(start)[0]
    assert len(found.loss_curve) == sum(found.stages) > 0
    assert "the objective went from" in found.message


def test_stages_that_come_back_to_a_minimum_are_no_failure():
    """Rounding may leave them above it by less than the tolerance."""
    start = np.ones(4)
    near = change(lambda v, theta: v + 1e-15 * (np.abs(theta - 1).max() > 0))
    shifted = lambda theta: rosenbrock(theta - 1e-9)  # noqa: E731
    found = minimise(near, start, max_iter=40, tol=TOL, stages=[(1 / 2, shifted)])
    assert found.status == "converged"
    assert found.value <= near(start)[0]


# -- the estimators -------------------------------------------------------------------------

NET = MLPBackpropClassifier((4,), lam=1e-3, max_iter=40, random_state=0)
SAE = SparseAutoencoder(3, rho=0.2, max_iter=40, random_state=0)
FITS = {
    "lbfgs": NET,
    "cg": clone(NET).set_params(solver="cg"),
    "sgd": clone(NET).set_params(solver="sgd", batch_size=None, momentum=0, learning_rate=0.1),
    "adam": clone(NET).set_params(solver="adam"),
    "adam on all rows": clone(NET).set_params(solver="adam", batch_size=None, learning_rate=0.01),
    "mini-batches": clone(NET).set_params(solver="sgd", batch_size=20, learning_rate=0.1),
    "early stopping": clone(NET).set_params(early_stopping=True),
    "early mini-batches": clone(NET).set_params(
        early_stopping=True, solver="sgd", batch_size=20, learning_rate=0.1
    ),
    "several starts": clone(NET).set_params(n_init=3),
    "autoencoder": SAE,
    "growing samples": clone(SAE).set_params(growing_samples=True),
    "exact output": clone(SAE).set_params(output_activation="identity", variable_projection=True),
    "both": MLPBackpropRegressor(
        (4,), variable_projection=True, growing_samples=True, max_iter=40, random_state=0
    ),
}


def fit_and_count(estimator, monkeypatch):
    """The fitted estimator, its warnings, and the values of all evaluations."""
    calls, original = [], Objective.__call__
    values, batches = Objective.value, Batches.evaluate

    def counting(found):
        calls.append(found if isinstance(found, float) else found[0])
        return found

    def counted_value(self, theta):
        is_validation = self.rows.n_rows < len(X) / 2
        return values(self, theta) if is_validation else counting(values(self, theta))

    def counted(self, theta):
        return counting(original(self, theta))

    with monkeypatch.context() as patch, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        patch.setattr(Objective, "__call__", counted)
        patch.setattr(Objective, "value", counted_value)
        patch.setattr(Batches, "evaluate", lambda *args: counting(batches(*args)))
        estimator.fit(X, y)
    return estimator, [w.message for w in warned], calls


def end_as(minimize, monkeypatch, **ending):
    """Let SciPy report this ending of its runs."""

    def changed(*args, **kwargs):
        found = minimize(*args, **kwargs)
        found.update(ending)
        return found

    monkeypatch.setattr(scipy.optimize, "minimize", changed)


def objective_of(estimator):
    estimator = clone(estimator).set_params(warm_start=False)
    objective, targets = estimator._prepare(X, y, None)
    if getattr(estimator, "early_stopping", False):
        objective, _ = estimator._hold_out(objective, targets)
    return objective


@pytest.mark.parametrize("max_iter", [1, 2, 40, *when_slow(2000)])
@pytest.mark.parametrize("name", FITS)
def test_curve_counts_value_and_warning_agree(name, max_iter, monkeypatch):
    estimator = clone(FITS[name]).set_params(max_iter=max_iter, tol=1e-4)
    estimator, warned, calls = fit_and_count(estimator, monkeypatch)
    work = estimator.stage_lengths_ @ estimator.stage_shares_
    assert estimator.n_iter_ == len(estimator.loss_curve_)
    assert work <= max_iter
    assert estimator.stage_lengths_.sum() == estimator.n_iter_
    if estimator.n_init == 1:
        assert estimator.n_evaluations_ == len(calls)
    objective = objective_of(estimator)
    theta = objective.network.pack(estimator.coefs_, estimator.intercepts_)
    assert estimator.loss_ == pytest.approx(objective(theta)[0], rel=1e-12)
    rng = np.random.RandomState(0)
    worst = max(objective(objective.start(rng))[0] for _ in range(estimator.n_init))
    if "mini" not in name:  # a start that is undone is another's test
        assert estimator.loss_ <= worst
    early = "early" in name and not warned
    finished = estimator.n_iter_ == max_iter and estimator._by_batches()
    assert len(warned) == (not (estimator.converged_ or early or finished))
    if warned:
        assert type(warned[0]) in (ConvergenceWarning, CollapseWarning)
        at_limit = work > max_iter - 1 and f"max_iter={max_iter}" in str(warned[0])
        assert at_limit or "no lower value" in str(warned[0])


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", [None, 20])
def test_steps_that_are_too_long_end_at_the_start(batch_size, early_stopping, monkeypatch):
    """With early stopping at the weights that scored best; a warning says that J has risen."""
    net = clone(NET).set_params(
        solver="sgd",
        learning_rate=30.0,
        momentum=0,
        batch_size=batch_size,
        early_stopping=early_stopping,
    )
    net, warned, calls = fit_and_count(net, monkeypatch)
    assert len(warned) == 1
    assert "found no lower value (the objective went from" in str(warned[0])
    assert not net.converged_
    assert net.n_evaluations_ == len(calls)
    objective = objective_of(net)
    if not early_stopping:
        start = objective.start(np.random.RandomState(0))
        assert (objective.network.pack(net.coefs_, net.intercepts_) == start).all()
        assert net.loss_ == objective(start)[0]


@pytest.mark.parametrize("name", ["lbfgs", "cg"])
def test_a_line_search_that_fails_keeps_its_gains_whatever_the_batch_size(name, monkeypatch):
    """Only steps of mini-batches are undone: the other solvers take no notice of them."""
    net = clone(FITS[name]).set_params(tol=0, max_iter=5)
    end_as(scipy.optimize.minimize, monkeypatch, success=False, status=2, nit=3)
    plain, warned, calls = fit_and_count(clone(net), monkeypatch)
    assert "found no lower value" in str(warned[0])
    net, _, calls_of_both = fit_and_count(net.set_params(batch_size=20), monkeypatch)
    assert net.loss_ == plain.loss_ == plain.loss_curve_[-1]
    assert calls_of_both == calls


def test_the_lowest_of_several_starts_is_kept_and_told_of(monkeypatch):
    rng, losses = np.random.RandomState(0), []
    for _ in range(3):
        one = clone(NET).set_params(random_state=rng, max_iter=15)
        losses.append(fit_and_count(one, monkeypatch)[0].loss_)
    best, warned, _ = fit_and_count(clone(NET).set_params(n_init=3, max_iter=15), monkeypatch)
    assert best.loss_ == min(losses)
    assert len(warned) == 1


def test_a_warm_start_led_astray_by_samples_keeps_its_weights(monkeypatch):
    """Of few rows without weight decay the samples are learned by heart."""
    net = clone(NET).set_params(lam=0.0, max_iter=300, tol=1e-3, warm_start=True)
    net, _, _ = fit_and_count(net, monkeypatch)
    before = net.loss_
    net.set_params(growing_samples=True, max_iter=4, tol=1e-12)
    net, warned, _ = fit_and_count(net, monkeypatch)
    assert net.loss_ <= before
    assert len(warned) == 1


@pytest.mark.parametrize("seed", [4, 14, 29])  # some end worse on the hidden layers alone
def test_a_warm_start_with_an_exact_output_that_rounding_spoils_keeps_its_weights(seed):
    """Whichever does is a matter of the processor: `test_solvers` has it for certain."""
    net = MLPBackpropRegressor(
        (80,), lam=0.0, variable_projection=True, max_iter=20, warm_start=True, random_state=seed
    )
    rows = np.random.RandomState(0).rand(60, 6)
    rows[-1] = 1e150
    Y = 1e9 + 1e6 * np.random.RandomState(1).rand(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = net.fit(rows, Y).loss_
        net.set_params(max_iter=1).fit(rows, Y)
    assert net.loss_ <= before


def test_an_iteration_in_single_precision_that_lowers_nothing_has_reached_its_rounding():
    """The weights of float32 do not move any more: in float64 hardly anything is to be won."""
    ends = 0
    for seed in range(6):
        net = MLPBackpropRegressor((3,), lam=1e-2, tol=1e-7, max_iter=2000, random_state=seed)
        net.set_params(scale_targets=False)  # else some of these starts lead past a saddle
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net.fit(X.astype(np.float32), y)
            wide = clone(net).set_params(warm_start=True)
            vars(wide).update({k: v for k, v in vars(net).items() if k.endswith("_")})
            wide.fit(X, y)
        ends += net.converged_
        assert net.loss_ - wide.loss_ < 1e-5 * net.loss_
    assert ends > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_output_without_weight_decay_ends_at_finite_weights(dtype):
    """Nothing but rounding bounds them, and "auto" leaves it alone for that reason."""
    for seed in range(3):
        sae = clone(FITS["exact output"]).set_params(
            lam=0.0, beta=0.0, n_components=4, max_iter=500, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            sae.fit(X.astype(dtype))
        assert all(np.isfinite(W).all() for W in sae.coefs_ + sae.intercepts_)
        objective, _ = clone(sae)._prepare(X.astype(dtype), None, None)
        value, _ = objective(objective.network.pack(sae.coefs_, sae.intercepts_))
        assert sae.loss_ == pytest.approx(value, rel=1e-6)
