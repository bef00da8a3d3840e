"""The order of the examples: the course first, then the networks, then what is behind them."""

from pathlib import Path

ORDER = [
    "natural_image_edges",
    "digits_grid_search",
    "colour_features",
    "self_taught_learning",
    "stacked_autoencoder",
    "convolve_and_pool",
    "mlp_classification",
    "mlp_regression",
    "solvers",
    "gradient_check",
    "diagnostics",
]


class Order:
    """Sorting key: place in `ORDER`, and new examples at the end by name."""

    def __init__(self, src_dir):
        pass

    def __call__(self, path):
        """The key of one file."""
        name = Path(path).stem.removeprefix("plot_")
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)
