"""The skeleton of the estimators: validate, make the objective, train, store, advise."""

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from sklearn import get_config
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ._advice import warn_unless_converged
from ._compat import CallbackSupportMixin
from ._dask import ChunkedRows, Chunks, refuse, validate
from ._equal_rows import merged
from ._tasks import FitTasks, without_callbacks
from ._threads import on_one_blas_thread
from ._training import (
    BATCH_SIZE,
    BY_STEPS,
    ITERATIONS,
    Options,
    can_project,
    epochs,
    minimised,
    pays_to_grow,
    pays_to_project,
    train,
)
from ._validation import is_dask, no_nan, refuse_nan, validate_rows
from ._versioned import VersionedEstimator
from .backprop.activations import STEEPNESS
from .backprop.blocks import over_blocks, propagate
from .backprop.losses import get_loss
from .backprop.network import Network
from .backprop.objective import Objective
from .backprop.rows import Rows
from .backprop.solvers import most_on_samples


class Run:
    """One run from one start, as early stopping and callbacks see it.

    Parameters
    ----------
    estimator : BackpropEstimator
        The estimator that is being fitted.
    objective : Objective
        The objective to minimise.
    targets : Labels, Reals or None
        The targets.
    theta0 : ndarray of shape (n_params,)
        The start.
    validation : Validation or None
        Scores rows that are not fitted. It may stop the run and choose the weights to keep.
    tasks : FitTasks
        The tasks of the fit.
    """

    def __init__(self, estimator, objective, targets, theta0, validation, tasks):
        self.estimator, self.objective, self.targets = estimator, objective, targets
        self.validation, self.tasks = validation, tasks
        self.start = estimator._describe_start(objective, targets, theta0)
        self.called_off = False  # by a callback: then there is no advice on a useless fit

    def __call__(self, so_far):
        """Whether early stopping or a callback stops the run after this iteration."""
        stop = self.validation is not None and self.validation(so_far)
        self.called_off = self.tasks.iteration(lambda: self._attributes(so_far))
        return self.called_off or stop

    def keep(self, result):
        """Return the result to keep, and set ``score``, by which runs are compared."""
        if self.validation is None:
            self.score = -result.value
            return result
        result = self.validation.keep(result, self.objective)
        self.score = self.validation.best_score if self.validation.chooses else -result.value
        return result

    def store(self, estimator, result):
        """Set the fitted attributes."""
        estimator._store(self.objective, result, self.targets)
        set_attributes(estimator, self.start)
        if self.validation is not None:
            set_attributes(estimator, self.validation.attributes)

    def _attributes(self, so_far):
        """The attributes of the estimator as if the fit had stopped now."""
        fitted = without_callbacks(self.estimator)
        on_sample = min(so_far.shares[-1:], default=1) < 1
        if on_sample or self.estimator._by_batches():  # J of some of the rows
            so_far = so_far._replace(value=self.objective.value(so_far.theta))
        self.store(fitted, self.keep(so_far))
        return vars(fitted)


