"""Curves of fits: the lowest value of the objective against the seconds.

A contender is a function ``run(problem, seed, trace)``. It prepares its data, starts the
clock by ``trace.begin()`` and calls ``trace`` with the weights as often as it can, which
ends it by an exception when the time is over. All start from the weights that our
estimators draw for this seed, and from their biases or, where it says so, from the tutorial's.
"""

import time
import warnings
from contextlib import suppress
from unittest.mock import patch

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skl_sae._estimator import Run

# Points are recorded when the time has grown by this factor: evenly on a log scale.
SPACING = 1.15


class TimeUp(Exception):
    """The contender's time is over."""


class Trace:
    """Weights passed and when, the time spent in recording not counted."""

    def __init__(self, seconds):
        self.seconds, self.points = seconds, []

    def begin(self):
        """Start the clock."""
        self.start, self.lost = time.perf_counter(), 0.0

    def __call__(self, theta, last=False):
        """Record ``theta()``, a copy of the weights; raise `TimeUp` when the time is over."""
        now = time.perf_counter()
        elapsed = now - self.start - self.lost
        if last or not self.points or elapsed > SPACING * self.points[-1][0]:
            self.points.append((elapsed, theta()))
        self.lost += time.perf_counter() - now
        if elapsed > self.seconds:
            raise TimeUp


def record(run, problem, seed, seconds):
    """The points that a contender passes: pairs of seconds and theta."""
    trace = Trace(seconds)
    with suppress(TimeUp):
        run(problem, seed, trace)
    return trace.points


def ours(from_data=True, **params):
    """Our estimator with these parameters, from the call of ``fit`` on."""

    def run(problem, seed, trace):
        model = problem.estimator(seed, **params)
        if not from_data:
            model._start = lambda *_: problem.start(seed, from_data=False)
        data = (problem.X,) if problem.y is None else (problem.X, problem.y)
        trace.begin()
        with (
            watched(lambda so_far: trace(so_far.theta.copy)),
            warnings.catch_warnings(action="ignore", category=ConvergenceWarning),
        ):
            model.fit(*data)
        trace(lambda: problem.network.pack(model.coefs_, model.intercepts_), last=True)

    return run


def watched(on_iteration):
    """A context in which fits of ours call a function after each iteration, by a private hook.

    With variable projection theta has the output layer in it that belongs to the others.
    """
    return patch.object(Run, "__call__", lambda run, so_far: on_iteration(so_far))


def curve(points, value):
    """Seconds and the lowest value so far."""
    values = np.minimum.accumulate([value(theta) for _, theta in points])
    return [round(t, 4) for t, _ in points], [float(f"{v:.7g}") for v in values]


def time_to(curve, target):
    """When the value was first at most the target; infinity if never."""
    return next((t for t, v in zip(*curve) if v <= target), np.inf)


def middle(pairs):
    """The median by the first item; of two in the middle the lower."""
    return sorted(pairs)[(len(pairs) - 1) // 2]


def race(problem, contenders, rounds, seconds):
    """For each round the curve of every contender; some bring a problem of their own."""
    found = []
    for seed in range(rounds):
        curves = {}
        for name, run in contenders.items():
            posed, run = run if isinstance(run, tuple) else (problem, run)
            curves[name] = curve(record(run, posed, seed, seconds), posed.value)
            print(f"{problem.name}, seed {seed}, {name}: {curves[name][1][-1]:.6g}", flush=True)
        found.append(curves)
    return found
