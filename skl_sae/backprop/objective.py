"""The objective: what is minimised, as a function of theta alone, summed over row blocks.

    J(θ) = Σᵢ sᵢ L(yᵢ, zᵢ) / Σᵢ sᵢ  +  λ/2 Σ_l ‖W_l‖²_F  +  β Σⱼ KL(ρ ‖ ρ̂ⱼ)
    ρ̂ⱼ   = Σᵢ sᵢ aⱼ(xᵢ) / Σᵢ sᵢ

The sums over the rows are exact for every block size; a block is no mini-batch.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .activations import STEEPNESS, logistic_pair
from .blocks import default_block_size, dense, row_blocks
from .losses import get_loss
from .network import Network, Workspace, affine, backward, forward
from .penalties import kl_sparsity, weight_decay


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
    loss, output_activation : str
        A key of `losses.LOSSES`.
    lam, beta, rho : float
        Weight decay λ; weight β of the sparsity penalty on every hidden layer; target
        mean code ρ.
    block_size : int, default=None
        Rows of a block; None chooses blocks that stay in cache. It changes memory and
        time, never the result beyond rounding.
    """

    network: Network
    X: np.ndarray
    Y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    loss: str = "squared_error"
    output_activation: str = "logistic"
    lam: float = 0.0
    beta: float = 0.0
    rho: float = 0.05
    block_size: int | None = None

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
        flat, *gradient = self.network.gradient_buffer()
        with np.errstate(all="ignore"):
            coefs, intercepts = self._unpack(theta)
            sparsity, code_gradients = self._sparsity(coefs, intercepts)
            misfit = self._add_misfit(coefs, intercepts, code_gradients, gradient)
            flat /= self._total_weight
            decay, decay_gradient = weight_decay(self.network.unpack(theta)[0], self.lam)
            for total, part in zip(gradient[0], decay_gradient):
                total += part
        return float(misfit + decay + sparsity), self.network.fold(flat)

    def rows(self, index):
        """The same objective on some of the rows: a mini-batch."""
        Y, s = self.Y, self.sample_weight
        return replace(
            self,
            X=self.X[index],
            Y=None if Y is None else Y[index],
            sample_weight=None if s is None else s[index],
        )

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
        """First pass over the blocks: sums of both sides of every hidden unit."""
        k = STEEPNESS[self.network.activation]
        sums = [np.zeros((2, n)) for n in self.network.sizes[1:-1]]
        for rows in self._blocks:
            ones, work = self._weights(rows), self._work.cut(rows.stop - rows.start)
            A = dense(self.X, rows)
            for layer, total in enumerate(sums):
                Z = affine(A, coefs[layer], intercepts[layer], out=work.outputs[layer])
                on, off = work.deltas[layer], work.slopes[layer]
                logistic_pair(Z, k, on=on, off=off)
                total += ones @ on, ones @ off
                A = on if k == 1 else np.tanh(Z, out=Z)
        return [total / self._total_weight for total in sums]

    def _add_misfit(self, coefs, intercepts, code_gradients, gradient):
        """Second pass: the weighted mean loss; its gradient, times Σ s, is added up."""
        loss = get_loss(self.loss, self.output_activation)
        value = 0.0
        for rows in self._blocks:
            X, s = dense(self.X, rows), self._weights(rows)
            Y = X if self.Y is None else self.Y[rows]
            work = self._work.cut(len(X))
            A = forward(X, coefs, intercepts, self.network.activation, work)
            delta, scratch = work.outputs[-1], work.slopes[-1]
            value += np.dot(s, loss(delta, Y, scratch).astype(float))
            push = code_gradients
            if self.sample_weight is not None:
                delta *= s[:, np.newaxis]
                push = push and [np.outer(s, g) for g in code_gradients]
            backward(A, delta, coefs, work.slopes, push, gradient, work)
        return value / self._total_weight

    # -- what stays the same from one evaluation to the next ------------------------------

    @cached_property
    def _total_weight(self):
        s = self.sample_weight
        return float(self.X.shape[0]) if s is None else float(np.sum(s, dtype=float))

    def _weights(self, rows):
        s = self.sample_weight
        n_rows = rows.stop - rows.start
        return np.ones(n_rows, self.X.dtype) if s is None else s[rows]

    @cached_property
    def _block_size(self):
        size = self.block_size or default_block_size(self.network, self.X.dtype.itemsize)
        return min(size, self.X.shape[0])

    @cached_property
    def _blocks(self):
        return row_blocks(self.X.shape[0], self._block_size)

    @cached_property
    def _work(self):
        return Workspace.allocate(self.network, self._block_size, self.X.dtype)
