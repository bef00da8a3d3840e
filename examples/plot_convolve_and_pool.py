r"""
=========================================================================
Does a classifier still find the digit when it is not in its usual place?
=========================================================================

To a linear classifier of pixels, an image that has moved is another image. The UFLDL tutorial has
a remedy. It learns features of small patches, applies them at every position of the image
(convolution), and averages each over large regions (pooling). A feature then shows that there is a
stroke of some direction in the upper left of the image, but not at which pixel.

The digits that come with scikit-learn are put on an empty canvas of 16 × 16 pixels, in the middle
or up to four pixels away from it, and classified by softmax regression on the pixels and on the
pooled features.

``--data FILE.npz`` does the same with other square images: an array ``X`` of shape (n, pixels)
and labels ``y``. ``--openml`` loads MNIST from openml.org. ``--rows`` limits their number, by
default to 6,000.
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
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skl_sae import ConvolveAndPool, MLPBackpropClassifier, SparseAutoencoder, ZCAWhitening

parser = argparse.ArgumentParser()
parser.add_argument("--data", help="npz file with X and y")
parser.add_argument("--openml", action="store_true", help="MNIST from openml.org")
parser.add_argument("--rows", type=int, default=6_000, help="use only so many rows")
options = parser.parse_args()
bundled = not (options.data or options.openml)

# %%
# Images
# ------
# Each digit is used once, at one position: the test rows are other digits, not the same ones
# moved.


def load():
    """Square images with values in [0, 1], and labels."""
    if bundled:
        X, y = load_digits(return_X_y=True)
        return X.astype(np.float32) / 16, y
    if options.openml:
        X, y = fetch_openml("mnist_784", return_X_y=True, as_frame=False)
    else:
        with np.load(options.data, allow_pickle=False) as file:
            X, y = file["X"].reshape(len(file["y"]), -1), file["y"]
    rows = np.random.default_rng(0).permutation(len(y))[: options.rows]
    return X[rows].astype(np.float32) / 255, y[rows].astype(int)


def move(X, reach, rng):
    """The images on a larger canvas, up to ``reach`` pixels away from its middle."""
    canvas = np.zeros((len(X), SIDE + 8, SIDE + 8), X.dtype)
    corners = 4 + rng.integers(-reach, reach + 1, size=(len(X), 2))
    for image, digit, (row, column) in zip(canvas, X.reshape(-1, SIDE, SIDE), corners):
        image[row : row + SIDE, column : column + SIDE] = digit
    return canvas.reshape(len(X), -1)


X, y = load()
SIDE = round(np.sqrt(X.shape[1]))

# %%
# Convolution and pooling
# -----------------------
# The encoder is a pipeline: whitening, then a sparse autoencoder with a linear decoder.
# `ConvolveAndPool` fits it to random patches of the training images and applies it to all patches
# of an image. Patches of 6 × 6 pixels give feature maps of 11 × 11, which are averaged over the
# whole map or over a grid of 3 × 3 regions. The encoder is the same for both: a fitted one stays
# as it is in a ``FrozenEstimator``.
#
# A pooled mean varies little, because most of the image is empty: all inputs are brought to
# variance one before the classifier, so that its weight decay means the same for all. With
# ``tol=0.01`` the fits end earlier than with the default; the accuracies are much the same.

PATCH = 6 if bundled else 8
MAP = SIDE + 8 - PATCH + 1
SHAPES = {"image_shape": (SIDE + 8, SIDE + 8), "patch_shape": (PATCH, PATCH)}


def learn(images, seed):
    """The encoder, fitted to patches of the images."""
    sae = SparseAutoencoder(
        144, lam=3e-4, beta=3, rho=0.03, output_activation="identity", tol=0.01, random_state=0
    )
    encoder = make_pipeline(ZCAWhitening(epsilon=0.03), sae)
    return ConvolveAndPool(encoder, random_state=seed, **SHAPES).fit(images).encoder_


def classifiers(encoder):
    """The classifier on three inputs."""
    inputs = {"raw pixels": FunctionTransformer()}
    for name, n_regions in {"grid of 3 × 3": 3, "whole map": 1}.items():
        size = -(-MAP // n_regions)  # rounded up
        inputs[f"convolution, pooled over {name}"] = ConvolveAndPool(
            FrozenEstimator(encoder), pool_shape=(size, size), **SHAPES
        )
    return {
        name: make_pipeline(
            transformer,
            StandardScaler(),
            MLPBackpropClassifier((), lam=1e-3, tol=0.01),
        )
        for name, transformer in inputs.items()
    }


# %%
# The comparison
# --------------
# Three splits. The features are learned once for each, from the training images at all positions.

scores = []
for seed in range(3):
    rng = np.random.default_rng(seed)
    train, test, labels, test_labels = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=seed
    )
    encoder = learn(move(train, 4, rng), seed)
    for reach in (0, 2, 4):
        moved, moved_test = move(train, reach, rng), move(test, reach, rng)
        for name, model in classifiers(encoder).items():
            accuracy = model.fit(moved, labels).score(moved_test, test_labels)
            scores.append({"pixels moved": reach, "input": name, "accuracy": accuracy})
scores = pd.DataFrame(scores)
means = scores.pivot_table(index="pixels moved", columns="input", values="accuracy", sort=False)
print(means.to_string(float_format="{:.4f}".format))

# %%
# In the middle the pooled features are as good as raw pixels, or better. The further the digits
# move, the worse raw pixels get; chance is 10 %. Means over the whole map hardly depend on the
# position, and lose least. The grid knows more of where a stroke is: better in the middle, worse
# far from it.

if bundled:
    near, far = means.iloc[0], means.iloc[-1]
    grid, whole = means.columns[1:]
    assert near[grid] > near["raw pixels"] - 0.005
    assert far[whole] > far["raw pixels"] + 0.4
    assert far[whole] > far[grid] + 0.05
    assert near[whole] - far[whole] < 0.15


def save(fig, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        fig.savefig(path, dpi=150)
        print(f"saved {path}")


fig, (ax, *small) = plt.subplots(
    1, 4, figsize=(11, 3.8), layout="constrained", width_ratios=[3, 1, 1, 1]
)
for (name, rows), fmt in zip(scores.groupby("input", sort=False), ["s-", "^-", "o-"]):
    groups = rows.assign(percent=100 * rows["accuracy"]).groupby("pixels moved")["percent"]
    ax.errorbar(means.index, groups.mean(), yerr=groups.sem(), fmt=fmt, capsize=3, label=name)
ax.set(xlabel="largest distance from the middle (pixels)", ylabel="accuracy (%)")
ax.set_xticks(means.index)
ax.grid(alpha=0.3)
ax.legend(loc="center right", fontsize="small")
for image, picture in zip(move(X[:3], 4, np.random.default_rng(0)), small):
    picture.imshow(image.reshape(SIDE + 8, SIDE + 8), cmap="gray_r")
    picture.set(xticks=[], yticks=[])
small[1].set_title("up to 4 pixels away")
save(fig, "convolve_and_pool.png")

plt.show()
