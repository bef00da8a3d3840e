"""Parameters: each is described once, by what it may be and by its entry in the docstrings."""

import inspect
from numbers import Integral, Real
from textwrap import indent
from typing import NamedTuple

from ._compat import Interval, StrOptions
from .backprop.activations import ACTIVATIONS
from .backprop.solvers import SOLVERS


class Parameter(NamedTuple):
    """What a parameter may be, in scikit-learn's words and in ours, and what it does."""

    constraints: list
    kind: str
    text: str


def choice(options, *more):
    """Constraints and kind of a parameter that is one of some names, "auto" among them perhaps."""
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
have; for tanh units the mean of (a + 1) / 2.""",
    ),
    "activation": Parameter(*choice(ACTIVATIONS), "Activation f of the hidden layers."),
    "solver": Parameter(
        *choice(SOLVERS),
        """\
L-BFGS ([2]_) or nonlinear conjugate gradients of SciPy, Adam ([7]_) or gradient descent.
"adam" is for a first result on many rows, "lbfgs" for the minimum.""",
    ),
    "max_iter": Parameter(
        AUTO_OR_COUNT,
        '"auto" or int',
        """\
Largest number of iterations, 1500 by "auto". An iteration on a share of the rows (see
``growing_samples``) counts by that share. With mini-batches the number of epochs, over
which the steps grow at first and then shrink to nothing; "auto" is as many as make 2,000
steps, but 20 at least and 200 at most.""",
    ),
    "tol": Parameter(
        [NOT_NEGATIVE],
        "float",
        """\
The fit has converged when ``n_iter_no_change`` iterations have not lowered J by
``tol`` of its size; "lbfgs" and "cg" also ask that no entry of the gradient of
J / J₀ is above ``tol``, where J₀ is the objective of the best constant output.
As long as J is not below 0.99 J₀, five times as many iterations are waited for. A fit by
mini-batches takes all its epochs.""",
    ),
    "n_iter_no_change": Parameter([COUNT], "int", "Patience: see ``tol``."),
    "history_size": Parameter(
        [COUNT],
        "int",
        """\
Number of past steps that "lbfgs" keeps; each costs two vectors of the size of
the weights.""",
    ),
    "growing_samples": Parameter(
        ["boolean", StrOptions({"auto"})],
        '"auto" or bool',
        """\
Whether "lbfgs" runs on a random 1/32, 1/8 and 1/2 of the rows before it runs on
all, each time from where it has ended ([3]_, [4]_, [5]_). On many rows this is
several times faster, and the result is as much a minimum of J. "auto" does so from
20,000 rows on, if there is a hidden layer, unless the fit starts from fitted or
pretrained weights, which a small sample would spoil, or stops early.""",
    ),
    "variable_projection": Parameter(
        ["boolean", StrOptions({"auto"})],
        '"auto" or bool',
        """\
Whether "lbfgs" runs on the hidden layers alone, the output layer being solved
exactly at each step ([6]_): the same objective and the same minima, in several
times fewer iterations. It needs squared error, ``output_activation="identity"``, a
hidden layer and untied weights. "auto" does so where λ > 0 for the output layer (in
float32 λ > 6e-6), there are at least as many rows as units h of the last hidden
layer, and the h × h system is cheap beside the other products. A run on all weights
ends the fit, and takes over where the system is ill-conditioned. With True and
λ = 0 nothing bounds the output layer: its weights can become huge.""",
    ),
    "learning_rate": Parameter(
        [POSITIVE, StrOptions({"auto"})],
        '"auto" or float',
        """\
Step length of "adam" and "sgd"; the other solvers find theirs by line search. "auto" is
0.01 for "adam", 0.02 for autoencoders, and for "sgd" half of the best of nine that are
tried on 500 rows. With mini-batches that is the longest step of a fit; `partial_fit`,
whose steps all have one length, takes a tenth of it for "adam".""",
    ),
    "batch_size": Parameter(
        [*AUTO_OR_COUNT, None],
        '"auto", int or None',
        """\
Rows of a mini-batch of "adam" and "sgd"; "auto" is min(200, n_samples), None means all
rows. The mean code ρ̂ is that of the mini-batch; ``loss_`` is J of all rows.""",
    ),
    "momentum": Parameter(
        [Interval(Real, 0, 1, closed="left")],
        "float",
        'Nesterov\'s momentum of "sgd": the share of each step that the next one repeats.',
    ),
    "shuffle": Parameter(
        ["boolean"],
        "bool",
        "Whether mini-batches are drawn in random order; False takes the rows as they come.",
    ),
    "n_init": Parameter(
        [COUNT], "int", "Number of random starts; the fit with the lowest J is kept."
    ),
    "warm_start": Parameter(
        ["boolean"],
        "bool",
        """\
Whether a further `fit` starts from the fitted weights (the other ``n_init - 1``
starts are random).""",
    ),
    "random_state": Parameter(
        ["random_state"],
        "int, RandomState instance or None",
        """\
For the initial weights, samples of the rows and the order of mini-batches. An int
makes the fit reproducible.""",
    ),
    "verbose": Parameter(["verbose"], "int", "Whether to print J after each iteration."),
}

ATTRIBUTES = """\
loss_curve_ : ndarray of shape (n_iter_,)
    J after each iteration (with mini-batches its mean over the epoch).
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
    Number of evaluations of J, of all rows or a mini-batch, in the run that was kept.
converged_ : bool
    Whether the solver met ``tol``: never by mini-batches.
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
.. [7] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015."""


def described(parameters, **parts):
    """Give a class the constraints of its parameters, and fill the gaps of its docstring.

    Parameters
    ----------
    parameters : dict of Parameter
        Those of the class, and others perhaps.
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
    """The entry of a docstring, with the default from the signature."""
    default = signature.default
    shown = f'"{default}"' if isinstance(default, str) else str(default).replace("e-0", "e-")
    head = f"{signature.name} : {parameter.kind}, default={shown}"
    return head + "\n" + indent(parameter.text, "    ")
