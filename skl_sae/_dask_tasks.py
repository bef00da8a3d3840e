"""Tasks that run where the rows of a dask collection are, chunk by chunk."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import assert_all_finite

from ._threads import alone, on_one_blas_thread
from ._validation import FLOATS, no_entry_twice
from .backprop.blocks import aligned, as_floats, chunks, in_precision
from .backprop.rows import Rows, added, first_share, shuffled
from .backprop.start import Columns


def n_rows_of(X):
    """Number of rows; a sparse matrix has no length."""
    return X.shape[0]


def n_entries_of(X):
    """Number of entries of a sparse matrix."""
    return X.nnz


def as_csr(X):
    """A sparse matrix of any kind as CSR of float64 or float32 without duplicate entries."""
    X = X.tocsr()
    return no_entry_twice(X if X.dtype in FLOATS else X.astype(float))


def sums_of_chunk(dtype, step, parameters, X, Y, s, index):
    """The sums of a step over the rows of a chunk, or None if no rows count."""
    if (n_rows_of(X) if index is None else len(index)) == 0:
        return None
    Y = None if Y is None else in_precision(Y, dtype)
    rows = Rows(in_precision(X, dtype), Y, s, index)
    return on_one_blas_thread(lambda n_threads: rows.sum(step, *_all_aligned(parameters)))


def _all_aligned(parameters):
    """All arrays in nested lists, made `aligned`."""
    if isinstance(parameters, (list, tuple)):
        return [_all_aligned(part) for part in parameters]
    return parameters if parameters is None else aligned(parameters)


def added_chunks(parts):
    """The sums of several chunks."""
    parts = [part for part in parts if part is not None]
    return added(parts) if parts else None


def sample(X, s, share, seed):
    """A random share of the rows that have a weight, sorted."""
    return first_share(shuffled(n_rows_of(X), s, np.random.default_rng(seed)), share)


def weight_of_chunk(X, Y, s, index):
    if s is None:
        return n_rows_of(X) if index is None else len(index)
    return np.sum(s if index is None else s[index], dtype=float)


def labels_of_chunk(y):
    from sklearn.utils.multiclass import check_classification_targets

    if len(y):
        check_classification_targets(y)
    return np.unique(y)


@dataclass
class Range:
    """The smallest and the largest value of rows, or None without rows."""

    name: str | None

    def __call__(self, rows):
        if n_rows_of(rows) == 0:
            return None
        found = []
        for block in self._blocks(rows):
            if self.name:
                assert_all_finite(block, input_name=self.name)
            found.append((block.min(), block.max()))
        lows, highs = zip(*found)
        return np.min(lows), np.max(highs)

    def _blocks(self, rows):
        """The values; for a sparse chunk its entries, and one zero if it has zeros."""
        if not issparse(rows):
            return chunks(as_floats(rows.reshape(len(rows), -1)))
        zero = rows.nnz < rows.shape[0] * rows.shape[1]
        return [np.append(rows.data, np.zeros(int(zero), rows.dtype))]


@dataclass
class ColumnsOf:
    """`Columns` of a chunk, or None if no row has a weight."""

    cut: tuple | None

    def __call__(self, rows, s=None):
        if n_rows_of(rows) == 0 or not (s is None or s.any()):
            return None
        with np.errstate(all="ignore"):
            return Columns.of(as_floats(rows), s, self.cut)


@dataclass
class Scaled:
    """Weights whose largest is one."""

    largest: float
    dtype: np.dtype

    def __call__(self, s):
        return (s.astype(float) / self.largest).astype(self.dtype)


@dataclass
class Method:
    """A method of an estimator, applied to rows; there may be no rows."""

    name: str
    estimator: object

    def __call__(self, X):
        rows = X if n_rows_of(X) else np.zeros((1, X.shape[1]), X.dtype)
        return alone(partial(getattr(self.estimator, self.name), rows))[: n_rows_of(X)]
