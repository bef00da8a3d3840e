"""Rows of the data drawn with their reconstructions."""

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_array

from ..diagnostics import find_network
from ..mlp_backprop import MLPBackprop
from .images import ImageDisplay, names_of_features


class ReconstructionDisplay(ImageDisplay):
    """Rows of the data above their reconstructions.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Originals.
    reconstructions : array-like of shape (n_rows, n_features)
        Their reconstructions.
    image_shape : tuple (height, width) or (height, width, 3), default=None
        Shape of a picture. Each row holds the pixels of one picture in C order. None draws
        a heat map, with each row above its reconstruction.
    feature_names : array-like of shape (n_features,), default=None
        Labels of the heat map; None numbers them.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    im_ : matplotlib AxesImage
        All rows and reconstructions, in one image.
    colorbar_ : matplotlib Colorbar or None
        The colour bar of a heat map.

    See Also
    --------
    SparseAutoencoder.score_samples : The error of each row, as a number.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import ReconstructionDisplay, SparseAutoencoder
    >>> X = load_digits().data / 16
    >>> sae = SparseAutoencoder(16, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(sae, X, image_shape=(8, 8))
    """

    def __init__(self, X, reconstructions, *, image_shape=None, feature_names=None):
        self.X = X
        self.reconstructions = reconstructions
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        n_rows=10,
        image_shape=None,
        feature_names=None,
        ax=None,
        imshow_kw=None,
    ):
        """Reconstruct the first rows of X and draw them.

        Parameters
        ----------
        estimator : SparseAutoencoder or Pipeline
            A fitted estimator. In a `~sklearn.pipeline.Pipeline` the first
            `SparseAutoencoder` reconstructs. Pictures are in the units of X if the steps
            before it have an ``inverse_transform``. Otherwise, and in a heat map, rows are
            drawn as these steps transform them.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        n_rows : int, default=10
            Number of rows to draw, from the first on. To choose others, pass ``X[rows]``.
        image_shape : tuple (height, width) or (height, width, 3), default=None
            Shape of a picture; None draws a heat map.
        feature_names : array-like of shape (n_features,), default=None
            Labels of the heat map; None uses the names of the fitted data frame.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        imshow_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            The estimator has no reconstruction.
        """
        before, sae = find_network(estimator, "ReconstructionDisplay.from_estimator")
        if isinstance(sae, MLPBackprop):
            raise TypeError(
                f"A {type(sae).__name__} reconstructs nothing: ReconstructionDisplay takes a "
                "SparseAutoencoder, or a Pipeline with one."
            )
        if not isinstance(n_rows, Integral) or n_rows < 1:
            raise ValueError(f"n_rows must be a whole number above 0, not {n_rows!r}.")
        if feature_names is None:
            feature_names = names_of_features(before, sae)
        rows = _reconstruct(before, sae, X[:n_rows], back=image_shape is not None)
        display = cls(*rows, image_shape=image_shape, feature_names=feature_names)
        return display.plot(ax, imshow_kw=imshow_kw)

    def plot(self, ax=None, *, imshow_kw=None):
        """Draw the rows. The colours span the range of the originals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        imshow_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        ReconstructionDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            Shapes do not fit together.
        """
        X, Z = (_dense_rows(A) for A in (self.X, self.reconstructions))
        if X.shape != Z.shape:
            raise ValueError(
                f"X has shape {X.shape}, but reconstructions {Z.shape}: give one for each row."
            )
        shape = self._start(ax, X.shape[1])
        if shape is None:
            self._plot_heat_map(X, Z, imshow_kw)
        else:
            limits = X.min(), max(X.max(), np.nextafter(X.min(), np.inf))  # never equal
            self._draw_pictures(np.stack([X, Z], axis=1), shape, limits, imshow_kw)
        self.ax_.set_title("original over reconstruction", fontsize="medium")
        return self

    def _plot_heat_map(self, X, Z, imshow_kw):
        n_rows, n_features = X.shape
        lines = np.stack([X, Z, np.full_like(X, np.nan)], axis=1).reshape(-1, n_features)[:-1]
        # row i is centred at i: three lines, with the gap, are one unit
        extent = -0.5, n_features - 0.5, n_rows - 2 / 3, -1 / 3
        style = {"extent": extent, "interpolation": "nearest"} | (imshow_kw or {})
        self._draw_heat_map(lines, "row", (X.min(), X.max()), style)
        self.ax_.spines[:].set_visible(False)
        self._add_colorbar("value")


def _reconstruct(before, sae, X, back):
    """Rows and their reconstructions, with ``back`` in the units of X where possible."""
    if before is None:
        return X, sae.inverse_transform(sae.transform(X))  # sparse rows too
    inner = before.transform(X)
    reconstructions = sae.inverse_transform(sae.transform(inner))
    if back and hasattr(before, "inverse_transform"):
        return X, before.inverse_transform(reconstructions)
    return inner, reconstructions


def _dense_rows(X):
    return check_array(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
