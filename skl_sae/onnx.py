"""Export to ONNX: converters of this package's estimators for skl2onnx.

`register` tells skl2onnx about them. For each model skl2onnx then calls three functions. The
parser declares the outputs, the shape calculator sets their types and shapes, and the converter
writes the nodes. The nodes are NumPy's operations one by one, so results agree to rounding. Where
an operator of ONNX is less exact than our formula, the nodes spell out the formula.
"""

from copy import copy
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from sklearn.base import ClassifierMixin, ClusterMixin, RegressorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .backprop.activations import look_up
from .convolution import ConvolveAndPool, _regions
from .detector import SparseAutoencoderDetector
from .mlp_backprop import MLPBackprop
from .mlp_tasks import MLPBackpropClassifier, MLPBackpropRegressor
from .preprocessing import PatchNormalizer, ZCAWhitening
from .sparse_autoencoder import SparseAutoencoder

# The nodes of each activation.
ACTIVATIONS = {
    "logistic": lambda graph, Z: graph.add("Sigmoid", Z),
    "tanh": lambda graph, Z: graph.add("Tanh", Z),
    "relu": lambda graph, Z: graph.add("Relu", Z),
    "identity": lambda graph, Z: graph.add("Identity", Z),
}

# The methods that can be exported for each class; the first is the default.
METHODS = {
    SparseAutoencoder: ("transform", "predict", "inverse_transform", "score_samples"),
    MLPBackprop: ("predict", "transform"),
    MLPBackpropClassifier: ("predict", "transform"),
    MLPBackpropRegressor: ("predict", "transform"),
    ZCAWhitening: ("transform", "inverse_transform"),
    PatchNormalizer: ("transform",),
    ConvolveAndPool: ("transform",),
}

# The options that skl2onnx gives to every classifier.
CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}

# The operators that skl2onnx itself puts behind the last estimator.
ZIPMAPS = ("SklearnZipMap", "SklearnZipMapColumns")
ENDINGS = ("SklearnIdentity", "SklearnCast")


