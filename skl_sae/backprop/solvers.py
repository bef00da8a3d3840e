"""Solvers: minimise any callable ``theta -> (value, gradient)``.

Nothing here depends on the objective. `minimise` is the entry point. An objective may be a
function of only some of the parameters, if it has the methods ``reduce(theta)`` and
``expand(reduced)``. The start, the result and the argument of ``on_iteration`` always have all
parameters.
"""

from itertools import chain

import numpy as np
import scipy.optimize

from .coordinates import PLAIN
from .descent import adam, sgd
from .endings import Convergence, Result

# Growing samples: shares of the rows, and what ends a stage on a part of them.
SHARES = (1 / 32, 1 / 8, 1 / 2)
STAGE_WORK = 8
STAGE_GAIN, STAGE_PATIENCE = 0.003, 10

# A run of SciPy's solvers ends at once if the gradient is below this share of tol.
FLAT = 1e-3

# A single iteration of L-BFGS that gains less than the square of this share has converged.
ROUNDING = 1e-6


def watch_nothing(so_far):
    """An ``on_iteration`` that never stops a run."""
    return False


def minimise(objective, theta0, *, solver="lbfgs", on_iteration=watch_nothing, **options):
    """Minimise ``objective`` from ``theta0``.

    `Convergence` is the rule that ends a run. For SciPy's solvers every entry of the gradient must
    also be at most ``tol`` (in units of `Convergence.size`). This matters near a minimum, where
    values are flat to second order.

    Parameters
    ----------
    objective : callable
        ``objective(theta) -> (value, gradient)``.
    theta0 : ndarray of shape (n_params,)
        Start; it is not changed.
    solver : str, default="lbfgs"
        A key of `SOLVERS`.
    on_iteration : callable
        ``on_iteration(so_far) -> bool`` is called after each iteration with the `Result` that
        the solver would return if it stopped now, with status "stopped". For "sgd" it has the
        present point, although the solver may return the best point or the start. Its ``theta``
        and ``loss_curve`` are the solver's own arrays: copy them to keep them. True stops the
        solver.
    **options
        Passed to the solver: see `lbfgs`, `cg`, `adam`, `sgd`.

    Returns
    -------
    Result

    Raises
    ------
    FloatingPointError
        The objective is not finite at the start, or at the end.
    """
    theta0 = np.array(theta0, dtype=float)
    with np.errstate(all="ignore"):  # a value that is not finite is reported below
        result = SOLVERS[solver](objective, theta0, on_iteration=on_iteration, **options)
    if not (np.isfinite(result.value) and np.isfinite(result.theta).all()):
        raise FloatingPointError(f"the objective is {result.value} after {solver}")
    return result


def lbfgs(
    objective,
    theta0,
    *,
    max_iter,
    tol,
    on_iteration,
    patience=25,
    history_size=10,
    eps=2.2e-16,
    stages=(),
    baseline=0.0,
    coordinates=PLAIN,
):
    """SciPy's L-BFGS-B without bounds (Byrd, Lu, Nocedal and Zhu 1995).

    A run converges by the rule of `Convergence`. It ends at once if the gradient is very small, or
    if an iteration lowers the objective by a very small share: ``4 * eps``, or the square of
    ``tol`` or of `ROUNDING`, because near a minimum the objective is flat to second order.

    Parameters
    ----------
    history_size : int, default=10
        Number of past steps that approximate the Hessian.
    eps : float, default=2.2e-16
        Relative rounding error of a value.
    stages : iterable of (float, callable), default=()
        Pairs of a share of the rows and an objective on that share, minimised first, one
        after the other: see `_in_stages`.
    tol, patience, baseline
        See `Convergence`; SciPy sees J divided by its size.
    coordinates : Coordinates
        In which SciPy sees theta.
    """
    rule = Convergence(tol, patience, baseline)
    on_others = []  # of each stage, whether it is not on all rows and weights
    slack = max(tol**2, 4 * eps)  # what may be above the start

    def run(each, theta0, max_iter, on_iteration, before):
        on_others.append(each is not objective)
        options = {
            "maxcor": history_size,
            "ftol": max(min(tol, ROUNDING) ** 2, 4 * eps),
            "maxiter": max_iter,
            "maxfun": 100 * max_iter,  # a limit of its own in SciPy: never the first one
        }
        scipy_run = _ScipyRun(each, rule, on_iteration, before, slack, coordinates)
        return scipy_run(theta0, "L-BFGS-B", options)

    stages = chain(stages, [(1, objective)])
    result = _in_stages(stages, theta0, max_iter, on_iteration, run)
    if not any(on_others):
        return result
    return _no_worse(result, objective, theta0, slack)


