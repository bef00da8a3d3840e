r"""
========================================================================
Does MLPBackpropClassifier predict as well as scikit-learn's classifier?
========================================================================

`MLPBackpropClassifier` is compared with scikit-learn's ``MLPClassifier``, with its solvers L-BFGS
and Adam, on three tables that come with scikit-learn. All three have one hidden layer of 50 tanh
units and minimise the same objective with the same weight decay, which was chosen once for all of
them and for all tables.
"""

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skl_sae import MLPBackpropClassifier

# %%
# The same weight decay
# ---------------------
# scikit-learn divides its ``alpha`` by the number of rows it sees at once: all n rows of the
# training set with L-BFGS, a mini-batch of at most 200 with Adam. Our λ is not divided by
# anything. The same objective therefore needs alpha = n λ and alpha = min(200, n) λ. Each fold
# trains on four fifths of the rows.
#
# All other parameters are the defaults, but for scikit-learn's ``max_iter``, which is so large
# that its solvers do not run into it.

LAM = 3e-3


def networks(n_train):
    common = {"hidden_layer_sizes": (50,), "activation": "tanh", "random_state": 0}
    theirs = common | {"max_iter": 1000}
    return {
        "MLPBackpropClassifier": MLPBackpropClassifier(lam=LAM, **common),
        "MLPClassifier, lbfgs": MLPClassifier(solver="lbfgs", alpha=LAM * n_train, **theirs),
        "MLPClassifier, adam": MLPClassifier(alpha=LAM * min(200, n_train), **theirs),
    }


# %%
# The comparison
# --------------
# Five stratified folds, the same for all; of the digits every other row is enough. Each network
# stands behind a ``StandardScaler``. The rows are float32, with which all networks calculate then,
# in about half the time; BLAS has one thread, so that the times are those of one core.

digits, labels = load_digits(return_X_y=True)
tables = {
    "digits": (digits[::2], labels[::2]),
    "breast cancer": load_breast_cancer(return_X_y=True),
    "wine": load_wine(return_X_y=True),
}
folds = StratifiedKFold(n_splits=5, shuffle=True, random_state=0)

results = []
for table, (X, y) in tables.items():
    X = X.astype(np.float32)
    for name, network in networks(n_train=round(0.8 * len(X))).items():
        with threadpool_limits(1, user_api="blas"):
            scores = cross_validate(make_pipeline(StandardScaler(), network), X, y, cv=folds)
        results.append(
            {
                "table": table,
                "network": name,
                "accuracy": scores["test_score"].mean(),
                "std": scores["test_score"].std(),
                "fit time (s)": scores["fit_time"].mean(),
            }
        )
results = pd.DataFrame(results)
print(results.to_string(index=False, float_format="{:.4f}".format))
best = results.groupby("table")["accuracy"].max()
ours = results[results["network"] == "MLPBackpropClassifier"].set_index("table")["accuracy"]
assert (best - ours <= 0.005).all(), "half a point behind the best network"

# %%
# The two networks trained by L-BFGS minimise the same function, so that their accuracies hardly
# differ; scikit-learn's stops earlier, at a larger gradient, and Adam takes longest. The bars are
# one standard deviation of the five splits: no difference is larger than that.


def save(fig, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        fig.savefig(path, dpi=150)
        print(f"saved {path}")


def dot_plot(ax, column, error=None):
    """One line for each table, one dot for each network."""
    shifts = {name: 0.2 * (1 - i) for i, name in enumerate(results["network"].unique())}
    for name, rows in results.groupby("network", sort=False):
        heights = [shifts[name] - list(tables).index(table) for table in rows["table"]]
        errors = None if error is None else rows[error]
        ax.errorbar(rows[column], heights, xerr=errors, fmt="o", capsize=3, label=name)
    ax.set_yticks([-i for i in range(len(tables))], list(tables))
    ax.grid(axis="x", alpha=0.3)


fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
dot_plot(axes[0], "accuracy", error="std")
axes[0].set(xlabel="accuracy (mean ± standard deviation)")
axes[0].locator_params(axis="x", nbins=5)
dot_plot(axes[1], "fit time (s)")
axes[1].set(xlabel="mean time of a fit (s), one core", xscale="log")
axes[1].set_xticks([0.1, 1], ["0.1", "1"])
axes[1].xaxis.set_minor_formatter("")  # their numbers would overlap
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
save(fig, "mlp_classification.png")

plt.show()
