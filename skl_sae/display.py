"""Pictures of fitted estimators, in the form of scikit-learn's displays."""

from fractions import Fraction
from math import ceil, prod, sqrt
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted

from .diagnostics import default_threshold, describe_units, find_network
from .mlp_backprop import MLPBackprop
from .preprocessing import ZCAWhitening

# Colours that the colour-blind tell apart (M. Okabe and K. Ito, "Color universal design", 2008).
BLUE, ORANGE, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#D55E00", "#AA4499", "#777777"
SIGNED = "RdBu_r"

# The stage on all rows in which the output layer is solved exactly.
SOLVED = "all rows, output solved"

# Labels of features: letters in a name, letters' size and distance of lines in points.
LONGEST_NAME, SMALLEST_LETTERS, LINE_HEIGHT = 20, 6, 1.2

# How the units of each kind are drawn; the first kind that holds counts.
KINDS = {
    "saturated": {"color": ORANGE, "marker": "^"},
    "collapsed": {"color": PURPLE, "marker": "s"},
    "dead": {"color": RED, "marker": "x"},
    "varying": {"color": BLUE, "marker": "o"},
}


class ComponentsDisplay:
    """What each unit looks for: its weights, as pictures or as a heat map.

    Of all inputs of length one, the one that activates a unit most is proportional to its
    weights ([1]_). `from_estimator` takes the weights of a fitted estimator; the
    constructor takes any array of them.

    Parameters
    ----------
    components : array-like of shape (n_components, n_features)
        Weights, one unit in each row.
    image_shape : tuple (height, width) or (height, width, 3), default=None
        Shape of a picture, of which each row is the pixels in C order. None draws a heat
        map of units and features.
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
        The colour bar; None for colour pictures, or if it was not wanted.

    See Also
    --------
    ReconstructionDisplay : What the decoder makes of the data.
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
            Fitted. Of a network the first layer is shown, of a
            `~sklearn.pipeline.Pipeline` the first step that is one of these: its weights
            for the features as the step before leaves them, or, if that step is a
            `ZCAWhitening`, for the pixels that are whitened.
        image_shape : tuple (height, width) or (height, width, 3), default=None
            Shape of a picture; None draws a heat map.
        feature_names : array-like of shape (n_features,), default=None
            Labels of the heat map; None takes those of the data frame that was fitted.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
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
            feature_names = _feature_names(before, network)
        display = cls(components, image_shape=image_shape, feature_names=feature_names)
        return display.plot(ax, shared_scale=shared_scale, colorbar=colorbar, imshow_kw=imshow_kw)

    def plot(self, ax=None, *, shared_scale=False, colorbar=True, imshow_kw=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        shared_scale : bool, default=False
            Whether all pictures have the same scale, so that weak units are pale.
            Otherwise each is divided by its largest weight, as in the tutorial. A heat
            map always has one scale.
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
            There is no matplotlib.
        ValueError
            ``image_shape`` or ``feature_names`` do not fit the components.
        """
        W = check_array(self.components, dtype=float, input_name="components")
        names = _checked_names(self.feature_names, W.shape[1])
        shape = _checked_shape(self.image_shape, W.shape[1])
        self.ax_, self.figure_ = _one_axes(ax)
        self.colorbar_ = None
        if shape is None:
            label = self._plot_heat_map(W, names, imshow_kw)
        else:
            label = self._plot_pictures(W, shape, shared_scale, imshow_kw)
        if colorbar and self.im_.get_array().ndim == 2:
            self.colorbar_ = _colorbar(self.im_, label)
        return self

    def _plot_pictures(self, W, shape, shared_scale, imshow_kw):
        largest = np.abs(W).max(axis=None if shared_scale else 1, keepdims=True)
        largest[largest == 0] = 1
        limit = float(largest[0, 0]) if shared_scale and len(shape) == 2 else 1
        pictures = (W * (limit / largest)).reshape(-1, *shape)
        if len(shape) == 3:
            pictures = 0.5 + 0.5 * pictures  # grey is zero
        style = {"cmap": "gray", "vmin": -limit, "vmax": limit} | (imshow_kw or {})
        self.im_ = self.ax_.imshow(_mosaic(pictures, ceil(sqrt(len(W)))), **style)
        self.ax_.set_axis_off()
        return "weight" if shared_scale else "relative weight"

    def _plot_heat_map(self, W, names, imshow_kw):
        limit = np.abs(W).max() or 1.0
        style = {"cmap": SIGNED, "vmin": -limit, "vmax": limit, "aspect": "auto"}
        self.im_ = self.ax_.imshow(W, **style | (imshow_kw or {}))
        _name_features(self.ax_, names, W.shape[1])
        _integers(self.ax_.yaxis)
        self.ax_.set_ylabel("unit")
        return "weight"


