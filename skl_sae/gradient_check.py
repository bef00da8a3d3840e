"""The tutorial's gradient checking, as a tool for users."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from ._compat import Interval
from ._estimator import BackpropEstimator, refuse_nan_rows
from ._threads import on_one_blas_thread
from ._validation import refuse_dates
from .backprop.gradient_check import compare_gradient


def check_gradient(
    estimator,
    X,
    y=None,
    *,
    sample_weight=None,
    epsilon=1e-4,
    max_params=1000,
    n_directions=10,
    random_state=0,
):
    """Compare the gradient of an estimator's objective with central differences.

    This is the tutorial's gradient checking (UFLDL, "Gradient checking and advanced
    optimization"). It checks the objective that ``estimator.fit(X, y)`` would minimise, in
    float64, at a random start. A correct gradient has relative errors around 1e-9. With
    relu, whose derivative jumps, single parameters can have larger errors.

    Parameters
    ----------
    estimator : SparseAutoencoder or MLPBackprop
        Its parameters define the objective. It is neither fitted nor changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        A few rows are enough.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets, for `MLPBackprop`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    epsilon : float, default=1e-4
        Half the distance between the two points of a central difference.
    max_params : int, default=1000
        Largest number of parameters to check one by one. In a larger network they are
        drawn at random.
    n_directions : int, default=10
        Number of random directions to check as well. Each one covers all parameters.
    random_state : int, RandomState instance or None, default=0
        Random numbers for the start, the drawn parameters and the directions.

    Returns
    -------
    GradientCheck
        The result, with ``max_relative_error``, ``where`` and other attributes. Print it to
        see them.

    Raises
    ------
    TypeError
        The estimator is not from this package.
    ValueError
        Bad data or parameters, or data so large that the objective overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from skl_sae import SparseAutoencoder, check_gradient
    >>> X = np.random.default_rng(0).uniform(size=(20, 5))
    >>> check = check_gradient(SparseAutoencoder(n_components=3), X)
    >>> check.max_relative_error < 1e-7
    True
    """
    if not isinstance(estimator, BackpropEstimator):
        raise TypeError(
            "check_gradient takes a SparseAutoencoder or an MLPBackprop, not a "
            f"{type(estimator).__name__}; for a Pipeline, pass its last step and transformed data."
        )
    whole = Interval(Integral, 0, None, closed="left")
    counts = max_params, n_directions
    if not (
        Interval(Real, 0, None, closed="neither").is_satisfied_by(epsilon)
        and all(map(whole.is_satisfied_by, counts))
        and any(counts)
    ):
        raise ValueError(
            "check_gradient needs epsilon > 0 and some parameters or directions to try, not "
            f"epsilon={epsilon!r}, max_params={max_params!r}, n_directions={n_directions!r}."
        )
    rng = check_random_state(random_state)
    estimator = clone(estimator)
    estimator._validate_params()
    refuse_dates(X)
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    objective, _ = estimator._prepare(X, y, sample_weight)
    network = objective.network
    n_params = network.n_params
    n_tried = min(max_params, n_params)
    # biases other than zero reveal mistakes in their gradient that zero biases would hide
    theta = network.initialise(rng) + rng.uniform(-0.1, 0.1, size=n_params)
    if not np.isfinite(objective(theta)[0]):
        refuse_nan_rows(objective.rows)
        raise ValueError("The objective overflows: scale the data, for example by StandardScaler.")
    return on_one_blas_thread(
        lambda n_threads: compare_gradient(
            objective,
            theta,
            entries=np.sort(rng.choice(n_params, n_tried, replace=False)),
            directions=rng.normal(size=(n_directions, n_params)),
            name_of=network.name_of,
            epsilon=epsilon,
        )
    )
