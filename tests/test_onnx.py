"""Models exported to ONNX give in onnxruntime what ours give in NumPy."""

import doctest
import re
import sys
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from numpydoc.validate import validate
from problems import LABEL_LOSSES, OUTPUTS
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingClassifier, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

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
from skl_sae import onnx as ours
from skl_sae.backprop.activations import ACTIVATIONS, STEEPNESS
from skl_sae.onnx import METHODS, register

onnx = pytest.importorskip("onnx", reason="the export needs onnx")
runtime = pytest.importorskip("onnxruntime", reason="exported models are run by onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx", reason="the export needs skl2onnx")

PAGE = Path(__file__).parents[1] / "docs" / "onnx.rst"
N_ROWS, N_FEATURES = 60, 12
TOLERANCE = {"float32": 1e-6, "float64": 1e-13}
NO_ZIPMAP = {"zipmap": False}
TRANSFORM = {"method": "transform"}


@pytest.fixture(scope="module", autouse=True)
def registered():
    register()


@pytest.fixture(params=["float32", "float64"])
def X(request):
    """Rows of latent factors, in [0, 1]."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(N_ROWS, 3)) @ rng.normal(size=(3, N_FEATURES))
    return (1 / (1 + np.exp(-Z))).astype(request.param)


def targets(kind, X):
    """Labels and numbers that depend on X."""
    thirds = np.digitize(X[:, 0], np.quantile(X[:, 0], [1 / 3, 2 / 3]))
    return {
        "binary": thirds > 0,
        "strings of two": np.where(thirds > 0, "yes", "no"),
        "multiclass": 3 * thirds - 2,
        "large": 2**40 + thirds,
        "whole floats": thirds.astype(float),
        "strings": np.array(["low", "middle", "ärg"])[thirds],
        "objects": np.array(["low", "middle", "high"], dtype=object)[thirds],
        "multilabel": np.column_stack([thirds > 0, thirds == 1, X[:, 1] > 0.5]).astype(int),
        "number": X[:, 0] - X[:, 1],
        "numbers": np.column_stack([X[:, 0], X[:, 1] * X[:, 2]]),
    }[kind]


def autoencoder(**params):
    return SparseAutoencoder(5, **({"rho": 0.2, "tol": 0.1, "random_state": 0} | params))


def network(cls, hidden=(6,), **params):
    return cls(hidden, **({"tol": 0.1, "lam": 1e-3, "random_state": 0} | params))


def convert(model, X, options=None, **kwargs):
    """The exported model, checked by ONNX's own checker."""
    exported = skl2onnx.to_onnx(model, X[:1], options=options, **kwargs)
    onnx.checker.check_model(exported, full_check=True)
    return exported


def run(exported, X):
    session = runtime.InferenceSession(
        exported.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X})


def assert_close(output, expected):
    assert output.dtype == expected.dtype
    if expected.ndim == 1:  # ONNX's regressors and scores have one column
        expected = expected[:, np.newaxis]
    tolerance = TOLERANCE[str(expected.dtype)]
    np.testing.assert_allclose(output, expected, rtol=tolerance, atol=tolerance)


def assert_exported(model, X, method="transform", options=None):
    [output] = run(convert(model, X, options), X)
    assert_close(output, np.asarray(getattr(model, method)(X)))


def assert_labels_exported(model, X, options=None):
    labels, probabilities = run(convert(model, X, options or {id(model): NO_ZIPMAP}), X)
    np.testing.assert_array_equal(labels, model.predict(X))
    assert_close(probabilities, model.predict_proba(X).astype(X.dtype, copy=False))


# -- every estimator -----------------------------------------------------------------------


def test_every_public_estimator_is_covered():
    """The detector is refused: see its own tests."""
    public = {getattr(skl_sae, name) for name in skl_sae.__all__}
    assert {*METHODS, SparseAutoencoderDetector} == {cls for cls in public if hasattr(cls, "fit")}


@pytest.mark.parametrize(
    ("activation", "output_activation"),
    list(zip(ACTIVATIONS, cycle(OUTPUTS))),
)
@pytest.mark.parametrize("method", METHODS[SparseAutoencoder])
def test_autoencoder(activation, output_activation, method, X):
    beta = 3.0 if activation in STEEPNESS else 0.0
    sae = autoencoder(activation=activation, output_activation=output_activation, beta=beta)
    sae.fit(X)
    given = sae.transform(X) if method == "inverse_transform" else X
    assert_exported(sae, given, method, {id(sae): {"method": method}})


