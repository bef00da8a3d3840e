"""A fully connected network: parameter layout, initialisation, forward, backward.

Layer ``l`` maps its input ``A[l]`` to the raw output ``Z = A[l] @ W[l] + b[l]``. The input of the
next layer is ``A[l + 1] = f(Z)``. The loss takes the last raw output.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain, pairwise, repeat

import numpy as np

from .activations import ACTIVATIONS


@dataclass(frozen=True)
class Network:
    """The shape of a network, and the layout of its parameters in one flat vector.

    The vector ``theta`` holds all weights, layer by layer, then all biases. With
    ``tied=True`` (one hidden layer) the decoder's weights are the encoder's, transposed,
    and are left out of ``theta``.
    """

    sizes: tuple
    activation: str = "logistic"
    tied: bool = False

    @property
    def shapes(self):
        """Shapes of the weights of each layer, ``(n_in, n_out)``."""
        return list(zip(self.sizes[:-1], self.sizes[1:]))

    @property
    def hidden(self):
        """The layers before the last, as a network of their own."""
        return Network(self.sizes[:-1], self.activation)

    @property
    def of_codes(self):
        """The same network without outputs, whose buffers hold nothing as wide as the outputs."""
        return Network((*self.sizes[:-1], 0), self.activation)

    @property
    def n_params(self):
        """Length of ``theta``."""
        return sum(self._lengths(self.tied))

    @property
    def n_weights(self):
        """Number of weights of all layers, tied ones twice."""
        return sum(n_in * n_out for n_in, n_out in self.shapes)

    def _lengths(self, tied):
        weights = [n_in * n_out for n_in, n_out in self.shapes]
        return (weights[:1] if tied else weights) + list(self.sizes[1:])

    def unpack(self, theta):
        """Views of ``theta`` as ``(coefs, intercepts)``, one pair for each layer."""
        coefs, intercepts = self._split(theta, self.tied)
        if self.tied:
            coefs.append(coefs[0].T)
        return coefs, intercepts

    def _split(self, flat, tied):
        coefs, intercepts = _places(self, tied)
        return [flat[at].reshape(s) for at, s in coefs], [flat[at] for at in intercepts]

    def pack(self, coefs, intercepts):
        """The vector ``theta`` that `unpack` turns into these arrays (float64)."""
        coefs = coefs[:1] if self.tied else coefs
        return np.concatenate([np.ravel(p) for p in [*coefs, *intercepts]], dtype=float)

    def flat_gradient(self):
        """A gradient of zeros by every weight and bias, tied weights twice."""
        return np.zeros(sum(self._lengths(tied=False)))

    def views(self, flat):
        """Views of such a gradient as ``(coefs, intercepts)``."""
        return self._split(flat, tied=False)

    def fold(self, flat):
        """The gradient for ``theta``: a tied weight collects both of its uses."""
        if not self.tied:
            return flat
        coefs, intercepts = self._split(flat, tied=False)
        return self.pack([coefs[0] + coefs[1].T], intercepts)

    def initialise(self, rng):
        """Random weights as in UFLDL: U(-r, r), r = sqrt(6 / (n_in + n_out + 1)), b = 0."""
        coefs = []
        for n_in, n_out in self.shapes:
            r = np.sqrt(6 / (n_in + n_out + 1))
            coefs.append(rng.uniform(-r, r, size=(n_in, n_out)))
        return self.pack(coefs, [np.zeros(n) for n in self.sizes[1:]])

    def name_of(self, k):
        """The name of ``theta[k]``, such as ``coefs_[0][3, 4]`` or ``intercepts_[1][2]``."""
        ends = np.cumsum(self._lengths(self.tied))
        part = int(np.searchsorted(ends, k, side="right"))
        k -= int(ends[part - 1]) if part else 0
        n_coefs = 1 if self.tied else len(self.shapes)
        if part < n_coefs:
            i, j = divmod(k, self.shapes[part][1])
            return f"coefs_[{part}][{i}, {j}]"
        return f"intercepts_[{part - n_coefs}][{k}]"


@lru_cache
def _places(network, tied):
    """The slices of the weight matrices, with their shapes, and of the biases in a flat vector."""
    ends = accumulate(network._lengths(tied), initial=0)
    places = [slice(*pair) for pair in pairwise(ends)]
    n_coefs = len(places) - len(network.shapes)
    return list(zip(places[:n_coefs], network.shapes)), places[n_coefs:]


@dataclass(frozen=True)
class Workspace:
    """Buffers for one block, allocated once and used for every block.

    Attributes
    ----------
    outputs, slopes : list of ndarray of shape (n_rows, n_units)
        For each layer its raw output, turned into its activation, and its f'.
    deltas : list of ndarray of shape (n_rows, n_units)
        For each hidden layer dJ/dZ.
    products : list of ndarray of shape (n_in, n_out)
        For each layer the block's part of dJ/dW.
    ones : ndarray of shape (n_rows,)
        For sums of columns: a product with it is several times faster than ``sum(axis=0)``.
    """

    outputs: list
    slopes: list
    deltas: list
    products: list
    ones: np.ndarray

    @classmethod
    def allocate(cls, network, n_rows, dtype):
        """Buffers for blocks of at most ``n_rows`` rows."""
        units = network.sizes[1:]
        return cls(
            outputs=[np.empty((n_rows, n), dtype) for n in units],
            slopes=[np.empty((n_rows, n), dtype) for n in units],
            deltas=[np.empty((n_rows, n), dtype) for n in units[:-1]],
            products=[np.empty(shape, dtype) for shape in network.shapes],
            ones=np.ones(n_rows, dtype),
        )

    @property
    def hidden(self):
        """Outputs and slopes of the hidden layers."""
        return self.outputs[:-1], self.slopes[:-1]

    def cut(self, rows):
        """The same buffers for the block ``rows``."""
        n_rows = rows.stop - rows.start
        if n_rows == len(self.ones):
            return self
        rows = slice(n_rows)
        return Workspace(
            outputs=[a[rows] for a in self.outputs],
            slopes=[a[rows] for a in self.slopes],
            deltas=[a[rows] for a in self.deltas],
            products=self.products,
            ones=self.ones[rows],
        )


def product(A, B, out):
    """A B, written to ``out``, or to a new array if A is sparse."""
    return np.matmul(A, B, out=out) if isinstance(A, np.ndarray) else A @ B


def affine(A, W, b, out, raw=None):
    """The raw output Z = A W + b. If ``raw`` is given, it is filled with A W."""
    Z = product(A, W, out)
    if raw is not None:
        raw[:] = Z
    return np.add(Z, b, out=out)


def forward(X, coefs, intercepts, activation, outputs, slopes, raws=(), s=None):
    """Forward pass of one block through the hidden layers.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n_rows, n_features)
        The block.
    coefs, intercepts : list of ndarray
        Parameters of all hidden layers, or of the first ones.
    activation : str
        The hidden activation f.
    outputs, slopes : list of ndarray of shape (n_rows, n_units)
        Filled with the activation and with f' of each layer.
    raws : list of ndarray of shape (n_rows, n_units), default=()
        Filled with A W of the first layers, as many as there are.
    s : ndarray of shape (n_rows,), default=None
        Weights of the rows, to sum the mean code with.

    Returns
    -------
    A : list of ndarray of shape (n_rows, n_units)
        ``A[0]`` is ``X``, ``A[l]`` the activation of hidden layer ``l``.
    sums : list of (ndarray of shape (n_units,), ndarray of shape (n_units,))
        For each hidden layer the sums of both sides of its units, if ``s`` is given.
    """
    f = ACTIVATIONS[activation]
    A, sums = [X], []
    for W, b, Z, slope, raw in zip(coefs, intercepts, outputs, slopes, chain(raws, repeat(None))):
        affine(A[-1], W, b, out=Z, raw=raw)
        sums.append(f(Z, slope, s))
        A.append(Z)
    return A, sums


def add_product(gradient, layer, A, delta, work):
    """Add the block's part of dJ/dW and dJ/db of a layer."""
    gradient[0][layer] += product(A.T, delta, out=work.products[layer])
    gradient[1][layer] += work.ones @ delta


