"""Solvers: minimise any callable ``theta -> (value, gradient)``.

Nothing here knows what is minimised. `minimise` is the way in. An objective may be a function
of some of the parameters, if it has methods ``reduce(theta)`` and ``expand(reduced)``: what
comes in, what callbacks see and what comes out are all of them.
"""

from itertools import chain
from typing import NamedTuple

import numpy as np
import scipy.optimize

# Growing samples: shares of the rows, and what ends a stage on a part of them.
SHARES = (1 / 32, 1 / 8, 1 / 2)
STAGE_WORK = 8
STAGE_GAIN = 0.003


class Result(NamedTuple):
    """How a run of a solver ended.

    Attributes
    ----------
    theta : ndarray of shape (n_params,)
        The last point.
    value : float
        The objective there.
    loss_curve : list of float
        The objective after each iteration (for mini-batches: its mean over the epoch).
    n_evaluations : int
        Calls of the objective.
    status : {"converged", "max_iter", "stopped", "failed"}
        "stopped" is the callback's doing; "failed" means that no lower value was found.
    message : str
        The solver's own words.
    stages : tuple of int
        The iterations of each stage of "lbfgs".
    shares : tuple of float
        The share of the rows that each of them ran on.
    """

    theta: np.ndarray
    value: float
    loss_curve: list
    n_evaluations: int
    status: str
    message: str
    stages: tuple = ()
    shares: tuple = ()


def never(n_iter, theta, value):
    """A callback that never stops the solver."""
    return False


def minimise(objective, theta0, *, solver="lbfgs", callback=never, **options):
    """Minimise ``objective`` from ``theta0``.

    Parameters
    ----------
    objective : callable
        ``objective(theta) -> (value, gradient)``.
    theta0 : ndarray of shape (n_params,)
        Start; it is not changed.
    solver : {"lbfgs", "cg", "sgd"}
        A key of `SOLVERS`.
    callback : callable
        ``callback(n_iter, theta, value) -> bool`` after every iteration; True stops.
        ``theta`` is valid during the call only.
    **options
        Passed to the solver: see `lbfgs`, `cg`, `sgd`.

    Returns
    -------
    Result

    Raises
    ------
    FloatingPointError
        The objective is not finite at the start, or at the end.
    """
    theta0 = np.array(theta0, dtype=float)
    result = SOLVERS[solver](objective, theta0, callback=callback, **options)
    if not (np.isfinite(result.value) and np.isfinite(result.theta).all()):
        raise FloatingPointError(f"the objective is {result.value} after {solver}")
    return result


def lbfgs(
    objective,
    theta0,
    *,
    max_iter,
    tol,
    callback=never,
    history_size=10,
    eps=2.2e-16,
    stages=(),
):
    """SciPy's L-BFGS-B without bounds (Byrd, Lu, Nocedal and Zhu 1995).

    It has converged when the largest entry of the gradient is at most ``tol``, or when
    one iteration lowers the objective by less than ``tol**2`` of its size: near a
    minimum the objective is flat to second order. ``history_size`` is the number of past
    steps that approximate the Hessian; ``eps`` the relative rounding error of a value.
    ``stages``, pairs of a share of the rows and an objective on that share, are minimised
    first, one after the other: see `_in_stages`.
    """

    def run(objective, theta0, max_iter, callback):
        options = {
            "maxcor": history_size,
            "gtol": tol,
            "ftol": max(tol**2, 4 * eps),
            "maxiter": max_iter,
            "maxfun": 100 * max_iter,  # a limit of its own in SciPy: never the first one
        }
        return _scipy_minimise(objective, theta0, "L-BFGS-B", options, callback)

    return _in_stages(chain(stages, [(1, objective)]), theta0, max_iter, callback, run)


