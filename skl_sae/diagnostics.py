"""Numbers that describe the code of a fitted estimator."""

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

# A unit counts as collapsed if its standard deviation is below this share of its mean.
COLLAPSED_AT = 0.1


def code_diagnostics(estimator, X, y=None, *, sample_weight=None, threshold=None, per_unit=False):
    r"""Describe the code of a fitted estimator in numbers.

    The result is a dict of floats. So the function can be the ``scoring`` of
    `~sklearn.model_selection.GridSearchCV`, with the name of one number as ``refit``, and
    its result can be a row of a data frame. The formulas are in the Notes.

    Parameters
    ----------
    estimator : SparseAutoencoder, MLPBackprop or Pipeline
        A fitted estimator. The code of an `MLPBackprop` is the result of its ``transform``.
        In a `~sklearn.pipeline.Pipeline` the first step of one of these classes is
        described. The steps before it transform X.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data. It is encoded a few rows at a time: the whole code is never in memory.
    y : None
        Ignored, present because scorers have it.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows. Rows of weight zero do not count at all.
    threshold : float, default=None
        Activity above which a unit counts as active in a row. For logistic and tanh units
        it is from 0 to 0.5, and None means 0.1. For relu and identity units None means 0.
    per_unit : bool, default=False
        Whether to return arrays with a value for each unit instead of one number.

    Returns
    -------
    dict of str to float, or to ndarray of shape (n_components,)
        The diagnostics by name.

    Raises
    ------
    TypeError
        The estimator is not from this package, and not a pipeline with such an estimator.
    ValueError
        Bad data, weights or threshold, or an estimator that is not fitted
        (`~sklearn.exceptions.NotFittedError`).

    See Also
    --------
    CodeDisplay : The same as a picture.
    SparseAutoencoder.score : The explained variance alone.

    Notes
    -----
    The activity :math:`u_{ij}` of unit j in row i depends on its activation a. It is a for
    logistic and relu units and \|a\| for identity units. For tanh units it is (a + 1) / 2,
    with which the sparsity penalty means the same as for logistic units. With the weights
    :math:`s_i` of the rows, which sum to S, and the threshold t:

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

    ``explained_variance`` is `SparseAutoencoder.score`, with numerator and denominator
    summed separately [1]_. A network has no reconstruction, and so it lacks this number.

    ``kl`` is the sparsity penalty [2]_ without its weight β, whether or not the fit had
    one. It is nan for relu and identity units, whose mean is not a rate. It is infinite if
    the activity of a unit rounds to 0 or to 1 in every row.

    The sum of ``l0`` over the units is the mean number of active units in a row. It and
    ``dead`` are the usual measures of sparse codes [3]_, where "active" means above zero.
    Logistic and tanh units are never zero, so they need the threshold. Relu and identity
    units are never ``saturated``.

    A collapsed unit does not distinguish rows, whatever its mean. It can be dead or
    saturated as well. Penalties that are too strong let all units collapse to ρ, where
    ``kl`` is smallest [4]_.

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
    """The steps before the first network of this package, or None, and the network itself."""
    return find_step(
        estimator, BackpropEstimator, f"{caller} takes a fitted SparseAutoencoder or MLPBackprop"
    )


def find_step(estimator, kind, takes):
    """The same for another class; ``takes`` is the beginning of the error message."""
    steps = estimator.steps if isinstance(estimator, Pipeline) else [("", estimator)]
    for i, (_, step) in enumerate(steps):
        step = step.estimator if isinstance(step, FrozenEstimator) else step
        if isinstance(step, kind):
            return (estimator[:i] if i else None), step
    raise TypeError(
        f"{takes}, or a Pipeline with one, not a {type(estimator).__name__}; "
        "for a search, pass its best_estimator_."
    )


def default_threshold(network):
    """The activity above which a unit counts as active by default."""
    return _reading(network)[1]


def describe_units(network, X, sample_weight=None, threshold=None):
    """The diagnostics of each unit, and the shares of rows by their number of active units.

    Parameters
    ----------
    network : SparseAutoencoder or MLPBackprop
        A fitted network.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Input of the network.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    threshold : float, default=None
        As in `code_diagnostics`.

    Returns
    -------
    units : dict of str to ndarray of shape (n_components,)
    n_active : ndarray of shape (n_components + 1,)
        The share of the rows in which 0, 1, 2, … units are active.
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
    """The rate of raw outputs and 1 - rate, both exact at saturation."""
    Z = STEEPNESS[activation] * Z
    return expit(Z), expit(-Z)


def _size(Z, activation):
    """The size of the activation of raw outputs, and nan, since it never saturates."""
    ACTIVATIONS[activation](Z, np.empty_like(Z))
    return np.abs(Z), np.full_like(Z, np.nan)


# For each activation the function that gives the activity, and the default threshold.
ACTIVITY = {
    "logistic": (_rate, 0.1),
    "tanh": (_rate, 0.1),
    "relu": (_size, 0.0),
    "identity": (_size, 0.0),
}


def _reading(network):
    return look_up(ACTIVITY, network.activation_, "ACTIVITY of skl_sae/diagnostics.py")


def _statistics(on, off, s, threshold):
    """Sums over the rows of a block, its own means, and the scatter about them."""
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
