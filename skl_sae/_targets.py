"""Real targets in a unit in which they vary by one, so that λ means the same for all of them."""

from dataclasses import dataclass

import numpy as np

from ._dask import ChunkedRows, columns_of_chunks
from .backprop.blocks import chunks
from .backprop.start import Columns, power_of_two


@dataclass
class Standardised:
    """Targets to fit: shifted, and divided by a scale, column by column."""

    mean: np.ndarray
    scale: np.ndarray
    dtype: np.dtype

    def __call__(self, Y):
        return ((Y - self.mean) / self.scale).astype(self.dtype)


class StandardisedRows:
    """The same of rows, a file of them perhaps, when they are taken: see `LazyRows`."""

    def __init__(self, Y, standardised):
        self.Y, self.standardised = Y, standardised
        self.shape, self.dtype = Y.shape, np.dtype(standardised.dtype)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        with np.errstate(over="ignore"):  # what is too large shows as infinite
            return self.standardised(self.Y[rows])


def mean_and_scale(Y, sample_weight):
    """The weighted mean and standard deviation of each column; 1 for one that does not vary.

    Parameters
    ----------
    Y : {ndarray, ChunkedRows} of shape (n_rows, n_outputs)
        Targets.
    sample_weight : {ndarray, ChunkedRows} of shape (n_rows,) or None
        Weights of the rows.

    Returns
    -------
    mean, scale : ndarray of shape (n_outputs,)
    """
    with np.errstate(all="ignore"):  # what overflows the fit reports
        # squares of what is huge or tiny would overflow, or vanish
        in_chunks = isinstance(Y, ChunkedRows)
        largest = Y.each(_largest) if in_chunks else map(_largest, chunks(Y))
        largest = np.max([sizes for sizes in largest if sizes is not None], axis=0)
        peak = np.array([power_of_two(size) for size in largest])
        scaled = Standardised(0.0, peak, float)
        if in_chunks:
            columns = columns_of_chunks(Y.map(scaled, Y.shape[1], float), sample_weight)
        else:
            columns = Columns.of(StandardisedRows(Y, scaled), sample_weight)
        scale = np.sqrt(columns.variance) * peak
        return columns.mean * peak, np.where((scale > 0) & np.isfinite(scale), scale, 1.0)


def _largest(rows):
    """The largest size in each column, or None without rows."""
    return abs(rows.astype(float)).max(axis=0) if len(rows) else None
