"""Against scikit-learn's own networks: sections of the comparison.

How times to the same value are found is told in ``fits.py``. scikit-learn's weights are
recorded at each evaluation, trial points of its line search included.
"""

import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from compare_parts.fits import compete
from shared.curves import ours
from shared.measure import in_turn, seconds, timed
from shared.problems import Problem, fashion, fashion_classifier, grey_patches
from shared.report import Section
from skl_sae import MLPBackpropClassifier

ENDLESS = {"max_iter": 10**6, "max_fun": 10**9, "tol": 1e-7, "n_iter_no_change": 10**6}

REGRESSOR_NOTE = (
    "Ours minimises J with β = 0 and a linear decoder; MLPRegressor(solver='lbfgs') has "
    "alpha = n λ and starts from the same weights. Goals: best rival / ours at least 3 to "
    "equal J, and per iteration. scikit-learn computes in float64 here, whatever X is. In "
    "1.9 its loss is a mean over the outputs, but its gradient is that of the sum: 'value "
    "corrected' multiplies the loss, so that its line search sees what it should."
)
CLASSIFIER_NOTE = (
    "Seconds to the same error on the 10,000 test images. Goal: best of scikit-learn / best "
    "of ours at least 2."
)
GRID_NOTE = (
    "GridSearchCV without refit: 60 fits of 50 logistic units, at most 100 iterations, tol "
    "1e-4, the joblib workers started beforehand, BLAS on one thread. Goals: faster "
    "than scikit-learn with one job; n_jobs=2 at least 1.7 times n_jobs=1."
)


def scikit(model, corrected=False, dtype=np.float32):
    """A network of scikit-learn as a contender that starts where ours does."""

    def run(problem, seed, trace):
        X = problem.X.astype(dtype, copy=False)
        y = X if problem.y is None else problem.y
        network = replace_methods(model(problem, seed), problem, seed, trace, corrected)
        trace.begin()
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            network.fit(X, y)

    return run


def replace_methods(model, problem, seed, trace, corrected):
    """Let ``model`` start from the problem's weights and report its own (private hooks)."""
    network, initialize, backprop = problem.network, model._initialize, model._backprop

    def start(y, layer_units, dtype):
        initialize(y, layer_units, dtype)
        coefs, intercepts = network.unpack(problem.start(seed).astype(dtype))
        model.coefs_, model.intercepts_ = list(coefs), list(intercepts)

    def evaluate(X, *args):
        trace(lambda: network.pack(model.coefs_, model.intercepts_))
        loss, *gradients = backprop(X, *args)
        if corrected:
            decay = 0.5 * model.alpha / len(X) * sum(np.vdot(W, W) for W in model.coefs_)
            loss = model.n_outputs_ * (loss - decay) + decay
        return loss, *gradients

    model._initialize, model._backprop = start, evaluate
    return model


def regressor_of(problem, seed, **params):
    """MLPRegressor for the same objective as an autoencoder's with β = 0."""
    return MLPRegressor(
        hidden_layer_sizes=problem.sizes[1:-1],
        activation="logistic",
        solver="lbfgs",
        alpha=len(problem.X) * problem.params["lam"],
        random_state=seed,
        **(ENDLESS | params),
    )


def regressor(options):
    """The comparison's section: MLPRegressor.fit(X, X)."""
    problem = grey_patches(options, "identity")
    if problem is None:
        return
    params = problem.params | {"beta": 0.0}
    title = "MLPRegressor.fit(X, X), " + problem.title.replace("β 3", "β 0")
    problem = replace(problem, name="regressor", title=title, params=params)
    rivals = {
        "scikit-learn": scikit(regressor_of),
        "scikit-learn, X float64": scikit(regressor_of, dtype=np.float64),
        "scikit-learn, value corrected": scikit(regressor_of, corrected=True),
    }
    contenders = {"ours": ours(), "ours, joint": ours(variable_projection=False)}
    yield compete(problem, contenders | rivals, ["ours"], list(rivals), options, REGRESSOR_NOTE)
    yield per_iteration(problem, options)


def per_iteration(problem, options):
    """Seconds of an iteration of plain L-BFGS on all rows."""
    n_iter, n_rounds = (3, 1) if options.quick else (20, max(3, options.rounds))
    joint = {"growing_samples": False, "variable_projection": False}
    models = {
        "ours": lambda seed: problem.estimator(seed, **joint).set_params(max_iter=n_iter),
        "scikit-learn": lambda seed: regressor_of(problem, seed, max_iter=n_iter),
    }
    times = {name: [] for name in models}
    for seed in range(n_rounds):
        for name, make in models.items():
            times[name].append(seconds_of_fit(make(seed), problem.X))
    times = {name: np.array(t) for name, t in times.items()}
    row = {f"{name}, ms": 1e3 * float(np.median(t)) for name, t in times.items()}
    row["scikit-learn / ours"] = float(np.median(times["scikit-learn"] / times["ours"]))
    return Section(
        f"One iteration (mean of {n_iter}), {problem.title}", [row], "Goal: at least 3."
    )


