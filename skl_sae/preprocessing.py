"""The UFLDL tutorial's preparation of data: ZCA whitening, and normalised patches."""

from numbers import Real

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._compat import Interval, fit_context
from ._dask import by_chunks
from ._rollback import all_or_nothing
from ._validation import check_floats, refuse_nan, validate_rows
from ._versioned import VersionedEstimator
from ._weights import check_weights
from .backprop.blocks import row_blocks

BLOCK_ROWS = 1024

# Sums of squares below this have lost digits.
UNDERFLOW = np.finfo(float).tiny / np.finfo(float).eps


class _DenseTransformer(OneToOneFeatureMixin, TransformerMixin, VersionedEstimator):
    """A transformer of dense float64 or float32 rows that keeps their type and columns."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_input(self, X):
        check_is_fitted(self)
        return validate_rows(self, X, reset=False)


class ZCAWhitening(_DenseTransformer):
    r"""Whitening that stays as close to the data as possible.

    The columns are made uncorrelated, with variances near one, by the symmetric matrix

    .. math::

        x_{\mathrm{zca}} = (x - \bar x)\, U\, \mathrm{diag}(1 / \sqrt{s + \epsilon})\, U^T,

    .. math::

        U\, \mathrm{diag}(s)\, U^T
            = \frac{\sum_i w_i\, (x_i - \bar x)^T (x_i - \bar x)}{\sum_i w_i} .

    Of all whitenings this one changes the data least: a whitened picture is still a
    picture, with its edges enhanced. In natural images most of the variance belongs to
    large smooth areas; an autoencoder on whitened patches sees their edges instead.

    Parameters
    ----------
    epsilon : float, default=0.1
        The ε ≥ 0 that is added to each variance s, in the units of X squared. Directions
        whose variance is well below ε stay small, because much of that variance is noise.
        The tutorial uses 0.1 for patches of colour pixels, and 1e-5 for data in [-1, 1].
        ``epsilon=0`` whitens exactly, and needs a covariance that is not singular.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Mean x̄ of each column.
    eigenvalues_ : ndarray of shape (n_features,)
        Variances s along the principal axes, largest first.
    whitening_ : ndarray of shape (n_features, n_features)
        The symmetric matrix that whitens.
    dewhitening_ : ndarray of shape (n_features, n_features)
        Its inverse, also symmetric.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in `fit`, if all are strings.

    See Also
    --------
    PatchNormalizer : The tutorial's other preparation of patches.
    sklearn.decomposition.PCA : Principal axes, whose ``whiten`` does something else.

    Notes
    -----
    The covariance is divided by the number of rows n, as in [1]_, not by n - 1. The sums
    run over blocks of rows in float64, on centred rows.

    ``PCA(whiten=True)`` of scikit-learn does not rotate back by Uᵀ, so its columns are
    principal components and not pixels. It adds no ε, and it divides by n - 1.

    References
    ----------
    .. [1] A. Ng, J. Ngiam, C. Y. Foo, Y. Mai and C. Suen, "Whitening", UFLDL tutorial,
           Stanford University, 2011.
    .. [2] A. J. Bell and T. J. Sejnowski, "The 'independent components' of natural scenes
           are edge filters", Vision Research 37 (23), 1997.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import ZCAWhitening
    >>> X = load_digits().data / 16
    >>> zca = ZCAWhitening(epsilon=1e-3).fit(X)
    >>> white = zca.transform(X)
    >>> np.allclose(zca.inverse_transform(white), X)
    True
    """

    _parameter_constraints = {"epsilon": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, *, epsilon=0.1):
        self.epsilon = epsilon

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the mean and the whitening matrix.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data. No copy of it is made.
        y : None
            Ignored, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero. Integer weights are the
            same as repeated rows.

        Returns
        -------
        ZCAWhitening
            The fitted transformer.

        Raises
        ------
        ValueError
            Bad data or parameters, data so large that their covariance overflows, or a
            singular covariance with ``epsilon=0``. The transformer is left unchanged.
        """
        X = validate_rows(self, X)
        weights = check_weights(sample_weight, X)
        weights = np.ones(len(X)) if weights is None else weights.astype(float)
        self.mean_, covariance = _mean_and_covariance(X, weights)
        self._store(*np.linalg.eigh(covariance))
        return self

    @by_chunks
    def transform(self, X):
        """Whiten X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The whitened rows; float32 stays float32.
        """
        X = self._check_input(X)
        white = np.empty(X.shape, X.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            whitening = self.whitening_.astype(X.dtype, copy=False)
            for rows in row_blocks(len(X), BLOCK_ROWS):
                centred = (X[rows] - self.mean_).astype(X.dtype, copy=False)
                np.matmul(centred, whitening, out=white[rows])
        return _finite_result(white, X, "set a larger epsilon")

    @by_chunks
    def inverse_transform(self, X):
        """Undo the whitening.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Whitened data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The data before whitening, up to rounding.
        """
        check_is_fitted(self)
        white = check_floats(X)
        if white.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {white.shape[1]} columns, but this ZCAWhitening gives "
                f"{self.n_features_in_}."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            X = white @ self.dewhitening_.astype(white.dtype, copy=False)
            X += self.mean_
        return _finite_result(X, white, "set a smaller epsilon")

    def _store(self, eigenvalues, eigenvectors):
        variances = np.maximum(eigenvalues[::-1], 0)  # below zero by rounding only
        rounding = len(variances) * np.finfo(float).eps * variances[0]
        if self.epsilon == 0 and variances[-1] <= max(rounding, UNDERFLOW):
            raise ValueError(
                "The covariance of X is singular, so epsilon=0 can't whiten it: set "
                "epsilon > 0, or drop constant and linearly dependent columns, or give more "
                "rows than columns. Scale X if its squares underflow."
            )
        with np.errstate(over="ignore"):
            axes, scale = eigenvectors[:, ::-1], np.sqrt(_finite(variances + self.epsilon))
        self.eigenvalues_ = variances
        self.whitening_ = _symmetric(axes, 1 / scale)
        self.dewhitening_ = _symmetric(axes, scale)


class PatchNormalizer(_DenseTransformer):
    r"""Patches without their brightness, cut and mapped to a range.

    Each row is a patch. The mean of the row is subtracted, values beyond ± ``n_std``
    standard deviations σ are cut, and the result is mapped to ``feature_range``:

    .. math::

        d = x - \mathrm{mean}(x), \qquad c = n_{\mathrm{std}}\, \sigma,

    .. math::

        x' = \mathrm{low} + \frac{\mathrm{high} - \mathrm{low}}{2}
             \left(\frac{\min(\max(d, -c), c)}{c} + 1\right),

    where σ is one number, the standard deviation of d over all rows and columns of the
    training data. This is how the UFLDL tutorial prepares patches for a logistic
    decoder, whose output can't reach 0 or 1.

    Parameters
    ----------
    n_std : float or None, default=3
        Number of standard deviations at which values are cut. None cuts nothing. Values
        then have no bounds, so None needs ``feature_range=None``.
    feature_range : tuple (low, high) or None, default=(0.1, 0.9)
        The values that -c and c are mapped to. None maps nothing: values stay around zero,
        in the units of X. If both parameters are None, only the mean of each row is
        subtracted.

    Attributes
    ----------
    std_ : float
        The standard deviation σ. The sum of squares is divided by the number of values; the
        tutorial divides it by one less.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in `fit`, if all are strings.

    See Also
    --------
    ZCAWhitening : Makes pixels uncorrelated; needs no range, but a linear decoder.

    Notes
    -----
    The mean of a row with several colour channels runs over all its entries. So the
    brightness is lost and the colour is kept. A constant row becomes the middle of the
    range. If no row of the training data varies (σ = 0), every row does.

    There is no inverse: the means of the rows are lost.

    References
    ----------
    .. [1] A. Ng, J. Ngiam, C. Y. Foo, Y. Mai and C. Suen, "Exercise: Sparse autoencoder",
           ``sampleIMAGES``, UFLDL tutorial, Stanford University, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import PatchNormalizer
    >>> X = load_digits().data
    >>> patches = PatchNormalizer().fit_transform(X)
    >>> float(patches.min().round(3)), float(patches.max().round(3))
    (0.349, 0.777)
    """

    _parameter_constraints = {
        "n_std": [Interval(Real, 0, None, closed="neither"), None],
        "feature_range": [tuple, list, None],
    }

    def __init__(self, *, n_std=3, feature_range=(0.1, 0.9)):
        self.n_std = n_std
        self.feature_range = feature_range

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the standard deviation.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Patches, one in each row.
        y : None
            Ignored, present by convention.

        Returns
        -------
        PatchNormalizer
            The fitted transformer.

        Raises
        ------
        ValueError
            Bad data or parameters, or data so large or small that their squares overflow
            or underflow. The transformer is left unchanged.
        """
        self._check_range()
        X = validate_rows(self, X)
        self.std_ = _std_within_rows(X)
        # `transform` uses these: parameters changed after a fit count from the next fit on
        self._n_std = self.n_std
        self._feature_range = self.feature_range and tuple(self.feature_range)
        return self

    @by_chunks
    def transform(self, X):
        """Normalise each patch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Patches, one in each row.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The normalised patches; float32 stays float32.
        """
        X = self._check_input(X)
        normalised = np.empty(X.shape, X.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in row_blocks(len(X), BLOCK_ROWS):
                normalised[rows] = self._normalise(X[rows])
        return _finite_result(normalised, X, "choose a narrower feature_range")

    def _normalise(self, X):
        patches = _centre_rows(X)
        if self._n_std is None:
            return patches
        limit = self._limit(X.dtype)
        np.clip(patches, -limit, limit, out=patches)
        if self._feature_range is None:
            return patches
        low, high = map(float, self._feature_range)
        patches /= limit or 1.0  # if no row varied, all values are zero
        patches += 1
        patches *= (high - low) / 2
        patches += low
        return patches

    def _limit(self, dtype):
        """The size at which values are cut. It is zero only if no row varied."""
        smallest = float(np.finfo(dtype).smallest_subnormal) if self.std_ > 0 else 0.0
        return max(float(self._n_std) * self.std_, smallest)

    def _check_range(self):
        if self.feature_range is None:
            return
        if self.n_std is None:
            raise ValueError(
                "n_std=None leaves values without bounds, which can't be mapped to "
                f"feature_range={self.feature_range}: set feature_range=None too, or give n_std."
            )
        rule = Interval(Real, None, None, closed="neither")
        numbers = [v for v in self.feature_range if rule.is_satisfied_by(v)]
        if not len(numbers) == len(self.feature_range) == 2 or numbers[0] >= numbers[1]:
            raise ValueError(
                "feature_range must be two numbers (low, high) with low < high, not "
                f"{self.feature_range}."
            )


def _mean_and_covariance(X, weights):
    """Weighted mean and covariance of the columns, summed over blocks of rows in float64."""

    def weighted(origin):
        for rows in row_blocks(len(X), BLOCK_ROWS):
            yield weights[rows], X[rows] - origin

    def scatter(s, D):
        D *= np.sqrt(s)[:, np.newaxis]
        return D.T @ D

    total, first = weights.sum(), X[0].astype(float)
    with np.errstate(over="ignore", invalid="ignore"):
        # relative to the first row: so the mean of a constant column is exact
        mean = first + sum(s @ D for s, D in weighted(first)) / total
        covariance = sum(scatter(s, D) for s, D in weighted(mean)) / total
    return mean, _finite(covariance, X)


def _symmetric(axes, values):
    """The symmetric matrix with these eigenvectors, in columns, and positive eigenvalues."""
    half = axes * np.sqrt(values)
    return half @ half.T


def _centre_rows(X):
    """X less the mean of each row; a constant row becomes exactly zero."""
    centred = X - X[:, :1]
    centred -= centred.mean(axis=1, keepdims=True)
    return centred


def _std_within_rows(X):
    """Root of the mean square of all entries, each less the mean of its row."""
    total, varies = 0.0, False
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in row_blocks(len(X), BLOCK_ROWS):
            centred = _centre_rows(X[rows])
            total += np.square(centred, dtype=float).sum()
            varies = varies or centred.any()
    if varies and total < UNDERFLOW:
        raise ValueError("X is so small that its squares underflow: scale it.")
    return float(np.sqrt(_finite(total, X) / (X.shape[0] * X.shape[1])))


def _finite(squares, X=None):
    if not np.isfinite(squares).all():
        if X is not None:
            refuse_nan(X)
        raise ValueError("X is so large that its squares overflow: scale it.")
    return squares


def _finite_result(result, X, remedy):
    if not (np.isfinite(result.min()) and np.isfinite(result.max())):
        refuse_nan(X)
        raise ValueError(f"The result overflows in {result.dtype}: scale X, or {remedy}.")
    return result
