"""How runs of solvers end: what they return, and the rule by which they have converged."""

from typing import NamedTuple

import numpy as np

# Above this share of the baseline a run is on the plateau of its start, where patience is so many
# times longer; below the last share a value counts as that.
PLATEAU, ON_PLATEAU = 0.99, 5
NEXT_TO_NOTHING = 1e-3


class Result(NamedTuple):
    """How a run of a solver ended, or how it would if it ended now.

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
    status : {"converged", "finished", "max_iter", "stopped", "failed"}
        "finished" means that steps which shrink to nothing by ``max_iter`` have done so;
        "stopped" is the doing of ``on_iteration``; "failed", that no lower value was found.
    message : str
        The solver's own words.
    stages : tuple of int
        The iterations of each stage of "lbfgs".
    shares : tuple of float
        The share of the rows that each of them ran on.
    memory : tuple
        What "sgd" and "adam" know of the gradients passed, for a run that goes on from this.
    learning_rate : float or None
        The length of their steps, where they are at their longest.
    """

    theta: np.ndarray
    value: float
    loss_curve: list
    n_evaluations: int
    status: str
    message: str
    stages: tuple = ()
    shares: tuple = ()
    memory: tuple = ()
    learning_rate: float | None = None


class Convergence(NamedTuple):
    """When the values of a run have converged: one rule for all solvers.

    Attributes
    ----------
    tol : float
        They have when ``patience`` iterations have not lowered the lowest by this share of it.
    patience : int
        The number of iterations.
    baseline : float, default=0.0
        J₀, the objective of the best constant output, of which `NEXT_TO_NOTHING` is the least
        that counts as a size. As long as no value is below `PLATEAU` of it, and none rises,
        `ON_PLATEAU` times as many iterations are waited for. 0 if there is none.
    """

    tol: float
    patience: int
    baseline: float = 0.0

    @property
    def size(self):
        """What counts as one: the baseline as a power of two, so that it divides exactly."""
        usable = np.finfo(float).tiny < self.baseline < np.inf
        return float(2.0 ** (np.frexp(self.baseline)[1] - 1)) if usable else 1.0

    def reached(self, curve):
        """Whether the last values are no better than the best before them."""
        waits = 0 < PLATEAU * self.baseline <= min(curve) and self.calm(curve)
        patience = self.patience * (ON_PLATEAU if waits else 1)
        if len(curve) <= patience:
            return False
        best = min(curve[:-patience])
        return min(curve[-patience:]) > best - self._gain(best)

    def calm(self, curve):
        """Whether the last values lie so close to the best that they do not swing about it."""
        best = min(curve)
        return max(curve[-self.patience :]) - best <= self._gain(best)

    def _gain(self, value):
        return self.tol * max(abs(value), NEXT_TO_NOTHING * self.baseline)
