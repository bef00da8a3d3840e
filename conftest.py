"""For doctests: no windows, none that older versions of scikit-learn can't run, pages are slow."""

import os
import sys
from importlib.util import find_spec

import pytest

os.environ.setdefault("MPLBACKEND", "agg")
collect_ignore = [] if find_spec("sklearn.callback") else ["skl_sae/callbacks.py"]


def pytest_collection_modifyitems(items):
    """The code of the pages belongs to `make slow`; that of docstrings does not."""
    for item in items:
        if item.path.suffix == ".rst":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _close_figures():
    """Figures that are left open add up in a process; matplotlib warns of more than twenty."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
