"""Weights of rows, in memory or in chunks."""

import numpy as np

from ._compat import check_sample_weight
from ._dask import Chunks
from ._equal_rows import merged
from ._validation import check_weight_range, refuse_dates


def exact_weights(sample_weight, X):
    """Weights of the rows in float64, or None. They are scaled by a power of two, exactly.

    Raises
    ------
    ValueError
        A weight is negative or not finite, all are zero, or their number is wrong.
    """
    if isinstance(X, Chunks):
        return X.weights(sample_weight)
    if sample_weight is None:
        return None
    refuse_dates(sample_weight, "sample_weight")
    rows = np.empty((X.shape[0], 0))  # only their number matters
    weights = check_sample_weight(sample_weight, rows, dtype=np.float64)
    check_weight_range(weights.min(), weights.max())
    return np.ldexp(weights, -np.frexp(weights.max())[1])


def check_weights(sample_weight, X):
    """Weights of the rows in the dtype of X, scaled to at most one: see `exact_weights`."""
    weights = exact_weights(sample_weight, X)
    if weights is None or isinstance(X, Chunks):
        return weights
    return (weights / weights.max()).astype(X.dtype)


def n_different(X, Y=None, s=None):
    """Number of rows with a weight; equal ones count once if there are few enough to merge."""
    if isinstance(X, Chunks):
        return len(X) if s is None else sum(s.each(np.count_nonzero))
    X, _, s = merged(X, Y, s)
    return X.shape[0] if s is None else np.count_nonzero(s)
