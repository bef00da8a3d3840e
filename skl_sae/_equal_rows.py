"""Merge equal rows into one row with the sum of their weights, and sort the rows.

A fit then gives the same bits whether a row is repeated or weighted, and for any order of the
rows. Integer weights equal repetition, and a row of weight zero has no effect. Without this,
rounding would drive the two fits apart, because a long search amplifies the last digit.

Rows are compared and ordered by a key of 128 bits, a hash of their values. Among 100,000 rows, two
different ones have the same key with a probability of 1e-28.
"""

import numpy as np
from scipy.sparse import issparse

from .backprop.blocks import chunks, row_blocks

# Up to this many rows and bytes, keys are cheap beside a fit. The merged rows are a copy.
MOST_ROWS, MOST_BYTES = 10**5, 2**26

# The two odd factors of splitmix64 (Steele, Lea and Flood 2014), which spread bits well.
SPREAD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

# What is hashed at a time, to stay in the cache: bytes of rows, or entries of a sparse matrix.
HASHED, N_ENTRIES = 2**17, 2**20


def merged(X, Y=None, s=None):
    """X, Y and the weights s with equal rows merged; unchanged if there are too many rows.

    Parameters
    ----------
    X : {ndarray, LazyRows, CSR array} of shape (n_rows, n_features)
        Rows.
    Y : ndarray of shape (n_rows, n_outputs), default=None
        Targets. Rows are equal only if their targets are equal too.
    s : ndarray of shape (n_rows,), default=None
        Weights.

    Returns
    -------
    X, Y, s
        The different rows that have a weight. s is None if all weights are equal.
    """
    n_bytes = X.data.nbytes if issparse(X) else X.dtype.itemsize * int(np.prod(X.shape))
    if X.shape[0] > MOST_ROWS or n_bytes > MOST_BYTES:
        return X, Y, s
    if s is not None and not s.all():
        some = np.flatnonzero(s)
        X, Y, s = X[some], Y if Y is None else Y[some], s[some]
    X = _canonical(X) if issparse(X) else X[:]
    keys = _keys(X)
    if Y is not None:  # X decides first: the order must not depend on the unit of y
        keys = np.hstack([_keys(np.asarray(Y[:], float)), keys])
    order = np.lexsort(keys.T)
    first = np.flatnonzero(np.append(True, (np.diff(keys[order], axis=0) != 0).any(axis=1)))
    weights = np.ones(len(order)) if s is None else s[order].astype(float)
    weights, index = np.add.reduceat(weights, first), order[first]
    equal = weights.min() == weights.max()
    return X[index], Y if Y is None else Y[index], None if equal else weights


def row_keys(rows):
    """A key of 64 bits for each row of float64; equal rows of any matrices have the same one."""
    rng = np.random.default_rng(rows.shape[1])
    factors = rng.integers(2**63, size=rows.shape[1], dtype=np.uint64) * 2 + 1
    blocks = chunks(rows, HASHED)
    return np.concatenate([_hashed(block, np.uint64(0)) @ factors for block in blocks])


def _canonical(X):
    """The same CSR array, with sorted columns and neither duplicate entries nor zeros."""
    if not (X.has_canonical_format and X.data.all()):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    return X


def _keys(rows):
    """For each row Σ hash(x) r modulo 2⁶⁴, with two random odd numbers r for each column."""
    rng = np.random.default_rng(rows.shape[1])
    factors = rng.integers(2**63, size=(rows.shape[1], 2), dtype=np.uint64) * 2 + 1
    unit = _exponent_of_largest(rows.data if issparse(rows) else rows)
    if not issparse(rows):
        return np.concatenate([_hashed(block, unit) @ factors for block in chunks(rows, HASHED)])
    n_rows = max(1, N_ENTRIES * rows.shape[0] // max(1, rows.nnz))
    return np.concatenate(
        [_sparse_keys(rows[part], unit, factors) for part in row_blocks(rows.shape[0], n_rows)]
    )


def _sparse_keys(rows, unit, factors):
    """The same sums over the stored entries alone, because zero has the hash zero."""
    terms = _hashed(rows.data, unit)[:, np.newaxis] * factors[rows.indices]
    ends = np.zeros((len(terms) + 1, 2), np.uint64)
    np.cumsum(terms, axis=0, out=ends[1:])
    return ends[rows.indptr[1:]] - ends[rows.indptr[:-1]]


def _bits(values):
    """The bits of floating point numbers; zero for a zero of either sign."""
    return (np.ascontiguousarray(values) + 0).view(f"u{values.dtype.itemsize}").astype(np.uint64)


def _exponent_of_largest(values):
    """The exponent of the largest absolute value, at its place in the bits of a number."""
    largest = max(values.max(), -values.min()) if values.size else values.dtype.type(0)
    n_fraction = np.uint64(np.finfo(values.dtype).nmant)
    return _bits(np.atleast_1d(largest)) >> n_fraction << n_fraction


def _hashed(values, unit):
    """The bits of numbers, in a unit that is a power of two, mixed over all 64 bits."""
    bits = _bits(values)
    bits += (SPREAD[0] - unit) * (bits != 0)  # SPREAD keeps a power of two from becoming zero
    for factor in SPREAD:
        bits ^= bits >> np.uint64(31)
        bits *= factor
    return bits
