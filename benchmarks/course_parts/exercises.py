"""The exercises of the UFLDL course with their published settings, one function each.

A function takes the options of the command line and gives the rows of a table: what is
published, what comes out here, and what it took.
"""

from functools import partial
from math import prod

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline

from course_parts.data import load_images, photographs, whitened
from course_parts.pictures import save_filters
from shared.images import draw_patches
from shared.measure import timed
from skl_sae import (
    ConvolveAndPool,
    MLPBackpropClassifier,
    PatchNormalizer,
    SparseAutoencoder,
    ZCAWhitening,
)

STROKES = {"lam": 3e-3, "beta": 3.0, "rho": 0.1}  # of the autoencoders on images
# Of the two autoencoders that are stacked: the course's, and codes that keep more of the rows.
PENALTIES = (
    (STROKES, STROKES),
    ({"lam": 1e-3, "beta": 3.0, "rho": 0.1}, {"lam": 1e-4, "beta": 1.0, "rho": 0.1}),
    ({"lam": 3e-4, "beta": 3.0, "rho": 0.1}, {"lam": 3e-5, "beta": 0.3, "rho": 0.1}),
)
# Of self-taught learning: the course's, and codes that keep more of the rows.
CODES = (
    (200, STROKES),
    (400, {"lam": 1e-4, "beta": 0.3, "rho": 0.1}),
    (800, {"lam": 3e-5, "beta": 0.3, "rho": 0.1}),
)
SOFTMAX_LAM = 1e-4
LAMS = [1e-5, 1e-4, 1e-3, 1e-2]


def iterations(options, published):
    """Those of the course, unless the command line says otherwise."""
    return options.max_iter or (5 if options.quick else published)


def row(exercise, settings, published, ours, model=None, seconds=None):
    """A row of the table."""
    return {
        "exercise": exercise,
        "settings": settings,
        "published": published,
        "ours": ours,
        "J": model and float(model.loss_),
        "iterations": model and int(model.n_iter_),
        "seconds": seconds,
    }


def percent(accuracy):
    return f"{100 * accuracy:.2f} %"


def autoencoder(options, n_units, **params):
    return SparseAutoencoder(
        n_units, max_iter=iterations(options, 400), random_state=options.seed, **params
    )


def softmax(options, n_iter=100):
    """Softmax regression. The course's has no intercept, ours has one."""
    return MLPBackpropClassifier(
        (), lam=SOFTMAX_LAM, max_iter=iterations(options, n_iter), random_state=options.seed
    )


def describe(sae, sizes, n_rows):
    return f"{sizes}, {n_rows:,} rows, λ {sae.lam:g}, β {sae.beta:g}, ρ {sae.rho:g}"


def explained(sae, X):
    """Mean activation and explained variance."""
    activation = float(sae.mean_activation_.mean())
    return f"mean activation {activation:.3f}, {percent(sae.score(X))} of the variance"


