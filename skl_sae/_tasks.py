"""A fit as a tree of tasks, which is what scikit-learn's callbacks see.

The root is the fit. Below it are its iterations; with pretraining a task for that before
them, and with several starts a task for each of them in between.
"""

from contextlib import contextmanager
from copy import copy

from .backprop.solvers import Watcher

# Where scikit-learn keeps an estimator's callbacks, and what belongs to a fit that runs.
_CALLBACK_STATE = (
    "_skl_callbacks",
    "_skl_callbacks_to_teardown",
    "_callback_fit_ctx",
    "_parent_callback_ctx",
)


class FitTasks(Watcher):
    """Begins and ends the tasks of one fit, in pairs unless the fit raises.

    A solver that is watched by it has its iterations as tasks.

    Parameters
    ----------
    estimator : estimator
        Is fitted; on its callbacks the hooks are called.
    X, y : object
        What the hooks get as data: that which was given to ``fit``, as it was.
    sample_weight : array-like or None
        What they get as metadata.
    """

    def __init__(self, estimator, X, y, sample_weight):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.estimator = estimator
        self.path = []  # from the fit down to the task that runs
        self.iteration = None
        self.stopped = False  # by a callback, when the last task but iterations ended

    @contextmanager
    def task(self, name, max_subtasks):
        """Run the block as a task below the present one; the first is the fit."""
        if self.path:
            context = self._below(name, max_subtasks)
            attributes = None  # the estimator can't predict yet, or no more than before
        else:
            context = self.estimator._init_callback_context(
                task_name=name, max_subtasks=max_subtasks
            )
            attributes = {}  # all is there at its end
        context.call_on_fit_task_begin(**self.data)
        self.path.append(context)
        yield
        self._end_iteration()  # one that a line search gave up
        self.path.pop()
        self.stopped = context.call_on_fit_task_end(
            **self.data, reconstruction_attributes=attributes
        )

    @contextmanager
    def of(self, estimator, name):
        """Run the block, which fits another estimator, as a task with the same callbacks."""
        context = self._below(name, 0)
        with context.propagate_callback_context(estimator):
            context.call_on_fit_task_begin(**self.data)
            yield
            context.call_on_fit_task_end(**self.data)

    def begin(self):
        """Begin an iteration, unless the last one has not ended."""
        if self.iteration is None:
            self.iteration = self._below("iteration", 0)
            self.iteration.call_on_fit_task_begin(**self.data)

    def end(self, so_far, attributes=None):
        """End it; ``attributes()`` are the estimator's as if the fit had stopped now."""
        return self._end_iteration(attributes)

    def _end_iteration(self, attributes=None):
        context, self.iteration = self.iteration, None
        return context is not None and context.call_on_fit_task_end(
            **self.data, reconstruction_attributes=attributes
        )

    def _below(self, name, max_subtasks):
        return self.path[-1].subcontext(task_name=name, max_subtasks=max_subtasks)


def without_callbacks(estimator):
    """A shallow copy without callbacks, and without what a running fit has hung on it."""
    bare = copy(estimator)
    for name in _CALLBACK_STATE:
        vars(bare).pop(name, None)
    return bare
