"""Mini-batches: the objective on a few rows at a time, with all buffers made once.

A batch has the same J and gradient as an `Objective` of its rows, in the dtype of X. So the mean
code ρ̂ is a mean over the batch. A running mean over several batches is less noisy, but it lags
behind the weights. It was tried over 200 to 2,000 rows, and J always ended higher.
"""

from dataclasses import replace
from functools import partial
from math import ceil
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse

from .blocks import LazyRows, as_dense, dense, stays_sparse
from .losses import get_loss
from .network import Workspace, affine, backward, put_product
from .passes import codes, each_row, weighted
from .penalties import weight_decay
from .rows import Block
from .threads import Helpers, share_out

# Threads share the parts of a batch. In the largest batch each part has at least so many rows
# times weights, and so many rows, because it has a gradient of its own, which is added to the
# others. There are at most so many parts. The number of threads does not change a bit.
PART_WORK, PART_ROWS, MOST_PARTS = 2**25, 100, 8

# A file is read in blocks in random order: their bytes, and how many are mixed at a time.
FILE_BLOCK, MIXED_BLOCKS = 2**20, 64


class Part(NamedTuple):
    """Buffers for a part of a batch, and for its gradient.

    Attributes
    ----------
    X, Y : ndarray of shape (n_rows, n_features), (n_rows, n_outputs)
        The rows and their targets. Y is None for an autoencoder. X is empty if it stays sparse.
    s : ndarray of shape (n_rows,)
        Weights of the rows, as shares of the whole batch.
    work : Workspace
        Buffers for computations on the rows.
    flat : ndarray of shape (n_params,)
        The gradient in the layout of theta.
    views : pair of list of ndarray
        The gradient of each layer. They are views of ``flat``, except for a tied decoder.
    """

    X: np.ndarray
    Y: np.ndarray | None
    s: np.ndarray
    work: Workspace
    flat: np.ndarray
    views: tuple

    @classmethod
    def allocate(cls, network, rows, n_rows):
        """Buffers for at most ``n_rows`` rows like these."""
        work = Workspace.allocate(network, n_rows, rows.dtype)
        flat = np.empty(network.n_params, rows.dtype)
        coefs, intercepts = network.unpack(flat)
        if network.tied:
            coefs[1] = work.products[1]
        X = np.empty((0 if stays_sparse(rows.X) else n_rows, network.sizes[0]), rows.dtype)
        Y = np.empty((n_rows, network.sizes[-1]), rows.dtype)
        s = np.empty(n_rows, rows.dtype)
        return cls(X, None if rows.Y is None else Y, s, work, flat, (coefs, intercepts))

    def gathered(self, rows, at, total):
        """The rows at these places as a `Block`; ``total`` is the weight of the batch."""
        n, work = len(at), self.work.cut(slice(0, len(at)))
        X = take(rows.X, at, self.X[:n])
        Y = X if rows.Y is None else take(rows.Y, at, self.Y[:n])
        s = 1.0 if rows.sample_weight is None else rows.sample_weight[at]
        return Block(X, Y, np.divide(s, total, out=self.s[:n]), work, None)


