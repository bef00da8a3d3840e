"""Penalties: functions of the weights, or of the mean code, as ``(value, gradient)``."""

import numpy as np


def weight_decay(coefs, lam, out=None):
    """The value sum_l lam_l / 2 * ||W_l||_F^2 and its gradients lam_l W_l. Biases are free.

    Parameters
    ----------
    coefs : list of ndarray of shape (n_in, n_out)
        The weights of each layer.
    lam : float or sequence of float
        Weight decay, the tutorial's λ, of all layers or of each. It is not divided by the
        number of rows.
    out : list of ndarray of shape (n_in, n_out), default=None
        Buffers for the gradient.

    Returns
    -------
    value : float
    gradient : list of ndarray of shape (n_in, n_out)
    """
    lams = np.broadcast_to(lam, len(coefs)).tolist()  # Python floats keep float32 arrays float32
    value = 0.5 * sum(lam * float(np.vdot(W, W)) for lam, W in zip(lams, coefs))
    out = [None] * len(coefs) if out is None else out
    return value, [np.multiply(W, lam, out=G) for lam, W, G in zip(lams, coefs, out)]


def kl_sparsity(on, off, rho, floor=0.0):
    """Kullback-Leibler divergence of each unit's mean code from the target rho.

    KL(ρ ‖ ρ̂) = ρ log(ρ / ρ̂) + (1 - ρ) log((1 - ρ) / (1 - ρ̂)), summed over the units.

    Parameters
    ----------
    on, off : ndarray of shape (n_units,)
        The mean code ρ̂ and 1 - ρ̂, each summed separately. Near saturation rounding would lose
        1 - ρ̂.
    rho : float
        Target mean code, between 0 and 1.
    floor : float
        If ``on`` or ``off`` is below it, it counts as ``floor``, and the gradient of its term is
        zero. So value and gradient agree.

    Returns
    -------
    value : float
    gradient : ndarray of shape (n_units,)
        The derivative with respect to ρ̂: -ρ / ρ̂ + (1 - ρ) / (1 - ρ̂).
    """
    on_cut, off_cut = np.maximum(on, floor), np.maximum(off, floor)
    value = np.sum(rho * np.log(rho / on_cut) + (1 - rho) * np.log((1 - rho) / off_cut))
    gradient = -rho / on_cut * (on > floor) + (1 - rho) / off_cut * (off > floor)
    return value, gradient