def register():
    """Make `skl2onnx.to_onnx` convert the estimators of this package.

    Call it once before the conversion; calling it again changes nothing. The estimators
    can then be converted alone, or inside estimators that skl2onnx converts, such as
    `~sklearn.pipeline.Pipeline` and `~sklearn.model_selection.GridSearchCV`. If skl2onnx
    does not know `~sklearn.frozen.FrozenEstimator`, the estimator inside it is converted.

    Raises
    ------
    ImportError
        skl2onnx is not installed.

    See Also
    --------
    skl_sae.SparseAutoencoder : Its code is exported.
    skl_sae.MLPBackpropClassifier : Its labels and probabilities are exported.

    Notes
    -----
    The option ``method`` exports another method: ``"predict"``, ``"inverse_transform"`` or
    ``"score_samples"`` of a `~skl_sae.SparseAutoencoder`, ``"transform"`` of a network,
    ``"inverse_transform"`` of a `~skl_sae.ZCAWhitening`. Options are given by the estimator's
    id, as for every converter of skl2onnx:
    ``to_onnx(pipe, X, options={id(pipe[1]): {"method": "predict"}})``. A network that is not
    the last step of a pipeline needs ``{"method": "transform"}``; without it the conversion
    raises an error.

    Examples
    --------
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> from sklearn.datasets import load_iris
    >>> from skl_sae import MLPBackpropClassifier
    >>> from skl_sae.onnx import register
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPBackpropClassifier((5,), random_state=0).fit(X, y)
    >>> register()  # doctest: +SKIP
    >>> model = to_onnx(net, X[:1], options={"zipmap": False})  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter, update_registered_parser
        from skl2onnx._parse import sklearn_parsers_map
    except ImportError as error:
        raise ImportError(
            "The export to ONNX needs skl2onnx: install it with `pip install skl2onnx`."
        ) from error
    for cls, methods in METHODS.items():
        predicts_labels = cls in (MLPBackprop, MLPBackpropClassifier)
        update_registered_converter(
            cls,
            f"SklSae{cls.__name__}",
            _set_shapes,
            _convert,
            parser=_parse,
            options={"method": methods} | (CLASSIFIER_OPTIONS if predicts_labels else {}),
        )
    update_registered_converter(
        SparseAutoencoderDetector, "SklSaeDetector", _refuse_detector, _convert
    )
    if FrozenEstimator not in sklearn_parsers_map:
        update_registered_parser(FrozenEstimator, _parse_frozen)


# -- parse: which outputs there are --------------------------------------------------------


def _parse(scope, model, inputs, custom_parsers=None):
    from skl2onnx.common.data_types import guess_tensor_type

    check_is_fitted(model)
    if _gives_labels(scope, model):
        return _parse_classifier(scope, model, inputs, custom_parsers)
    operator = scope.declare_local_operator(f"SklSae{type(model).__name__}", model)
    operator.inputs = inputs
    kind = guess_tensor_type(inputs[0].type)
    operator.outputs.append(scope.declare_local_variable("variable", kind))
    return operator.outputs


def _parse_classifier(scope, model, inputs, custom_parsers):
    """Declare the label, the probabilities and the outputs for ``zipmap``.

    skl2onnx recognises a classifier by its class, so a stand-in replaces an `MLPBackprop`.
    """
    from skl2onnx._parse import _parse_sklearn_classifier

    if isinstance(model, ClassifierMixin):
        return _parse_sklearn_classifier(scope, model, inputs, custom_parsers)
    stand_in = copy(model)
    stand_in.__class__ = MLPBackpropClassifier
    scope.add_options(id(stand_in), scope.get_options(model, {}))
    outputs = _parse_sklearn_classifier(scope, stand_in, inputs, custom_parsers)
    scope.replace_raw_operator(stand_in, model, "SklSaeMLPBackprop")
    del scope.options[id(stand_in)]
    return outputs


def _parse_frozen(scope, model, inputs, custom_parsers=None):
    from skl2onnx._parse import _parse_sklearn

    scope.add_options(id(model.estimator), (scope.options or {}).get(id(model)))
    return _parse_sklearn(scope, model.estimator, inputs, custom_parsers)


def _method(scope, model):
    """The method that is exported."""
    return scope.get_options(model, {"method": METHODS[type(model)][0]})["method"]


def _gives_labels(scope, model):
    return getattr(model, "task_", None) == "classification" and _method(scope, model) == "predict"


# -- check the input, and set the shapes of the outputs ------------------------------------


def _set_shapes(operator):
    from skl2onnx.common.data_types import guess_tensor_type

    model, scope = operator.raw_operator, operator.scope_inst
    method = _method(scope, model)
    n_in, n_out = _sizes(model, method)
    _check_input(operator, method, n_in)
    if isinstance(model, MLPBackprop) and method == "predict":
        _check_is_last(operator)
    n_rows = operator.inputs[0].get_first_dimension()
    real = type(guess_tensor_type(operator.inputs[0].type))
    if _gives_labels(scope, model):
        labels = _labels(scope, model)
        operator.outputs[0].set_type(_label_type(model, labels, n_rows))
        n_out = len(labels)
    operator.outputs[-1].set_type(real([n_rows, n_out]))


def _refuse_detector(operator):
    raise NotImplementedError(
        "SparseAutoencoderDetector is not exported to ONNX, because its scores depend on which "
        "rows its members were fitted to: save it with joblib, or export a single "
        "SparseAutoencoder with the option method='score_samples'."
    )


def _sizes(model, method):
    """Columns of the input and of the output."""
    n_features = model.n_features_in_
    if method == "score_samples":
        return n_features, 1
    if method == "predict":
        return n_features, getattr(model, "n_outputs_", n_features)
    is_network = isinstance(model, MLPBackprop)  # raises without hidden layers
    n_codes = model._n_features_out if is_network else len(model.get_feature_names_out())
    return (n_features, n_codes) if method == "transform" else (n_codes, n_features)


def _check_input(operator, method, n_in):
    name = f"{type(operator.raw_operator).__name__}.{method}"
    if len(operator.inputs) != 1:
        raise ValueError(
            f"{name} takes one input with all columns, not {len(operator.inputs)}: give "
            "to_onnx an array, not a data frame."
        )
    kind = operator.inputs[0].type
    if "String" in type(kind).__name__:
        raise ValueError(f"{name} takes numbers, not strings: encode them in a step before.")
    columns = (kind.shape or [None])[-1]
    if isinstance(columns, int) and columns != n_in:
        raise ValueError(f"{name} takes {n_in} columns, but the input has {columns}.")


def _check_is_last(operator):
    """Refuse the predictions of a network that a later step needs as a transformer."""
    followers = [f for output in operator.outputs for f in _followers(output)]
    if any(follower.type not in ENDINGS for follower in followers):
        name = type(operator.raw_operator).__name__
        raise ValueError(
            f"{name} serves as a transformer here, because another step follows it: export "
            "its hidden layer by to_onnx(..., options={id(net): {'method': 'transform'}}), "
            f"where net is the fitted {name}."
        )


def _followers(variable):
    """The operators that use a variable; zipmap operators of skl2onnx are skipped."""
    for operator in variable.operators_inputs_:
        if operator.type in ZIPMAPS:
            for output in operator.outputs:
                yield from _followers(output)
        else:
            yield operator


def _labels(scope, model):
    """The labels as int64 or str, the two kinds that ONNX has."""
    from skl2onnx.common.utils_classifier import get_label_classes

    labels = get_label_classes(scope, model)
    if all(isinstance(label, str) for label in labels):
        return labels
    if labels.dtype.kind in "biuf":
        whole = labels.astype(np.int64)
        if (whole == labels).all():
            return whole
    raise ValueError(
        f"Labels in ONNX are strings or whole numbers, not {labels.tolist()}: fit on such "
        "labels, for example from LabelEncoder."
    )


def _label_type(model, labels, n_rows):
    from skl2onnx.common.data_types import Int64TensorType, StringTensorType

    kind = Int64TensorType if labels.dtype.kind == "i" else StringTensorType
    return kind([n_rows, len(labels)] if model._multilabel else [n_rows])


# -- convert: the nodes --------------------------------------------------------------------


@dataclass(frozen=True)
class Graph:
    """The graph that nodes are added to.

    Attributes
    ----------
    scope, container : object
        Objects of skl2onnx. The scope gives names, the container holds the nodes.
    dtype : dtype
        float64 if the input of the model is float64, else float32.
    """

    scope: object
    container: object
    dtype: np.dtype

    def add(self, kind, *inputs, **attributes):
        """Add a node and return the name of its output; inputs are names or constants."""
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        output = self.scope.get_unique_variable_name(kind.lower())
        self.container.add_node(kind, names, output, **attributes)
        return output

    def cast(self, X, dtype=None):
        """X in another dtype, by default the dtype of the graph."""
        return self.add("Cast", X, to=_proto(np.dtype(dtype or self.dtype)))

    def reshape(self, X, *shape):
        """X in another shape."""
        return self.add("Reshape", X, np.array(shape))

    def _constant(self, value):
        value = np.asarray(value)
        if value.dtype.kind == "f":
            value = value.astype(self.dtype)
        name = self.scope.get_unique_variable_name("constant")
        text = value.dtype.kind in "OU"
        flat = [label.encode() for label in value] if text else value.ravel()
        self.container.add_initializer(name, _proto(value.dtype), value.shape, flat)
        return name


def _proto(dtype):
    """ONNX's number for a dtype."""
    from onnx.helper import np_dtype_to_tensor_dtype

    return np_dtype_to_tensor_dtype(np.dtype(object) if dtype.kind == "U" else dtype)


