"""Saved estimators: stamped, small, and loadable by skops (`test_ecosystem` has joblib)."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import skl_sae
from skl_sae import (
    ConvolveAndPool,
    MLPBackprop,
    MLPBackpropClassifier,
    MLPBackpropRegressor,
    PatchNormalizer,
    SparseAutoencoder,
    SparseAutoencoderDetector,
    ZCAWhitening,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]

X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
LABELS = np.array(["setosa", "versicolor", "virginica"])[y]
ENCODER = SparseAutoencoder(4, max_iter=5, random_state=0)
ESTIMATORS = {
    "SparseAutoencoder": ENCODER,
    "SparseAutoencoderDetector": SparseAutoencoderDetector(n_estimators=3, random_state=0),
    "MLPBackprop": MLPBackprop((4,), max_iter=5, random_state=0),
    "MLPBackpropClassifier": MLPBackpropClassifier((4,), max_iter=5, random_state=0),
    "pretrained": MLPBackpropClassifier(
        (4,), activation="logistic", pretraining=ENCODER, max_iter=5, random_state=0
    ),
    "early stopping": MLPBackpropClassifier((4,), early_stopping=True, max_iter=5, random_state=0),
    "MLPBackpropRegressor": MLPBackpropRegressor((4,), max_iter=5, random_state=0),
    "ZCAWhitening": ZCAWhitening(),
    "PatchNormalizer": PatchNormalizer(),
    "ConvolveAndPool": ConvolveAndPool(ENCODER, image_shape=(2, 2), patch_shape=(1, 1)),
}


def fit(name):
    target = X[:, 0] if "Regressor" in name else LABELS
    return ESTIMATORS[name].fit(X, target)


def output(estimator):
    return getattr(estimator, "predict", getattr(estimator, "transform", None))(X)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_pickles_are_equal(name):
    estimator = fit(name)
    back = pickle.loads(pickle.dumps(estimator))
    np.testing.assert_array_equal(output(back), output(estimator))
    assert vars(back).keys() == vars(estimator).keys()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_another_version_warns(name, monkeypatch):
    saved = pickle.dumps(fit(name))
    monkeypatch.setattr(skl_sae, "__version__", "99.0")
    with pytest.warns(UserWarning, match=r"was saved by skl_sae 0\..* loaded by 99.0") as caught:
        pickle.loads(saved)
    assert len(caught) >= 1


def test_a_pickle_without_a_version_warns():
    estimator = fit("ZCAWhitening")
    state = estimator.__getstate__()
    del state["_skl_sae_version"]
    with pytest.warns(UserWarning, match="an unknown version"):
        ZCAWhitening().__setstate__(state)
    assert "_skl_sae_version" not in vars(pickle.loads(pickle.dumps(estimator)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "estimator",
    [
        SparseAutoencoder(200, max_iter=12, random_state=0),
        MLPBackpropClassifier((150, 100), max_iter=12, random_state=0),
        MLPBackpropRegressor((200,), max_iter=12, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_files_are_no_larger_than_the_parameters(estimator, dtype):
    rng = np.random.default_rng(0)
    data = rng.uniform(size=(300, 196)).astype(dtype)
    estimator.fit(data, rng.integers(2, size=300))
    parameters = sum(a.nbytes for a in estimator.coefs_ + estimator.intercepts_)
    assert len(pickle.dumps(estimator)) < 1.1 * parameters


@pytest.mark.parametrize("name", ESTIMATORS)
def test_fitted_attributes_are_plain_and_pin_nothing(name):
    for attribute, value in vars(fit(name)).items():
        if attribute.endswith("_"):
            for part in value if isinstance(value, list) else [value]:
                plain = (np.ndarray, str, bool, int, float, tuple, type(None))
                own = part.__class__.__module__.startswith(("skl_sae.", "sklearn."))
                assert own or isinstance(part, plain), attribute
                if isinstance(part, np.ndarray):
                    assert part.base is None or part.base.nbytes <= part.nbytes, attribute


@pytest.mark.parametrize("name", ESTIMATORS)
def test_skops_trusts_all_but_our_own_class(name):
    skops = pytest.importorskip("skops.io", reason="skops saves without pickle")
    estimator = make_pipeline(MinMaxScaler(), FrozenEstimator(fit(name)))
    if hasattr(ESTIMATORS[name], "transform"):
        estimator.steps.append(("classifier", LogisticRegression()))
    estimator.fit(X, y)
    saved = skops.dumps(estimator)
    untrusted = skops.get_untrusted_types(data=saved)
    assert untrusted
    assert all(found.startswith("skl_sae.") for found in untrusted)
    if name not in (
        "pretrained",
        "ConvolveAndPool",
        "SparseAutoencoderDetector",
    ):  # which hold others of our classes
        assert len(untrusted) == 1
    back = skops.loads(saved, trusted=untrusted)
    np.testing.assert_array_equal(back.predict(X), estimator.predict(X))
