r"""
==========================================================
How much work does a quasi-Newton method save on one fit?
==========================================================

The tutorial trains its autoencoder by batch gradient descent first, and then recommends L-BFGS or
conjugate gradients (CG). Here all of them minimise the same objective from the same start. Their
cost is the number of evaluations of the objective with its gradient, including those of the line
searches. Each evaluation is one pass over the data.

The network is a sparse autoencoder (64-25-64) on every other one of the 1,797 digits of
scikit-learn.
"""

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import minmax_scale
from threadpoolctl import threadpool_limits

from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows
from skl_sae.backprop.solvers import minimise

X = minmax_scale(load_digits().data[::2])
network = Network((64, 25, 64), "logistic")
objective = Objective(network, Rows(X), lam=1e-4, beta=3, rho=0.05)
theta0 = objective.start(np.random.RandomState(0))  # biases from the data
from_zero = network.initialise(np.random.RandomState(0))  # the same weights, biases of zero
BUDGET = 500

# %%
# Counting
# --------
# The solvers know nothing of the objective but that it is a callable. So another one is wrapped
# around it, which remembers every value that was asked for. After each iteration a solver asks
# ``on_iteration`` whether to stop.


def best_values(solver, start=theta0, **options):
    """The best value so far after 1, 2, … evaluations, at most ``BUDGET``."""
    values = []

    def counted(theta):
        value, gradient = objective(theta)
        values.append(value)
        return value, gradient

    options |= {"max_iter": BUDGET, "tol": 0}
    with threadpool_limits(1, user_api="blas"):  # as the estimators do: the vectors are short
        minimise(
            counted,
            start,
            solver=solver,
            on_iteration=lambda so_far: len(values) >= BUDGET,
            **options,
        )
    return np.minimum.accumulate(values[:BUDGET])


# %%
# The runs
# --------
# Gradient descent needs a learning rate, and the right one is not known beforehand. The others
# find their step lengths by line search. Small rates crawl; the largest one jumps about, and is
# stopped when twenty steps in a row have found no better value.
#
# The fits start from the data, as those of the estimators do: the biases put the output at its
# best constant, and each hidden unit near its mean activation ρ. One more run of L-BFGS has the
# same weights and biases of zero, as in the tutorial.

runs = {"L-BFGS": best_values("lbfgs", coordinates=objective.coordinates)}
runs["CG"] = best_values("cg", coordinates=objective.coordinates)
runs["L-BFGS, biases from zero"] = best_values(
    "lbfgs", from_zero, coordinates=objective.coordinates
)
for rate in (0.03, 0.1, 0.3, 1.0, 3.0):
    runs[f"gradient descent, rate {rate:g}"] = best_values("sgd", learning_rate=rate)

print(f"best objective so far, of {theta0.size} parameters and {len(X)} rows")
print(f"{'evaluations':30s}" + "".join(f"{n:9d}" for n in (10, 30, 100, 300, 500)))
for name, values in runs.items():
    row = (values[min(n, len(values)) - 1] for n in (10, 30, 100, 300, 500))
    print(f"{name:30s}" + "".join(f"{value:9.4f}" for value in row))

descents = [values for name, values in runs.items() if name.startswith("gradient")]
reached = min(values[-1] for values in descents)
for name in ("L-BFGS", "CG"):
    n = np.argmax(runs[name] <= reached) + 1
    print(f"{name} needs {n} evaluations for the best of gradient descent after {BUDGET}")


# %%
# The picture
# -----------
# Both axes are logarithmic. The start is on a plateau: the output is the mean of the data, and the
# units still have to become different from each other. L-BFGS and CG leave it after a few
# evaluations; gradient descent with the best of the rates takes hundreds. With biases of zero the
# objective is twenty times as large at first, and it takes L-BFGS some ten evaluations to set the
# mean activations right: the steep part.


def save(fig, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        fig.savefig(path, dpi=150)
        print(f"saved {path}")


fig, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
blues = plt.colormaps["Blues"](np.linspace(0.35, 0.95, len(descents)))
colours = dict(zip(runs, ["tab:red", "tab:orange", "tab:grey", *blues]))
for name, values in runs.items():
    ax.loglog(1 + np.arange(len(values)), values, color=colours[name], label=name)
ax.set(xlabel="evaluations of objective and gradient", ylabel="best objective so far")
ax.set_title("Sparse autoencoder on the digits: the same weights at the start")
ax.grid(which="both", alpha=0.25)
ax.legend()
save(fig, "solvers.png")

plt.show()
