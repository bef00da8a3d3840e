"""What the networks' parameters and docstrings have besides those of all estimators."""

from numbers import Integral, Real

from sklearn.base import BaseEstimator

from ._compat import Interval
from ._parameters import COUNT, NOT_NEGATIVE, SHARED, Parameter, choice
from .backprop.losses import LOSSES

NETWORK = SHARED | {
    "hidden_layer_sizes": Parameter(
        ["array-like", COUNT],
        "int or array-like of int",
        """\
Number of units of each hidden layer; ``()`` is softmax, logistic or linear
regression.""",
    ),
    "task": Parameter(
        *choice(["classification", "regression"]),
        """\
What y means: labels (of two or more classes, or a 0/1 matrix with a column for
each label), or real numbers (one or more columns). `MLPBackpropClassifier` and
`MLPBackpropRegressor` fix it.""",
    ),
    "loss": Parameter(
        *choice(dict.fromkeys(loss for loss, _ in LOSSES), "auto"),
        """\
For regression "auto" is "squared_error". For classification it is "log_loss", or
"squared_error" where ``output_activation`` is given: that fits the outputs to 0/1
targets (tanh outputs to targets of -1 and 1), as the tutorial does.""",
    ),
    "output_activation": Parameter(
        *choice([output for loss, output in LOSSES if loss == "squared_error"], "auto"),
        """\
Activation of the last layer, for squared error. "auto" is "identity" for regression;
for classification it is "logistic", and with "log_loss" softmax where a row has one
of several classes. Regression with "logistic" or "tanh" outputs is bounded: a
prediction never leaves the range of y in the fit. Classification has no "identity".""",
    ),
    "class_weight": Parameter(
        [dict, *choice(["balanced"])[0], None],
        'dict, "balanced" or None',
        """\
Weights of the classes, times the sample weights: {class: weight}, or "balanced"
to give all classes the same total weight. Not for regression, several labels or
`partial_fit`.""",
    ),
    "scale_targets": Parameter(
        ["boolean"],
        "bool",
        """\
Whether each column of y is scaled before the fit, and predictions are scaled back: to
mean 0 and variance 1, or to the range of bounded outputs. J, ``loss_curve_`` and the
weights of the output layer are then in the scaled unit, and λ means the same for
prices and for rates. False leaves y alone. A further `partial_fit` or warm start
keeps the scale of the first. Regression only.""",
    ),
    "lam": Parameter(
        [NOT_NEGATIVE, "array-like"],
        "float or array-like of shape (n_layers,)",
        """\
Weight decay λ ≥ 0, or that of each layer from the first hidden layer to the
output: ``(0, 0, 1e-4)`` decays the output layer alone. Biases are not decayed. It
is not divided by the number of rows: `sklearn.neural_network.MLPClassifier` has
``alpha = n_samples * lam``.""",
    ),
    "beta": SHARED["beta"]._replace(
        text="""\
Weight β ≥ 0 of the sparsity penalty ([1]_) on every hidden layer. Above 0 it needs
``activation`` "logistic" or "tanh"."""
    ),
    "pretraining": Parameter(
        [BaseEstimator, list, tuple, None],
        "SparseAutoencoder, FrozenEstimator or list of them",
        """\
Greedy layer-wise pretraining of the hidden layers (UFLDL, "Stacked
autoencoders"): each starts as the encoder of an autoencoder of the layer before.
A `SparseAutoencoder` is the template for all of them, cloned with
``n_components`` set; a list has one for each. One that was fitted before, to
other data perhaps, comes in a `sklearn.frozen.FrozenEstimator`. Then the output
layer is trained on the last code, and after that all layers are, which is called
fine-tuning. Its ``activation`` must be that of the network. None starts from
random weights.""",
    ),
    "transform_layer": Parameter(
        [Interval(Integral, None, None, closed="neither")],
        "int",
        "The hidden layer whose activations `transform` returns; -1 is the last one.",
    ),
    "early_stopping": Parameter(
        ["boolean"],
        "bool",
        """\
Whether to hold out a part of the rows, stop also when the score on it has not risen
by ``tol`` for ``n_iter_no_change`` iterations, and keep the weights that scored
best. It works with every solver. `fit` takes rows of your own, ``X_val``.""",
    ),
    "validation_fraction": Parameter(
        [Interval(Real, 0, 1, closed="neither")],
        "float",
        "Share of the rows that ``early_stopping`` holds out (stratified by class).",
    ),
    "n_iter_no_change": SHARED["n_iter_no_change"]._replace(
        text="Patience: see ``tol`` and ``early_stopping``."
    ),
    "n_init": SHARED["n_init"]._replace(
        text="""\
Number of random starts. The fit with the lowest J is kept; with
``early_stopping`` the one with the best validation score."""
    ),
    "random_state": SHARED["random_state"]._replace(
        text="""\
For the initial weights, samples of the rows, the rows held out and the order of
mini-batches. An int makes the fit reproducible."""
    ),
}

CLASSES = """\
classes_ : ndarray of shape (n_classes,)
    The labels (classification only)."""

SCALES = """\
target_offset_, target_scale_ : ndarray of shape (n_outputs,)
    What leads back to the unit of y (regression only): a prediction is
    ``target_offset_ + target_scale_ * output``. Without bounds they are the mean and
    the standard deviation of y."""

DOC = r"""{summary}

Layer l computes :math:`a^{(l+1)} = f(a^{(l)} W_l + b_l)`. `fit` minimises

.. math::

    J = \frac{\sum_i s_i\, L(y_i, z_i)}{\sum_i s_i}
        + \frac{\lambda}{2} \sum_l \|W_l\|_F^2
        + \beta \sum_j \mathrm{KL}(\rho \,\|\, \hat\rho_j)

where z is the raw output and the last sum runs over all hidden units.

Parameters
----------
{parameters}

Attributes
----------
coefs_ : list of ndarray of shape (n_in, n_out)
    The weights W of each layer.
intercepts_ : list of ndarray of shape (n_out,)
    The biases b of each layer.
pretrained_ : MLPBackprop
    The network before fine-tuning, with ``predict``, ``score`` and so on (with
    ``pretraining`` only).
{target_attributes}
n_layers_ : int
    Number of layers, those of the inputs and of the outputs included.
n_outputs_ : int
    Number of units of the last layer.
activation_ : str
    Activation of the hidden layers.
out_activation_ : {"softmax", "logistic", "tanh", "identity"}
    Activation of the last layer.
transform_layer_ : int or None
    The hidden layer that `transform` returns, counted from 0; None without any.
task_ : str
    The task of the fit.
loss_ : float
    The objective J of all rows at the end, penalties included; no higher than at the
    start, unless early stopping has chosen.
best_loss_ : float or None
    The lowest value of ``loss_curve_``, also where it is that of a sample of the rows;
    None with early stopping.
validation_scores_ : ndarray of shape (n_iter_,)
    Accuracy or R² on the rows held out, or on ``X_val``, after each iteration.
validation_loss_curve_ : ndarray of shape (n_iter_,)
    J of these rows.
best_validation_score_ : float
    The largest of the scores: with early stopping that of the weights kept.
{fitted}

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
{references}

Examples
--------
{example}
"""