class BackpropEstimator(CallbackSupportMixin, VersionedEstimator):
    """Base class of `SparseAutoencoder` and `MLPBackprop`.

    A subclass provides ``_prepare(X, y, sample_weight, reset)``, which validates the data and
    returns the `Objective` and the targets. It calls `_fit` or `_partial_fit`. It also provides
    ``_activations``, the fitted activations of the hidden layers and of the output.
    """

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coefs_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _takes_steps(self):
        if self.solver not in BY_STEPS:
            raise AttributeError(
                f"partial_fit needs solver='adam' or 'sgd'; with solver={self.solver!r} use "
                "fit, or warm_start=True and fit again."
            )
        return True

    def _by_batches(self):
        """Whether steps are on mini-batches; the other solvers ignore ``batch_size``."""
        return self.solver in BY_STEPS and self.batch_size is not None

    # -- validate -----------------------------------------------------------------------

    def _validate_input(self, X, **options):
        """X, or X and y, as float64 or float32, dense or CSR, or in chunks of dask."""
        if is_dask(X):
            return validate(self, X, **options)
        return validate_rows(self, X, accept_sparse="csr", **options)

    def _merge(self, X, Y, sample_weight):
        """Merge equal rows, unless rows are drawn or split at random; scale weights to at most 1.

        Rows in chunks are left unchanged.
        """
        if isinstance(X, Chunks):
            return X, Y, sample_weight
        if not (self._by_batches() or getattr(self, "early_stopping", False)):
            X, Y, sample_weight = merged(X, Y, sample_weight)
        if sample_weight is not None:
            sample_weight = sample_weight / sample_weight.max()
        return X, Y, sample_weight

    def _make_objective(self, network, X, Y, sample_weight, loss, output_activation, lam):
        self._refuse_pairs(network.activation)
        get_loss(loss, output_activation)  # raises if there is no such pair
        self._check_size(network.n_params)
        objective = Objective(
            network,
            self._rows(X, Y, sample_weight),
            loss,
            output_activation,
            lam=lam,
            beta=self.beta,
            rho=self.rho,
        )
        if self.variable_projection is True and not (
            self.solver == "lbfgs" and can_project(objective)
        ):
            raise ValueError(
                "variable_projection=True needs solver='lbfgs', squared error, an output "
                "activation 'identity', a hidden layer and no tied weights; set it to 'auto'."
            )
        return objective

    def _rows(self, X, Y, sample_weight):
        """The rows of the fit, which may be dask chunks."""
        if isinstance(X, Chunks):
            refuse(self)
            return ChunkedRows(X, Y, sample_weight)
        if sample_weight is not None:
            sample_weight = sample_weight.astype(X.dtype)
        return Rows(X, Y, sample_weight, memory=2**20 * get_config()["working_memory"])

    def _refuse_pairs(self, activation):
        """Refuse parameters that contradict each other."""
        if self.beta > 0 and activation not in STEEPNESS:
            raise ValueError(
                f"beta={self.beta} means a sparse code, which needs "
                f"activation={' or '.join(map(repr, STEEPNESS))}, not {activation!r}; "
                "set beta=0 or change the activation, with warm_start=False if the fit goes on."
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

    def _check_size(self, n):
        """Refuse networks too large for any memory, or for the 32-bit sizes in SciPy."""
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

    # -- train --------------------------------------------------------------------------

    def _fit(self, objective, targets, X, y, sample_weight, validation=lambda: None):
        """Minimise from every start and store the best run; callbacks see X and y."""
        tasks = FitTasks(self, X, y, sample_weight)
        n_subtasks = self._n_subtasks(objective) if self.n_init == 1 else self.n_init

        def best_run(n_threads):
            shared = objective.on(replace(objective.rows, n_threads=n_threads))
            rng = check_random_state(self.random_state)
            with self._no_overflow(shared):
                run, result = train(
                    shared,
                    self._starts(shared, rng, tasks),
                    rng,
                    self._options(shared),
                    lambda theta0: Run(self, shared, targets, theta0, validation(), tasks),
                )
            return shared, run, result

        with tasks.task("fit", n_subtasks):
            objective, run, result = on_one_blas_thread(best_run)
            run.store(self, result)
        if run.called_off or not self._warn_if_useless(objective, result):
            warn_unless_converged(self, result)

    def _options(self, objective):
        """The options of the minimiser, with "auto" resolved for this objective."""
        return Options(
            solver=self.solver,
            max_iter=self._max_iter(objective.rows.n_rows),
            tol=self.tol,
            patience=self.n_iter_no_change,
            history_size=int(self.history_size),  # SciPy computes sizes from it
            learning_rate=None if self.learning_rate == "auto" else self.learning_rate,
            momentum=self.momentum,
            batch_size=self._batch_size(objective.rows.n_rows),
            shuffle=self.shuffle,
            grows=self.solver == "lbfgs" and self._grows(objective),
            projects=self.solver == "lbfgs" and self._projects(objective),
            name=type(self).__name__ if self.verbose else None,
        )

    def _max_iter(self, n_rows):
        """The largest number of iterations, or with mini-batches of epochs."""
        if self.max_iter != "auto":
            return int(self.max_iter)
        size = self._batch_size(n_rows)
        return ITERATIONS if size is None else epochs(n_rows, size)

    def _batch_size(self, n_rows):
        """Rows of a mini-batch; None if steps are on all rows."""
        if not self._by_batches():
            return None
        return min(n_rows, BATCH_SIZE if self.batch_size == "auto" else int(self.batch_size))

    def _grows(self, objective):
        """Whether this fit begins on samples of the rows."""
        if self.growing_samples != "auto":
            return self.growing_samples
        goes_on = self.warm_start and self.__sklearn_is_fitted__()
        pretrained = getattr(self, "pretraining", None) is not None
        stops_early = getattr(self, "early_stopping", False)
        return pays_to_grow(objective) and not (goes_on or stops_early or pretrained)

    def _projects(self, objective):
        """Whether the output layer is solved exactly, and L-BFGS runs on the other layers."""
        asked = self.variable_projection
        return can_project(objective) and (
            pays_to_project(objective) if asked == "auto" else asked
        )

    def _n_subtasks(self, objective):
        """The largest number of tasks of a run: iterations, including those on samples."""
        options = self._options(objective)
        return options.max_iter + (most_on_samples() if options.grows else 0)

    @contextmanager
    def _no_overflow(self, objective):
        """Raise an error with a remedy if the objective is not finite."""
        try:
            yield
        except FloatingPointError as error:
            refuse_nan_rows(objective.rows)
            raise ValueError(
                f"{type(self).__name__} can't be fitted: {error}. Scale the data, for "
                "example with StandardScaler or MinMaxScaler. Decrease lam or beta if it is "
                "huge. With solver='adam' or 'sgd' a smaller learning_rate can help too."
            ) from None

    def _starts(self, objective, rng, tasks):
        """The ``n_init`` starts, each a task; with ``warm_start`` the first has fitted weights."""
        several = self.n_init > 1
        for number in range(self.n_init):
            goes_on = number == 0 and self.warm_start and self.__sklearn_is_fitted__()
            task = tasks.task("start", self._n_subtasks(objective)) if several else nullcontext()
            with task:
                if goes_on:
                    yield self._theta(objective)
                else:
                    yield self._start(objective, rng, tasks)
            if several and tasks.stopped:
                break

    def _start(self, objective, rng, tasks):
        """Random weights, and biases from the data."""
        return objective.start(rng)

    def _describe_start(self, objective, targets, theta0):
        """Fitted attributes that describe the start; None means that one does not exist."""
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
                f"need {objective.network.shapes}: keep the layer sizes to start from the "
                "fitted weights, or fit anew with warm_start=False."
            )
        return objective.network.pack(self.coefs_, self.intercepts_)

    def _partial_fit(self, objective, targets):
        """One step, or one epoch of mini-batches, from the present weights."""
        fitted = self.__sklearn_is_fitted__()
        seed = self.random_state
        if isinstance(seed, Integral) and fitted:  # another order of the rows in each call
            seed = (seed + self.n_iter_) % 2**32
        rng = check_random_state(seed)
        theta = self._theta(objective) if fitted else objective.start(rng)
        curve = list(self.loss_curve_) if fitted else []
        evaluations = self.n_evaluations_ if fitted else 0
        with self._no_overflow(objective):
            options = self._options(objective)._replace(max_iter=1, anneal=False)
            options = options._replace(**self._remembered())
            result = minimised(objective, theta, rng, options)
        if result.status == "failed" and not self._by_batches():
            warn_unless_converged(self, result)
        result = result._replace(
            loss_curve=curve + result.loss_curve,
            n_evaluations=evaluations + result.n_evaluations,
        )
        self._store(objective, result, targets)
        self._memory = self.solver, result.learning_rate, result.memory

    def _remembered(self):
        """The state that `partial_fit` continues from, besides the weights."""
        solver, rate, memory = getattr(self, "_memory", (None, None, None))
        if solver != self.solver:
            return {}
        found = {"learning_rate": rate} if self.learning_rate == "auto" else {}
        return {"memory": memory} | found

    # -- store --------------------------------------------------------------------------

    def _store(self, objective, result, targets):
        """Set the fitted attributes. Only this method and its overrides do so."""
        dtype = objective.rows.dtype
        coefs, intercepts = objective.network.unpack(result.theta)
        self.coefs_ = [W.astype(dtype) for W in coefs]
        self.intercepts_ = [b.astype(dtype) for b in intercepts]
        self.activation_ = objective.network.activation
        # the diagnostics use these: parameters changed after a fit count from the next fit on
        self._beta, self._rho = objective.beta, objective.rho
        self.loss_ = result.value
        self.loss_curve_ = np.array(result.loss_curve)
        self.n_iter_ = len(result.loss_curve)
        self.n_evaluations_ = int(result.n_evaluations)
        self.converged_ = result.status == "converged"
        set_attributes(self, {"learning_rate_": result.learning_rate, "_memory": None})
        self.stage_lengths_ = np.array(result.stages or [self.n_iter_])
        self.stage_shares_ = np.array(result.shares or [1.0])

    # -- apply --------------------------------------------------------------------------

    def _check_input(self, X):
        check_is_fitted(self)
        return validate_rows(self, X, accept_sparse="csr", reset=False)

    def _propagate(self, X, layers, output_activation):
        """The output of some consecutive layers for every row of X."""
        network = self._layers(X.dtype, layers)
        return no_nan(on_one_blas_thread(partial(propagate, X, *network, output_activation)), X)

    def _over_blocks(self, use, X, layers, output_activation):
        """``use(rows, block, output)`` for every block: see `blocks.over_blocks`."""
        network = self._layers(X.dtype, layers)
        on_one_blas_thread(partial(over_blocks, use, X, *network, output_activation))

    def _layers(self, dtype, layers):
        coefs = [W.astype(dtype, copy=False) for W in self.coefs_[layers]]
        intercepts = [b.astype(dtype, copy=False) for b in self.intercepts_[layers]]
        sizes = (coefs[0].shape[0], *(len(b) for b in intercepts))
        return Network(sizes, self.activation_), coefs, intercepts


def set_attributes(estimator, values):
    """Set attributes, and remove those that are None."""
    for name, value in values.items():
        vars(estimator).pop(name, None)
        if value is not None:
            setattr(estimator, name, value)


def refuse_nan_rows(rows):
    """Refuse NaN in data that ``assume_finite=True`` left unchecked."""
    for values, name in ((rows.X, "X"), (rows.Y, "y")):
        if isinstance(values, Chunks):
            values = np.array([values.range()])
        if values is not None:
            refuse_nan(values, name)
