"""The data of the course's exercises: images of a file, of openml.org, or what is bundled."""

from dataclasses import dataclass

import numpy as np
from sklearn.datasets import fetch_openml, load_digits

from shared.images import bundled_photographs, read


@dataclass(frozen=True)
class Images:
    """Labelled images, training rows first.

    Attributes
    ----------
    title : str
        What they are.
    X : ndarray of shape (n, height, width, n_channels)
        Whole numbers from 0 to ``white``; they become float32 as they are used.
    y : ndarray of shape (n,)
        Labels.
    n_train : int
        Number of training rows.
    white : int
        The largest value.
    """

    title: str
    X: np.ndarray
    y: np.ndarray
    n_train: int
    white: int = 255

    def rows(self, which):
        """Images, one in each row, from 0 to 1."""
        X = self.X[which]
        return X.reshape(len(X), -1).astype(np.float32) / np.float32(self.white)

    @property
    def train(self):
        """Training rows and their labels."""
        return self.rows(slice(self.n_train)), self.y[: self.n_train]

    @property
    def test(self):
        """Test rows and their labels."""
        return self.rows(slice(self.n_train, None)), self.y[self.n_train :]


def load_images(options):
    """The images of ``--data`` or ``--openml``, else scikit-learn's digits; at most ``--rows``."""
    if options.data:
        X, y, n_train = read(options.data)
        images = _split(options.data.stem, _as_images(X), y, n_train)
    elif options.openml:
        X, y = fetch_openml("mnist_784", return_X_y=True, as_frame=False)
        images = _split("MNIST", _as_images(X.astype(np.uint8)), y.astype(int), 60_000)
    else:
        X, y = load_digits(return_X_y=True)
        images = _split("scikit-learn's digits (no --data)", _as_images(X), y, 0, white=16)
    return _fewer(images, options)


def _as_images(X):
    """(n, height, width, n_channels); flat rows are square grey images."""
    if X.ndim == 2:
        side = round(np.sqrt(X.shape[1]))
        X = X.reshape(-1, side, side)
    return X if X.ndim == 4 else X[..., np.newaxis]


def _split(title, X, y, n_train, white=255):
    """Without an official split a seventh, drawn at random, is for the test."""
    if n_train == 0:
        order = np.random.default_rng(0).permutation(len(X))
        X, y, n_train = X[order], y[order], len(X) - len(X) // 7
    return Images(title, X, y, n_train, white)


def _fewer(images, options):
    """At most ``--rows`` training rows at random; with ``--quick`` few rows of both."""
    n_train, n_test = images.n_train, len(images.X) - images.n_train
    used, tested = min(n_train, options.rows or n_train), n_test
    if options.quick:
        used, tested = min(used, 1_000), min(tested, 300)
    if (used, tested) == (n_train, n_test):
        return images
    which = np.random.default_rng(1).permutation(n_train)[:used]
    which = np.concatenate([which, n_train + np.arange(tested)])
    return Images(images.title, images.X[which], images.y[which], used, images.white)


def photographs(options):
    """Pixels of photographs, (n, height, width, n_channels) from 0 to 255, and their title."""
    if options.data:
        return _as_images(read(options.data)[0]), options.data.stem
    return bundled_photographs(), "scikit-learn's photographs"


def whitened(pictures, border=8, f0=0.4):
    """Grey pictures with spectra levelled as in Olshausen and Field, borders cut off.

    The course's pictures come like that. The spectrum is multiplied by f exp(-(f / f0)^4).
    """
    grey = pictures.mean(axis=3)
    f = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, grey.shape[1:]), indexing="ij"))
    white = [np.fft.ifft2(np.fft.fft2(g) * f * np.exp(-((f / f0) ** 4))).real for g in grey]
    inner = [w[border:-border, border:-border] / w.std() for w in white]
    return np.array(inner, dtype=np.float32)[..., np.newaxis]
