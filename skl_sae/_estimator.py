"""What all estimators of this package have in common with each other only."""

import sys
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import assert_all_finite, check_array, validate_data

from .backprop.blocks import LazyRows, as_floats, chunks

FLOATS = [np.float64, np.float32]

# Where `make docs` is published; below it the pages of the API have the names that Sphinx gives.
DOCS = "https://skl-sae.readthedocs.io/en/stable/"


class Estimator(BaseEstimator):
    """An estimator whose pickles carry the package's version; loading another one's warns.

    Its picture in a notebook links to its page. scikit-learn does both for its own estimators
    only.
    """

    _doc_link_module = "skl_sae"
    _doc_link_template = DOCS + "generated/skl_sae.{estimator_name}.html"

    def __getstate__(self):
        return {**super().__getstate__(), "_skl_sae_version": _version()}

    def __setstate__(self, state):
        state = dict(state)
        saved_by = state.pop("_skl_sae_version", "an unknown version")
        if saved_by != _version():
            warnings.warn(
                f"This {type(self).__name__} was saved by skl_sae {saved_by} and is loaded by "
                f"{_version()}: results may differ. Fit it anew, or load it with the version "
                "that has saved it.",
                UserWarning,
                stacklevel=2,
            )
        super().__setstate__(state)

    @np.errstate(invalid="ignore")  # as in `check_floats`
    def _validate_rows(self, X, **options):
        """X, or X and y, where X is then float64 or float32.

        scikit-learn would convert an array of integers as a whole, and look for values
        that are not finite by masks of its size: here both is done a block at a time.
        """
        if is_dask(X):
            raise TypeError(
                f"{type(self).__name__} needs rows in memory or in a file for this: give it some "
                "of the rows, such as X[:100_000].compute(). What it computes for each row, as "
                "transform does, works on dask collections."
            )
        if isinstance(X, LazyRows):  # validated before
            return validate_data(self, X, skip_check_array=True, **options)
        by_blocks = isinstance(X, np.ndarray) and X.dtype.kind in "buif"
        how = {"dtype": None, "ensure_all_finite": False} if by_blocks else {"dtype": FLOATS}
        found = validate_data(self, X, **how, **options)
        if not by_blocks:
            return found
        X, *y = found if isinstance(found, tuple) else (found,)
        X = as_floats(X)
        for block in chunks(X):
            assert_all_finite(block, estimator_name=type(self).__name__, input_name="X")
        return (X, *y) if y else X


@np.errstate(invalid="ignore")  # scikit-learn adds all values to see whether they are finite
def check_floats(X, input_name="X"):
    """A matrix of float64 or float32."""
    return check_array(X, dtype=FLOATS, input_name=input_name)


def is_dask(X):
    """Whether X is a collection of dask, which is not imported to find out."""
    return type(X).__module__.partition(".")[0] == "dask"


def check_weight_range(smallest, largest):
    """Refuse weights of rows that are negative, or all zero."""
    if smallest < 0:
        raise ValueError("Negative values in data passed to `sample_weight`: weights count rows.")
    if largest == 0:
        raise ValueError("All sample weights are zero: give at least one row a weight.")


def _version():
    return sys.modules[__package__].__version__
