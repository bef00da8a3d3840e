r"""Losses of a row, written on the raw output Z.

Each is a function ``loss(Z, Y, scratch) -> per_row`` that works in place: it returns the
loss L of every row and turns ``Z`` into ``delta`` = dL/dZ, the error that
backpropagation starts from. ``scratch`` is an array like ``Z`` whose content is lost.

The table `LOSSES` is keyed by (loss, output activation), because delta belongs to the
pair: a pair without an entry is not supported. `docs/architecture.rst` lists what to write
to add one.
"""

from functools import partial

import numpy as np

from .activations import ACTIVATIONS, logistic, look_up, tanh


def squared_error_identity(Z, Y, scratch):
    """L = 1/2 ||z - y||^2; delta = z - y."""
    Z -= Y
    return 0.5 * np.einsum("ij,ij->i", Z, Z)


def squared_error(Z, Y, scratch, f):
    """L = 1/2 ||a - y||^2 with a = f(z); delta = (a - y) f'(z)."""
    f(Z, scratch)
    per_row = squared_error_identity(Z, Y, None)
    Z *= scratch
    return per_row


def log_loss_logistic(Z, Y, scratch):
    """L = -sum_k [y log a + (1 - y) log(1 - a)], a = logistic(z); delta = a - y.

    Written ``([z > 0] - y) z + log(1 + exp(-|z|))``: no term is negative or overflows, so that
    it is exact at saturation. Targets are probabilities: outside [0, 1] the nearer end is meant.
    """
    Y = np.clip(Y, 0, 1)
    e = np.negative(np.abs(Z, out=scratch), out=scratch)
    np.exp(e, out=e)
    terms, positive = np.log1p(e), Z > 0
    per_row = terms.sum(axis=1)
    np.subtract(positive, Y, out=terms)
    per_row += np.einsum("ij,ij->i", terms, Z)
    np.add(1, e, out=terms)
    np.copyto(e, 1, where=positive)
    np.divide(e, terms, out=Z)  # a = 1 / (1 + e) where z > 0, else e / (1 + e)
    Z -= Y
    return per_row


def log_loss_softmax(Z, Y, scratch):
    """L = -sum_k y_k log a_k, a = softmax(z), sum_k y_k = 1; delta = a - y.

    Written log(sum exp z) - sum_k y_k z_k with the largest z set to zero (the tutorial's
    "preventing overflows"); its own term of the sum is the 1 of log1p.
    """
    Z -= Z.max(axis=1, keepdims=True)
    per_row = -np.einsum("ij,ij->i", Z, Y)
    top = np.expand_dims(Z.argmax(axis=1), 1)
    np.exp(Z, out=Z)
    np.put_along_axis(Z, top, 0, axis=1)
    others = Z.sum(axis=1)
    per_row += np.log1p(others)
    np.put_along_axis(Z, top, 1, axis=1)
    Z /= (1 + others)[:, np.newaxis]
    Z -= Y
    return per_row


LOSSES = {
    ("squared_error", "logistic"): partial(squared_error, f=logistic),
    ("squared_error", "tanh"): partial(squared_error, f=tanh),
    ("squared_error", "identity"): squared_error_identity,
    ("log_loss", "logistic"): log_loss_logistic,
    ("log_loss", "softmax"): log_loss_softmax,
}

# The pairs that a decoder can have, whose output is elementwise.
DECODERS = [pair for pair in LOSSES if pair[1] in ACTIVATIONS]

# What targets mean: outside of this range its nearer end, if there is one.
TARGET_RANGES = {"squared_error": None, "log_loss": (0, 1)}


def target_range(loss):
    """The range that the targets of a loss are cut to, or None."""
    return look_up(TARGET_RANGES, loss, "TARGET_RANGES of skl_sae/backprop/losses.py")


def get_loss(loss, output_activation):
    """Look the pair up, or say in one sentence which pairs exist."""
    try:
        return LOSSES[loss, output_activation]
    except KeyError:
        pairs = ", ".join(f"loss={a!r} with output_activation={b!r}" for a, b in LOSSES)
        raise ValueError(
            f"loss={loss!r} does not go with output_activation={output_activation!r}; "
            f"choose one of: {pairs}."
        ) from None
