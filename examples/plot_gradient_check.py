r"""
==============================================
Does gradient checking catch a wrong gradient?
==============================================

A network with a mistake in its backpropagation still learns, but the loss falls more slowly and
ends higher. The tutorial therefore compares the gradient with central differences of the
objective,

.. math:: \frac{\partial J}{\partial \theta_k}
          \approx \frac{J(\theta + \varepsilon e_k) - J(\theta - \varepsilon e_k)}{2\varepsilon},
          \qquad \varepsilon = 10^{-4}.

`check_gradient` does this for the objective that an estimator minimises. Here it is tried on
gradients that are right and on gradients with planted mistakes.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import minmax_scale

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder, check_gradient
from skl_sae.backprop.gradient_check import compare_gradient
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows

X, y = load_digits(return_X_y=True)
X, y = minmax_scale(X)[:50], y[:50]

# %%
# The estimators
# --------------
# Each checked alone; a few rows are enough. The errors are rounding errors.

estimators = {
    "autoencoder": SparseAutoencoder(10, rho=0.05),
    "autoencoder, tanh": SparseAutoencoder(10, activation="tanh", output_activation="identity"),
    "classifier, two layers": MLPBackpropClassifier((8, 6), lam=0.01),
    "classifier, sparse code": MLPBackpropClassifier((8,), beta=0.5, rho=0.1),
    "regressor": MLPBackpropRegressor((8,), lam=0.01),
}
right = {}
for name, estimator in estimators.items():
    check = check_gradient(estimator, X, y)
    right[name] = check.max_relative_error
    print(fill(f"{name}: {check}", 99, subsequent_indent="    "))
    assert check.max_relative_error < 1e-7

# %%
# Planted mistakes
# ----------------
# ``Objective`` is a callable that returns the value and the gradient, so that a mistake can be
# wrapped around it. These six have all been made in real programs; the value stays right, only
# the gradient is wrong. The weights are random numbers, the biases too: at biases of zero a decay
# of the biases would not show.

network = Network((64, 10, 64), "logistic")
objective = Objective(network, Rows(X), lam=1e-4, beta=3, rho=0.05)
rng = np.random.default_rng(0)
theta = rng.normal(scale=0.1, size=network.n_params)
encoder = slice(0, 64 * 10)  # theta holds all weights, layer by layer, then all biases
decoder = slice(64 * 10, 2 * 64 * 10)
biases = slice(2 * 64 * 10, None)


def plant(change):
    """The objective with ``change(theta, gradient)`` in place of its gradient."""

    def wrong(theta):
        value, gradient = objective(theta)
        return value, change(theta, gradient)

    return wrong


def add_to(part, values):
    """Add ``values(theta, gradient)`` to one part of the gradient."""

    def change(theta, gradient):
        gradient = gradient.copy()
        gradient[part] += values(theta[part], gradient[part])
        return gradient

    return change


not_sparse = replace(objective, beta=0)
mistakes = {
    "encoder × 1.001": add_to(encoder, lambda theta, gradient: 0.001 * gradient),
    "no decay of the decoder": add_to(decoder, lambda theta, gradient: -objective.lam * theta),
    "biases decayed too": add_to(biases, lambda theta, gradient: objective.lam * theta),
    "sparsity term forgotten": lambda theta, gradient: not_sparse(theta)[1],
    "sparsity term of wrong sign": lambda theta, gradient: 2 * not_sparse(theta)[1] - gradient,
    "divided by the outputs": lambda theta, gradient: gradient / 64,
}


def error_of(function, epsilon=1e-4, every=1):
    """The largest relative error at ``theta``, of every n-th parameter and 10 directions."""
    return compare_gradient(
        function,
        theta,
        entries=range(0, network.n_params, every),
        directions=np.random.default_rng(1).normal(size=(10, network.n_params)),
        name_of=network.name_of,
        epsilon=epsilon,
    ).max_relative_error


right["autoencoder, random biases"] = error_of(objective)
wrong = {name: error_of(plant(change), every=10) for name, change in mistakes.items()}
for name, error in wrong.items():
    print(f"{name}: {error:.2e}, {'caught' if error > 1e-7 else 'MISSED'}")
assert min(wrong.values()) > 1e-7 > max(right.values())

# %%
# Of the right gradient every entry has been tried; to find a mistake every tenth is enough.
# Between the worst of the right gradients and the least of the mistakes lie several orders of
# magnitude, although one mistake is only a thousandth of one layer, and two others concern a
# weight decay of 0.0001.


def save(fig, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        fig.savefig(path, dpi=150)
        print(f"saved {path}")


errors = {**right, **wrong}
colours = ["tab:green"] * len(right) + ["tab:red"] * len(wrong)
fig, ax = plt.subplots(figsize=(8, 4.6), layout="constrained")
bars = ax.barh(list(errors), list(errors.values()), left=1e-12, color=colours)
ax.bar_label(
    bars,
    [f"{error:.1e}" for error in errors.values()],
    padding=3,
    fontsize="small",
    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
)
ax.axvline(1e-7, color="black", linestyle="--", linewidth=1)
ax.text(1.3e-7, -0.35, "limit $10^{-7}$", va="center")
ax.set(xscale="log", xlim=(1e-12, 100), xlabel="largest relative error")
ax.set_title("Right gradients (green) and planted mistakes (red)")
ax.invert_yaxis()
save(fig, "gradient_check_errors.png")

# %%
# Why ε = 0.0001?
# ---------------
# The central difference has two errors. Its truncation error falls like ε²; the rounding error of
# J, divided by 2ε, rises like 1/ε. Their sum is a V in logarithmic axes, and the tutorial's
# ε = 0.0001 is near its bottom. The error of a wrong gradient does not get smaller with any ε.

epsilons = np.logspace(-10, 0, 21)
fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
for function, label, colour in (
    (plant(mistakes["encoder × 1.001"]), "encoder × 1.001", "tab:red"),
    (plant(mistakes["no decay of the decoder"]), "no decay of the decoder", "tab:orange"),
    (objective, "right gradient", "tab:green"),
):
    curve = [error_of(function, epsilon, every=50) for epsilon in epsilons]
    ax.loglog(epsilons, curve, "o-", markersize=4, color=colour, label=label)
ax.axvline(1e-4, color="black", linestyle="--", linewidth=1)
ax.annotate("the tutorial's ε", (1e-4, 1e-2), xytext=(5, 0), textcoords="offset points")
ax.set(xlabel="ε", ylabel="largest relative error")
ax.set_title("Central differences with other step sizes")
ax.legend()
save(fig, "gradient_check_epsilon.png")

plt.show()
