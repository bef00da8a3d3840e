"""The objective in plain loops, one number at a time, as slow and obvious as can be."""

from math import exp, log, tanh

import numpy as np

HIDDEN = {
    "logistic": lambda z: 1 / (1 + exp(-z)),
    "tanh": tanh,
    "relu": lambda z: max(z, 0.0),
    "identity": lambda z: z,
}


def row_loss(z, y, loss, output):
    """The loss of one row from its raw output, by the definition in the textbook."""
    if output == "softmax":
        total = sum(exp(v) for v in z)
        return -sum(t * log(exp(v) / total) for v, t in zip(z, y, strict=True))
    a = [HIDDEN[output](v) for v in z]
    if loss == "log_loss":
        return -sum(t * log(p) + (1 - t) * log(1 - p) for p, t in zip(a, y, strict=True))
    return sum((p - t) ** 2 for p, t in zip(a, y, strict=True)) / 2


def layer(a, W, b):
    """The raw output of one layer for one row."""
    return [b[j] + sum(a[i] * W[i, j] for i in range(W.shape[0])) for j in range(W.shape[1])]


def objective_value(obj, theta):
    """J(theta) of a `skl_sae.backprop.objective.Objective`."""
    coefs, intercepts = obj.network.unpack(theta)
    f = HIDDEN[obj.network.activation]
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
        misfit += weight * row_loss(z, y, obj.loss, obj.output_activation)
    value = misfit / sum(s)
    lams = [obj.lam] * len(coefs) if np.ndim(obj.lam) == 0 else obj.lam
    for lam, W in zip(lams, coefs, strict=True):
        value += lam / 2 * sum(w * w for w in W.ravel())
    for code in codes if obj.beta else []:
        for mean in code / sum(s):
            r = (mean + 1) / 2 if obj.network.activation == "tanh" else mean
            kl = obj.rho * log(obj.rho / r) + (1 - obj.rho) * log((1 - obj.rho) / (1 - r))
            value += obj.beta * kl
    return value
