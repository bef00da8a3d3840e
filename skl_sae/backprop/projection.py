r"""Variable projection: the output layer that is best for given hidden layers.

If the output is linear and the loss is the squared error, the objective is quadratic in the last
weights W and biases b. Let a be the code of the last hidden layer, ā its mean and ȳ the mean
target. Then the minimum is a ridge regression with a free intercept::

    (C_aa + λ I) W = C_ay        C_aa = mean (a - ā)ᵀ(a - ā),   C_ay = mean (a - ā)ᵀ(y - ȳ)
    b = ȳ - ā W

The objective at this minimum is a function of the hidden layers alone. Its gradient is the
ordinary gradient there, because the derivative by the output layer is zero (Golub and Pereyra
1973, 2003).
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack


class Moments(NamedTuple):
    """Sums over rows that determine the output layer, each row times its weight.

    A reference code r near their mean is subtracted from the codes. If codes hardly vary, the
    rounding of their own products would be larger than their variation.

    Attributes
    ----------
    code : ndarray of shape (n_units,)
        The sum of a - r.
    target : ndarray of shape (n_outputs,)
        The sum of the targets y.
    code_code : ndarray of shape (n_units, n_units)
        The sum of (a - r)ᵀ(a - r).
    code_target : ndarray of shape (n_units, n_outputs), or (n_units, 0)
        The sum of (a - r)ᵀy, if it is needed.
    """

    code: np.ndarray
    target: np.ndarray
    code_code: np.ndarray
    code_target: np.ndarray

    @classmethod
    def zeros(cls, n_units, n_outputs, crossed=True):
        """Sums of no rows; ``crossed`` is whether ``code_target`` is needed."""
        shapes = [n_units, n_outputs, (n_units, n_units), (n_units, n_outputs if crossed else 0)]
        return cls(*map(np.zeros, shapes))

    def add(self, A, Y, s, reference, work):
        """Add the rows of a block.

        Parameters
        ----------
        A : ndarray of shape (n_rows, n_units)
            Their codes.
        Y : {ndarray, CSR array} of shape (n_rows, n_outputs)
            Their targets.
        s : ndarray of shape (n_rows,) or None
            Their weights.
        reference : ndarray of shape (n_units,)
            The reference code.
        work : Workspace
            Buffers for this many rows.
        """
        C = np.subtract(A, reference, out=work.deltas[-1])
        weights = work.ones if s is None else s
        root = None if s is None else np.sqrt(s)[:, np.newaxis]
        if s is not None:
            C *= root
        self.code_code[:] += C.T @ C
        if s is not None:
            C *= root
        if self.code_target.size:
            self.code_target[:] += _crossed(C, Y, work.products[-1])
        self.code[:] += work.ones @ C
        self.target[:] += weights @ Y


def _crossed(C, Y, out):
    if isinstance(Y, np.ndarray):
        return np.matmul(C.T, Y, out=out if out.size else None)
    return (Y.T @ C).T


def solve_output(moments, total_weight, reference, lam, rounding):
    """The weights and biases of the output layer that minimise the objective.

    Parameters
    ----------
    moments : Moments
        Sums over all rows.
    total_weight : float
        The sum of the weights of the rows.
    reference : ndarray of shape (n_units,)
        The reference code of the moments.
    lam : float
        Weight decay λ.
    rounding : float
        Relative error of the sums. A direction gets no weight if the code varies less than this
        in it, and if λ does not determine it either.

    Returns
    -------
    W : ndarray of shape (n_units, n_outputs)
    b : ndarray of shape (n_outputs,)
    """
    code, target, code_code, code_target = (total / total_weight for total in moments)
    # errors of the sums, and of the codes themselves, which large weights would magnify
    noise = 10 * rounding * np.trace(code_code) + np.sum((100 * rounding * reference) ** 2)
    system = code_code - np.outer(code, code)
    np.einsum("ii->i", system)[:] += lam  # a view of the diagonal
    W = _solve(system, code_target - np.outer(code, target), noise)
    return W, target - (reference + code) @ W


def _solve(system, right, noise):
    """Solve a symmetric system by Cholesky, or only in its directions above the noise."""
    if not (np.isfinite(system).all() and np.isfinite(right).all()):
        return np.full_like(right, np.nan)
    factor, failed = lapack.dpotrf(system)
    # given 1 as the norm of the system, dpocon returns 1 / norm of its inverse
    if not failed and lapack.dpocon(factor, 1.0)[0] > noise:
        return lapack.dpotrs(factor, right)[0]
    values, V = np.linalg.eigh(system)
    V, values = V[:, values > noise], values[values > noise]
    return V @ (V.T @ right / values[:, np.newaxis])
