"""The objective during a fit as a curve."""

from fractions import Fraction

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..diagnostics import find_network
from .shared import BLUE, GREY, RED, full_names, integers, legend_above, one_axes

# The stage on all rows in which the output layer is solved exactly.
_SOLVED = "all rows, output solved"


class LossCurveDisplay:
    """Curve of the objective during a fit, stage by stage.

    With growing samples the first stages minimise J of a sample of the rows, which can't be
    compared with J of all rows. So each stage has a line of its own, with an entry in the
    legend.

    Parameters
    ----------
    loss_curve : array-like of shape (n_iter,)
        J after each iteration.
    stage_lengths : array-like of shape (n_stages,), default=None
        Number of iterations in each stage; None means one stage.
    stage_shares : array-like of shape (n_stages,), default=None
        Share of the rows that each stage ran on; None means all rows.
    validation_scores : array-like of shape (n_iter,), default=None
        Score on held-out rows after each iteration.
    validation_loss_curve : array-like of shape (n_iter,), default=None
        J of held-out rows after each iteration.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where J was drawn.
    figure_ : matplotlib Figure
        The figure of these axes.
    lines_ : list of matplotlib Line2D
        J in each stage.
    validation_loss_line_ : matplotlib Line2D or None
        J of held-out rows.
    validation_ax_ : matplotlib Axes or None
        The axes of the validation score, on the right.
    validation_line_ : matplotlib Line2D or None
        The validation score.
    best_ : matplotlib Line2D or None
        A mark at the best validation score. With early stopping the weights kept have this
        score.

    See Also
    --------
    SparseAutoencoder : See its attributes ``loss_curve_`` and ``stage_lengths_``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import LossCurveDisplay, SparseAutoencoder
    >>> X = load_digits().data / 16
    >>> sae = SparseAutoencoder(16, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(sae)
    """

    def __init__(
        self,
        loss_curve,
        *,
        stage_lengths=None,
        stage_shares=None,
        validation_scores=None,
        validation_loss_curve=None,
    ):
        self.loss_curve = loss_curve
        self.stage_lengths = stage_lengths
        self.stage_shares = stage_shares
        self.validation_scores = validation_scores
        self.validation_loss_curve = validation_loss_curve

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, line_kw=None, validation_line_kw=None):
        """Draw the curve of a fitted estimator.

        Parameters
        ----------
        estimator : SparseAutoencoder, MLPBackprop or Pipeline
            A fitted estimator. In a `~sklearn.pipeline.Pipeline` the first step of one of
            these classes is drawn.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
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
            validation_loss_curve=getattr(network, "validation_loss_curve_", None),
        )
        return display.plot(ax, line_kw=line_kw, validation_line_kw=validation_line_kw)

    def plot(self, ax=None, *, line_kw=None, validation_line_kw=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        line_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for each stage.
        validation_line_kw : dict, default=None
            Passed to `matplotlib.axes.Axes.plot` for the validation score and loss.

        Returns
        -------
        LossCurveDisplay
            The display itself.

        Raises
        ------
        ImportError
            matplotlib is not installed.
        ValueError
            The lengths of the parameters do not fit together.
        """
        curve = np.asarray(self.loss_curve, dtype=float)
        lengths, shares = self._stages(len(curve))
        scores = self._validated("validation_scores", len(curve))
        losses = self._validated("validation_loss_curve", len(curve))
        self.ax_, self.figure_ = one_axes(ax)
        self._plot_stages(curve, lengths, shares, line_kw)
        self.validation_ax_ = self.validation_line_ = self.best_ = None
        self.validation_loss_line_ = None
        if len(losses):
            style = {"color": RED, "label": "J of validation rows"} | full_names(
                validation_line_kw
            )
            (self.validation_loss_line_,) = self.ax_.plot(
                np.arange(len(losses)) + 1, losses, **style
            )
        if len(scores):
            self._plot_validation(scores, validation_line_kw)
        stages = [] if shares == [1] else self.lines_
        legend_above(self.ax_, [*stages, self.validation_loss_line_, self.best_])
        return self

    def _stages(self, n_iter):
        lengths = [n_iter] if self.stage_lengths is None else list(self.stage_lengths)
        shares = [1] * len(lengths) if self.stage_shares is None else list(self.stage_shares)
        if sum(lengths) != n_iter or len(shares) != len(lengths):
            raise ValueError(
                f"stage_lengths {lengths} and stage_shares {shares} must have one entry for each "
                f"stage, and the lengths must add up to the {n_iter} values of loss_curve."
            )
        return lengths, shares

    def _validated(self, name, n_iter):
        values = getattr(self, name)
        if values is not None and len(values) != n_iter:
            raise ValueError(
                f"{name} has {len(values)} values, but loss_curve has {n_iter}: "
                "give one for each iteration."
            )
        return np.asarray([] if values is None else values, dtype=float)

    def _plot_stages(self, curve, lengths, shares, line_kw):
        self.lines_ = []
        ends = np.cumsum(lengths)
        for end, length, share, label in zip(ends, lengths, shares, _labels(shares)):
            if length:
                iterations = np.arange(end - length, end) + 1
                style = _style(length, share, label) | full_names(line_kw)
                self.lines_ += self.ax_.plot(iterations, curve[end - length : end], **style)
        for end in ends[:-1]:
            self.ax_.axvline(end + 0.5, color=GREY, linewidth=0.5, zorder=0)
        self.ax_.set(xlabel="iteration", ylabel="objective J")
        if _is_steep(curve):
            self.ax_.set_yscale("log")
        integers(self.ax_.xaxis)

    def _plot_validation(self, scores, validation_line_kw):
        ax = self.validation_ax_ = self.ax_.twinx()
        style = {"color": RED, "linestyle": "--"} | full_names(validation_line_kw)
        (self.validation_line_,) = ax.plot(np.arange(len(scores)) + 1, scores, **style)
        best, color = scores.argmax(), self.validation_line_.get_color()
        style = {"color": color, "linestyle": "", "marker": "o"}
        style["label"] = f"best in iteration {best + 1}"
        (self.best_,) = ax.plot(best + 1, scores[best], **style)
        ax.set_ylabel("validation score", color=color)


def _labels(shares):
    """Labels of the stages; the first of two stages on all rows solves the output layer."""
    labels = [_label(share) for share in shares]
    if labels.count("all rows") == 2:
        labels[labels.index("all rows")] = _SOLVED
    return labels


def _label(share):
    part = Fraction(float(share)).limit_denominator(1000)
    return "all rows" if share == 1 else f"{part} of rows"


def _style(length, share, label):
    marker = "." if length == 1 else ""  # a line needs two points
    dashes = "--" if label == _SOLVED else "-"
    return {"color": _shade(share), "label": label, "linestyle": dashes, "marker": marker}


def _shade(share):
    """The smaller the sample, the paler the line."""
    from matplotlib.colors import to_rgb

    # White in a sample's colour: at most 0.65, to keep the line visible, and at least 0.3.
    pale = 0 if share == 1 else 0.65 - 0.35 * share**0.5
    return tuple(pale + (1 - pale) * c for c in to_rgb(BLUE))


def _is_steep(curve):
    """Whether a logarithmic axis fits. Below a factor of about five it has hardly any ticks."""
    return len(curve) and 0 < 5 * curve.min() < curve.max()
