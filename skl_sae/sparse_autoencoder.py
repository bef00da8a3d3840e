"""The sparse autoencoder of the UFLDL tutorial as a scikit-learn estimator."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._advice import warn_if_collapsed, warn_out_of_range
from ._compat import fit_context
from ._dask import Chunks, by_chunks
from ._estimator import BackpropEstimator
from ._parameters import COUNT, NOT_NEGATIVE, SHARED, Parameter, choice, described
from ._rollback import all_or_nothing
from ._tasks import without_callbacks
from ._threads import alone
from ._validation import check_floats, no_nan
from ._weights import check_weights, exact_weights
from .backprop.blocks import LazyRows, as_dense, as_floats, stays_sparse
from .backprop.lean import Decoder, squared_errors
from .backprop.losses import DECODERS
from .backprop.network import Network
from .backprop.start import Columns

PARAMETERS = SHARED | {
    "n_components": Parameter([COUNT], "int", "Number of hidden units: the length of a code."),
    "lam": Parameter(
        [NOT_NEGATIVE],
        "float",
        """\
Weight decay λ ≥ 0. Biases are not decayed. The defaults of ``lam`` and
``n_components`` were chosen on tables of many kinds. The tutorial has 25 units and
λ = 1e-4, which is too strong for data that vary little.""",
    ),
    "activation": SHARED["activation"]._replace(
        text='Hidden activation f. "relu" and "identity" need ``beta=0``.'
    ),
    "output_activation": Parameter(
        *choice(dict.fromkeys(output for _, output in DECODERS)),
        """\
Output activation g. "logistic" suits data in [0, 1], "tanh" data in [-1, 1],
"identity" (the linear decoder) any scaled data.""",
    ),
    "loss": Parameter(
        *choice(dict.fromkeys(loss for loss, _ in DECODERS)),
        """\
