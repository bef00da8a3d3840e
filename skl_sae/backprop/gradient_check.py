"""Gradient checking: compare the gradient of a callable with differences of its value.

The tutorial's method compares each entry with the central difference
(J(θ + ε e) - J(θ - ε e)) / 2ε, ε = 1e-4. In large networks only some entries are checked. Random
directions cover all entries, with two evaluations for each direction.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GradientCheck:
    """The result of `check_gradient`. Print it to see the verdict.

    Attributes
    ----------
    max_relative_error : float
        The largest error of all entries and directions that were checked.
    where : str
        The parameter, or the direction, with that error.
    numerical, analytic : float
        The two derivatives there.
    n_params, n_directions : int
        Number of parameters and of random directions that were checked.
    """

    max_relative_error: float
    where: str
    numerical: float
    analytic: float
    n_params: int
    n_directions: int

    def __str__(self):
        return (
            f"largest relative error {self.max_relative_error:.2e} at {self.where} "
            f"(numerical {self.numerical:.10g}, backpropagation {self.analytic:.10g}); "
            f"{self.n_params} parameters and {self.n_directions} directions tried"
        )


def central_difference(objective, theta, direction, epsilon=1e-4):
    """(J(θ + ε d) - J(θ - ε d)) / 2ε, the derivative along ``direction`` d."""
    step = epsilon * direction
    return (objective(theta + step)[0] - objective(theta - step)[0]) / (2 * epsilon)


def compare_gradient(objective, theta, entries, directions, name_of, epsilon=1e-4):
    """Compare the gradient of ``objective`` at ``theta`` with central differences.

    The error of an entry is ``|numerical - analytic| / max(|numerical|, |analytic|, s)``. Here s
    is the root mean square of the gradient. Without s, rounding errors would decide over entries
    close to zero. Directions have unit length and the same s.

    Parameters
    ----------
    objective : callable
        ``objective(theta) -> (value, gradient)``.
    theta : ndarray of shape (n_params,)
        Where to check.
    entries : iterable of int
        Entries of theta to check one by one.
    directions : ndarray of shape (n_directions, n_params)
        Directions to check; each is scaled to unit length.
    name_of : callable
        ``name_of(k)``: the name of ``theta[k]``.
    epsilon : float, default=1e-4
        Half the distance between the two points.

    Returns
    -------
    GradientCheck
    """
    gradient = objective(theta)[1]
    scale = float(np.sqrt(np.nanmean(gradient**2))) or 1.0
    rows = []

    def compare(direction, analytic, where):
        numerical = float(central_difference(objective, theta, direction, epsilon))
        size = max(abs(numerical), abs(analytic), scale)
        rows.append((abs(numerical - analytic) / size, where, numerical, analytic))

    n_entries = 0
    for k in entries:
        compare(_unit_vector(theta.size, k), float(gradient[k]), name_of(k))
        n_entries += 1
    for i, direction in enumerate(directions):
        unit = direction / np.linalg.norm(direction)
        compare(unit, float(unit @ gradient), f"random direction {i}")
    # an error of nan counts as the worst
    worst = max(rows, key=lambda row: np.inf if np.isnan(row[0]) else row[0])
    return GradientCheck(*worst, n_params=n_entries, n_directions=len(directions))


def _unit_vector(size, k):
    unit = np.zeros(size)
    unit[k] = 1.0
    return unit
