"""The features that make a row an anomaly."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_array

from ..detector import SparseAutoencoderDetector
from ..diagnostics import find_step
from .images import ImageDisplay, names_of_features
from .shared import BLUE, ORANGE


class FeatureScoresDisplay(ImageDisplay):
    """The contribution of each feature to the score of a row: bars, or a heat map of rows.

    Parameters
    ----------
    feature_scores : array-like of shape (n_rows, n_features)
        The result of `SparseAutoencoderDetector.feature_scores`. Negative contributions make
        a row an anomaly.
    feature_names : array-like of shape (n_features,), default=None
        Names of the features; None numbers them.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    bars_ : matplotlib BarContainer or None
        The bars of a single row.
    im_ : matplotlib AxesImage or None
        The heat map of several rows.
    colorbar_ : matplotlib Colorbar or None
        The colour bar of the heat map.

    See Also
    --------
    SparseAutoencoderDetector.feature_scores : The numbers, with their definition.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skl_sae import FeatureScoresDisplay, SparseAutoencoderDetector
    >>> X = load_wine(as_frame=True).data
    >>> detector = SparseAutoencoderDetector(random_state=0).fit(X)
    >>> oddest = detector.score_samples(X).argmin()
    >>> display = FeatureScoresDisplay.from_estimator(detector, X.iloc[[oddest]])
    """

    def __init__(self, feature_scores, *, feature_names=None):
        self.feature_scores = feature_scores
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls, estimator, X, *, feature_names=None, n_bars=15, ax=None, bar_kw=None, imshow_kw=None
    ):
        """Compute the contributions for rows of X and draw them.

        Parameters
        ----------
        estimator : SparseAutoencoderDetector or Pipeline
            A fitted estimator. A `~sklearn.pipeline.Pipeline` ends with the detector, whose
            features are the output of the steps before it.
        X : {array-like, sparse matrix} of shape (n_rows, n_features)
            The rows.
        feature_names : array-like of shape (n_features,), default=None
            Names of the features; None uses the names of the fitted data frame.
        n_bars : int, default=15
            As in `plot`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        bar_kw : dict, default=None
            As in `plot`.
        imshow_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        FeatureScoresDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            The estimator is not a detector.
        """
        takes = "FeatureScoresDisplay.from_estimator takes a fitted SparseAutoencoderDetector"
        before, detector = find_step(estimator, SparseAutoencoderDetector, takes)
        scores = detector.feature_scores(X if before is None else before.transform(X))
        if feature_names is None:
            feature_names = names_of_features(before, detector)
        display = cls(scores, feature_names=feature_names)
        return display.plot(ax, n_bars=n_bars, bar_kw=bar_kw, imshow_kw=imshow_kw)

    def plot(self, ax=None, *, n_bars=15, bar_kw=None, imshow_kw=None):
        """Draw the contributions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        n_bars : int, default=15
            For a single row, the number of features with a bar: those with the largest
            contributions, whatever their sign. One more bar shows the sum of the others.
        bar_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.barh`.
        imshow_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        FeatureScoresDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            The number of names is not the number of features, or ``n_bars`` is not a positive
            whole number.
        """
        if not isinstance(n_bars, Integral) or n_bars < 1:
            raise ValueError(f"n_bars must be a whole number above 0, not {n_bars!r}.")
        scores = check_array(self.feature_scores, dtype=float)
        self.image_shape = self.bars_ = self.im_ = None
        self._start(ax, scores.shape[1])
        if len(scores) == 1:
            self._plot_bars(scores[0], n_bars, bar_kw or {})
        else:
            self._plot_heat_map(scores, imshow_kw or {})
        return self

    def _plot_bars(self, scores, n_bars, bar_kw):
        shown, names = _largest(scores, self._names(len(scores)), n_bars)
        colours = np.where(shown < 0, ORANGE, BLUE)
        self.bars_ = self.ax_.barh(names, shown, **{"color": colours} | bar_kw)
        self.ax_.invert_yaxis()
        self.ax_.axvline(0, color="black", linewidth=0.8)
        self.ax_.set_xlabel("contribution to the score")
        self.ax_.set_title(f"score {scores.sum():.3g}", fontsize="medium")

    def _plot_heat_map(self, scores, imshow_kw):
        most = max(np.abs(scores).max(), np.finfo(float).tiny)
        style = {"cmap": "PuOr", "interpolation": "nearest"} | imshow_kw
        self._draw_heat_map(scores, "row", (-most, most), style)
        self._add_colorbar("contribution to the score")

    def _names(self, n_features):
        if self.feature_names is None:
            return [f"feature {number}" for number in range(n_features)]
        return [str(name) for name in self.feature_names]


def _largest(scores, names, n):
    """The n largest contributions in size, from the lowest up, and the sum of the rest."""
    order = np.argsort(-np.abs(scores), kind="stable")
    shown, rest = order[:n], order[n:]
    shown = shown[np.argsort(scores[shown], kind="stable")]
    values, names = scores[shown], [names[i] for i in shown]
    if len(rest) == 0:
        return values, names
    return np.append(values, scores[rest].sum()), [*names, f"{len(rest)} others"]
