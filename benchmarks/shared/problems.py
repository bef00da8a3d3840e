"""The problems of the comparison: data, the objective's parameters, the true objective."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from sklearn.preprocessing import label_binarize
from threadpoolctl import threadpool_limits

from shared.images import bundled_photographs, course_patches, draw_patches, read
from shared.report import installed
from skl_sae import MLPBackpropClassifier, SparseAutoencoder
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows


@dataclass(frozen=True)
class Problem:
    """What is to be minimised, and an estimator of ours that does it.

    Attributes
    ----------
    name, title : str
        For files, and for readers.
    X : ndarray of shape (n_rows, n_features)
        float32.
    sizes : tuple of int
        Units of each layer.
    make : callable
        ``make(**params)``: our estimator, not fitted.
    params : dict
        λ and, of an autoencoder, β and ρ.
    plateau : float
        The loss of the best constant output, where fits tend to linger at first.
    activation : str
        That of the hidden layer.
    y : ndarray of shape (n_rows,), default=None
        Labels.
    objective_params : dict
        Loss and output of the objective where they are not the default.
    """

    name: str
    title: str
    X: np.ndarray
    sizes: tuple
    make: object
    params: dict
    plateau: float
    activation: str = "logistic"
    y: np.ndarray | None = None
    objective_params: dict = field(default_factory=dict)

    @property
    def network(self):
        return Network(self.sizes, self.activation)

    def start(self, seed, from_data=True):
        """Our start with ``random_state=seed``, or the tutorial's, with biases of zero."""
        rng = np.random.RandomState(seed)
        return self._objective.start(rng) if from_data else self.network.initialise(rng)

    def estimator(self, seed, **params):
        """Ours, told to go on for long; all else at its default."""
        endless = {"max_iter": 1000, "tol": 1e-7, "random_state": seed}
        return self.make(activation=self.activation, **endless, **(self.params | params))

    @cached_property
    def _objective(self):
        Y = None if self.y is None else label_binarize(self.y, classes=np.unique(self.y))
        Y = None if Y is None else Y.astype(self.X.dtype)
        params = self.objective_params | self.params
        return Objective(self.network, Rows(self.X, Y, n_threads=2), **params)

    def value(self, theta):
        """J of all rows, penalties included."""
        with threadpool_limits(1, "blas"):
            return self._objective(theta)[0]


def autoencoder(name, title, X, n_hidden, output="logistic", **params):
    """A sparse autoencoder as a problem."""

    def make(**more):
        return SparseAutoencoder(n_hidden, output_activation=output, **more)

    n, d = X.shape
    title = f"{title}: {n:,} × {d} → {n_hidden}, {output} decoder, " + ", ".join(
        f"{symbol} {params[name]:g}" for symbol, name in zip("λβρ", ["lam", "beta", "rho"])
    )
    return Problem(
        name,
        title,
        X,
        (d, n_hidden, d),
        make,
        params,
        plateau=0.5 * float(X.var(axis=0, dtype=float).sum()),
        objective_params={"output_activation": output},
    )


def load(options, name):
    """What `read` finds in a file of ``--data``; None and a word if it is not there."""
    path = options.data and options.data / f"{name}.npz"
    if path is None or not path.exists():
        print(f"{name}.npz not found: left out (see --data)", flush=True)
        return None
    return read(path)


def grey_patches(options, output="logistic", size=12):
    """Patches of natural images with the tutorial's normalisation, or None."""
    loaded = load(options, "natural_tiles512")
    if loaded is None:
        return None
    X = course_patches(draw_patches(loaded[0], 5_000 if options.quick else 80_000, size))
    name = "patches" if output == "logistic" else "patches-linear"
    return autoencoder(name, "Image patches", X, 100, output, lam=1e-4, beta=3.0, rho=0.05)


def colour_patches(options, size=8):
    """Whitened colour patches of scikit-learn's photographs, or None."""
    if not installed("PIL"):
        return None
    n_patches = 2_000 if options.quick else 100_000
    X = draw_patches(bundled_photographs(), n_patches, size) / np.float32(255)
    X -= X.mean(axis=0)
    variances, axes = np.linalg.eigh(X.T @ X / len(X))
    X @= ((axes / np.sqrt(variances + 0.1)) @ axes.T).astype(X.dtype)
    return autoencoder(
        "colour", "Whitened colour patches", X, 400, "identity", lam=3e-3, beta=5.0, rho=0.035
    )


def fashion(options):
    """Training rows, training labels, test rows, test labels of Fashion-MNIST; or None."""
    loaded = load(options, "fashion_mnist")
    if loaded is None:
        return None
    X, y, n_train = loaded
    X = X.reshape(len(X), -1) / np.float32(255)
    n_used = 2_000 if options.quick else n_train
    return X[:n_used], y[:n_used], X[n_train:], y[n_train:]


def fashion_autoencoder(options):
    """The autoencoder on its training rows, or None."""
    loaded = fashion(options)
    return loaded and autoencoder(
        "fashion", "Fashion-MNIST", loaded[0], 196, lam=3e-3, beta=3.0, rho=0.1
    )


def fashion_classifier(options, lam=1e-4):
    """The classifier 784-100-10 on its training rows, or None."""
    loaded = fashion(options)
    if loaded is None:
        return None
    X, y = loaded[:2]

    def make(**more):
        return MLPBackpropClassifier((100,), **more)

    return Problem(
        "classifier",
        f"Fashion-MNIST classifier: {len(X):,} × {X.shape[1]} → 100 → 10",
        X,
        (X.shape[1], 100, 10),
        make,
        {"lam": lam},
        plateau=float(np.log(10)),
        activation="tanh",
        y=y,
        objective_params={"loss": "log_loss", "output_activation": "softmax"},
    )