def _convert(scope, operator, container):
    from skl2onnx.common.data_types import DoubleTensorType

    model, [given] = operator.raw_operator, operator.inputs
    dtype = np.dtype("f8" if isinstance(given.type, DoubleTensorType) else "f4")
    graph = Graph(scope, container, dtype)
    write = next(function for cls, function in NODES.items() if isinstance(model, cls))
    outputs = write(graph, model, _method(scope, model), graph.cast(given.full_name))
    for name, output in zip(outputs, operator.outputs, strict=True):
        container.add_node("Identity", name, output.full_name)


def _layers(graph, A, coefs, intercepts, *activations):
    for W, b, activation in zip(coefs, intercepts, activations, strict=True):
        Z = graph.add("Add", graph.add("MatMul", A, W), b)
        A = look_up(ACTIVATIONS, activation, "ACTIVATIONS of skl_sae/onnx.py")(graph, Z)
    return A


def _autoencoder(graph, model, method, X):
    layers = {"transform": slice(1), "inverse_transform": slice(1, 2)}.get(method, slice(2))
    activations = (model.activation_, model.output_activation_)[layers]
    output = _layers(graph, X, model.coefs_[layers], model.intercepts_[layers], *activations)
    if method != "score_samples":
        return [output]
    error = graph.add("Sub", output, X)
    square = graph.add("Mul", error, error)
    return [graph.add("MatMul", square, np.full((model.n_features_in_, 1), -1.0))]


