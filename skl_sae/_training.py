"""Training: minimise an objective from several starts, and choose the best run.

This file does not depend on the estimators.
"""

from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np

from .backprop.batches import Batches
from .backprop.descent import rate_on_trial
from .backprop.solvers import SHARES, minimise, watch_nothing

# Relative rounding error of the objective for rows in single precision (4 bytes) and in double
# precision (8 bytes). Sums over the rows are always in double precision.
ROUNDING = {4: 5e-10, 8: 2.2e-16}

# Rows from which growing_samples="auto" grows them.
GROW_FROM = 20_000

# Solvers with steps along a gradient, of mini-batches by default.
BY_STEPS = ("adam", "sgd")

# What "auto" means. Rows of a mini-batch. Iterations on all rows. Steps of mini-batches, and the
# fewest and most epochs. The longest step of Adam for networks and for autoencoders, and the share
# of it that `partial_fit` uses, where the steps do not shrink.
BATCH_SIZE = 200
ITERATIONS = 1500
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 2000, 20, 200
ADAM_RATE, ADAM_RATE_OF_AUTOENCODERS, FOR_EVER = 0.01, 0.02, 1 / 10

# Rows on which the step length of gradient descent is chosen.
SAMPLE = 500

# variable_projection="auto" solves a system for the output layer of at most h² = CHEAP times the
# number of weights.
CHEAP = 4


class Options(NamedTuple):
    """How to minimise: the parameters of the estimators, with "auto" resolved.

    Attributes
    ----------
    solver : str
        A key of `solvers.SOLVERS`.
    max_iter, tol, patience, history_size, learning_rate, momentum, memory
        See `solvers`.
    batch_size : int or None
        Rows of a mini-batch; None means all rows.
    shuffle : bool
        Whether mini-batches are drawn in random order.
    grows : bool
        Whether "lbfgs" runs on samples of the rows first.
    projects : bool
        Whether "lbfgs" runs on the hidden layers alone first.
    name : str or None
        Name to print with J after each iteration; None prints nothing.
    """

    solver: str
    max_iter: int
    tol: float
    patience: int
    history_size: int
    learning_rate: float | None
    momentum: float
    batch_size: int | None
    shuffle: bool
    grows: bool
    projects: bool
    name: str | None = None
    anneal: bool = True
    memory: tuple = ()


def train(objective, starts, rng, options, watch):
    """Minimise from every start, and choose the run with the highest score.

    Parameters
    ----------
    objective : Objective
        The objective to minimise.
    starts : iterable of ndarray of shape (n_params,)
        The starts.
    rng : RandomState
        Random numbers for samples and the order of mini-batches.
    options : Options
        How to minimise.
    watch : callable
        ``watch(theta0)`` is called with each start and returns the watcher of its run. The
        watcher is a callable ``on_iteration``. Its method ``keep(result)`` returns the result to
        keep and sets its ``score``.

    Returns
    -------
    run, result
        The watcher of the best run, and the result that it kept.
    """
    runs = []
    for theta0 in starts:
        run = watch(theta0)
        result = minimised(objective, theta0, rng, options, run)
        if result.status == "failed" and options.batch_size:  # its last point is above the start
            value = objective.value(theta0)
            n_evaluations = result.n_evaluations + 1
            result = result._replace(theta=theta0, value=value, n_evaluations=n_evaluations)
        runs.append((run, run.keep(result)))
    return max(runs, key=lambda pair: pair[0].score)


def minimised(objective, theta0, rng, options, on_iteration=watch_nothing):
    """The `Result` of one run.

    Raises
    ------
    FloatingPointError
        The objective is not finite at the start, or at the end.
    """
    if options.name:
        on_iteration = _printing(options.name, on_iteration)
    if options.solver in BY_STEPS and options.learning_rate is None:
        rate = _learning_rate(objective, theta0, rng, options)
        options = options._replace(learning_rate=rate)
    by_steps = options.solver in BY_STEPS
    known = {"learning_rate": options.learning_rate if by_steps else None}
    result = minimise(
        objective,
        theta0,
        solver=options.solver,
        on_iteration=lambda so_far: on_iteration(so_far._replace(**known)),
        max_iter=options.max_iter,
        tol=options.tol,
        patience=options.patience,
        baseline=objective.baseline,
        **_own_options(objective, rng, options),
    )
    return result._replace(**known)


