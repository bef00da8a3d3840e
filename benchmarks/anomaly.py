"""Does the detector find anomalies, and does its threshold hold, against those of others?

    python benchmarks/anomaly.py --data DIR [--seeds 5] [--only NAME ...] [--json FILE]

DIR holds .npz files with X and y, where y = 1 marks anomalies, as in ADBench (Han et al. 2022).
Each is split 70 to 30 by each seed, stratified by y; a detector is fitted to the larger part,
anomalies included and y unseen, with default parameters, and scores the smaller one. Rows are
standardised for PyOD's and scikit-learn's detectors, ours takes them as they are. A rank of 1 is
the highest ROC AUC of a set; seconds are those of fit and scores on one thread; spread is the
standard deviation over the seeds of the mean ROC AUC. False alarms: fitted to 70 % of the clean
rows alone with contamination=0.05, the share of the others that is called odd, of sets with 300
clean rows or more.

PyOD (and PyTorch for its AutoEncoder) is optional. The AutoEncoder, which takes most of the
time, is run with ``--slow-seeds`` seeds.
"""

import json
import time
import warnings
from collections import defaultdict
from functools import partial

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

from shared.command import parser, wanted
from shared.report import Section, installed, tell
from skl_sae import SparseAutoencoderDetector

SLOW = {"PyOD AutoEncoder"}
SPLIT = {"test_size": 0.3}
CLEAN_ROWS, SHARE = 300, 0.05


def parse():
    command = parser(__doc__, "data", "only", "out", "json")
    command.add_argument("--seeds", type=int, default=5)
    command.add_argument("--slow-seeds", type=int, default=1, help="of PyOD's AutoEncoder")
    return command.parse_args()


class OfPyOD:
    """A detector of PyOD with the signs of scikit-learn's."""

    def __init__(self, detector):
        self.detector = detector

    def fit(self, X):
        self.detector.fit(X)
        return self

    def score_samples(self, X):
        return -self.detector.decision_function(X)

    def predict(self, X):
        return 1 - 2 * self.detector.predict(X)


def _pyod(module, name, seeded, seed, **params):
    from importlib import import_module

    seed = {"random_state": seed} if seeded else {}
    return OfPyOD(getattr(import_module(f"pyod.models.{module}"), name)(**seed, **params))


def _scaled(cls, seed, **params):
    seed = {"random_state": seed} if "random_state" in cls().get_params() else {}
    return make_pipeline(StandardScaler(), cls(**seed, **params))


def detectors():
    """By name a function of the seed, and of ``contamination`` where there is one."""
    found = {
        "SparseAutoencoderDetector": lambda seed, **params: SparseAutoencoderDetector(
            random_state=seed, **params
        ),
        "IsolationForest": partial(_scaled, IsolationForest),
        "OneClassSVM": partial(_scaled, OneClassSVM),
        "LocalOutlierFactor": partial(_scaled, partial(LocalOutlierFactor, novelty=True)),
    }
    if installed("pyod"):
        found["PyOD KNN"] = partial(_pyod, "knn", "KNN", False)
        found["PyOD ECOD"] = partial(_pyod, "ecod", "ECOD", False)
        found["PyOD PCA"] = partial(_pyod, "pca", "PCA", True)
        if installed("torch"):
            found["PyOD AutoEncoder"] = partial(_pyod, "auto_encoder", "AutoEncoder", True)
    return found


def data(options):
    """Names, rows, and which of them are anomalies."""
    for path in sorted(options.data.glob("*.npz"), key=lambda path: path.stem.lower()):
        if wanted(path.stem, options):
            with np.load(path) as file:
                yield path.stem, file["X"].astype(float), file["y"]


def found(make, X, y, seed, for_pyod):
    """ROC AUC, average precision and seconds of one fit."""
    A, B, _, b = train_test_split(X, y, stratify=y, random_state=seed, **SPLIT)
    if for_pyod:
        A, B = _standardised(A, B)
    start = time.perf_counter()
    scores = -make(seed).fit(A).score_samples(B)
    seconds = time.perf_counter() - start
    scores = np.nan_to_num(scores)
    return roc_auc_score(b, scores), average_precision_score(b, scores), seconds


def false_alarms(make, X, seed, for_pyod):
    """The share of new clean rows that is called odd."""
    A, B = train_test_split(X, random_state=seed, **SPLIT)
    if for_pyod:
        A, B = _standardised(A, B)
    return float((make(seed, contamination=SHARE).fit(A).predict(B) == -1).mean())


def _standardised(A, B):
    scaler = StandardScaler().fit(A)
    return scaler.transform(A), scaler.transform(B)


def measure(options):
    """By detector and set the figures of each seed, and the false alarms."""
    figures, alarms = defaultdict(dict), defaultdict(dict)
    for name, X, y in data(options):
        for detector, make in detectors().items():
            seeds = range(options.slow_seeds if detector in SLOW else options.seeds)
            theirs = detector.startswith("PyOD")
            figures[detector][name] = [found(make, X, y, seed, theirs) for seed in seeds]
            if (y == 0).sum() >= CLEAN_ROWS and detector not in SLOW | {"OneClassSVM"}:
                shares = [false_alarms(make, X[y == 0], seed, theirs) for seed in seeds]
                alarms[detector][name] = float(np.mean(shares))
        each = {d: round(float(np.mean([f[0] for f in v[name]])), 3) for d, v in figures.items()}
        print(name, X.shape, int(y.sum()), each, flush=True)
    return figures, alarms


def table(figures, alarms):
    """One line for each detector."""
    means = {
        d: np.array([np.mean(v, axis=0) for v in sets.values()]) for d, sets in figures.items()
    }
    auc = np.array([mean[:, 0] for mean in means.values()]).round(6)
    ranks = (auc[:, np.newaxis] < auc).sum(axis=1) + 1
    for detector, mean, rank in zip(means, means.values(), ranks):
        by_seed = np.mean([[f[0] for f in seeds] for seeds in figures[detector].values()], axis=0)
        shares = list(alarms[detector].values())
        yield {
            "detector": detector,
            "ROC AUC": f"{mean[:, 0].mean():.3f}",
            "spread": f"{np.std(by_seed):.3f}" if len(by_seed) > 1 else None,
            "average precision": f"{mean[:, 1].mean():.3f}",
            "mean rank": f"{rank.mean():.1f}",
            "seconds": f"{mean[:, 2].mean():.2f}",
            "false alarms: median": f"{np.median(shares):.1%}" if shares else None,
            "lowest to highest": f"{min(shares):.1%} – {max(shares):.1%}" if shares else None,
        }


if __name__ == "__main__":
    options = parse()
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        figures, alarms = measure(options)
    if options.json:
        options.json.write_text(json.dumps({"figures": figures, "false alarms": alarms}, indent=1))
    n_sets = len(next(iter(figures.values())))
    title = f"Anomalies: {n_sets} sets, {options.seeds} seeds"
    tell([Section(title, list(table(figures, alarms)))], 1, options.out)
