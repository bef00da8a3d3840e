r"""
=========================================================
When does pretraining pay, and what does fine-tuning add?
=========================================================

The stacked autoencoder of the UFLDL tutorial: a sparse autoencoder learns a code of the data, a
second one a code of that code, and a softmax classifier is trained on the second code. So far no
label has touched the hidden layers. Then the whole network is trained on the labels, from there:
*fine-tuning*.

There are two questions, on the digits that come with scikit-learn. How much better is the network
after fine-tuning than before? And how does it compare with the same network from random weights,
if few or many of the rows have labels? Pretraining needs no labels, so it can use all rows.

``--data FILE.npz`` uses other images: an array ``X`` of shape (n, pixels), labels ``y`` and
``n_train``, the number of training rows, which come first (0: a seventh is held out). ``--openml``
loads MNIST from openml.org. The network is then the tutorial's, 784-200-200-10.
"""

import argparse
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml, load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skl_sae import MLPBackpropClassifier, SparseAutoencoder

parser = argparse.ArgumentParser()
parser.add_argument("--data", help="npz file with X, y and n_train")
parser.add_argument("--openml", action="store_true", help="MNIST from openml.org")
parser.add_argument("--rows", type=int, help="use only so many rows")
options = parser.parse_args()
bundled = not (options.data or options.openml)

# %%
# Data
# ----
# Of the 1,797 digits 500 are held out, differently in each of three splits. The rest is for
# training; how many of the training rows have labels is varied.


def load():
    """Images with values in [0, 1], labels, and the number of training rows or 0."""
    if bundled:
        X, y = load_digits(return_X_y=True)
        return X.astype(np.float32) / 16, y, 0
    if options.openml:
        X, y = fetch_openml("mnist_784", return_X_y=True, as_frame=False)
        n_train = 60_000
    else:
        with np.load(options.data, allow_pickle=False) as file:
            X, y, n_train = file["X"].reshape(len(file["y"]), -1), file["y"], int(file["n_train"])
    return X.astype(np.float32) / 255, y.astype(int), n_train


def split(seed):
    """Training rows, test rows, training labels, test labels."""
    if n_train:
        return X[:n_train][: options.rows], X[n_train:], y[:n_train][: options.rows], y[n_train:]
    n_test = 500 if bundled else len(y) // 7
    parts = train_test_split(X, y, test_size=n_test, stratify=y, random_state=seed)
    return [part[: options.rows] for part in parts] if options.rows else parts


X, y, n_train = load()

# %%
# The network
# -----------
# ``pretraining`` takes a `SparseAutoencoder` as a template for all hidden layers. As in the
# tutorial, weight decay in fine-tuning is for the softmax layer alone: λ has one value for each
# layer. ``pretrained_`` is the network before fine-tuning.
#
# The sizes and penalties for the digits were chosen on other splits than those below, among half a
# dozen settings; for larger images they are the tutorial's. With ``tol=0.01`` all fits end earlier
# than with the default; the accuracies are no worse.

if bundled:
    HIDDEN, SPARSE = (64, 32), {"lam": 3e-4, "beta": 1.0, "rho": 0.1, "tol": 0.01}
    LABELLED, N_SPLITS = [20, 50, 200, 1297], 3
else:
    HIDDEN, SPARSE = (200, 200), {"lam": 3e-3, "beta": 3.0, "rho": 0.1, "tol": 0.01}
    LABELLED, N_SPLITS = [100, 600, 6_000, 60_000], 1
NETWORK = {"activation": "logistic", "lam": (0, 0, 1e-4), "tol": 0.01}

train, test, labels, test_labels = split(seed=0)
stacked = MLPBackpropClassifier(
    HIDDEN, pretraining=SparseAutoencoder(**SPARSE), random_state=0, **NETWORK
).fit(train, labels)
before = stacked.pretrained_.score(test, test_labels)
after = stacked.score(test, test_labels)
print(f"all {len(train)} training rows labelled, one split:")
print(f"accuracy before fine-tuning {before:.4f}, after it {after:.4f}")

