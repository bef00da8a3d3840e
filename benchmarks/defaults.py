"""Panels that choose defaults: λ of networks, and the parameters of the autoencoder.

    python benchmarks/defaults.py regressors classifiers [--lam 1e-3 1e-2 ...]
    python benchmarks/defaults.py features [--settings lam=1e-3,beta=1 n_components=2x ...]

``regressors`` and ``classifiers`` compare networks that differ in λ with each other and with
scikit-learn's networks and boosted trees, all behind a StandardScaler: R² and accuracy.
``features`` compares a logistic regression on the codes of autoencoders with one on the
columns themselves: accuracy; a setting is NAME=VALUE,..., with ``2x`` for twice the number of
columns. Scores are means over repeated folds, on rows that the fit has not seen. Seconds are
those of the processor for a fit on one thread and its scores; warnings are
ConvergenceWarnings per fit. All data are bundled with scikit-learn or generated.
"""

import time
import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from threadpoolctl import threadpool_limits

from shared import tables
from shared.command import parser, settings, wanted
from shared.report import Section, tell
from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder

LAMS = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
# The first are the defaults; the others differ from them in one or two respects.
SETTINGS = ["", "n_components=2x", "rho=0.2", "beta=0.3", "beta=0.3,rho=0.2", "lam=1e-3"]


def parse():
    command = parser(__doc__, "only", "params", "jobs", "out")
    command.add_argument("panels", nargs="+", choices=PANELS, metavar="PANEL")
    command.add_argument("--lam", type=float, nargs="+", default=LAMS, metavar="LAM")
    command.add_argument("--settings", nargs="+", default=SETTINGS, metavar="SETTING")
    command.add_argument("--no-peers", action="store_true", help="only our estimators")
    command.add_argument("--repeats", type=int, default=2, help="of the three folds")
    return command.parse_args()


def networks(make, options):
    """Ours: the default, and one for each λ."""
    params = settings(options.params)
    return {"default": make(**params)} | {
        f"λ {lam:g}": make(**params | {"lam": lam}) for lam in options.lam
    }


def behind_scaler(contenders):
    return {name: make_pipeline(StandardScaler(), e) for name, e in contenders.items()}


def regressors(options, n_features):
    scaled = TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler())
    peers = {
        "MLPRegressor": scaled,
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
        "GradientBoosting": GradientBoostingRegressor(random_state=0),
    }
    ours = networks(MLPBackpropRegressor, options)
    return behind_scaler(ours if options.no_peers else ours | peers)


def classifiers(options, n_features):
    peers = {
        "MLPClassifier": MLPClassifier(random_state=0),
        "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
    }
    ours = networks(MLPBackpropClassifier, options)
    return behind_scaler(ours if options.no_peers else ours | peers)


def features(options, n_features):
    """Pipelines with an autoencoder of each setting, and one without."""
    codes = {
        text or "default": SparseAutoencoder(**autoencoder_params(text, options, n_features))
        for text in options.settings
    }
    steps = {name: [MinMaxScaler(), sae] for name, sae in codes.items()}
    if not options.no_peers:
        steps["the columns"] = [MinMaxScaler()]
    return {
        name: make_pipeline(*first, StandardScaler(), LogisticRegression(max_iter=2000))
        for name, first in steps.items()
    }


def autoencoder_params(text, options, n_features):
    """The parameters of a setting such as ``lam=1e-3,n_components=2x``."""
    params = settings(options.params) | settings(filter(None, text.split(",")))
    size = params.get("n_components")
    if isinstance(size, str) and size.endswith("x"):
        params["n_components"] = max(1, round(float(size.removesuffix("x")) * n_features))
    return params


PANELS = {
    "regressors": (regressors, tables.regression, RepeatedKFold),
    "classifiers": (classifiers, tables.classification, RepeatedStratifiedKFold),
    "features": (features, tables.classification, RepeatedStratifiedKFold),
}


def seeded(pipeline):
    """The pipeline with every ``random_state`` at 0."""
    names = [name for name in pipeline.get_params() if name.endswith("random_state")]
    return pipeline.set_params(**dict.fromkeys(names, 0))


def measure(pipeline, X, y, folds):
    """Mean score, seconds and warnings of a fit."""
    start = time.process_time()
    with threadpool_limits(1), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        scores = cross_validate(pipeline, X, y, cv=folds, error_score="raise")["test_score"]
    n_warnings = sum(issubclass(w.category, ConvergenceWarning) for w in seen)
    seconds = time.process_time() - start
    return scores.mean(), seconds / len(scores), n_warnings / len(scores)


def jobs(panel, options):
    """Names of table and contender, and what `measure` needs."""
    contenders, load_all, splitter = PANELS[panel]
    folds = splitter(n_splits=3, n_repeats=options.repeats, random_state=0)
    for table, load in load_all().items():
        if wanted(table, options):
            X, y = load()
            for name, pipeline in contenders(options, X.shape[1]).items():
                yield table, name, (seeded(pipeline), X, y, folds)


def named(table, name, arguments):
    return table, name, measure(*arguments)


def run(panel, options):
    """For each table and contender what `measure` has found."""
    found = {}
    tasks = (delayed(named)(*job) for job in jobs(panel, options))
    for table, name, figures in Parallel(options.jobs, return_as="generator")(tasks):
        found.setdefault(table, {})[name] = figures
        print(f"{table}, {name}: {figures[0]:.3f}, {figures[1]:.2f} s a fit", flush=True)
    return found


def section(panel, found):
    """A table: scores, their means and lowest values; seconds and warnings of a fit."""
    names = next(iter(found.values()))
    figures = np.array([[row[name] for name in names] for row in found.values()])
    scores, seconds, n_warnings = np.moveaxis(figures, 2, 0)
    means = {"mean": scores.mean(axis=0), "lowest": scores.min(axis=0)}
    means |= {"seconds a fit": seconds.mean(axis=0), "warnings a fit": n_warnings.mean(axis=0)}
    lines = dict(zip(found, scores)) | {f"**{name}**": values for name, values in means.items()}
    rows = [
        {panel: name} | {key: f"{value:.3f}" for key, value in zip(names, values)}
        for name, values in lines.items()
    ]
    return Section(panel.capitalize(), rows)


def main():
    options = parse()
    tell((section(panel, run(panel, options)) for panel in options.panels), 1, options.out)


if __name__ == "__main__":
    main()
