"""Statistics of weighted rows with outliers: quantiles, scales, densities.

They depend only on the ratios of the weights. Equal rows count as one with the sum of theirs,
except in `Polygons`, where half a row at each knot counts less if there are more rows.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

# The normal distribution is not fitted to this share of the rows, the farthest ones.
TRIMMED = 0.2

# The share of the mean variance in each variance. It bounds the inverse of the covariance, even
# with more columns than rows.
SHRINKAGE = 0.01

# Columns have a variance near one; a variance below this counts as this.
FLOOR = 1e-12

# The density of a column is linear between this many knots.
KNOTS = 11

# Added to the number of rows at each knot, so the density is positive everywhere.
PRIOR_ROWS = 0.5

# The share of the values at each end of a column that count neither for its scale nor for the
# range of its density.
CUT = 0.01


def quantiles(values, s, *shares):
    """For each column the first value at which the weight up to it exceeds a share.

    Parameters
    ----------
    values : ndarray of shape (n_rows,) or (n_rows, n_columns)
        Rows.
    s : ndarray of shape (n_rows,)
        Their weights.
    *shares : float
        Shares from 0 to 1.

    Returns
    -------
    list of ndarray of shape () or (n_columns,)
        One quantile for each share. At most that share of the weight lies below it.
    """
    order = np.argsort(values, axis=0)
    below = np.cumsum(s[order], axis=0)
    below /= below[-1]
    ranked, last = np.take_along_axis(values, order, axis=0), len(values) - 1
    # 30 of 300 must count as a share of 0.1, whatever the rounding
    places = [np.minimum((below <= share + 1e-12).sum(axis=0), last) for share in shares]
    return [np.take_along_axis(ranked, place[np.newaxis], axis=0)[0] for place in places]


def center_and_scale(X, s):
    """Mean and standard deviation of each column, after its extreme values are cut.

    The scale is never zero. If the cut column does not vary, the whole column is used. If that is
    constant too, the scale is a tenth of the size of its value, or 0.1 if the value is zero.
    """
    low, high = quantiles(X, s, CUT, 1 - CUT)
    center, scale = _mean_and_deviation(np.clip(X, low, high), s)
    if (still := low == high).any():
        center[still], scale[still] = _mean_and_deviation(X[:, still], s)
    size = np.where(center == 0, 1, np.abs(center))
    return center, np.where(scale > 0, scale, size / 10)


def _mean_and_deviation(X, s):
    origin, share = X[0].copy(), s / s.sum()  # relative to a row: a constant column stays exact
    D = X / 2 - origin / 2  # half, since the range of a column may overflow
    unit = np.abs(D).max(axis=0)
    D /= np.where(unit > 0, unit, 1)
    mean = share @ D
    return origin + 2 * unit * mean, 2 * (unit * np.sqrt(share @ np.square(D - mean)))


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution with mean μ and the inverse covariance a I + Vᵀ diag(b) V.

    Attributes
    ----------
    mean : ndarray of shape (n_columns,)
        μ.
    a : float
        The inverse variance of directions in which the rows did not vary.
    b : ndarray of shape (n_directions,)
        The difference to a in each principal direction.
    V : ndarray of shape (n_directions, n_columns)
        The principal directions.
    """

    mean: np.ndarray
    a: float
    b: np.ndarray
    V: np.ndarray

    @classmethod
    def fit(cls, X, s):
        """Fit to all rows, then again without the rows that are farthest by the first fit.

        This is a step of the minimum covariance determinant (Rousseeuw and Van Driessen 1999).
        """
        distance = cls._of(X, s).distance(X)
        near = distance <= quantiles(distance, s, 1 - TRIMMED)[0]
        return cls._of(X[near], s[near])

    @classmethod
    def _of(cls, X, s):
        share = s / s.sum()
        mean = share @ X
        variances, V = _principal(np.sqrt(share)[:, np.newaxis] * (X - mean))
        typical = max(variances.sum() / X.shape[1], FLOOR)
        a = 1 / (SHRINKAGE * typical)
        return cls(mean, a, 1 / ((1 - SHRINKAGE) * variances + SHRINKAGE * typical) - a, V)

    def distance(self, X):
        """The squared Mahalanobis distance of each row from μ, divided by the column count."""
        D = X - self.mean
        squares = self.a * np.einsum("ij,ij->i", D, D) + np.square(D @ self.V.T) @ self.b
        return np.maximum(squares, 0) / X.shape[1]

    def pull(self, X):
        """The rows minus μ, and their products with the inverse covariance over n_columns.

        The product of the two arrays, summed over the columns, is the distance of each row.
        """
        D = X - self.mean
        return D, (self.a * D + (D @ self.V.T * self.b) @ self.V) / X.shape[1]


def _principal(D):
    """Eigenvalues of DᵀD, and its eigenvectors as rows; by way of DDᵀ if that is smaller."""
    n_rows, n_columns = D.shape
    if n_columns <= n_rows:
        variances, V = np.linalg.eigh(D.T @ D)
        return np.maximum(variances, 0), V.T
    variances, U = np.linalg.eigh(D @ D.T)
    some = variances > 1e-12 * max(variances[-1], FLOOR)
    variances, U = variances[some], U[:, some]
    return variances, (U / np.sqrt(variances)).T @ D


@dataclass(frozen=True)
class Polygons:
    """The density of each column divided by its largest density, linear between knots.

    Like a frequency polygon (Scott 1985) it has no steps, so the rounding of a value, in one
    unit or another, changes little. Each row is divided between the two knots beside it.

    Attributes
    ----------
    low : ndarray of shape (n_columns,)
        The first knot of each column.
    step : ndarray of shape (n_columns,)
        The distance of its knots.
    heights : ndarray of shape (n_columns, KNOTS + 2)
        The heights at the knots, and before and after them, where no row counts.
    """

    low: np.ndarray
    step: np.ndarray
    heights: np.ndarray

    @classmethod
    def fit(cls, X, s):
        """Fit to all values but the extreme ones; if the others are equal, to all."""
        low, high = quantiles(X, s, CUT, 1 - CUT)
        still = low == high
        low[still], high[still] = X[:, still].min(axis=0), X[:, still].max(axis=0)
        step = high / (KNOTS - 1) - low / (KNOTS - 1)
        step = np.where(step > 0, step, 1)  # 0 if the column is constant, or by underflow
        flat = cls(low, step, np.zeros((X.shape[1], KNOTS + 2)))
        left, part = flat._places(X)
        count = partial(np.bincount, minlength=flat.heights.size)
        near, share = left.ravel(), (s / s.mean())[:, np.newaxis]
        rows = count(near, (share * (1 - part)).ravel()) + count(near + 1, (share * part).ravel())
        heights = rows.reshape(flat.heights.shape) + PRIOR_ROWS
        heights[:, [0, -1]] = PRIOR_ROWS
        return cls(low, step, heights / heights.max(axis=1, keepdims=True))

    def rarity(self, X):
        """-log of the relative density at each value: 0 at the mode, never negative."""
        left, part = self._places(X)
        heights = self.heights.ravel()
        below, above = heights[left], heights[left + 1]
        return -np.log(below + part * (above - below))

    def _places(self, X):
        """For each value the flat index of the knot before it, and the way to the next knot."""
        with np.errstate(over="ignore"):
            steps = np.clip((X - self.low) / self.step + 1, 0, KNOTS + 1)
        knot = np.minimum(steps.astype(np.intp), KNOTS)
        return knot + (KNOTS + 2) * np.arange(X.shape[1]), steps - knot