def _network(graph, model, method, X):
    n_hidden = len(model.coefs_) - 1
    if method == "transform":
        n_hidden = model.transform_layer_ + 1
    hidden = slice(n_hidden)
    activations = [model.activation_] * n_hidden
    A = _layers(graph, X, model.coefs_[hidden], model.intercepts_[hidden], *activations)
    if method == "transform":
        return [A]
    if model.task_ == "regression":
        return [_targets(graph, model, A)]
    Z = _layers(graph, A, model.coefs_[-1:], model.intercepts_[-1:], "identity")
    return [_decision(graph, model, Z), _probabilities(graph, model, Z)]


def _targets(graph, model, A):
    """The output layer of a regressor, in the unit of its targets."""
    W, b, activation = model.coefs_[-1], model.intercepts_[-1], model.out_activation_
    scale, offset = model.target_scale_, model.target_offset_
    if activation == "identity":
        return _layers(graph, A, [W * scale], [b * scale + offset], activation)
    output = _layers(graph, A, [W], [b], activation)
    return graph.add("Add", graph.add("Mul", output, scale), offset)


def _decision(graph, model, Z):
    """The labels, from the raw output."""
    if model.n_outputs_ > 1 and not model._multilabel:
        index = graph.add("ArgMax", Z, axis=1, keepdims=0)
    else:
        index = graph.cast(graph.add("Greater", Z, 0.0), np.int64)
    if model._multilabel:
        return index
    labels = _labels(graph.scope, model)
    return graph.add("Gather", labels, graph.reshape(index, -1))


def _probabilities(graph, model, Z):
    """The probabilities that `MLPBackprop` computes, exact in the tails too."""
    if model.out_activation_ == "tanh":
        Z = graph.add("Mul", Z, 2.0)  # (1 + tanh z) / 2 is the logistic of 2 z
    if model._multilabel:
        return _logistic(graph, Z)
    if model.n_outputs_ == 1:
        return _logistic(graph, graph.add("Concat", graph.add("Neg", Z), Z, axis=1))
    if model.out_activation_ != "softmax":
        Z = _log_logistic(graph, Z)
    return graph.add("Softmax", Z, axis=1)


def _logistic(graph, Z):
    """1 / (1 + exp(-Z)): the Sigmoid of onnxruntime loses all digits of values near 0."""
    e = graph.add("Exp", graph.add("Neg", Z))
    return graph.add("Div", 1.0, graph.add("Add", e, 1.0))


