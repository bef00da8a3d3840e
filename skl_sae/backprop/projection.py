r"""Variable projection: the output layer that is best for given hidden layers.

Where the output is linear and the loss squared, the objective is quadratic in the last
weights W and biases b. With the code a of the last hidden layer, its mean ā and the mean
target ȳ, its minimum is a ridge regression with a free intercept::

    (C_aa + λ I) W = C_ay        C_aa = mean (a - ā)ᵀ(a - ā),   C_ay = mean (a - ā)ᵀ(y - ȳ)
    b = ȳ - ā W

What is left is a function of the hidden layers alone. Its gradient is the ordinary one at
that solution, because the derivative by the output layer is zero there (Golub and Pereyra
1973, 2003).
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack, lstsq


class Moments(NamedTuple):
    """Sums over rows that determine the output layer, each row times its weight.

    Attributes
    ----------
    code : ndarray of shape (n_units,)
        The sum of the codes a.
    target : ndarray of shape (n_outputs,)
        The sum of the targets y.
    code_code : ndarray of shape (n_units, n_units)
        The sum of aᵀa.
    code_target : ndarray of shape (n_units, n_outputs)
        The sum of aᵀy.
    """

    code: np.ndarray
    target: np.ndarray
    code_code: np.ndarray
    code_target: np.ndarray

    @classmethod
    def zeros(cls, n_units, n_outputs):
        """No rows so far."""
        shapes = [n_units, n_outputs, (n_units, n_units), (n_units, n_outputs)]
        return cls(*map(np.zeros, shapes))

    def add(self, A, Y, s, work, products):
        """Add the rows of a block.

        Parameters
        ----------
        A : ndarray of shape (n_rows, n_units)
            Their codes.
        Y : ndarray of shape (n_rows, n_outputs)
            Their targets.
        s : ndarray of shape (n_rows,) or None
            Their weights.
        work : Workspace
            Buffers for this many rows.
        products : tuple of ndarray
            Buffers in the shapes of ``code_code`` and ``code_target``.
        """
        weights = work.ones if s is None else s
        weighted = A if s is None else np.multiply(A, s[:, np.newaxis], out=work.deltas[-1])
        self.code[:] += weights @ A
        self.target[:] += weights @ Y
        self.code_code[:] += np.matmul(weighted.T, A, out=products[0])
        self.code_target[:] += np.matmul(weighted.T, Y, out=products[1])


def solve_output(moments, total_weight, lam, rounding):
    """The weights and biases of the output layer that minimise the objective.

    Parameters
    ----------
    moments : Moments
        Sums over all rows.
    total_weight : float
        The sum of the weights of the rows.
    lam : float
        Weight decay λ.
    rounding : float
        Relative error of the sums. Directions of the code that vary less than this, and
        that λ does not determine either, get the smallest weights.

    Returns
    -------
    W : ndarray of shape (n_units, n_outputs)
    b : ndarray of shape (n_outputs,)
    """
    code, target, code_code, code_target = (total / total_weight for total in moments)
    system = code_code - np.outer(code, code)
    system[np.diag_indices_from(system)] += lam
    W = _solve(system, code_target - np.outer(code, target), rounding)
    return W, target - code @ W


def _solve(system, right, rounding):
    """Solve a symmetric system by Cholesky, or by least squares where it is ill-conditioned."""
    if not (np.isfinite(system).all() and np.isfinite(right).all()):
        return np.full_like(right, np.nan)
    factor, failed = lapack.dpotrf(system)
    if not failed:
        reciprocal_condition, _ = lapack.dpocon(factor, np.abs(system).sum(axis=0).max())
        if reciprocal_condition > rounding:
            return lapack.dpotrs(factor, right)[0]
    return lstsq(system, right, cond=rounding)[0]