Loss L of a row. "log_loss" is the cross-entropy, summed over the features. It needs
``output_activation="logistic"``. Values below 0 count as 0, values above 1 as 1.""",
    ),
    "tied_weights": Parameter(["boolean"], "bool", "Whether W₂ is W₁ transposed."),
}


@described(PARAMETERS)
class SparseAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BackpropEstimator):
    r"""Autoencoder with one hidden layer whose units are rarely active.

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
    {parameters}

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
        The objective J of all rows at the end of the fit, penalties included. It is no
        higher than at the start.
    {fitted}

    See Also
    --------
    MLPBackprop : Supervised networks on the same core.
    SparseAutoencoderDetector : Detects anomalies, with a threshold.
    check_gradient : Check the gradient of the objective on your data.

    Notes
    -----
    Weights start as U(-r, r), r² = 6 / (n_features + n_components + 1), as in [1]_. Biases
    start from the data: the output starts at its best constant, and with ``beta > 0`` each
    unit starts at the mean activation ρ. If the biases started at 0, the sparsity penalty
    would first drive all units to the same code.

    Integer sample weights give the same result as repeated rows. For data in memory of up to
    100,000 rows and 64 MiB, the two fits agree to the last bit, and the order of the rows
    does not matter, because equal rows are merged first. Fits with mini-batches do not merge
    rows.

    References
    ----------
    {references}

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
        max_iter="auto",
        tol=1e-3,
        n_iter_no_change=25,
        history_size=10,
        growing_samples="auto",
        variable_projection="auto",
        learning_rate="auto",
        batch_size="auto",
        momentum=0.9,
        shuffle=True,
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
        self.momentum = momentum
        self.shuffle = shuffle
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
            Training data. float32 stays float32; other numbers become float64. Rows are
            read and converted a few at a time, so a memory-mapped file may be larger than
            the memory. Products with wide sparse rows use their entries only, and with
            ``output_activation="identity"`` these rows are never made dense. The rows of a
            dask array or dataframe stay on its workers; its chunks may be NumPy arrays or
            sparse.
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
            left unchanged.
        """
        objective, _ = self._prepare(X, y, sample_weight)
        self._fit(objective, None, X, X, sample_weight)
        return self

    @available_if(BackpropEstimator._takes_steps)
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Take one epoch of mini-batches, or one step on all of X (solvers "adam" and "sgd").

        All steps have full length. Each call continues the call before: momentum and the
        moments of "adam" are kept, in a pickle too.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows of the data.
        y : None
            Ignored, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        SparseAutoencoder
            The estimator. Its ``mean_activation_`` is the mean over the rows of X.
        """
        self._validate_params()
        reset = not self.__sklearn_is_fitted__()
        self._partial_fit(*self._prepare(X, y, sample_weight, reset=reset))
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
                "The reconstruction of sparse rows is dense: call "
                "inverse_transform(transform(X)), or pass X.toarray()."
            )
        return self._propagate(X, slice(2), self.output_activation_)

    @by_chunks
    def score_samples(self, X):
        """Return minus the squared error of each row's reconstruction, -‖x - x̂‖².

        A low score means a bad reconstruction. The score can be used to find anomalies if
        the features are comparable, as pixels are, and if there are many clean training
        rows. For other tables, or for a threshold, see `SparseAutoencoderDetector`.

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

        The score is 1 - Σ‖x - x̂‖² / Σ‖x - x̄‖². It is at most 1, and higher is better. It
        does not contain the penalties, so it can compare fits with different λ, β and ρ.

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
            The score. If X does not vary, or so little that the squares underflow, it is 1
            for a perfect reconstruction and 0 otherwise, as in `sklearn.metrics.r2_score`.
            It is minus infinity if the squared errors overflow.
        """
        check_is_fitted(self)
        X = self._validate_input(X, reset=False)
        weights = check_weights(sample_weight, X)
        unexplained, total = _combined(self._over_chunks("_variations", X, weights))
        if not np.isfinite(unexplained):
            return -np.inf
        if total < np.finfo(float).tiny:
            return float(unexplained == 0)
        with np.errstate(over="ignore"):
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
            self.lam,
        )
        warn_out_of_range(X, "X", self.output_activation)
        return objective, None

    def _theta(self, objective):
        if self.tied_weights and not np.array_equal(self.coefs_[1], self.coefs_[0].T):
            raise ValueError(
                "The fitted decoder is not the transposed encoder: set tied_weights=False to "
                "start from the fitted weights, or warm_start=False to fit anew."
            )
        return super()._theta(objective)

    def _store(self, objective, result, targets=None):
        super()._store(objective, result, targets)
        self.output_activation_ = objective.output_activation
        X = objective.rows.X
        codes, squares, weights = zip(
            *self._over_chunks("_sums_of_codes", X, objective.rows.sample_weight)
        )
        mean = sum(codes) / sum(weights)
        self.mean_activation_ = mean.astype(X.dtype)
        self.std_activation_ = np.sqrt(
            np.maximum(sum(squares) / sum(weights) - mean**2, 0)
        ).astype(X.dtype)

    def _warn_if_useless(self, objective, result):
        return warn_if_collapsed(self, objective, result)

    def _over_chunks(self, name, X, s):
        """``[method(X, s)]``, or one such result for each dask chunk that has rows."""
        if not isinstance(X, Chunks):
            return [getattr(self, name)(X, s)]
        return [part for part in X.each(_OfRows(name, without_callbacks(self)), s) if part]

    def _sums_of_codes(self, X, s):
        """Sums over rows with weights s: their codes, the squared codes, and the weights."""
        sums = {}  # by block, and added in order: the same bits for any number of threads
        s = np.ones(X.shape[0]) if s is None else s.astype(float)

        def add(rows, block, code):
            sums[rows.start] = np.array([s[rows] @ code, s[rows] @ np.square(code)])

        self._over_blocks(add, X, slice(1), self.activation_)
        codes, squares = sum(sums[start] for start in sorted(sums))
        return codes, squares, s.sum()

    def _variations(self, X, s):
        """For rows with weights s: weight, unexplained variation, mean row, total variation."""
        s = np.ones(X.shape[0]) if s is None else s.astype(float)
        counts = np.flatnonzero(s)
        if 0 < len(counts) < len(s):  # the squares of a row without weight may overflow
            X, s = X[counts] if issparse(X) else LazyRows(X, X.dtype, counts), s[counts]
        with np.errstate(over="ignore", invalid="ignore"):
            unexplained = float(s @ self._squared_errors(X))
            columns = Columns.of(X, s)
            variation = columns.weight * float(columns.variance.sum())
            return s.sum(), unexplained, columns.mean, variation

    def _squared_errors(self, X):
        errors = np.empty(X.shape[0], X.dtype)

        def measure(rows, block, output):
            output -= as_dense(block)
            errors[rows] = np.einsum("ij,ij->i", output, output)

        if stays_sparse(X) and self.output_activation_ == "identity":
            self._over_blocks(self._measure_codes(errors), X, slice(1), self.activation_)
        else:
            self._over_blocks(measure, X, slice(2), self.output_activation_)
        return no_nan(errors, X)

    def _measure_codes(self, errors):
        """Measure squared errors from the codes, for sparse rows and a linear decoder."""
        W, b, code = self.coefs_[1], self.intercepts_[1], self.mean_activation_
        parts = W, b, code, np.zeros(len(b))  # rows are not centred
        decoder = Decoder.of(*(part.astype(float) for part in parts))

        def measure(rows, block, code):
            errors[rows] = squared_errors(block, code, decoder)

        return measure


@dataclass
class _OfRows:
    """A method of an estimator, to apply to the rows of a chunk and their weights."""

    name: str
    estimator: object

    def __call__(self, X, s):
        if X.shape[0] == 0:
            return None
        return alone(partial(getattr(self.estimator, self.name), as_floats(X), s))


def _combined(parts):
    """The unexplained and the total variation of all rows, from the same for parts of them.

    Each part has a weight w, an unexplained variation, a mean m and a variation. The means of
    the parts add Σ w ‖m - x̄‖² to the total, where x̄ is the mean of all rows.
    """
    parts = [part for part in parts if part[0] > 0]
    weights, unexplained, means, totals = zip(*parts)
    with np.errstate(over="ignore", invalid="ignore"):
        D = np.array(means) - means[0]
        D -= np.average(D, axis=0, weights=weights)
        return sum(unexplained), sum(totals) + float(weights @ np.square(D).sum(axis=1))
