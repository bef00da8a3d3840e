"""The end of a solver's run: its result, and the rule of convergence."""

from typing import NamedTuple

import numpy as np

# A run with J above PLATEAU times the baseline is on the plateau of its start, where patience is
# ON_PLATEAU times longer. J counts as at least NEXT_TO_NOTHING times the baseline.
PLATEAU, ON_PLATEAU = 0.99, 5
NEXT_TO_NOTHING = 1e-3


class Result(NamedTuple):
    """How a run of a solver ended, or how it would if it ended now.

    Attributes
    ----------
    theta : ndarray of shape (n_params,)
        The last point.
    value : float
        The objective at this point.
    loss_curve : list of float
        The objective after each iteration (for mini-batches: its mean over the epoch).
    n_evaluations : int
        Calls of the objective.
    status : {"converged", "finished", "max_iter", "stopped", "failed"}
        "finished" means that all steps were made, and shrank to zero by ``max_iter``. "stopped"
        means that ``on_iteration`` ended the run. "failed" means that no lower value was found.
    message : str
        The solver's own message.
    stages : tuple of int
        Number of iterations in each stage of "lbfgs".
    shares : tuple of float
        The share of the rows that each stage ran on.
    memory : tuple
        State of "sgd" and "adam" from earlier gradients, for a run that continues this one.
    learning_rate : float or None
        The longest step of "sgd" and "adam".
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
    """The rule of convergence, which is the same for all solvers.

    Attributes
    ----------
    tol : float
        The values of a run have converged when ``patience`` iterations have not lowered the
        lowest value by this share of it.
    patience : int
        The number of iterations.
    baseline : float, default=0.0
        J₀, the objective of the best constant output; 0 if there is none. In the product with
        ``tol`` a value counts as at least `NEXT_TO_NOTHING` times J₀. As long as no value is
        below `PLATEAU` times J₀, and none rises, `ON_PLATEAU` times as many iterations are
        needed.
    """

    tol: float
    patience: int
    baseline: float = 0.0

    @property
    def size(self):
        """The unit of the objective: the baseline cut to a power of two, which divides exactly."""
        usable = np.finfo(float).tiny < self.baseline < np.inf
        return float(2.0 ** (np.frexp(self.baseline)[1] - 1)) if usable else 1.0

    def reached(self, curve):
        """Whether the last values are not lower than the best value before them."""
        waits = 0 < PLATEAU * self.baseline <= min(curve) and self.calm(curve)
        patience = self.patience * (ON_PLATEAU if waits else 1)
        if len(curve) <= patience:
            return False
        best = min(curve[:-patience])
        return min(curve[-patience:]) > best - self._gain(best)

    def calm(self, curve):
        """Whether the last values are close to the best one, and do not oscillate."""
        best = min(curve)
        return max(curve[-self.patience :]) - best <= self._gain(best)

    def _gain(self, value):
        return self.tol * max(abs(value), NEXT_TO_NOTHING * self.baseline)
