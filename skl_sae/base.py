"""The fit that all estimators share: validate, initialise, minimise, warn, store."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial, wraps
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from ._advice import warn_unless_converged
from ._compat import CallbackSupportMixin, Interval, StrOptions, check_sample_weight
from ._dask import ChunkedObjective, ChunkedRows, refuse, validate
from ._equal_rows import merged
from ._estimator import (
    Estimator,
    check_weight_range,
    is_dask,
    refuse_dates,
    refuse_nan,
)
from ._tasks import FitTasks, without_callbacks
from ._threads import blas_on_one_thread
from .backprop.activations import ACTIVATIONS, STEEPNESS
from .backprop.blocks import over_blocks, propagate
from .backprop.gradient_check import compare_gradient
from .backprop.losses import get_loss
from .backprop.network import Network
from .backprop.objective import Objective
from .backprop.solvers import SHARES, SOLVERS, Watcher, minimise, most_on_samples

# Relative rounding error of the objective where the rows are computed in single or double
# precision; their sum is always in double.
ROUNDING = {4: 5e-10, 8: 2.2e-16}

# Rows from which growing_samples="auto" grows them.
GROW_FROM = 20_000


def all_or_nothing(fit):
    """Let a method give the estimator its attributes back if it raises, whatever the reason."""

    @wraps(fit)
    def safe_fit(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return safe_fit


class Monitor:
    """Callback of one run: it watches nothing, and the best run has the lowest objective."""

    def __call__(self, so_far):
        """Whether to stop."""
        return False

    def keep_best(self, result, objective):
        """The result to keep of this run; sets ``best_score``, by which runs are compared."""
        self.best_score = -result.value
        return result

    def store(self, estimator):
        """Set the fitted attributes that this monitor knows."""


class Run(Watcher):
    """One run from one start, whose iterations callbacks see.

    Parameters
    ----------
    estimator : BackpropEstimator
        Is fitted.
    objective : Objective
        What is minimised.
    theta0 : ndarray of shape (n_params,)
        The start.
    monitor : Monitor
        Watches the run.
    tasks : FitTasks
        Those of the fit.
    """

    def __init__(self, estimator, objective, theta0, monitor, tasks):
        self.estimator, self.objective, self.monitor = estimator, objective, monitor
        self.theta0, self.tasks, self.begin = theta0, tasks, tasks.begin
        self.start = estimator._describe_start(objective, theta0)
        self.called_off = False  # by a callback: then nobody asks whether the fit is of use

    def end(self, so_far):
        """Whether the monitor or a callback stops."""
        stop = self.monitor(so_far)
        self.called_off = self.tasks.end(so_far, lambda: self._attributes(so_far))
        return self.called_off or stop

    def _attributes(self, so_far):
        """Those of the estimator as if the fit had stopped now."""
        fitted = without_callbacks(self.estimator)
        on_sample = min(so_far.shares[-1:], default=1) < 1
        if on_sample or self.estimator._by_batches():  # so far of a part of the rows
            so_far = so_far._replace(value=self.objective(so_far.theta)[0])
        self.store(fitted, self.monitor.keep_best(so_far, self.objective))
        return vars(fitted)

    def store(self, estimator, result):
        """Set the fitted attributes; of the start those that are not None."""
        for name, value in self.start.items():
            vars(estimator).pop(name, None)
            if value is not None:
                setattr(estimator, name, value)
        estimator._store(self.objective, result)
        self.monitor.store(estimator)


class Printer(Watcher):
    """Prints the objective after each iteration."""

    def __init__(self, name, watcher):
        self.name, self.watcher, self.begin = name, watcher, watcher.begin

    def end(self, so_far):
        """Print, and stop where the watcher does."""
        n_iter = len(so_far.loss_curve)
        print(f"[{self.name}] iteration {n_iter:4d}  objective {so_far.value:.8g}")
        return self.watcher.end(so_far)


class BackpropEstimator(CallbackSupportMixin, Estimator):
    """What `SparseAutoencoder` and `MLPBackprop` have in common.

    A subclass provides ``_prepare(X, y, sample_weight, reset)``, which validates the
    data and returns the `Objective`, and calls `_fit` or `_partial_fit`; and ``_activations``,
    the fitted ones of the hidden layers and of the output.
    """

    _parameter_constraints = {
        "lam": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "rho": [Interval(Real, 0, 1, closed="neither")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions(set(SOLVERS))],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "history_size": [Interval(Integral, 1, None, closed="left")],
        "growing_samples": ["boolean", StrOptions({"auto"})],
        "variable_projection": ["boolean", StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _uses_sgd(self):
        if self.solver != "sgd":
            raise AttributeError(
                f"partial_fit needs solver='sgd'; with solver={self.solver!r} use "
                "fit, or warm_start=True and fit again."
            )
        return True

    def _by_batches(self):
        """Whether steps are of mini-batches: the other solvers take no notice of their size."""
        return self.solver == "sgd" and self.batch_size is not None

    # -- validate -----------------------------------------------------------------------

    def _validate_input(self, X, **options):
        """X, or X and y, as float64 or float32, dense or CSR, or in chunks of dask."""
        if is_dask(X):
            return validate(self, X, **options)
        return self._validate_rows(X, accept_sparse="csr", **options)

    def _merge(self, X, Y, sample_weight):
        """Equal rows as one, unless rows are in chunks, or drawn or split at random."""
        at_random = self._by_batches() or getattr(self, "early_stopping", False)
        if at_random or isinstance(X, ChunkedRows):
            return X, Y, sample_weight
        return merged(X, Y, sample_weight)

    def _lams(self, network):
        """The weight decay, or that of each layer."""
        return self.lam

    def _make_objective(self, network, X, Y, sample_weight, loss, output_activation):
        if self.beta > 0 and self.activation not in STEEPNESS:
            raise ValueError(
                f"beta={self.beta} asks for a sparse code, which needs "
                f"activation={' or '.join(map(repr, STEEPNESS))}, not {self.activation!r}; "
                "set beta=0 or change the activation."
            )
        if self.growing_samples is True and self.solver != "lbfgs":
            raise ValueError(
                f"growing_samples=True needs solver='lbfgs', not {self.solver!r}; set it to "
                "'auto' or False."
            )
        if self.growing_samples is True and getattr(self, "early_stopping", False):
            raise ValueError(
                "growing_samples=True does not go with early_stopping=True, whose score would end "
                "the fit on a sample: set one of them to False."
            )
        get_loss(loss, output_activation)
        self._check_size(network.n_params)
        in_chunks = isinstance(X, ChunkedRows)
        if in_chunks:
            refuse(self)
        elif sample_weight is not None:
            sample_weight = (sample_weight / sample_weight.max()).astype(X.dtype)
        objective = (ChunkedObjective if in_chunks else Objective)(
            network=network,
            X=X,
            Y=Y,
            sample_weight=sample_weight,
            loss=loss,
            output_activation=output_activation,
            lam=self._lams(network),
            beta=self.beta,
            rho=self.rho,
            memory=2**20 * get_config()["working_memory"],
        )
        if self.variable_projection is True and not (
            self.solver == "lbfgs" and _can_project(objective)
        ):
            raise ValueError(
                "variable_projection=True needs solver='lbfgs', squared error, an output "
                "activation 'identity', a hidden layer and no tied weights; set it to 'auto'."
            )
        return objective

    def _check_size(self, n):
        """Refuse what no computer holds, and what SciPy counts in integers of 32 bits."""
        if n >= 2**44:
            raise ValueError(
                "The network would have more weights than a memory has addresses: choose fewer "
                "units (n_components or hidden_layer_sizes)."
            )
        m = int(self.history_size)
        if self.solver == "lbfgs" and 2 * m * n + 5 * n + 11 * m**2 + 8 * m >= 2**31:
            raise ValueError(
                f"history_size={m} is too large for SciPy's L-BFGS with {n} weights: decrease it, "
                "choose fewer units, or set solver='cg'."
            )

    # -- initialise and minimise --------------------------------------------------------

    def _fit(self, objective, X, y, sample_weight, make_monitor=Monitor):
        """Minimise from every start and store the best run; callbacks see X and y."""
        tasks = FitTasks(self, X, y, sample_weight)
        n_subtasks = self._n_subtasks(objective) if self.n_init == 1 else self.n_init
        with tasks.task("fit", n_subtasks), blas_on_one_thread() as n_threads:
            objective = replace(objective, n_threads=n_threads)
            run, result = self._best_run(objective, make_monitor, tasks)
            run.store(self, result)
        if run.called_off or not self._warn_if_useless(objective, result):
            warn_unless_converged(self, result)

    def _n_subtasks(self, objective):
        """The largest number of tasks of a run: iterations, those on samples besides."""
        on_samples = self.solver == "lbfgs" and self._grows(objective)
        return self.max_iter + (most_on_samples() if on_samples else 0)

    def _best_run(self, objective, make_monitor, tasks):
        rng = check_random_state(self.random_state)
        runs = []
        for start in self._starts(objective, rng, tasks):
            several = self.n_init > 1
            with tasks.task("start", self._n_subtasks(objective)) if several else nullcontext():
                run = Run(self, objective, start(), make_monitor(), tasks)
                result = self._minimise(objective, run.theta0, rng, self.max_iter, run)
                if result.status == "failed" and self._by_batches():
                    result = _start_of(result, objective, run.theta0)
            runs.append((run, run.monitor.keep_best(result, objective)))
            if several and tasks.stopped:
                break
        return max(runs, key=lambda pair: pair[0].monitor.best_score)

    def _partial_fit(self, objective):
        """One step, or one epoch of mini-batches, from the present weights."""
        fitted = self.__sklearn_is_fitted__()
        seed = self.random_state
        if isinstance(seed, Integral) and fitted:  # another order of the rows in each call
            seed = (seed + self.n_iter_) % 2**32
        rng = check_random_state(seed)
        theta = self._theta(objective) if fitted else objective.start(rng)
        curve = list(self.loss_curve_) if fitted else []
        evaluations = self.n_evaluations_ if fitted else 0
        result = self._minimise(objective, theta, rng, 1)
        if result.status == "failed" and not self._by_batches():
            warn_unless_converged(self, result)
        result = result._replace(
            loss_curve=curve + result.loss_curve,
            n_evaluations=evaluations + result.n_evaluations,
        )
        self._store(objective, result)

    def _starts(self, objective, rng, tasks):
        """Makers of the ``n_init`` starts; with ``warm_start`` the first is the present fit."""
        n_random = self.n_init
        if self.warm_start and self.__sklearn_is_fitted__():
            yield partial(self._theta, objective)
            n_random -= 1
        for _ in range(n_random):
            yield partial(self._start, objective, rng, tasks)

    def _start(self, objective, rng, tasks):
        """Random weights, and biases from the data."""
        return objective.start(rng)

    def _describe_start(self, objective, theta0):
        """Fitted attributes that tell of the start, None for those that are not there."""
        return {}

    def _theta(self, objective):
        """The fitted weights as a start for this objective."""
        asked = objective.network.activation, objective.output_activation
        if asked != self._activations:
            raise ValueError(
                "The fit goes on with the activations {!r} of the hidden layers and {!r} of the "
                "output, not {!r} and {!r}: keep them, or fit anew with warm_start=False.".format(
                    *self._activations, *asked
                )
            )
        fitted = [W.shape for W in self.coefs_]
        if fitted != objective.network.shapes:
            raise ValueError(
                f"The fitted weights have shapes {fitted}, but the parameters and data "
                f"ask for {objective.network.shapes}; to go on from the fitted weights "
                "keep the layer sizes, or fit anew with warm_start=False."
            )
        return objective.network.pack(self.coefs_, self.intercepts_)

    def _minimise(self, objective, theta0, rng, max_iter, watcher=None):
        options = {"max_iter": int(max_iter), "tol": self.tol, "patience": self.n_iter_no_change}
        options["baseline"] = objective.baseline
        if self.solver != "sgd":
            options["unit"] = objective.unit
        if self.solver == "lbfgs":
            options["history_size"] = int(self.history_size)  # SciPy computes sizes from it
            options["eps"] = ROUNDING[objective.X.dtype.itemsize]
            options["stages"] = self._stages(objective, rng)
        elif self.solver == "sgd":
            options["learning_rate"] = self.learning_rate
            if self._by_batches():
                options["batches"] = lambda: _batches(objective, int(self.batch_size), rng)
        try:
            watcher = self._watcher(watcher or Watcher())
            return minimise(objective, theta0, solver=self.solver, watcher=watcher, **options)
        except FloatingPointError as error:
            _refuse_nan(objective)
            raise ValueError(
                f"{type(self).__name__} can't be fitted: {error}. Scale the data, for "
                "example with StandardScaler or MinMaxScaler; decrease lam or beta if it is "
                "huge; with solver='sgd' a smaller learning_rate can help too."
            ) from None

    def _stages(self, objective, rng):
        """What "lbfgs" runs on before it runs on the objective itself."""
        first = replace(objective, variable_projection=self._projects(objective))
        if self._grows(objective):
            yield from first.samples(SHARES, rng)
        if first.variable_projection:
            yield 1, first

    def _grows(self, objective):
        """Whether this fit begins on samples of the rows."""
        if self.growing_samples != "auto":
            return self.growing_samples
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        pretrained = getattr(self, "pretraining", None) is not None
        stops_early = getattr(self, "early_stopping", False)
        is_deep = len(objective.network.sizes) > 2  # else a start is as good as another
        return (
            is_deep
            and objective.n_rows >= GROW_FROM
            and not (goes_on or stops_early or pretrained)
        )

    def _projects(self, objective):
        """Whether the output layer is solved exactly, and L-BFGS runs on the others."""
        if self.variable_projection != "auto":
            return self.variable_projection
        return _can_project(objective) and _pays_to_project(objective)

    def _watcher(self, watcher):
        """The watcher itself, or one that prints what it sees."""
        return Printer(type(self).__name__, watcher) if self.verbose else watcher

    # -- store --------------------------------------------------------------------------

    def _store(self, objective, result):
        dtype = objective.X.dtype
        coefs, intercepts = objective.network.unpack(result.theta)
        self.coefs_ = [W.astype(dtype) for W in coefs]
        self.intercepts_ = [b.astype(dtype) for b in intercepts]
        self.activation_ = objective.network.activation
        # the diagnostics' own, so that parameters changed after the fit wait for the next
        self._beta, self._rho = objective.beta, objective.rho
        self.loss_ = result.value
        self.loss_curve_ = np.array(result.loss_curve)
        self.n_iter_ = len(result.loss_curve)
        self.n_evaluations_ = int(result.n_evaluations)
        self.converged_ = result.status == "converged"
        self.stage_lengths_ = np.array(result.stages or [self.n_iter_])
        self.stage_shares_ = np.array(result.shares or [1.0])

    # -- apply --------------------------------------------------------------------------

    def _check_input(self, X):
        check_is_fitted(self)
        return self._validate_rows(X, accept_sparse="csr", reset=False)

    def _propagate(self, X, layers, output_activation):
        """The output of some consecutive layers for every row of X."""
        with blas_on_one_thread() as n_threads:
            network = self._layers(X.dtype, layers)
            return no_nan(propagate(X, *network, output_activation, n_threads), X)

    def _over_blocks(self, use, X, layers, output_activation):
        """``use(rows, block, output)`` for every block: see `blocks.over_blocks`."""
        with blas_on_one_thread() as n_threads:
            network = self._layers(X.dtype, layers)
            over_blocks(use, X, *network, output_activation, n_threads)

    def _layers(self, dtype, layers):
        coefs = [W.astype(dtype, copy=False) for W in self.coefs_[layers]]
        intercepts = [b.astype(dtype, copy=False) for b in self.intercepts_[layers]]
        sizes = (coefs[0].shape[0], *(len(b) for b in intercepts))
        return Network(sizes, self.activation_), coefs, intercepts


def no_nan(output, X=None):
    """The output itself, unless infinite terms of it have cancelled, or X held NaN."""
    if np.isnan(output.min()):
        if X is not None:
            refuse_nan(X)
        raise ValueError("X is so large that the output of the network overflows: scale X.")
    return output


def _refuse_nan(objective):
    """Refuse data that only ``assume_finite=True`` has let pass."""
    for rows, name in ((objective.X, "X"), (objective.Y, "y")):
        if isinstance(rows, ChunkedRows):
            rows = np.array([rows.range()])
        if rows is not None:
            refuse_nan(rows, name)


def _can_project(objective):
    """Whether the objective is quadratic in an output layer of its own."""
    network = objective.network
    is_linear = (objective.loss, objective.output_activation) == ("squared_error", "identity")
    return is_linear and len(network.sizes) > 2 and not network.tied


def _pays_to_project(objective):
    """Whether the system for the output layer is determined, and cheap beside the products."""
    if objective.output_lam <= 50 * np.finfo(objective.X.dtype).eps:
        return False
    network = objective.network
    n_units = network.sizes[-2]
    return n_units <= objective.n_rows and n_units**2 <= 4 * network.n_weights


def _batches(objective, batch_size, rng):
    """The objectives of one epoch: mini-batches of the rows in random order."""
    order = objective.shuffled_rows(rng)
    for start in range(0, len(order), batch_size):
        yield objective.rows(order[start : start + batch_size])


def _start_of(result, objective, theta0):
    """The start in place of a result that is worse."""
    value, _ = objective(theta0)
    return result._replace(theta=theta0, value=value, n_evaluations=result.n_evaluations + 1)


def exact_weights(sample_weight, X):
    """Weights of the rows in float64, times a power of two so that sums are exact; or None.

    Raises
    ------
    ValueError
        A weight is negative or not finite, all are zero, or their number is wrong.
    """
    if isinstance(X, ChunkedRows):
        return X.weights(sample_weight)
    if sample_weight is None:
        return None
    refuse_dates(sample_weight, "sample_weight")
    rows = np.empty((X.shape[0], 0))  # their number is what counts
    weights = check_sample_weight(sample_weight, rows, dtype=np.float64)
    largest = weights.max()
    check_weight_range(weights.min(), largest)
    return np.ldexp(weights, -np.frexp(largest)[1])


def check_weights(sample_weight, X):
    """Weights of the rows with largest weight one, in the dtype of X: see `exact_weights`."""
    weights = exact_weights(sample_weight, X)
    if weights is None or isinstance(X, ChunkedRows):
        return weights
    return (weights / weights.max()).astype(X.dtype)


def check_gradient(
    estimator,
    X,
    y=None,
    *,
    sample_weight=None,
    epsilon=1e-4,
    max_params=1000,
    n_directions=10,
    random_state=0,
):
    """Compare the gradient of an estimator's objective with central differences.

    This is the tutorial's gradient checking (UFLDL, "Gradient checking and advanced
    optimization"), for the objective that ``estimator.fit(X, y)`` would minimise, in
    float64, at a random start. A correct gradient has relative errors around 1e-9; with
    relu, whose derivative jumps, single parameters can be off.

    Parameters
    ----------
    estimator : SparseAutoencoder or MLPBackprop
        Its parameters define the objective. It is neither fitted nor changed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        A few rows are enough.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Targets, for `MLPBackprop`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.
    epsilon : float, default=1e-4
        Half the distance of the two points of a central difference.
    max_params : int, default=1000
        Larger networks have so many parameters tried one by one, drawn at random.
    n_directions : int, default=10
        Random directions tried besides; each one covers all parameters.
    random_state : int, RandomState instance or None, default=0
        For the start, the drawn parameters and the directions.

    Returns
    -------
    GradientCheck
        With ``max_relative_error``, ``where`` and more; printing it shows them.

    Raises
    ------
    TypeError
        The estimator is none of this package.
    ValueError
        Bad data or parameters, or data so large that the objective overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from skl_sae import SparseAutoencoder, check_gradient
    >>> X = np.random.default_rng(0).uniform(size=(20, 5))
    >>> check = check_gradient(SparseAutoencoder(n_components=3), X)
    >>> check.max_relative_error < 1e-7
    True
    """
    if not isinstance(estimator, BackpropEstimator):
        raise TypeError(
            "check_gradient takes a SparseAutoencoder or an MLPBackprop, not a "
            f"{type(estimator).__name__}; of a Pipeline take the last step and transformed data."
        )
    whole = Interval(Integral, 0, None, closed="left")
    counts = max_params, n_directions
    if not (
        Interval(Real, 0, None, closed="neither").is_satisfied_by(epsilon)
        and all(map(whole.is_satisfied_by, counts))
        and any(counts)
    ):
        raise ValueError(
            "check_gradient needs epsilon > 0 and some parameters or directions to try, not "
            f"epsilon={epsilon!r}, max_params={max_params!r}, n_directions={n_directions!r}."
        )
    rng = check_random_state(random_state)
    estimator = clone(estimator)
    estimator._validate_params()
    refuse_dates(X)
    X = check_array(X, accept_sparse="csr", dtype=np.float64)
    objective = estimator._prepare(X, y, sample_weight)
    network = objective.network
    n_params = network.n_params
    n_tried = min(max_params, n_params)
    # biases that are not zero show a mistake in their gradient that zero would hide
    theta = network.initialise(rng) + rng.uniform(-0.1, 0.1, size=n_params)
    if not np.isfinite(objective(theta)[0]):
        _refuse_nan(objective)
        raise ValueError("The objective overflows: scale the data, for example by StandardScaler.")
    with blas_on_one_thread():
        return compare_gradient(
            objective,
            theta,
            entries=np.sort(rng.choice(n_params, n_tried, replace=False)),
            directions=rng.normal(size=(n_directions, n_params)),
            name_of=network.name_of,
            epsilon=epsilon,
        )