def seconds_of_fit(model, X):
    """Per iteration."""
    y = (X,) if isinstance(model, MLPRegressor) else ()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return seconds(lambda: model.fit(X, *y)) / model.n_iter_


@dataclass(frozen=True)
class ByTestError(Problem):
    """The value to be lowered is the error on test rows, not J."""

    test: tuple = ()

    def value(self, theta):
        """Share of the test rows that get the wrong label."""
        (W1, W2), (b1, b2) = self.network.unpack(theta.astype(np.float32))
        X, y = self.test
        Z = X @ W1 + b1
        A = np.maximum(Z, 0) if self.activation == "relu" else np.tanh(Z)
        return float(((A @ W2 + b2).argmax(axis=1) != y).mean())


def classifier_of(problem, seed, solver, **params):
    """MLPClassifier: with lbfgs the weight decay of ours, with adam its default."""
    if solver == "lbfgs":
        params["alpha"] = len(problem.X) * problem.params["lam"]
    return MLPClassifier(
        hidden_layer_sizes=problem.sizes[1:-1],
        activation=problem.activation,
        solver=solver,
        random_state=seed,
        **(ENDLESS | params),
    )


def classifier(options):
    """The comparison's section: time to equal test accuracy."""
    posed = fashion_classifier(options)
    if posed is None:
        return
    test = fashion(options)[2:]
    fields = {f: getattr(posed, f) for f in posed.__dataclass_fields__}
    tanh = ByTestError(**(fields | {"plateau": 0.9}), test=test)
    relu = replace(tanh, activation="relu")
    own = {
        f"ours, {problem.activation}, λ {lam:g}": (problem, ours(lam=lam))
        for problem in (tanh, relu)
        for lam in (1e-4, 1e-3)
    }
    settings = {
        "lbfgs": {"solver": "lbfgs"},
        "adam": {"solver": "adam"},
        "adam, 3e-3, 500": {"solver": "adam", "learning_rate_init": 3e-3, "batch_size": 500},
    }
    rivals = {
        f"scikit-learn {name}, {problem.activation}": (
            problem,
            scikit(partial(classifier_of, **s)),
        )
        for problem in (relu, tanh)
        for name, s in settings.items()
    }
    yield compete(tanh, own | rivals, list(own), list(rivals), options, CLASSIFIER_NOTE)


def grid_search(estimator, grid, n_jobs):
    """The best accuracy of a search on the digits, by five folds, and its seconds.

    BLAS has one thread: with two, scikit-learn's network takes several times longer here.
    """
    X, y = load_digits(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(estimator, grid, cv=folds, n_jobs=n_jobs, refit=False)
    with warnings.catch_warnings(action="ignore"), threadpool_limits(1, "blas"):
        _, took = timed(lambda: search.fit(X / 16, y))
    return search.best_score_, took


def grids(options):
    """The two estimators with the same grid, in the words of each."""
    lam = np.logspace(-5, -3, 2 if options.quick else 12)
    n_rows = 1797 * 4 // 5
    shared = {"hidden_layer_sizes": (50,), "activation": "logistic", "solver": "lbfgs"}
    shared |= {"max_iter": 100, "tol": 1e-4, "random_state": 0}
    return {
        "ours": (MLPBackpropClassifier(**shared), {"lam": lam}),
        "scikit-learn": (MLPClassifier(**shared), {"alpha": n_rows * lam}),
    }


def grid(options):
    """The comparison's section: many small fits, in one process and in two."""
    entries = grids(options)
    calls = {
        (name, n_jobs): partial(grid_search, *entries[name], n_jobs)
        for name in entries
        for n_jobs in (1, 2)
    }
    for name, n_jobs in calls:  # starts the workers
        grid_search(entries[name][0], {"max_iter": [1]}, n_jobs)
    found = in_turn(calls, options.rounds)
    get_reusable_executor().shutdown(wait=True)
    rows = []
    for name in entries:
        one, two = (np.array([t for _, t in found[name, n_jobs]]) for n_jobs in (1, 2))
        row = {"s, n_jobs=1": float(np.median(one)), "s, n_jobs=2": float(np.median(two))}
        row["n_jobs=1 / n_jobs=2"] = float(np.median(one / two))
        best = f"{found[name, 2][0][0]:.4f}"
        rows.append({"contender": name, **row, "best accuracy": best})
    yield Section("Grid search on the digits", rows, GRID_NOTE)
