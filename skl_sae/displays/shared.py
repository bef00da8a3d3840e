"""Helpers for matplotlib that all displays use. matplotlib is imported at the first drawing."""

# Colours that the colour-blind tell apart (M. Okabe and K. Ito, "Color universal design", 2008).
BLUE, ORANGE, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#D55E00", "#AA4499", "#777777"


def pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "The displays of skl_sae draw with matplotlib: pip install matplotlib."
        ) from error
    return plt


def one_axes(ax):
    """The axes to draw on, new ones for None, and their figure."""
    plt = pyplot()
    if ax is None:
        _, ax = plt.subplots(layout="compressed")  # bars as high as the pictures beside them
    return ax, ax.figure


def full_names(kw):
    """Keywords of a line with their full names, under which they override our defaults."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    return normalize_kwargs(kw or {}, Line2D)


def integers(axis):
    """Ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))


def legend_above(ax, artists):
    """A legend above the axes, where it hides no data, of the artists that are not None."""
    artists = [artist for artist in artists if artist is not None]
    if artists:
        columns = 2 if len(artists) == 4 else 3  # two lines of two, not three and one
        style = {"handlelength": 1.2, "columnspacing": 1, "frameon": False, "fontsize": "small"}
        place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": columns}
        ax.legend(handles=artists, **place, **style)
