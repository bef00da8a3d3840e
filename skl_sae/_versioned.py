"""Pickles that carry the version of the package, and links to its pages."""

import sys
import warnings

from sklearn.base import BaseEstimator

# The address of the published docs, with a slash at its end; it is set only here. It is empty
# because no docs are published yet. No notebook or page links to them then.
DOCS = ""


class VersionedEstimator(BaseEstimator):
    """An estimator whose pickles carry the package's version; other versions warn at loading.

    Its diagram in a notebook links to its page of the docs, once these are published.
    scikit-learn does both for its own estimators only.
    """

    _doc_link_module = "skl_sae" if DOCS else ""
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
                "that saved it.",
                UserWarning,
                stacklevel=2,
            )
        super().__setstate__(state)


def _version():
    return sys.modules[__package__].__version__
