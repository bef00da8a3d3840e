"""The objective: what is minimised, as a function of theta alone, summed over row blocks.

    J(θ) = Σᵢ sᵢ L(yᵢ, zᵢ) / Σᵢ sᵢ  +  Σ_l λ_l/2 ‖W_l‖²_F  +  β Σⱼ KL(ρ ‖ ρ̂ⱼ)
    ρ̂ⱼ   = Σᵢ sᵢ aⱼ(xᵢ) / Σᵢ sᵢ

The sums over the rows are exact for every block size; a block is no mini-batch.
"""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS, STEEPNESS
from .blocks import Lanes, LazyRows, dense
from .losses import get_loss, target_range
from .network import Network, affine, backward, forward
from .once import once
from .penalties import kl_sparsity, weight_decay
from .projection import Moments, solve_output
from .start import Columns, best_constant, power_of_two, start_biases

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
    X : {ndarray, LazyRows, CSR array} of shape (n_rows, n_features)
        Input, float64 or float32: the dtype of all that is computed on the rows.
        The sums over the rows are float64.
    Y : {ndarray, LazyRows} of shape (n_rows, n_outputs), default=None
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
        see `_kept`. It never changes the result beyond rounding.
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
            sums = self._code_sums(coefs, intercepts, reference)
            rates, moments = sums[: len(self._rated)], sums[len(self._rated) :]
            if moments:
                W, b = self._best_output(theta, moments, reference)
                decayed.append(W)
                coefs.append(W.astype(self.X.dtype))
                intercepts.append(b.astype(self.X.dtype))
            sparsity, code_gradients = self._sparsity(rates)
            misfit, flat, *later = self._loss_sums(coefs, intercepts, code_gradients)
            if later:
                *rates, slopes = later
                sparsity, code_gradients = self._sparsity(rates)
                self._push(flat, slopes, code_gradients)
            flat /= self._total_weight
            decay, decay_gradient = weight_decay(decayed, self.lam)
            for total, part in zip(self._layout.views(flat)[0], decay_gradient):
                total += part
            return float(misfit / self._total_weight + decay + sparsity), self._layout.fold(flat)

    def rows(self, index):
        """The same objective on some of its rows, without a copy of them."""
        return replace(self, index=index if self.index is None else self.index[index])

    def shuffled_rows(self, rng):
        """The rows that have a weight, in random order."""
        return shuffled(self.n_rows, self.weights, rng)

    def samples(self, shares, rng):
        """Pairs of a share and the objective on that share of the rows, each in the next."""
        order = self.shuffled_rows(rng)
        for share in shares:  # one at a time, so that each takes its memory with it
            yield share, self.rows(first_share(order, share))

    def data(self):
        """X, Y and the weights of the rows that count."""
        if self.index is None:
            return self.X, self.Y, self.sample_weight
        Y = None if self.Y is None else self.Y[self.index]
        if issparse(self.X):
            return self.X[self.index], Y, self.weights
        return LazyRows(self.X, self.X.dtype, self.index), Y, self.weights

    def some_rows(self, most):
        """About so many rows, spread over all, as float64 with their weights."""
        rows = np.arange(0, self.n_rows, max(1, ceil(self.n_rows / most)))
        X, _, s = self._block(rows)
        return X.astype(float), np.ones(len(X)) if s is None else s.astype(float)

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

    # -- the start --------------------------------------------------------------------------

    @np.errstate(all="ignore")  # what is not finite the solver reports, here and below
    def start(self, rng):
        """Random weights as in the tutorial, and biases from the data: see `start`."""
        coefs, _ = self.network.unpack(self.network.initialise(rng) * self._spread)
        z, _ = self.best_constant
        mean, rho = self._columns_of_X.mean, self.rho if self.beta > 0 else None
        return self.network.pack(coefs, start_biases(self.network, coefs, mean, rho, z))

    @property
    def baseline(self):
        """J₀, the objective of the best constant output: weights 0, each code at ρ."""
        return self.best_constant[1]

    @property
    def unit(self):
        """What counts as one for each parameter: a solver that sees theta / unit is faster.

        Units of a sparse code begin where their slope is small, ρ (1 - ρ) for logistic ones: what
        reads their code needs weights that are so much larger.
        """
        unit = self._spread
        if self.beta > 0 and not self.network.tied:
            coefs, _ = self.network.unpack(unit)
            for W in coefs[1:]:
                W /= 2 * self.rho * (1 - self.rho)
        return unit

    @property
    @np.errstate(all="ignore")
    def _spread(self):
        """The unit of the rows in that of each parameter, where outputs are linear in them.

        Then all that a fit does without penalties is free of the unit of the rows.
        """
        unit = np.ones(self.network.n_params)
        if self.Y is None and self.output_activation == "identity" and not self.network.tied:
            spread = power_of_two(np.sqrt(self._columns_of_X.variance.mean()))
            (W_in, W_out), (_, b_out) = self.network.unpack(unit)
            W_in /= spread
            for part in (W_out, b_out):
                part *= spread
        return unit

    @once
    def _columns_of_X(self):
        return self._columns(self.X)

    @once
    @np.errstate(all="ignore")
    def best_constant(self):
        """The raw output of the best constant, and J₀."""
        cut = target_range(self.loss)
        same = self.Y is None and cut is None
        columns = self._columns_of_X if same else self._columns(self._targets, cut)
        return best_constant(self.loss, self.output_activation, columns)

    @property
    def _targets(self):
        return self.X if self.Y is None else self.Y

    def _columns(self, rows, cut=None):
        """`Columns` of X or Y."""
        if self.index is not None:
            rows = (
                LazyRows(rows, rows.dtype, self.index) if not issparse(rows) else rows[self.index]
            )
        with np.errstate(all="ignore"):
            return Columns.of(rows, self.weights, cut)

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

    def _code_sums(self, coefs, intercepts, reference=None):
        """First pass: sums over the rows that must be known before the gradient of one.

        Returns
        -------
        list of ndarray
            With a sparsity penalty, for each hidden layer the sums of both sides of its
            units, of shape (2, n_units). With variable projection then the `Moments` that
            determine the best output layer.
        """
        if not self._has_first_pass:
            return []
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
            return *rates, *moments

        return added(self._lanes.map(lane_sums))

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
        if not rates:
            return 0.0, None
        # A rate below the floor counts as the floor, so that beta / rate is finite.
        floor = float(np.finfo(self.X.dtype).tiny) ** 0.8
        value, gradients = 0.0, []
        for sums in rates:
            on, off = _rates(sums)
            kl, gradient = kl_sparsity(on, off, self.rho, floor)
            value += self.beta * kl
            gradients.append(self.beta * gradient / STEEPNESS[self.network.activation])
        return value, [g.astype(self.X.dtype) for g in gradients]

    def _loss_sums(self, coefs, intercepts, code_gradients):
        """Last pass: sums over the rows of the loss and of its gradient.

        Returns
        -------
        list
            The loss, and the gradient by every weight and bias as one flat array, that of
            the sparsity penalty included. In one pass it is not, and `_code_sums` of the
            rows follow, and what `_push` needs.
        """
        loss = get_loss(self.loss, self.output_activation)
        kept, lane_gradients, one_pass = self._kept, self._lane_gradients, self._one_pass

        def lane_sums(blocks, work):
            value, gradient, later = 0.0, *lane_gradients[blocks[0].start]
            for total in (gradient[0], *later[:2]):
                total.fill(0)
            for rows in blocks:
                (X, Y, s), buffers = self._block(rows), work.cut(rows)
                weights = buffers.ones if s is None else s
                if kept:
                    outputs, slopes = _of_rows(kept, rows)
                    A = [X, *outputs]
                else:
                    weights = weights if one_pass else None
                    A, sums = self._hidden(X, coefs, intercepts, rows, kept, buffers, weights)
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
                if one_pass:
                    later[0][:] += sums[0]
                    _add_slopes(later[1:], X, slopes[0], s, buffers)
            return value, gradient[0], *later[:2]

        return added(self._lanes.map(lane_sums))

    def _push(self, flat, slopes, code_gradients):
        """Add the gradient of the sparsity penalty after the only pass over the rows.

        It adds the same β KL' / k to the delta of every row before f', so that it can be
        taken out of the sum: dJ/dW of the first layer gains Xᵀ(s f') times it.
        """
        W, b = self._layout.views(flat)
        of_W, of_b = self.network.hidden.views(slopes)
        W[0] += of_W[0] * code_gradients[0]
        b[0] += of_b[0] * code_gradients[0]

    # -- the rows -----------------------------------------------------------------------

    def _block(self, rows):
        """X, Y and s of one block."""
        at = rows if self.index is None else self.index[rows]
        X, Y, s = dense(self.X, at), self.Y, self.sample_weight
        return X, X if Y is None else Y[at], None if s is None else s[at]

    # -- computed or allocated once, by the first evaluation ------------------------------
    # Threads never ask for these: a cached property holds no lock.

    @once
    def _layout(self):
        """The network whose parameters theta holds."""
        return self.network.hidden if self.variable_projection else self.network

    @once
    def _total_weight(self):
        s = self.weights
        return float(self.n_rows) if s is None else float(np.sum(s, dtype=float))

    @property
    def _rated(self):
        """Units of the hidden layers whose mean code is asked for."""
        return self.network.sizes[1:-1] if self.beta > 0 else ()

    @once
    def _one_pass(self):
        """Whether the sparsity penalty is added after the only pass over the rows."""
        one_code = self.beta > 0 and len(self.network.sizes) == 3
        return one_code and not self.variable_projection and not self._kept

    @property
    def _has_first_pass(self):
        return (self.beta > 0 or self.variable_projection) and not self._one_pass

    @once
    def _last(self):
        """The last theta and its best output layer."""
        return {}

    @once
    def _lanes(self):
        return Lanes.plan(self.network, self.n_rows, self.X.dtype, self.block_size, self.n_threads)

    @once
    def _lane_gradients(self):
        """Buffers for the gradient of each lane and for the rest, by its first row."""

        def buffers():
            if not self._one_pass:
                return self._layout.gradient_buffer(), ()
            slopes, *views = self.network.hidden.gradient_buffer()
            return self._layout.gradient_buffer(), (np.zeros((2, *self._rated)), slopes, views)

        return {lane[0].start: buffers() for lane in self._lanes.lanes}

    @once
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

    @once
    def _kept(self):
        """Memory for activations and slopes of all rows, from the first pass to the second.

        Empty where that would take much: then the second pass computes them again.
        """
        n_features, *units, _ = self.network.sizes
        n_bytes = 2 * self.n_rows * sum(units) * self.X.dtype.itemsize
        limit = self.memory * (SHORT_SHARE if n_features < SHORT_ROW else 1)
        if n_bytes > limit or not (self.beta > 0 or self.variable_projection):
            return []
        return [[np.empty((self.n_rows, n), self.X.dtype) for n in units] for _ in range(2)]


def _of_rows(arrays, rows):
    """These rows of lists of arrays."""
    return [[a[rows] for a in part] for part in arrays]


def shuffled(n_rows, s, rng):
    """The rows that have a weight, in random order."""
    return rng.permutation(n_rows if s is None else np.flatnonzero(s))


def first_share(order, share):
    """This share of rows in random order, sorted; a smaller share is a part of a larger one."""
    return np.sort(order[: ceil(share * len(order))])


def _rates(sums):
    """Means of both sides of each unit, exactly one together: else its rounding enters KL."""
    return sums / sums.sum(axis=0)


def added(several):
    """The sums of several lanes or chunks, added in their order, without a copy for each."""
    first, *others = several
    totals = [np.array(part) for part in first]
    for parts in others:
        for total, part in zip(totals, parts):
            total += part
    return totals


def _add_slopes(totals, X, slopes, s, work):
    """Add Xᵀ(s f') and the sum of s f' of a block; the slopes are lost."""
    _, ((W,), (b,)) = totals
    if s is not None:
        slopes *= s[:, np.newaxis]
    W += np.matmul(X.T, slopes, out=work.products[0])
    b += work.ones @ slopes
