"""Advice on a fit that went wrong: one sentence on the problem, and one on the remedy."""

import numpy as np
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning

from ._dask import Chunks
from ._training import ITERATIONS
from ._warn import warn
from .backprop.activations import RANGES, STEEPEST, STEEPNESS, look_up
from .backprop.blocks import chunks
from .backprop.losses import get_loss
from .backprop.penalties import kl_sparsity, weight_decay
from .exceptions import CollapseWarning

# Rows that are used to find how much weight decay the data bear.
SOME_ROWS = 1000

# A unit stands still if the standard deviation of its rate is below this.
STILL = 1e-3

# A fit has learned nothing if its loss is below J₀ by less than this share.
LEARNED = 0.05

# The advised weight decay is smaller than the bound by this factor.
SAFE = 10


# How to bring inputs, or targets, into the range of an output layer.
IN_RANGE = {
    "X": "scale X, for example with MinMaxScaler, or use output_activation='identity' with "
    "loss='squared_error'",
    "y": "set scale_targets=True",
}


def warn_out_of_range(values, name, output_activation):
    """Warn of targets that a bounded output can't reproduce.

    Parameters
    ----------
    values : {ndarray, LazyRows, CSR array, Chunks}
        The targets.
    name : {"X", "y"}
        Their name for the user.
    output_activation : str
        Activation of the last layer.
    """
    low, high = RANGES.get(output_activation, (-np.inf, np.inf))
    slack = np.sqrt(np.finfo(values.dtype).eps)  # scalers miss the ends by rounding
    if np.isfinite(low) and any(
        smallest < low - slack or largest > high + slack for smallest, largest in _ranges(values)
    ):
        warn(
            f"{name} has values outside [{low}, {high}], which an output layer with "
            f"output_activation={output_activation!r} can't reproduce: {IN_RANGE[name]}.",
            UserWarning,
        )


def _ranges(values):
    """The smallest and largest value, of all rows or of each block."""
    if isinstance(values, Chunks):
        return [values.range()]
    blocks = [values.data] if issparse(values) else chunks(values)
    return ((block.min(), block.max()) for block in blocks if block.size)


def warn_unless_converged(estimator, result):
    """Warn if a solver has stopped at ``max_iter``, or at a point that is not a minimum."""
    if unfinished := _unfinished(estimator, result):
        warn(f"{type(estimator).__name__}: {unfinished}", ConvergenceWarning)


def _unfinished(estimator, result):
    """The reason why a solver has not converged, and a remedy; empty if it has converged."""
    solver = estimator.solver
    if result.status == "failed":
        return (
            f"{solver} stopped after {len(result.loss_curve)} iterations because "
            f"it found no lower value ({result.message}). Scale the data; for 'adam' and 'sgd' "
            "decrease learning_rate; decrease lam or beta if it is huge."
        )
    if result.status == "max_iter":
        return (
            f"{solver} stopped at max_iter={_limit(estimator)}, before "
            f"{estimator.n_iter_no_change} iterations lowered J by less than "
            f"tol={estimator.tol} of it. Increase max_iter" + _against_overfitting(estimator)
        )
    return ""


def _limit(estimator):
    return ITERATIONS if estimator.max_iter == "auto" else estimator.max_iter


def _against_overfitting(estimator):
    if not hasattr(estimator, "early_stopping"):
        return ", or scale the data."
    other = "" if estimator.early_stopping else ", or set early_stopping=True"
    return f". If new rows score lower than the training rows, increase lam instead{other}."


def warn_if_constant(estimator, objective, result):
    """Warn if a network predicts no better than the best constant; True if it has warned."""
    baseline = objective.baseline
    if not 0 < baseline <= result.value * (1 + 1e-3):
        return False
    longer = "Increase max_iter; scale" if result.status == "finished" else "Scale"
    advice = _unfinished(estimator, result) or (
        f"{longer} X, for example by StandardScaler{_less_decay(objective)}; or y does not depend "
        "on X."
    )
    warn(
        f"{type(estimator).__name__} predicts no better than a constant (J is "
        f"{result.value:.3g}, and {baseline:.3g} for the best constant). {advice}",
        CollapseWarning,
    )
    return True


def _less_decay(objective):
    largest = np.max(objective.lam)
    less = [f"lam to {largest / 100:.0e}"] if largest > 0 else []
    less += ["beta"] if objective.beta > 0 else []
    return f"; decrease {' and '.join(less)}" if less else ""


def warn_if_collapsed(sae, objective, result):
    """Warn if an autoencoder is no better than the mean, or if most of its units stand still.

    Parameters
    ----------
    sae : SparseAutoencoder
        The fitted autoencoder.
    objective : Objective
        The objective of the fit.
    result : Result
        The result of the fit.

    Returns
    -------
    bool
        Whether it has warned.
    """
    if objective.baseline == 0:  # X does not vary, and the reconstruction is perfect
        return False
    k = STEEPNESS.get(objective.network.activation, 1)
    n_units, still = len(sae.std_activation_), int(np.sum(sae.std_activation_ < STILL * k))
    left = _misfit(sae, result.value, k, objective.baseline)
    # without weight decay a linear decoder can read the smallest differences
    any_scale = objective.output_activation == "identity" and not np.any(sae.lam)
    if left <= 1 - LEARNED and (2 * still <= n_units or any_scale):
        return False
    text = f"{type(sae).__name__}: {still} of {n_units} hidden units give every row the same "
    text += f"activation, and the loss is {left:.3g} times that of a constant output. "
    warn(text + _cause(sae, objective, result), CollapseWarning)
    return True


