"""Multilayer perceptrons for classification and regression as scikit-learn estimators."""

import re
from dataclasses import dataclass, replace
from inspect import cleandoc
from numbers import Integral, Real

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import ClassifierTags, RegressorTags, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ._advice import warn_if_constant
from ._compat import Interval, StrOptions, check_sample_weight, fit_context
from ._dask import ChunkedRows, by_chunks, in_memory, refuse
from ._estimator import (
    check_weight_range,
    is_dask,
    plain,
    refuse_dates,
    refuse_nan,
)
from ._targets import Standardised, StandardisedRows, mean_and_scale
from ._tasks import without_callbacks
from .backprop.blocks import in_precision, propagate
from .backprop.losses import LOSSES
from .backprop.network import Network
from .backprop.solvers import Result
from .base import (
    BackpropEstimator,
    Monitor,
    all_or_nothing,
    check_weights,
    exact_weights,
    no_nan,
)
from .pretraining import autoencoders, pretrain

# Targets up to so many bytes are scaled once; those of a larger file whenever they are read.
MOST_COPIED = 2**24


def _task(estimator):
    """That of the fit, or before a fit the parameter."""
    return getattr(estimator, "task_", estimator.task)


def _is_classification(estimator):
    if _task(estimator) != "classification":
        raise AttributeError("Probabilities exist only with task='classification'.")
    return True


def _has_hidden_layer(estimator):
    n_hidden = getattr(estimator, "n_layers_", 2 + np.size(estimator.hidden_layer_sizes)) - 2
    if n_hidden == 0:
        raise AttributeError("A network without hidden layers has no code: there is no transform.")
    return True


