"""Solvers on functions whose minimum is known."""

import numpy as np
import pytest
import scipy.optimize

from skl_sae.backprop.activations import look_up
from skl_sae.backprop.coordinates import Coordinates
from skl_sae.backprop.solvers import (
    SOLVERS,
    Convergence,
    Result,
    _in_stages,
    _or_start,
    minimise,
    watch_nothing,
)

START = np.array([-1.2, 1.0, -0.5, 0.8])
OPTIONS = {"sgd": {"learning_rate": 0.3}, "adam": {"learning_rate": 0.03}}
WORDS = {
    "lbfgs": "CONVERGENCE",
    "cg": "terminated successfully",
    "sgd": "the objective went from",
    "adam": "the objective went from",
}


def quadratic(theta):
    scale = np.array([1.0, 2.0, 3.0, 0.5])
    return 0.5 * scale @ (theta - 1) ** 2 + 4.0, scale * (theta - 1)


def rosenbrock(theta):
    return scipy.optimize.rosen(theta), scipy.optimize.rosen_der(theta)


def stopping_at(n_iter):
    """An ``on_iteration`` that stops after so many."""
    return lambda so_far: len(so_far.loss_curve) == n_iter


class Counter:
    """Counts the calls of a function, and knows where the last one was."""

    def __init__(self, function):
        self.function, self.calls, self.last = function, 0, None

    def __call__(self, theta):
        self.calls += 1
        self.last = theta.copy()
        return self.function(theta)


@pytest.mark.parametrize("solver", SOLVERS)
def test_finds_the_minimum_and_reports_truthfully(solver):
    counted, seen = Counter(quadratic), []
    start = START.copy()

    def record(so_far):
        assert so_far.value == so_far.loss_curve[-1]
        seen.append((len(so_far.loss_curve), so_far.value))

    options = OPTIONS.get(solver, {}) | {"on_iteration": record, "max_iter": 500, "tol": 1e-7}
    found = minimise(counted, start, solver=solver, **options)
    assert (start == START).all()
    assert found.status == "converged"
    np.testing.assert_allclose(found.theta, 1, atol=1e-2)
    assert found.value == quadratic(found.theta)[0]
    assert found.value == min(found.loss_curve)  # Adam swings to the end
    assert look_up(WORDS, solver, "WORDS of tests/test_solvers.py") in found.message
    assert found.n_evaluations == counted.calls
    assert seen == list(enumerate(found.loss_curve, start=1))


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_gradient_of_the_caller_is_not_changed(solver):
    """It may be kept, or be read-only."""
    gradient = np.array([1.0, -2.0, 3.0])
    gradient.flags.writeable = False
    options = {"learning_rate": 0.1} if solver in ("sgd", "adam") else {}
    found = minimise(
        lambda theta: (float(gradient @ theta), gradient),
        np.zeros(3),
        solver=solver,
        max_iter=2,
        tol=1e-3,
        baseline=8.0,
        **options,
    )
    assert found.value < 0


@pytest.mark.parametrize("solver", [*SOLVERS, "mini-batches"])
def test_every_iteration_is_told_of_after_its_evaluations(solver):
    counted, calls = Counter(rosenbrock), []

    def record(so_far):
        calls.append(counted.calls)
        assert (so_far.status, so_far.message) == ("stopped", "stopped")
        assert so_far.n_evaluations == counted.calls

    options = {"sgd": {"learning_rate": 1e-4}}.get(solver, {})
    if solver == "mini-batches":
        solver, options = "sgd", {"learning_rate": 1e-4, "batches": lambda: [counted] * 3}
    minimise(counted, START, solver=solver, on_iteration=record, max_iter=6, tol=0, **options)
    assert len(calls) == 6
    assert (np.diff([1, *calls]) > 0).all()


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_rosenbrock(solver):
    found = minimise(rosenbrock, START, solver=solver, max_iter=1000, tol=1e-8)
    np.testing.assert_allclose(found.theta, 1, rtol=1e-5)
    assert np.diff(found.loss_curve).max() <= 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_stops_at_max_iter(solver):
    found = minimise(
        rosenbrock,
        START,
        solver=solver,
        max_iter=3,
        tol=0,
        **{"sgd": {"learning_rate": 1e-4}}.get(solver, {}),
    )
    assert found.status == "max_iter"
    assert len(found.loss_curve) == 3


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_callback_stops(solver):
    found = minimise(
        rosenbrock,
        START,
        solver=solver,
        max_iter=50,
        tol=0,
        on_iteration=stopping_at(4),
        **{"sgd": {"learning_rate": 1e-4}}.get(solver, {}),
    )
    assert found.status == "stopped"
    assert len(found.loss_curve) == 4


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_a_wrong_gradient_ends_as_failed_and_no_worse_than_the_start(solver):
    def uphill(theta):
        value, gradient = quadratic(theta)
        return value, -gradient

    found = minimise(uphill, START, solver=solver, max_iter=50, tol=1e-6)
    assert found.status == "failed"
    assert found.value <= quadratic(START)[0]


