"""The rows of a fit, samples of them, and sums over all of them.

`Rows` lie in memory or in a file. Rows elsewhere (dask chunks) have the same interface: `sum` of a
step over all rows, ``total_weight``, ``samples``, ``columns``, ``first``, ``some`` and ``keeps``.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from .blocks import Lanes, LazyRows, block_of, entries_of_row, stays_sparse
from .network import Workspace
from .once import once
from .start import Columns

# Rows shorter than this may fill only a small share of the memory between the passes. There may be
# many millions of them, and to compute their codes again costs little.
SHORT_ROW, SHORT_SHARE = 128, 1 / 32


class Block(NamedTuple):
    """Some consecutive rows, and buffers for computations on them.

    Attributes
    ----------
    X, Y : {ndarray, CSR array} of shape (n_rows, n_features), (n_rows, n_outputs)
        The rows and their targets.
    s : ndarray of shape (n_rows,) or None
        Their weights.
    work : Workspace
        Buffers for this many rows, which the next block overwrites.
    kept : several lists of ndarray of shape (n_rows, n_units), or None
        Activations, slopes and perhaps products A W of the hidden layers, which stay until the
        next pass.
    """

    X: np.ndarray
    Y: np.ndarray
    s: np.ndarray | None
    work: Workspace
    kept: tuple | None

    @property
    def weights(self):
        """Their weights, ones if there are none."""
        return self.work.ones if self.s is None else self.s


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in memory or in a file, or some of them.

    Parameters
    ----------
    X : {ndarray, LazyRows, CSR array} of shape (n_rows, n_features)
        Input, float64 or float32. All computations on the rows have this dtype; the sums over
        the rows are float64. A CSR array has no duplicate entries.
    Y : {ndarray, LazyRows} of shape (n_rows, n_outputs), default=None
        Targets; None means X itself, as in an autoencoder.
    sample_weight : ndarray of shape (n_rows,), default=None
        Weights s of the rows, not negative and not all zero. Only their ratios matter.
    index : ndarray of int of shape (n_rows,), default=None
        The rows of X, Y and sample_weight that count; None means all.
    block_size : int, default=None
        Rows of a block; None chooses blocks that stay in cache. It changes memory and time, and
        sums only by rounding.
    n_threads : int, default=1
        Threads that share the blocks. Each calls BLAS, which should then be held to one thread.
        It does not change a bit of a sum.
    memory : float, default=2**30
        Bytes for activations that stay from one pass over the rows to the next: see `keeps`. It
        changes sums only by rounding.
    """

    X: np.ndarray
    Y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    index: np.ndarray | None = None
    block_size: int | None = None
    n_threads: int = 1
    memory: float = 2**30

    def sum(self, step, *parameters):
        """The sums of a step over all rows.

        Parameters
        ----------
        step : CodePass or LossPass
            ``step.zeros()`` are sums of no rows: nested tuples and lists of float64 arrays.
            ``step.add(sums, blocks, *parameters)`` adds the rows of several `Block`.
            ``step.buffers`` is the network whose buffers it needs. ``step.keeps`` is the number
            of arrays in ``kept`` of the blocks.
        *parameters
            The weights and other arguments of the step.

        Returns
        -------
        The sums over all rows, in the structure of ``step.zeros()``.
        """
        lanes, totals = self._lanes(step.buffers), self._totals(step)
        kept = self._kept(step.network, step.keeps) if step.keeps else None

        def lane_sums(slices, work):
            sums = totals[slices[0].start]
            for total in arrays(sums):
                total.fill(0)
            blocks = (self._block(rows, work.cut(rows), kept) for rows in slices)
            step.add(sums, blocks, *parameters)
            return sums

        return added(lanes.map(lane_sums))

    def _block(self, rows, work, kept):
        at = rows if self.index is None else self.index[rows]
        X, Y, s = block_of(self.X, at), self.Y, self.sample_weight
        kept = kept and [[a[rows] for a in part] for part in kept]
        return Block(X, X if Y is None else Y[at], None if s is None else s[at], work, kept)

    # -- some of them -----------------------------------------------------------------------

    def take(self, index):
        """Some of these rows, without a copy of them."""
        return replace(self, index=index if self.index is None else self.index[index])

    def shuffled(self, rng):
        """The indices of the rows that have a weight, in random order."""
        return shuffled(self.n_rows, self.weights, rng)

    def samples(self, shares, rng):
        """Random samples with these shares of the rows, each a part of the next larger one."""
        order = self.shuffled(rng)
        for share in shares:  # one at a time, to free the memory of each before the next
            yield self.take(first_share(order, share))

    def first(self, n):
        """The first n rows."""
        return block_of(self.X, slice(n) if self.index is None else self.index[:n])

    def some(self, most):
        """About ``most`` rows, spread evenly over all, as float64 with their weights."""
        at = np.arange(0, self.n_rows, max(1, ceil(self.n_rows / most)))
        at = at if self.index is None else self.index[at]
        s = self.sample_weight
        s = np.ones(len(at)) if s is None else s[at].astype(float)
        return block_of(self.X, at).astype(float), s

    # -- what they are ------------------------------------------------------------------------

    @property
    def dtype(self):
        """The dtype of X."""
        return self.X.dtype

    @property
    def stay_sparse(self):
        """Whether products with X are sparse."""
        return stays_sparse(self.X)

    @property
    def n_rows(self):
        """Number of rows that count."""
        return self.X.shape[0] if self.index is None else len(self.index)

    @property
    def weights(self):
        """The weights of the rows that count, or None."""
        s = self.sample_weight
        return s if s is None or self.index is None else s[self.index]

    @once
    def total_weight(self):
        """The sum of the weights."""
        s = self.weights
        return float(self.n_rows) if s is None else float(np.sum(s, dtype=float))

    def data(self):
        """X, Y and the weights of the rows that count."""
        Y = self.Y if self.Y is None or self.index is None else self.Y[self.index]
        return self._counting(self.X), Y, self.weights

    def columns(self, of_targets=False, limits=None):
        """`Columns` of X, or of the targets, after their values are cut to limits."""
        rows = self.Y if of_targets and self.Y is not None else self.X
        with np.errstate(all="ignore"):
            return Columns.of(self._counting(rows), self.weights, limits)

    def _counting(self, rows):
        if self.index is None:
            return rows
        return rows[self.index] if issparse(rows) else LazyRows(rows, rows.dtype, self.index)

    # -- planned or allocated once, by the first sum ----------------------------------------
    # The dictionary has no lock, because only the calling thread uses it.

    @once
    def _known(self):
        return {}

    def _lanes(self, network):
        if network not in self._known:
            self._known[network] = Lanes.plan(
                network,
                self.n_rows,
                self.dtype,
                self.block_size,
                self.n_threads,
                entries_of_row(self.X),
            )
        return self._known[network]

    def _totals(self, step):
        """Sums for each lane, by its first row."""
        if step not in self._known:
            lanes = self._lanes(step.buffers).lanes
            self._known[step] = {lane[0].start: step.zeros() for lane in lanes}
        return self._known[step]

    def keeps(self, network, n_arrays=2):
        """Whether there is memory for the activations and slopes of all rows, or for more arrays.

        If not, the next pass computes them again.
        """
        n_features, *units, _ = network.sizes
        n_bytes = n_arrays * self.n_rows * sum(units) * self.dtype.itemsize
        return n_bytes <= self.memory * (SHORT_SHARE if n_features < SHORT_ROW else 1)

    def _kept(self, network, n_arrays):
        key = network, "kept"
        if key not in self._known:
            units = network.sizes[1:-1]
            self._known[key] = [
                [np.empty((self.n_rows, n), self.dtype) for n in units] for _ in range(n_arrays)
            ]
        return self._known[key]


def shuffled(n_rows, s, rng):
    """The indices of the rows that have a weight, in random order."""
    return rng.permutation(n_rows if s is None else np.flatnonzero(s))


def first_share(order, share):
    """The first share of rows in random order, sorted. A larger share contains a smaller one."""
    return np.sort(order[: ceil(share * len(order))])


def arrays(sums):
    """All arrays of nested tuples and lists."""
    if isinstance(sums, np.ndarray):
        yield sums
    else:
        for part in sums:
            yield from arrays(part)


def added(several):
    """The total of the sums of several lanes or chunks, added in order, with one copy."""
    first, *others = several
    totals = _copied(first)
    for sums in others:
        for total, part in zip(arrays(totals), arrays(sums)):
            total += part
    return totals


def _copied(sums):
    if isinstance(sums, np.ndarray):
        return sums.copy(order="K")
    parts = map(_copied, sums)
    return type(sums)(*parts) if hasattr(sums, "_fields") else list(parts)
