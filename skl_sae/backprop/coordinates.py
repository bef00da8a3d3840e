"""The coordinates in which a solver sees the parameters: centred, and each in its own unit.

    x W + b = (x - m) W + c    with    c = b + m W

Here m is the mean of a layer's inputs x, or near it. The gradients by W and by c hardly depend on
each other, while those by W and b do where m is far from 0 (LeCun, Bottou, Orr and Müller 1998,
"Efficient BackProp"; Schraudolph 1998, "Centering neural network gradient factors"). The objective
and its minima are the same, and the way to them is shorter.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg.blas import dger, sger


class Coordinates(NamedTuple):
    """Where the solver's vector lies: c in place of b, then each parameter divided by its unit.

    Attributes
    ----------
    network : Network or None
        Where the parameters lie in theta.
    unit : ndarray of shape (n_params,) or float
        What counts as one for each parameter.
    origins : list of (ndarray of shape (n_in,) or None)
        m of each layer; None leaves its biases as they are.
    """

    network: Any = None
    unit: np.ndarray | float = 1.0
    origins: tuple = ()

    def of_part(self, reduce, network):
        """The same for some of the layers: ``reduce(theta)`` holds the parameters of a network."""
        unit = reduce(self.unit) if np.ndim(self.unit) else self.unit
        return self._replace(network=network, unit=unit)

    def of(self, theta):
        """The solver's vector at theta."""
        x = np.array(theta)
        for W, b, m in self._centred(x):
            b += m @ W
        return np.divide(x, self.unit, out=x)

    def theta(self, x):
        """The parameters at the solver's vector."""
        theta = x * self.unit
        for W, b, m in self._centred(theta):
            b -= m @ W
        return theta

    def gradient(self, gradient):
        """The gradient by the solver's vector: dJ/dW - m dJ/db, in its units."""
        ger = sger if gradient.dtype == np.float32 else dger
        for W, b, m in self._centred(gradient):
            if W.flags.c_contiguous:
                ger(-1.0, b, m, a=W.T, overwrite_a=1)  # BLAS changes W itself
            else:
                ger(-1.0, m, b, a=W, overwrite_a=1)
        return gradient * self.unit

    def astype(self, dtype):
        """The same in another precision."""
        unit = self.unit.astype(dtype) if np.ndim(self.unit) else self.unit
        origins = (None if m is None else m.astype(dtype) for m in self.origins)
        return self._replace(unit=unit, origins=tuple(origins))

    def _centred(self, flat):
        """Views of the weights and biases of each layer that has an origin, and the origin."""
        if all(m is None for m in self.origins):
            return []
        layers = zip(*self.network.unpack(flat), self.origins)
        return [layer for layer in layers if layer[-1] is not None]


PLAIN = Coordinates()  # theta itself


def value_of(objective):
    """The function that gives the value of an objective without its gradient, or else with it."""
    return getattr(objective, "value", lambda theta: objective(theta)[0])


class Seen(NamedTuple):
    """An objective in these coordinates: a function of the solver's vector."""

    objective: Any
    coordinates: Coordinates

    def __call__(self, x):
        """Its value, and the gradient by x."""
        value, gradient = self.objective(self.coordinates.theta(x))
        return value, self.coordinates.gradient(gradient)

    def value(self, x):
        """Its value alone."""
        return value_of(self.objective)(self.coordinates.theta(x))


class SeenBatches:
    """Mini-batches in these coordinates, and in their own precision."""

    def __init__(self, batches, coordinates):
        self.batches, self.dtype = batches, getattr(batches, "dtype", float)
        self.coordinates = coordinates.astype(self.dtype)

    def __call__(self):
        """Yield those of an epoch."""
        return (Seen(batch, self.coordinates) for batch in self.batches())

    def __len__(self):
        return len(self.batches)