@pytest.mark.parametrize("n_iter", [0, 3])
@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
def test_the_value_of_a_failed_run_is_that_of_its_theta(solver, n_iter):
    """Not that of the last point which the line search tried."""

    def soon_wrong(theta):
        value, gradient = rosenbrock(theta)
        return value, gradient if len(iterations) < n_iter else -gradient

    iterations = []
    options = {"on_iteration": iterations.append, "max_iter": 50, "tol": 0}
    found = minimise(soon_wrong, START, solver=solver, **options)
    assert found.status == "failed"
    assert found.value == rosenbrock(found.theta)[0]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_start_that_is_not_finite_raises(solver, value):
    with pytest.raises(FloatingPointError, match="the objective is"):
        minimise(
            lambda theta: (value, np.ones(4)),
            START,
            solver=solver,
            max_iter=5,
            tol=1e-6,
            **OPTIONS.get(solver, {}),
        )


def test_gradient_descent_is_the_textbook_step():
    found = minimise(quadratic, START, solver="sgd", max_iter=1, tol=0, learning_rate=0.1)
    assert (found.theta == START - 0.1 * quadratic(START)[1]).all()


def test_gradient_descent_that_rises_ends_as_failed_at_its_start():
    found = minimise(quadratic, START, solver="sgd", max_iter=50, tol=0, learning_rate=1e3)
    assert found.status == "failed"
    assert (found.theta == START).all()
    assert found.value == quadratic(START)[0]
    assert "to" in found.message


def test_gradient_descent_that_overflows_raises():
    with pytest.raises(FloatingPointError):
        minimise(quadratic, START, solver="sgd", max_iter=50, tol=0, learning_rate=1e100)


def test_gradient_descent_from_the_minimum_stays_there():
    found = minimise(quadratic, np.ones(4), solver="sgd", max_iter=15, tol=0, learning_rate=0.1)
    assert (found.status, found.value, len(found.loss_curve)) == ("max_iter", 4.0, 15)


@pytest.mark.parametrize(
    ("values", "stop_at", "status"),
    [
        ([4.0, 3.0, 5.0], 9, "max_iter"),
        ([4.0, 3.0, 5.0], 1, "stopped"),
        ([4.0, 5.0], 1, "failed"),
        ([4.0, 5.0], 9, "failed"),
    ],
)
def test_gradient_descent_has_failed_if_it_found_nothing_lower_than_its_start(
    values, stop_at, status
):
    coming = iter(values)
    found = minimise(
        lambda theta: (next(coming), np.ones(4)),
        START,
        solver="sgd",
        max_iter=len(values) - 1,
        tol=0,
        learning_rate=0.1,
        on_iteration=stopping_at(stop_at),
    )
    assert (found.status, found.value) == (status, min(values))


def test_convergence_looks_at_the_last_values():
    rule = Convergence(tol=0.1, patience=10)
    assert not rule.reached([2.0] * 10)
    assert rule.reached([2.0] * 11)
    assert not rule._replace(patience=11).reached([2.0] * 11)
    assert rule.reached([2.0] + [1.81] * 10)
    assert not rule.reached([2.0] + [1.79] * 10)
    assert not rule.reached([2.0, 1.0] + [3.0] * 9)
    assert rule.reached([2.0, 1.0] + [3.0] * 10)
    assert rule._replace(tol=0).calm([9.0] + [1.0] * 10)
    assert not rule._replace(tol=0).calm([9.0] + [1.0] * 9)
    assert rule.calm([2.0] + [2.19] * 10)
    assert not rule.calm([2.0] + [2.21] * 10)