def test_the_code_is_the_default(X):
    assert_exported(autoencoder(tied_weights=True).fit(X), X)


@pytest.mark.parametrize("loss", LABEL_LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "strings", "multilabel"])
def test_classifier(kind, activation, loss, X):
    net = network(MLPBackpropClassifier, loss=loss, activation=activation)
    assert_labels_exported(net.fit(X, targets(kind, X)), X)


@pytest.mark.parametrize(
    "kind", ["strings of two", "large", "whole floats", "objects", "multilabel"]
)
@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropClassifier])
def test_labels(cls, kind, X):
    assert_labels_exported(network(cls).fit(X, targets(kind, X)), X)


@pytest.mark.parametrize("kind", ["number", "numbers"])
@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropRegressor])
def test_regressor(cls, kind, X):
    task = {"task": "regression"} if cls is MLPBackprop else {}
    net = network(cls, **task).fit(X, targets(kind, X))
    assert_exported(net, X, "predict")


@pytest.mark.parametrize("output", ["logistic", "tanh"])
def test_bounded_outputs(output, X):
    net = network(MLPBackpropRegressor, output_activation=output).fit(X, targets("numbers", X))
    assert_exported(net, X, "predict")
    for kind in ("binary", "multiclass", "multilabel"):
        net = network(MLPBackpropClassifier, output_activation=output).fit(X, targets(kind, X))
        assert_labels_exported(net, X)


@pytest.mark.parametrize("hidden", [(), (5, 4, 3)])
@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropClassifier])
def test_depth(cls, hidden, X):
    assert_labels_exported(network(cls, hidden).fit(X, targets("multiclass", X)), X)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropClassifier, MLPBackpropRegressor])
def test_hidden_layer(cls, layer, X):
    net = network(cls, (6, 4), transform_layer=layer).fit(X, targets("multiclass", X))
    assert_exported(net, X, "transform", {id(net): TRANSFORM})


def test_pretrained(X):
    net = network(MLPBackpropClassifier, pretraining=autoencoder(activation="tanh"), beta=0.1)
    net.fit(X, targets("multiclass", X))
    assert_labels_exported(net, X)
    assert_labels_exported(net.pretrained_, X)


@pytest.mark.parametrize("method", METHODS[ZCAWhitening])
def test_whitening(method, X):
    zca = ZCAWhitening(epsilon=0.01).fit(X)
    assert_exported(zca, X, method, {id(zca): {"method": method}})


def test_whitening_far_from_zero():
    """Where the mean is large, single precision would lose the digits that whitening needs."""
    X = np.random.default_rng(0).normal(1000, 1, size=(50, 4)).astype(np.float32)
    zca = ZCAWhitening().fit(X)
    assert_exported(zca, X)
    assert_exported(zca, zca.transform(X), "inverse_transform", {"method": "inverse_transform"})


@pytest.mark.parametrize(
    "params",
    [{}, {"n_std": 0.5, "feature_range": None}, {"n_std": None, "feature_range": None}],
)
def test_patch_normalizer(params, X):
    X[0] = X[0, 0]  # a row that does not vary
    assert_exported(PatchNormalizer(**params).fit(X), X)


def test_patches_cut_below_the_range_of_float32(X):
    model = PatchNormalizer(n_std=1e-50, feature_range=(0, 1)).fit(X)
    [output] = run(convert(model, X.astype(np.float32)), X.astype(np.float32))
    assert_close(output, model.transform(X.astype(np.float32)))


def test_patches_that_do_not_vary(X):
    X[:] = X[:, :1]
    assert_exported(PatchNormalizer().fit(X), X)


@pytest.mark.parametrize(
    "params",
    [
        {"image_shape": (3, 4), "patch_shape": (2, 2), "pool_shape": (2, 2)},
        {"image_shape": (3, 4), "patch_shape": (1, 2), "stride": 2},
        {"image_shape": (2, 3, 2), "patch_shape": (1, 2), "pool_shape": (1, 1)},
        {"patch_shape": (1, 4), "pool_shape": (1, 5)},
    ],
)
def test_convolution(params, X):
    conv = ConvolveAndPool(make_pipeline(ZCAWhitening(), autoencoder(beta=0)), **params)
    conv.set_params(encoder__sparseautoencoder__output_activation="identity", random_state=0)
    assert_exported(conv.fit(X), X)


