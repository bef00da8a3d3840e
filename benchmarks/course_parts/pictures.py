"""Pictures of the course: filters as grids, and test errors over the number of labels."""

import numpy as np

from shared.report import installed


def save_filters(filters, shape, path, n_most=400):
    """Rows as pictures of ``shape``, each with its own scale; nothing without matplotlib."""
    if not installed("matplotlib"):
        return
    from matplotlib.image import imsave

    n = int(np.sqrt(min(len(filters), n_most)))
    cells = filters[: n * n].reshape(n * n, *shape)
    largest = np.abs(cells).max(axis=(1, 2, 3), keepdims=True)
    cells = 0.5 + 0.5 * cells / np.where(largest > 0, largest, 1)
    framed = np.pad(cells, [(0, 0), (1, 1), (1, 1), (0, 0)], constant_values=0.5)
    height, width, channels = framed.shape[1:]
    grid = framed.reshape(n, n, height, width, channels).swapaxes(1, 2)
    grid = grid.reshape(n * height, n * width, channels)
    zoom = max(1, 700 // len(grid))
    imsave(path, np.kron(grid, np.ones((zoom, zoom, 3 // channels))).clip(0, 1))
    print(f"saved {path}", flush=True)


def save_curve(curves, title, path):
    """Test errors over labelled rows: {name: {n: [accuracy of each draw]}}."""
    if not installed("matplotlib"):
        return
    from matplotlib.figure import Figure

    fig = Figure(figsize=(9, 4.8), layout="constrained")
    ax = fig.subplots()
    by_end = sorted(curves, key=lambda name: np.mean(list(curves[name].values())[-1]))
    for name in by_end:  # the order at the right edge
        by_n = curves[name]
        errors = [100 * (1 - np.array(scores)) for scores in by_n.values()]
        means = [e.mean() for e in errors]
        bars = [e.std(ddof=1) / np.sqrt(len(e)) if len(e) > 1 else 0 for e in errors]
        ax.errorbar(list(by_n), means, yerr=bars, fmt="o-", capsize=3, label=name)
    ax.set(xscale="log", yscale="log", xlabel="rows with a label", ylabel="test error (%)")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("{x:g}")
    ns = list(next(iter(curves.values())))
    ax.set_xticks(ns, [f"{n:,}" for n in ns])
    ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    ax.set_title(title)
    ax.grid(which="both", alpha=0.3)
    fig.legend(loc="outside right center", fontsize="small")
    fig.savefig(path, dpi=200)
    print(f"saved {path}", flush=True)
