"""Small problems for the core: every loss, activation, penalty, depth and weighting."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from skl_sae.backprop.activations import ACTIVATIONS, STEEPNESS
from skl_sae.backprop.losses import DECODERS, LOSSES
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows

N_ROWS, N_FEATURES, N_OUTPUTS = 17, 5, 3

# The losses that a classifier may have, and the outputs of a decoder with squared error.
LABEL_LOSSES = [loss for loss, output in LOSSES if output == "logistic"]
OUTPUTS = [output for loss, output in DECODERS if loss == "squared_error"]


def when_slow(*values):
    """Parameters for the slow tests only: more of the same kind as those that are left."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


def make_objective(
    pair=("squared_error", "logistic"),
    activation="logistic",
    hidden=(4,),
    beta=0.0,
    weighted=False,
    tied=False,
    autoencoder=False,
    seed=0,
    block_size=7,
    n_threads=1,
    **options,
):
    """An objective whose terms are all of order one, with a point to evaluate it at."""
    rng = np.random.default_rng(seed)
    n_outputs = N_FEATURES if tied or autoencoder else N_OUTPUTS
    network = Network((N_FEATURES, *hidden, n_outputs), activation, tied)
    rows = Rows(
        X=rng.uniform(0.1, 0.9, size=(N_ROWS, N_FEATURES)),
        Y=None if n_outputs == N_FEATURES else rng.dirichlet(np.ones(n_outputs), N_ROWS),
        sample_weight=rng.uniform(0.1, 1, size=N_ROWS) if weighted else None,
        block_size=block_size,
        n_threads=n_threads,
    )
    objective = Objective(network, rows, *pair, beta=beta, **{"lam": 0.3, "rho": 0.2} | options)
    return objective, rng.normal(scale=0.5, size=network.n_params)


def with_rows(objective, **changes):
    """The same objective on rows that differ in some respects."""
    return objective.on(replace(objective.rows, **changes))


def take(objective, index):
    """The same objective on some of its rows."""
    return objective.on(objective.rows.take(index))


def table():
    """Keyword arguments of `make_objective` for the whole table."""
    depths = [(), (4,), (4, 3), (3, 2, 4)]
    for pair, activation, hidden, weighted in product(LOSSES, ACTIVATIONS, depths, [False, True]):
        for beta in [0.0, 2.0] if activation in STEEPNESS and hidden else [0.0]:
            yield {
                "pair": pair,
                "activation": activation,
                "hidden": hidden,
                "weighted": weighted,
                "beta": beta,
            }
    for pair, weighted in product(LOSSES, [False, True]):  # as in fine-tuning
        yield {
            "pair": pair,
            "hidden": (4, 3),
            "weighted": weighted,
            "beta": 0.0,
            "lam": (0.0, 0.2, 0.7),
        }
    for pair, activation, beta, weighted in product(
        DECODERS, STEEPNESS, [0.0, 2.0], [False, True]
    ):
        yield {
            "pair": pair,
            "activation": activation,
            "beta": beta,
            "weighted": weighted,
            "tied": True,
        }


def name(case):
    """A readable test id."""
    return "-".join(str(v) for v in case.values()).replace(" ", "")


TABLE = list(table())
