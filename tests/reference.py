"""The objective in plain loops, one number at a time, as slow and obvious as can be.

What is exact is written in the numbers of a module ``m``: `math`, `mpmath` or `numpy`.
"""

import math
from functools import partial

import numpy as np

from skl_sae.backprop.activations import look_up

HERE = "tests/reference.py"
ACTIVATIONS = {
    "logistic": lambda z, m: 1 / (1 + m.exp(-z)),
    "tanh": lambda z, m: m.tanh(z),
    "relu": lambda z, m: z * (z > 0),
    "identity": lambda z, m: z,
}
KINKED = {"relu"}  # at zero

# The activation as a rate in (0, 1), for the sparsity penalty.
RATES = {"logistic": lambda a: a, "tanh": lambda a: (a + 1) / 2}


def definition(activation, m=math):
    """The activation by its definition in the textbook."""
    return partial(look_up(ACTIVATIONS, activation, f"ACTIVATIONS of {HERE}"), m=m)


def rate(activation):
    """What the sparsity penalty takes for the mean of this activation."""
    return look_up(RATES, activation, f"RATES of {HERE}")


def half_squares(a, y, m):
    return sum((p - t) ** 2 for p, t in zip(a, y, strict=True)) / 2


def cross_entropies(a, y, m):
    return -sum(t * m.log(p) + (1 - t) * m.log(1 - p) for p, t in zip(a, y, strict=True))


def cross_entropy(a, y, m):
    return -sum(t * m.log(p) for p, t in zip(a, y, strict=True))


LOSSES = {
    ("squared_error", "logistic"): half_squares,
    ("squared_error", "tanh"): half_squares,
    ("squared_error", "identity"): half_squares,
    ("log_loss", "logistic"): cross_entropies,
    ("log_loss", "softmax"): cross_entropy,
}


def output(z, activation, m):
    """The output of one row from its raw output."""
    if activation == "softmax":
        e = [m.exp(v) for v in z]
        return [v / sum(e) for v in e]
    return [definition(activation, m)(v) for v in z]


def row_loss(z, y, pair, m=math):
    """The loss of one row from its raw output, by the definition in the textbook."""
    loss = look_up(LOSSES, pair, f"LOSSES of {HERE}")
    return loss(output(z, pair[1], m), y, m)


def layer(a, W, b):
    """The raw output of one layer for one row."""
    return [b[j] + sum(a[i] * W[i, j] for i in range(W.shape[0])) for j in range(W.shape[1])]


def objective_value(obj, theta):
    """J(theta) of a `skl_sae.backprop.objective.Objective`."""
    coefs, intercepts = obj.network.unpack(theta)
    f, pair = definition(obj.network.activation), (obj.loss, obj.output_activation)
    Y = obj.rows.X if obj.rows.Y is None else obj.rows.Y
    s = np.ones(len(obj.rows.X)) if obj.rows.sample_weight is None else obj.rows.sample_weight
    misfit = 0.0
    codes = [np.zeros(n) for n in obj.network.sizes[1:-1]]
    for x, y, weight in zip(obj.rows.X, Y, s, strict=True):
        a = list(x)
        for n_layer, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
            z = layer(a, W, b)
            if n_layer < len(codes):
                a = [f(v) for v in z]
                codes[n_layer] += weight * np.array(a)
        misfit += weight * row_loss(z, y, pair)
    value = misfit / sum(s)
    lams = [obj.lam] * len(coefs) if np.ndim(obj.lam) == 0 else obj.lam
    for lam, W in zip(lams, coefs, strict=True):
        value += lam / 2 * sum(w * w for w in W.ravel())
    for code in codes if obj.beta else []:
        for mean in code / sum(s):
            r = rate(obj.network.activation)(mean)
            kl = obj.rho * math.log(obj.rho / r) + (1 - obj.rho) * math.log(
                (1 - obj.rho) / (1 - r)
            )
            value += obj.beta * kl
    return value
