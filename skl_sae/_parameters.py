"""The shared parameters: each has one entry, with its allowed values and its docstring text."""

import inspect
from numbers import Integral, Real
from textwrap import indent
from typing import NamedTuple

from ._compat import Interval, StrOptions
from .backprop.activations import ACTIVATIONS
from .backprop.solvers import SOLVERS


class Parameter(NamedTuple):
    """The constraints of a parameter for scikit-learn, its type in words, and its description."""

    constraints: list
    kind: str
    text: str


def choice(options, *more):
    """Constraints and kind of a parameter that takes one of these names; ``more`` come first."""
    names = [*more, *options]
    return [StrOptions(set(names))], "{" + ", ".join(f'"{name}"' for name in names) + "}"


POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
COUNT = Interval(Integral, 1, None, closed="left")
AUTO_OR_COUNT = [COUNT, StrOptions({"auto"})]

SHARED = {
    "beta": Parameter([NOT_NEGATIVE], "float", "Weight β ≥ 0 of the sparsity penalty."),
    "rho": Parameter(
        [Interval(Real, 0, 1, closed="neither")],
        "float",
        """\
Sparsity target ρ in (0, 1): the mean activation that each hidden unit should
have. For tanh units it is the mean of (a + 1) / 2.""",
    ),
    "activation": Parameter(*choice(ACTIVATIONS), "Activation f of the hidden layers."),
    "solver": Parameter(
        *choice(SOLVERS),
        """\
"lbfgs" (L-BFGS, [2]_) and "cg" (nonlinear conjugate gradients) are SciPy's. "adam" is
Adam ([7]_) and "sgd" is gradient descent. Use "adam" for a quick first result on many
rows, and "lbfgs" to reach the minimum.""",
    ),
    "max_iter": Parameter(
        AUTO_OR_COUNT,
        '"auto" or int',
        """\
Largest number of iterations; "auto" means 1500. An iteration on a share of the rows (see
``growing_samples``) counts as that share of an iteration. With mini-batches it is the
number of epochs, over which the step length first rises and then falls to zero. "auto"
then takes enough epochs for 2,000 steps, at least 20 and at most 200.""",
    ),
    "tol": Parameter(
        [NOT_NEGATIVE],
        "float",
        """\
Tolerance of convergence. The fit has converged when ``n_iter_no_change`` iterations have
not lowered J by ``tol`` times its value. For "lbfgs" and "cg" every entry of the gradient
of J / J₀ must also be at most ``tol`` in size, where J₀ is the objective of the best
constant output. Until J falls below 0.99 J₀, the fit waits for five times as many
iterations. A fit with mini-batches always runs all its epochs.""",
    ),
    "n_iter_no_change": Parameter(
        [COUNT], "int", "Number of iterations without progress that end the fit: see ``tol``."
    ),
    "history_size": Parameter(
        [COUNT],
        "int",
        """\
Number of past steps that "lbfgs" keeps. Each one needs as much memory as two
copies of the weights.""",
    ),
    "growing_samples": Parameter(
        ["boolean", StrOptions({"auto"})],
        '"auto" or bool',
        """\
Whether "lbfgs" first runs on a random 1/32, then 1/8, then 1/2 of the rows, and last
on all rows. Each run starts where the one before has ended ([3]_, [4]_, [5]_). On many
rows this is several times faster, and the result is as much a minimum of J. "auto" does
this from 20,000 rows on if there is a hidden layer. It does not if the fit starts from
fitted or pretrained weights, which a small sample would spoil, or with early stopping.""",
    ),
    "variable_projection": Parameter(
        ["boolean", StrOptions({"auto"})],
        '"auto" or bool',
        """\
Whether "lbfgs" minimises over the hidden layers alone and solves the output layer
exactly at each step ([6]_). The objective and its minima stay the same, but the fit
needs several times fewer iterations. This works with squared error,
``output_activation="identity"``, a hidden layer and untied weights. "auto" uses it if
λ > 0 for the output layer (in float32, λ > 6e-6), if there are at least as many rows as
units h in the last hidden layer, and if the h × h system is cheap beside the other
products. A run on all weights ends the fit; it also takes over where the system is
ill-conditioned. With True and λ = 0 nothing bounds the weights of the output layer, and
they can become huge.""",
    ),
    "learning_rate": Parameter(
        [POSITIVE, StrOptions({"auto"})],
        '"auto" or float',
        """\
Step length of "adam" and "sgd"; the other solvers find theirs by line search. For
"adam", "auto" is 0.01 for networks and 0.02 for autoencoders. For "sgd" it tries nine
step lengths on 500 rows and uses half of the best one. With mini-batches the value is the
longest step of a fit. The steps of `partial_fit` all have the same length; for "adam",
"auto" is then a tenth of the value above.""",
    ),
    "batch_size": Parameter(
        [*AUTO_OR_COUNT, None],
        '"auto", int or None',
        """\
Number of rows in a mini-batch of "adam" and "sgd". "auto" is min(200, n_samples), and
None means all rows. The mean activation ρ̂ is taken over the mini-batch; ``loss_`` is J
of all rows.""",
    ),
    "momentum": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        "float",
        'Nesterov momentum of "sgd": the share of each step that the next one repeats.',
    ),
    "shuffle": Parameter(
        ["boolean"],
        "bool",
        "Whether mini-batches are drawn in random order. False keeps the order of the rows.",
    ),
    "n_init": Parameter(
        [COUNT], "int", "Number of random starts; the fit with the lowest J is kept."
    ),
    "warm_start": Parameter(
        ["boolean"],
        "bool",
        """\
Whether the next `fit` starts from the fitted weights. The other ``n_init - 1``
starts are random.""",
    ),
    "random_state": Parameter(
        ["random_state"],
        "int, RandomState instance or None",
        """\
Random numbers for the initial weights, the samples of the rows and the order of
mini-batches. An int makes the fit reproducible.""",
    ),
    "verbose": Parameter(["verbose"], "int", "Whether to print J after each iteration."),
}