def _own_options(objective, rng, options):
    """The options that only some solvers have."""
    if options.solver in BY_STEPS:
        own = {name: getattr(options, name) for name in ("learning_rate", "memory")}
        if options.solver == "sgd":
            own["momentum"] = options.momentum
        else:
            own["coordinates"] = objective.coordinates
        if options.batch_size is None:
            return own
        batches = Batches(objective, options.batch_size, rng, options.shuffle)
        return own | {"batches": batches, "anneal": options.anneal}
    own = {"coordinates": objective.coordinates}
    if options.solver == "lbfgs":
        own["history_size"] = options.history_size
        own["eps"] = ROUNDING[objective.rows.dtype.itemsize]
        own["stages"] = _stages(objective, rng, options)
    return own


def _learning_rate(objective, theta0, rng, options):
    """The step length that ``learning_rate="auto"`` means."""
    if options.solver == "adam":
        rate = ADAM_RATE_OF_AUTOENCODERS if objective.is_autoencoder else ADAM_RATE
        return rate if options.anneal else FOR_EVER * rate
    (_, sample), *_ = objective.samples([min(1, SAMPLE / objective.rows.n_rows)], rng)
    return rate_on_trial(sample, theta0, options.momentum)


def _printing(name, on_iteration):
    """The same ``on_iteration``, which also prints J after each iteration."""

    def printing(so_far):
        n_iter = len(so_far.loss_curve)
        print(f"[{name}] iteration {n_iter:4d}  objective {so_far.value:.8g}")
        return on_iteration(so_far)

    return printing


def _stages(objective, rng, options):
    """The stages of "lbfgs" before the objective itself: shares and objectives."""
    first = replace(objective, variable_projection=options.projects)
    if options.grows:
        yield from first.samples(SHARES, rng)
    if options.projects:
        yield 1, first


def epochs(n_rows, batch_size):
    """The number of epochs of mini-batches that ``max_iter="auto"`` means."""
    n_batches = ceil(n_rows / batch_size)
    return int(np.clip(ceil(STEPS / n_batches), LEAST_EPOCHS, MOST_EPOCHS))


def pays_to_grow(objective):
    """Whether ``growing_samples="auto"`` begins on samples of the rows.

    The last column has J after the work of 100 iterations on 60,000 rows, first with samples,
    then without (``benchmarks/growing.py``).

    ================================  =====  ===================================
    fit                               grows  measured
    ================================  =====  ===================================
    fewer than `GROW_FROM` rows       no     there are seconds to save at most
    no hidden layer (J is convex)     no     0.406 and 0.400
    784-100-10, autoencoder with 50   yes    0.281 and 0.313, 10.9 and 11.7
    ================================  =====  ===================================
    """
    return len(objective.network.sizes) > 2 and objective.rows.n_rows >= GROW_FROM


def can_project(objective):
    """Whether the objective is quadratic in the output layer, and that layer is not tied."""
    network = objective.network
    is_linear = (objective.loss, objective.output_activation) == ("squared_error", "identity")
    return is_linear and len(network.sizes) > 2 and not network.tied


def pays_to_project(objective):
    """Whether ``variable_projection="auto"`` solves the output layer exactly.

    ==========================================  ====================================
    not where                                   because
    ==========================================  ====================================
    λ is below 50 roundings of the rows' dtype  rounding would choose the output layer
    there are fewer rows than units h           the system is not determined
    h² is above `CHEAP` times all weights       its h × h product is the dearest one
    ==========================================  ====================================
    """
    if objective.output_lam <= 50 * np.finfo(objective.rows.dtype).eps:
        return False
    network = objective.network
    n_units = network.sizes[-2]
    return n_units <= objective.rows.n_rows and n_units**2 <= CHEAP * network.n_weights