def put_product(gradient, layer, A, delta, work):
    """Write the block's part of dJ/dW and dJ/db of a layer over the sums."""
    gradient[0][layer][...] = product(A.T, delta, out=gradient[0][layer])
    np.matmul(work.ones, delta, out=gradient[1][layer])


def backward(A, delta, coefs, code_gradients, gradient, slopes, work, store=add_product):
    """Backpropagation of one block: add dJ/dW and dJ/db of each layer to ``gradient``.

    The four equations, from the last layer to the first::

        delta of the output  = dL/dZ                                (from the loss)
        dJ/dW[l]             = A[l].T @ delta
        dJ/db[l]             = sum of delta over the rows
        delta of the layer before = (delta @ W[l].T + beta KL') * f'

    Parameters
    ----------
    A : list of ndarray of shape (n_rows, n_units)
        Input and activations of the hidden layers, as returned by `forward`.
    delta : ndarray of shape (n_rows, n_outputs)
        dL/dZ of the raw output, each row times its weight.
    coefs : list of ndarray of shape (n_in, n_out)
        The weights.
    code_gradients : list of ndarray or None
        For each hidden layer dJ/da of the sparsity penalty, (n_rows or 1, n_units).
    gradient : tuple of (list of ndarray, list of ndarray)
        The sums for coefs and intercepts, which are increased in place. If it has no entry for
        the last layer, that layer is left out.
    slopes : list of ndarray of shape (n_rows, n_units)
        f' of each hidden layer.
    work : Workspace
        Buffers for this many rows.
    store : callable, default=add_product
        `put_product` writes the gradient of this block over the sums.
    """
    for layer in reversed(range(len(coefs))):
        if layer < len(gradient[0]):
            store(gradient, layer, A[layer], delta, work)
        if layer > 0:
            delta = np.matmul(delta, coefs[layer].T, out=work.deltas[layer - 1])
            if code_gradients is not None:
                delta += code_gradients[layer - 1]
            delta *= slopes[layer - 1]
