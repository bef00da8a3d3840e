"""The objective J, which a fit minimises, as a function of theta alone::

    J(θ) = Σᵢ sᵢ L(yᵢ, zᵢ) / Σᵢ sᵢ  +  Σ_l λ_l/2 ‖W_l‖²_F  +  β Σⱼ KL(ρ ‖ ρ̂ⱼ)
    ρ̂ⱼ   = Σᵢ sᵢ aⱼ(xᵢ) / Σᵢ sᵢ

`Rows` makes the sums over the rows. They are exact: a block of rows is not a mini-batch.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse

from .activations import ACTIVATIONS, STEEPNESS
from .coordinates import Coordinates
from .lean import Decoder, LeanPass, loss_sums
from .losses import target_range
from .network import Network
from .once import once
from .passes import CodePass, LossPass, ValuePass
from .penalties import kl_sparsity, weight_decay
from .projection import solve_output
from .rows import Rows
from .start import best_constant, mean_inputs, power_of_two, start_biases

# On dense rows `lean` is faster from this many features on, if each unit has so many of them.
LEAN_FROM, MUCH_WIDER = 256, 4


@dataclass(frozen=True, eq=False)
class Objective:
    """J and its gradient for given data.

    Parameters
    ----------
    network : Network
        Layer sizes and hidden activation.
    rows : Rows
        Inputs, targets and weights, or an object with the same sums over rows elsewhere.
    loss, output_activation : str
        A key of `losses.LOSSES`.
    lam : float or tuple of float
        Weight decay λ of all layers, or of each layer.
    beta, rho : float
        Weight β of the sparsity penalty on every hidden layer, and target ρ of the mean code.
    variable_projection : bool, default=False
        Whether the objective is a function of the hidden layers alone, with the output layer
        that is best for them: see `projection`. ``theta`` then holds the parameters of
        ``network.hidden``. `reduce` and `expand` convert to and from it.
    """

    network: Network
    rows: Rows
    loss: str = "squared_error"
    output_activation: str = "logistic"
    lam: float | tuple = 0.0
    beta: float = 0.0
    rho: float = 0.05
    variable_projection: bool = False

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
            decayed, intercepts = self.layout.unpack(theta)
            coefs = [W.astype(self.rows.dtype, copy=False) for W in decayed]
            intercepts = [b.astype(self.rows.dtype, copy=False) for b in intercepts]
            rates, moments, reference = [], None, None
            if self._code_pass:
                reference = self._reference_code(coefs, intercepts)
                rates, moments = self.rows.sum(self._code_pass, coefs, intercepts, reference)
            if self.variable_projection:
                W, b = self._best_output(theta, moments, reference)
                decayed.append(W)
                coefs.append(W.astype(self.rows.dtype))
                intercepts.append(b.astype(self.rows.dtype))
            sparsity, push = self.sparsity(rates)
            sums = self._lean_sums(coefs, intercepts, push, moments, reference)
            sums = sums or self.rows.sum(self._loss_pass, coefs, intercepts, push)
            if self._loss_pass.only:
                sparsity, push = self.sparsity(sums.rates)
                self._push(sums, push)
            decay, decay_gradient = weight_decay(decayed, self.lam)
            gradient = sums.gradient
            gradient /= self.rows.total_weight
            for total, part in zip(self.layout.views(gradient)[0], decay_gradient):
                total += part
            misfit = float(sums.loss / self.rows.total_weight)
            return misfit + decay + sparsity, self.layout.fold(gradient)

    def value(self, theta):
        """J(theta) alone, for a third of the work."""
        with np.errstate(all="ignore"):
            decayed, intercepts = self.network.unpack(theta)
            coefs = [W.astype(self.rows.dtype, copy=False) for W in decayed]
            intercepts = [b.astype(self.rows.dtype, copy=False) for b in intercepts]
            sums = self.rows.sum(self._value_pass, coefs, intercepts)
            sparsity, _ = self.sparsity(sums.rates)
            decay, _ = weight_decay(decayed, self.lam)
            return float(sums.loss / self.rows.total_weight) + decay + sparsity

    def on(self, rows):
        """The same objective on other rows."""
        return replace(self, rows=rows)

    def samples(self, shares, rng):
        """Pairs of a share and the objective on a sample of that size, each part of the next."""
        return zip(shares, map(self.on, self.rows.samples(shares, rng)))

    def reduce(self, theta):
        """Of all parameters those that the objective is a function of."""
        if not self.variable_projection:
            return theta
        coefs, intercepts = self.network.unpack(theta)
        return self.layout.pack(coefs[:-1], intercepts[:-1])

    def expand(self, theta):
        """All parameters, the best output layer included."""
        if not self.variable_projection:
            return theta
        if not np.array_equal(self._last.get("theta"), theta):
            self(theta)
        coefs, intercepts = self.layout.unpack(theta)
        W, b = self._last["output"]
        return self.network.pack([*coefs, W], [*intercepts, b])

    # -- the start --------------------------------------------------------------------------

    @np.errstate(all="ignore")  # the solver reports values that are not finite, here and below
    def start(self, rng):
        """Random weights as in the tutorial, and biases from the data: see `start`."""
        coefs, _ = self.network.unpack(self.network.initialise(rng) * self._spread)
        z, _ = self.best_constant
        mean = self._columns.mean
        return self.network.pack(coefs, start_biases(self.network, coefs, mean, self._rate, z))

    @property
    def _rate(self):
        """The mean activation at which hidden units start, if they are to have one."""
        return self.rho if self.beta > 0 else None

    @property
    def baseline(self):
        """J₀, the objective of the best constant output: weights 0, each code at ρ."""
        return self.best_constant[1]

    @property
    @np.errstate(all="ignore")
    def coordinates(self):
        """In which a solver that learns the curvature sees theta."""
        origins = mean_inputs(self.network, self._columns, self._rate)
        unit = self.unit
        return Coordinates(self.network, unit if (unit != 1).any() else 1.0, tuple(origins))

    @property
    def unit(self):
        """The unit of each parameter. A solver that works with theta / unit is faster.

        Units of a sparse code start where their slope is small, ρ (1 - ρ) for logistic units. The
        layer after them then needs larger weights by the inverse of this factor.
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
        """The power of the rows' unit in each parameter, for autoencoders with linear outputs.

        With it, a fit without penalties does not depend on the unit of the rows.
        """
        unit = np.ones(self.network.n_params)
        if self.is_autoencoder and self.output_activation == "identity" and not self.network.tied:
            spread = power_of_two(np.sqrt(self._columns.variance.mean()))
            (W_in, W_out), (_, b_out) = self.network.unpack(unit)
            W_in /= spread
            for part in (W_out, b_out):
                part *= spread
        return unit

    @once
    def _columns(self):
        """Mean and variance of the columns of X."""
        return self.rows.columns()

    @once
    @np.errstate(all="ignore")
    def best_constant(self):
        """The raw output of the best constant, and J₀."""
        limits = target_range(self.loss)
        same = self.is_autoencoder and limits is None
        columns = self._columns if same else self.rows.columns(of_targets=True, limits=limits)
        return best_constant(self.loss, self.output_activation, columns)

    @property
    def is_autoencoder(self):
        """Whether the targets are the rows themselves."""
        return self.rows.Y is None

    @property
    def output_lam(self):
        """Weight decay of the last layer."""
        return np.ravel(self.lam)[-1]

    # -- the parts of J -----------------------------------------------------------------

    def _reference_code(self, coefs, intercepts):
        """The code of the mean of the first rows, which is near the mean code of usual rows."""
        if not (self.variable_projection or self._is_lean):
            return None
        A, n_hidden = self._first_rows, len(self.network.sizes) - 2
        for W, b in zip(coefs[:n_hidden], intercepts):
            A = A @ W + b
            ACTIVATIONS[self.network.activation](A, np.empty_like(A))
        return A

    @once
    def _first_rows(self):
        """The mean of the first rows, with the same bits in any memory layout."""
        rows = self.rows.first(64)
        if issparse(rows):
            return np.ravel(rows.mean(axis=0)).astype(self.rows.dtype, copy=False)
        return np.ascontiguousarray(rows).mean(axis=0)

    def _best_output(self, theta, moments, reference):
        """Weights and biases of the best output layer, which are kept for `expand`."""
        rounding = np.finfo(self.rows.dtype).eps
        output = solve_output(
            moments, self.rows.total_weight, reference, self.output_lam, rounding
        )
        self._last.update(theta=theta.copy(), output=output)
        return output

    def sparsity(self, rates):
        """β Σ KL(ρ ‖ ρ̂), and β KL' / k for each unit: its derivative by the sum of a."""
        if not rates:
            return 0.0, None
        # A rate below the floor counts as the floor, so that beta / rate is finite.
        floor = float(np.finfo(self.rows.dtype).tiny) ** 0.8
        value, gradients = 0.0, []
        for sums in rates:
            on, off = sums / sums.sum(axis=0)  # their sum is exactly 1: no rounding enters KL
            kl, gradient = kl_sparsity(on, off, self.rho, floor)
            value += self.beta * kl
            gradients.append(self.beta * gradient / STEEPNESS[self.network.activation])
        return value, [g.astype(self.rows.dtype) for g in gradients]

    def _push(self, sums, code_gradients):
        """Add the gradient of the sparsity penalty after the only pass over the rows.

        The penalty adds the same β KL' / k to the delta of every row, before the factor f'. So it
        can be taken out of the sum: dJ/dW of the first layer gains Xᵀ(s f') times it.
        """
        W, b = self.layout.views(sums.gradient)
        of_W, of_b = self.network.hidden.views(sums.slopes)
        W[0] += of_W[0] * code_gradients[0]
        b[0] += of_b[0] * code_gradients[0]

    # -- the passes over the rows ------------------------------------------------------------

    def _lean_sums(self, coefs, intercepts, push, moments, reference):
        """The loss and its gradient as in `lean`, or None if the last pass is needed."""
        if not self._is_lean:
            return None
        *coefs, W = coefs
        *intercepts, b = intercepts
        columns, step = self._columns, LeanPass(self.network, self._keeps)
        decoder = Decoder.of(W, b, reference, columns.mean)
        sums = self.rows.sum(step, coefs, intercepts, push, decoder.of_codes)
        total_weight = self.rows.total_weight
        return loss_sums(self._loss_pass, moments, sums, columns.spread, total_weight, decoder)

    @property
    def _is_lean(self):
        """Whether a linear decoder reconstructs rows that are sparse or much wider than codes."""
        linear = (self.loss, self.output_activation) == ("squared_error", "identity")
        if not (linear and self.is_autoencoder and len(self.network.sizes) > 2):
            return False
        return self.rows.stay_sparse or self._is_wide

    @property
    def _is_wide(self):
        """Whether `lean` saves products of dense rows, and no pass over them is added."""
        *_, n_units, n_features = self.network.sizes
        wide = n_features >= max(LEAN_FROM, MUCH_WIDER * n_units)
        two_passes = self.beta > 0 or self.variable_projection or self.network.tied
        return wide and two_passes and self.rows.keeps(self.network, 2 + self.network.tied)

    @property
    def layout(self):
        """The network whose parameters theta holds."""
        return self.network.hidden if self.variable_projection else self.network

    @once
    def _keeps(self):
        """The number of arrays per hidden layer that stay from the first pass to the second."""
        two_passes = self.beta > 0 or self.variable_projection or self._is_lean
        n_arrays = 3 if self._is_lean and self.network.tied else 2
        return two_passes and self.rows.keeps(self.network, n_arrays) and n_arrays

    @once
    def _code_pass(self):
        """The pass before the loss pass; None if one pass is enough."""
        rated, solved, lean = self.beta > 0, self.variable_projection, self._is_lean
        if self._loss_pass.only or not (rated or solved or lean):
            return None
        return CodePass(self.network, rated, solved, self._keeps, lean)

    @once
    def _loss_pass(self):
        solved = self.variable_projection
        one_code = self.beta > 0 and len(self.network.sizes) == 3
        only = one_code and not (solved or self._keeps or self._is_lean)
        return LossPass(self.network, self.loss, self.output_activation, solved, self._keeps, only)

    @once
    def _value_pass(self):
        return ValuePass(self.network, self.loss, self.output_activation, self.beta > 0)

    @once
    def _last(self):
        """The last theta and its best output layer."""
        return {}