ATTRIBUTES = """\
loss_curve_ : ndarray of shape (n_iter_,)
    J after each iteration; with mini-batches, the mean of J over each epoch.
n_iter_ : int
    Number of iterations, including those on samples of the rows. They count towards
    ``max_iter`` as ``stage_lengths_ @ stage_shares_``.
stage_lengths_ : ndarray of shape (n_stages,)
    Number of iterations in each stage. The first stages run on growing samples of the
    rows, where ``loss_curve_`` holds J of the sample. Then comes a stage on all rows with
    the output layer solved exactly, and last a stage on all weights. If the last stage
    has no iterations, the curve ends with J of an earlier stage.
stage_shares_ : ndarray of shape (n_stages,)
    Share of the rows that each stage ran on. It is 1 where ``loss_curve_`` holds J of all
    rows.
n_evaluations_ : int
    Number of evaluations of J in the run that was kept, on all rows or on some of them.
converged_ : bool
    Whether the solver met ``tol``. It is always False with mini-batches.
learning_rate_ : float
    The longest step ("adam" and "sgd" only).
n_features_in_ : int
    Number of features seen in `fit`.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features seen in `fit`, if all are strings."""

REFERENCES = """\
.. [1] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford University,
       2011.
.. [2] R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, "A limited memory algorithm for bound
       constrained optimization", SIAM J. Sci. Comput. 16 (5), 1995.
.. [3] R. H. Byrd, G. M. Chin, J. Nocedal and Y. Wu, "Sample size selection in
       optimization methods for machine learning", Math. Program. 134, 2012.
.. [4] M. P. Friedlander and M. Schmidt, "Hybrid deterministic-stochastic methods for
       data fitting", SIAM J. Sci. Comput. 34 (3), 2012.
.. [5] R. Bollapragada, D. Mudigere, J. Nocedal, H.-J. M. Shi and P. T. P. Tang, "A
       progressive batching L-BFGS method for machine learning", ICML 2018.
.. [6] G. Golub and V. Pereyra, "Separable nonlinear least squares: the variable
       projection method and its applications", Inverse Problems 19 (2), 2003.
.. [7] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization",
       ICLR 2015."""


def described(parameters, **parts):
    """Give a class the constraints of its parameters, and fill the gaps of its docstring.

    Parameters
    ----------
    parameters : dict of Parameter
        The parameters of the class. There may be others as well.
    **parts
        Texts for other gaps: ``{name}`` in the docstring becomes the text.
    """

    def describe(cls):
        defaults = inspect.signature(cls).parameters
        cls._parameter_constraints = {name: parameters[name].constraints for name in defaults}
        entries = [_entry(parameters[name], default) for name, default in defaults.items()]
        parts.update(parameters="\n".join(entries), fitted=ATTRIBUTES, references=REFERENCES)
        if cls.__doc__ is not None:  # python -OO
            cls.__doc__ = inspect.cleandoc(cls.__doc__)
            for name, text in parts.items():
                cls.__doc__ = cls.__doc__.replace("{" + name + "}", text)
        return cls

    return describe


def _entry(parameter, signature):
    """The docstring entry of a parameter, with the default from its signature."""
    default = signature.default
    shown = f'"{default}"' if isinstance(default, str) else str(default).replace("e-0", "e-")
    head = f"{signature.name} : {parameter.kind}, default={shown}"
    return head + "\n" + indent(parameter.text, "    ")