@np.errstate(all="ignore")  # a value that overflows never counts as success
def _misfit(sae, value, k, baseline):
    """The mean loss, which is J without its penalties, as a multiple of the baseline."""
    value -= weight_decay(sae.coefs_, sae.lam)[0]
    if sae.beta > 0:
        on = (sae.mean_activation_.astype(float) + k - 1) / k
        value -= sae.beta * kl_sparsity(on, 1 - on, sae.rho, floor=1e-30)[0]
    return value / baseline


def _cause(sae, objective, result):
    """The reason why the units stand still, a penalty or the end of the fit, and a remedy."""
    lam, flat, steep = np.max(objective.lam), *bearable_decay(objective)
    unfinished = _unfinished(sae, result)
    if result.status == "failed" or (unfinished and lam <= flat / 2):
        return unfinished
    if lam > flat / 2:
        beta = " together with beta" if objective.beta > 0 and lam < steep / SAFE else ""
        advice = f"lam={lam:.1g} is too strong{beta} for data that vary so little: "
        advice += f"decrease it to {_below(flat / SAFE)}"
        if beta:
            advice += ", or decrease beta, or bring rho nearer to 0.5"
    elif objective.beta > 0:
        advice = f"beta={objective.beta:g} is too strong: decrease it, or bring rho nearer to 0.5"
    else:
        more = "Increase max_iter, take" if result.status == "finished" else "Take"
        advice = f"{more} fewer units, or another random_state"
    if objective.output_activation == "identity":
        return f"{advice}; or scale X, for example by StandardScaler."
    if objective.loss != "squared_error":
        return f"{advice}."
    return f"{advice}; or use output_activation='identity', or loss='log_loss' for data in [0, 1]."


def _below(value):
    """The largest power of ten that is not above a value."""
    return f"{10.0 ** np.floor(np.log10(value)):.0e}" if value > 0 else "0"


@np.errstate(all="ignore")  # the bounds of huge rows are infinite
def bearable_decay(objective):
    r"""The weight decay above which zero weights are best for an autoencoder, from some rows.

    Start from weights 0 and the best constant output. Let f' be the slope of each unit there, and
    δ the gradient of the loss by the raw output. To second order J then changes by
    ``-f' tr(W₁ᵀ C W₂ᵀ) + λ/2 (‖W₁‖² + ‖W₂‖²)``, where C = mean (x - x̄)ᵀ(-δ). J falls in some
    direction only if λ < f' σ, where σ is the largest singular value of C.

    Returns
    -------
    flat, steep : float
        The bound for units at the mean activation ρ, and for units with the largest slope.
    """
    X, s = objective.rows.some(SOME_ROWS)
    z, _ = objective.best_constant
    if issparse(X) and objective.output_activation == "identity":  # -δ = x - z
        pair = (X, s @ X / s.sum()), (X, z)
    else:
        if issparse(X):  # fewer rows if they are very wide
            few = slice(None, None, 1 + X.shape[0] * X.shape[1] // 2**24)
            X, s = X[few].toarray(), s[few]
        pair = (X - np.average(X, axis=0, weights=s), 0), (-_delta(objective, X, z), 0)
    sigma = _largest_singular_value(*pair, s)
    activation, where = objective.network.activation, "STEEPEST of skl_sae/backprop/activations.py"
    steep = flat = look_up(STEEPEST, activation, where)
    if objective.beta > 0:  # f' = k² rate (1 - rate)
        flat = steep * 4 * objective.rho * (1 - objective.rho)
    return flat * sigma, steep * sigma


def _delta(objective, Y, z):
    """The gradient of the loss by the raw output, for the best constant."""
    Z = np.tile(z, (len(Y), 1))
    get_loss(objective.loss, objective.output_activation)(Z, Y, np.empty_like(Z))
    return Z


def _largest_singular_value(A, B, s, n_steps=30):
    """σ of the weighted mean of (a - ā)ᵀ(b - b̄) over rows a and b, by power iteration.

    A and B are pairs: rows, which may be CSR, and the mean that is subtracted from each row.
    """
    s = s / s.sum()
    v = np.random.default_rng(0).normal(size=B[0].shape[1])
    for _ in range(n_steps):
        u = _times(A, s * _of_rows(B, v / (np.linalg.norm(v) or 1)))
        v = _times(B, s * _of_rows(A, u / (np.linalg.norm(u) or 1)))
    return float(np.linalg.norm(v))


def _of_rows(rows, v):
    rows, origin = rows
    return rows @ v - np.sum(origin * v)


def _times(rows, w):
    rows, origin = rows
    return rows.T @ w - origin * w.sum()
