"""The activity of each unit, and the number of active units in a row."""

import numpy as np

from ..diagnostics import default_threshold, describe_units, find_network
from .shared import BLUE, GREY, ORANGE, PURPLE, RED, full_names, integers, legend_above, pyplot

# The style of each kind of unit. A unit is of the first kind that fits.
_KINDS = {
    "saturated": {"color": ORANGE, "marker": "^"},
    "collapsed": {"color": PURPLE, "marker": "s"},
    "dead": {"color": RED, "marker": "x"},
    "varying": {"color": BLUE, "marker": "o"},
}


class CodeDisplay:
    """Plot of a code: the activity of each unit, and the number of active units in a row.

    Parameters
    ----------
    units : dict of str to ndarray of shape (n_components,)
        The result of `code_diagnostics` with ``per_unit=True``.
    n_active : array-like of shape (n_components + 1,)
        The share of the rows in which 0, 1, 2, … units are active.
    threshold : float
        Activity above which a unit counts as active.
    rho : float, default=None
        Sparsity target; None draws no target.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        The axes of the units and the axes of the rows.
    figure_ : matplotlib Figure
        The figure of these axes.
    means_ : dict of str to matplotlib Line2D
        The mean activity of the units, for each kind that occurs: "saturated",
        "collapsed", "dead", and "varying" for all others.
    spread_ : matplotlib LineCollection
        One standard deviation on both sides of each mean. It is cut at 0 and, for units
        with activity between 0 and 1, at 1.
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
        """Encode X and draw its code.

        Parameters
        ----------
        estimator : SparseAutoencoder, MLPBackprop or Pipeline
            A fitted estimator, as in `code_diagnostics`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data. It is encoded a few rows at a time.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        threshold : float, default=None
            As in `code_diagnostics`.
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; None makes a new figure.
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
        threshold = default_threshold(network) if threshold is None else threshold
        rho = network._rho if network._beta > 0 else None
        return cls(units, n_active, threshold=threshold, rho=rho).plot(
            ax, mean_kw=mean_kw, spread_kw=spread_kw, rho_line_kw=rho_line_kw, bar_kw=bar_kw
        )

    def plot(self, ax=None, *, mean_kw=None, spread_kw=None, rho_line_kw=None, bar_kw=None):
        """Draw the code.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            Where to draw; None makes a new figure.
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
            matplotlib is not installed.
        ValueError
            ``ax`` is not a pair of axes.
        """
        plt = pyplot()
        if ax is None:
            _, ax = plt.subplots(2, layout="constrained")
        self.axes_ = np.asarray(ax, dtype=object).ravel()
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
        top = np.inf if np.isnan(self.units["kl"]).any() else 1  # nan: the mean is not a rate
        low, high = np.maximum(mean - std, 0), np.minimum(mean + std, top)
        style = {"color": GREY, "alpha": 0.5, "linewidth": 1} | (spread_kw or {})
        self.spread_ = ax.vlines(np.arange(len(mean)), low, high, **style)
        self._plot_means(ax, mean, mean_kw)
        self.rho_line_ = None if self.rho is None else self._plot_rho(ax, rho_line_kw)
        highest = max(high.max(), self.rho or 0) or 1
        ax.set(xlabel="unit", ylabel="activity ± std", ylim=(0, 1.1 * highest))
        integers(ax.xaxis)
        legend_above(ax, [*self.means_.values(), self.rho_line_])

    def _plot_means(self, ax, mean, mean_kw):
        size = 4 if len(mean) <= 100 else 2  # larger marks of more units would overlap
        self.means_ = {}
        for kind, unit in _kinds(self.units).items():
            style = {"linestyle": "", "markersize": size, "clip_on": False} | _KINDS[kind]
            style |= {"label": f"{len(unit)} {kind}"} | full_names(mean_kw)
            (self.means_[kind],) = ax.plot(unit, mean[unit], **style)

    def _plot_rho(self, ax, rho_line_kw):
        style = {"color": "black", "linestyle": "--", "linewidth": 1, "zorder": 1}
        style |= {"label": f"ρ = {self.rho:g}"} | full_names(rho_line_kw)
        return ax.axhline(self.rho, **style)

    def _plot_rows(self, ax, bar_kw):
        share = np.asarray(self.n_active, dtype=float)
        number = np.arange(len(share))
        style = {"color": BLUE, "width": 1, "edgecolor": "white", "linewidth": 0.5}
        self.bars_ = ax.bar(number, share, **style | (bar_kw or {}))
        fewest, most = np.flatnonzero(share)[[0, -1]]
        ax.set(xlabel=f"units above {self.threshold:g} in a row", ylabel="share of rows")
        ax.set_xlim(fewest - 0.9, most + 0.9)
        ax.set_title(f"L0 = {number @ share:.3g} of {len(share) - 1} units", fontsize="small")
        integers(ax.xaxis)


def _kinds(units):
    """The units of each kind that occurs; each unit is of the first kind that fits."""
    tested = [kind for kind in _KINDS if kind in units]
    kinds = np.select([units[kind] for kind in tested], tested, "varying")
    return {kind: np.flatnonzero(kinds == kind) for kind in _KINDS if kind in kinds}
