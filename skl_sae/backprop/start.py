r"""The start from the data, and J₀, the objective of the best constant output.

Weights start as in the tutorial, U(-r, r). Its biases start at zero, where every unit is half
active: a sparsity penalty first drives all of them to the same code, and a fit can stop on that
plateau. Here they start from the means of the data: each unit of a sparse code at the mean
activation ρ, others at a raw output of 0 for the mean row, the output at its best constant.
"""

from functools import partial, reduce
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from scipy.special import entr, logit

from .activations import ACTIVATIONS, STEEPNESS, look_up
from .blocks import chunks

# A bounded output starts no nearer to the ends of its range: beyond, its slope is next to nothing.
MARGIN = 1e-4

# Rows count as centred where the squares of their mean are below this share of their variance.
NEAR_ZERO = 1e-6


class Columns(NamedTuple):
    """The weight of rows, and the weighted mean and variance of each of their columns."""

    weight: float
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, rows, s=None, limits=None):
        """`Columns` of rows (a matrix of any kind), after their values are cut to ``limits``."""
        s = np.ones(rows.shape[0]) if s is None else s.astype(float)
        blocks, start = [], 0
        for block in chunks(rows) if issparse(rows) else chunks(rows, 2**20):
            weights = s[start : start + block.shape[0]]
            start += block.shape[0]
            if (some := weights > 0).any():  # the squares of a row without weight may overflow
                of_block = cls._of_sparse if issparse(block) else cls._of_block
                block = block if some.all() else block[some]
                blocks.append(of_block(_cut(block, limits), weights[some]))
        return reduce(cls.joined, blocks)

    @property
    def spread(self):
        """The weighted sum of ‖x - mean‖² over the rows."""
        return self.weight * float(self.variance.sum())

    @classmethod
    def _of_block(cls, block, s):
        weight = s.sum()
        block -= (origin := block[0].copy())  # a constant column stays exact
        mean = s @ block / weight
        block -= mean
        return cls(weight, origin + mean, s @ np.square(block, out=block) / weight)

    @classmethod
    def _of_sparse(cls, block, s):
        """The same from the entries, and from the weight of the rows without an entry."""
        n_rows, n_columns = block.shape
        entry_weights, at = np.repeat(s, np.diff(block.indptr)), block.indices
        sums = partial(np.bincount, at, minlength=n_columns)
        full, weight = sums() == n_rows, s.sum()
        origin = np.where(full, block[[0]].toarray()[0], 0)  # a constant column stays exact
        without = np.where(full, 0, np.maximum(weight - sums(entry_weights), 0))
        entries = block.data - origin[at]
        mean = sums(entry_weights * entries) / weight
        spread = sums(entry_weights * (entries - mean[at]) ** 2) + without * mean**2
        return cls(weight, origin + mean, spread / weight)

    def joined(self, other):
        """The columns of both together (Chan, Golub and LeVeque 1979)."""
        weight = self.weight + other.weight
        share, apart = other.weight / weight, other.mean - self.mean
        between = share * (1 - share) * apart**2
        variance = (1 - share) * self.variance + share * other.variance + between
        return Columns(weight, self.mean + share * apart, variance)


def _cut(block, limits):
    """A copy of rows as float64, cut to limits that hold zero."""
    block = block.astype(float)
    if limits is not None:
        values = block.data if issparse(block) else block
        np.clip(values, *limits, out=values)
    return block


def best_constant(loss, output_activation, columns):
    """The constant output with the lowest mean loss.

    Parameters
    ----------
    loss, output_activation : str
        A key of `losses.LOSSES`.
    columns : Columns
        `Columns` of the targets.

    Returns
    -------
    z : ndarray of shape (n_outputs,)
        The raw output of the constant, inside of the range by `MARGIN`.
    value : float
        J₀, the mean loss of the constant itself.
    """
    where = "BEST_CONSTANTS of skl_sae/backprop/start.py"
    return look_up(BEST_CONSTANTS, (loss, output_activation), where)(columns)


def _squared_error(columns, best):
    """J₀ of a constant output."""
    return 0.5 * float((columns.variance + (columns.mean - best) ** 2).sum())


def _of_linear_output(columns):
    return columns.mean, _squared_error(columns, columns.mean)


def _of_rates(columns, k):
    """Squared error of a = k rate - (k - 1), rate = logistic(k z)."""
    best = np.clip(columns.mean, 1 - k, 1)  # a mean in the range is itself, to the bit
    z = logit(_inside((best + k - 1) / k)) / k
    return z, _squared_error(columns, best)


def _of_log_loss(columns):
    mean = columns.mean
    return logit(_inside(mean)), float((entr(mean) + entr(1 - mean)).sum())


def _of_softmax(columns):
    return np.log(_inside(columns.mean)), float(entr(columns.mean).sum())


def _inside(rates):
    return np.clip(rates, MARGIN, 1 - MARGIN)


BEST_CONSTANTS = {
    ("squared_error", "logistic"): partial(_of_rates, k=STEEPNESS["logistic"]),
    ("squared_error", "tanh"): partial(_of_rates, k=STEEPNESS["tanh"]),
    ("squared_error", "identity"): _of_linear_output,
    ("log_loss", "logistic"): _of_log_loss,
    ("log_loss", "softmax"): _of_softmax,
}


def start_biases(network, coefs, mean, rho, z):
    """Biases with which the units and the output start at given values for the mean row.

    Parameters
    ----------
    network : Network
        Its activation.
    coefs : list of ndarray of shape (n_in, n_out)
        The weights.
    mean : ndarray of shape (n_features,)
        The mean row: the raw output of the first layer is linear in it.
    rho : float or None
        Mean activation of the hidden units; None starts them at a raw output of 0.
    z : ndarray of shape (n_outputs,)
        Raw output.

    Returns
    -------
    list of ndarray of shape (n_out,)
    """
    a, biases = mean, []
    for W in coefs[:-1]:
        raw = a @ W
        b = _raw_code(network.activation, rho) - raw
        a = raw + b
        ACTIVATIONS[network.activation](a, np.empty_like(a))
        biases.append(b)
    return [*biases, z - a @ coefs[-1]]


def _raw_code(activation, rho):
    """The raw output with which a hidden unit of mean activation ρ starts; 0 without one."""
    return 0.0 if rho is None else logit(rho) / STEEPNESS[activation]


def mean_inputs(network, columns, rho):
    """The inputs of each layer in the mean, as they are at the start; None where next to nothing.

    Parameters
    ----------
    network : Network
        Its hidden layers.
    columns : Columns
        Those of the rows.
    rho : float or None
        Mean activation of the hidden units; None starts them at a raw output of 0.
    """
    squares = float((columns.mean**2).sum())
    away = NEAR_ZERO * columns.variance.sum() < squares < np.inf
    code = np.array([_raw_code(network.activation, rho)])
    ACTIVATIONS[network.activation](code, np.empty_like(code))
    codes = [np.full(n, *code) if code.any() else None for n in network.sizes[1:-1]]
    return [columns.mean if away else None, *codes]


def power_of_two(size):
    """The power of two next to a size, to scale by it without rounding; 1 if there is none."""
    exact = np.isfinite(size) and size > np.finfo(float).tiny
    return float(2.0 ** min(np.round(np.log2(size)), 1023)) if exact else 1.0
