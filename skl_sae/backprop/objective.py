"""The objective: what is minimised, as a function of theta alone, summed over row blocks.

    J(θ) = Σᵢ sᵢ L(yᵢ, zᵢ) / Σᵢ sᵢ  +  Σ_l λ_l/2 ‖W_l‖²_F  +  β Σⱼ KL(ρ ‖ ρ̂ⱼ)
    ρ̂ⱼ   = Σᵢ sᵢ aⱼ(xᵢ) / Σᵢ sᵢ

The sums over the rows are exact for every block size; a block is no mini-batch.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .activations import ACTIVATIONS, STEEPNESS
from .blocks import Lanes, dense
from .losses import get_loss
from .network import Network, affine, backward, forward
from .penalties import kl_sparsity, weight_decay
from .projection import Moments, solve_output

# Rows shorter than this may fill a small part only of the memory between the passes: of
# them people have many millions, and little is computed again for each.
SHORT_ROW, SHORT_SHARE = 128, 1 / 32


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
    lam : float or tuple of float
        Weight decay λ of all layers, or of each.
    beta, rho : float
        Weight β of the sparsity penalty on every hidden layer; target mean code ρ.
    block_size : int, default=None
        Rows of a block; None chooses blocks that stay in cache. It changes memory and
        time, never the result beyond rounding.
    n_threads : int, default=1
        Threads that share the blocks, each calling BLAS, which should then be held to
        one thread. It does not change a bit of the result.
    variable_projection : bool, default=False
        Whether the objective is a function of the hidden layers alone, the output layer
        being the best one for them: see `projection`. ``theta`` is then that of
        ``network.hidden``; `reduce` and `expand` lead there and back.
    memory : float, default=2**30
        Bytes that may keep activations from the first pass over the rows to the second:
        see `_kept`. It does not change a bit of the result.
    """

    network: Network
    X: np.ndarray
    Y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    index: np.ndarray | None = None
    loss: str = "squared_error"
    output_activation: str = "logistic"
    lam: float | tuple = 0.0
    beta: float = 0.0
    rho: float = 0.05
    block_size: int | None = None
    n_threads: int = 1
    variable_projection: bool = False
    memory: float = 2**30

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
            coefs, intercepts = self._layout.unpack(theta.astype(self.X.dtype, copy=False))
            decayed, _ = self._layout.unpack(theta)
            reference = self._reference_code(coefs, intercepts)
            rates, moments = self._first_pass(coefs, intercepts, reference)
            if moments:
                W, b = self._best_output(theta, moments, reference)
                decayed.append(W)
                coefs.append(W.astype(self.X.dtype))
                intercepts.append(b.astype(self.X.dtype))
            sparsity, code_gradients = self._sparsity(rates)
            misfit, (flat, *gradient) = self._misfit(coefs, intercepts, code_gradients)
            decay, decay_gradient = weight_decay(decayed, self.lam)
            for total, part in zip(gradient[0], decay_gradient):
                total += part
        return float(misfit + decay + sparsity), self._layout.fold(flat)

    def rows(self, index):
        """The same objective on some of its rows, without a copy of them."""
        return replace(self, index=index if self.index is None else self.index[index])

    def data(self):
        """X, Y and the weights of the rows that count."""
        if self.index is None:
            return self.X, self.Y, self.sample_weight
        Y = None if self.Y is None else self.Y[self.index]
        return self.X[self.index], Y, self.weights

    def reduce(self, theta):
        """The part of all parameters that the objective is a function of."""
        if not self.variable_projection:
            return theta
        coefs, intercepts = self.network.unpack(theta)
        return self._layout.pack(coefs[:-1], intercepts[:-1])

    def expand(self, theta):
        """All parameters, the best output layer included."""
        if not self.variable_projection:
            return theta
        if not np.array_equal(self._last.get("theta"), theta):
            self(theta)
        coefs, intercepts = self._layout.unpack(theta)
        W, b = self._last["output"]
        return self.network.pack([*coefs, W], [*intercepts, b])

    @property
    def n_rows(self):
        """Number of rows that count."""
        return self.X.shape[0] if self.index is None else len(self.index)

    @property
    def weights(self):
        """The weights of the rows that count, or None."""
        s = self.sample_weight
        return s if s is None or self.index is None else s[self.index]

    @property
    def output_lam(self):
        """Weight decay of the last layer."""
        return np.ravel(self.lam)[-1]

    # -- the parts of J -----------------------------------------------------------------

    def _first_pass(self, coefs, intercepts, reference=None):
        """What must be known of all rows before the gradient of one.

        Returns
        -------
        rates : list of ndarray of shape (2, n_units)
            With a sparsity penalty: the means of both sides of each hidden unit.
        moments : list of ndarray
            With variable projection: the `Moments` that determine the best output layer.
        """
        if not self._has_first_pass:
            return [], []
        kept, lane_moments = self._kept, self._lane_moments

        def lane_sums(blocks, work):
            rates = [np.zeros((2, n)) for n in self._rated]
            moments, products = lane_moments[blocks[0].start]
            for total in moments:
                total.fill(0)
            for rows in blocks:
                (X, Y, s), buffers = self._block(rows), work.cut(rows)
                weights = buffers.ones if s is None else s
                A, sums = self._hidden(X, coefs, intercepts, rows, kept, buffers, weights)
                for total, part in zip(rates, sums):
                    total += part
                if moments:
                    moments.add(A[-1], Y, s, reference, buffers, products)
            return rates, moments

        rates, moments = (
            [sum(parts) for parts in zip(*per_lane)]
            for per_lane in zip(*self._lanes.map(lane_sums))
        )
        # on + off is exactly one: else its rounding in float32 would enter KL
        return [total / total.sum(axis=0) for total in rates], moments

    def _hidden(self, X, coefs, intercepts, rows, kept, buffers, s=None):
        """Forward through the hidden layers, into memory that is kept if there is some."""
        outputs, slopes = _of_rows(kept, rows) if kept else buffers.hidden
        s = s if self.beta else None
        return forward(X, coefs, intercepts, self.network.activation, outputs, slopes, s)

    def _reference_code(self, coefs, intercepts):
        """The code of the mean of the first rows: near the mean code, unless they are odd."""
        if not self.variable_projection:
            return None
        A, _, _ = self._block(slice(64))
        A = np.ascontiguousarray(A).mean(axis=0)  # the same bits for any layout of X
        for W, b in zip(coefs, intercepts):
            A = A @ W + b
            ACTIVATIONS[self.network.activation](A, np.empty_like(A))
        return A

    def _best_output(self, theta, moments, reference):
        rounding = np.finfo(self.X.dtype).eps
        output = solve_output(
            Moments(*moments), self._total_weight, reference, self.output_lam, rounding
        )
        self._last.update(theta=theta.copy(), output=output)
        return output

    def _sparsity(self, rates):
        """β Σ KL(ρ ‖ ρ̂), and β KL' / k for each unit: its derivative by the sum of a."""
        if self.beta == 0:
            return 0.0, None
        # A rate below the floor counts as the floor, so that beta / rate is finite.
        floor = float(np.finfo(self.X.dtype).tiny) ** 0.8
        value, gradients = 0.0, []
        for on, off in rates:
            kl, gradient = kl_sparsity(on, off, self.rho, floor)
            value += self.beta * kl
            gradients.append(self.beta * gradient / STEEPNESS[self.network.activation])
        return value, [g.astype(self.X.dtype) for g in gradients]

    def _misfit(self, coefs, intercepts, code_gradients):
        """Last pass: the mean loss, and the gradient of all but the weight decay.

        The gradient comes as the flat buffer of every weight and bias, and its parts.
        """
        loss = get_loss(self.loss, self.output_activation)
        kept, lane_gradients = self._kept, self._lane_gradients

        def lane_sums(blocks, work):
            value, gradient = 0.0, lane_gradients[blocks[0].start]
            gradient[0].fill(0)
            for rows in blocks:
                (X, Y, s), buffers = self._block(rows), work.cut(rows)
                if kept:
                    outputs, slopes = _of_rows(kept, rows)
                    A = [X, *outputs]
                else:
                    A, _ = self._hidden(X, coefs, intercepts, rows, kept, buffers)
                    slopes = buffers.slopes
                delta = affine(A[-1], coefs[-1], intercepts[-1], out=buffers.outputs[-1])
                push = code_gradients
                per_row = loss(delta, Y, buffers.slopes[-1])
                if s is None:
                    value += per_row.sum(dtype=float)
                else:
                    value += np.dot(s, per_row.astype(float))
                    delta *= s[:, np.newaxis]
                    push = push and [np.outer(s, g) for g in code_gradients]
                backward(A, delta, coefs, push, gradient[1:], slopes, buffers)
            return value, gradient

        value, total = 0.0, self._layout.gradient_buffer()
        for lane_value, lane_gradient in self._lanes.map(lane_sums):
            value += lane_value
            total[0][:] += lane_gradient[0]
        total[0][:] /= self._total_weight
        return value / self._total_weight, total

    # -- the rows -----------------------------------------------------------------------

    def _block(self, rows):
        """X, Y and s of one block."""
        at = rows if self.index is None else self.index[rows]
        X, Y, s = dense(self.X, at), self.Y, self.sample_weight
        return X, X if Y is None else Y[at], None if s is None else s[at]

    # -- computed or allocated once, by the first evaluation ------------------------------
    # Threads never ask for these: a cached property holds no lock.

    @cached_property
    def _layout(self):
        """The network whose parameters theta holds."""
        return self.network.hidden if self.variable_projection else self.network

    @cached_property
    def _total_weight(self):
        s = self.weights
        return float(self.n_rows) if s is None else float(np.sum(s, dtype=float))

    @property
    def _rated(self):
        """Units of the hidden layers whose mean code is asked for."""
        return self.network.sizes[1:-1] if self.beta > 0 else ()

    @property
    def _has_first_pass(self):
        return self.beta > 0 or self.variable_projection

    @cached_property
    def _last(self):
        """The last theta and its best output layer."""
        return {}

    @cached_property
    def _lanes(self):
        return Lanes.plan(self.network, self.n_rows, self.X.dtype, self.block_size, self.n_threads)

    @cached_property
    def _lane_gradients(self):
        """A buffer for the gradient of each lane, by its first row."""
        return {lane[0].start: self._layout.gradient_buffer() for lane in self._lanes.lanes}

    @cached_property
    def _lane_moments(self):
        """The same for the moments, with buffers for the products of a block."""

        def buffers():
            if not self.variable_projection:
                return (), ()
            n_units, n_outputs = self.network.shapes[-1]
            shapes = (n_units, n_units), (n_units, n_outputs)
            products = [np.empty(shape, self.X.dtype) for shape in shapes]
            return Moments.zeros(n_units, n_outputs), products

        return {lane[0].start: buffers() for lane in self._lanes.lanes}

    @cached_property
    def _kept(self):
        """Memory for activations and slopes of all rows, from the first pass to the second.

        Empty where that would take much: then the second pass computes them again.
        """
        n_features, *units, _ = self.network.sizes
        n_bytes = 2 * self.n_rows * sum(units) * self.X.dtype.itemsize
        limit = self.memory * (SHORT_SHARE if n_features < SHORT_ROW else 1)
        if n_bytes > limit or not self._has_first_pass:
            return []
        return [[np.empty((self.n_rows, n), self.X.dtype) for n in units] for _ in range(2)]


def _of_rows(arrays, rows):
    """These rows of lists of arrays."""
    return [[a[rows] for a in part] for part in arrays]