@pytest.mark.parametrize("pipe", [False, True])
def test_convolution_of_a_network(pipe, X):
    """Its transform is the code, though its predictions are what it exports elsewhere."""
    net = network(MLPBackpropRegressor).fit(X[:, :4], X[:, 0])
    encoder = make_pipeline(FrozenEstimator(net)) if pipe else net
    conv = ConvolveAndPool(FrozenEstimator(encoder), image_shape=(3, 4), patch_shape=(2, 2))
    assert_exported(conv.fit(X), X)


# -- saturation ----------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LABEL_LOSSES)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_saturated_probabilities(kind, loss, X):
    """Small ones are right to their last digits, down to where they underflow."""
    net = network(MLPBackpropClassifier, (), loss=loss).fit(X[:, :3], targets(kind, X))
    n_outputs, largest = net.n_outputs_, {"float32": 80, "float64": 700}[str(X.dtype)]
    net.coefs_ = [np.eye(3, n_outputs, dtype=X.dtype)]  # the raw output is the input
    net.intercepts_ = [np.zeros(n_outputs, X.dtype)]
    Z = np.random.default_rng(0).uniform(-largest, 10, size=(200, 3)).astype(X.dtype)
    Z[:4] = np.array([[1e6], [-1e6], [0], [-largest]])
    _, probabilities = run(convert(net, Z, NO_ZIPMAP), Z)
    expected = net.predict_proba(Z)
    normal = np.finfo(X.dtype).tiny
    assert 0 < expected[expected > normal].min() < 1e-10
    rtol = 100 * np.finfo(X.dtype).eps
    np.testing.assert_allclose(probabilities, expected, rtol=rtol, atol=normal)


# -- inside other estimators ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "strings"])
@pytest.mark.parametrize(
    ("scaler", "decoder"), [(StandardScaler(), "identity"), (MinMaxScaler(), "logistic")]
)
def test_pipeline(scaler, decoder, kind, X):
    pipe = make_pipeline(
        scaler, autoencoder(output_activation=decoder), LogisticRegression(tol=0.1)
    )
    assert_labels_exported(pipe.fit(X, targets(kind, X)), X)


def test_pipeline_of_scores(X):
    pipe = make_pipeline(MinMaxScaler(), autoencoder()).fit(X)
    assert_exported(pipe, X, "score_samples", {id(pipe[1]): {"method": "score_samples"}})


@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropClassifier])
def test_pipeline_that_ends_in_a_network(cls, X):
    pipe = make_pipeline(StandardScaler(), PatchNormalizer(), network(cls))
    assert_labels_exported(pipe.fit(X, targets("strings", X)), X)


@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropClassifier, MLPBackpropRegressor])
def test_network_in_the_middle(cls, X):
    pipe = make_pipeline(StandardScaler(), network(cls), LogisticRegression(tol=0.1))
    pipe.fit(X, targets("multiclass", X))
    for options in None, NO_ZIPMAP:
        with pytest.raises(ValueError, match=f"{cls.__name__} serves as a transformer .*method"):
            convert(pipe, X, options)
    assert_labels_exported(pipe, X, {id(pipe[1]): TRANSFORM, id(pipe): NO_ZIPMAP})
    assert_labels_exported(pipe, X, {f"{cls.__name__.lower()}__method": "transform", **NO_ZIPMAP})


@pytest.mark.parametrize("cls", [MLPBackpropClassifier, MLPBackpropRegressor])
def test_network_in_a_union(cls, X):
    net, y = network(cls), targets("binary", X)
    union = FeatureUnion([("pca", PCA(2)), ("net", net)]).fit(X, y)
    columns = ColumnTransformer([("pca", PCA(2), [0, 1, 2]), ("net", net, slice(3, 12))])
    columns.fit(X, y)
    for model, fitted in (union, union["net"]), (columns, columns.named_transformers_["net"]):
        with pytest.raises(ValueError, match="serves as a transformer"):
            convert(model, X)
        assert_exported(model, X, options={id(fitted): TRANSFORM})


def test_network_in_the_middle_of_an_ensemble(X):
    pipe = make_pipeline(network(MLPBackpropRegressor), Ridge())
    voting = VotingRegressor([("a", pipe), ("b", Ridge())]).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="serves as a transformer"):
        convert(voting, X)


@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropClassifier])
def test_grid_search(cls, X):
    search = GridSearchCV(network(cls), {"lam": [1e-3, 1e-2]}, cv=2)
    assert_labels_exported(search.fit(X, targets("strings", X)), X)