def _in_stages(stages, theta, max_iter, callback, run):
    """Run the stages one after the other, each from where the last has ended.

    A stage on a sample ends when it has done the work of `STAGE_WORK` iterations on all
    rows, when it has used half of the iterations left, or when ten iterations have not
    lowered its objective by `STAGE_GAIN`: then the sample has told what it can. Where a
    stage on all rows has converged and the next finds no lower value, that is convergence.
    """
    curve, lengths, shares, n_evaluations, converged = [], [], [], 0, False
    for share, objective in stages:
        left = max_iter - len(curve)
        if share < 1:
            left = min(int(STAGE_WORK / share), left // 2)
        if left > 0:
            result, stopped = _stage(objective, theta, left, share < 1, curve, callback, run)
            theta = result.theta
            lengths.append(len(result.loss_curve))
            shares.append(share)
            n_evaluations += result.n_evaluations
            if stopped:
                break
            if converged and result.status == "failed" and lengths[-1] == 0:
                result = result._replace(status="converged")
            converged = share == 1 and result.status == "converged"
    return result._replace(
        loss_curve=curve,
        n_evaluations=n_evaluations,
        stages=tuple(lengths),
        shares=tuple(shares),
    )


def _stage(objective, theta, max_iter, is_sample, curve, callback, run):
    """Run one stage, adding to ``curve``; the result, and whether the callback stopped it."""
    before, stopped = len(curve), False

    def after(n_iter, theta, value):
        nonlocal stopped
        curve.append(value)
        stopped = callback(len(curve), theta, value)
        return stopped or (is_sample and _stalled(curve[before:], STAGE_GAIN))

    result = run(objective, theta, max_iter, after)
    return result, stopped


def cg(objective, theta0, *, max_iter, tol, callback=never):
    """SciPy's nonlinear conjugate gradients (Polak and Ribière).

    It has converged when the largest entry of the gradient is at most ``tol``.
    """
    options = {"gtol": tol, "norm": np.inf, "maxiter": max_iter}
    return _scipy_minimise(objective, theta0, "CG", options, callback)


def _scipy_minimise(objective, theta0, method, options, callback):
    curve = []

    def after_iteration(intermediate_result):
        curve.append(float(intermediate_result.fun))
        if callback(len(curve), expand(intermediate_result.x), curve[-1]):
            raise StopIteration

    reduce, expand = (getattr(objective, name, np.array) for name in ("reduce", "expand"))
    with np.errstate(all="ignore"):  # a value that is not finite is reported by `minimise`
        found = scipy.optimize.minimize(
            objective,
            reduce(theta0),
            jac=True,
            method=method,
            options=options,
            callback=after_iteration,
        )
    # `found` itself is dropped: its inverse Hessian pins hundreds of megabytes.
    if found.status == 99:
        status = "stopped"
    elif found.success:
        status = "converged"
    else:
        status = "max_iter" if found.nit >= options["maxiter"] else "failed"
    theta, value = np.array(expand(found.x)), float(found.fun)
    return Result(theta, value, curve, found.nfev, status, str(found.message))


@np.errstate(all="ignore")  # what overflows is reported by `minimise`
def sgd(objective, theta0, *, max_iter, tol, learning_rate, callback=never, batches=None):
    """Gradient descent: theta <- theta - learning_rate * gradient.

    Parameters
    ----------
    objective, theta0, callback
        As in `minimise`.
    max_iter : int
        Number of steps or, with ``batches``, of epochs.
    tol : float
        It has converged when ten iterations in a row have not lowered the best value of
        the objective so far by ``tol`` of its size.
    learning_rate : float
        Length of a step as a multiple of the gradient. Where it is so large that the
        objective rises or swings, the status is "failed".
    batches : callable, default=None
        ``batches()`` yields the objectives of one epoch of mini-batches. None takes
        ``objective`` itself: the tutorial's batch gradient descent.

    Returns
    -------
    Result
        Without ``batches`` its ``theta`` is the best point passed, the start included.
    """
    theta, curve, n_evaluations, status = theta0.copy(), [], 1, "max_iter"
    start, gradient = objective(theta)
    value, best = start, (start, theta0)
    while len(curve) < max_iter and np.isfinite(value):
        if batches is None:
            theta = theta - learning_rate * gradient
            value, gradient = objective(theta)
            best = min(best, (value, theta), key=lambda point: point[0])
            n_evaluations += 1
        else:
            value, n_batches = _epoch(theta, batches(), learning_rate)
            n_evaluations += n_batches
        curve.append(value)
        if not np.isfinite(value):
            break
        if callback(len(curve), theta, value):
            status = "stopped"
            break
        if _stalled(curve, tol):
            status = "converged" if batches is not None or _calm(curve, tol) else "failed"
            break
    if batches is not None:
        value, _ = objective(theta)
        n_evaluations += 1
    reached = min(curve, default=start) if batches is None else value
    if status != "stopped" and reached > start:
        status = "failed"
    message = f"the objective went from {start:.6g} to {reached:.6g}"
    if batches is None and np.isfinite(value):
        value, theta = best
    return Result(theta, value, curve, n_evaluations, status, message)


def _epoch(theta, batches, learning_rate):
    """One step for each mini-batch, in place; the mean of the values on the way."""
    values = []
    for batch in batches:
        value, gradient = batch(theta)
        theta -= learning_rate * gradient
        values.append(value)
    return float(np.mean(values)), len(values)


def _stalled(curve, tol, patience=10):
    """Whether the last ``patience`` values are no better than the best before them."""
    if len(curve) <= patience:
        return False
    best = min(curve[:-patience])
    return min(curve[-patience:]) > best - tol * abs(best)


def _calm(curve, tol, patience=10):
    """Whether the last values lie so close to the best that they do not swing about it."""
    best = min(curve)
    return max(curve[-patience:]) - best <= tol * abs(best)


SOLVERS = {"lbfgs": lbfgs, "cg": cg, "sgd": sgd}
