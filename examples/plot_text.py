r"""
===========================================
What does an autoencoder make of documents?
===========================================

Documents become rows of TF-IDF, with thousands of columns, one for each word, and nearly all
entries zero. `SparseAutoencoder` accepts them as they are, as a SciPy sparse matrix. With a linear
decoder the time of its fit grows with the number of their entries. Here its code is compared with
``TruncatedSVD`` (latent semantic analysis) and ``NMF`` with as many components. How much of the
variance of new documents do they explain? How well can a classifier and nearest neighbours find
the topic from the code? And what words does each unit stand for?

The documents are the docstrings of SciPy, each of which has a topic: the subpackage it is from.
With ``SKL_SAE_NEWSGROUPS=1`` in the environment they are the 11,314 postings of 20 newsgroups,
which scikit-learn downloads.
"""

import importlib
import inspect
import os
import re
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import fetch_20newsgroups
from sklearn.decomposition import NMF, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from skl_sae import SparseAutoencoder

N_COMPONENTS = 50
TOPICS = (
    "cluster.hierarchy fft integrate interpolate linalg ndimage optimize signal sparse spatial "
    "special stats"
)


def docstrings():
    """Those of the functions, classes and methods of SciPy, their names, and their topics."""
    found = {}
    for topic in TOPICS.split():
        for name, value in vars(importlib.import_module(f"scipy.{topic}")).items():
            members = vars(value) if inspect.isclass(value) else {}
            for label, member in (
                (name, value),
                *((f"{name}.{m}", f) for m, f in members.items()),
            ):
                text = inspect.getdoc(member) if callable(member) else None
                if not label.startswith("_") and "._" not in label and len(text or "") > 200:
                    found.setdefault(text, (f"{topic}.{label}", topic))
    own = "|".join(["scipy", "numpy", "np", *re.split(r"[. ]", TOPICS)])
    documents = [re.sub(rf"\b({own})\b", " ", text) for text in found]  # they would tell
    return documents, *map(np.array, zip(*found.values(), strict=True))


def newsgroups():
    """The postings without their headers, their subjects, and their groups."""
    data = fetch_20newsgroups(remove=("headers", "footers", "quotes"), random_state=0)
    return data.data, np.array([text[:60] for text in data.data]), data.target


from_the_net = os.environ.get("SKL_SAE_NEWSGROUPS") == "1"
documents, names, topics = newsgroups() if from_the_net else docstrings()
train, test = train_test_split(np.arange(len(documents)), random_state=0, stratify=topics)
vectorizer = TfidfVectorizer(
    min_df=3, stop_words="english", sublinear_tf=True, token_pattern="[a-z]{3,}", dtype=np.float32
)
X = vectorizer.fit_transform([documents[i] for i in train])
X_test, y, y_test = vectorizer.transform([documents[i] for i in test]), topics[train], topics[test]
print(f"{X.shape[0]} documents, {X.shape[1]} words, {X.nnz / np.prod(X.shape):.1%} entries")

# %%
# The fits
# --------
# Rows of TF-IDF have the length one, so that the misfit is 1/2 at most. The sparsity penalty,
# whose size does not depend on the data, has to be weaker than its default. β = 0.001 and
# λ = 0.0001 were the best of eight pairs, of which all did nearly as well.

models = {
    "SparseAutoencoder": SparseAutoencoder(
        N_COMPONENTS, output_activation="identity", beta=1e-3, lam=1e-4, random_state=0
    ),
    "TruncatedSVD": TruncatedSVD(N_COMPONENTS, random_state=0),
    "NMF": NMF(N_COMPONENTS, init="nndsvd", random_state=0),
}


def explained_variance(model):
    """The share of the variance of the test rows that their reconstructions explain."""
    if isinstance(model, SparseAutoencoder):
        return model.score(X_test)  # the same, and no array is as large as the dense rows
    rows = X_test.toarray()
    left = rows - model.inverse_transform(model.transform(X_test))
    return 1 - np.sum(left**2) / np.sum((rows - rows.mean(axis=0)) ** 2)


def accuracies(code, code_test):
    """Of a linear classifier, and of five neighbours by the angle between codes."""
    scale = code.std()
    linear = LogisticRegression(C=100, max_iter=2000).fit(code / scale, y)
    neighbours = KNeighborsClassifier(5, metric="cosine").fit(code, y)
    return linear.score(code_test / scale, y_test), neighbours.score(code_test, y_test)


results = {}
for name, model in models.items():
    start = perf_counter()
    model.fit(X)
    seconds = perf_counter() - start
    linear, neighbours = accuracies(model.transform(X), model.transform(X_test))
    results[name] = {
        "explained variance": explained_variance(model),
        "classifier": linear,
        "neighbours": neighbours,
        "seconds": seconds,
    }
words_alone = LogisticRegression(C=100, max_iter=2000).fit(X, y).score(X_test, y_test)
print(pd.DataFrame(results).T.round(3))
print(f"The classifier on all words: {words_alone:.3f}")

# %%
# A linear decoder explains no more of the rows it was fitted to than as many principal components
# do: the autoencoder comes close to that. Its code is bounded and, unlike that of the SVD, has no
# negative values.
#
# What the units stand for
# ------------------------
# A unit is on where the words with large weights in its row of ``components_`` are. These are the
# largest, by the names of the features.

sae = models["SparseAutoencoder"]
words = vectorizer.get_feature_names_out()
by_variance = np.argsort(-sae.std_activation_)
for unit in by_variance[:10]:
    top = np.argsort(-sae.components_[unit])[:8]
    print(f"unit {unit:2d}:", ", ".join(words[top]))

fig, axes = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
for unit, ax in zip(by_variance, axes.flat):
    top = np.argsort(sae.components_[unit])[-8:]
    ax.barh(words[top], sae.components_[unit, top])
    ax.set_title(f"unit {unit}")
if folder := os.environ.get("SKL_SAE_PICTURES"):
    fig.savefig(Path(folder) / "text_units.png", dpi=150)

# %%
# Nearest neighbours
# ------------------
# The code as a search engine: which documents are like this one?

search = NearestNeighbors(n_neighbors=4, metric="cosine").fit(sae.transform(X))
for i in range(5):
    found = search.kneighbors(sae.transform(X_test[[i]]), return_distance=False)[0]
    print(names[test[i]], *names[train[found]], sep="\n    ")

plt.show()
