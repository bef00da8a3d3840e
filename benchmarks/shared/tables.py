"""Tables for the choice of defaults: bundled with scikit-learn, or generated with fixed seeds."""

from functools import partial
from itertools import product

import numpy as np
from sklearn import datasets
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler, normalize

from shared.images import bundled_photographs, course_patches

LINEAR = {"output_activation": "identity"}


def classification():
    """Names, and functions that give X and y."""
    generated = partial(datasets.make_classification, random_state=0)
    return {
        "iris": partial(datasets.load_iris, return_X_y=True),
        "wine": partial(datasets.load_wine, return_X_y=True),
        "breast cancer": partial(datasets.load_breast_cancer, return_X_y=True),
        "digits": partial(datasets.load_digits, return_X_y=True),
        "diabetes, halves": lambda: above_median(*datasets.load_diabetes(return_X_y=True)),
        "5 of 20 columns": partial(generated, 500, n_informative=5, flip_y=0.05),
        "3 classes of 6 clusters": partial(
            generated, 900, 10, n_informative=6, n_classes=3, flip_y=0.02
        ),
        "200 rows of 100": partial(generated, 200, 100, n_informative=10, n_clusters_per_class=1),
        "moons": partial(datasets.make_moons, 400, noise=0.25, random_state=0),
        "circles": partial(datasets.make_circles, 400, noise=0.15, factor=0.5, random_state=0),
        "hastie": partial(datasets.make_hastie_10_2, 1000, random_state=0),
        "quantiles": partial(
            datasets.make_gaussian_quantiles, n_samples=600, n_features=4, random_state=0
        ),
        "signs": signs,
    }


def regression():
    """Names, and functions that give X and y."""
    return {
        "diabetes": partial(datasets.load_diabetes, return_X_y=True),
        "friedman1": partial(datasets.make_friedman1, 500, noise=1.0, random_state=0),
        "friedman2": partial(datasets.make_friedman2, 500, noise=125.0, random_state=0),
        "friedman3": partial(datasets.make_friedman3, 500, noise=0.1, random_state=0),
        "linear, 5 of 50": partial(
            datasets.make_regression, 300, 50, n_informative=5, noise=20.0, random_state=0
        ),
        "sum": lambda: formula(lambda X: X.sum(axis=1), n_features=10, noise=0.1),
        "sines": lambda: formula(lambda X: np.sin(2 * X[:, :3]).sum(axis=1)),
        "steps": lambda: formula(lambda X: np.floor(2 * X[:, :3]).sum(axis=1)),
        "interactions": lambda: formula(
            lambda X: X[:, 0] + np.abs(X[:, 1]) + X[:, 2] * X[:, 3] + np.cos(X[:, 4])
        ),
        "log-normal prices": lambda: prices(*formula(lambda X: X[:, 0] - X[:, 1] + X[:, 2] ** 2)),
        "houses": houses,
        "alcohol of wine": lambda: column_of(datasets.load_wine().data, 0),
        "petal of iris": lambda: column_of(datasets.load_iris().data, 3),
        "texture of tumours": lambda: column_of(datasets.load_breast_cancer().data, 1),
        "lower half of digits": lower_halves,
    }


def above_median(X, y):
    return X, (y > np.median(y)).astype(int)


def column_of(X, j):
    """A column as target, the others as features."""
    return np.delete(X, j, axis=1), X[:, j]


def signs(n_rows=800):
    """The sign of a product of two columns, with six more columns and a tenth of noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 8))
    y = X[:, 0] * X[:, 1] > 0
    return X, (y ^ (rng.random(n_rows) < 0.1)).astype(int)


def formula(f, n_rows=500, n_features=6, noise=0.3):
    """A function of normal columns, and noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_features))
    return X, f(X) + noise * rng.normal(size=n_rows)


def prices(X, y):
    return X, 100 * np.exp(y / 2)


def houses(n_rows=2000):
    """As of Californian districts: place, income, age and rooms; the value is cut off."""
    rng = np.random.default_rng(0)
    place = rng.uniform(size=(n_rows, 2))
    income = rng.lognormal(1.2, 0.45, n_rows)
    age = rng.uniform(1, 52, n_rows)
    rooms = 3 + 0.5 * income + rng.lognormal(0, 0.4, n_rows)
    people = rng.lognormal(1, 0.3, n_rows)
    coast = np.exp(-5 * np.abs(place[:, 0] + 0.5 * place[:, 1] - 0.6))
    value = 0.4 * income + 1.5 * coast + 0.005 * age + 0.3 * rooms / people
    value *= rng.lognormal(0, 0.2, n_rows)
    return np.c_[place, income, age, rooms, people], np.minimum(value, 5)


def lower_halves():
    """The ink in the lower half of a digit from the pixels of the upper one."""
    X = datasets.load_digits().data
    return X[:, :32], X[:, 32:].mean(axis=1)


# -- rows for autoencoders ------------------------------------------------------------------


def unlabelled():
    """Names, functions that give X, and the parameters that an autoencoder needs for it."""
    yield from bundled()
    yield from scaled_tables()
    yield from counted()
    yield from within_one()
    yield from series()
    yield from images()


def bundled():
    for name in ("iris", "wine", "breast_cancer", "diabetes", "digits"):
        load = partial(getattr(datasets, f"load_{name}"), return_X_y=True)
        yield f"{name}, MinMax", partial(scaled, MinMaxScaler, load), {}
        yield f"{name}, Standard, linear", partial(scaled, StandardScaler, load), LINEAR
    load = partial(datasets.load_breast_cancer, return_X_y=True)
    tanh = {"activation": "tanh"}
    yield "breast_cancer, tanh code, linear", partial(scaled, StandardScaler, load), tanh | LINEAR
    load = partial(datasets.load_digits, return_X_y=True)
    yield "digits, tanh code", partial(scaled, MinMaxScaler, load), tanh
    yield "digits, float32", lambda: (datasets.load_digits().data / 16).astype(np.float32), {}


