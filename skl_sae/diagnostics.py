"""What the code of a fitted estimator is like, in numbers."""

from numbers import Real

import numpy as np
from scipy.special import expit, rel_entr
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from ._compat import Interval
from ._estimator import BackpropEstimator
from ._validation import no_nan
from ._weights import check_weights
from .backprop.activations import ACTIVATIONS, STEEPNESS, look_up
from .mlp_backprop import MLPBackprop

# A unit whose standard deviation is below this share of its mean says little about a row.
COLLAPSED_AT = 0.1


def code_diagnostics(estimator, X, y=None, *, sample_weight=None, threshold=None, per_unit=False):
    r"""Describe the code of a fitted estimator in numbers.

    The result is a dict of floats, so that the function itself can be the ``scoring`` of
    `~sklearn.model_selection.GridSearchCV` (with ``refit`` naming one of the numbers),
    and a row of a data frame. Notes has the formulas.

    Parameters
    ----------
    estimator : SparseAutoencoder, MLPBackprop or Pipeline
        Fitted. Of an `MLPBackprop` the code is what its ``transform`` returns. Of a
        `~sklearn.pipeline.Pipeline` the first step that is one of these is described, on
        X as the steps before it leave it.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data. It is encoded a few rows at a time: the whole code is never in memory.
    y : None
        Ignored, present so that the function is a scorer.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows. Rows of weight zero do not count at all.
    threshold : float, default=None
        Activity above which a unit counts as active in a row; from 0 to 0.5 for logistic
        and tanh units. None means 0.1 for them, and 0 for relu and identity units.
    per_unit : bool, default=False
        Whether to return arrays with a value for each unit instead of one number.

    Returns
    -------
    dict of str to float, or to ndarray of shape (n_components,)
        The diagnostics by name.

    Raises
    ------
    TypeError
        The estimator is none of this package, and no pipeline with one.
    ValueError
        Bad data, weights or threshold, or an estimator that is not fitted
        (`~sklearn.exceptions.NotFittedError`).

    See Also
    --------
    CodeDisplay : The same as a picture.
    SparseAutoencoder.score : The explained variance alone.

    Notes
    -----
    The activity :math:`u_{ij}` of unit j in row i is its activation a for logistic and
    relu units, (a + 1) / 2 for tanh units (so that the sparsity penalty means the same
    for both), and \|a\| for identity units. With the weights :math:`s_i` of the rows, which
    sum to S, and the threshold t:

    ================== ===================================== ===============================
    name               of unit j                             one number
    ================== ===================================== ===============================
    explained_variance (left out)                            1 - Σ s ‖x - x̂‖² / Σ s ‖x - x̄‖²
    mean_activation    ρ̂ⱼ = Σᵢ sᵢ uᵢⱼ / S                    mean over the units
    variance           vⱼ = Σᵢ sᵢ (uᵢⱼ - ρ̂ⱼ)² / S            mean over the units
    kl                 ρ log(ρ/ρ̂ⱼ) + (1-ρ) log((1-ρ)/(1-ρ̂ⱼ)) sum over the units
    l0                 share of the rows with uᵢⱼ > t        sum over the units
    dead               uᵢⱼ ≤ t in every row                  number of units
    saturated          uᵢⱼ ≥ 1 - t in every row              number of units
    collapsed          √vⱼ < 0.1 ρ̂ⱼ                          number of units
    ================== ===================================== ===============================

    ``explained_variance`` is `SparseAutoencoder.score`, whose numerator and denominator are
    summed apart [1]_; a network has no reconstruction, and no such number. ``kl`` is the
    sparsity penalty [2]_ without its weight β, whether the fit had one or not; it is nan
    for relu and identity units, whose mean is no rate, and infinite if the activity of a
    unit rounds to 0 or to 1 in every row. The sum of ``l0`` over the units is the number of
    units that are active in a row, on average. It and ``dead`` are the usual measures of
    sparse codes [3]_, where "active" means above zero: logistic and tanh units never are
    zero, and need the threshold. Relu and identity units are never ``saturated``. A
    collapsed unit does not tell rows apart, whatever its mean; it can be dead or saturated
    as well. Penalties that are too strong let all units collapse to ρ, where ``kl`` is
    smallest [4]_.

    References
    ----------
    .. [1] J. Bloom, C. Tigges and D. Chanin, SAELens, ``evals.py``,
           https://github.com/decoderesearch/SAELens.
    .. [2] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford University,
           2011.
    .. [3] L. Gao et al., "Scaling and evaluating sparse autoencoders",
           ICLR 2025.
    .. [4] S. Hogg and E. Dubossarsky, R package SAENET, manual of ``SAENET.train``: the
           warning that activations may converge to ρ.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import SparseAutoencoder, code_diagnostics
    >>> X = load_digits().data / 16
    >>> sae = SparseAutoencoder(16, random_state=0).fit(X)
    >>> numbers = code_diagnostics(sae, X)
    >>> round(numbers["mean_activation"], 1), numbers["dead"], numbers["collapsed"]
    (0.1, 0.0, 0.0)
    >>> code_diagnostics(sae, X, per_unit=True)["variance"].shape
    (16,)
    """
    before, network = find_network(estimator, "code_diagnostics")
    X = X if before is None else before.transform(X)
    units, _ = describe_units(network, X, sample_weight, threshold)
    if per_unit:
        return units
    numbers = {}
    if not isinstance(network, MLPBackprop):
        numbers["explained_variance"] = network.score(X, sample_weight=sample_weight)
    means = {"mean_activation", "variance"}
    for name, values in units.items():
        numbers[name] = float(values.mean() if name in means else values.sum())
    return numbers


