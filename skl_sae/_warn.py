"""Warnings that point at the user's line, and are not repeated for each candidate of a search."""

import sys
import warnings
from contextvars import ContextVar, copy_context

# Packages whose frames are never the user's.
INNER = {"skl_sae", "sklearn", "joblib", "contextlib"}

# What a message begins with, where a fit is a part of another one.
_PART = ContextVar("part", default="")

# Where a cross-validation has warned, and of what; it begins anew when there are so many.
_SEEN = {}
MOST_SEEN = 1000


def warn(message, category):
    """Warn at the first line that is none of ours, scikit-learn's or joblib's.

    The fits of a cross-validation warn once only, of each category: a search over
    hundreds of candidates says nothing new with each. Python's own filter can't do that, since
    scikit-learn resets it.
    """
    frame, depth, folds = sys._getframe(1), 2, False
    while frame.f_back is not None and _is_inner(frame):
        folds |= frame.f_code.co_name == "_fit_and_score"
        frame, depth = frame.f_back, depth + 1
    if not (folds and _seen(id(frame), frame.f_lineno, category)):
        warnings.warn(_PART.get() + message, category, stacklevel=depth)


def part(name, run):
    """``run()``, where the messages of the fits inside begin with the name of this part."""
    context = copy_context()
    context.run(_PART.set, f"{name}: ")
    return context.run(run)


def _is_inner(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0] in INNER


def _seen(*key):
    """Whether this was asked before."""
    if key in _SEEN:
        return True
    if len(_SEEN) >= MOST_SEEN:
        _SEEN.clear()  # at once: another thread may be here too
    _SEEN[key] = None
    return False