def test_stacking(X):
    networks = [("a", network(MLPBackpropClassifier)), ("b", network(MLPBackpropClassifier, (3,)))]
    stacking = StackingClassifier(networks, LogisticRegression(tol=0.1), cv=2)
    assert_labels_exported(stacking.fit(X, targets("multiclass", X)), X)


def test_frozen(X):
    y = targets("multiclass", X)
    pipe = make_pipeline(FrozenEstimator(autoencoder().fit(X)), LogisticRegression(tol=0.1)).fit(
        X, y
    )
    assert_labels_exported(pipe, X)
    net = FrozenEstimator(network(MLPBackpropClassifier).fit(X, y))
    assert_labels_exported(make_pipeline(net), X)


# -- options, types and shapes -------------------------------------------------------------


def signature(model, X, options):
    exported = convert(model, X, {id(model): options})
    session = runtime.InferenceSession(exported.SerializeToString())
    return [(output.name, output.type, output.shape) for output in session.get_outputs()]


@pytest.mark.parametrize("kind", ["multiclass", "strings of two"])
@pytest.mark.parametrize("cls", [MLPBackprop, MLPBackpropClassifier])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"zipmap": "columns"},
        {"zipmap": False, "output_class_labels": True},
        {"zipmap": False, "nocl": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_options_are_those_of_other_classifiers(cls, kind, options, X):
    y = targets(kind, X)
    net, other = network(cls).fit(X, y), LogisticRegression(tol=0.1).fit(X, y)
    assert signature(net, X, options) == signature(other, X, options)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_zipmap(X):
    net = network(MLPBackpropClassifier).fit(X, targets("strings", X))
    labels, rows = run(convert(net, X), X)
    assert labels.tolist() == net.predict(X).tolist()
    assert [list(row) for row in rows] == [net.classes_.tolist()] * N_ROWS
    assert_close(np.array([list(row.values()) for row in rows], X.dtype), net.predict_proba(X))


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_labels_as_numbers(X):
    net = network(MLPBackpropClassifier).fit(X, targets("strings", X))
    labels, _ = run(convert(net, X, NO_ZIPMAP | {"nocl": True}), X)
    assert net.classes_[labels].tolist() == net.predict(X).tolist()


@pytest.mark.parametrize("X", ["float32"], indirect=True)
@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, bool])
def test_whole_numbers_become_float32(kind, X):
    given = np.round(2 * X).astype(kind)
    sae = autoencoder().fit(X)
    [code] = run(convert(sae, given), given)
    assert_close(code, sae.transform(given.astype(np.float32)))


@pytest.mark.parametrize("n_rows", [1, 7])
def test_any_number_of_rows(n_rows, X):
    conv = ConvolveAndPool(autoencoder(), image_shape=(3, 4), patch_shape=(2, 2)).fit(X)
    pipe = make_pipeline(conv, network(MLPBackpropClassifier)).fit(X, targets("multiclass", X))
    labels, _ = run(convert(pipe, X, NO_ZIPMAP), X[:n_rows])
    assert labels.tolist() == pipe.predict(X[:n_rows]).tolist()


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_columns_need_not_be_declared(X):
    from skl2onnx.common.data_types import FloatTensorType

    sae = autoencoder().fit(X)
    exported = skl2onnx.to_onnx(sae, initial_types=[("X", FloatTensorType([None, None]))])
    assert_close(run(exported, X)[0], sae.transform(X))


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_older_opsets(opset, X):
    net = network(MLPBackpropClassifier, loss="squared_error").fit(X, targets("strings", X))
    for model in net, PatchNormalizer().fit(X), ZCAWhitening().fit(X):
        exported = convert(model, X, NO_ZIPMAP if model is net else None, target_opset=opset)
        assert max(o.version for o in exported.opset_import if not o.domain) == opset
        expected = model.predict_proba(X) if model is net else model.transform(X)
        assert_close(run(exported, X)[-1], expected)


# -- what can't be converted ---------------------------------------------------------------


