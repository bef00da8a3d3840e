"""scikit-learn's own tests of its networks, run on ours behind an adapter.

The tests that ask for something that we do not claim are left out, each with its reason.
"""

from pathlib import Path

import pytest
import sklearn.neural_network
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

NOT_CLAIMED = {
    "test_fit": "weights by hand in private methods",
    "test_gradient": "private methods; tests/test_gradients.py has ours",
    "test_learning_rate_warmstart": "schedules of the learning rate, and a private optimiser",
    "test_adaptive_learning_rate": "schedules of the learning rate, and a private optimiser",
    "test_lbfgs_classification_maxfun": "max_fun",
    "test_lbfgs_regression_maxfun": "max_fun",
    "test_partial_fit_regression": "the steps of fit shrink to zero, those of partial_fit do not",
    "test_mlp_loading_from_joblib_partial_fit": "targets keep the scale of the first fit",
    "test_tolerance": "a fit by mini-batches runs all its epochs",
    "test_verbose_sgd": "the wording of what is printed",
    "test_early_stopping": "attributes that are None there do not exist here",
    "test_n_iter_no_change": "a private counter; a fit by mini-batches runs all its epochs",
    "test_n_iter_no_change_inf": "n_iter_no_change is an int",
    "test_mlp_warm_start_no_convergence": "n_iter_no_change is an int",
    "test_preserve_feature_names": "labels of one class are refused",
    "test_nonfinite_params": "the wording of an error",
    "test_warm_start": "the wording of an error",
    "test_early_stopping_stratified": "the wording of an error",
    "test_minimum_input_sample_size": "the wording of an error",
    "test_mlp_partial_fit_after_fit": "the wording of an error",
    "test_mlp_diverging_loss": "a loss that overflows raises; there it is stored",
    "test_mlp_vs_poisson_glm_equivalent": "the Poisson loss",
}


class Adapter(BaseEstimator):
    """Their parameters, which become ours when a fit begins; all else is asked of our network."""

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.001,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def _net(self, n_rows):
        params = self.get_params(deep=False)
        params["lam"] = params.pop("alpha") / n_rows  # their objective is ours, if lam is this
        params["learning_rate"] = params.pop("learning_rate_init")
        return vars(self).setdefault("net", self.ours()).set_params(**params)

    def fit(self, X, y, sample_weight=None):
        if not self.warm_start:
            vars(self).pop("net", None)
        self._net(len(y)).fit(X, y, sample_weight=sample_weight)
        return self

    @available_if(lambda self: self.solver != "lbfgs")
    def partial_fit(self, X, y, sample_weight=None, **classes):
        self._net(len(y)).partial_fit(X, y, sample_weight=sample_weight, **classes)
        return self

    def __getattr__(self, name):
        if name == "net" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.net, name)


class Classifier(ClassifierMixin, Adapter):
    ours = MLPBackpropClassifier


class Regressor(RegressorMixin, Adapter):
    ours = MLPBackpropRegressor


def their_tests():
    """The functions of their module, with our classes in place of theirs."""
    path = Path(sklearn.neural_network.__file__).with_name("tests") / "test_mlp.py"
    names = "from sklearn.neural_network import MLPClassifier, MLPRegressor\n"
    source = path.read_text(encoding="utf-8")
    assert names in source
    found = {"MLPClassifier": Classifier, "MLPRegressor": Regressor, "__name__": __name__}
    exec(compile(source.replace(names, ""), path, "exec"), found)
    return {name: value for name, value in found.items() if name.startswith("test_")}


globals().update({name: test for name, test in their_tests().items() if name not in NOT_CLAIMED})