def _no_worse(result, objective, theta0, ftol):
    """The result of several stages with its value on all rows, or the start if that is lower.

    Samples can lead away from a good start. So can an output layer that is not the best one
    because of rounding.
    """
    start, _ = objective(theta0)
    result = result._replace(n_evaluations=result.n_evaluations + 1)
    if result.shares[-1] < 1:  # stopped on a sample
        value, _ = objective(result.theta)
        result = result._replace(value=value, n_evaluations=result.n_evaluations + 1)
    return _or_start(result, lambda: theta0, start, ftol)


def _or_start(result, theta0, start, ftol):
    """The result, or ``theta0()`` if its value ``start`` is lower: then the run has failed."""
    if not start < result.value < np.inf:  # `minimise` reports values that are not finite
        return result
    message = f"the objective went from {start:.6g} to {result.value:.6g}"
    close = result.value - start <= ftol * max(1, abs(start))
    status = result.status if close or result.status == "stopped" else "failed"
    return result._replace(theta=theta0(), value=start, status=status, message=message)


def _in_stages(stages, theta, max_iter, on_iteration, run):
    """Run the stages one after the other. Each starts where the one before has ended.

    ``max_iter`` counts work: an iteration on a share of the rows counts as that share. A stage
    on a sample ends when it has done the work of `STAGE_WORK` iterations on all rows, or has used
    half of the work left. It also ends when `STAGE_PATIENCE` iterations have not lowered its
    objective by `STAGE_GAIN`, because more iterations on the sample would not help. If a stage on
    all rows has converged and the next one finds no lower value, the run has converged.
    """
    past, work, converged = Result(theta, np.nan, [], 0, "max_iter", ""), 0, False
    curve = []  # on all rows
    for share, objective in stages:
        left = int(max_iter - work)
        if share < 1:
            left = int(min(STAGE_WORK, left // 2) / share)
        if left > 0:
            stops = []
            on_stage = _stage_watch(past, share, on_iteration, stops)
            result = run(objective, past.theta, left, on_stage, curve)
            found_none = result.status == "failed" and not result.loss_curve
            if converged and found_none:
                result = result._replace(status="converged")
            past = _joined(past, result, share)
            if any(stops):
                break
            work += share * len(result.loss_curve)
            if share == 1:
                curve = curve + result.loss_curve
            converged = share == 1 and result.status == "converged"
    return past


SAMPLE = Convergence(STAGE_GAIN, STAGE_PATIENCE)


def _stage_watch(past, share, on_iteration, stops):
    """The ``on_iteration`` of one stage; ``stops`` collects the results of the run's own."""

    def on_stage(so_far):
        stops.append(on_iteration(_joined(past, so_far, share)))
        pays = share == 1 or not SAMPLE.reached(so_far.loss_curve)
        return stops[-1] or not pays

    return on_stage


def _joined(past, result, share):
    """The result of a stage on this share of the rows, joined with the stages before it."""
    return result._replace(
        loss_curve=past.loss_curve + result.loss_curve,
        n_evaluations=past.n_evaluations + result.n_evaluations,
        stages=(*past.stages, len(result.loss_curve)),
        shares=(*past.shares, share),
    )


def most_on_samples():
    """The largest number of iterations on samples of the rows."""
    return sum(int(STAGE_WORK / share) for share in SHARES)


def cg(
    objective,
    theta0,
    *,
    max_iter,
    tol,
    on_iteration,
    patience=25,
    baseline=0.0,
    coordinates=PLAIN,
):
    """SciPy's nonlinear conjugate gradients (Polak and Ribière); see `lbfgs`."""
    rule = Convergence(tol, patience, baseline)
    run = _ScipyRun(objective, rule, on_iteration, [], 0.0, coordinates)
    return run(theta0, "CG", {"norm": np.inf, "maxiter": max_iter})


class _ScipyRun:
    """A run of one of SciPy's solvers, which sees J / size in coordinates of its own.

    Parameters
    ----------
    objective, on_iteration, coordinates
        As in `lbfgs`.
    rule : Convergence
        Ends the run.
    before : list of float
        The curve of a run before it, on the same objective.
    slack : float
        Share of the value at the start by which the end may lie above it.
    """

    def __init__(self, objective, rule, on_iteration, before, slack, coordinates):
        self.objective, self.rule, self.before = objective, rule, before
        self.on_iteration = on_iteration
        self.slack, self.size, self.tol = slack, rule.size, rule.tol
        reduce, self.expand = (getattr(objective, name, np.array) for name in ("reduce", "expand"))
        self.reduce = reduce
        self.coordinates = coordinates.of_part(
            reduce, getattr(objective, "layout", coordinates.network)
        )
        self.curve, self.n_evaluations = [], 0
        self.start, self.steepness, self.converged = np.nan, np.inf, False

    def __call__(self, theta0, method, options):
        """Minimise from a start."""
        options = options | {"gtol": FLAT * self.tol}
        found = scipy.optimize.minimize(
            self.evaluate,
            self.coordinates.of(self.reduce(theta0)),
            jac=True,
            method=method,
            options=options,
            callback=self.after_iteration,
        )
        # After a failed line search `found.fun` is the value of its last trial, not of `found.x`.
        theta = self.theta_of(found.x)
        value = float(self.curve[-1] if self.curve else self.start)
        # `found` itself is dropped, because its inverse Hessian holds hundreds of megabytes. Older
        # SciPy leaves `evaluate` in a reference cycle, which would keep our buffers alive in the
        # next stage. So the objective is dropped too, below.
        status = "converged" if self.converged else _status(found, options, self.tol)
        message = str(found.message)
        result = Result(theta, value, self.curve, self.n_evaluations, status, message)
        # If trials were not finite, a line search can accept a higher value.
        result = _or_start(result, lambda: self._whole(theta0), self.start, self.slack)
        self.objective = self.reduce = self.expand = None
        return result

    def _whole(self, theta):
        """All parameters, with the best values for those that are solved exactly."""
        return np.array(self.expand(self.reduce(theta)))

    def theta_of(self, x):
        """All parameters."""
        return np.array(self.expand(self.coordinates.theta(x)))

    def evaluate(self, x):
        """The objective that SciPy sees."""
        self.n_evaluations += 1
        value, gradient = self.objective(self.coordinates.theta(x))
        if self.n_evaluations == 1:
            self.start = value
        gradient = self.coordinates.gradient(gradient)
        gradient /= self.size
        self.steepness = abs(gradient).max()
        return value / self.size, gradient

    def after_iteration(self, intermediate_result):
        """Call ``on_iteration``. Stop if it returns True, or if the values have converged."""
        curve = self.curve
        curve.append(float(intermediate_result.fun) * self.size)
        theta, n_evaluations = self.theta_of(intermediate_result.x), self.n_evaluations
        so_far = Result(theta, curve[-1], curve, n_evaluations, "stopped", "stopped")
        if self.on_iteration(so_far):
            raise StopIteration
        if self.steepness <= self.tol and self.rule.reached(self.before + curve):
            self.converged = True
            raise StopIteration


def _status(found, options, tol):
    """The status of `Result` for the end of SciPy's run."""
    if found.status == 99:
        return "stopped"
    at_limit = found.nit >= options["maxiter"]
    if found.success or (at_limit and abs(found.jac).max() <= options["gtol"]):
        return "converged"
    if at_limit:
        return "max_iter"
    # where the gradient is small, a line search fails because of rounding
    return "converged" if abs(found.jac).max() <= tol else "failed"


SOLVERS = {"lbfgs": lbfgs, "cg": cg, "adam": adam, "sgd": sgd}
