"""Images of files and of scikit-learn, and patches of them."""

import numpy as np
from sklearn.datasets import load_sample_images


def read(path):
    """X, y and the number of training rows, which come first; of pictures X alone counts."""
    with np.load(path, allow_pickle=False) as file:
        return file["X"], file.get("y"), int(file.get("n_train", 0))


def bundled_photographs():
    """Those of scikit-learn, (2, height, width, 3) of bytes."""
    return np.array(load_sample_images().images)


def draw_patches(images, n_patches, size=8, seed=0):
    """Random patches, flattened in C order, channels last, each as a row of float32."""
    rng = np.random.default_rng(seed)
    height, width = images.shape[1:3]
    which = rng.integers(len(images), size=n_patches)
    tops = rng.integers(height - size + 1, size=n_patches)
    lefts = rng.integers(width - size + 1, size=n_patches)
    cut = [images[i, r : r + size, c : c + size].ravel() for i, r, c in zip(which, tops, lefts)]
    return np.array(cut, dtype=np.float32)


def course_patches(X):
    """As the course scales patches: of mean 1/2, cut off at three standard deviations."""
    X = X - X.mean(axis=1, keepdims=True)
    limit = 3 * X.std()
    return (np.clip(X, -limit, limit) / limit + 1) * 0.4 + 0.1
