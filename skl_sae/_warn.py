"""Warnings that point at the user's line, and come once for all candidates of a search."""

import sys
import warnings
from contextvars import ContextVar, copy_context

# Packages whose frames are never the user's.
INNER = {"skl_sae", "sklearn", "joblib", "contextlib"}

# The beginning of a message, if a fit is part of another fit.
_PART = ContextVar("part", default="")

# The cross-validations that have warned, and the categories. It is cleared at MOST_SEEN entries.
_SEEN = {}
MOST_SEEN = 1000


def warn(message, category):
    """Warn at the first line outside this package, scikit-learn and joblib.

    All fits of a cross-validation together warn once for each category, because a search over
    hundreds of candidates would repeat the same warning. Python's own filter can't do that,
    because scikit-learn resets it.
    """
    frame, depth, folds = sys._getframe(1), 2, False
    while frame.f_back is not None and _is_inner(frame):
        folds |= frame.f_code.co_name == "_fit_and_score"
        frame, depth = frame.f_back, depth + 1
    if not (folds and _seen(id(frame), frame.f_lineno, category)):
        warnings.warn(_PART.get() + message, category, stacklevel=depth)


def part(name, run):
    """``run()``; messages of the fits inside it begin with the name of this part."""
    context = copy_context()
    context.run(_PART.set, f"{name}: ")
    return context.run(run)


def _is_inner(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in INNER


def _seen(*key):
    """Whether this key was seen before; remember it."""
    if key in _SEEN:
        return True
    if len(_SEEN) >= MOST_SEEN:
        _SEEN.clear()  # in a single call, because another thread may be here too
    _SEEN[key] = None
    return False