# %%
# Few labels
# ----------
# Here the autoencoders are fitted once for each split, to all its training rows, and given to the
# networks in a ``FrozenEstimator``. The random start minimises the same objective; scikit-learn's
# ``MLPClassifier`` has the same layers and is left at its defaults (relu, Adam) but for the number
# of iterations.


def encoders(X, seed):
    """Two autoencoders, the second one fitted to the code of the first."""
    fitted = []
    for n_units in HIDDEN:
        sae = SparseAutoencoder(n_units, random_state=seed, **SPARSE).fit(X)
        fitted.append(FrozenEstimator(sae))
        X = sae.transform(X)
    return fitted


def compare(X, y, test, test_labels, pretraining, seed):
    """Test accuracies after training on the rows X with the labels y."""
    pretrained = MLPBackpropClassifier(HIDDEN, pretraining=pretraining, random_state=seed)
    random = MLPBackpropClassifier(HIDDEN, random_state=seed)
    for network in (pretrained, random):
        network.set_params(**NETWORK).fit(X, y)
    theirs = MLPClassifier(HIDDEN, max_iter=1000, random_state=seed).fit(X, y)
    return {
        "pretrained, before fine-tuning": pretrained.pretrained_.score(test, test_labels),
        "pretrained and fine-tuned": pretrained.score(test, test_labels),
        "random start": random.score(test, test_labels),
        "MLPClassifier": theirs.score(test, test_labels),
    }


def draw(X, y, n, seed):
    """``n`` random rows with each class in proportion, or all."""
    if n >= len(X):
        return X, y
    rows, _ = train_test_split(np.arange(len(X)), train_size=n, stratify=y, random_state=seed)
    return X[rows], y[rows]


scores = []
for seed in range(N_SPLITS):
    train, test, labels, test_labels = split(seed)
    pretraining = encoders(train, seed)
    for n in sorted({min(n, len(train)) for n in LABELLED}):
        some = draw(train, labels, n, seed)
        accuracies = compare(*some, test, test_labels, pretraining, seed)
        scores.append({"labelled rows": n, **accuracies})
scores = pd.DataFrame(scores)
means = scores.groupby("labelled rows").mean()
print(f"\nmean accuracy of {N_SPLITS} splits")
print(means.to_string(float_format="{:.4f}".format))

# %%
# With 20 labels, two of each digit, what was learned without labels is worth nearly nine points;
# fine-tuning on so few labels loses half of it. With all labels fine-tuning helps a little, and
# the random start gets as far: there pretraining no longer pays in accuracy.

if bundled:
    few, all_rows = means.iloc[0], means.iloc[-1]
    peers = few[["random start", "MLPClassifier"]].max()
    assert few["pretrained, before fine-tuning"] > peers + 0.01
    assert few["pretrained and fine-tuned"] > few["random start"]
    tuned = all_rows["pretrained and fine-tuned"]
    assert tuned > all_rows["pretrained, before fine-tuning"]
    assert abs(tuned - all_rows["random start"]) < 0.01


def save(fig, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        fig.savefig(path, dpi=150)
        print(f"saved {path}")


errors = scores.groupby("labelled rows").sem().fillna(0)
styles = dict(zip(means, ["o--", "o-", "s-", "^-"]))
colours = dict(zip(means, ["tab:red", "tab:red", "tab:blue", "tab:grey"]))
fig, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
for name, accuracy in means.items():
    ax.errorbar(
        means.index,
        100 * (1 - accuracy),
        yerr=100 * errors[name],
        fmt=styles[name],
        color=colours[name],
        capsize=3,
        label=name,
    )
ax.set(xscale="log", yscale="log", xlabel="rows with a label", ylabel="test error (%)")
ax.set_xticks(means.index, [f"{n:,}" for n in means.index])
ax.yaxis.set_major_formatter("{x:g}")
ax.yaxis.set_minor_formatter("{x:g}")
ax.tick_params(axis="x", which="minor", bottom=False)
ax.set_title(f"{'-'.join(map(str, (X.shape[1], *HIDDEN, 10)))}, mean ± standard error")
ax.grid(which="both", alpha=0.3)
ax.legend()
save(fig, "stacked_autoencoder.png")

plt.show()
