"""Multilayer perceptrons for classification and regression as scikit-learn estimators."""

from dataclasses import replace
from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._advice import warn_if_constant, warn_out_of_range
from ._compat import Interval, fit_context
from ._dask import by_chunks, in_memory, refuse
from ._early_stopping import Validation, hold_out
from ._estimator import BackpropEstimator, set_attributes
from ._network_parameters import CLASSES, DOC, NETWORK, SCALES
from ._parameters import described
from ._rollback import all_or_nothing
from ._targets import KINDS, Labels, Reals
from ._tasks import without_callbacks
from ._training import BY_STEPS, minimised
from ._validation import is_dask, plain, refuse_dates
from ._weights import exact_weights, n_different
from .backprop.network import Network
from .backprop.rows import Rows
from .backprop.solvers import Result
from .pretraining import activation_of, autoencoders, pretrain

# With more rows lam="auto" is in inverse proportion to their number: the sum of the losses then
# has the same weight decay however many rows there are.
MANY_ROWS = 1000

# Fitted attributes of fits with validation rows.
VALIDATED = ("validation_scores_", "validation_loss_curve_", "best_validation_score_")


def _task(estimator):
    """The task of the fit, or the parameter before a fit."""
    return getattr(estimator, "task_", estimator.task)


def _is_classification(estimator):
    if _task(estimator) != "classification":
        raise AttributeError("Probabilities exist only with task='classification'.")
    return True


def _has_hidden_layer(estimator):
    n_hidden = getattr(estimator, "n_layers_", 2 + np.size(estimator.hidden_layer_sizes)) - 2
    if n_hidden == 0:
        raise AttributeError("A network without hidden layers has no code and no transform.")
    return True


