"""For doctests: no windows, and none that older versions of scikit-learn can't run."""

import os
from importlib.util import find_spec

os.environ.setdefault("MPLBACKEND", "agg")
collect_ignore = [] if find_spec("sklearn.callback") else ["skl_sae/callbacks.py"]
