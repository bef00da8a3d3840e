"""The passes over the rows: one for their codes, and one for their loss.

They are functions of blocks and of the weights. `rows` decides where the rows lie and which thread
adds them up.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .blocks import as_dense
from .losses import get_loss
from .network import Network, affine, backward, forward, product
from .projection import Moments


class CodeSums(NamedTuple):
    """Sums over all codes that the gradient of each row needs.

    Attributes
    ----------
    rates : list of ndarray of shape (2, n_units)
        With a sparsity penalty, the sums of both sides of the units of each hidden layer.
    moments : Moments or tuple
        Sums that determine the best output layer (variable projection) or the loss (lean
        passes). Otherwise empty.
    """

    rates: list
    moments: tuple


class LossSums(NamedTuple):
    """The loss and its gradient.

    Attributes
    ----------
    loss : ndarray of shape ()
        The sum of the losses.
    gradient : ndarray of shape (n,)
        The gradient by every weight and bias, with tied ones twice: see `Network.views`.
    rates : list of ndarray of shape (2, n_units)
        As in `CodeSums` if this is the only pass; otherwise empty.
    slopes : ndarray of shape (n,) or tuple
        Xᵀ(s f') and the sum of s f', in the layout of the hidden layer, if this is the only
        pass; otherwise empty.
    """

    loss: np.ndarray
    gradient: np.ndarray
    rates: list
    slopes: tuple


@dataclass(frozen=True)
class CodePass:
    """The first pass.

    Parameters
    ----------
    network : Network
        Layer sizes and hidden activation.
    rated, solved : bool
        Whether the sums for the sparsity penalty, and for the best output layer, are needed.
    keeps : int
        Number of arrays for each hidden layer that stay in memory for the next pass: 0, 2 for
        activations and slopes, or 3 with the products A W.
    lean : bool, default=False
        Whether the next pass is a `lean.LeanPass`.
    """

    network: Network
    rated: bool
    solved: bool
    keeps: int
    lean: bool = False

    @property
    def buffers(self):
        """The network whose buffers are used."""
        return self.network.of_codes if self.lean else self.network

    def zeros(self):
        """Sums of no rows."""
        rates, moments = _rates(self.network) if self.rated else [], ()
        if self.solved or self.lean:
            moments = Moments.zeros(*self.network.shapes[-1], crossed=not self.network.tied)
        return CodeSums(rates, moments)

    def add(self, sums, blocks, coefs, intercepts, reference):
        """Add the rows of some blocks.

        Parameters
        ----------
        sums : CodeSums
            Changed in place.
        blocks : iterable of Block
            The rows.
        coefs, intercepts : list of ndarray
            Parameters of the hidden layers, or of all.
        reference : ndarray of shape (n_units,) or None
            A code near the mean of the last layer's codes, for the moments.
        """
        for block in blocks:
            A, _, rates = codes(self.network, block, coefs, intercepts, self.rated)
            _add_rates(sums.rates, rates)
            if self.solved or self.lean:
                sums.moments.add(A[-1], block.Y, block.s, reference, block.work)


@dataclass(frozen=True)
class LossPass:
    """The last pass.

    Parameters
    ----------
    network : Network
        Layer sizes and hidden activation.
    loss, output_activation : str
        A key of `losses.LOSSES`.
    solved : bool
        Whether the output layer is the best one, so that J is a function of the others.
    keeps : int
        Number of arrays that the first pass has kept: see `CodePass`.
    only : bool
        Whether there is a sparsity penalty but no first pass. The penalty is then added
        afterwards.
    """

    network: Network
    loss: str
    output_activation: str
    solved: bool
    keeps: int
    only: bool

    @property
    def buffers(self):
        """The network whose buffers are used."""
        return self.network

    @property
    def layout(self):
        """The network whose parameters theta holds."""
        return self.network.hidden if self.solved else self.network

    def zeros(self):
        """Sums of no rows."""
        slopes = self.network.hidden.flat_gradient() if self.only else ()
        rates = _rates(self.network) if self.only else []
        return LossSums(np.zeros(()), self.layout.flat_gradient(), rates, slopes)

    def add(self, sums, blocks, coefs, intercepts, code_gradients):
        """Add the rows of some blocks.

        Parameters
        ----------
        sums : LossSums
            Changed in place.
        blocks : iterable of Block
            The rows.
        coefs, intercepts : list of ndarray
            All parameters.
        code_gradients : list of ndarray of shape (n_units,), or None
            For each hidden layer dJ/da of the sparsity penalty.
        """
        loss = get_loss(self.loss, self.output_activation)
        gradient = self.layout.views(sums.gradient)
        for block in blocks:
            work = block.work
            A, slopes, rates = kept_codes(self, block, coefs, intercepts)
            delta = affine(A[-1], coefs[-1], intercepts[-1], out=work.outputs[-1])
            per_row = loss(delta, as_dense(block.Y), work.slopes[-1])
            sums.loss[...] += weighted(per_row, delta, block.s)
            push = each_row(code_gradients, block.s)
            backward(A, delta, coefs, push, gradient, slopes, work)
            if self.only:
                _add_rates(sums.rates, rates)
                _add_slopes(self.network.hidden.views(sums.slopes), block, slopes[0])


def kept_codes(step, block, coefs, intercepts):
    """The result of `codes`: kept from the first pass, or computed now."""
    if not step.keeps:
        return codes(step.network, block, coefs, intercepts, step.only)
    outputs, slopes, *_ = block.kept
    return [block.X, *outputs], slopes, ()


class ValueSums(NamedTuple):
    """The sum of the losses, and the sums for the mean code as in `CodeSums`."""

    loss: np.ndarray
    rates: list


@dataclass(frozen=True)
class ValuePass:
    """The only pass if no gradient is needed; it has the parameters of the other passes."""

    network: Network
    loss: str
    output_activation: str
    rated: bool
    keeps: int = 0

    @property
    def buffers(self):
        """The network whose buffers are used."""
        return self.network

    def zeros(self):
        """Sums of no rows."""
        return ValueSums(np.zeros(()), _rates(self.network) if self.rated else [])

    def add(self, sums, blocks, coefs, intercepts):
        """Add the rows of some blocks."""
        loss = get_loss(self.loss, self.output_activation)
        for block in blocks:
            A, _, rates = codes(self.network, block, coefs, intercepts, self.rated)
            _add_rates(sums.rates, rates)
            Z = affine(A[-1], coefs[-1], intercepts[-1], out=block.work.outputs[-1])
            per_row = loss(Z, as_dense(block.Y), block.work.slopes[-1])
            sums.loss[...] += weighted(per_row, Z, block.s)


def codes(network, block, coefs, intercepts, rated):
    """Input and activations of the hidden layers, their slopes and, if rated, sums for rates."""
    outputs, slopes, *raws = block.kept or block.work.hidden
    s = block.weights if rated else None
    A, rates = forward(block.X, coefs, intercepts, network.activation, outputs, slopes, *raws, s=s)
    return A, slopes, rates if rated else ()


def _rates(network):
    return [np.zeros((2, n)) for n in network.sizes[1:-1]]


def _add_rates(totals, rates):
    for total, part in zip(totals, rates):
        total += part


def weighted(per_row, delta, s):
    """The weighted sum of the losses; the deltas are weighted in place."""
    if s is None:
        return per_row.sum(dtype=float)
    delta *= s[:, np.newaxis]
    return np.dot(s, per_row.astype(float))


def each_row(code_gradients, s):
    """The gradient of the sparsity penalty by the codes, for rows with weights s."""
    if code_gradients is None or s is None:
        return code_gradients
    return [np.outer(s, g) for g in code_gradients]


def _add_slopes(totals, block, slopes):
    """Add Xᵀ(s f') and the sum of s f' of a block; the slopes are lost."""
    (W,), (b,) = totals
    if block.s is not None:
        slopes *= block.s[:, np.newaxis]
    W += product(block.X.T, slopes, out=block.work.products[0])
    b += block.work.ones @ slopes
