"""The weights of a fitted estimator, drawn as pictures or as a heat map."""

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted

from ..diagnostics import find_network
from ..preprocessing import ZCAWhitening
from .images import ImageDisplay, names_of_features


class ComponentsDisplay(ImageDisplay):
    """The weights of each hidden unit, as pictures or as a heat map.

    They show the input that each unit responds to. Among all inputs of length one, the one
    that activates a unit most is proportional to its weights ([1]_). `from_estimator` draws
    the weights of a fitted estimator; the constructor accepts any array of weights.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        Weights, one unit in each row.
    image_shape : tuple (height, width) or (height, width, 3), default=None
        Shape of a picture. Each row holds the pixels of one picture in C order. None draws
        a heat map of units and features.
    feature_names : array-like of shape (n_features,), default=None
        Labels of the heat map; None numbers them.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    im_ : matplotlib AxesImage
        The grid of pictures, in one image, or the heat map.
    colorbar_ : matplotlib Colorbar or None
        The colour bar. None for colour pictures, or with ``colorbar=False``.

    See Also
    --------
    ReconstructionDisplay : The data and their reconstructions.
    ZCAWhitening : Whitening, whose matrix turns weights into weights of pixels.

    References
    ----------
    .. [1] A. Ng, "Sparse autoencoder", section "Visualizing a trained autoencoder", CS294A
           lecture notes, Stanford University, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import ComponentsDisplay, SparseAutoencoder
    >>> X = load_digits().data / 16
    >>> sae = SparseAutoencoder(16, random_state=0).fit(X)
    >>> display = ComponentsDisplay.from_estimator(sae, image_shape=(8, 8))
    """

    def __init__(self, components, *, image_shape=None, feature_names=None):
        self.components = components
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        image_shape=None,
        feature_names=None,
        ax=None,
        shared_scale=False,
        colorbar=True,
        imshow_kw=None,
    ):
        """Draw the weights of a fitted estimator.

        Parameters
        ----------
        estimator : SparseAutoencoder, MLPBackprop or Pipeline
            A fitted estimator. For a network the first layer is drawn. For a
            `~sklearn.pipeline.Pipeline` the first step of one of these classes is drawn.
            Its weights then belong to the features that the step before gives. If that
            step is a `ZCAWhitening`, they are turned into weights of the pixels before
            whitening.
        image_shape : tuple (height, width) or (height, width, 3), default=None
            Shape of a picture; None draws a heat map.
        feature_names : array-like of shape (n_features,), default=None
            Labels of the heat map; None uses the names of the fitted data frame.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        shared_scale : bool, default=False
            As in `plot`.
        colorbar : bool, default=True
            As in `plot`.
        imshow_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        ComponentsDisplay
            The display, drawn.
        """
        before, network = find_network(estimator, "ComponentsDisplay.from_estimator")
        check_is_fitted(network)
        components = network.coefs_[0].T
        if before is not None and isinstance(before[-1], ZCAWhitening):
            components = components @ before[-1].whitening_
        if feature_names is None:
            feature_names = names_of_features(before, network)
        display = cls(components, image_shape=image_shape, feature_names=feature_names)
        return display.plot(ax, shared_scale=shared_scale, colorbar=colorbar, imshow_kw=imshow_kw)

    def plot(self, ax=None, *, shared_scale=False, colorbar=True, imshow_kw=None):
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        shared_scale : bool, default=False
            Whether all pictures have the same scale; weak units are then pale. Otherwise
            each picture is divided by its largest weight, as in the tutorial. A heat map
            always has one scale.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        imshow_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`, for example ``{"cmap": "RdBu_r"}``.

        Returns
        -------
        ComponentsDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            ``image_shape`` or ``feature_names`` do not fit the components.
        """
        W = check_array(self.components, dtype=float, input_name="components")
        shape = self._start(ax, W.shape[1])
        one_scale = shared_scale or shape is None
        W, limit = _scaled(W, one_scale)
        if shape is None:
            style = {"cmap": "RdBu_r"} | (imshow_kw or {})  # white is zero
            self._draw_heat_map(W, "unit", (-limit, limit), style)
        else:
            self._draw_pictures(W[:, None], shape, (-limit, limit), imshow_kw)
        if colorbar and self.im_.get_array().ndim == 2:
            self._add_colorbar("weight" if one_scale else "relative weight")
        return self


def _scaled(W, one_scale):
    """The weights and their limit; without one scale each unit is divided by its largest."""
    largest = np.abs(W).max(axis=None if one_scale else 1, keepdims=True)
    largest[largest == 0] = 1
    return (W, largest.item()) if one_scale else (W * (1 / largest), 1)
