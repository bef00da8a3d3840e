"""Do growing samples pay, at the same max_iter and in the same time?

    python benchmarks/growing.py --data DIR [--max-iter 25 100 400]

DIR holds ``fashion_mnist.npz``. Four problems: softmax regression (convex, where "auto" leaves
samples out), linear regression of the labels (convex), a network of one hidden layer, an
autoencoder. Each is fitted with growing samples and without, from the same start: J of all rows
and seconds. An iteration on a share of the rows counts as that share, so both fits do the same
work on the rows. "J, full, same time" is J of the fit on all rows at the time when the other
fit ended.
"""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from shared.command import parser
from shared.curves import watched
from shared.problems import fashion
from shared.report import Section, tell
from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder


def parse():
    command = parser(__doc__, "data", "rounds", "threads", "quick")
    command.add_argument("--max-iter", type=int, nargs="+", default=[25, 100, 400])
    return command.parse_args()


def problems(X, y):
    """Names, estimators, and the data of their fits."""
    yield "softmax regression", MLPBackpropClassifier((), lam=1e-4), (X, y)
    yield "linear regression", MLPBackpropRegressor((), lam=1e-4), (X, y.astype(float))
    yield "784-100-10", MLPBackpropClassifier((100,), lam=1e-4), (X, y)
    yield "autoencoder, 784 → 50", SparseAutoencoder(50, lam=1e-3, rho=0.1), (X,)


def fitted(estimator, data, grow, max_iter, seed):
    """J, seconds, and the times and values on the way."""
    params = {"growing_samples": grow, "max_iter": max_iter, "tol": 0, "random_state": seed}
    estimator.set_params(**params)
    start, points = time.perf_counter(), []

    def note(so_far):
        points.append((time.perf_counter() - start, so_far.value))

    with watched(note), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(*data)
    return estimator.loss_, time.perf_counter() - start, points


def at(points, seconds):
    """The lowest value up to then."""
    return min((value for when, value in points if when <= seconds), default=np.inf)


def pair(estimator, data, max_iter, seed):
    """J and seconds with growing samples and without, and J without after the same time."""
    grown, took, _ = fitted(estimator, data, True, max_iter, seed)
    full, full_took, points = fitted(estimator, data, False, max_iter, seed)
    return grown, took, full, full_took, at(points, took)


def rows(options, X, y):
    """The medians of each problem and max_iter."""
    names = ["J, growing", "s, growing", "J, full", "s, full", "J, full, same time"]
    for name, estimator, data in problems(X, y):
        for max_iter in options.max_iter:
            found = [pair(estimator, data, max_iter, seed) for seed in range(options.rounds)]
            medians = np.median(found, axis=0)
            print(name, max_iter, medians, flush=True)
            figures = {key: f"{value:.5g}" for key, value in zip(names, medians)}
            yield {"problem": name, "max_iter": max_iter, **figures}


def measured(options):
    if (data := fashion(options)) is not None:
        with threadpool_limits(options.threads, "blas"):
            table = list(rows(options, *data[:2]))
        yield Section("Growing samples at equal max_iter", table)


def main():
    options = parse()
    tell(measured(options), options.threads)


if __name__ == "__main__":
    main()
