"""Doctests that older versions of scikit-learn can't run."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("sklearn.callback") else ["skl_sae/callbacks.py"]
