r"""Losses of a row, written on the raw output Z.

Each is a function ``loss(Z, Y, scratch) -> per_row`` that works in place. It returns the
loss L of every row and turns ``Z`` into ``delta`` = dL/dZ, the error that
backpropagation starts from. ``scratch`` is an array like ``Z`` whose content is lost.

The keys of the table `LOSSES` are (loss, output activation), because delta depends on both. A
pair without an entry is not supported. `docs/architecture.rst` lists the steps to add one.
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

    It is computed as ``([z > 0] - y) z + log(1 + e)``, ``e = exp(-|z|)``. No term is negative or
    overflows, so the loss is exact at saturation. Delta is exact too: it is ``[z > 0] - y``
    minus (z > 0) or plus (z < 0) ``e / (1 + e)``. Targets are probabilities; values outside
    [0, 1] count as the nearer end.
    """
    Y = np.clip(Y, 0, 1)
    Y -= ~np.signbit(Z)
    np.abs(Z, out=scratch)
    np.negative(scratch, out=scratch)
    np.exp(scratch, out=scratch)
    per_row = _sums_of_log1p(scratch)
    per_row -= np.einsum("ij,ij->i", Y, Z)
    scratch /= scratch + 1
    np.copysign(scratch, Z, out=Z)
    Z += Y
    np.negative(Z, out=Z)
    return per_row


def _sums_of_log1p(E):
    """Σ log(1 + e) of each row, e in [0, 1].

    Up to 127 factors 1 + e are multiplied first, as (1 + e)(1 + f) = 1 + (e + f + e f). Such a
    product does not overflow even in single precision, and costs a tenth of a logarithm.
    """
    for _ in range(6):
        half, odd = divmod(E.shape[1], 2)
        if half == 0:
            break
        one, other = E[:, :half], E[:, half : 2 * half]
        P = one * other
        P += one
        P += other
        if odd:
            P[:, 0] += E[:, -1] * (1 + P[:, 0])
        E = P
    return np.log1p(E).sum(axis=1)


def log_loss_softmax(Z, Y, scratch):
    """L = -sum_k y_k log a_k, a = softmax(z), sum_k y_k = 1; delta = a - y.

    It is computed as log(sum exp z) - sum_k y_k z_k, after the largest z is subtracted (the
    tutorial's "preventing overflows"). The term of the largest z is the 1 of log1p.
    """
    Z -= Z.max(axis=1, keepdims=True)
    per_row = -np.einsum("ij,ij->i", Z, Y)
    top = np.arange(len(Z)), Z.argmax(axis=1)
    np.exp(Z, out=Z)
    Z[top] = 0
    others = Z.sum(axis=1)
    per_row += np.log1p(others)
    Z[top] = 1
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

# The pairs for decoders, with elementwise output activations.
DECODERS = [pair for pair in LOSSES if pair[1] in ACTIVATIONS]

# Targets outside of this range count as its nearer end; None means no range.
TARGET_RANGES = {"squared_error": None, "log_loss": (0, 1)}


def target_range(loss):
    """The range that the targets of a loss are cut to, or None."""
    return look_up(TARGET_RANGES, loss, "TARGET_RANGES of skl_sae/backprop/losses.py")


def get_loss(loss, output_activation):
    """Look the pair up, or raise an error that lists the pairs."""
    try:
        return LOSSES[loss, output_activation]
    except KeyError:
        pairs = ", ".join(f"loss={a!r} with output_activation={b!r}" for a, b in LOSSES)
        raise ValueError(
            f"loss={loss!r} does not go with output_activation={output_activation!r}; "
            f"choose one of: {pairs}."
        ) from None
