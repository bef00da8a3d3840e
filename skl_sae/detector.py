"""The anomaly detector: an ensemble of small autoencoders, with IsolationForest's interface."""

from dataclasses import dataclass
from functools import partial
from itertools import cycle
from math import ceil
from numbers import Integral, Real

import numpy as np
from scipy.special import expit
from sklearn.base import OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted

from ._compat import Interval, RealNotInt, StrOptions, fit_context
from ._dask import by_chunks
from ._equal_rows import MOST_BYTES, MOST_ROWS, row_keys
from ._parameters import COUNT, NOT_NEGATIVE, SHARED, Parameter, described
from ._robust import Gaussian, Polygons, center_and_scale, quantiles
from ._rollback import all_or_nothing
from ._threads import alone, on_one_blas_thread
from ._training import minimised
from ._validation import refuse_nan, validate_rows
from ._versioned import VersionedEstimator
from ._warn import warn
from ._weights import exact_weights
from .backprop.blocks import dense, row_blocks
from .sparse_autoencoder import SparseAutoencoder

# Rounding: the score of a row changes by less than this with the rows scored beside it.
ROUNDING = 1e-10

# Rows that are scored at a time, for any number of threads.
BLOCK_ROWS = 1024

# n_components="auto": units per feature, which the members have in turn, and their limits.
UNITS_PER_FEATURE = 1 / 4, 1 / 2, 1
FEWEST_UNITS, MOST_UNITS = 2, 64

# max_samples="auto": half of the rows, and at most this many.
AUTO_SAMPLES = 256

# The weight of the single values beside code and residual; found by experiment.
WEIGHT_OF_VALUES = 8

# Scaled values are cut at this size, because the quotient may overflow.
LARGEST = 1e300