@described(
    NETWORK,
    summary="Multilayer perceptron for classification or regression.",
    target_attributes=f"{CLASSES}\n{SCALES}",
    example="""\
>>> from sklearn.datasets import load_iris
>>> from skl_sae import MLPBackprop
>>> X, y = load_iris(return_X_y=True)
>>> net = MLPBackprop((5,), task="classification", random_state=0).fit(X, y)
>>> net.predict(X[:2])
array([0, 0])
>>> net.transform(X).shape
(150, 5)""",
)
class MLPBackprop(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BackpropEstimator):
    __doc__ = DOC

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        task="classification",
        loss="auto",
        output_activation="auto",
        class_weight=None,
        scale_targets=True,
        activation="auto",
        lam="auto",
        beta=0.0,
        rho=0.05,
        pretraining=None,
        transform_layer=-1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=25,
        solver="lbfgs",
        max_iter="auto",
        tol=1e-3,
        history_size=10,
        growing_samples="auto",
        variable_projection="auto",
        learning_rate="auto",
        batch_size="auto",
        momentum=0.9,
        shuffle=True,
        n_init=1,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.task = task
        self.loss = loss
        self.output_activation = output_activation
        self.class_weight = class_weight
        self.scale_targets = scale_targets
        self.activation = activation
        self.lam = lam
        self.beta = beta
        self.rho = rho
        self.pretraining = pretraining
        self.transform_layer = transform_layer
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.history_size = history_size
        self.growing_samples = growing_samples
        self.variable_projection = variable_projection
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.momentum = momentum
        self.shuffle = shuffle
        self.n_init = n_init
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # -- the public face ----------------------------------------------------------------

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None, sample_weight_val=None):
        """Learn the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 stays float32; other numbers become float64. Rows are
            read and converted a few at a time, so a memory-mapped file may be larger than
            the memory. Products with wide sparse rows use their entries only. The rows of a
            dask array or dataframe stay on its workers. `class_weight`, `early_stopping`,
            `pretraining`, `batch_size` and several labels for a row do not work with dask.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, a 0/1 matrix of labels, or real targets. If X is a dask collection, y
            may be one too.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Validation rows: the network is not fitted to them, but scored on them after
            each iteration. With ``early_stopping`` they replace the rows held out.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Targets of the validation rows.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the validation rows.

        Returns
        -------
        MLPBackprop
            The fitted estimator.

        Raises
        ------
        ValueError
            Bad data or parameters, or data so large that J overflows. The estimator is
            left unchanged.
        """
        objective, targets = self._prepare(X, y, sample_weight)
        validating = self._validating(objective, targets, X_val, y_val, sample_weight_val)
        if validating is None and self.early_stopping:
            objective, validating = self._hold_out(objective, targets)
        self._fit(objective, targets, X, y, sample_weight, self._validation(targets, validating))
        return self

    @available_if(BackpropEstimator._takes_steps)
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, classes=None, sample_weight=None):
        """Take one epoch of mini-batches, or one step on all of X (solvers "adam" and "sgd").

        All steps have full length. Each call continues the call before: momentum and the
        moments of "adam" are kept, in a pickle too.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows of the data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur. The first call needs them unless its y
            holds them all. Classification only.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        MLPBackprop
            The estimator.
        """
        self._partial_fit(*self._prepare_step(X, y, sample_weight, classes))
        return self

    def _prepare_step(self, X, y, sample_weight, classes=None):
        """The objective for a step of `partial_fit`, and the targets."""
        self._validate_params()
        if self.early_stopping:
            raise ValueError("partial_fit can't stop early: set early_stopping=False.")
        if self.class_weight is not None:
            raise ValueError(
                "partial_fit takes no class_weight, because it does not see all rows: "
                "pass sample_weight."
            )
        if self.pretraining is not None:
            raise ValueError("partial_fit can't pretrain, because it does not see all rows.")
        first = not self.__sklearn_is_fitted__()
        if classes is None and not first:
            classes = getattr(self, "classes_", None)
        return self._prepare(X, y, sample_weight, first, classes)

    @by_chunks
    def predict(self, X):
        """Predict the targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels, a 0/1 matrix of labels, or real numbers.
        """
        Z = self._raw_output(X)  # raises before a fit
        return self._targets.decide(Z)

    @available_if(_is_classification)
    @by_chunks
    def predict_proba(self, X):
        """Probability of each class.

        With ``loss="squared_error"`` and more than two classes the logistic outputs are
        divided by their sum.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``. With several labels each column is the
            probability of one label.
        """
        Z = self._raw_output(X)
        return self._targets.probabilities(Z)

    @available_if(_is_classification)
    @by_chunks
    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`, finite where a probability underflows to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities.
        """
        Z = self._raw_output(X)
        P, log_P = (self._targets.probabilities(Z, log) for log in (False, True))
        return np.where(P > 0.5, np.log(np.maximum(P, 0.5)), log_P)

    @by_chunks
    def transform(self, X):
        """Compute the activations of the hidden layer ``transform_layer``.

        Networks without hidden layers do not have this method.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            The activations.
        """
        X = self._check_input(X)
        return self._propagate(X, slice(self.transform_layer_ + 1), self.activation_)

    @available_if(_has_hidden_layer)
    def get_feature_names_out(self, input_features=None):
        """Name the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only checked against the names seen in `fit`.

        Returns
        -------
        ndarray of str objects
            Such as "mlpbackpropclassifier0".
        """
        check_is_fitted(self)
        return super().get_feature_names_out(input_features)

    def score(self, X, y, sample_weight=None):
        """Accuracy for classification, R² for regression.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets. A label that was not seen in `fit` counts as an error.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The score; higher is better. R² is minus infinity if the squared errors overflow.
        """
        prediction = self.predict(X)
        if is_dask(prediction):
            y, prediction, sample_weight = in_memory(y, prediction, sample_weight)
        weights = exact_weights(sample_weight, prediction)
        return self._targets.score(plain(y), prediction, weights)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        if _task(self) == "classification":
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags(multi_label=True)
        else:
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
            tags.target_tags.multi_output = True
        return tags

    # -- validate -----------------------------------------------------------------------

    def _prepare(self, X, y, sample_weight=None, reset=True, classes=None):
        kind = KINDS[self.task]
        self._refuse_other_task(classes)
        if is_dask(X):
            refuse(self)
        goes_on = (self.warm_start or not reset) and self.__sklearn_is_fitted__()
        before = self._targets if goes_on else None
        if before is not None and before.task != self.task:
            raise ValueError(
                f"The fit goes on with task={before.task!r}, not {self.task!r}: fit anew with "
                "warm_start=False."
            )
        if self.task == "regression":
            refuse_dates(y, "y")
        X, y = self._validate_input(
            X, y=plain(y), reset=reset, multi_output=True, y_numeric=self.task == "regression"
        )
        loss, output = kind.loss_and_output(self.loss, self.output_activation)
        sample_weight = exact_weights(sample_weight, X)
        targets, Y = kind.read(y, X.dtype, output, classes, before)
        X, Y, sample_weight = self._merge(X, Y, sample_weight)
        targets, Y, sample_weight = targets.prepared(
            Y,
            sample_weight,
            class_weight=self.class_weight,
            scale_targets=self.scale_targets,
            before=before,
            dtype=X.dtype,
        )
        if self.task == "regression" and not self.scale_targets:
            warn_out_of_range(Y, "y", output)
        activation = self._hidden_activation(goes_on)
        return self._objective_of(targets, X, Y, sample_weight, loss, activation), targets

    def _refuse_other_task(self, classes):
        """Refuse parameters that the task does not have."""
        if self.task == "regression" and classes is not None:
            raise ValueError("classes is for task='classification' only.")
        if self.task == "regression" and self.class_weight is not None:
            raise ValueError("class_weight is for task='classification': pass sample_weight.")

    def _hidden_activation(self, goes_on):
        """The activation of the hidden layers; "auto" is explained in the docstring."""
        if self.activation != "auto":
            return self.activation
        if goes_on:
            return self.activation_
        if self.pretraining is not None:
            return activation_of(self.pretraining, "tanh")
        return "relu" if self.solver in BY_STEPS and self.beta == 0 else "tanh"

    def _objective_of(self, targets, X, Y, sample_weight, loss, activation):
        hidden = self._hidden_sizes()
        if self.beta > 0 and not hidden:
            raise ValueError("beta > 0 needs a sparse code, but there is no hidden layer.")
        self._transform_layer(len(hidden))  # raises if there is no such layer
        network = Network((X.shape[1], *hidden, Y.shape[1]), activation)
        lam = self._lams(network, X, Y, sample_weight)
        objective = self._make_objective(
            network, X, Y, sample_weight, loss, targets.output_activation, lam
        )
        if self.pretraining is not None:
            autoencoders(self.pretraining, network.sizes[:-1], activation)  # raises if bad
        return objective

    def _hold_out(self, objective, targets):
        """The objective on the rows to fit, and the objective on the rows held out."""
        rows, held_out = hold_out(
            objective.rows, targets, self.validation_fraction, self.random_state
        )
        return objective.on(rows), objective.on(held_out)

    def _validating(self, objective, targets, X, y, sample_weight):
        """The objective on the user's validation rows, or None."""
        if (X is None) != (y is None) or (X is None and sample_weight is not None):
            raise ValueError("X_val and y_val go together, and sample_weight_val with them.")
        if X is None:
            return None
        if is_dask(X):
            raise TypeError("X_val must be in memory or in a file: give it as a NumPy array.")
        numeric, kind = self.task == "regression", KINDS[self.task]
        X, y = self._validate_input(
            X, y=plain(y), reset=False, multi_output=True, y_numeric=numeric
        )
        known = targets.attributes["classes_"]
        as_read, Y = kind.read(y, X.dtype, targets.output_activation, known, targets)
        weights = exact_weights(sample_weight, X)
        options = {"class_weight": None, "scale_targets": self.scale_targets, "dtype": X.dtype}
        _, Y, weights = as_read.prepared(Y, weights, before=targets, **options)
        return objective.on(Rows(X, Y, None if weights is None else weights.astype(X.dtype)))

    def _validation(self, targets, objective):
        """A function that makes a new `Validation` for each start, or None without rows."""
        if objective is None:
            return lambda: None
        options = self.tol, self.n_iter_no_change, self.early_stopping
        return lambda: Validation(targets, objective, *options)

    def _warn_if_useless(self, objective, result):
        return warn_if_constant(self, objective, result)

    def _lams(self, network, X, Y, sample_weight):
        if isinstance(self.lam, str):  # "auto"
            return KINDS[self.task].auto_lam * min(1, MANY_ROWS / n_different(X, Y, sample_weight))
        if isinstance(self.lam, Real):
            return float(self.lam)
        n_layers, lams = len(network.shapes), np.asarray(self.lam, dtype=object)
        lams = [lams.item()] * n_layers if lams.ndim == 0 else lams.ravel().tolist()
        rule = Interval(Real, 0, None, closed="left")
        if len(lams) != n_layers or not all(map(rule.is_satisfied_by, lams)):
            raise ValueError(
                "lam must be 'auto', one number, or hold a number of at least 0 for each of the "
                f"{n_layers} layers, the output layer included, not {self.lam!r}."
            )
        return tuple(float(lam) for lam in lams)

    def _hidden_sizes(self):
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=object)).tolist()
        rule = Interval(Integral, 1, None, closed="left")
        if not all(map(rule.is_satisfied_by, sizes)):
            raise ValueError(
                "hidden_layer_sizes must hold integers of at least 1, not "
                f"{self.hidden_layer_sizes!r}."
            )
        return [int(n) for n in sizes]

    # -- pretrain -----------------------------------------------------------------------

    def _n_subtasks(self, objective):
        return super()._n_subtasks(objective) + (self.pretraining is not None)

    def _start(self, objective, rng, tasks):
        """Random weights, or pretrained hidden layers and an output layer trained on them."""
        theta0 = super()._start(objective, rng, tasks)
        if self.pretraining is None:
            return theta0
        network = objective.network
        encoders = autoencoders(self.pretraining, network.sizes[:-1], network.activation)
        with tasks.task("pretraining", len(encoders) + 1):
            X, Y, s = objective.rows.data()
            coefs, intercepts, code = pretrain(encoders, X, s, rng, tasks)
            W, b = self._output_layer(objective, code, Y, s, rng, tasks)
        return network.pack([*coefs, *W], [*intercepts, *b])

    def _output_layer(self, objective, code, Y, sample_weight, rng, tasks):
        """The output layer trained on the last code."""
        output = replace(
            objective,
            network=Network(objective.network.sizes[-2:]),
            rows=Rows(code, Y, sample_weight, n_threads=objective.rows.n_threads),
            lam=objective.output_lam,
            beta=0.0,
        )
        start = super()._start(output, rng, tasks)
        with tasks.task("output layer", super()._n_subtasks(output)), self._no_overflow(output):
            options = self._options(output)
            result = minimised(output, start, rng, options, lambda _: tasks.iteration())
        return output.network.unpack(result.theta)

    def _describe_start(self, objective, targets, theta0):
        """The network before fine-tuning; a fit that continues an earlier one keeps that one's."""
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        if goes_on and np.array_equal(theta0, self._theta(objective)):
            return {"pretrained_": getattr(self, "pretrained_", None)}
        if self.pretraining is None:
            return {"pretrained_": None}
        before, (value, _) = without_callbacks(self), objective(theta0)
        vars(before).pop("pretrained_", None)
        result = Result(theta0, value, [], 1, "stopped", "not fine-tuned")
        before._store(objective, result, targets)
        return {"pretrained_": before}

    # -- store --------------------------------------------------------------------------

    def _store(self, objective, result, targets):
        super()._store(objective, result, targets)
        sizes = objective.network.sizes
        self.task_, self.out_activation_ = targets.task, targets.output_activation
        self.lam_ = objective.lam
        self.n_outputs_, self.n_layers_ = sizes[-1], len(sizes)
        self.transform_layer_ = self._transform_layer(len(sizes) - 2)
        lowest = float(min(result.loss_curve, default=result.value))
        self.best_loss_ = None if self.early_stopping else lowest
        set_attributes(self, targets.attributes)
        set_attributes(self, dict.fromkeys(VALIDATED))

    @property
    def _activations(self):
        return self.activation_, self.out_activation_

    @property
    def _targets(self):
        """The targets of the fit, `Labels` or `Reals`."""
        if self.task_ == "classification":
            return Labels(self.classes_, self._multilabel, self.out_activation_)
        return Reals(self.target_offset_, self.target_scale_, self.out_activation_)

    # -- predict ------------------------------------------------------------------------

    def _raw_output(self, X):
        return self._propagate(self._check_input(X), slice(None), "identity")

    def _transform_layer(self, n_hidden):
        """The hidden layer that `transform` returns, counted from 0; None if there is none."""
        if n_hidden == 0:
            return None
        if not -n_hidden <= self.transform_layer < n_hidden:
            raise ValueError(
                f"transform_layer={self.transform_layer} does not exist: the network has "
                f"{n_hidden} hidden layers."
            )
        return self.transform_layer % n_hidden

    @property
    def _n_features_out(self):
        _has_hidden_layer(self)  # raises AttributeError without one, and so `dir` works
        return self.coefs_[self.transform_layer_].shape[1]


# Set here, because scikit-learn wraps the methods of a class body and drops the condition.
MLPBackprop.transform = available_if(_has_hidden_layer)(MLPBackprop.transform)
MLPBackprop.fit_transform = available_if(_has_hidden_layer)(MLPBackprop.fit_transform)
