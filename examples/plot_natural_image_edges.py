r"""
==================================================
Do the units become edge detectors on photographs?
==================================================

This is the best known exercise of the UFLDL tutorial. An autoencoder sees nothing but small
patches of natural photographs, and its hidden units must be rarely active. After the fit they
detect edges: bright-dark borders at some position and in some direction. Simple cells in the
visual cortex respond to the same patterns [1]_.

The tutorial's network has 64 inputs (8 × 8 pixels), 25 hidden units and 64 outputs, with
ρ = 0.01, λ = 0.0001, β = 3 and 400 iterations of L-BFGS on 10,000 patches. Here it is fitted to
the two photographs that come with scikit-learn.

.. [1] B. A. Olshausen and D. J. Field, "Emergence of simple-cell receptive field properties by
       learning a sparse code for natural images", Nature 381, 1996.
"""

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images

from skl_sae import SparseAutoencoder

# %%
# Whitening
# ---------
# In photographs large smooth areas carry nearly all of the variance: the amplitude at the spatial
# frequency f falls like 1 / f. A squared error would therefore be spent on brightness alone. The
# tutorial's photographs have been whitened beforehand, as by Olshausen and Field: in the Fourier
# domain each is multiplied by
#
# .. math:: R(f) = f \, e^{-(f / f_0)^4}, \qquad f_0 = 0.4 \text{ cycles per pixel}.
#
# The factor f levels the falling spectrum; the exponential removes the highest frequencies, which
# are mostly noise and artefacts of the compression. Our photographs are first made grey (the mean
# of the colours) and half as large (the mean of 2 × 2 pixels), because their finest details are
# compression artefacts and a moiré pattern of the roof.


def shrink(photo):
    """Mean of the colours and of 2 × 2 pixels."""
    height, width = (n // 2 for n in photo.shape[:2])
    blocks = photo[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3)
    return blocks.mean(axis=(1, 3, 4))


def whiten(picture, f0=0.4):
    """Multiply the spectrum by f exp(-(f / f0)^4); f is in cycles per pixel."""
    f = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, picture.shape), indexing="ij"))
    white = np.fft.ifft2(np.fft.fft2(picture) * f * np.exp(-((f / f0) ** 4))).real
    return white / white.std()


whitened = [whiten(shrink(photo)) for photo in load_sample_images().images]

# %%
# Patches
# -------
# 10,000 patches are drawn at random from each photograph, away from its border, where the Fourier
# transform joins opposite sides. The half of them with more contrast is kept: unlike the
# tutorial's landscapes, ours are about half empty sky and blurred background.
#
# The rest is the tutorial's normalisation: the mean of each patch is subtracted, values beyond
# three standard deviations are clipped, and the result is squeezed into [0.1, 0.9], where a
# logistic output can follow without saturating.

SIZE, N_DRAWN, BORDER = 8, 10_000, 8
rng = np.random.default_rng(0)


def draw_patches(picture):
    """The more contrasty half of ``N_DRAWN`` random patches, one in each row."""
    inner = picture[BORDER:-BORDER, BORDER:-BORDER]
    windows = np.lib.stride_tricks.sliding_window_view(inner, (SIZE, SIZE))
    row, column = (rng.integers(n, size=N_DRAWN) for n in windows.shape[:2])
    patches = windows[row, column].reshape(N_DRAWN, SIZE * SIZE)
    contrast = patches.std(axis=1)
    return patches[contrast > np.median(contrast)]


def normalise(patches):
    """Subtract each mean, clip to three standard deviations, rescale to [0.1, 0.9]."""
    patches = patches - patches.mean(axis=1, keepdims=True)
    limit = 3 * patches.std()
    return (np.clip(patches, -limit, limit) / limit + 1) * 0.4 + 0.1


X = normalise(np.vstack([draw_patches(picture) for picture in whitened]))
X = X.astype(np.float32)  # half the time of float64
print(f"{len(X)} patches of {SIZE} x {SIZE} pixels, from {X.min():.1f} to {X.max():.1f}")

# %%
# What a unit looks for
# ---------------------
# Of all inputs of length one, the one that activates hidden unit j most is its row of
# ``components_`` divided by its norm. Drawn as a picture, it shows what the unit looks for. White
# is positive, black negative, grey zero; each picture has its own scale.
#
# λ and β are the tutorial's. It stops after 400 iterations. Here a fit begins on small samples of
# the patches, where iterations are cheap, and ends when 20 of them have not lowered the objective
# by 0.05 % of it: half the default of ``tol``, so that the filters become clearer.


def fit(n_components, rho):
    sae = SparseAutoencoder(
        n_components, rho=rho, lam=1e-4, beta=3, growing_samples=True, tol=5e-4, random_state=0
    ).fit(X)
    print(
        f"{n_components} units: objective {sae.loss_:.4f} after {sae.n_iter_} iterations, "
        f"mean activation {sae.mean_activation_.mean():.3f}, "
        f"explained variance {sae.score(X):.2f}"
    )
    return sae


def show_filters(sae, title):
    """The rows of ``components_``, each divided by its norm, as a grid of pictures."""
    filters = sae.components_ / np.linalg.norm(sae.components_, axis=1, keepdims=True)
    n = round(np.sqrt(len(filters)))
    fig, axes = plt.subplots(n, n, figsize=(6, 6.4), gridspec_kw={"wspace": 0.08, "hspace": 0.08})
    for ax, image in zip(axes.flat, filters.reshape(-1, SIZE, SIZE)):
        limit = np.abs(image).max()
        ax.imshow(image, cmap="gray", vmin=-limit, vmax=limit)
        ax.set_axis_off()
    fig.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.92)
    fig.suptitle(title, y=0.975)
    return fig


def save(fig, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        fig.savefig(path, dpi=150)
        print(f"saved {path}")


# %%
# The tutorial's network
# ----------------------
# All 25 units are edges, bars or corners: no two are alike, and together they cover the
# directions and the positions in the patch.

sae = fit(25, rho=0.01)
fig = show_filters(sae, "25 hidden units, ρ = 0.01: the input each looks for")
save(fig, "natural_image_edges_25.png")

# %%
# More units than pixels
# ----------------------
# 100 units make the code overcomplete. With ρ = 0.01 a patch could have only one active unit, and
# many units would stay flat; ρ = 0.02 allows two. The filters become finer: shorter edges, bars
# and curved pieces, in more positions and directions.

sae = fit(100, rho=0.02)
fig = show_filters(sae, "100 hidden units, ρ = 0.02: the input each looks for")
save(fig, "natural_image_edges_100.png")

plt.show()
