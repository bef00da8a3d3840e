"""Activations f and their derivatives f'.

Each hidden activation is a function ``f(Z, slope, s=None)`` that works in place: it turns
the raw output ``Z`` into the activation ``A = f(Z)`` and fills ``slope`` with ``f'(Z)``.
With weights ``s`` of the rows, the activations in `STEEPNESS` return the sums over the rows
of both sides of each unit, ``(s @ on, s @ off)``. The others ignore ``s`` and return None.
`docs/architecture.rst` lists the steps to add an activation.
"""

import numpy as np


def logistic_pair(Z, k, on, off):
    """Both sides of the logistic unit: on = 1 / (1 + exp(-kZ)) and off = 1 - on.

    Both are accurate to the last digits even where the unit is saturated. ``1 - on`` is not:
    for kZ > 37 it is exactly zero. ``on`` may be ``Z`` itself.

    Parameters
    ----------
    Z : ndarray of shape (n_rows, n_units)
        Raw output.
    k : {1, 2}
        Steepness; ``tanh(z) = 2 logistic(2z) - 1`` needs 2.
    on, off : ndarray of shape (n_rows, n_units)
        Filled with the result.
    """
    limit = np.log(np.finfo(Z.dtype).max) - 1  # exp must not overflow: inf * 0 is nan
    np.multiply(Z, -k, out=off)
    if off.max() > limit:  # rare, and the test is several times cheaper than the cut
        np.minimum(off, limit, out=off)
    np.exp(off, out=off)
    np.add(off, 1, out=on)
    np.divide(1, on, out=on)  # faster than np.reciprocal
    off *= on


def logistic(Z, slope, s=None):
    """A = 1 / (1 + exp(-Z)); f' = A (1 - A)."""
    logistic_pair(Z, 1, on=Z, off=slope)
    sums = None if s is None else (s @ Z, s @ slope)
    slope *= Z
    return sums


def tanh(Z, slope, s=None):
    """A = tanh(Z); f' = 1 - A**2, written ``2 q (1 + |A|)`` so that it survives saturation.

    Here q is the smaller of both sides of the unit, ``logistic(-2|Z|)``. In float32 q costs a
    second exponential. So it is left out if only the slope needs it: then f' is exact to the
    last digit of its largest value.
    """
    if s is None and Z.dtype == np.float32:
        np.tanh(Z, out=Z)
        np.multiply(Z, Z, out=slope)
        np.subtract(1, slope, out=slope)
        return None
    q = np.abs(Z)
    np.copysign(_tanh_of_positive(q, out=slope), Z, out=Z)
    slope += 1
    slope *= q
    slope *= 2
    return None if s is None else _both_sides(q, Z, s)


def _tanh_of_positive(Z, out):
    """tanh(Z) where no Z is negative; ``Z`` becomes logistic(-2Z)."""
    if Z.dtype == np.float32:  # NumPy vectorises exp and tanh for it, but not expm1
        np.tanh(Z, out=out)
        logistic_pair(Z, 2, on=np.empty_like(Z), off=Z)
        return out
    limit = np.log(np.finfo(Z.dtype).max) - 1
    Z *= 2
    np.minimum(Z, limit, out=Z)
    np.expm1(Z, out=out)  # E: tanh = E / (E + 2), and logistic(-2Z) = 1 / (E + 2)
    np.add(out, 2, out=Z)
    out /= Z  # a product with 1 / Z could round to more than 1
    np.divide(1, Z, out=Z)
    return out


def _both_sides(q, A, s):
    """Sums of on = q + max(A, 0) and off = q + max(-A, 0); the smaller side ``q`` is lost."""
    smaller, positive = s @ q, s @ np.maximum(A, 0, out=q)
    return smaller + positive, smaller + s @ np.maximum(np.negative(A, out=q), 0, out=q)


def relu(Z, slope, s=None):
    """A = max(Z, 0); f' = 1 where Z > 0, else 0."""
    np.greater(Z, 0, out=slope)
    np.maximum(Z, 0, out=Z)


def identity(Z, slope, s=None):
    """A = Z; f' = 1."""
    slope.fill(1)


def softmax(Z):
    """A = exp(Z) / sum(exp(Z)) in each row, in place. An output activation only."""
    Z -= Z.max(axis=1, keepdims=True)
    np.exp(Z, out=Z)
    Z /= Z.sum(axis=1, keepdims=True)


ACTIVATIONS = {"logistic": logistic, "tanh": tanh, "relu": relu, "identity": identity}

# The lowest and the highest value of each activation, and its largest slope.
RANGES = {"logistic": (0, 1), "tanh": (-1, 1), "relu": (0, np.inf), "identity": (-np.inf, np.inf)}
STEEPEST = {"logistic": 1 / 4, "tanh": 1, "relu": 1, "identity": 1}

# Activations whose mean can be read as a rate in (0, 1), as the KL penalty needs:
# rate = logistic(k z) with this k, so that a = k rate - (k - 1).
STEEPNESS = {"logistic": 1, "tanh": 2}


def look_up(table, key, where):
    """The entry of a table, or an error that names the table if there is none."""
    if key not in table:
        raise NotImplementedError(f"{key!r} is missing in {where}: add its line there.")
    return table[key]


def apply_output(Z, name):
    """Turn the raw output into the prediction, in place, and return it."""
    if name == "softmax":
        softmax(Z)
    elif name != "identity":
        ACTIVATIONS[name](Z, np.empty_like(Z))
    return Z
