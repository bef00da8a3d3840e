"""Equal rows as one row with the sum of their weights, in an order of their own.

A fit then has the same bits whether a row is repeated or weighted, and whatever the order of the
rows: integer weights equal repetition, and a row without weight does not exist. Rounding alone
would let the two fits part, since a long search amplifies the last digit.
"""

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, issparse

from .backprop.blocks import chunks

# Sorting is cheap beside a fit up to so many rows, and bytes of them; a copy is made of these.
MOST_ROWS, MOST_BYTES = 10**5, 2**26


def merged(X, Y=None, s=None):
    """X, Y and the weights s with equal rows merged; the same objects where there are too many.

    Parameters
    ----------
    X : {ndarray, LazyRows, CSR array} of shape (n_rows, n_features)
        Rows.
    Y : ndarray of shape (n_rows, n_outputs), default=None
        Targets. Rows are equal only if theirs are.
    s : ndarray of shape (n_rows,), default=None
        Weights.

    Returns
    -------
    X, Y, s
        Of the different rows that have a weight; s is None if all weights are equal.
    """
    n_bytes = X.data.nbytes if issparse(X) else X.dtype.itemsize * int(np.prod(X.shape))
    if X.shape[0] > MOST_ROWS or n_bytes > MOST_BYTES:
        return X, Y, s
    if s is not None and not s.all():
        some = np.flatnonzero(s)
        X, Y, s = X[some], Y if Y is None else Y[some], s[some]
    X = _canonical(X) if issparse(X) else X[:]
    rows = _bytes_of(X)
    if Y is not None:
        rows = [of_X + (of_Y + 0).tobytes() for of_X, of_Y in zip(rows, Y)]  # -0.0 is 0.0
    order = sorted(range(len(rows)), key=rows.__getitem__)
    is_first = [True, *(rows[i] != rows[j] for i, j in pairwise(order))]
    order = np.array(order)
    weights = np.ones(len(order)) if s is None else s[order].astype(float)
    weights = np.add.reduceat(weights, np.flatnonzero(is_first))
    index = order[is_first]
    equal = weights.min() == weights.max()
    return X[index], Y if Y is None else Y[index], None if equal else weights


def _canonical(X):
    """The same CSR array, with columns in order, no entry twice and none that is zero."""
    if not (X.has_canonical_format and X.data.all()):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
    return X


def _bytes_of(X):
    """Numbers and values of the columns that are not zero in each row, sparse or not."""
    blocks = [X] if issparse(X) else map(csr_array, chunks(X))
    return [
        block.indices[start:end].astype(np.int32).tobytes() + block.data[start:end].tobytes()
        for block in blocks
        for start, end in pairwise(block.indptr)
    ]
