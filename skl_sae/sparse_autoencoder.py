"""The sparse autoencoder of the UFLDL tutorial as a scikit-learn estimator."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._advice import warn_if_collapsed
from ._compat import Interval, StrOptions, fit_context
from ._dask import ChunkedRows, by_chunks
from ._estimator import check_floats
from ._tasks import without_callbacks
from ._threads import alone
from ._warn import warn
from .backprop.activations import RANGES
from .backprop.blocks import LazyRows, as_floats, chunks, dense, row_blocks
from .backprop.losses import DECODERS
from .backprop.network import Network
from .base import BackpropEstimator, all_or_nothing, check_weights, exact_weights, no_nan


class SparseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BackpropEstimator):
    r"""Autoencoder with one hidden layer whose units are active rarely.

    The network encodes a row x as the code a = f(x W₁ + b₁) and decodes it as
    x̂ = g(a W₂ + b₂). `fit` minimises

    .. math::

        J = \frac{\sum_i s_i\, L(x_i, \hat x_i)}{\sum_i s_i}
            + \frac{\lambda}{2} \left(\|W_1\|_F^2 + \|W_2\|_F^2\right)
            + \beta \sum_j \mathrm{KL}(\rho \,\|\, \hat\rho_j),

    .. math::

        \hat\rho_j = \frac{\sum_i s_i\, a_j(x_i)}{\sum_i s_i},

    with L the squared error :math:`\frac12\|\hat x - x\|^2` or the cross-entropy, and
    KL(ρ ‖ ρ̂) = ρ log(ρ/ρ̂) + (1-ρ) log((1-ρ)/(1-ρ̂)). The loss is a mean over rows
    and a sum over features; the penalties are not divided by the number of rows.

    Parameters
    ----------
    n_components : int, default=50
        Number of hidden units: the length of a code.
    lam : float, default=1e-5
        Weight decay λ ≥ 0. Biases are not decayed. Its default and that of
        ``n_components`` are chosen on tables of many kinds; the tutorial has 25 units and
        1e-4, which is too strong for data that vary little.
    beta : float, default=3.0
        Weight β ≥ 0 of the sparsity penalty.
    rho : float, default=0.05
        Sparsity target ρ in (0, 1): the mean activation that each hidden unit should
        have; for tanh units the mean of (a + 1) / 2.
    activation : {"logistic", "tanh", "relu", "identity"}, default="logistic"
        Hidden activation f. "relu" and "identity" need ``beta=0``.
    output_activation : {"logistic", "tanh", "identity"}, default="logistic"
        Output activation g. "logistic" suits data in [0, 1], "tanh" data in [-1, 1],
        "identity" (the linear decoder) any scaled data.
    loss : {"squared_error", "log_loss"}, default="squared_error"
        L. "log_loss" is the cross-entropy of each feature; it needs
        ``output_activation="logistic"``, and features outside [0, 1] count as 0 or 1.
    tied_weights : bool, default=False
        Whether W₂ is W₁ transposed.
    solver : {"lbfgs", "cg", "sgd"}, default="lbfgs"
        L-BFGS ([2]_) or nonlinear conjugate gradients of SciPy, or gradient descent.
    max_iter : int, default=1500
        Largest number of iterations (of epochs for "sgd" with ``batch_size``). An iteration
        on a share of the rows (see ``growing_samples``) counts by that share.
    tol : float, default=0.001
        The fit has converged when ``n_iter_no_change`` iterations have not lowered J by
        ``tol`` of its size; "lbfgs" and "cg" also ask that no entry of the gradient of
        J / J₀ is above ``tol``, where J₀ is the objective of the best constant output.
        As long as J is not below 0.99 J₀, five times as many iterations are waited for.
    n_iter_no_change : int, default=20
        See ``tol``.
    history_size : int, default=10
        Number of past steps that "lbfgs" keeps; each costs two vectors of the size of
        the weights.
    growing_samples : "auto" or bool, default="auto"
        Whether "lbfgs" runs on a random 1/32, 1/8 and 1/2 of the rows before it runs on
        all, each time from where it has ended ([3]_, [4]_, [5]_). On many rows this is
        several times faster, and the result is as much a minimum of J. "auto" does so from
        20,000 rows on, unless the fit goes on from fitted weights.
    variable_projection : "auto" or bool, default="auto"
        Whether "lbfgs" runs on the encoder alone, the decoder being solved exactly at
        each step ([6]_): the same objective and the same minima, in several times fewer
        iterations. It needs ``output_activation="identity"``, squared error and untied
        weights. "auto" does so where λ > 0 (in float32 λ > 6e-6), there are at least as
        many rows as components h, and the h × h system is cheap beside the other
        products. A run on all weights ends the fit, and takes over where the system is
        ill-conditioned. With True and λ = 0 nothing bounds the decoder: its weights can
        become huge.
    learning_rate : float, default=0.1
        Step length of "sgd"; the other solvers find theirs by line search.
    batch_size : int, default=None
        Rows of a mini-batch of "sgd"; None means all rows. The mean code ρ̂ is that of
        the mini-batch.
    n_init : int, default=1
        Number of random starts; the fit with the lowest J is kept.
    warm_start : bool, default=False
        Whether a further `fit` starts from the fitted weights (the other ``n_init - 1``
        starts are random).
    random_state : int, RandomState instance or None, default=None
        For the initial weights and the order of mini-batches. An int makes the fit
        reproducible.
    verbose : int, default=0
        Whether to print J after each iteration.

    Attributes
    ----------
    coefs_ : list of two ndarrays
        The weights W₁, of shape (n_features, n_components), and W₂, of shape
        (n_components, n_features).
    intercepts_ : list of two ndarrays
        The biases b₁, of shape (n_components,), and b₂, of shape (n_features,).
    components_ : ndarray of shape (n_components, n_features)
        The weights of each hidden unit, W₁ transposed.
    mean_activation_, std_activation_ : ndarray of shape (n_components,)
        Mean and standard deviation of the activation of each hidden unit on the training data.
    activation_, output_activation_ : str
        The activations of the fit.
    loss_ : float
        The objective J of all rows at the end, penalties included; no higher than at the
        start.
    loss_curve_ : ndarray of shape (n_iter_,)
        J after each iteration (with mini-batches its mean over the epoch).
    n_iter_ : int
        Number of iterations, those on samples of the rows included; what they count towards
        ``max_iter`` is ``stage_lengths_ @ stage_shares_``.
    stage_lengths_ : ndarray of shape (n_stages,)
        Iterations of each stage: on growing samples, where ``loss_curve_`` holds J of the
        sample, on all rows with the output layer solved exactly, and on all weights. A
        last stage of no iterations leaves the J of another at the end of the curve.
    stage_shares_ : ndarray of shape (n_stages,)
        Share of the rows that each stage ran on: 1 where ``loss_curve_`` holds J itself.
    n_evaluations_ : int
        Number of evaluations of J and its gradient in the run that was kept.
    converged_ : bool
        Whether the solver met ``tol``.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in `fit`, if all are strings.

    See Also
    --------
    MLPBackprop : Supervised networks on the same core.
    check_gradient : Check the gradient of the objective on your data.

    Notes
    -----
    Weights start as U(-r, r), r² = 6 / (n_features + n_components + 1), as in [1]_. Biases
    start from the data, and not at 0: each unit at the mean activation ρ, the output at its
    best constant. From 0 the sparsity penalty would first drive all units to the same code.

    Integer sample weights are the same as repeated rows. In memory, up to 100,000 rows and
    64 MiB, they are so to the last bit, and the order of the rows does not matter: equal rows
    are merged first (but for mini-batches).

    References
    ----------
    .. [1] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford University,
           2011.
    .. [2] R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, "A limited memory algorithm for bound
           constrained optimization", SIAM J. Sci. Comput. 16 (5), 1995.
    .. [3] R. H. Byrd, G. M. Chin, J. Nocedal and Y. Wu, "Sample size selection in
           optimization methods for machine learning", Math. Program. 134, 2012.
    .. [4] M. P. Friedlander and M. Schmidt, "Hybrid deterministic-stochastic methods for
           data fitting", SIAM J. Sci. Comput. 34 (3), 2012.
    .. [5] R. Bollapragada, D. Mudigere, J. Nocedal, H.-J. M. Shi and P. T. P. Tang, "A
           progressive batching L-BFGS method for machine learning", ICML 2018.
    .. [6] G. Golub and V. Pereyra, "Separable nonlinear least squares: the variable
           projection method and its applications", Inverse Problems 19 (2), 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import minmax_scale
    >>> from skl_sae import SparseAutoencoder
    >>> X = minmax_scale(load_digits().data)
    >>> sae = SparseAutoencoder(n_components=16, random_state=0).fit(X)
    >>> sae.transform(X).shape
    (1797, 16)
    >>> sae.components_.shape
    (16, 64)
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        **BackpropEstimator._parameter_constraints,
        "output_activation": [StrOptions({output for _, output in DECODERS})],
        "loss": [StrOptions({loss for loss, _ in DECODERS})],
        "tied_weights": ["boolean"],
    }

    def __init__(
        self,
        n_components=50,
        *,
        lam=1e-5,
        beta=3.0,
        rho=0.05,
        activation="logistic",
        output_activation="logistic",
        loss="squared_error",
        tied_weights=False,
        solver="lbfgs",
        max_iter=1500,
        tol=1e-3,
        n_iter_no_change=20,
        history_size=10,
        growing_samples="auto",
        variable_projection="auto",
        learning_rate=0.1,
        batch_size=None,
        n_init=1,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.lam = lam
        self.beta = beta
        self.rho = rho
        self.activation = activation
        self.output_activation = output_activation
        self.loss = loss
        self.tied_weights = tied_weights
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.history_size = history_size
        self.growing_samples = growing_samples
        self.variable_projection = variable_projection
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.n_init = n_init
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 stays float32, other numbers become float64. All is
            read, converted or made dense a few rows at a time: a memory-mapped file may be
            larger than the memory. The rows of a dask array or dataframe stay on its
            workers.
        y : None
            Ignored, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero.

        Returns
        -------
        SparseAutoencoder
            The fitted estimator.

        Raises
        ------
        ValueError
            Bad data or parameters, or data so large that J overflows. The estimator is
            then as it was before.
        """
        objective = self._prepare(X, y, sample_weight)
        self._fit(objective, X, X, sample_weight)
        return self

    @available_if(BackpropEstimator._uses_sgd)
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Take one gradient step on X, or one epoch of mini-batches (solver "sgd").

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A portion of the data.
        y : None
            Ignored, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        SparseAutoencoder
            The estimator; ``mean_activation_`` is that on X.
        """
        self._validate_params()
        reset = not self.__sklearn_is_fitted__()
        objective = self._prepare(X, y, sample_weight, reset=reset)
        self._partial_fit(objective)
        return self

    @by_chunks
    def transform(self, X):
        """Encode X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            The code of each row.
        """
        return self._propagate(self._check_input(X), slice(1), self.activation_)

    @by_chunks
    def inverse_transform(self, X):
        """Decode codes. The result is a reconstruction, not an exact inverse.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstructions.
        """
        check_is_fitted(self)
        code = check_floats(X)
        if code.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {code.shape[1]} columns, but codes of this {type(self).__name__} "
                f"have {self._n_features_out}."
            )
        return self._propagate(code, slice(1, 2), self.output_activation_)

    @by_chunks
    def predict(self, X):
        """Reconstruct X: encode and decode it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data. Sparse rows are refused, because their reconstruction is dense.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The reconstruction of each row.
        """
        X = self._check_input(X)
        if issparse(X):
            raise TypeError(
                "The reconstruction of sparse rows is dense: ask for it by "
                "inverse_transform(transform(X)), or give X.toarray()."
            )
        return self._propagate(X, slice(2), self.output_activation_)

    @by_chunks
    def score_samples(self, X):
        """Return minus the squared error of each row's reconstruction, -‖x - x̂‖².

        The lower, the less the row is like the training data: an anomaly score.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            The scores, at most 0.
        """
        return -self._squared_errors(self._check_input(X))

    def score(self, X, y=None, sample_weight=None):
        """Return the fraction of the variance of X that the reconstruction explains.

        It is 1 - Σ‖x - x̂‖² / Σ‖x - x̄‖²: at most 1, higher is better, and free of the
        penalties, so that it compares fits with different λ, β and ρ.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : None
            Ignored, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The score. If X does not vary, or so little that the squares underflow, 1 for a
            perfect reconstruction, else 0, as in `sklearn.metrics.r2_score`; minus infinity
            if the squared errors overflow.
        """
        check_is_fitted(self)
        X = self._validate_input(X, reset=False)
        weights = check_weights(sample_weight, X)
        unexplained, total = _combined(self._over_chunks("_variations", X, weights))
        if not np.isfinite(unexplained):
            return -np.inf
        if total == 0:
            return float(unexplained == 0)
        return 1 - unexplained / total

    @property
    def _activations(self):
        return self.activation_, self.output_activation_

    @property
    def components_(self):
        return self.coefs_[0].T

    @property
    def _n_features_out(self):
        return self.coefs_[0].shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _prepare(self, X, y=None, sample_weight=None, reset=True):
        X = self._validate_input(X, reset=reset)
        X, _, weights = self._merge(X, None, exact_weights(sample_weight, X))
        sizes = X.shape[1], int(self.n_components), X.shape[1]
        objective = self._make_objective(
            Network(sizes, self.activation, self.tied_weights),
            X,
            None,
            weights,
            self.loss,
            self.output_activation,
        )
        self._warn_out_of_range(X)
        return objective

    def _warn_out_of_range(self, X):
        low, high = RANGES[self.output_activation]
        slack = np.sqrt(np.finfo(X.dtype).eps)  # scalers miss the ends by rounding
        if np.isfinite(low) and any(
            smallest < low - slack or largest > high + slack for smallest, largest in _ranges(X)
        ):
            warn(
                f"X has values outside [{low}, {high}], which a decoder with "
                f"output_activation={self.output_activation!r} can't reproduce: scale X, "
                "for example with MinMaxScaler, or use output_activation='identity' with "
                "loss='squared_error'.",
                UserWarning,
            )

    def _theta(self, objective):
        if self.tied_weights and not np.array_equal(self.coefs_[1], self.coefs_[0].T):
            raise ValueError(
                "The fitted decoder is not the transposed encoder; to go on from the fitted "
                "weights set tied_weights=False, or fit anew with warm_start=False."
            )
        return super()._theta(objective)

    def _store(self, objective, result):
        super()._store(objective, result)
        self.output_activation_ = objective.output_activation
        X = objective.X
        codes, squares, weights = zip(
            *self._over_chunks("_sums_of_codes", X, objective.sample_weight)
        )
        mean = sum(codes) / sum(weights)
        self.mean_activation_ = mean.astype(X.dtype)
        self.std_activation_ = np.sqrt(
            np.maximum(sum(squares) / sum(weights) - mean**2, 0)
        ).astype(X.dtype)

    def _warn_if_useless(self, objective, result):
        return warn_if_collapsed(self, objective, result)

    def _over_chunks(self, name, X, s):
        """``[method(X, s)]``, or that of each chunk of dask that has rows."""
        if not isinstance(X, ChunkedRows):
            return [getattr(self, name)(X, s)]
        return [part for part in X.each(_OfRows(name, without_callbacks(self)), s) if part]

    def _sums_of_codes(self, X, s):
        """The sums of the codes of rows with weights s, of their squares, and of the weights."""
        sums = {}  # by block, and added in order: the same bits for any number of threads
        s = np.ones(X.shape[0]) if s is None else s.astype(float)

        def add(rows, block, code):
            sums[rows.start] = np.array([s[rows] @ code, s[rows] @ np.square(code)])

        self._over_blocks(add, X, slice(1), self.activation_)
        codes, squares = sum(sums[start] for start in sorted(sums))
        return codes, squares, s.sum()

    def _variations(self, X, s):
        """Of rows with weights s: their sum, mean, and what a reconstruction leaves of what."""
        s = np.ones(X.shape[0]) if s is None else s.astype(float)
        counts = np.flatnonzero(s)
        if 0 < len(counts) < len(s):  # the squares of a row without weight may overflow
            X, s = X[counts] if issparse(X) else LazyRows(X, X.dtype, counts), s[counts]
        with np.errstate(over="ignore", invalid="ignore"):
            unexplained = float(s @ self._squared_errors(X))
            return s.sum(), unexplained, *_mean_and_variation(X, s)

    def _squared_errors(self, X):
        errors = np.empty(X.shape[0], X.dtype)

        def measure(rows, block, output):
            output -= block
            errors[rows] = np.einsum("ij,ij->i", output, output)

        self._over_blocks(measure, X, slice(2), self.output_activation_)
        return no_nan(errors, X)