@pytest.mark.parametrize("cls", METHODS)
def test_not_fitted(cls):
    model = cls(SparseAutoencoder()) if cls is ConvolveAndPool else cls()
    with pytest.raises(NotFittedError, match=f"This {cls.__name__} instance is not fitted yet"):
        skl2onnx.to_onnx(model, np.zeros((1, 3), np.float32))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((1, 5), np.float32), "SparseAutoencoder.transform takes 12 columns, .* has 5"),
        (np.zeros((1, 12), str), "SparseAutoencoder.transform takes numbers, not strings"),
    ],
)
@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_unsuitable_input(given, message, X):
    with pytest.raises(ValueError, match=message):
        skl2onnx.to_onnx(autoencoder().fit(X), given)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_one_input_for_each_column(X):
    from skl2onnx.common.data_types import FloatTensorType

    inputs = [(name, FloatTensorType([None, 1])) for name in "abc"]
    with pytest.raises(ValueError, match="takes one input with all columns, not 3"):
        skl2onnx.to_onnx(autoencoder().fit(X[:, :3]), initial_types=inputs)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_labels_that_onnx_does_not_have(X):
    net = network(MLPBackpropClassifier).fit(X, targets("binary", X))
    net.classes_ = np.array([0.5, 1.5])
    with pytest.raises(ValueError, match=r"strings or whole numbers, not .*LabelEncoder"):
        convert(net, X, NO_ZIPMAP)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_options_that_do_not_exist(X):
    sae = autoencoder().fit(X)
    with pytest.raises(ValueError, match=r"'fit'.* for option 'method'"):
        convert(sae, X, {"method": "fit"})
    with pytest.raises(NameError, match="zipmap"):
        convert(sae, X, NO_ZIPMAP)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_a_network_without_hidden_layers_has_no_transform(X):
    net = network(MLPBackpropClassifier, ()).fit(X, targets("binary", X))
    with pytest.raises(AttributeError, match="without hidden layers has no code"):
        convert(net, X, TRANSFORM)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_the_fitted_model_is_exported_whatever_its_parameters_are_now(X):
    sae = autoencoder().fit(X).set_params(activation="tanh", output_activation="identity")
    net = network(MLPBackpropClassifier, (6, 4)).fit(X, targets("binary", X))
    net.set_params(activation="relu", transform_layer=0)
    normalizer = PatchNormalizer().fit(X).set_params(n_std=1, feature_range=None)
    for model, options in [(sae, None), (net, TRANSFORM), (normalizer, None)]:
        assert_exported(model, X, options=options)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_an_encoder_of_which_skl2onnx_exports_something_else(X):
    encoder = make_pipeline(MinMaxScaler(), KMeans(2, random_state=0))
    conv = ConvolveAndPool(encoder, image_shape=(3, 4), patch_shape=(2, 2)).fit(X)
    with pytest.raises(ValueError, match="can't be exported with the encoder KMeans"):
        convert(conv, X)


@pytest.mark.parametrize("X", ["float32"], indirect=True)
def test_an_activation_without_nodes_says_where_they_are_missing(X, monkeypatch):
    monkeypatch.delitem(ours.ACTIVATIONS, "tanh")
    sae = autoencoder(activation="tanh").fit(X)
    with pytest.raises(
        NotImplementedError, match="'tanh' is missing in ACTIVATIONS of skl_sae/onn"
    ):
        convert(sae, X)


# -- register ------------------------------------------------------------------------------


def test_register_again_changes_nothing():
    from skl2onnx._parse import sklearn_parsers_map

    before = dict(sklearn_parsers_map)
    register()
    assert sklearn_parsers_map == before
    assert set(METHODS) < set(before)


def test_skl2onnx_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"The export to ONNX needs skl2onnx: .*pip install"):
        register()


def test_docstring():
    errors = dict(validate("skl_sae.onnx.register")["errors"])
    assert set(errors) <= {"ES01", "SA04", "RT03", "YD01"}
    example = register.__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(example, {}, "register", None, 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_the_page(capsys, short_fits, tmp_path, monkeypatch):
    """Its examples run, and its table names every estimator and method."""
    monkeypatch.chdir(tmp_path)  # where the model is written
    text = PAGE.read_text()
    found = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    blocks = [re.sub("^    ", "", block, flags=re.MULTILINE) for block in found]
    namespace, other = {}, {}
    for block in blocks:
        exec(block, namespace)
    exec(blocks[2], other)  # another program, which has the file alone
    images, digits = namespace["load_digits"](return_X_y=True)
    assert (other["serve"](images)[0] == digits).mean() > 0.5
    assert capsys.readouterr().out.split() == ["True", "True"]  # of the first and the last block
    for cls, methods in METHODS.items():
        for name in cls.__name__, *methods:
            assert f"``{name}``" in text