def find_network(estimator, caller):
    """The steps before the first network of this package, or None, and that network."""
    return find_step(
        estimator, BackpropEstimator, f"{caller} takes a fitted SparseAutoencoder or MLPBackprop"
    )


def find_step(estimator, kind, takes):
    """The same for a kind of estimator; ``takes`` begins the sentence that refuses all else."""
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]
    for i, (_, step) in enumerate(steps):
        step = step.estimator if isinstance(step, FrozenEstimator) else step
        if isinstance(step, kind):
            return (estimator[:i] if i else None), step
    raise TypeError(
        f"{takes}, or a Pipeline with one, not a {type(estimator).__name__}; "
        "of a search take its best_estimator_."
    )


def default_threshold(network):
    """The activity above which a unit counts as active, if the user names none."""
    return _reading(network)[1]


def describe_units(network, X, sample_weight=None, threshold=None):
    """The diagnostics of every unit, and how many units are active in the rows.

    Parameters
    ----------
    network : SparseAutoencoder or MLPBackprop
        Fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Its input.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    threshold : float, default=None
        As in `code_diagnostics`.

    Returns
    -------
    units : dict of str to ndarray of shape (n_components,)
    n_active : ndarray of shape (n_components + 1,)
        The share of the rows in which so many units are active.
    """
    X = network._check_input(X)
    activity, threshold = _reading(network)[0], _check_threshold(network, threshold)
    weights = check_weights(sample_weight, X)
    weights = np.ones(X.shape[0]) if weights is None else weights.astype(float)
    of_block = {}  # combined in order: the same bits for any number of threads

    def measure(rows, block, Z):
        counts = weights[rows] > 0
        if counts.any():
            on, off = activity(no_nan(Z[counts], block), network.activation_)
            of_block[rows.start] = _statistics(on, off, weights[rows][counts], threshold)

    network._over_blocks(measure, X, _code_layers(network), "identity")
    blocks = [of_block[start] for start in sorted(of_block)]
    sums = {name: np.array([block[name] for block in blocks]) for name in blocks[0]}
    return _of_units(sums, network, threshold), sums["n_active"].sum(axis=0) / weights.sum()


def _check_threshold(network, threshold):
    if threshold is None:
        return default_threshold(network)
    highest = 0.5 if network.activation_ in STEEPNESS else np.inf
    if not Interval(Real, 0, highest, closed="both").is_satisfied_by(threshold):
        raise ValueError(
            f"threshold must be a number from 0 to {highest} for {network.activation_} units, "
            f"not {threshold!r}."
        )
    return threshold


def _code_layers(network):
    """The layers up to the code."""
    if not isinstance(network, MLPBackprop):
        return slice(1)
    if network.transform_layer_ is None:
        raise ValueError("The network has no hidden layer, and so no code to describe.")
    return slice(network.transform_layer_ + 1)


def _rate(Z, activation):
    """The rate of raw outputs, and 1 - rate, exact where the unit is saturated."""
    Z = STEEPNESS[activation] * Z
    return expit(Z), expit(-Z)


def _size(Z, activation):
    """The size of the activation of raw outputs; it has no end where it is saturated."""
    ACTIVATIONS[activation](Z, np.empty_like(Z))
    return np.abs(Z), np.full_like(Z, np.nan)


# The activity of each activation, and above which of it a unit counts as active by default.
ACTIVITY = {
    "logistic": (_rate, 0.1),
    "tanh": (_rate, 0.1),
    "relu": (_size, 0.0),
    "identity": (_size, 0.0),
}


def _reading(network):
    return look_up(ACTIVITY, network.activation_, "ACTIVITY of skl_sae/diagnostics.py")


def _statistics(on, off, s, threshold):
    """Sums over the rows of a block; means and scatter are those of the block itself."""
    active = on > threshold
    mean = s @ on / s.sum()
    return {
        "weight": s.sum(),
        "on": mean,
        "off": s @ off / s.sum(),
        "scatter": s @ (on - mean) ** 2,
        "active": s @ active,
        "n_active": np.bincount(active.sum(axis=1), weights=s, minlength=on.shape[1] + 1),
        "largest_on": on.max(axis=0),
        "largest_off": off.max(axis=0),
    }


def _of_units(sums, network, threshold):
    """Combine the blocks; scatters by the formula of Chan, Golub and LeVeque (1983)."""
    share = sums["weight"] / sums["weight"].sum()
    on, off, rho = share @ sums["on"], share @ sums["off"], network._rho
    within = sums["scatter"].sum(axis=0) / sums["weight"].sum()
    variance = within + share @ (sums["on"] - on) ** 2
    kl = rel_entr(rho, on) + rel_entr(1 - rho, off)
    return {
        "mean_activation": on,
        "variance": variance,
        "kl": np.maximum(kl, 0),  # below zero by rounding only
        "l0": sums["active"].sum(axis=0) / sums["weight"].sum(),
        "dead": sums["largest_on"].max(axis=0) <= threshold,
        "saturated": sums["largest_off"].max(axis=0) <= threshold,
        "collapsed": np.sqrt(variance) < COLLAPSED_AT * on,
    }