@dataclass
class _OfRows:
    """A method of an estimator for the rows of a chunk and their weights."""

    name: str
    estimator: object

    def __call__(self, X, s):
        with alone():
            return getattr(self.estimator, self.name)(as_floats(X), s) if len(X) else None


def _ranges(X):
    """The smallest and largest value of X, or of each of its blocks."""
    if isinstance(X, ChunkedRows):
        return [X.range()]
    blocks = [X.data] if issparse(X) else chunks(X)
    return ((block.min(), block.max()) for block in blocks if block.size)


def _mean_and_variation(X, weights):
    """The weighted mean x̄ and Σ s ‖x - x̄‖², which is exactly zero where no column varies."""
    origin = dense(X, slice(1)).astype(float)

    def shifted():
        for rows in row_blocks(X.shape[0], 1024):
            yield weights[rows], dense(X, rows) - origin

    mean = sum(s @ D for s, D in shifted()) / weights.sum()
    total = float(sum(s @ ((D - mean) ** 2).sum(axis=1) for s, D in shifted()))
    return origin[0] + mean, total


def _combined(parts):
    """What is left of the variation of all rows, and that, of parts of them.

    Each part is its weight w, what is left of it, its mean and its variation. The means of the
    parts vary by Σ w ‖m - x̄‖² about the mean of all.
    """
    parts = [part for part in parts if part[0] > 0]
    weights, unexplained, means, totals = zip(*parts)
    with np.errstate(over="ignore", invalid="ignore"):
        D = np.array(means) - means[0]
        D -= np.average(D, axis=0, weights=weights)
        return sum(unexplained), sum(totals) + float(weights @ np.square(D).sum(axis=1))
