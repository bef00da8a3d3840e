"""The parameters and docstring texts that only the networks have."""

from numbers import Integral, Real

from sklearn.base import BaseEstimator

from ._compat import Interval, StrOptions
from ._parameters import COUNT, NOT_NEGATIVE, SHARED, Parameter, choice
from .backprop.activations import ACTIVATIONS
from .backprop.losses import LOSSES

NETWORK = SHARED | {
    "hidden_layer_sizes": Parameter(
        ["array-like", COUNT],
        "int or array-like of int",
        """\
Number of units in each hidden layer; ``()`` gives softmax, logistic or linear
regression.""",
    ),
    "task": Parameter(
        *choice(["classification", "regression"]),
        """\
What y holds. For classification these are labels of two or more classes, or a 0/1
matrix with a column for each label. For regression they are real numbers, in one or
more columns. `MLPBackpropClassifier` and `MLPBackpropRegressor` have a fixed task.""",
    ),
    "loss": Parameter(
        *choice(dict.fromkeys(loss for loss, _ in LOSSES), "auto"),
        """\
For regression "auto" is "squared_error". For classification it is "log_loss", or
"squared_error" if ``output_activation`` is given. Squared error fits the outputs of a
classifier to targets of 0 and 1 (-1 and 1 for tanh outputs), as the tutorial does.""",
    ),
    "output_activation": Parameter(
        *choice([output for loss, output in LOSSES if loss == "squared_error"], "auto"),
        """\
Activation of the last layer; all values but "auto" need squared error. For regression
"auto" is "identity". For classification it is "logistic", or softmax with "log_loss"
and three or more classes of which each row has one. Regression with "logistic" or
"tanh" outputs is bounded: predictions stay in the range of y in the fit. "identity" is
for regression only.""",
    ),
    "class_weight": Parameter(
        [dict, *choice(["balanced"])[0], None],
        'dict, "balanced" or None',
        """\
Weights of the classes, by which the sample weights are multiplied. A dict has the
form {class: weight}; "balanced" gives all classes the same total weight. It does not
work for regression, for several labels per row, or in `partial_fit`.""",
    ),
    "scale_targets": Parameter(
        ["boolean"],
        "bool",
        """\
Whether each column of y is scaled before the fit, to mean 0 and variance 1 or to the
range of bounded outputs. Predictions are scaled back. J, ``loss_curve_`` and the
weights of the output layer are then in the scaled unit, so λ has the same effect in
every unit of y. False leaves y unchanged. A later `partial_fit` or warm start keeps the
first scale. Regression only.""",
    ),
    "lam": Parameter(
        [NOT_NEGATIVE, "array-like", StrOptions({"auto"})],
        '"auto", float or array-like of shape (n_layers,)',
        """\
Weight decay λ ≥ 0: one value for all layers, or one for each layer from the first
hidden layer to the output. ``(0, 0, 1e-4)`` decays the output layer alone. Biases are
not decayed. "auto" means 0.005 for classification and 0.01 for regression. With more
than 1,000 rows it is 5 or 10 divided by their number, because many rows need less decay;
``lam_`` has the value. Only rows with a weight count. Up to 100,000 rows and 64 MiB equal
rows count as one. In `partial_fit` the rows of the call count, so name a λ there. A λ
that you give is not divided by the number of rows; the same decay in
`sklearn.neural_network.MLPClassifier` is ``alpha = n_samples * lam``.""",
    ),
    "beta": SHARED["beta"]._replace(
        text="""\
Weight β ≥ 0 of the sparsity penalty ([1]_) on every hidden layer. β > 0 needs
the activation "logistic" or "tanh"; "auto" is then "tanh"."""
    ),
    "activation": Parameter(
        *choice(ACTIVATIONS, "auto"),
        """\
Activation f of the hidden layers. "auto" means, in this order: in a fit that goes on,
the activation that it has; with ``pretraining``, that of the autoencoders; for the
solvers "adam" and "sgd" with β = 0, "relu"; otherwise "tanh". So name one if you search
over ``solver`` or ``beta``.""",
    ),
    "pretraining": Parameter(
        [BaseEstimator, list, tuple, None],
        "SparseAutoencoder, FrozenEstimator or list of them",
        """\
Greedy layer-wise pretraining of the hidden layers (UFLDL, "Stacked autoencoders").
Each hidden layer starts as the encoder of an autoencoder of the layer before it. A
`SparseAutoencoder` is the template for all layers: it is cloned, and ``n_components``
is set. A list has one autoencoder for each hidden layer. To use an autoencoder that is
already fitted, perhaps to other data, wrap it in a `sklearn.frozen.FrozenEstimator`.
After the hidden layers, the output layer is trained on the last code. Then all layers
are trained together, which is called fine-tuning. An ``activation`` other than "auto"
must be the one of the autoencoders. None starts from random weights.""",
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
Whether to hold out some of the rows and keep the weights with the best score on them.
The fit then also stops when this score has not risen by ``tol`` for
``n_iter_no_change`` iterations. It works with every solver. To hold out rows of your
own choice, pass ``X_val`` to `fit`.""",
    ),
    "validation_fraction": Parameter(
        [Interval(Real, 0, 1, closed="neither")],
        "float",
        "Share of the rows that ``early_stopping`` holds out (stratified by class).",
    ),
    "n_iter_no_change": SHARED["n_iter_no_change"]._replace(
        text="""\
Number of iterations without progress that end the fit: see ``tol`` and
``early_stopping``."""
    ),
    "n_init": SHARED["n_init"]._replace(
        text="""\
Number of random starts. The fit with the lowest J is kept, or with
``early_stopping`` the fit with the best validation score."""
    ),
    "random_state": SHARED["random_state"]._replace(
        text="""\
Random numbers for the initial weights, the samples of the rows, the rows held out and
the order of mini-batches. An int makes the fit reproducible."""
    ),
}

CLASSES = """\
classes_ : ndarray of shape (n_classes,)
    The labels (classification only)."""

SCALES = """\
target_offset_, target_scale_ : ndarray of shape (n_outputs,)
    Offset and scale of y (regression only): a prediction is
    ``target_offset_ + target_scale_ * output``. For unbounded outputs they are the mean
    and the standard deviation of y."""

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
    The network before fine-tuning, with ``predict``, ``score`` and so on. It exists
    only with ``pretraining``.
{target_attributes}
n_layers_ : int
    Number of layers, including the input and the output layer.
n_outputs_ : int
    Number of units of the last layer.
activation_ : str
    Activation of the hidden layers.
lam_ : float or tuple of float
    Weight decay λ of all layers, or of each layer.
out_activation_ : {"softmax", "logistic", "tanh", "identity"}
    Activation of the last layer.
transform_layer_ : int or None
    The hidden layer that `transform` returns, counted from 0. None if there are no hidden
    layers.
task_ : str
    The task of the fit.
loss_ : float
    The objective J of all rows at the end of the fit, penalties included. It is no higher
    than at the start, unless early stopping chose the weights.
best_loss_ : float or None
    The lowest value in ``loss_curve_``, even if it is J of a sample of the rows. None with
    early stopping.
validation_scores_ : ndarray of shape (n_iter_,)
    Accuracy or R² on the rows held out, or on ``X_val``, after each iteration.
validation_loss_curve_ : ndarray of shape (n_iter_,)
    J of these rows after each iteration.
best_validation_score_ : float
    The largest validation score. With early stopping the weights kept have this score.
{fitted}

See Also
--------
SparseAutoencoder : Features without labels, on the same core.
sklearn.neural_network.MLPClassifier : scikit-learn's network.

Notes
-----
Weights start as U(-r, r), r² = 6 / (n_in + n_out + 1), as in [1]_. Biases start from the
data. The output starts at its best constant. With ``beta > 0`` each hidden unit starts at
the mean activation ρ; otherwise every hidden unit starts at a raw output of 0 for the mean row.

Integer sample weights give the same result as repeated rows. For data in memory of up to
100,000 rows and 64 MiB, the two fits agree to the last bit, and the order of the rows does
not matter, because equal rows are merged first. Fits with mini-batches or early stopping
do not merge rows.

References
----------
{references}

Examples
--------
{example}
"""
