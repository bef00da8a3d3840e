"""Real targets in a unit in which they vary by one, so that λ means the same for all of them."""

from dataclasses import dataclass

import numpy as np

from ._dask import ChunkedRows, columns_of_chunks
from .backprop.start import Columns, power_of_two


@dataclass
class Standardised:
    """Targets to fit: shifted, and divided by a scale, column by column."""

    mean: np.ndarray
    scale: np.ndarray
    dtype: np.dtype

    def __call__(self, Y):
        return ((Y - self.mean) / self.scale).astype(self.dtype)


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
            peak = np.array([power_of_two(size) for size in np.abs(Y).max(axis=0).astype(float)])
            columns = Columns.of(Y / peak, sample_weight)
        scale = np.sqrt(columns.variance) * peak
        return columns.mean * peak, np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
