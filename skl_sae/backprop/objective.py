"""The objective: what is minimised, as a function of theta alone, summed over row blocks.

    J(θ) = Σᵢ sᵢ L(yᵢ, zᵢ) / Σᵢ sᵢ  +  λ/2 Σ_l ‖W_l‖²_F  +  β Σⱼ KL(ρ ‖ ρ̂ⱼ)
    ρ̂ⱼ   = Σᵢ sᵢ aⱼ(xᵢ) / Σᵢ sᵢ

The sums over the rows are exact for every block size; a block is no mini-batch.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from queue import SimpleQueue

import numpy as np

from .activations import STEEPNESS, logistic_pair
from .blocks import default_block_size, dense, row_blocks
from .losses import get_loss
from .network import Network, Workspace, affine, backward, forward
from .penalties import kl_sparsity, weight_decay

# Raw outputs are kept between the two passes up to this size, and up to eight times it
# where they are small next to X.
KEPT_BYTES = 2**25

# Partial sums over the rows, and so the largest useful number of threads.
N_LANES = 8


@dataclass(frozen=True, eq=False)
class Objective:
    """J and its gradient for given data.

    Parameters
    ----------
    network : Network
        Layer sizes and hidden activation.
    X : {ndarray, CSR array} of shape (n_rows, n_features)
        Input, float64 or float32: the dtype of all that is computed on the rows.
        The sums over the rows are float64.
    Y : ndarray of shape (n_rows, n_outputs), default=None
        Targets; None means X itself, as in an autoencoder.
    sample_weight : ndarray of shape (n_rows,), default=None
        Weights s of the rows, not negative and not all zero. Only their ratios matter.
    index : ndarray of int of shape (n_rows,), default=None
        The rows of X, Y and sample_weight that count; None means all.
    loss, output_activation : str
        A key of `losses.LOSSES`.
    lam, beta, rho : float
        Weight decay λ; weight β of the sparsity penalty on every hidden layer; target
        mean code ρ.
    block_size : int, default=None
        Rows of a block; None chooses blocks that stay in cache. It changes memory and
        time, never the result beyond rounding.
    n_threads : int, default=1
        Threads that share the blocks, each calling BLAS, which should then be held to
        one thread. It does not change a bit of the result.
    """

    network: Network
    X: np.ndarray
    Y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    index: np.ndarray | None = None
    loss: str = "squared_error"
    output_activation: str = "logistic"
    lam: float = 0.0
    beta: float = 0.0
    rho: float = 0.05
    block_size: int | None = None
    n_threads: int = 1

    def __call__(self, theta):
        """The value J(theta) and its gradient.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            All weights, then all biases: see `Network`.

        Returns
        -------
        value : float
        gradient : ndarray of shape (n_params,)
        """
        with np.errstate(all="ignore"):
            coefs, intercepts = self._unpack(theta)
            sparsity, code_gradients = self._sparsity(coefs, intercepts)
            misfit, (flat, *gradient) = self._misfit(coefs, intercepts, code_gradients)
            decay, decay_gradient = weight_decay(self.network.unpack(theta)[0], self.lam)
            for total, part in zip(gradient[0], decay_gradient):
                total += part
        return float(misfit + decay + sparsity), self.network.fold(flat)

    def rows(self, index):
        """The same objective on some of its rows, without a copy of them."""
        return replace(self, index=index if self.index is None else self.index[index])

    @property
    def n_rows(self):
        """Number of rows that count."""
        return self.X.shape[0] if self.index is None else len(self.index)

    @property
    def weights(self):
        """The weights of the rows that count, or None."""
        s = self.sample_weight
        return s if s is None or self.index is None else s[self.index]

    def mean_code(self, theta):
        """Mean code ρ̂ of each hidden layer, and 1 - ρ̂ summed on its own.

        Returns
        -------
        list of (ndarray of shape (n_units,), ndarray of shape (n_units,))
            For tanh units the mean of (a + 1) / 2 and of (1 - a) / 2.
        """
        with np.errstate(all="ignore"):
            return self._mean_code(*self._unpack(theta))

    # -- the parts of J -----------------------------------------------------------------

    def _unpack(self, theta):
        return self.network.unpack(theta.astype(self.X.dtype, copy=False))

    def _sparsity(self, coefs, intercepts):
        """β Σ KL(ρ ‖ ρ̂), and β KL' / k for each unit: its derivative by the sum of a."""
        if self.beta == 0:
            return 0.0, None
        # A rate below the floor counts as the floor, so that beta / rate is finite.
        floor = float(np.finfo(self.X.dtype).tiny) ** 0.8
        value, gradients = 0.0, []
        for on, off in self._mean_code(coefs, intercepts):
            kl, gradient = kl_sparsity(on, off, self.rho, floor)
            value += self.beta * kl
            gradients.append(self.beta * gradient / STEEPNESS[self.network.activation])
        return value, [g.astype(self.X.dtype) for g in gradients]

    def _mean_code(self, coefs, intercepts):
        """First pass over the rows: the means of both sides of every hidden unit."""
        k, kept = STEEPNESS[self.network.activation], self._kept

        def lane_sums(blocks, work):
            sums = [np.zeros((2, n)) for n in self.network.sizes[1:-1]]
            for rows in blocks:
                (A, _, s), buffers = self._block(rows), work.cut(rows)
                s = buffers.ones if s is None else s
                outputs = [Z[rows] for Z in kept] or buffers.outputs
                for layer, total in enumerate(sums):
                    Z = affine(A, coefs[layer], intercepts[layer], out=outputs[layer])
                    on, off = buffers.deltas[layer], buffers.slopes[layer]
                    logistic_pair(Z, k, on=on, off=off)
                    total += s @ on, s @ off
                    A = on if k == 1 else np.subtract(on, off, out=on)
            return sums

        per_lane = self._over_lanes(lane_sums)
        totals = [sum(layer) for layer in zip(*per_lane)]
        # on + off is exactly one: else its rounding in float32 would enter KL
        return [total / total.sum(axis=0) for total in totals]

    def _misfit(self, coefs, intercepts, code_gradients):
        """Second pass: the mean loss, and the gradient of all but the weight decay.

        The gradient comes as the flat buffer of every weight and bias, and its parts.
        """
        loss = get_loss(self.loss, self.output_activation)
        kept = [] if code_gradients is None else self._kept
        lane_gradients = self._lane_gradients

        def lane_sums(blocks, work):
            value, gradient = 0.0, lane_gradients[blocks[0].start]
            gradient[0].fill(0)
            for rows in blocks:
                (X, Y, s), buffers = self._block(rows), work.cut(rows)
                hidden = [Z[rows] for Z in kept]
                A = forward(X, coefs, intercepts, self.network.activation, buffers, hidden)
                delta, push = A[-1], code_gradients
                per_row = loss(delta, Y, buffers.slopes[-1])
                if s is None:
                    value += per_row.sum(dtype=float)
                else:
                    value += np.dot(s, per_row.astype(float))
                    delta *= s[:, np.newaxis]
                    push = push and [np.outer(s, g) for g in code_gradients]
                backward(A, delta, coefs, push, gradient[1:], buffers)
            return value, gradient

        per_lane = self._over_lanes(lane_sums)
        value, total = 0.0, self.network.gradient_buffer()
        for lane_value, lane_gradient in per_lane:
            value += lane_value
            total[0][:] += lane_gradient[0]
        total[0][:] /= self._total_weight
        return value / self._total_weight, total

    # -- the rows, shared among threads -------------------------------------------------

    def _block(self, rows):
        """X, Y and s of one block."""
        at = rows if self.index is None else self.index[rows]
        X, Y, s = dense(self.X, at), self.Y, self.sample_weight
        return X, X if Y is None else Y[at], None if s is None else s[at]

    def _over_lanes(self, lane_sums):
        """``lane_sums(blocks, work)`` of every lane, in the order of the lanes.

        A lane is a fixed run of blocks that one thread sums up from its first block to
        its last, so that the result has the same bits for any number of threads. Cached
        properties are built here and by the callers, never by the threads: they hold no lock.
        """
        workspaces = self._workspaces

        def run(blocks):
            work = workspaces.get()
            try:
                with np.errstate(all="ignore"):  # what overflows shows in the value
                    return lane_sums(blocks, work)
            finally:
                workspaces.put(work)

        in_order = map if self._pool is None else self._pool.map
        return list(in_order(run, self._lanes))

    @cached_property
    def _lanes(self):
        itemsize = self.X.dtype.itemsize
        size = self.block_size or default_block_size(self.network, itemsize)
        blocks = row_blocks(self.n_rows, size)
        return [list(lane) for lane in np.array_split(blocks, min(N_LANES, len(blocks)))]

    @cached_property
    def _workspaces(self):
        workspaces = SimpleQueue()
        first = self._lanes[0][0]
        for _ in range(self._n_workers):
            n_rows = first.stop - first.start
            workspaces.put(Workspace.allocate(self.network, n_rows, self.X.dtype))
        return workspaces

    @cached_property
    def _lane_gradients(self):
        """A buffer for the gradient of each lane, by its first row."""
        return {lane[0].start: self.network.gradient_buffer() for lane in self._lanes}

    @property
    def _n_workers(self):
        return min(self.n_threads, len(self._lanes))

    @cached_property
    def _pool(self):
        return ThreadPoolExecutor(self._n_workers) if self._n_workers > 1 else None

    @cached_property
    def _total_weight(self):
        s = self.weights
        return float(self.n_rows) if s is None else float(np.sum(s, dtype=float))

    @cached_property
    def _kept(self):
        """Memory for the raw outputs of the hidden layers, from the first pass to the second.

        Empty where that would take much: then the second pass computes them again.
        """
        n_features, *units, _ = self.network.sizes
        n_bytes = self.n_rows * sum(units) * self.X.dtype.itemsize
        limit = 8 * KEPT_BYTES if 4 * sum(units) <= n_features else KEPT_BYTES
        if n_bytes > limit:
            return []
        return [np.empty((self.n_rows, n), self.X.dtype) for n in units]