class LossCurveDisplay:
    """How the objective fell during a fit, stage by stage.

    On growing samples the first stages minimise J of a sample of the rows, which is not
    comparable with J of all rows: each stage is a line of its own, and the legend says of
    what.

    Parameters
    ----------
    loss_curve : array-like of shape (n_iter,)
        J after each iteration.
    stage_lengths : array-like of shape (n_stages,), default=None
        Iterations of each stage; None means one stage.
    stage_shares : array-like of shape (n_stages,), default=None
        Share of the rows that each stage ran on; None means all rows.
    validation_scores : array-like of shape (n_iter,), default=None
        Score on held-out rows after each iteration.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where J was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    lines_ : list of matplotlib Line2D
        J in each stage.
    validation_ax_ : matplotlib Axes or None
        The axes of the validation score, on the right.
    validation_line_ : matplotlib Line2D or None
        The validation score.
    best_ : matplotlib Line2D or None
        A mark at the best validation score, that of the weights that were kept.

    See Also
    --------
    SparseAutoencoder : Its attributes ``loss_curve_``, ``stage_lengths_``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import LossCurveDisplay, SparseAutoencoder
    >>> X = load_digits().data / 16
    >>> sae = SparseAutoencoder(16, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(sae)
    """

    def __init__(
        self, loss_curve, *, stage_lengths=None, stage_shares=None, validation_scores=None
    ):
        self.loss_curve = loss_curve
        self.stage_lengths = stage_lengths
        self.stage_shares = stage_shares
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, line_kw=None, validation_line_kw=None):
        """Draw the curve of a fitted estimator.

        Parameters
        ----------
        estimator : SparseAutoencoder, MLPBackprop or Pipeline
            Fitted. Of a `~sklearn.pipeline.Pipeline` the first step that is one of these.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            As in `plot`.
        validation_line_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        LossCurveDisplay
            The display, drawn.
        """
        _, network = find_network(estimator, "LossCurveDisplay.from_estimator")
        check_is_fitted(network)
        display = cls(
            network.loss_curve_,
            stage_lengths=network.stage_lengths_,
            stage_shares=network.stage_shares_,
            validation_scores=getattr(network, "validation_scores_", None),
        )
        return display.plot(ax, line_kw=line_kw, validation_line_kw=validation_line_kw)

    def plot(self, ax=None, *, line_kw=None, validation_line_kw=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for each stage.
        validation_line_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for the validation score.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            There is no matplotlib.
        ValueError
            The lengths do not fit together.
        """
        curve = np.asarray(self.loss_curve, dtype=float)
        lengths, shares = self._stages(curve)
        scores = self.validation_scores
        if scores is not None and len(scores) != len(curve):
            raise ValueError(
                f"validation_scores has {len(scores)} values, but loss_curve {len(curve)}: "
                "give one for each iteration."
            )
        self.ax_, self.figure_ = _one_axes(ax)
        self._plot_stages(curve, lengths, shares, line_kw)
        self.ax_.set(xlabel="iteration", ylabel="objective J")
        if len(curve) and curve.min() > 0 and curve.max() > 5 * curve.min():
            self.ax_.set_yscale("log")
        _integers(self.ax_.xaxis)
        self.validation_ax_ = self.validation_line_ = self.best_ = None
        if scores is not None and len(scores):
            self._plot_validation(np.asarray(scores, dtype=float), validation_line_kw)
        named = [] if shares == [1] else self.lines_
        _legend_above(self.ax_, [*named, *filter(None, [self.best_])])
        return self

    def _stages(self, curve):
        lengths = [len(curve)] if self.stage_lengths is None else list(self.stage_lengths)
        shares = [1] * len(lengths) if self.stage_shares is None else list(self.stage_shares)
        if sum(lengths) != len(curve) or len(shares) != len(lengths):
            raise ValueError(
                f"stage_lengths {lengths} and stage_shares {shares} must have one entry for each "
                f"stage, and the lengths must add up to the {len(curve)} values of loss_curve."
            )
        return lengths, shares

    def _plot_stages(self, curve, lengths, shares, line_kw):
        self.lines_ = []
        labels = _stage_labels(shares)
        ends = np.cumsum(lengths)
        for end, length, share, label in zip(ends, lengths, shares, labels):
            if length == 0:
                continue
            iterations = np.arange(end - length, end) + 1
            style = {"color": _shade(share), "label": label}
            style["linestyle"] = "--" if label == SOLVED else "-"
            style["marker"] = "." if length == 1 else ""  # a line needs two points
            style |= _artist_kw(line_kw)
            self.lines_ += self.ax_.plot(iterations, curve[end - length : end], **style)
        for end in ends[:-1]:
            self.ax_.axvline(end + 0.5, color=GREY, linewidth=0.5, zorder=0)

    def _plot_validation(self, scores, validation_line_kw):
        self.validation_ax_ = self.ax_.twinx()
        iterations = np.arange(len(scores)) + 1
        style = {"color": RED, "linestyle": "--"} | _artist_kw(validation_line_kw)
        (self.validation_line_,) = self.validation_ax_.plot(iterations, scores, **style)
        best = scores.argmax()
        (self.best_,) = self.validation_ax_.plot(
            iterations[best],
            scores[best],
            linestyle="",
            marker="o",
            color=self.validation_line_.get_color(),
            label=f"best in iteration {iterations[best]}",
        )
        self.validation_ax_.set_ylabel("validation score", color=self.best_.get_color())


class ReconstructionDisplay:
    """Rows of the data over what the decoder makes of them.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Originals.
    reconstructions : array-like of shape (n_rows, n_features)
        Their reconstructions.
    image_shape : tuple (height, width) or (height, width, 3), default=None
        Shape of a picture, of which each row is the pixels in C order. None draws a heat
        map, each row over its reconstruction.
    feature_names : array-like of shape (n_features,), default=None
        Labels of the heat map; None numbers them.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    im_ : matplotlib AxesImage
        All of them, in one image.
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
            Fitted. Of a `~sklearn.pipeline.Pipeline` the first step that is a
            `SparseAutoencoder` reconstructs. Pictures are in the units of X if the steps
            before it have an ``inverse_transform``; otherwise, and in a heat map, rows
            are shown as these steps leave them.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        n_rows : int, default=10
            Number of rows shown, from the first on: choose others by ``X[rows]``.
        image_shape : tuple (height, width) or (height, width, 3), default=None
            Shape of a picture; None draws a heat map.
        feature_names : array-like of shape (n_features,), default=None
            Labels of the heat map; None takes those of the data frame that was fitted.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
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
            feature_names = _feature_names(before, sae)
        display = cls(
            *_reconstruct(before, sae, X[:n_rows], back=image_shape is not None),
            image_shape=image_shape,
            feature_names=feature_names,
        )
        return display.plot(ax, imshow_kw=imshow_kw)

    def plot(self, ax=None, *, imshow_kw=None):
        """Draw; the colours span the range of the originals.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        imshow_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        ReconstructionDisplay
            The display itself.

        Raises
        ------
        ImportError
            There is no matplotlib.
        ValueError
            Shapes do not fit together.
        """
        X, Z = (_dense_rows(A) for A in (self.X, self.reconstructions))
        if X.shape != Z.shape:
            raise ValueError(
                f"X has shape {X.shape}, but reconstructions {Z.shape}: give one for each row."
            )
        names = _checked_names(self.feature_names, X.shape[1])
        shape = _checked_shape(self.image_shape, X.shape[1])
        self.ax_, self.figure_ = _one_axes(ax)
        self.colorbar_ = None
        if shape is None:
            self._plot_heat_map(X, Z, names, imshow_kw)
        else:
            self._plot_pictures(X, Z, shape, imshow_kw)
        self.ax_.set_title("original over reconstruction", fontsize="medium")
        return self

    def _plot_pictures(self, X, Z, shape, imshow_kw):
        low, high = X.min(), max(X.max(), np.nextafter(X.min(), np.inf))
        pictures = np.vstack([X, Z]).reshape(-1, *shape)
        style = {"cmap": "gray", "vmin": low, "vmax": high, **(imshow_kw or {})}
        if len(shape) == 3:
            pictures = np.clip((pictures - low) / (high - low), 0, 1)
        pairs = np.stack([_mosaic(np.stack(pair), 1) for pair in zip(*np.split(pictures, 2))])
        grid = _mosaic(pairs, ceil(sqrt(2 * len(X))), gap=1 + shape[0] // 8)
        self.im_ = self.ax_.imshow(grid, **style)
        self.ax_.set_axis_off()

    def _plot_heat_map(self, X, Z, names, imshow_kw):
        n_rows, n_features = X.shape
        gap = np.full_like(X, np.nan)
        pairs = np.stack([X, Z, gap], axis=1).reshape(-1, n_features)[:-1]
        style = {"vmin": X.min(), "vmax": X.max(), "aspect": "auto", "interpolation": "nearest"}
        # row i is centred at i: three lines, with the gap, are one unit
        style["extent"] = (-0.5, n_features - 0.5, n_rows - 2 / 3, -1 / 3)
        self.im_ = self.ax_.imshow(pairs, **style | (imshow_kw or {}))
        _name_features(self.ax_, names, n_features)
        _integers(self.ax_.yaxis)
        self.ax_.set_ylabel("row")
        self.ax_.spines[:].set_visible(False)
        self.colorbar_ = _colorbar(self.im_, "value")


class CodeDisplay:
    """What a code is like: the activity of each unit, and how many are active in a row.

    Parameters
    ----------
    units : dict of str to ndarray of shape (n_components,)
        `code_diagnostics` of each unit: ``per_unit=True``.
    n_active : array-like of shape (n_components + 1,)
        The share of the rows in which 0, 1, 2, … units are active.
    threshold : float
        Activity above which a unit counts as active.
    rho : float, default=None
        Sparsity target; None draws none.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        Those of the units and of the rows.
    figure_ : matplotlib Figure
        The figure of these axes.
    means_ : dict of str to matplotlib Line2D
        The mean activity of the units, for each kind that occurs: "saturated",
        "collapsed", "dead", and "varying" for all others.
    spread_ : matplotlib LineCollection
        One standard deviation to both sides of each mean, cut at zero and, for units
        between 0 and 1, at one.
    rho_line_ : matplotlib Line2D or None
        The sparsity target.
    bars_ : matplotlib BarContainer
        The share of the rows for each number of active units.

    See Also
    --------
    code_diagnostics : The numbers, with their definitions.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import CodeDisplay, SparseAutoencoder
    >>> X = load_digits().data / 16
    >>> sae = SparseAutoencoder(16, random_state=0).fit(X)
    >>> display = CodeDisplay.from_estimator(sae, X)
    """

    def __init__(self, units, n_active, *, threshold, rho=None):
        self.units = units
        self.n_active = n_active
        self.threshold = threshold
        self.rho = rho

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        sample_weight=None,
        threshold=None,
        ax=None,
        mean_kw=None,
        spread_kw=None,
        rho_line_kw=None,
        bar_kw=None,
    ):
        """Encode X and draw what the code is like.

        Parameters
        ----------
        estimator : SparseAutoencoder, MLPBackprop or Pipeline
            Fitted; as in `code_diagnostics`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. It is encoded a few rows at a time.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        threshold : float, default=None
            As in `code_diagnostics`.
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; None makes a figure.
        mean_kw : dict, default=None
            As in `plot`.
        spread_kw : dict, default=None
            As in `plot`.
        rho_line_kw : dict, default=None
            As in `plot`.
        bar_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        CodeDisplay
            The display, drawn.
        """
        before, network = find_network(estimator, "CodeDisplay.from_estimator")
        X = X if before is None else before.transform(X)
        units, n_active = describe_units(network, X, sample_weight, threshold)
        display = cls(
            units,
            n_active,
            threshold=default_threshold(network) if threshold is None else threshold,
            rho=network._rho if network._beta > 0 else None,
        )
        return display.plot(
            ax, mean_kw=mean_kw, spread_kw=spread_kw, rho_line_kw=rho_line_kw, bar_kw=bar_kw
        )

    def plot(self, ax=None, *, mean_kw=None, spread_kw=None, rho_line_kw=None, bar_kw=None):
        """Draw.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; None makes a figure.
        mean_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for the means of each kind.
        spread_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.vlines`.
        rho_line_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.axhline`.
        bar_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.bar`.

        Returns
        -------
        CodeDisplay
            The display itself.

        Raises
        ------
        ImportError
            There is no matplotlib.
        ValueError
            ``ax`` is not a pair of axes.
        """
        plt = _pyplot()
        if ax is None:
            _, ax = plt.subplots(2, 1, layout="constrained")
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != 2:
            raise ValueError(
                f"CodeDisplay draws on two axes, not {len(self.axes_)}: give ax both."
            )
        self.figure_ = self.axes_[0].figure
        self._plot_units(self.axes_[0], mean_kw, spread_kw, rho_line_kw)
        self._plot_rows(self.axes_[1], bar_kw)
        return self

    def _plot_units(self, ax, mean_kw, spread_kw, rho_line_kw):
        mean, std = self.units["mean_activation"], np.sqrt(self.units["variance"])
        unit = np.arange(len(mean))
        top = np.inf if np.isnan(self.units["kl"]).any() else 1  # it is no rate
        style = {"color": GREY, "alpha": 0.5, "linewidth": 1}
        style |= spread_kw or {}
        ends = np.maximum(mean - std, 0), np.minimum(mean + std, top)
        self.spread_ = ax.vlines(unit, *ends, **style)
        self.means_ = {}
        for kind, here in _kinds(self.units).items():
            style = {"linestyle": "", "markersize": 4 if len(unit) <= 100 else 2, "clip_on": False}
            style["label"] = f"{here.sum()} {kind}"
            style |= KINDS[kind] | _artist_kw(mean_kw)
            (self.means_[kind],) = ax.plot(unit[here], mean[here], **style)
        self.rho_line_ = None
        if self.rho is not None:
            style = {"color": "black", "linestyle": "--", "linewidth": 1, "zorder": 1}
            style |= {"label": f"ρ = {self.rho:g}"} | _artist_kw(rho_line_kw)
            self.rho_line_ = ax.axhline(self.rho, **style)
        highest = max(ends[1].max(), self.rho or 0) or 1
        ax.set(xlabel="unit", ylabel="activity ± std", ylim=(0, 1.1 * highest))
        _integers(ax.xaxis)
        _legend_above(ax, [*self.means_.values(), *filter(None, [self.rho_line_])])

    def _plot_rows(self, ax, bar_kw):
        share = np.asarray(self.n_active, dtype=float)
        number = np.arange(len(share))
        l0 = number @ share
        style = {"color": BLUE, "width": 1, "edgecolor": "white", "linewidth": 0.5}
        self.bars_ = ax.bar(number, share, **style | (bar_kw or {}))
        fewest, most = np.flatnonzero(share)[[0, -1]]
        ax.set(xlabel=f"units above {self.threshold:g} in a row", ylabel="share of rows")
        ax.set_xlim(fewest - 0.9, most + 0.9)
        ax.set_title(f"L0 = {l0:.3g} of {len(share) - 1} units", fontsize="small")
        _integers(ax.xaxis)


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "The displays of skl_sae draw with matplotlib: pip install matplotlib."
        ) from error
    return plt


