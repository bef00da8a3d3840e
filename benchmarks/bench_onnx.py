"""Accuracy and speed of exported models: onnxruntime against NumPy, on scikit-learn's digits.

    python benchmarks/bench_onnx.py

The table of ``docs/onnx.rst``: the largest difference of any entry, divided by the value where
that is above 1. Then the time of one row and of all rows, medians of interleaved calls.
"""

import warnings
from functools import partial

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler
from threadpoolctl import threadpool_limits

from shared.command import parser
from shared.measure import in_turn, seconds
from shared.report import Section, tell
from skl_sae import (
    ConvolveAndPool,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    ZCAWhitening,
)
from skl_sae.onnx import register

UNITS, ROUNDS = 36, 200
OPTIONS = {  # of the export, where it is not the default
    (SparseAutoencoder, "predict"): {"method": "predict"},
    (SparseAutoencoder, "score_samples"): {"method": "score_samples"},
    (MLPBackpropClassifier, "transform"): {"method": "transform"},
    (MLPBackpropClassifier, "predict_proba"): {"zipmap": False},
    (Pipeline, "predict_proba"): {"zipmap": False},
}


def models(X, y):
    """(what, fitted model, method that is exported)."""
    sae = SparseAutoencoder(UNITS, random_state=0).fit(X)
    for what, method in [
        ("code of SparseAutoencoder", "transform"),
        ("its reconstruction", "predict"),
        ("its scores", "score_samples"),
    ]:
        yield what, sae, method
    net = MLPBackpropClassifier((UNITS,), random_state=0).fit(X, y)
    yield "probabilities of MLPBackpropClassifier", net, "predict_proba"
    yield "its hidden layer (tanh)", net, "transform"
    net = MLPBackpropRegressor((UNITS,), random_state=0).fit(X, y)
    yield "MLPBackpropRegressor, targets 0 to 9", net, "predict"
    yield "ZCAWhitening", ZCAWhitening().fit(X), "transform"
    yield "PatchNormalizer", PatchNormalizer().fit(X), "transform"
    sae = SparseAutoencoder(UNITS, output_activation="identity", random_state=0)
    encoder = make_pipeline(ZCAWhitening(), sae)
    conv = ConvolveAndPool(
        encoder, image_shape=(8, 8), patch_shape=(4, 4), pool_shape=(3, 3), random_state=0
    )
    yield "ConvolveAndPool: whitening, then an autoencoder", conv.fit(X), "transform"
    sae, last = SparseAutoencoder(UNITS, random_state=0), LogisticRegression(max_iter=1000)
    pipe = make_pipeline(MinMaxScaler(), sae, last).fit(X, y)
    yield "such a code and LogisticRegression: probabilities", pipe, "predict_proba"


def session(model, X, method):
    """What runs the exported model on one thread: rows -> its last output."""
    given, options = OPTIONS.get((type(model), method)), SessionOptions()
    options.intra_op_num_threads = 1
    exported = to_onnx(model, X[:1], options={id(model): given} if given else None)
    run = InferenceSession(exported.SerializeToString(), options, ["CPUExecutionProvider"])
    name = run.get_inputs()[0].name
    return lambda rows: run.run(None, {name: rows})[-1]


def difference(found, expected):
    found, expected = np.ravel(found), np.ravel(expected)
    return float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1)))


def precision(X, y):
    """The largest difference from NumPy, in both precisions."""
    rows = []
    for what, model, method in models(X, y):
        row = {"what": what}
        for dtype in (np.float32, np.float64):
            Z = X.astype(dtype)
            row[np.dtype(dtype).name] = difference(
                session(model, Z, method)(Z), getattr(model, method)(Z)
            )
        rows.append(row)
    return Section("Largest difference from NumPy", rows)


def microseconds(calls):
    """Medians of interleaved calls."""
    times = in_turn({name: partial(seconds, call) for name, call in calls.items()}, ROUNDS)
    return {name: 1e6 * float(np.median(each)) for name, each in times.items()}


def speed(X):
    """The code of one row and of all, on one thread."""
    sae, rows = SparseAutoencoder(UNITS, random_state=0).fit(X), []
    for dtype in (np.float32, np.float64):
        Z = X.astype(dtype)
        run = session(sae, Z, "transform")
        for part in (Z[:1], Z):
            found = microseconds(
                {
                    "onnxruntime, µs": lambda run=run, part=part: run(part),
                    "Python, µs": lambda part=part: sae.transform(part),
                }
            )
            rows.append({"rows": len(part), "dtype": Z.dtype.name, **found})
    return Section(f"Time of the code of {UNITS} units", rows)


def measured():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    register()
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1, "blas"):
        yield precision(X, y)
        yield speed(X)


def main():
    parser(__doc__).parse_args()
    tell(measured(), 1)


if __name__ == "__main__":
    main()
