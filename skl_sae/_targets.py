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
    peak = 1.0
    with np.errstate(all="ignore"):  # what overflows the fit reports
        if isinstance(Y, ChunkedRows):
            columns = columns_of_chunks(Y, sample_weight)
        else:  # squares of what is huge or tiny would overflow, or vanish
            peak = _peak(Y)
            columns = Columns.of(StandardisedRows(Y, Standardised(0.0, peak, float)), sample_weight)
        scale = np.sqrt(columns.variance) * peak
        return columns.mean * peak, np.where((scale > 0) & np.isfinite(scale), scale, 1.0)


def _peak(Y):
    """The power of two next to the largest size in each column."""
    largest = np.max([abs(block.astype(float)).max(axis=0) for block in chunks(Y)], axis=0)
    return np.array([power_of_two(size) for size in largest])
