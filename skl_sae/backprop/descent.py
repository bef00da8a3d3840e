"""Gradient descent and Adam: a step along the gradient of all rows, or of each mini-batch."""

from functools import partial

import numpy as np

from .coordinates import PLAIN, Seen, SeenBatches, value_of
from .endings import Convergence, Result

# The share of a run of mini-batches in which the steps grow to full length.
WARM_UP = 0.2

# Step lengths that gradient descent tries if none is given, and the number of steps with each.
TRIALS = [4.0**k for k in range(2, -7, -1)]
TRIAL_STEPS = 20


def sgd(
    objective,
    theta0,
    *,
    max_iter,
    tol,
    learning_rate,
    on_iteration,
    patience=25,
    baseline=0.0,
    momentum=0.0,
    batches=None,
    anneal=False,
    memory=None,
):
    """Gradient descent: theta <- theta - learning_rate * gradient.

    Parameters
    ----------
    objective, theta0, on_iteration
        As in `minimise`.
    max_iter : int
        Number of steps or, with ``batches``, of epochs.
    tol, patience, baseline
        See `Convergence`.
    learning_rate : float
        Length of a step as a multiple of the gradient. If it is so large that the objective
        rises or oscillates, the status is "failed".
    momentum : float, default=0.0
        Nesterov momentum: the share of each step that the next one repeats.
    batches, anneal, memory
        As in `adam`. None takes ``objective`` itself: the tutorial's batch gradient descent.

    Returns
    -------
    Result
        Without ``batches`` its ``theta`` is the best point of the run, the start included. With
        them it is the last point, and the status is "failed" if that is higher than the start.
    """
    theta, rule = theta0.astype(_dtype(batches)), Convergence(tol, patience, baseline)
    update, rate = Nesterov(theta, momentum, memory), _rate(learning_rate, anneal, max_iter)
    return _descend(objective, theta, max_iter, on_iteration, rule, batches, update, rate)


def adam(
    objective,
    theta0,
    *,
    max_iter,
    tol,
    on_iteration,
    learning_rate=1e-3,
    patience=25,
    baseline=0.0,
    batches=None,
    anneal=False,
    memory=None,
    coordinates=PLAIN,
):
    """Adam (Kingma and Ba 2015): the mean gradient, divided by its root mean square.

    Parameters
    ----------
    objective, theta0, on_iteration
        As in `minimise`.
    max_iter : int
        Number of epochs.
    tol, patience, baseline
        See `Convergence`.
    learning_rate : float, default=1e-3
        Roughly the largest change of a parameter in a step.
    batches : callable, default=None
        ``batches()`` yields the objectives of one epoch of mini-batches. They are functions of
        theta in ``batches.dtype``, if it has one. ``len(batches)`` is their number. None uses
        ``objective`` itself, with a step for all rows.
    anneal : bool, default=False
        Whether the steps grow at first and shrink to zero by the last epoch: see `annealed`.
    memory : tuple, default=None
        `Result.memory` of the run that this one continues.
    coordinates : Coordinates
        In which it takes its steps.

    Returns
    -------
    Result
        As of `sgd`.
    """
    rule, seen = Convergence(tol, patience, baseline), Seen(objective, coordinates)
    if batches is not None:
        batches = SeenBatches(batches, coordinates)
    x = coordinates.of(theta0).astype(_dtype(batches))
    update, rate = Adam(x, rule.size, memory), _rate(learning_rate, anneal, max_iter)

    def watch(so_far):
        return on_iteration(so_far._replace(theta=coordinates.theta(so_far.theta)))

    result = _descend(seen, x, max_iter, watch, rule, batches, update, rate)
    return result._replace(theta=coordinates.theta(result.theta))


@np.errstate(all="ignore")  # a rate that overflows is not chosen
def rate_on_trial(objective, theta0, momentum):
    """The step length of gradient descent that lowers an objective most in a few steps.

    The lengths in ``TRIALS`` are tried, each four times the next. Half of the best one is
    returned, because the objective of a few rows differs from the objective of all rows.
    """
    values = []
    for rate in TRIALS:
        theta, update = theta0.copy(), Nesterov(theta0, momentum)
        for _ in range(TRIAL_STEPS):
            update(theta, objective(theta)[1], rate)
        values.append(objective(theta)[0])
    return TRIALS[int(np.argmin(np.nan_to_num(values, nan=np.inf)))] / 2


def annealed(share):
    """The length of a step after this share of a run: a linear rise, then a cosine down to 0."""
    if share < WARM_UP:
        return share / WARM_UP
    return 0.5 + 0.5 * np.cos(np.pi * min(1, (share - WARM_UP) / (1 - WARM_UP)))


def _rate(learning_rate, anneal, max_iter):
    """The step length as a function of the epochs done; it is constant without ``anneal``."""
    if not anneal:
        return lambda epochs: learning_rate
    return lambda epochs: float(learning_rate * annealed(epochs / max_iter))


def _dtype(batches):
    return getattr(batches, "dtype", float)


def _descend(objective, theta, max_iter, on_iteration, rule, batches, update, rate):
    run = _on_all_rows if batches is None else partial(_by_epochs, batches=batches)
    return run(objective, theta, max_iter, on_iteration, rule, update=update, rate=rate)


