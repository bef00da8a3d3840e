"""`MLPBackprop` as a classifier and as a regressor, which scikit-learn's tools expect."""

from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from ._compat import fit_context
from ._network_parameters import CLASSES, DOC, NETWORK, SCALES
from ._parameters import described
from ._rollback import all_or_nothing
from .mlp_backprop import MLPBackprop


@described(
    NETWORK,
    summary="Multilayer perceptron classifier.",
    target_attributes=CLASSES,
    example="""\
>>> from sklearn.datasets import load_iris
>>> from skl_sae import MLPBackpropClassifier
>>> X, y = load_iris(return_X_y=True)
>>> net = MLPBackpropClassifier((5,), random_state=0).fit(X, y)
>>> net.predict(X[:2])
array([0, 0])
>>> net.predict_proba(X[:2]).shape
(2, 3)""",
)
class MLPBackpropClassifier(ClassifierMixin, MLPBackprop):
    __doc__ = DOC

    score = MLPBackprop.score  # the score of the mixin does not support dask

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        loss="auto",
        output_activation="auto",
        class_weight=None,
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
        learning_rate="auto",
        batch_size="auto",
        momentum=0.9,
        shuffle=True,
        n_init=1,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        super().__init__(
            hidden_layer_sizes,
            task="classification",
            loss=loss,
            output_activation=output_activation,
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
            momentum=momentum,
            shuffle=shuffle,
            n_init=n_init,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )


@described(
    NETWORK,
    summary="Multilayer perceptron regressor.",
    target_attributes=SCALES,
    example="""\
>>> from sklearn.datasets import load_diabetes
>>> from sklearn.preprocessing import scale
>>> from skl_sae import MLPBackpropRegressor
>>> X, y = load_diabetes(return_X_y=True)
>>> X = scale(X)
>>> net = MLPBackpropRegressor((5,), random_state=0).fit(X, y)
>>> net.predict(X).shape
(442,)""",
)
class MLPBackpropRegressor(RegressorMixin, MLPBackprop):
    __doc__ = DOC

    score = MLPBackprop.score  # the score of the mixin does not support dask

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        *,
        output_activation="auto",
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
        super().__init__(
            hidden_layer_sizes,
            task="regression",
            output_activation=output_activation,
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
            momentum=momentum,
            shuffle=shuffle,
            n_init=n_init,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )

    @available_if(MLPBackprop._takes_steps)
    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, *, sample_weight=None):
        """Take one epoch of mini-batches, or one step on all of X (solvers "adam" and "sgd").

        All steps have full length. Each call continues the call before: momentum and the
        moments of "adam" are kept, in a pickle too.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Some rows of the data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        MLPBackpropRegressor
            The estimator.
        """
        self._partial_fit(*self._prepare_step(X, y, sample_weight))
        return self