class MLPBackprop(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BackpropEstimator):
    r"""Multilayer perceptron for the task that is asked for.

    Layer l computes :math:`a^{(l+1)} = f(a^{(l)} W_l + b_l)`. `fit` minimises

    .. math::

        J = \frac{\sum_i s_i\, L(y_i, z_i)}{\sum_i s_i}
            + \frac{\lambda}{2} \sum_l \|W_l\|_F^2
            + \beta \sum_j \mathrm{KL}(\rho \,\|\, \hat\rho_j)

    where z is the raw output and the last sum runs over all hidden units.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Number of units of each hidden layer; ``()`` is softmax, logistic or linear
        regression.
    task : {"classification", "regression"}, default="classification"
        What y means: labels (of two or more classes, or a 0/1 matrix with a column for
        each label), or real numbers (one or more columns). `MLPBackpropClassifier` and
        `MLPBackpropRegressor` fix it.
    loss : {"auto", "log_loss", "squared_error"}, default="auto"
        "auto" is "log_loss" for classification and "squared_error" for regression.
        Classification with "squared_error" fits logistic outputs to 0/1 targets, as the
        tutorial does.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, times the sample weights: {class: weight}, or "balanced"
        to give all classes the same total weight. Not for regression, several labels or
        `partial_fit`.
    scale_targets : bool, default=True
        Whether each column of y is scaled to mean 0 and variance 1 before the fit, and
        predictions are scaled back: J, ``loss_curve_`` and the weights of the output layer are
        then in the scaled unit, and λ means the same for prices and for rates. False leaves y
        alone. A further `partial_fit` or warm start keeps the mean and the scale of the
        first. Regression only.
    activation : {"logistic", "tanh", "relu", "identity"}, default="tanh"
        Activation f of the hidden layers.
    lam : float or array-like of shape (n_layers,), default=0.005
        Weight decay λ ≥ 0, or that of each layer from the first hidden layer to the
        output: ``(0, 0, 1e-4)`` decays the output layer alone. Biases are not decayed. It
        is not divided by the number of rows: `sklearn.neural_network.MLPClassifier` has
        ``alpha = n_samples * lam``.
    beta : float, default=0.0
        Weight β ≥ 0 of the sparsity penalty ([1]_) on every hidden layer. Above 0 it needs
        ``activation`` "logistic" or "tanh".
    rho : float, default=0.05
        Sparsity target ρ in (0, 1).
    pretraining : SparseAutoencoder, FrozenEstimator or list of them, default=None
        Greedy layer-wise pretraining of the hidden layers (UFLDL, "Stacked
        autoencoders"): each starts as the encoder of an autoencoder of the layer before.
        A `SparseAutoencoder` is the template for all of them, cloned with
        ``n_components`` set; a list has one for each. One that was fitted before, to
        other data perhaps, comes in a `sklearn.frozen.FrozenEstimator`. Then the output
        layer is trained on the last code, and after that all layers are, which is called
        fine-tuning. Its ``activation`` must be that of the network. None starts from
        random weights.
    transform_layer : int, default=-1
        The hidden layer whose activations `transform` returns; -1 is the last one.
    early_stopping : bool, default=False
        Whether to hold out a part of the rows, stop also when the score on it has not risen
        by ``tol`` for ``n_iter_no_change`` iterations, and keep the weights that scored
        best. It works with every solver.
    validation_fraction : float, default=0.1
        Share of the rows that ``early_stopping`` holds out (stratified by class).
    n_iter_no_change : int, default=20
        Patience: see ``tol`` and ``early_stopping``.
    solver : {"lbfgs", "cg", "sgd"}, default="lbfgs"
        L-BFGS or nonlinear conjugate gradients of SciPy, or gradient descent.
    max_iter : int, default=1500
        Largest number of iterations (of epochs for "sgd" with ``batch_size``). An iteration
        on a share of the rows (see ``growing_samples``) counts by that share.
    tol : float, default=0.001
        The fit has converged when ``n_iter_no_change`` iterations have not lowered J by
        ``tol`` of its size; "lbfgs" and "cg" also ask that no entry of the gradient of
        J / J₀ is above ``tol``, where J₀ is the objective of the best constant output.
        As long as J is not below 0.99 J₀, five times as many iterations are waited for.
    history_size : int, default=10
        Number of past steps that "lbfgs" keeps; each costs two vectors of the size of
        the weights.
    growing_samples : "auto" or bool, default="auto"
        Whether "lbfgs" runs on a random 1/32, 1/8 and 1/2 of the rows before it runs on
        all, each time from where it has ended ([2]_, [3]_, [4]_). On many rows this is
        several times faster, and the result is as much a minimum of J. "auto" does so from
        20,000 rows on, if there is a hidden layer, unless the fit starts from fitted or
        pretrained weights, which a small sample would spoil, or stops early.
    variable_projection : "auto" or bool, default="auto"
        Whether "lbfgs" runs on the hidden layers alone, the output layer being solved
        exactly at each step ([5]_): the same objective and the same minima, in several
        times fewer iterations. For regression with a hidden layer. "auto" does so where
        λ > 0 for the output layer (in float32 λ > 6e-6), there are at least as many rows
        as units h of the last hidden layer, and the h × h system is cheap beside the
        other products. A run on all weights ends the fit, and takes over where the system
        is ill-conditioned. With True and λ = 0 nothing bounds the output layer: its
        weights can become huge.
    learning_rate : float, default=0.1
        Step length of "sgd"; the other solvers find theirs by line search.
    batch_size : int, default=None
        Rows of a mini-batch of "sgd"; None means all rows.
    n_init : int, default=1
        Number of random starts. The fit with the lowest J is kept; with
        ``early_stopping`` the one with the best validation score.
    warm_start : bool, default=False
        Whether a further `fit` starts from the fitted weights (the other ``n_init - 1``
        starts are random).
    random_state : int, RandomState instance or None, default=None
        For the initial weights, the rows held out and the order of mini-batches.
    verbose : int, default=0
        Whether to print J after each iteration.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out)
        The weights W of each layer.
    intercepts_ : list of ndarray of shape (n_out,)
        The biases b of each layer.
    classes_ : ndarray of shape (n_classes,)
        The labels (classification only).
    pretrained_ : MLPBackprop
        The network before fine-tuning, with ``predict``, ``score`` and so on (with
        ``pretraining`` only).
    target_mean_, target_scale_ : ndarray of shape (n_outputs,)
        Mean and scale of each column of y (regression only): a prediction is
        ``target_mean_ + target_scale_ * output``.
    n_layers_ : int
        Number of layers, those of the inputs and of the outputs included.
    n_outputs_ : int
        Number of units of the last layer.
    activation_ : str
        Activation of the hidden layers.
    out_activation_ : {"softmax", "logistic", "identity"}
        Activation of the last layer.
    transform_layer_ : int or None
        The hidden layer that `transform` returns, counted from 0; None without any.
    task_ : str
        The task of the fit.
    loss_ : float
        The objective J of all rows at the end, penalties included; no higher than at the
        start, unless early stopping has chosen.
    loss_curve_ : ndarray of shape (n_iter_,)
        J after each iteration (with mini-batches its mean over the epoch).
    best_loss_ : float or None
        The lowest value of ``loss_curve_``, also where it is that of a sample of the rows;
        None with early stopping.
    validation_scores_ : ndarray of shape (n_iter_,)
        Accuracy or R² on the held-out rows after each iteration (early stopping only).
    best_validation_score_ : float
        The largest of them: that of the weights kept (early stopping only).
    n_iter_ : int
        Number of iterations, those on samples of the rows included; what they count towards
        ``max_iter`` is ``stage_lengths_ @ stage_shares_``.
    stage_lengths_ : ndarray of shape (n_stages,)
        Iterations of each stage: on growing samples, where ``loss_curve_`` holds J of the
        sample, on all rows with the output layer solved exactly, and on all weights. A
        last stage of no iterations leaves the J of another at the end of the curve.
    stage_shares_ : ndarray of shape (n_stages,)
        Share of the rows that each stage ran on: 1 where ``loss_curve_`` holds J itself.
    n_evaluations_ : int
        Number of evaluations of J and its gradient in the run that was kept.
    converged_ : bool
        Whether the solver met ``tol``.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in `fit`, if all are strings.

    See Also
    --------
    SparseAutoencoder : Features without labels, on the same core.
    sklearn.neural_network.MLPClassifier : scikit-learn's network.

    Notes
    -----
    Weights start as U(-r, r), r² = 6 / (n_in + n_out + 1), as in [1]_. Biases start from the
    data: the output at its best constant, and with ``beta > 0`` each hidden unit at the mean
    activation ρ; other hidden biases are 0.

    Integer sample weights are the same as repeated rows. In memory, up to 100,000 rows and
    64 MiB, they are so to the last bit, and the order of the rows does not matter: equal rows
    are merged first (but for mini-batches and early stopping).

    References
    ----------
    .. [1] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford University,
           2011.
    .. [2] R. H. Byrd, G. M. Chin, J. Nocedal and Y. Wu, "Sample size selection in
           optimization methods for machine learning", Math. Program. 134, 2012.
    .. [3] M. P. Friedlander and M. Schmidt, "Hybrid deterministic-stochastic methods for
           data fitting", SIAM J. Sci. Comput. 34 (3), 2012.
    .. [4] R. Bollapragada, D. Mudigere, J. Nocedal, H.-J. M. Shi and P. T. P. Tang, "A
           progressive batching L-BFGS method for machine learning", ICML 2018.
    .. [5] G. Golub and V. Pereyra, "Separable nonlinear least squares: the variable
           projection method and its applications", Inverse Problems 19 (2), 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skl_sae import MLPBackprop
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPBackprop((5,), task="classification", random_state=0).fit(X, y)
    >>> net.predict(X[:2])
    array([0, 0])
    >>> net.transform(X).shape
    (150, 5)
    """

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "task": [StrOptions({"classification", "regression"})],
        "loss": [StrOptions({"auto", *(loss for loss, _ in LOSSES)})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "scale_targets": ["boolean"],
        **BackpropEstimator._parameter_constraints,
        "lam": [Interval(Real, 0, None, closed="left"), "array-like"],
        "pretraining": [BaseEstimator, list, tuple, None],
        "transform_layer": [Interval(Integral, None, None, closed="neither")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        task="classification",
        loss="auto",
        class_weight=None,
        scale_targets=True,
        activation="tanh",
        lam=5e-3,
        beta=0.0,
        rho=0.05,
        pretraining=None,
        transform_layer=-1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=20,
        solver="lbfgs",
        max_iter=1500,
        tol=1e-3,
        history_size=10,
        growing_samples="auto",
        variable_projection="auto",
        learning_rate=0.1,
        batch_size=None,
        n_init=1,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.task = task
        self.loss = loss
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
        self.n_init = n_init
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # -- the public face ----------------------------------------------------------------

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Learn the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. float32 stays float32, other numbers become float64. All is
            read, converted or made dense a few rows at a time: a memory-mapped file may be
            larger than the memory. The rows of a dask array or dataframe stay on its
            workers, without `class_weight`, `early_stopping`, `pretraining`, `batch_size`
            and several labels for a row.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, a 0/1 matrix of labels, or real targets; in dask's collections or not
            where X is one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, not negative and not all zero.

        Returns
        -------
        MLPBackprop
            The fitted estimator.

        Raises
        ------
        ValueError
            Bad data or parameters, or data so large that J overflows. The estimator is
            then as it was before.
        """
        objective = self._prepare(X, y, sample_weight)
        if self.early_stopping:
            objective, held_out = self._hold_out(objective)
            self._fit(objective, X, y, sample_weight, lambda: EarlyStopping(self, *held_out))
        else:
            _forget(self, "validation_scores_", "best_validation_score_")
            self._fit(objective, X, y, sample_weight)
        return self

    @available_if(BackpropEstimator._uses_sgd)
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, classes=None, sample_weight=None):
        """Take one gradient step on X, or one epoch of mini-batches (solver "sgd").

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A portion of the data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Its targets.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur; the first call needs them unless its y
            holds them all. Classification only.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        MLPBackprop
            The estimator.
        """
        self._partial_fit(self._prepare_step(X, y, sample_weight, classes))
        return self

    def _prepare_step(self, X, y, sample_weight, classes=None):
        """The objective that `partial_fit` takes a step on."""
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
        _forget(self, "validation_scores_", "best_validation_score_")
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
        return self._decide(self._raw_output(X))

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
        return self._probabilities(self._raw_output(X))[0]

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
        P, log_P = self._probabilities(self._raw_output(X))
        return np.where(P > 0.5, np.log(np.maximum(P, 0.5)), log_P)

    @by_chunks
    def transform(self, X):
        """Compute the activations of the hidden layer ``transform_layer``.

        Networks without hidden layers have no such method, and are no transformers.

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
        y = plain(y)
        metric = accuracy_score if self.task_ == "classification" else _r2
        return metric(y, prediction, sample_weight=_in_scale(sample_weight, prediction))

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
        if classes is not None and self.task == "regression":
            raise ValueError("classes is for task='classification' only.")
        if is_dask(X):
            refuse(self)
        loss = self.loss
        if loss == "auto":
            loss = "log_loss" if self.task == "classification" else "squared_error"
        goes_on = (self.warm_start or not reset) and self.__sklearn_is_fitted__()
        if goes_on and self.task != self.task_:
            raise ValueError(
                f"The fit goes on with task={self.task_!r}, not {self.task!r}: fit anew with "
                "warm_start=False."
            )
        if self.task == "regression":
            refuse_dates(y, "y")
        X, y = self._validate_input(
            X, y=plain(y), reset=reset, multi_output=True, y_numeric=self.task == "regression"
        )
        sample_weight = exact_weights(sample_weight, X)
        if self.task == "classification":
            Y = self._encode_labels(y, classes, goes_on, X.dtype)
            X, Y, sample_weight = self._merge(X, Y, sample_weight)
            sample_weight = self._weigh_classes(Y, sample_weight)
        else:
            X, Y, sample_weight = self._merge(X, self._check_targets(y), sample_weight)
            with np.errstate(over="ignore"):  # infinite targets are reported by the fit
                Y = self._scaled_targets(Y, sample_weight, goes_on, X.dtype)
        out_activation = self._output_activation(loss)
        hidden = self._hidden_sizes()
        self._check_hidden_layers(len(hidden))
        sizes = (X.shape[1], *hidden, Y.shape[1])
        objective = self._make_objective(
            Network(sizes, self.activation), X, Y, sample_weight, loss, out_activation
        )
        if self.pretraining is not None:
            autoencoders(self.pretraining, sizes[:-1], self.activation)  # or raise
        return objective

    def _warn_if_useless(self, objective, result):
        return warn_if_constant(self, objective, result)

    def _lams(self, network):
        if isinstance(self.lam, Real):
            return self.lam
        n_layers, lams = len(network.shapes), np.asarray(self.lam, dtype=object)
        lams = [lams.item()] * n_layers if lams.ndim == 0 else lams.ravel().tolist()
        rule = Interval(Real, 0, None, closed="left")
        if len(lams) != n_layers or not all(map(rule.is_satisfied_by, lams)):
            raise ValueError(
                f"lam must be one number, or hold one of at least 0 for each of the {n_layers} "
                f"layers, the output layer included, not {self.lam!r}."
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

    def _check_hidden_layers(self, n_hidden):
        if self.beta > 0 and n_hidden == 0:
            raise ValueError("beta > 0 asks for a sparse code, but there is no hidden layer.")
        self._transform_layer(n_hidden)  # or raise

    def _output_activation(self, loss):
        if self.task == "regression":
            return "identity"
        several = len(self.classes_) > 2 and not self._multilabel
        return "softmax" if several and loss == "log_loss" else "logistic"

    def _encode_labels(self, y, classes, goes_on, dtype):
        """Set ``classes_`` and return the 0/1 targets, one column for two classes."""
        if isinstance(y, ChunkedRows):
            labels, multilabel = y.unique(), False
        else:
            y, labels, multilabel = _labels(y)
        new = np.unique(labels if classes is None else plain(classes, "classes"))
        unknown = np.setdiff1d(labels, new)
        if len(unknown):
            raise ValueError(f"y has labels that are not in classes: {unknown.tolist()}.")
        if len(new) < 2 and not multilabel:
            raise ValueError(
                "Classification needs at least two classes, but y has one class: "
                f"{new.tolist()[0]!r}."
            )
        if multilabel and not np.array_equal(new, labels):
            raise ValueError(
                f"classes must be the column numbers {labels.tolist()} where y is a 0/1 matrix."
            )
        if goes_on:
            self._check_goes_on(new, multilabel)
        self.classes_, self._multilabel = new, multilabel
        if isinstance(y, ChunkedRows):
            return y.map(_Binarised(new, dtype), len(new) if len(new) > 2 else 1, dtype)
        return y.astype(dtype) if multilabel else _Binarised(new, dtype)(y)

    def _check_goes_on(self, new, multilabel):
        """Weights fitted to other labels are no start."""
        if multilabel != self._multilabel or not np.array_equal(new, self.classes_):
            kinds = {False: "one label for each row", True: "a 0/1 matrix"}
            raise ValueError(
                f"The fit goes on with the classes {self.classes_.tolist()} as "
                f"{kinds[self._multilabel]}, but y has {new.tolist()} as {kinds[multilabel]}: "
                "fit anew with warm_start=False."
            )

    def _weigh_classes(self, Y, sample_weight):
        """The sample weights times the weight of each row's class."""
        if self.class_weight is None:
            return sample_weight
        if self._multilabel:
            raise ValueError("class_weight takes one label for each row: pass sample_weight.")
        index = _label_index(Y)
        weights = np.ones(len(Y)) if sample_weight is None else sample_weight
        if self.class_weight == "balanced":  # weights count by their ratios
            totals = np.bincount(index, weights=weights, minlength=len(self.classes_))
            return check_weights(weights / np.where(totals > 0, totals, 1)[index], Y)
        rule = Interval(Real, 0, None, closed="left")
        by_class = np.zeros(1)
        if all(map(rule.is_satisfied_by, self.class_weight.values())):
            by_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[index]
            )
        if not by_class.any():
            raise ValueError(
                "class_weight must hold finite weights, none negative and not all zero, "
                f"not {self.class_weight}."
            )
        return check_weights(weights * (by_class / by_class.max())[index], Y)

    def _check_targets(self, y):
        """Real targets as a matrix."""
        if self.class_weight is not None:
            raise ValueError("class_weight is for task='classification': pass sample_weight.")
        _forget(self, "classes_")
        if isinstance(y, ChunkedRows):
            return y.as_columns()
        y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        y = y if y.dtype.kind in "buif" else y.astype(float)
        return y[:, np.newaxis] if y.ndim == 1 else y

    def _scaled_targets(self, Y, sample_weight, goes_on, dtype):
        """The targets with mean 0 and variance 1; a fit that goes on keeps the unit of before."""
        if not goes_on:
            self.target_mean_, self.target_scale_ = np.zeros(Y.shape[1]), np.ones(Y.shape[1])
            if self.scale_targets:
                self.target_mean_, self.target_scale_ = mean_and_scale(Y, sample_weight)
                self._refuse_beyond(dtype)
        scaled = Standardised(self.target_mean_, self.target_scale_, dtype)
        if isinstance(Y, ChunkedRows):
            return Y.map(scaled, Y.shape[1], dtype)
        if not (self.scale_targets or goes_on):
            return in_precision(Y, dtype)
        return scaled(Y) if Y.nbytes <= MOST_COPIED else StandardisedRows(Y, scaled)

    def _refuse_beyond(self, dtype):
        """Refuse targets of which the predictions would be infinite."""
        if (np.abs(self.target_mean_) + self.target_scale_ > np.finfo(dtype).max).any():
            raise ValueError(
                f"{type(self).__name__} can't be fitted: {np.dtype(dtype)}, the dtype of X, does "
                "not hold numbers as large as y. Scale the data, or give X as float64."
            )

    # -- pretrain -----------------------------------------------------------------------

    def _n_subtasks(self, objective):
        return super()._n_subtasks(objective) + (self.pretraining is not None)

    def _start(self, objective, rng, tasks):
        """Random weights, or pretrained hidden layers and the output layer that suits them."""
        theta0 = super()._start(objective, rng, tasks)
        if self.pretraining is None:
            return theta0
        network = objective.network
        encoders = autoencoders(self.pretraining, network.sizes[:-1], network.activation)
        with tasks.task("pretraining", len(encoders) + 1):
            X, Y, s = objective.data()
            coefs, intercepts, code = pretrain(encoders, X, s, rng, tasks)
            W, b = self._output_layer(objective, code, Y, s, rng, tasks)
        return network.pack([*coefs, *W], [*intercepts, *b])

    def _output_layer(self, objective, code, Y, sample_weight, rng, tasks):
        """The output layer trained on the last code."""
        output = replace(
            objective,
            network=Network(objective.network.sizes[-2:]),
            X=code,
            Y=Y,
            sample_weight=sample_weight,
            index=None,
            lam=objective.output_lam,
            beta=0.0,
        )
        start = super()._start(output, rng, tasks)
        with tasks.task("output layer", super()._n_subtasks(output)):
            result = self._minimise(output, start, rng, self.max_iter, tasks)
        return output.network.unpack(result.theta)

    def _describe_start(self, objective, theta0):
        """The network before fine-tuning; if the fit goes on from a fitted one, that of then."""
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        if goes_on and np.array_equal(theta0, self._theta(objective)):
            return {"pretrained_": getattr(self, "pretrained_", None)}
        if self.pretraining is None:
            return {"pretrained_": None}
        before = without_callbacks(self)
        _forget(before, "pretrained_", "validation_scores_", "best_validation_score_")
        value, _ = objective(theta0)
        before._store(objective, Result(theta0, value, [], 1, "stopped", "not fine-tuned"))
        return {"pretrained_": before}

    def _hold_out(self, objective):
        """Split the rows into an objective to minimise and ``(X, Y, weights)`` to score."""
        rows = np.arange(objective.X.shape[0])
        one_label = self.task == "classification" and not self._multilabel
        train, held_out = train_test_split(
            rows,
            test_size=self.validation_fraction,
            random_state=self.random_state,
            stratify=_label_index(objective.Y) if one_label else None,
        )
        if self.task == "regression" and len(held_out) < 2:
            raise ValueError(
                "early_stopping needs at least two rows held out to compute R²: increase "
                "validation_fraction."
            )
        train, held_out = np.sort(train), np.sort(held_out)  # as they lie in a file
        s = objective.sample_weight
        if s is not None and not (s[train].any() and s[held_out].any()):
            raise ValueError(
                "early_stopping splits the rows into two parts, and in one of them all "
                "sample weights are zero: leave out the rows without weight."
            )
        return objective.rows(train), objective.rows(held_out).data()

    # -- store --------------------------------------------------------------------------

    def _store(self, objective, result):
        super()._store(objective, result)
        sizes = objective.network.sizes
        self.task_, self.out_activation_ = self.task, objective.output_activation
        self.n_outputs_, self.n_layers_ = sizes[-1], len(sizes)
        self.transform_layer_ = self._transform_layer(len(sizes) - 2)
        lowest = float(min(result.loss_curve, default=result.value))
        self.best_loss_ = None if self.early_stopping else lowest

    @property
    def _activations(self):
        return self.activation_, self.out_activation_

    # -- predict ------------------------------------------------------------------------

    def _raw_output(self, X):
        return self._propagate(self._check_input(X), slice(None), "identity")

    def _decide(self, Z):
        """Targets from the raw output."""
        if self.task_ == "regression":
            with np.errstate(over="ignore"):
                Z = (Z * self.target_scale_ + self.target_mean_).astype(Z.dtype)
            return Z.ravel() if Z.shape[1] == 1 else Z
        if self._multilabel:
            return (Z > 0).astype(int)
        return self.classes_[_label_index(Z)]

    def _probabilities(self, Z):
        """Class probabilities and their logarithms from the raw output."""
        if self._multilabel:
            return expit(Z), log_expit(Z)
        if Z.shape[1] == 1:
            Z = np.hstack([-Z, Z])
            return expit(Z), log_expit(Z)
        scores = Z if self.out_activation_ == "softmax" else log_expit(Z)
        with np.errstate(invalid="ignore"):  # inf - inf
            scores = no_nan(scores - scores.max(axis=1, keepdims=True))
        return softmax(scores, axis=1), log_softmax(scores, axis=1)

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
        _has_hidden_layer(self)  # or raise what a missing attribute raises, so that `dir` works
        return self.coefs_[self.transform_layer_].shape[1]


# Here, because scikit-learn wraps the methods of a class body, and drops such a condition.
MLPBackprop.transform = available_if(_has_hidden_layer)(MLPBackprop.transform)
MLPBackprop.fit_transform = available_if(_has_hidden_layer)(MLPBackprop.fit_transform)


class EarlyStopping(Monitor):
    """Callback that scores held-out rows and remembers the weights that scored best.

    Parameters
    ----------
    estimator : MLPBackprop
        Says how raw outputs become predictions, how long to wait, and ``tol``.
    X, Y : {ndarray, LazyRows, CSR array}
        The held-out rows and their encoded targets.
    sample_weight : ndarray of shape (n_held_out,) or None
        Their weights.
    """

    def __init__(self, estimator, X, Y, sample_weight):
        self.estimator, self.X, self.Y, self.sample_weight = estimator, X, Y, sample_weight
        self.network = Network(
            (X.shape[1], *estimator._hidden_sizes(), Y.shape[1]), estimator.activation
        )
        self.scores, self.best_score, self.best = [], -np.inf, None
        self.reference, self.reference_iter = -np.inf, 0

    def __call__(self, so_far):
        """Score the weights; True once the score has stopped rising."""
        n_iter, score = len(so_far.loss_curve), self.score(so_far.theta)
        self.scores.append(score)
        if score > self.best_score:
            self.best_score, self.best = score, so_far.theta.copy()
        if score > self.reference + self.estimator.tol:
            self.reference, self.reference_iter = score, n_iter
        return n_iter - self.reference_iter >= self.estimator.n_iter_no_change

    def score(self, theta):
        coefs, intercepts = self.network.unpack(theta.astype(self.X.dtype))
        Z = propagate(self.X, self.network, coefs, intercepts, "identity")
        if not np.isfinite(Z).all():
            return -np.inf
        if self.estimator.task == "regression":
            return _r2(self.Y, Z, sample_weight=self.sample_weight)
        if self.estimator._multilabel:
            hit = ((Z > 0) == (self.Y > 0)).all(axis=1)
        else:
            hit = _label_index(Z) == _label_index(self.Y)
        return float(np.average(hit, weights=self.sample_weight))

    def keep_best(self, result, objective):
        """The result with the weights that scored best in place of the last ones."""
        if self.best is None:
            self.best_score = self.score(result.theta)
            return result
        value, _ = objective(self.best)
        return result._replace(
            theta=self.best, value=value, n_evaluations=result.n_evaluations + 1
        )

    def store(self, estimator):
        """Set the validation scores."""
        estimator.validation_scores_ = np.array(self.scores)
        estimator.best_validation_score_ = float(self.best_score)


@dataclass
class _Binarised:
    """The 0/1 targets of labels, one column for two classes."""

    classes: np.ndarray
    dtype: np.dtype

    def __call__(self, y):
        found = y[:, np.newaxis] == self.classes
        return (found if len(self.classes) > 2 else found[:, 1:]).astype(self.dtype)


def _labels(y):
    """The targets as an array, the labels, and whether a row may have several."""
    if y.dtype.kind == "f":
        refuse_nan(y if y.ndim == 2 else y[:, np.newaxis], "y")
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind == "multiclass-multioutput":
        raise ValueError(
            "y has several columns with more than two classes: fit one network for "
            "each column, for example with MultiOutputClassifier."
        )
    if kind == "multilabel-indicator":
        y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        if not np.isin(y, (0, 1)).all():
            raise ValueError(
                "y has several columns, and so must hold 0 and 1 alone, with a column for each "
                f"label, not {np.unique(y).tolist()}."
            )
        return y, np.arange(y.shape[1]), True
    y = column_or_1d(y, warn=True)
    return y, np.unique(y), False


@np.errstate(all="ignore")
def _r2(y, prediction, sample_weight):
    """R²; minus infinity if the squared errors overflow."""
    score = r2_score(y, prediction, sample_weight=sample_weight)
    if not np.isnan(score) or len(prediction) == 1:
        return score
    refuse_nan(np.reshape(y, (len(prediction), -1)), "y")
    return -np.inf


def _in_scale(sample_weight, rows):
    """The weights times a power of two, the largest near one: only their ratios count."""
    if sample_weight is None:
        return None
    refuse_dates(sample_weight, "sample_weight")
    weights = check_sample_weight(sample_weight, rows, dtype=np.float64)
    check_weight_range(weights.min(), weights.max())
    return np.ldexp(weights, -np.frexp(weights.max())[1])


def _label_index(Z):
    """The class of each row: its largest column, or whether its only one is positive."""
    return Z.argmax(axis=1) if Z.shape[1] > 1 else (Z[:, 0] > 0).astype(int)


def _forget(estimator, *attributes):
    """Remove what an earlier fit has left and this one does not set."""
    for name in attributes:
        vars(estimator).pop(name, None)


def _doc_for(summary, without, example, **defaults):
    """The docstring of `MLPBackprop` for a subclass with fewer entries and some other defaults."""
    if MLPBackprop.__doc__ is None:  # python -OO
        return None
    # cleandoc, since Python takes the indentation away from 3.13 on
    doc, _, _ = cleandoc(MLPBackprop.__doc__).partition("Examples\n")
    for name, value in defaults.items():
        doc = re.sub(rf"(?m)^({name} : .*, default=).*$", rf"\g<1>{value}", doc)
    _, _, body = doc.partition("\n")
    entries = re.split(r"\n(?=\w+ : )", body)
    kept = [entry for entry in entries if entry.split(" : ")[0] not in without]
    # An entry that ends a section carries the next section's heading with it.
    lost = [entry for entry in entries if entry not in kept]
    assert not any("\n\n" in entry for entry in lost), "a dropped entry ends a section"
    return summary + "\n" + "\n".join(kept) + "Examples\n--------\n" + cleandoc(example) + "\n"


class MLPBackpropClassifier(ClassifierMixin, MLPBackprop):
    __doc__ = _doc_for(
        "Multilayer perceptron classifier.",
        without={"task", "scale_targets", "variable_projection", "target_mean_, target_scale_"},
        example="""\
    >>> from sklearn.datasets import load_iris
    >>> from skl_sae import MLPBackpropClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPBackpropClassifier((5,), random_state=0).fit(X, y)
    >>> net.predict(X[:2])
    array([0, 0])
    >>> net.predict_proba(X[:2]).shape
    (2, 3)
    """,
    )

    _parameter_constraints = {
        name: constraint
        for name, constraint in MLPBackprop._parameter_constraints.items()
        if name not in ("task", "scale_targets", "variable_projection")
    }

    score = MLPBackprop.score  # that of the mixin knows no dask

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        loss="auto",
        class_weight=None,
        activation="tanh",
        lam=5e-3,
        beta=0.0,
        rho=0.05,
        pretraining=None,
        transform_layer=-1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=20,
        solver="lbfgs",
        max_iter=1500,
        tol=1e-3,
        history_size=10,
        growing_samples="auto",
        learning_rate=0.1,
        batch_size=None,
        n_init=1,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            hidden_layer_sizes,
            task="classification",
            loss=loss,
            class_weight=class_weight,
            activation=activation,
            lam=lam,
            beta=beta,
            rho=rho,
            pretraining=pretraining,
            transform_layer=transform_layer,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            solver=solver,
            max_iter=max_iter,
            tol=tol,
            history_size=history_size,
            growing_samples=growing_samples,
            learning_rate=learning_rate,
            batch_size=batch_size,
            n_init=n_init,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )


class MLPBackpropRegressor(RegressorMixin, MLPBackprop):
    __doc__ = _doc_for(
        "Multilayer perceptron regressor.",
        without={"task", "loss", "class_weight", "classes_"},
        example="""\
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from skl_sae import MLPBackpropRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X = scale(X)
    >>> net = MLPBackpropRegressor((5,), random_state=0).fit(X, y)
    >>> net.predict(X).shape
    (442,)
    """,
        lam=0.01,
    )

    _parameter_constraints = {
        name: constraint
        for name, constraint in MLPBackprop._parameter_constraints.items()
        if name not in ("task", "loss", "class_weight")
    }

    score = MLPBackprop.score  # that of the mixin knows no dask

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        scale_targets=True,
        activation="tanh",
        lam=1e-2,
        beta=0.0,
        rho=0.05,
        pretraining=None,
        transform_layer=-1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=20,
        solver="lbfgs",
        max_iter=1500,
        tol=1e-3,
        history_size=10,
        growing_samples="auto",
        variable_projection="auto",
        learning_rate=0.1,
        batch_size=None,
        n_init=1,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            hidden_layer_sizes,
            task="regression",
            scale_targets=scale_targets,
            activation=activation,
            lam=lam,
            beta=beta,
            rho=rho,
            pretraining=pretraining,
            transform_layer=transform_layer,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            solver=solver,
            max_iter=max_iter,
            tol=tol,
            history_size=history_size,
            growing_samples=growing_samples,
            variable_projection=variable_projection,
            learning_rate=learning_rate,
            batch_size=batch_size,
            n_init=n_init,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )

    @available_if(BackpropEstimator._uses_sgd)
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, sample_weight=None):
        """Take one gradient step on X, or one epoch of mini-batches (solver "sgd").

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A portion of the data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Its targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        MLPBackpropRegressor
            The estimator.
        """
        self._partial_fit(self._prepare_step(X, y, sample_weight))
        return self
