r"""
=======================================================
Which colours does a linear decoder see in photographs?
=======================================================

This is the "linear decoder" exercise of the UFLDL tutorial: an autoencoder of colour patches. A
logistic output lies between 0 and 1, but whitened pixels have both signs and no bounds. So the
decoder has to be linear (``output_activation="identity"``). It finds edges, between light and dark
and between opposing colours: blue and orange, purple and green. Cells of the retina and the visual
cortex also respond to opposing colours.

The tutorial uses 100,000 patches of 8 × 8 pixels of small photographs and 400 hidden units. Here
there are 15,000 patches of the two photographs that come with scikit-learn, and 100 units. The
parameters λ = 0.003, β = 5 and ρ = 0.035 are the tutorial's.

``--data FILE.npz`` takes other photographs, an array ``X`` of shape (n, height, width, 3) with
values from 0 to 255, and the tutorial's numbers of patches and units.
"""

import argparse
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.pipeline import make_pipeline

from skl_sae import SparseAutoencoder, ZCAWhitening

parser = argparse.ArgumentParser()
parser.add_argument("--data", help="npz file with X of shape (n, height, width, 3)")
options = parser.parse_args()

# %%
# Patches
# -------
# Each row is one patch: 8 lines of 8 pixels of 3 colours. The bundled photographs are first made
# half as large (the mean of 2 × 2 pixels), because their finest details are artefacts of the
# compression.

SIZE = 8
N_PATCHES, N_UNITS = (100_000, 400) if options.data else (15_000, 100)
rng = np.random.default_rng(0)


def load():
    """Photographs with values from 0 to 255."""
    if options.data:
        with np.load(options.data, allow_pickle=False) as file:
            return file["X"]
    photos = np.array(load_sample_images().images)[:, :-1]  # an even number of lines
    n, height, width, _ = photos.shape
    return photos.reshape(n, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4))


def draw_patches(photos, n):
    """Random patches with values in [0, 1], one in each row."""
    windows = np.lib.stride_tricks.sliding_window_view(photos, (SIZE, SIZE), axis=(1, 2))
    which = [rng.integers(length, size=n) for length in windows.shape[:3]]
    patches = np.moveaxis(windows[tuple(which)], 1, -1)  # the colours behind the pixels
    return patches.reshape(n, -1).astype(np.float32) / 255


X = draw_patches(load(), N_PATCHES)
print(f"{len(X):,} patches of {X.shape[1]} values")

# %%
# Whitening and learning
# ----------------------
# In photographs neighbouring pixels are nearly equal, and so are the three colours of one pixel.
# `ZCAWhitening` takes these correlations away; ε = 0.1 leaves the directions small that hold
# little but noise. The squared error of the autoencoder then counts every direction alike.

pipeline = make_pipeline(
    ZCAWhitening(epsilon=0.1),
    SparseAutoencoder(
        N_UNITS,
        lam=3e-3,
        beta=5,
        rho=0.035,
        output_activation="identity",
        random_state=0,
    ),
)
zca, sae = pipeline.fit(X)
print(f"objective {sae.loss_:.3f} after {sae.n_iter_} iterations")
print(f"mean activation {sae.mean_activation_.mean():.3f}")

# %%
# The filters
# -----------
# A unit multiplies the whitened patch by its weights. Whitening is linear too, so that the unit's
# weights for the pixels themselves are the row of ``components_`` times the whitening matrix.

filters = sae.components_ @ zca.whitening_
filters = filters / np.linalg.norm(filters, axis=1, keepdims=True)

# %%
# How much of a filter is colour? If its three colours were alike, it would see light and dark
# only. The share of its squared weights that the mean of the three colours leaves over is that of
# colour. Opposing colours show as a negative weight for one colour where another one has a
# positive weight.

pixels = filters.reshape(N_UNITS, SIZE * SIZE, 3)
grey = pixels.mean(axis=2, keepdims=True)
colour = ((pixels - grey) ** 2).sum(axis=(1, 2))
strongest = pixels[np.arange(N_UNITS), np.abs(pixels).max(axis=2).argmax(axis=1)]
opposing = (colour > 0.5) & (strongest.min(axis=1) < 0) & (strongest.max(axis=1) > 0)
print(f"{(colour < 0.1).sum()} units of {N_UNITS} see light and dark")
print(f"{(colour > 0.5).sum()} units see colour; {opposing.sum()} of them opposing colours")
assert (colour < 0.1).sum() >= 0.2 * N_UNITS
assert opposing.sum() >= 0.05 * N_UNITS

# %%
# In the picture the units are sorted by their share of colour. Grey is a weight of zero; each
# filter has its own scale.


def save(fig, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        fig.savefig(path, dpi=150)
        print(f"saved {path}")


def show_filters(filters):
    """A grid of pictures."""
    n = round(np.sqrt(len(filters)))
    fig, axes = plt.subplots(n, n, figsize=(6, 6.4), gridspec_kw={"wspace": 0.08, "hspace": 0.08})
    for ax, weights in zip(axes.flat, filters):
        image = weights.reshape(SIZE, SIZE, 3)
        ax.imshow(0.5 + 0.5 * image / np.abs(image).max())
        ax.set_axis_off()
    fig.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.92)
    return fig


fig = show_filters(filters[np.argsort(colour)])
fig.suptitle(f"{N_UNITS} units on whitened colour patches: light and dark, then colour", y=0.975)
save(fig, "colour_features.png")

plt.show()