def test_on_the_plateau_more_is_waited_for():
    rule = Convergence(tol=0.1, patience=10, baseline=2.0)
    assert not rule.reached([1.98] * 50)
    assert rule.reached([1.98] * 51)
    assert rule.reached([1.97] * 11)
    assert rule.reached([2.0] * 10 + [1.97] * 10)  # it has been left
    assert rule.reached([2.0] + [3.0] * 10)  # values that rise


def test_what_is_next_to_nothing_beside_the_baseline_has_converged():
    falling = [1e-4 * 0.9**k for k in range(21)]
    assert not Convergence(0.01, 10).reached(falling)
    assert not Convergence(0.01, 10, baseline=1.0).reached(falling)
    assert Convergence(0.01, 10, baseline=10.0).reached(falling)


@pytest.mark.parametrize(
    ("baseline", "size"), [(0, 1), (1, 1), (1.9, 1), (0.7, 0.5), (3e8, 2**28)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_size_is_a_power_of_two(baseline, size, sign):
    assert Convergence(0.1, 10, baseline).size == size
    assert Convergence(0.1, 10, sign * 1e-320).size == Convergence(0.1, 10, np.inf).size == 1


@pytest.mark.parametrize("solver", ["lbfgs", "cg"])
@pytest.mark.parametrize("factor", [2.0**-40, 2.0**40])
def test_the_size_and_the_units_change_nothing_but_the_unit(solver, factor):
    """The same iterations, to the last bit, in any unit of the objective and of theta."""
    unit = np.array([1.0, 4.0, 0.5, 2.0**10])
    plain = minimise(rosenbrock, START, solver=solver, max_iter=60, tol=1e-6, baseline=1.0)

    def other(theta):
        value, gradient = rosenbrock(theta / unit)
        return factor * value, factor * gradient / unit

    coordinates = Coordinates(unit=unit)
    scaled = {"baseline": factor, "coordinates": coordinates, "max_iter": 60, "tol": 1e-6}
    found = minimise(other, START * unit, solver=solver, **scaled)
    np.testing.assert_array_equal(found.theta, plain.theta * unit)
    np.testing.assert_array_equal(found.loss_curve, factor * np.array(plain.loss_curve))
    assert (found.status, found.n_evaluations) == (plain.status, plain.n_evaluations)


def test_patience_is_the_number_of_iterations_without_gain():
    """Values that fall by 0.1 % in each step: by less than 1.5 % in ten, by more in twenty."""

    def falling(theta):
        value = np.exp(-theta[0])
        return value, np.array([-value])

    def run(patience):
        options = {"learning_rate": 1e-3, "max_iter": 50, "tol": 0.015, "patience": patience}
        return minimise(falling, np.zeros(1), solver="sgd", **options)

    assert (len(run(10).loss_curve), len(run(20).loss_curve)) == (11, 50)


def test_gradient_descent_that_swings_is_not_called_converged():
    """Steps just short of 2 / curvature: the objective falls, then swings for ever."""

    def swinging(theta):
        return float(np.sum(np.abs(theta) ** 1.5)), 1.5 * np.sign(theta) * np.abs(theta) ** 0.5

    found = minimise(swinging, START, solver="sgd", max_iter=500, tol=1e-6, learning_rate=0.5)
    assert found.status == "failed"
    assert found.value == min(found.loss_curve) == swinging(found.theta)[0]


def test_mini_batches_are_never_undone():
    """Noise may raise the objective over an epoch; the step is taken all the same."""

    def uphill(theta):
        value, gradient = quadratic(theta)
        return value, -gradient

    found = minimise(
        quadratic,
        START,
        solver="sgd",
        max_iter=1,
        tol=0,
        learning_rate=0.1,
        batches=lambda: [uphill],
    )
    assert found.status == "failed"
    assert (found.theta == START + 0.1 * quadratic(START)[1]).all()
    assert found.value == quadratic(found.theta)[0] > quadratic(START)[0]


def test_mini_batches_take_one_step_each():
    counted = Counter(quadratic)
    found = minimise(
        quadratic,
        START,
        solver="sgd",
        max_iter=2,
        tol=0,
        learning_rate=0.1,
        batches=lambda: [counted] * 3,
    )
    whole = minimise(quadratic, START, solver="sgd", max_iter=6, tol=0, learning_rate=0.1)
    np.testing.assert_allclose(found.theta, whole.theta)
    assert counted.calls == 6
    assert found.n_evaluations == 8  # and one of the whole at the start and at the end
    before = [quadratic(START)[0], *whole.loss_curve]
    np.testing.assert_allclose(found.loss_curve, [np.mean(before[:3]), np.mean(before[3:6])])


def test_a_start_of_whole_numbers():
    start, batches = [-1, 1, 0, 2], {"batches": lambda: [quadratic]}
    for options in ({}, batches):
        options = {"solver": "sgd", "learning_rate": 0.1, **options}
        found = minimise(quadratic, start, max_iter=1, tol=0, **options)
        np.testing.assert_allclose(found.theta, start - 0.1 * quadratic(np.array(start))[1])


@pytest.mark.parametrize(
    ("tol", "options", "ftol"),
    [(1e-2, {}, 1e-12), (1e-7, {}, 1e-14), (0, {}, 4 * 2.2e-16), (1e-5, {"eps": 1e-7}, 4e-7)],
)
def test_what_scipy_is_told(tol, options, ftol, monkeypatch):
    told, original = {}, scipy.optimize.minimize

    def record(*args, **keywords):
        told.update(keywords, **keywords["options"])
        return original(*args, **keywords)

    monkeypatch.setattr(scipy.optimize, "minimize", record)
    minimise(quadratic, START, max_iter=7, tol=tol, **options)
    assert (told["method"], told["maxcor"], told["maxiter"]) == ("L-BFGS-B", 10, 7)
    gtol = pytest.approx(1e-3 * tol)
    assert (told["gtol"], told["ftol"]) == (gtol, pytest.approx(ftol, rel=1e-12))
    assert told["maxfun"] > 7 * 20  # steps of SciPy's line search
    minimise(quadratic, START, solver="cg", max_iter=7, tol=tol)
    assert (told["method"], told["gtol"], told["norm"], told["maxiter"]) == ("CG", gtol, np.inf, 7)


def test_history_size_reaches_the_solver():
    few = minimise(rosenbrock, START, max_iter=500, tol=1e-8, history_size=1)
    many = minimise(rosenbrock, START, max_iter=500, tol=1e-8, history_size=20)
    assert len(few.loss_curve) > len(many.loss_curve)


# -- growing samples ------------------------------------------------------------------------


def shifted(by):
    """A quadratic whose minimum lies at 1 + by: what a sample of the rows is like."""
    return Counter(lambda theta: quadratic(theta - by))


def samples():
    return [(1 / 32, shifted(0.3)), (1 / 8, shifted(-0.1)), (1 / 2, shifted(0.05))]


def test_growing_samples_end_at_the_minimum_of_the_whole():
    stages, whole, seen = samples(), Counter(quadratic), []

    def record(so_far):
        assert so_far.value == so_far.loss_curve[-1]
        seen.append((len(so_far.loss_curve), so_far.value))

    found = minimise(whole, START, max_iter=200, tol=1e-7, stages=stages, on_iteration=record)
    assert found.status == "converged"
    np.testing.assert_allclose(found.theta, 1, atol=1e-6)
    assert found.value == quadratic(found.theta)[0] == found.loss_curve[-1]
    assert len(found.stages) == 4
    assert sum(found.stages) == len(found.loss_curve)
    assert seen == list(enumerate(found.loss_curve, start=1))
    assert found.n_evaluations == whole.calls + sum(stage.calls for _, stage in stages)
    assert all(stage.calls for _, stage in stages)


@pytest.mark.parametrize("max_iter", [1, 2, 3, 4, 7, 20, 60])
def test_growing_samples_respect_max_iter(max_iter):
    stages = [(share, Counter(rosenbrock)) for share in (1 / 32, 1 / 8, 1 / 2)]
    whole = Counter(rosenbrock)
    found = minimise(whole, START, max_iter=max_iter, tol=0, stages=stages)
    assert np.dot(found.stages, found.shares) <= max_iter  # of work on all rows
    assert found.stages[-1] > 0
    assert whole.calls > 0
    assert sum(found.stages) == len(found.loss_curve)


def test_samples_that_lead_away_from_a_good_start_end_there_as_failed():
    good, far = np.full(4, 1.01), [(1 / 2, shifted(100.0))]
    found = minimise(quadratic, good, max_iter=4, tol=1e-7, stages=far)
    assert found.status == "failed"
    assert found.value == quadratic(good)[0]
    np.testing.assert_array_equal(found.theta, good)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_lead_where_the_objective_is_not_finite_raise(value):
    def only_there(theta):
        return (1.0 if np.array_equal(theta, START) else value), np.ones(4)

    with pytest.raises(FloatingPointError, match="the objective is"):
        minimise(only_there, START, max_iter=4, tol=1e-7, stages=[(1 / 2, shifted(1.0))])


@pytest.mark.parametrize("stop_at", [1, 5, 20])
def test_the_callback_stops_a_stage_and_with_it_the_run(stop_at):
    def all_rows(theta):
        value, gradient = rosenbrock(theta)
        return value + 7, gradient

    sample, whole = Counter(rosenbrock), Counter(all_rows)
    found = minimise(
        whole,
        START,
        max_iter=20,
        tol=0,
        stages=[(1 / 2, sample)],
        on_iteration=stopping_at(stop_at),
    )
    assert found.status == "stopped"
    assert len(found.loss_curve) == stop_at
    assert found.value == all_rows(found.theta)[0]
    assert found.n_evaluations == whole.calls + sample.calls
    # The start is evaluated at the end, and after a stop on the sample the point there.
    on_sample = stop_at <= 16  # 8 units of work
    assert (whole.calls == 2) == on_sample
    np.testing.assert_array_equal(whole.last, found.theta if on_sample else START)


@pytest.mark.parametrize(
    ("value", "start", "status", "ends_as"),
    [
        (0.75, 0.5, "converged", "converged"),  # by ftol: 1/4 of a number below one, of 1
        (0.8, 0.5, "converged", "failed"),
        (10.0, 8.0, "max_iter", "max_iter"),
        (10.1, 8.0, "max_iter", "failed"),
        (10.1, 8.0, "stopped", "stopped"),
        (-6.0, -8.0, "converged", "converged"),
        (-5.9, -8.0, "converged", "failed"),
    ],
)
def test_what_is_above_the_start_ends_there(value, start, status, ends_as):
    above = Result(START + 1, value, [9.0, value], 5, status, "words", (2,), (1,))
    found = _or_start(above, lambda: START, start, 0.25)
    message = f"the objective went from {start:g} to {value:g}"
    assert found == above._replace(theta=START, value=start, status=ends_as, message=message)


@pytest.mark.parametrize("stages", [(), [(1 / 2, quadratic)]], ids=["one stage", "a sample first"])
@pytest.mark.parametrize(
    ("options", "above", "status"),
    [
        ({"solver": "cg", "tol": 0.5}, 0.1, "failed"),
        ({"tol": 0.5}, 0.2, "converged"),  # by tol²: 0.25
        ({"tol": 0.5}, 0.3, "failed"),
        ({"tol": 0.0, "eps": 0.05}, 0.19, "converged"),  # by 4 eps: 0.2
        ({"tol": 0.0, "eps": 0.05}, 0.21, "failed"),
    ],
)
def test_only_what_lbfgs_takes_for_rounding_may_lie_above(
    options, above, status, stages, monkeypatch
):
    def one_step_up(fun, x0, *, callback, **_):
        fun(x0)
        x, value = x0 + 1, fun(x0 + 1)[0]
        callback(scipy.optimize.OptimizeResult(x=x, fun=value))
        return scipy.optimize.OptimizeResult(x=x, status=0, success=True, nit=1, message="words")

    def higher(theta):
        return (1.0 if np.array_equal(theta, START) else 1 + above), np.ones(4)

    monkeypatch.setattr(scipy.optimize, "minimize", one_step_up)
    if "solver" not in options:
        options = options | {"stages": stages}
    found = minimise(higher, START, max_iter=5, **options)
    np.testing.assert_array_equal(found.theta, START)
    assert (found.status, found.value) == (status, 1.0)


class BesideTheStart:
    """A stage on the first two parameters, whose "best" values for the others are far off."""

    def __call__(self, reduced):
        value, gradient = quadratic(self.expand(reduced))
        return value, gradient[:2]

    def reduce(self, theta):
        return theta[:2]

    def expand(self, reduced):
        return np.append(reduced, [1e3, 1e3])


def test_a_stage_on_some_parameters_that_spoils_the_others_ends_at_the_start():
    """Rounding can do that to an exact output layer, and no iteration is left to mend it."""
    spoilt = minimise(BesideTheStart(), START, max_iter=1, tol=1e-8)
    found = minimise(quadratic, START, max_iter=1, tol=1e-8, stages=[(1, BesideTheStart())])
    np.testing.assert_array_equal(found.theta, START)
    assert found.value == quadratic(START)[0] < spoilt.value
    assert found.status == "failed"
    assert found.stages == (1,)


@pytest.mark.parametrize("value", [0.4, 0.5, np.inf, np.nan])
def test_what_is_not_above_the_start_or_not_finite_is_left_as_it_is(value):
    result = Result(START + 1, value, [value], 5, "converged", "words")
    assert _or_start(result, lambda: START, 0.5, 0.25) is result


def test_a_stage_does_no_more_work_than_its_share():
    stages = [(1 / 2, Counter(rosenbrock))]
    found = minimise(rosenbrock, START, max_iter=1000, tol=1e-8, stages=stages)
    assert found.stages[0] <= 16


def test_a_stage_uses_no_more_than_half_of_the_work_left():
    """Work is counted on all rows: one of 10 units is left after two stages of 5 and 2."""
    stages = [(1 / 4, rosenbrock), (1 / 2, rosenbrock)]
    found = minimise(rosenbrock, START, max_iter=10, tol=0, stages=stages)
    assert found.stages == (20, 4, 3)


def test_only_runs_on_all_rows_are_compared_with_each_other():
    """A sample, which may be learned by heart, has values of its own."""
    seen = []

    def run(objective, theta, left, stage, before):
        seen.append(list(before))
        return Result(theta, 2.0, [3.0, 2.0], 2, "converged", "")

    _in_stages([(1 / 2, None), (1, None), (1, None)], START, 100, watch_nothing, run)
    assert seen == [[], [], [3.0, 2.0]]


def test_a_stage_ends_when_it_no_longer_pays():
    """A sample whose objective hardly falls is left after eleven iterations."""

    def nearly_flat(theta):
        value, gradient = rosenbrock(theta)
        return 1e6 + value, gradient

    found = minimise(rosenbrock, START, max_iter=1000, tol=1e-8, stages=[(1 / 32, nearly_flat)])
    assert found.stages[0] == 11
    np.testing.assert_allclose(found.theta, 1, rtol=1e-4)


def test_a_stage_on_all_rows_that_converged_and_can_not_be_improved():
    """As in float32, where the last run may find rounding only; on a sample it is no excuse."""

    def nothing_lower(theta):
        value, _ = quadratic(theta)
        return value, np.ones_like(theta)

    for share, status in ((1, "converged"), (1 / 2, "failed")):
        stages = [(share, quadratic)]
        found = minimise(nothing_lower, START, max_iter=200, tol=1e-8, stages=stages)
        assert found.status == status
        assert found.stages[-1] == 0


def test_a_stage_on_all_rows_that_converged_excuses_no_later_failure():
    """Here the last run finds something lower, and fails then."""
    shifted_by_half = shifted(0.5)

    def higher_after_a_while(theta):
        value, gradient = shifted_by_half(theta)
        return value + (shifted_by_half.calls > 3), gradient

    stages = [(1, quadratic)]
    found = minimise(higher_after_a_while, START, max_iter=200, tol=1e-8, stages=stages)
    assert found.status == "failed"
    assert found.stages[-1] > 0
