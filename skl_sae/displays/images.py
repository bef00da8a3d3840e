"""Rows of numbers drawn as pictures, or as the lines of a heat map."""

from math import ceil, prod, sqrt
from numbers import Integral

import numpy as np

from .shared import integers, one_axes, pyplot

# Labels of features: most letters of a name, smallest font size in points, and distance of lines
# as a multiple of the font size.
_LONGEST_NAME, _SMALLEST_LETTERS, _LINE_HEIGHT = 20, 6, 1.2


class ImageDisplay:
    """Base class of displays of rows, which have ``image_shape`` and ``feature_names``."""

    def _start(self, ax, n_features):
        """Check the parameters and set the axes; return the shape, or None for a heat map."""
        _check_names(self.feature_names, n_features)
        shape = _checked_shape(self.image_shape, n_features)
        self.ax_, self.figure_ = one_axes(ax)
        self.colorbar_ = None
        return shape

    def _draw_pictures(self, stacks, shape, limits, imshow_kw):
        """Draw stacks of rows, of shape (n_stacks, n_rows, n_features), each row as a picture."""
        low, high = limits
        n_stacks, n_rows, _ = stacks.shape
        pictures = stacks.reshape(n_stacks, n_rows, *shape)
        if len(shape) == 3:  # imshow does not scale colours; only the gaps are transparent
            pictures = np.insert(np.clip((pictures - low) / (high - low), 0, 1), 3, 1, axis=-1)
        columns = np.stack([_mosaic(stack, 1) for stack in pictures])
        gap = 1 if n_rows == 1 else 1 + shape[0] // 8  # wider than within a stack
        style = {"cmap": "gray", "vmin": low, "vmax": high} | (imshow_kw or {})
        grid = _mosaic(columns, ceil(sqrt(n_stacks * n_rows)), gap)
        self.im_ = self.ax_.imshow(grid, **style)
        self.ax_.set_axis_off()

    def _draw_heat_map(self, lines, line_name, limits, style):
        style = {"vmin": limits[0], "vmax": limits[1], "aspect": "auto"} | style
        self.im_ = self.ax_.imshow(lines, **style)
        _name_features(self.ax_, self.feature_names, lines.shape[1])
        integers(self.ax_.yaxis)
        self.ax_.set_ylabel(line_name)

    def _add_colorbar(self, label):
        from matplotlib.ticker import MaxNLocator

        ticks = MaxNLocator(nbins=4, steps=[1, 2, 5, 10])
        self.colorbar_ = self.figure_.colorbar(self.im_, ax=self.ax_, label=label, ticks=ticks)
        self.colorbar_.outline.set_visible(False)


def names_of_features(before, network):
    """Names of the network's input features, or None if the data had no names."""
    if before is None:
        return getattr(network, "feature_names_in_", None)
    try:
        return before.get_feature_names_out() if hasattr(before, "feature_names_in_") else None
    except AttributeError:  # a step that makes features without names
        return None


def _check_names(names, n_features):
    if names is not None and len(names) != n_features:
        raise ValueError(
            f"feature_names has {len(names)} names, but there are {n_features} features."
        )


def _checked_shape(shape, n_features):
    """A shape (height, width) or (height, width, 3) that fits the features, or None."""
    if shape is None:
        return None
    sizes = tuple(shape) if np.iterable(shape) else (shape,)
    if sizes[2:] == (1,):
        sizes = sizes[:2]
    fits = len(sizes) > 1 and sizes[2:] in ((), (3,))
    if not (fits and all(isinstance(n, Integral) for n in sizes) and prod(sizes) == n_features):
        raise ValueError(
            f"image_shape must be (height, width) or (height, width, 3) with the product "
            f"{n_features}, the number of features, not {shape}."
        )
    return sizes


def _mosaic(pictures, n_columns, gap=1):
    """Join pictures, (n, height, width) or (n, height, width, 4), into one with empty gaps."""
    n, height, width, *colours = pictures.shape
    n_lines = ceil(n / n_columns)
    nothing = [1, 1, 1, 0] if colours else np.nan  # transparent
    tiles = np.full((n_lines * n_columns, height + gap, width + gap, *colours), nothing, float)
    tiles[:n, :height, :width] = pictures
    lines = tiles.reshape(n_lines, n_columns, *tiles.shape[1:]).swapaxes(1, 2)
    return lines.reshape(n_lines * (height + gap), -1, *colours)[:-gap, :-gap]


def _name_features(ax, names, n_features):
    """Name the columns; if there is little room, use smaller letters or name only some."""
    if names is None:
        ax.set_xlabel("feature")
        integers(ax.xaxis)
        return
    short = [_shortened(str(name)) for name in names]
    width, height = 72 / ax.figure.dpi * ax.get_window_extent().size  # in points
    beside = width / n_features / _LINE_HEIGHT
    # The longest name may fill a third of the height; letters are about 0.55 of their size wide.
    below = height / 3 / (0.55 * max(map(len, short)))
    usual = pyplot().rcParams["font.size"]
    size = float(np.clip(min(beside, below), min(_SMALLEST_LETTERS, usual), usual))
    some = slice(None, None, ceil(size / beside))
    ax.set_xticks(np.arange(n_features)[some], short[some], fontsize=size, rotation=90)


def _shortened(name):
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
