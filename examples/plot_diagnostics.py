r"""
============================================
Has the autoencoder learned a code, or what?
============================================

A low objective does not prove that the code of a sparse autoencoder is good. Penalties that are
too strong leave every unit at the mean activation ρ in every row. The sparsity penalty is then
zero, but the code carries no information. Without a penalty nearly all units are active in every
row. This example shows the plots and numbers that distinguish such codes from a good one. A grid
search then chooses parameters by these numbers.

The data are 5,000 patches of 8 × 8 grey pixels of the two photographs that come with
scikit-learn, those with more contrast of 10,000, normalised as in the UFLDL tutorial.
"""

import os
import sys
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skl_sae import (
    CodeDisplay,
    ComponentsDisplay,
    LossCurveDisplay,
    PatchNormalizer,
    ReconstructionDisplay,
    SparseAutoencoder,
    code_diagnostics,
)
from skl_sae.exceptions import CollapseWarning

warnings.simplefilter("ignore", CollapseWarning)  # two of the fits below collapse on purpose


def draw_patches(photo):
    """Random patches of the mean of the colours, one in each row."""
    patches = extract_patches_2d(photo.mean(axis=2), (8, 8), max_patches=5_000, random_state=0)
    return patches.reshape(len(patches), -1).astype(np.float32)


patches = np.vstack([draw_patches(photo) for photo in load_sample_images().images])
contrast = patches.std(axis=1)
X = patches[contrast > np.median(contrast)]

pipe = make_pipeline(
    PatchNormalizer(),
    SparseAutoencoder(49, lam=1e-4, rho=0.02, growing_samples=True, random_state=0),
).fit(X)


def save(display, name):
    """Save the picture of a script; sphinx-gallery takes its own."""
    if "sphinx_gallery" not in sys.modules:
        path = Path(os.environ.get("SKL_SAE_PICTURES", ".")) / name
        display.figure_.savefig(path, dpi=150)
        print(f"saved {path}")


# %%
# In pictures
# -----------
# What each unit looks for: its weights, each divided by the largest of them. Most are edges and
# stripes, in many directions and positions.

save(ComponentsDisplay.from_estimator(pipe, image_shape=(8, 8)), "display_components.png")

# %%
# What 49 numbers, nearly all of them close to zero, keep of ten patches: the large shapes, not the
# details.

save(
    ReconstructionDisplay.from_estimator(pipe, X[::500], image_shape=(8, 8)),
    "display_reconstruction.png",
)

# %%
# The objective J. The fit has run on random samples of the patches first, where J is not that of
# all patches: each stage has its own line.

save(LossCurveDisplay.from_estimator(pipe), "display_loss_curve.png")

# %%
# The code. Above: each unit has a mean activity near ρ, and a standard deviation two to
# four times as large. It is off in most patches and on in a few. Below: how many units are
# active in a patch.

save(CodeDisplay.from_estimator(pipe, X), "display_code.png")

# %%
# In numbers
# ----------
# The same fit with other parameters, each wrong in its way. With ρ = 0.001 no unit is ever active.
# With λ a hundred times as large all of them stand still at ρ: ``kl`` is zero, and nothing is
# learned. Without the sparsity penalty the reconstruction is best, but the code is not sparse:
# nearly all units are active in every patch.

fits = {"as above": pipe}
for name, params in {
    "ρ = 0.001": {"rho": 0.001},
    "λ = 0.01": {"lam": 0.01},
    "β = 0": {"beta": 0},
}.items():
    fits[name] = make_pipeline(pipe[0], clone(pipe[1]).set_params(**params)).fit(X)

table = pd.DataFrame({name: code_diagnostics(fit, X) for name, fit in fits.items()}).T
print((table.T.round(4) + 0).to_string())  # + 0: no negative zeros

save(CodeDisplay.from_estimator(fits["λ = 0.01"], X), "display_code_collapsed.png")

assert table.loc["as above", ["dead", "saturated", "collapsed"]].sum() == 0
assert table.loc["ρ = 0.001", "dead"] > 40
assert table.loc["λ = 0.01", "collapsed"] == 49
assert table.loc["β = 0", "l0"] > 30

# %%
# In a grid search
# ----------------
# `code_diagnostics` is a scorer: ``GridSearchCV`` stores each number of each candidate. The best
# reconstruction alone would choose the weakest penalty. Here the choice is the best
# reconstruction among the codes that have at most two active units in a patch.


def best_sparse(results):
    """The index of the candidate to refit."""
    sparse = results["mean_test_l0"] <= 2
    return int(np.where(sparse, results["mean_test_explained_variance"], -np.inf).argmax())


search = GridSearchCV(
    clone(pipe).set_params(sparseautoencoder__tol=0.01),  # enough to compare
    {"sparseautoencoder__rho": [0.01, 0.02, 0.04]},
    scoring=code_diagnostics,
    refit=best_sparse,
    cv=2,
).fit(X)
results = pd.DataFrame(search.cv_results_).rename(columns={"param_sparseautoencoder__rho": "ρ"})
results.columns = results.columns.str.removeprefix("mean_test_")
print(results[["ρ", "explained_variance", "l0", "dead"]].round(3).to_string(index=False))
print(f"chosen: ρ = {search.best_params_['sparseautoencoder__rho']}")

plt.show()