class Batches:
    """The mini-batches of an objective: each call yields those of one epoch.

    Each is a function ``batch(theta) -> (value, gradient)`` of theta in the dtype of X. The
    gradient is a buffer that the next batch overwrites.

    Parameters
    ----------
    objective : Objective
        The objective on all rows.
    size : int
        The largest number of rows in a batch. All batches have about the same number.
    rng : RandomState
        Random numbers for the order of the rows.
    shuffle : bool, default=True
        Whether each epoch has its own random order. Otherwise the rows keep their order.
    """

    def __init__(self, objective, size, rng, shuffle=True):
        network, rows = objective.network, objective.rows
        self.objective, self.rng, self.shuffle = objective, rng, shuffle
        self.dtype, self.places = rows.dtype, places(rows)
        self.size = most = min(size, len(self.places))
        self.lams = np.broadcast_to(objective.lam, len(network.shapes)).tolist()
        self.loss = get_loss(objective.loss, objective.output_activation)
        n_parts = min(most * network.n_weights // PART_WORK, most // PART_ROWS, MOST_PARTS) or 1
        self.parts = [Part.allocate(network, rows, ceil(most / n_parts)) for _ in range(n_parts)]
        n_helpers = min(rows.n_threads, n_parts) - 1
        self.helpers = Helpers(n_helpers) if n_helpers > 0 else None

    def __len__(self):
        return ceil(len(self.places) / self.size)

    def __call__(self):
        for rows, order in _mixed(self.objective.rows, self.places, self.shuffle and self.rng):
            for at in np.array_split(order, ceil(len(order) / self.size)):
                yield partial(self.evaluate, rows, at)

    def evaluate(self, rows, at, theta):
        """The value and the gradient of the rows at these places."""
        coefs, intercepts = self.objective.network.unpack(theta)
        s = rows.sample_weight
        total = len(at) if s is None else s[at].sum(dtype=float)
        parts = self.parts[: len(at)]  # each has a row
        jobs = list(zip(parts, np.array_split(at, len(parts))))

        def encoded(job):
            part, at = job
            block = part.gathered(rows, at, total)
            return part, block, *self._codes(block, coefs, intercepts)

        def misfit(part, block, A, slopes, _, push=None):
            return self._misfit(part, block, A, slopes, coefs, intercepts, push)

        if self.objective.beta == 0:
            sparsity, misfits = 0.0, self._shared(lambda job: misfit(*encoded(job)), jobs)
        else:  # the mean code first
            jobs = self._shared(encoded, jobs)
            sparsity, push = self._sparsity([rates for *_, rates in jobs])
            misfits = self._shared(lambda job: misfit(*job, push), jobs)
        return sum(misfits) + sparsity + self._finish(parts, coefs), parts[0].flat

    def _shared(self, run, jobs):
        def quiet(job):
            with np.errstate(all="ignore"):  # per thread; an overflow shows in the value
                return run(job)

        return share_out(quiet, jobs, self.helpers)

    def _codes(self, block, coefs, intercepts):
        return codes(self.objective.network, block, coefs, intercepts, self.objective.beta > 0)

    def _misfit(self, part, block, A, slopes, coefs, intercepts, push):
        """The loss of a part of the batch; its gradient is written to the part's buffers."""
        work, (of_coefs, _) = block.work, part.views
        delta = affine(A[-1], coefs[-1], intercepts[-1], out=work.outputs[-1])
        per_row = self.loss(delta, as_dense(block.Y), work.slopes[-1])
        misfit = weighted(per_row, delta, block.s)
        push = each_row(push, block.s)
        backward(A, delta, coefs, push, part.views, slopes, work, put_product)
        if self.objective.network.tied:
            of_coefs[0] += of_coefs[1].T
        return float(misfit)

    def _sparsity(self, rates):
        """The penalty at the mean code of the batch, and its gradient by the codes."""
        rates = [np.sum(parts, axis=0, dtype=float) for parts in zip(*rates)]
        return self.objective.sparsity(rates)

    def _finish(self, parts, coefs):
        """Add up the gradients of the parts and of the weight decay; return the decay's value."""
        first, *others = parts
        for other in others:
            np.add(first.flat, other.flat, out=first.flat)
        if not any(self.lams):
            return 0.0
        tied = self.objective.network.tied
        coefs, lams = (coefs[:1], [sum(self.lams)]) if tied else (coefs, self.lams)
        value, decay = weight_decay(coefs, lams, out=first.work.products)
        for total, part in zip(first.views[0], decay):
            total += part
        return float(value)


def places(rows):
    """The indices in X of the rows that have a weight."""
    s = rows.weights
    at = np.arange(rows.n_rows) if s is None else np.flatnonzero(s)
    return at if rows.index is None else rows.index[at]


def take(values, at, out):
    """The rows at these places, in a buffer; CSR where they stay sparse."""
    if stays_sparse(values):
        return values[at]
    if issparse(values):
        return values[at].toarray(out=out)
    if isinstance(values, np.ndarray) and values.flags.carray and values.dtype == out.dtype:
        return np.take(values, at, axis=0, out=out, mode="clip")  # "raise" would make a copy
    out[...] = values[at]
    return out


def _mixed(rows, at, rng):
    """Pairs of rows in memory and their order, for one epoch.

    Rows of a file are read in blocks, and the rows of some blocks are mixed. Reading single rows
    in random order would take a hundred times as long.
    """
    n_bytes = rows.dtype.itemsize * rows.X.shape[1]
    if not _in_file(rows.X) or len(at) * n_bytes <= FILE_BLOCK * MIXED_BLOCKS:
        yield rows, rng.permutation(at) if rng else at
        return
    blocks = np.array_split(at, ceil(len(at) * n_bytes / FILE_BLOCK))
    order = rng.permutation(len(blocks)) if rng else range(len(blocks))
    for start in range(0, len(blocks), MIXED_BLOCKS):
        at = np.concatenate([blocks[i] for i in order[start : start + MIXED_BLOCKS]])
        Y, s = (None if part is None else part[at] for part in (rows.Y, rows.sample_weight))
        some = replace(rows, X=dense(rows.X, at), Y=Y, sample_weight=s, index=None)
        yield some, rng.permutation(len(at)) if rng else np.arange(len(at))


def _in_file(X):
    """Whether rows are memory-mapped."""
    X = X.values if isinstance(X, LazyRows) else X
    while X is not None and not isinstance(X, np.memmap):
        X = getattr(X, "base", None)
    return X is not None