def edges(options):
    """Sparse autoencoder of grey patches of whitened photographs."""
    pictures, title = photographs(options)
    if not options.data:  # the finest details of the bundled ones are artefacts
        height, width = (n // 2 for n in pictures.shape[1:3])
        pictures = pictures[:, : 2 * height, : 2 * width].reshape(-1, height, 2, width, 2, 3)
        pictures = pictures.mean(axis=(2, 4))
    patches = draw_patches(whitened(pictures), 1_000 if options.quick else 10_000)
    X = PatchNormalizer().fit_transform(patches)
    sae = autoencoder(options, 25, lam=1e-4, beta=3.0, rho=0.01)
    _, seconds = timed(lambda: sae.fit(X))
    save_filters(sae.components_, (8, 8, 1), options.out / "edges.png")
    return [
        row(
            f"sparse autoencoder, {title}",
            describe(sae, "64-25-64", len(X)),
            "edge detectors; under a minute (vectorised), 5 minutes (loops) [wiki]",
            explained(sae, X),
            sae,
            seconds,
        )
    ]


def strokes(options):
    """The vectorised autoencoder on whole images."""
    images = load_images(options)
    X = images.rows(slice(1_000 if options.quick else 10_000))
    sae = autoencoder(options, 196, **STROKES)
    _, seconds = timed(lambda: sae.fit(X))
    save_filters(sae.components_, images.X.shape[1:], options.out / "strokes.png")
    return [
        row(
            f"vectorised autoencoder, {images.title}",
            describe(sae, f"{X.shape[1]}-196-{X.shape[1]}", len(X)),
            "pen strokes; 15 to 20 minutes [wiki]",
            explained(sae, X),
            sae,
            seconds,
        )
    ]


def softmax_regression(options):
    """Softmax regression on pixels."""
    images = load_images(options)
    model = softmax(options)
    _, seconds = timed(lambda: model.fit(*images.train))
    return [
        row(
            f"softmax regression, {images.title}",
            f"λ {SOFTMAX_LAM:g}, {model.max_iter} iterations, {images.n_train:,} rows",
            "MNIST: 92.6 % [wiki], 92.2 % [starter code]; under 5 minutes",
            percent(model.score(*images.test)),
            model,
            seconds,
        )
    ]


def self_taught(options):
    """Features of the classes 5 to 9, a classifier for 0 to 4, against raw pixels.

    With ``--tune`` there are several autoencoders, and each softmax chooses its weight decay;
    the code to take is the one with the highest accuracy on the rows held out.
    """
    images = load_images(options)
    X, y = images.train
    unlabelled, X, y = X[y >= 5], X[y < 5], y[y < 5]
    halves = np.random.default_rng(options.seed).permutation(len(X))
    train, test = np.array_split(halves, 2)
    what, rows = f"self-taught learning, {images.title}", []

    def classify(name, features, published):
        search = tuned(options, softmax(options), {"lam": LAMS}, options.seed)
        _, seconds = timed(lambda: search.fit(features[train], y[train]))
        model = search.best_estimator_ if options.tune else search
        settings = f"softmax λ {model.lam:g}, {len(train):,} rows of 0 to 4"
        if options.tune:
            settings += f" ({percent(search.best_score_)} of a fifth held out)"
        accuracy = percent(search.score(features[test], y[test]))
        rows.append(row(f"{what}: {name}", settings, published, accuracy, model, seconds))

    for n_units, penalties in CODES if options.tune else CODES[:1]:
        sae = autoencoder(options, n_units, **penalties)
        _, seconds = timed(partial(sae.fit, unlabelled))
        picture = options.out / f"self_taught_{n_units}.png"
        save_filters(sae.components_, images.X.shape[1:], picture)
        settings = describe(sae, f"{X.shape[1]}-{n_units}", len(unlabelled))
        rows.append(row(f"{what}: autoencoder", settings, "under 25 minutes", "", sae, seconds))
        published = "MNIST, 200 units: 98 % [wiki], 98.3 % [starter code]"
        classify(f"code of {n_units} units", sae.transform(X), published)
    classify("raw pixels", X, "MNIST: 96 %")
    return rows


def tuned(options, model, grid, seed, n_splits=1):
    """With ``--tune`` a search that holds out a fifth of the rows; else the model itself."""
    if not options.tune:
        return model
    split = StratifiedShuffleSplit(n_splits, test_size=0.2, random_state=seed)
    return GridSearchCV(model, grid, cv=split)


def decays(options, n_hidden=2):
    """λ of each layer in fine-tuning: of the softmax alone, as the course says, or of all."""
    if options.decay == "all":
        return SOFTMAX_LAM
    return (*[0.0] * n_hidden, SOFTMAX_LAM)


def pretrain(options, X, sizes=(200, 200), penalties=PENALTIES[0]):
    """Two fitted autoencoders as frozen estimators, and the seconds that each took."""
    encoders, times = [], []
    for n_units, params in zip(sizes, penalties):
        sae = autoencoder(options, n_units, **params)
        _, seconds = timed(lambda sae=sae, X=X: sae.fit(X))
        encoders.append(FrozenEstimator(sae))
        times.append(seconds)
        X = sae.transform(X)
    return encoders, times


def network(options, encoders=None, seed=None, **params):
    """784-200-200-10, from pretrained or random weights."""
    seed = options.seed if seed is None else seed
    return MLPBackpropClassifier(
        (200, 200),
        activation="logistic",
        pretraining=encoders,
        random_state=seed,
        **{"lam": decays(options), "max_iter": iterations(options, 400)} | params,
    )


def stacked(options):
    """Stacked autoencoder, before and after fine-tuning."""
    images = load_images(options)
    X, y = images.train
    encoders, times = pretrain(options, X)
    model = network(options, encoders)
    _, seconds = timed(lambda: model.fit(X, y))
    first = encoders[0].estimator
    save_filters(first.components_, images.X.shape[1:], options.out / "stacked.png")
    what, n = f"stacked, {images.title}", len(X)
    rows = [
        row(f"{what}: autoencoder {i}", describe(e.estimator, size, n), "", "", e.estimator, t)
        for i, (e, t, size) in enumerate(zip(encoders, times, [f"{X.shape[1]}-200", "200-200"]), 1)
    ]
    published = {
        "before": "MNIST: 87.7 % [wiki]; 87 to 94.8 % in public solutions",
        "after": "MNIST: 97.6 % [wiki]; 97.5 to 98.3 % in public solutions",
    }
    settings = f"softmax λ {SOFTMAX_LAM:g}, decay of {options.decay}, {n:,} rows"
    states = {"before": (model.pretrained_, None), "after": (model, seconds)}
    for when, (state, t) in states.items():
        accuracy = percent(state.score(*images.test))
        title = f"{what}: {when} fine-tuning"
        rows.append(row(title, settings, published[when], accuracy, state, t))
    return rows


def linear_decoder(options, n_units):
    """The encoder of colour patches: whitening, then the autoencoder."""
    sae = autoencoder(
        options, n_units, lam=3e-3, beta=5.0, rho=0.035, output_activation="identity"
    )
    return make_pipeline(ZCAWhitening(epsilon=0.1), sae)


def colour(options):
    """Linear decoder of whitened colour patches."""
    pictures, title = photographs(options)
    X = draw_patches(pictures, 2_000 if options.quick else 100_000) / np.float32(255)
    model = linear_decoder(options, 400)
    _, seconds = timed(lambda: model.fit(X))
    zca, sae = model
    filters = sae.components_ @ zca.whitening_
    save_filters(filters, (8, 8, pictures.shape[3]), options.out / "colour.png")
    return [
        row(
            f"linear decoder, {title}",
            describe(sae, f"{X.shape[1]}-400-{X.shape[1]}", len(X)) + ", ZCA ε 0.1",
            "colour-opponent edges; about 45 minutes [wiki]",
            explained(sae, zca.transform(X)),
            sae,
            seconds,
        )
    ]


def convolution(options):
    """Convolved and pooled features of images, against their pixels."""
    images = load_images(options)
    print(
        "The course's STL-10 subset (4 classes, 64 × 64 × 3) does not come with this: --data has"
    )
    print(f"X of shape (n, h, w, c), here {images.X.shape} of {images.title}.", flush=True)
    (X, y), (test, test_labels) = images.train, images.test
    conv = convolve_and_pool(options, images.X.shape[1:])
    _, fitting = timed(lambda: conv.fit(X))
    features, encoding = timed(lambda: conv.transform(X))
    sae, what = conv.encoder_[-1], f"convolution and pooling, {images.title}"
    settings = f"maps {conv.map_shape_}, regions {tuple(conv.pool_shape)}"
    speed = f"{100 * encoding / len(X):.2f} s for 100 images"
    quoted = "100 images in under 3 minutes [wiki]"
    sizes = f"{sae.n_features_in_}-400"
    n_patches = min(conv.n_patches, len(X) * prod(conv.map_shape_))
    rows = [
        row(f"{what}: encoder", describe(sae, sizes, n_patches), "", "", sae, fitting),
        row(f"{what}: features", settings, quoted, speed, None, encoding),
    ]
    inputs = {"features": (features, conv.transform(test)), "pixels": (X, test)}
    for name, (train, test) in inputs.items():
        model = softmax(options, 200)
        _, seconds = timed(lambda model=model, F=train: model.fit(F, y))
        accuracy = percent(model.score(test, test_labels))
        published = "STL-10 subset: 80 % [wiki]" if name == "features" else ""
        settings = f"softmax λ {SOFTMAX_LAM:g}, {len(X):,} rows"
        rows.append(
            row(f"{what}: softmax on {name}", settings, published, accuracy, model, seconds)
        )
    return rows


def convolve_and_pool(options, shape):
    """Patches of 8 × 8 pixels, 400 features, a grid of 3 × 3 regions."""
    size = min(8, shape[0] // 2)
    return ConvolveAndPool(
        linear_decoder(options, 400),
        image_shape=shape,
        patch_shape=(size, size),
        pool_shape=[-(-(n - size + 1) // 3) for n in shape[:2]],
        n_patches=2_000 if options.quick else 100_000,
        random_state=options.seed,
    )