PARAMETERS = {
    "n_estimators": Parameter([COUNT], "int", "Number of members, each an autoencoder."),
    "max_samples": Parameter(
        [StrOptions({"auto"}), COUNT, Interval(RealNotInt, 0, 1, closed="right")],
        '"auto", int or float',
        """\
Number of rows that each member is fitted to; a float means a share of the rows. They
are drawn without replacement from the different rows. "auto" draws half of them, at
most 256. Choose fewer than all rows: the threshold needs rows that some members have
not seen.""",
    ),
    "n_components": Parameter(
        [StrOptions({"auto"}), COUNT],
        '"auto" or int',
        """\
Number of hidden units of each member. With "auto" the members have, in turn, a quarter,
a half and all of the number of features, at least 2 and at most 64.""",
    ),
    "lam": Parameter([NOT_NEGATIVE], "float", "Weight decay λ ≥ 0."),
    "beta": SHARED["beta"],
    "rho": SHARED["rho"],
    "max_iter": SHARED["max_iter"]._replace(
        text="Number of iterations of L-BFGS for each member. Few are enough, because the\n"
        "score needs no minimum."
    ),
    "contamination": Parameter(
        [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        '"auto" or float',
        """\
Share of the training rows that `predict` marks as anomalies. If the training rows are
clean, it is the share of false alarms among new rows. "auto" sets the threshold one
interquartile range below the lower quartile of the training scores.""",
    ),
    "n_jobs": Parameter(
        [None, Integral],
        "int",
        """\
Number of joblib jobs: processes to fit members, threads to score rows. None means one,
unless a joblib context sets another number. The results are the same to the last bit
for any number.""",
    ),
    "random_state": SHARED["random_state"]._replace(
        text="Random numbers for the rows and the initial weights of the members. An int\n"
        "makes the fit reproducible."
    ),
}


@described(PARAMETERS)
class SparseAutoencoderDetector(OutlierMixin, VersionedEstimator):
    r"""Anomaly detector: an ensemble of small sparse autoencoders.

    The columns are scaled to z, and extreme values are drawn in: 2 arsinh(z/2) is nearly z
    for usual values and grows like a logarithm for large ones. Each member is a
    `SparseAutoencoder` with a linear decoder, fitted to a few of these rows. It measures how
    unusual a row x is in three ways:

    - q₁, the distance of its code a(x), and q₂, the distance of its residual x - x̂, which the
      code does not explain. Both are squared Mahalanobis distances from the member's own rows,
      divided by the number of columns.
    - q₃, the rarity of its single values: the mean of -log(pⱼ(xⱼ) / max pⱼ) over the features,
      times 8. The density pⱼ of the member's own rows is linear between 11 knots, from the 1st
      to the 99th percentile. Each row counts at the two knots beside it, and half a row is
      added at every knot ([4]_, [5]_). Values far outside have the density of half a row.

    The score is the mean over the M members:

    .. math::

        -\frac1M \sum_m \log(1 + q_{m1}(x) + q_{m2}(x) + q_{m3}(x)) .

    A member does not score rows that it was fitted to. So the scores of training rows have
    the same distribution as the scores of new rows, and their quantiles are valid thresholds.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    estimators_ : list of SparseAutoencoder
        The fitted members. Their input is ``2 * arcsinh(Z / 2)``, where
        ``Z = (X - center_) / scale_``.
    estimators_samples_ : list of ndarray of shape (max_samples_,)
        Indices of the training rows that each member was fitted to.
    max_samples_ : int
        Number of rows that each member was fitted to.
    offset_ : float
        The threshold: ``decision_function(X) = score_samples(X) - offset_``.
    center_, scale_ : ndarray of shape (n_features_in_,)
        Mean and standard deviation of each column, after its values are cut to the range
        from the 1st to the 99th percentile.
    n_iter_ : int
        The largest number of iterations of a member.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in `fit`, if all are strings.

    See Also
    --------
    SparseAutoencoder.score_samples : The reconstruction error of one autoencoder.
    FeatureScoresDisplay : Pictures of `feature_scores`.
    sklearn.ensemble.IsolationForest : Detects anomalies by random trees.

    Notes
    -----
    The mean and the covariance of codes and residuals are computed from the nearest four
    fifths of the rows, so anomalies in the training data count less ([3]_). The covariance is
    shrunk by 1 % towards a multiple of the identity, so there may be more columns than rows.
    For small samples and members of several sizes see [1]_ and [2]_.

    A column in another unit gives the same result. Up to 100,000 rows and 64 MiB, equal rows
    are merged into one row with the sum of their weights. Then integer weights are the same
    as repeated rows, and the order of the rows does not matter.

    References
    ----------
    .. [1] J. Chen, S. Sathe, C. Aggarwal and D. Turaga, "Outlier detection with
           autoencoder ensembles", SDM 2017.
    .. [2] F. T. Liu, K. M. Ting and Z.-H. Zhou, "Isolation forest",
           ICDM 2008.
    .. [3] P. J. Rousseeuw and K. Van Driessen, "A fast algorithm for the minimum
           covariance determinant estimator", Technometrics 41 (3), 1999.
    .. [4] M. Goldstein and A. Dengel, "Histogram-based outlier score (HBOS)",
           KI 2012.
    .. [5] D. W. Scott, "Frequency polygons: theory and application", Journal of the American
           Statistical Association 80 (390), 1985.

    Examples
    --------
    >>> import numpy as np
    >>> from skl_sae import SparseAutoencoderDetector
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) @ [[1, 1], [0, 0.1]]
    >>> detector = SparseAutoencoderDetector(random_state=0).fit(X)
    >>> detector.predict([[1, 1], [1, -1]])  # the second breaks the rule x1 = x2
    array([ 1, -1])
    """

    def __init__(
        self,
        *,
        n_estimators=10,
        max_samples="auto",
        n_components="auto",
        lam=0.01,
        beta=0.3,
        rho=0.1,
        max_iter=5,
        contamination="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.n_components = n_components
        self.lam = lam
        self.beta = beta
        self.rho = rho
        self.max_iter = max_iter
        self.contamination = contamination
        self.n_jobs = n_jobs
        self.random_state = random_state

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the members and set the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, clean or with some anomalies.
        y : None
            Ignored, present by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero.

        Returns
        -------
        SparseAutoencoderDetector
            The fitted detector.
        """
        X = validate_rows(self, X, accept_sparse="csr", ensure_min_samples=2)
        refuse_nan(X)
        index, weights = _different_rows(X, exact_weights(sample_weight, X))
        n_bytes = 8 * len(index) * X.shape[1]
        spread = slice(None, None, ceil(n_bytes / MOST_BYTES))  # some of many rows are enough
        self.center_, self.scale_ = center_and_scale(_rows(X, index[spread]), weights[spread])
        self.max_samples_ = self._n_samples(len(index))
        self._fit_members(X, index, weights)
        self.offset_ = self._threshold(self._mean(_Member.score, X, index), weights)
        return self

    @by_chunks
    def score_samples(self, X):
        """Return the score of each row; anomalies have low scores.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. Training rows are scored by the members that were not fitted to them, or by
            all members if there are none.

        Returns
        -------
        ndarray of shape (n_samples,)
            The scores, at most 0.
        """
        return self._mean(_Member.score, self._check_input(X))

    @by_chunks
    def decision_function(self, X):
        """Return the score of each row minus the threshold ``offset_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,)
            Negative for anomalies.
        """
        return self.score_samples(X) - self.offset_

    @by_chunks
    def predict(self, X):
        """Tell anomalies from other rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of int of shape (n_samples,)
            -1 for anomalies, 1 for all other rows.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    @by_chunks
    def feature_scores(self, X):
        r"""Return what each feature contributes to the score of each row.

        Each of the three measures is a sum over the features. The features share
        -log(1 + q₁ + q₂ + q₃) in proportion to their terms. A squared distance Σⱼ dⱼ (P d)ⱼ has
        the terms dⱼ (P d)ⱼ.

        For a residual, d = x - x̂ - μ, each term belongs to a feature. For the rarity, the term
        of feature j is -8 log(pⱼ(xⱼ) / max pⱼ) / n_features.

        For a code, d = (a(x) - a(x₀)) + (a(x₀) - μ), where x₀ is the centre of the data. The
        first difference is s · (x - x₀) W, where s holds the slopes of the chords of the
        activation (the rescale rule of [1]_). So the term of feature j is
        (x - x₀)ⱼ (W s P d)ⱼ. The rest of the distance, (a(x₀) - μ) P d, comes from no feature,
        and all features share it equally.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The contributions. Their sum over the features is the score. Large negative
            contributions make a row an anomaly; positive ones make it more usual.

        References
        ----------
        .. [1] A. Shrikumar, P. Greenside and A. Kundaje, "Learning important features through
               propagating activation differences", ICML 2017.

        Examples
        --------
        >>> import numpy as np
        >>> from skl_sae import SparseAutoencoderDetector
        >>> X = np.random.default_rng(0).normal(size=(200, 3))
        >>> detector = SparseAutoencoderDetector(random_state=0).fit(X)
        >>> detector.feature_scores([[0, 9, 0]]).argmin()
        np.int64(1)
        """
        return self._mean(_Member.feature_scores, self._check_input(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_input(self, X):
        check_is_fitted(self)
        X = validate_rows(self, X, accept_sparse="csr", reset=False)
        refuse_nan(X)
        return X

    def _n_samples(self, n_rows):
        """The number of rows that each member is fitted to, out of ``n_rows``."""
        asked = self.max_samples
        if asked == "auto":
            return min(AUTO_SAMPLES, ceil(n_rows / 2))
        if not isinstance(asked, Integral):
            return max(1, int(asked * n_rows))
        if asked > n_rows:
            warn(
                f"max_samples={asked} is more than the {n_rows} different rows: each member is "
                "fitted to all of them, and none is left for the threshold.",
                UserWarning,
            )
        return min(int(asked), n_rows)

    def _fit_members(self, X, index, weights):
        rng = check_random_state(self.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_estimators)
        drawn = [
            np.sort(sample_without_replacement(len(index), self.max_samples_, random_state=seed))
            for seed in seeds
        ]
        tasks = (
            delayed(_fitted)(sae, *self._scaled(X, index[rows]), weights[rows])
            for sae, rows in zip(self._autoencoders(X.shape[1], seeds), drawn)
        )
        self._members = Parallel(n_jobs=self.n_jobs)(tasks)
        self.estimators_ = [member.autoencoder for member in self._members]
        self.n_iter_ = max(sae.n_iter_ for sae in self.estimators_)
        self.estimators_samples_ = [index[rows] for rows in drawn]

    def _autoencoders(self, n_features, seeds):
        """The members, not fitted yet."""
        sizes = [round(share * n_features) for share in UNITS_PER_FEATURE]
        sizes = np.clip(sizes, FEWEST_UNITS, MOST_UNITS).tolist()
        if self.n_components != "auto":
            sizes = [self.n_components]
        for size, seed in zip(cycle(sizes), seeds):
            yield SparseAutoencoder(
                size,
                lam=self.lam,
                beta=self.beta,
                rho=self.rho,
                output_activation="identity",
                max_iter=self.max_iter,
                random_state=int(seed),
            )

    def _threshold(self, scores, weights):
        lower, upper = quantiles(scores, weights, 0.25, 0.75)
        threshold = lower - (upper - lower)
        if self.contamination != "auto":
            (threshold,) = quantiles(scores, weights, self.contamination)
        return float(threshold - ROUNDING * (1 + abs(threshold)))

    def _scaled(self, X, rows):
        """Some rows, scaled, and their keys."""
        block = _rows(X, rows)
        with np.errstate(over="ignore"):
            Z = block / self.scale_ - self.center_ / self.scale_
        return 2 * np.arcsinh(np.clip(Z, -LARGEST, LARGEST) / 2), row_keys(block)

    def _mean(self, method, X, index=None):
        """The mean of ``method(member, rows)`` over the members that have not seen the row."""

        def of_block(rows):
            Z, keys = self._scaled(X, rows if index is None else index[rows])
            counts = np.array([~member.has_seen(keys) for member in self._members])
            counts |= ~counts.any(axis=0)  # a row that all have seen
            shares = counts / counts.sum(axis=0)
            parts = (method(member, Z) for member in self._members)
            return sum((share * part.T).T for share, part in zip(shares, parts))

        n_rows = X.shape[0] if index is None else len(index)
        blocks = row_blocks(n_rows, BLOCK_ROWS)
        jobs = Parallel(n_jobs=self.n_jobs, require="sharedmem")
        run = partial(jobs, [delayed(alone)(partial(of_block, rows)) for rows in blocks])
        return np.concatenate(on_one_blas_thread(lambda n_threads: run()))


@dataclass(frozen=True)
class _Member:
    """An autoencoder, the distributions of its codes, residuals and rows, and the rows' keys.

    Attributes
    ----------
    autoencoder : SparseAutoencoder
        Fitted to scaled rows.
    code, residual : Gaussian
        The distributions of codes and of residuals.
    values : Polygons
        The density of each scaled feature.
    keys : ndarray of uint64 of shape (n_rows,)
        Keys of the rows it was fitted to, sorted.
    """

    autoencoder: SparseAutoencoder
    code: Gaussian
    residual: Gaussian
    values: Polygons
    keys: np.ndarray

    def has_seen(self, keys):
        """Whether it was fitted to the rows with these keys."""
        place = np.searchsorted(self.keys, keys)
        return self.keys[np.minimum(place, len(self.keys) - 1)] == keys

    def score(self, Z):
        """The score of each row."""
        code, residual = _code_and_residual(self.autoencoder, Z)
        rarity = WEIGHT_OF_VALUES * self.values.rarity(Z).mean(axis=1)
        return -np.log1p(self.code.distance(code) + self.residual.distance(residual) + rarity)

    def feature_scores(self, Z):
        """The parts of the score: see `SparseAutoencoderDetector.feature_scores`."""
        code, residual = _code_and_residual(self.autoencoder, Z)
        terms = self._of_code(Z, code) + np.multiply(*self.residual.pull(residual))
        terms += WEIGHT_OF_VALUES / Z.shape[1] * self.values.rarity(Z)
        q = np.maximum(terms.sum(axis=1, keepdims=True), 0)
        return -terms * np.divide(np.log1p(q), q, out=np.ones_like(q), where=q > 0)

    def _of_code(self, Z, code):
        """The parts of the code's distance; in scaled units the centre x₀ is zero."""
        (W, _), (b, _) = self.autoencoder.coefs_, self.autoencoder.intercepts_
        away, pull = self.code.pull(code)
        center = expit(b)
        rise = Z @ W
        steep = np.abs(rise) > 1e-6
        slopes = np.where(steep, (code - center) / np.where(steep, rise, 1), center * (1 - center))
        parts = Z * (slopes * pull @ W.T)
        rest = np.einsum("ij,ij->i", away, pull) - parts.sum(axis=1)
        return parts + rest[:, np.newaxis] / Z.shape[1]


def _code_and_residual(sae, Z):
    """Code and residual for logistic units and a linear decoder, without checks of Z."""
    (W, V), (b, c) = sae.coefs_, sae.intercepts_
    code = expit(Z @ W + b)
    return code, Z - (code @ V + c)


def _fitted(sae, Z, keys, weights):
    """Fit a member, without warnings on convergence."""

    def train(n_threads):
        objective, _ = sae._prepare(Z, None, weights)
        rng = check_random_state(sae.random_state)
        options = sae._options(objective)
        sae._store(objective, minimised(objective, objective.start(rng), rng, options))
        code, residual = (Gaussian.fit(part, weights) for part in _code_and_residual(sae, Z))
        return _Member(sae, code, residual, Polygons.fit(Z, weights), np.sort(keys))

    return alone(partial(on_one_blas_thread, train))


def _rows(X, at):
    """Some rows, dense and in double precision."""
    return dense(X, at).astype(float)


def _different_rows(X, s):
    """The index of each different row that has a weight, and its weight.

    The weights of equal rows are added up. The rows are ordered by their values, an order that
    does not depend on units. If there are too many rows, all are kept in their own order.
    """
    n_rows, n_features = X.shape
    index = np.arange(n_rows) if s is None else np.flatnonzero(s)
    weights = np.ones(len(index)) if s is None else s[index]
    if n_rows > MOST_ROWS or 8 * n_rows * n_features > MOST_BYTES:
        return index, weights
    rows = _rows(X, index)
    order = np.lexsort(rows.T[::-1])
    rows = rows[order]
    first = np.flatnonzero(np.append(True, (rows[1:] != rows[:-1]).any(axis=1)))
    return index[order[first]], np.add.reduceat(weights[order], first)