def _one_axes(ax):
    plt = _pyplot()
    if ax is None:
        _, ax = plt.subplots(layout="compressed")  # bars as high as the pictures beside them
    return ax, ax.figure


def _artist_kw(kw):
    """Keywords of a line under their full names, so that they replace ours."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return normalize_kwargs(kw or {}, Line2D)


def _integers(axis):
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def _colorbar(im, label):
    from matplotlib.ticker import MaxNLocator

    bar = im.axes.figure.colorbar(im, ax=im.axes, label=label)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(nbins=4, steps=[1, 2, 5, 10])
    return bar


def _legend_above(ax, artists):
    """A legend that hides no data."""
    if artists:
        ax.legend(
            handles=artists,
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=2 if len(artists) == 4 else 3,
            handlelength=1.2,
            columnspacing=1,
            frameon=False,
            fontsize="small",
        )


def _checked_shape(shape, n_features):
    """A shape (height, width) or (height, width, 3) that fits the features, or None."""
    if shape is None:
        return None
    sizes = tuple(shape) if np.iterable(shape) else (shape,)
    if len(sizes) == 3 and sizes[2] == 1:
        sizes = sizes[:2]
    fits = len(sizes) == 2 or (len(sizes) == 3 and sizes[2] == 3)
    if not (fits and all(isinstance(n, Integral) for n in sizes) and prod(sizes) == n_features):
        raise ValueError(
            f"image_shape must be (height, width) or (height, width, 3) with the product "
            f"{n_features}, the number of features, not {shape}."
        )
    return sizes


def _checked_names(names, n_features):
    if names is not None and len(names) != n_features:
        raise ValueError(
            f"feature_names has {len(names)} names, but there are {n_features} features."
        )
    return names


def _feature_names(before, network):
    """Names of the features that the network sees, if the data had names."""
    if before is None:
        return getattr(network, "feature_names_in_", None)
    if not hasattr(before, "feature_names_in_"):
        return None
    try:
        return before.get_feature_names_out()
    except AttributeError:  # a step that makes features without names
        return None


def _reconstruct(before, sae, X, back):
    """Rows and their reconstructions: back in the units of X, if that can be."""
    if before is None:
        return X, sae.inverse_transform(sae.transform(X))  # sparse rows too
    inner = before.transform(X)
    reconstructions = sae.inverse_transform(sae.transform(inner))
    if back and hasattr(before, "inverse_transform"):
        return X, before.inverse_transform(reconstructions)
    return inner, reconstructions


def _dense_rows(X):
    return check_array(X.toarray() if hasattr(X, "toarray") else X, dtype=float)


def _mosaic(pictures, n_columns, gap=1):
    """Pictures, (n, height, width) or with colours behind, in one; gaps show nothing."""
    n, height, width, *colours = pictures.shape
    if colours == [3]:
        pictures = np.concatenate([pictures, np.ones_like(pictures[..., :1])], axis=-1)
        colours = [4]
    nothing = [1, 1, 1, 0] if colours else np.nan  # transparent
    shape = ceil(n / n_columns) * (height + gap), n_columns * (width + gap), *colours
    grid = np.full(shape, nothing, dtype=float)
    for i, picture in enumerate(pictures):
        top, left = (i // n_columns) * (height + gap), (i % n_columns) * (width + gap)
        grid[top : top + height, left : left + width] = picture
    return grid[:-gap, :-gap]


def _name_features(ax, names, n_features):
    """Names below the columns: in smaller letters, or only some, where room is short."""
    if names is None:
        ax.set_xlabel("feature")
        _integers(ax.xaxis)
        return
    short = [s if len(s) <= LONGEST_NAME else f"{s[: LONGEST_NAME - 1]}…" for s in map(str, names)]
    width, height = 72 / ax.figure.dpi * ax.get_window_extent().size  # in points
    beside = width / n_features / LINE_HEIGHT
    below = height / 3 / (0.55 * max(map(len, short)))
    usual = _pyplot().rcParams["font.size"]
    size = float(np.clip(min(beside, below), min(SMALLEST_LETTERS, usual), usual))
    some = slice(None, None, ceil(size / beside))
    ax.set_xticks(np.arange(n_features)[some], short[some], fontsize=size, rotation=90)


def _stage_labels(shares):
    """What each stage minimises; of two on all rows the first solves the output layer."""
    labels = [f"{Fraction(float(s)).limit_denominator(1000)} of rows" for s in shares]
    whole = [i for i, share in enumerate(shares) if share == 1]
    for i in whole:
        labels[i] = "all rows"
    if len(whole) == 2:
        labels[whole[0]] = SOLVED
    return labels


def _shade(share):
    """The smaller the sample, the paler the line."""
    from matplotlib.colors import to_rgb

    pale = 0 if share == 1 else 0.65 - 0.35 * share**0.5
    return tuple(pale + (1 - pale) * c for c in to_rgb(BLUE))


def _kinds(units):
    """Which units are of each kind; each unit is of the first that holds."""
    left = np.ones(len(units["dead"]), dtype=bool)
    found = {}
    for kind in KINDS:
        here = left & units[kind] if kind in units else left
        left = left & ~here
        if here.any():
            found[kind] = here
    return found
