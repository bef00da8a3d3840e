"""Default fits on ordinary data: are they of use, are they quiet, and how near is the minimum?

    python benchmarks/first_fit.py [--only NAME ...] [--no-long] [--params tol=1e-3 ...]

One line for each fit: its score on the rows that it has seen (explained variance, R² or
accuracy), hidden units that stand still (standard deviation below 1e-3), iterations, seconds
of the processor (one thread), J, how far J lies above that of a second fit with ten times the
iterations and no tolerance, and the warnings of the first one. A fit is useless if its score
is not 0.05 above that of the best constant, or if more than half of the units of a code stand
still. All data are bundled with scikit-learn or generated. About twenty minutes on two cores,
two with ``--no-long``. With ``--uncentred`` the solvers see the biases themselves.
"""

import json
import time
import warnings
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from shared import tables
from shared.command import parser, settings, wanted
from shared.coordinates import seen
from shared.report import installed
from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder

NEAR = 0.05
# Tables of `defaults.py` that show little here for their time.
SLOW = {"hastie", "signs", "houses", "lower half of digits", "texture of tumours"}


def parse():
    command = parser(__doc__, "only", "params", "jobs", "json")
    command.add_argument("--no-long", action="store_true", help="no fits of ten times the length")
    command.add_argument("--uncentred", action="store_true", help="without centred coordinates")
    return command.parse_args()


def cases():
    """Names, estimators, and functions that give X, or X and y."""
    for name, load, params in tables.unlabelled():
        if "patches" not in name or installed("PIL"):
            yield name, SparseAutoencoder(**params), load
    for name, load in tables.classification().items():
        if name not in SLOW:
            yield f"{name}, classifier", MLPBackpropClassifier(), partial(standardised, load)
    for name, load in tables.regression().items():
        if name not in SLOW:
            yield f"{name}, regressor", MLPBackpropRegressor(), partial(standardised, load)


def standardised(load):
    X, y = load()
    return StandardScaler().fit_transform(X), y


def chosen(options):
    """The fits to be made: names, estimators, arguments of `fit`."""
    params = settings(options.params)
    for name, estimator, load in cases():
        if wanted(name, options):
            own = {k: v for k, v in params.items() if k in estimator.get_params()}
            loaded = load()
            data = loaded if isinstance(loaded, tuple) else (loaded,)
            yield name, estimator.set_params(random_state=0, **own), data


def measure(name, estimator, data, long, parts):
    """The figures of a fit."""
    with threadpool_limits(1), seen(**parts), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.process_time()
        estimator.fit(*data)
        seconds = time.process_time() - start
        stds = estimator.transform(data[0]).std(axis=0)
        score, still = estimator.score(*data), int((stds < 1e-3).sum())
        words = sorted({w.category.__name__ for w in caught})
        collapsed = len(data) == 1 and 2 * still > len(stds)
        longer = long_fit(estimator, data) if long else None
    return {
        "name": name,
        "score": float(score),
        "still": still,
        "useful": bool(score >= constant_score(data) + 0.05 and not collapsed),
        "n_iter": estimator.n_iter_,
        "seconds": seconds,
        "J": estimator.loss_,
        "J of ten times": longer,
        "warnings": words,
    }


def long_fit(estimator, data):
    """J after ten times the iterations."""
    params = {"max_iter": 10 * estimator.n_iter_, "tol": 0}
    return clone(estimator).set_params(**params).fit(*data).loss_


def constant_score(data):
    """The accuracy of the best constant where there are labels; else 0, as of R²."""
    y = data[1] if len(data) > 1 else None
    if y is None or len(np.unique(y)) > 10:
        return 0
    return np.unique(y, return_counts=True)[1].max() / len(y)


def above(row):
    """How far J lies above that of the long fit."""
    return (row["J"] - row["J of ten times"]) / row["J of ten times"]


def line(row, long):
    """One fit in words."""
    gap = f"{100 * above(row):+8.1f} %" if long else ""
    return (
        f"{row['name']:36s} score {row['score']:6.3f}  still {row['still']:3d}  "
        f"n_iter {row['n_iter']:4d}  {row['seconds']:6.2f} s  J {row['J']:9.4g} {gap}  "
        f"{'' if row['useful'] else 'USELESS '}{' '.join(row['warnings'])}"
    )


def summary(rows, long):
    """Counts of all fits."""
    useful = [row for row in rows if row["useful"]]
    useless = [row for row in rows if not row["useful"]]
    silent = [row["name"] for row in useless if not row["warnings"]]
    noisy = sum("ConvergenceWarning" in row["warnings"] for row in useful)
    seconds = sum(row["seconds"] for row in rows)
    yield f"fits: {len(rows)}, in {seconds:.1f} s without those of ten times the length"
    yield f"useless in silence: {len(silent)} ({'; '.join(silent)})"
    yield f"useless with a warning: {len(useless) - len(silent)}"
    yield f"useful: {len(useful)}, of these with a ConvergenceWarning: {noisy}"
    if long and useful:
        near = np.mean([above(row) <= NEAR for row in useful])
        yield f"useful and within {NEAR:.0%} of J after ten times the iterations: {near:.0%}"


def main():
    options = parse()
    long, rows = not options.no_long, []
    parts = {"origins": ()} if options.uncentred else {}
    tasks = (delayed(measure)(*case, long, parts) for case in chosen(options))
    for row in Parallel(options.jobs, return_as="generator")(tasks):
        rows.append(row)
        print(line(row, long), flush=True)
    print("\n".join(summary(rows, long)))
    if options.json:
        options.json.write_text(json.dumps({"params": options.params, "fits": rows}, indent=1))


if __name__ == "__main__":
    main()