def scaled(scaler, load):
    return scaler().fit_transform(load()[0])


def factors(n_rows, n_features, noise, n_factors=3, seed=0):
    """Mixtures of a few normal factors, and noise; each column of unit variance or so."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n_rows, n_factors)) @ rng.normal(size=(n_factors, n_features))
    return Z / np.sqrt(n_factors) + noise * rng.normal(size=(n_rows, n_features))


def scaled_tables():
    money = np.exp(factors(1000, 12, 0.5))
    yield "log-normal money, MinMax", partial(MinMaxScaler().fit_transform, money), {}
    logs = partial(StandardScaler().fit_transform, np.log(money))
    yield "log of it, Standard, linear", logs, LINEAR
    yield "money, Standard, linear", partial(StandardScaler().fit_transform, money), LINEAR
    yield "daily returns (1 %), linear", lambda: 0.01 * factors(1000, 20, 0.4), LINEAR
    yield "small units (1e-4), linear", lambda: 1e-4 * factors(1000, 20, 0.4), LINEAR
    yield "large units (100), linear", lambda: 100 * factors(1000, 20, 0.4), LINEAR
    yield "unit vectors, linear", lambda: normalize(factors(600, 64, 0.0, 5)), LINEAR
    yield "100 rows of 200, linear", lambda: factors(100, 200, 0.5), LINEAR
    many = partial(factors, n_features=8, noise=0.4)
    yield "5,000 rows, MinMax", lambda: MinMaxScaler().fit_transform(many(5000)), {}
    yield "20,000 rows, linear", partial(many, 20_000), LINEAR


def counted():
    rng = np.random.default_rng(0)
    own = [[f"t{k}w{i}" for i in range(60)] for k in range(6)]
    common = [f"c{j}" for j in range(80)]
    words = [[*rng.choice(own[i % 6], 25), *rng.choice(common, 15)] for i in range(400)]
    documents = [" ".join(row) for row in words]
    tfidf = TfidfVectorizer().fit_transform(documents)
    yield "TF-IDF, sparse", lambda: tfidf, {}
    yield "TF-IDF, sparse, linear", lambda: tfidf, LINEAR
    counts = CountVectorizer().fit_transform(documents).astype(float)
    yield "counts of words, linear", lambda: counts, LINEAR
    yield "word occurs", lambda: (counts > 0).astype(float), {}
    z = rng.integers(5, size=800)
    values = [z * 8 + rng.integers(8, size=800) for _ in range(2)]
    columns = np.c_[*values, rng.integers(40, size=800)]
    one_hot = OneHotEncoder(sparse_output=False).fit_transform(columns)
    yield "one-hot, 3 of 40 values", lambda: one_hot, {}
    yield "one-hot, 3 of 40 values, log loss", lambda: one_hot, {"loss": "log_loss"}
    buys = rng.random((800, 150)) < np.minimum(rng.dirichlet([0.1] * 150, 5)[z] * 12, 0.9)
    yield "baskets of 150 items", lambda: buys.astype(float), {}
    yield "baskets, log loss", lambda: buys.astype(float), {"loss": "log_loss"}


def within_one():
    rng = np.random.default_rng(0)
    groups = rng.integers(4, size=1000)
    shares = [rng.dirichlet(alpha) for alpha in rng.gamma(0.7, 2, size=(4, 12))[groups] + 0.05]
    yield "shares of 12 (Dirichlet)", lambda: np.array(shares), {}
    scores = np.exp(2 * factors(1000, 10, 0.3))
    yield "probabilities of 10", lambda: scores / scores.sum(axis=1, keepdims=True), {}
    spikes = factors(1000, 40, 0.3)
    yield "spikes (2 %)", lambda: np.where(spikes > np.quantile(spikes, 0.98), 0.8, 0.0), {}
    yield "rare binary flags", lambda: (spikes > np.quantile(spikes, 0.93)).astype(float), {}


def series():
    rng, t = np.random.default_rng(0), np.arange(1000)
    wave = np.sin(t / 9) + 0.3 * np.sin(t / 31) + 0.1 * rng.normal(size=1000)
    windows = np.lib.stride_tricks.sliding_window_view((wave - wave.min()) / np.ptp(wave), 40)
    yield "windows of a series, MinMax", lambda: windows, {}
    yield "windows, Standard, linear", partial(StandardScaler().fit_transform, windows), LINEAR


def images():
    digits = datasets.load_digits().data / 16
    yield "dark digits", lambda: 0.1 * digits, {}
    yield "dark digits, linear", lambda: 0.1 * digits, LINEAR
    yield "codes of digits", partial(codes, digits), {}
    yield "patches of photographs", patches, {}
    yield "patches, linear", lambda: 5 * (patches() - 0.5), LINEAR


def codes(X, n_components=30):
    """What another autoencoder makes of the rows, as in a stack of them."""
    from skl_sae import SparseAutoencoder

    params = {"lam": 1e-4, "beta": 3.0, "rho": 0.05, "tol": 1e-3, "max_iter": 2000}
    return SparseAutoencoder(n_components, **params, random_state=0).fit(X).transform(X)


def patches(size=8, step=16):
    """Grey patches of scikit-learn's photographs."""
    pictures = bundled_photographs().mean(axis=3)
    corners = product(range(0, 420, step), range(0, 632, step))
    X = np.array([p[r : r + size, c : c + size].ravel() for r, c in corners for p in pictures])
    return course_patches(X)