def _log_logistic(graph, Z):
    """min(Z, 0) - log(1 + exp(-|Z|)): onnxruntime has no Softplus of float64."""
    e = graph.add("Exp", graph.add("Neg", graph.add("Abs", Z)))
    log = graph.add("Log", graph.add("Add", e, 1.0))
    return graph.add("Sub", graph.add("Min", Z, 0.0), log)


def _whitening(graph, model, method, X):
    if method == "inverse_transform":
        return [_add_exactly(graph, graph.add("MatMul", X, model.dewhitening_), model.mean_)]
    return [graph.add("MatMul", _add_exactly(graph, X, -model.mean_), model.whitening_)]


def _add_exactly(graph, X, row):
    """The sum in float64, as in NumPy, because whitening magnifies rounding errors."""
    wide = replace(graph, dtype=np.dtype("f8"))
    return graph.cast(wide.add("Add", wide.cast(X), row))


def _normalizer(graph, model, method, X):
    n = model.n_features_in_
    centred = graph.add("Sub", X, graph.add("Gather", X, np.array([0]), axis=1))
    mean = graph.add("MatMul", centred, np.full((n, 1), 1 / n))
    patches = graph.add("Sub", centred, mean)
    if model._n_std is None:
        return [patches]
    limit = model._limit(graph.dtype)
    patches = graph.add("Min", graph.add("Max", patches, -limit), limit)
    if model._feature_range is None:
        return [patches]
    low, high = map(float, model._feature_range)
    patches = graph.add("Add", graph.add("Div", patches, limit or 1.0), 1.0)
    return [graph.add("Add", graph.add("Mul", patches, (high - low) / 2), low)]


def _convolution(graph, model, method, X):
    """Gather all patches as rows, encode them, and average over the regions by a product."""
    windows = model._windows(np.arange(model.n_features_in_)[np.newaxis])
    n_positions, n_pixels = prod(windows.shape[:3]), prod(windows.shape[3:])
    columns = windows.reshape(n_positions, n_pixels)
    patches = graph.reshape(graph.add("Gather", X, columns, axis=1), -1, n_pixels)
    codes = graph.reshape(
        _encode(graph, model.encoder_, patches, n_pixels), -1, n_positions, model._n_codes
    )
    pooled = graph.add("MatMul", _pooling(model), codes)
    return [graph.reshape(pooled, -1, model._n_features_out)]


def _encode(graph, encoder, patches, n_pixels):
    """The encoder's code, by its own converter."""
    from skl2onnx._parse import _parse_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    last = _last_step(encoder)
    if isinstance(last, MLPBackprop):
        graph.scope.add_options(id(last), {"method": "transform"})
    elif isinstance(last, (ClassifierMixin, RegressorMixin, ClusterMixin)):
        raise ValueError(
            f"ConvolveAndPool can't be exported with the encoder {last!r}, because skl2onnx "
            "exports its predictions, not its transform: use a transformer."
        )
    kind = DoubleTensorType if graph.dtype == np.float64 else FloatTensorType
    given = graph.scope.declare_local_variable("patches", kind([None, n_pixels]))
    graph.container.add_node("Identity", patches, given.full_name)
    [code] = _parse_sklearn(graph.scope, encoder, [given])
    return code.full_name


def _last_step(estimator):
    if isinstance(estimator, FrozenEstimator):
        return _last_step(estimator.estimator)
    return _last_step(estimator[-1]) if isinstance(estimator, Pipeline) else estimator


def _pooling(model):
    """The matrix whose rows average the positions of each region."""
    sides = []
    for n, size in zip(model.map_shape_, model._pool_shape):
        regions, weights = _regions(slice(0, n), n, size)
        side = np.zeros((regions[-1] + 1, n))
        side[regions, np.arange(n)] = weights
        sides.append(side)
    return np.kron(*sides)


NODES = {
    SparseAutoencoder: _autoencoder,
    MLPBackprop: _network,
    ZCAWhitening: _whitening,
    PatchNormalizer: _normalizer,
    ConvolveAndPool: _convolution,
}