def _on_all_rows(objective, theta, max_iter, on_iteration, rule, update, rate):
    """A step for each evaluation of the objective; the best point is kept."""
    start, gradient = objective(theta)
    value, best, status = start, (start, theta.copy()), "max_iter"
    curve, n_evaluations = [], 1
    while len(curve) < max_iter and np.isfinite(value):
        theta = theta.copy()
        update(theta, gradient, rate(len(curve)))
        value, gradient = objective(theta)
        best = min(best, (value, theta), key=lambda point: point[0])
        n_evaluations += 1
        curve.append(value)
        if not np.isfinite(value):
            break
        if on_iteration(Result(theta, value, curve, n_evaluations, "stopped", "stopped")):
            status = "stopped"
            break
        if rule.reached(curve):
            status = "converged" if rule.calm(curve) else "failed"
            break
    reached = min(curve, default=start)
    status = "failed" if reached > start else status
    value, theta = best if np.isfinite(value) else (value, theta)
    message = f"the objective went from {start:.6g} to {reached:.6g}"
    return Result(theta, value, curve, n_evaluations, status, message, memory=update.memory)


def _by_epochs(objective, theta, max_iter, on_iteration, rule, update, rate, batches):
    """A step for each mini-batch; the values at the start and at the end are exact."""
    curve, status = [], "max_iter" if rate(max_iter) > 0 else "finished"
    start, n_evaluations = value_of(objective)(theta.astype(float)), 1
    while len(curve) < max_iter:
        value, n_batches = _epoch(theta, batches, update, rate, len(curve))
        n_evaluations += n_batches
        curve.append(value)
        if not np.isfinite(value):
            break
        so_far = Result(theta.astype(float), value, curve, n_evaluations, "stopped", "stopped")
        if on_iteration(so_far):
            status = "stopped"
            break
        if status == "max_iter" and rule.reached(curve):
            status = "converged"
            break
    theta = theta.astype(float)
    value = value_of(objective)(theta)
    status = "failed" if value > start else status
    message = f"the objective went from {start:.6g} to {value:.6g}"
    return Result(theta, value, curve, n_evaluations + 1, status, message, memory=update.memory)


def _epoch(theta, batches, update, rate, n_before):
    """Take a step for each mini-batch, in place; return the mean value and their number."""
    values, n = [], len(batches) if hasattr(batches, "__len__") else 1
    for batch in batches():
        value, gradient = batch(theta)
        update(theta, gradient, rate(n_before + (len(values) + 0.5) / n))
        values.append(value)
    return float(np.mean(values)), len(values)


class Nesterov:
    """Steps of gradient descent with momentum (Nesterov 1983, as in Sutskever et al. 2013).

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The start.
    momentum : float
        The share of a step that the next one repeats.
    memory : tuple of ndarray or None
        The last step of the run that this one continues.
    """

    def __init__(self, theta, momentum, memory=None):
        self.momentum, self.scratch = momentum, np.empty_like(theta)
        self.memory = _copied(memory) if memory else (np.zeros_like(theta),)

    def __call__(self, theta, gradient, rate):
        """Take a step from theta, in place."""
        (velocity,) = self.memory
        step = np.multiply(gradient, rate, out=self.scratch)
        theta -= step
        if self.momentum > 0:
            velocity *= self.momentum
            velocity -= step
            theta += np.multiply(velocity, self.momentum, out=step)


class Adam:
    """Steps of Adam (Kingma and Ba 2015), with the constants of the paper except for the rate.

    The sums m = Σ a^k g and v = Σ b^k g² of the past gradients are kept without the factors
    1 - a and 1 - b of the paper's means. The length of a step has them instead.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The start.
    size : float
        The unit of the objective: ``EPSILON`` is a share of it.
    memory : tuple of (int, ndarray, ndarray) or None
        The number of steps, m and v of the run that this one continues.
    """

    MEAN, SQUARE, EPSILON = 0.9, 0.999, 1e-8  # a, b, and the paper's third constant
    PIECE = 2**15  # parameters at a time, whose moments stay in the cache

    def __init__(self, theta, size, memory=None):
        # a Python float, which keeps float32 arrays float32
        self.epsilon = float(self.EPSILON * size / np.sqrt(1 - self.SQUARE))
        self.scratch = np.empty_like(theta[: self.PIECE])
        self.memory = _copied(memory or (0, np.zeros_like(theta), np.zeros_like(theta)))

    def __call__(self, theta, gradient, rate):
        """Take a step from theta, in place."""
        n, sums, squares = self.memory
        self.memory = n + 1, sums, squares
        a, b = ((1 - base) / (1 - base ** (n + 1)) for base in (self.MEAN, self.SQUARE))
        rate = float(rate * a / np.sqrt(b))
        for start in range(0, len(theta), self.PIECE):
            piece = slice(start, start + self.PIECE)
            self._step(theta[piece], gradient[piece], sums[piece], squares[piece], rate)

    def _step(self, theta, gradient, sums, squares, rate):
        step = self.scratch[: len(theta)]
        sums *= self.MEAN
        sums += gradient
        squares *= self.SQUARE
        squares += np.multiply(gradient, gradient, out=step)
        np.sqrt(squares, out=step)
        step += self.epsilon
        np.divide(sums, step, out=step)
        step *= rate
        theta -= step


def _copied(memory):
    return tuple(part.copy() if isinstance(part, np.ndarray) else part for part in memory)
