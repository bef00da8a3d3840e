r"""The linear decoder without any array as large as the rows, for sparse and for wide rows.

Let a be the code of the last hidden layer, r a reference code near its mean, m the mean of the
rows, c = a - r and b' = b + r W - m. Then the output less m is c W + b', and the squared error is
a sum of small products::

    Σ ‖c W + b' - (x - m)‖² = Σ ‖x - m‖² - 2 Σ c·((x - m) Wᵀ) + Σ ‖c W + b'‖²
    Σ ‖c W + b'‖²           = tr(CᵀC W Wᵀ) + 2 (Σ c)·(W b') + n ‖b'‖²
    dL/da                   = δ Wᵀ = c (W Wᵀ) + W b' - (x - m) Wᵀ
    dL/dW                   = Aᵀδ,  Cᵀδ = CᵀC W + (Σ c)ᵀ (b' + m) - CᵀX,  Σ δ = (Σ c) W + n b'

So an evaluation costs the products X W₁, CᵀX, X Wᵀ and Xᵀ dJ/dZ and products of h × h. On sparse
rows the four use only the entries of X. On dense rows there is a fifth without this form. Tied
weights need two of the four: X W₁ is X Wᵀ, and CᵀX is part of Xᵀ dJ/dZ.

The gradient loses no digits, because the terms that cancel in it cancel in δ as well. The value
loses digits if it is small beside Σ ‖x - m‖². Then `loss_sums` returns None, and δ is computed.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .blocks import row_blocks
from .network import Network, backward, product
from .passes import LossSums, each_row, kept_codes

# Below this share of its terms, the loss would lose more than three digits to rounding.
CANCELLED = 1e-3


class LeanSums(NamedTuple):
    """The sums that are needed besides the moments of the codes.

    Attributes
    ----------
    fit : ndarray of shape ()
        The sum of c·((x - m) Wᵀ).
    gradient : ndarray of shape (n,)
        The gradient by the weights and biases of the hidden layers.
    """

    fit: np.ndarray
    gradient: np.ndarray


class Decoder(NamedTuple):
    """The output layer, and products of it that the pass needs.

    Attributes
    ----------
    W : ndarray of shape (n_units, n_features)
        The weights, float64.
    transposed : ndarray of shape (n_features, n_units)
        Wᵀ row by row in memory, in the dtype of the rows.
    reference : ndarray of shape (n_units,)
        The reference code r, in the dtype of the rows.
    mean : ndarray of shape (n_features,)
        m, the mean of the rows.
    shifted : ndarray of shape (n_features,)
        b' = b + r W - m.
    square, offset, pulled : ndarray of shape (n_units, n_units), (n_units,), (n_units,)
        W Wᵀ, W b' and W m.
    """

    W: np.ndarray
    transposed: np.ndarray
    reference: np.ndarray
    mean: np.ndarray
    shifted: np.ndarray
    square: np.ndarray
    offset: np.ndarray
    pulled: np.ndarray

    @classmethod
    def of(cls, W, b, reference, mean):
        """The decoder with these weights and biases, which have the dtype of the rows."""
        transposed = np.ascontiguousarray(W.T)
        W = W.astype(float, copy=False)
        shifted = b + reference @ W - mean
        return cls(W, transposed, reference, mean, shifted, W @ W.T, W @ shifted, W @ mean)

    @property
    def of_codes(self):
        """The arrays that each block needs, in the dtype of the rows."""
        parts = self.transposed, self.square, self.offset, self.pulled, self.reference
        return [part.astype(self.reference.dtype, copy=False) for part in parts]


@dataclass(frozen=True)
class LeanPass:
    """The last pass: the gradient of the hidden layers.

    Parameters
    ----------
    network : Network
        Layer sizes and hidden activation.
    keeps : int
        Number of arrays that the first pass has kept: see `passes.CodePass`.
    """

    network: Network
    keeps: int
    only = False

    @property
    def buffers(self):
        """The network whose buffers are used."""
        return self.network.of_codes

    def zeros(self):
        """Sums of no rows."""
        return LeanSums(np.zeros(()), self.network.hidden.flat_gradient())

    def add(self, sums, blocks, coefs, intercepts, code_gradients, decoder):
        """Add the rows of some blocks.

        Parameters
        ----------
        sums : LeanSums
            Changed in place.
        blocks : iterable of Block
            The rows.
        coefs, intercepts : list of ndarray
            Parameters of the hidden layers.
        code_gradients : list of ndarray of shape (n_units,), or None
            For each hidden layer dJ/da of the sparsity penalty.
        decoder : list of ndarray
            `Decoder.of_codes`.
        """
        gradient = self.network.hidden.views(sums.gradient)
        transposed, square, offset, pulled, reference = decoder
        for block in blocks:
            A, slopes, _ = kept_codes(self, block, coefs, intercepts)
            C = np.subtract(A[-1], reference, out=block.work.deltas[-1])
            XW = block.kept[2][0] if self.keeps == 3 else product(block.X, transposed, out=None)
            XW = np.subtract(XW, pulled, out=None if self.keeps == 3 else XW)
            sums.fit[...] += block.weights @ np.einsum("ij,ij->i", C, XW).astype(float)
            delta = C @ square
            delta += offset
            delta -= XW
            if block.s is not None:
                delta *= block.s[:, np.newaxis]
                C *= block.s[:, np.newaxis]
            push = each_row(code_gradients, block.s)
            if push is not None:
                delta += push[-1]
            delta *= slopes[-1]
            if self.network.tied:
                delta -= C
            backward(A[:-1], delta, coefs, push, gradient, slopes, block.work)


def loss_sums(step, moments, sums, spread, total_weight, decoder):
    """The loss and its gradient from the sums of both passes, or None if the loss cancels.

    Parameters
    ----------
    step : LossPass
        The pass whose sums are returned.
    moments : Moments
        Sums over all rows from the first pass.
    sums : LeanSums
        Sums over all rows from the last pass.
    spread : float
        The weighted sum of ‖x - m‖².
    total_weight : float
        The sum of the weights of the rows.
    decoder : Decoder
        The output layer.

    Returns
    -------
    LossSums or None
    """
    decoded = np.vdot(moments.code_code, decoder.square), 2 * moments.code @ decoder.offset
    shifted = total_weight * decoder.shifted @ decoder.shifted
    terms = spread, -2 * sums.fit, *decoded, shifted
    loss = sum(terms) / 2
    if not loss > CANCELLED * sum(map(abs, terms)):
        return None
    if step.solved:
        return LossSums(loss, sums.gradient, [], ())
    of_output = _output_gradient(moments, total_weight, decoder)
    return LossSums(loss, _joined(step.network, sums.gradient, of_output, moments.code), [], ())


def _output_gradient(moments, total_weight, decoder):
    """dL/dW and dL/db. With tied weights CᵀX is missing, because the gradient has it already."""
    code, _, codes, crossed = moments
    of_b = code @ decoder.W + total_weight * decoder.shifted
    of_W = codes @ decoder.W
    of_both = np.stack([decoder.shifted + decoder.mean, of_b])
    of_W += np.column_stack([code, decoder.reference]) @ of_both
    if crossed.size:
        of_W -= crossed
    return of_W, of_b


def _joined(network, hidden, of_output, code):
    """One vector of the gradients by the hidden layers and by the output layer."""
    coefs, intercepts = network.hidden.views(hidden)
    if network.tied:  # LeanPass added -CᵀX to the weights' gradient; undo its part in the biases'
        intercepts[0] += code
    of_W, of_b = of_output
    return np.concatenate([np.ravel(part) for part in [*coefs, of_W, *intercepts, of_b]])


def squared_errors(X, code, decoder):
    """‖x - x̂‖² of each row of a block, computed from x - x̂ itself if digits would be lost.

    Parameters
    ----------
    X : CSR array of shape (n_rows, n_features)
        The rows.
    code : ndarray of shape (n_rows, n_units)
        Their codes.
    decoder : Decoder
        The output layer.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    X, C = X.astype(float), code - decoder.reference.astype(float)
    fit = np.einsum("ij,ij->i", C, X @ decoder.transposed) + X @ decoder.shifted
    decoded = np.einsum("ij,ij->i", C, C @ decoder.square + 2 * decoder.offset)
    squares = np.ravel(X.power(2).sum(axis=1))
    terms = squares, -2 * fit, decoded, decoder.shifted @ decoder.shifted
    errors = sum(terms)
    cancelled = np.flatnonzero(~(errors > CANCELLED * sum(map(abs, terms))))
    for rows in row_blocks(len(cancelled), max(1, 2**19 // X.shape[1])):
        at = cancelled[rows]
        delta = C[at] @ decoder.W + decoder.shifted - X[at].toarray()
        errors[at] = np.einsum("ij,ij->i", delta, delta)
    return errors
