"""A fit as a tree of tasks, which is what scikit-learn's callbacks see.

The root is the fit. Below it are its iterations; with pretraining a task for that before
them, and with several starts a task for each of them in between. Without callbacks nothing of
scikit-learn's is called.
"""

from contextlib import contextmanager, nullcontext
from copy import copy

# Where scikit-learn keeps an estimator's callbacks, and the task that another one fits it in.
_SOURCES = ("_skl_callbacks", "_parent_callback_ctx")

# These, and what belongs to a fit that runs.
_CALLBACK_STATE = (*_SOURCES, "_skl_callbacks_to_teardown", "_callback_fit_ctx")


class NoTask:
    """A task that no callback sees, and each one below it."""

    def subcontext(self, **options):
        return self

    def call_on_fit_task_begin(self, **data):
        return self

    def call_on_fit_task_end(self, **data):
        return False

    def propagate_callback_context(self, estimator):
        return nullcontext()


class FitTasks:
    """Begins and ends the tasks of one fit, in pairs unless the fit raises.

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
        self.stopped = False  # by a callback, when the last task but iterations ended

    @contextmanager
    def task(self, name, max_subtasks):
        """Run the block as a task below the present one; the first is the fit."""
        if self.path:
            context = self._below(name, max_subtasks)
            attributes = None  # the estimator can't predict yet, or no more than before
        else:
            context = self._root(name, max_subtasks)
            attributes = {}  # all is there at its end
        context.call_on_fit_task_begin(**self.data)
        self.path.append(context)
        yield
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

    def iteration(self, attributes=None):
        """An iteration that has ended, as a task; whether a callback stops the run.

        ``attributes()`` are the estimator's as if the fit had stopped now.
        """
        task = self._below("iteration", 0)
        task.call_on_fit_task_begin(**self.data)
        return task.call_on_fit_task_end(**self.data, reconstruction_attributes=attributes)

    def _root(self, name, max_subtasks):
        if not any(hasattr(self.estimator, place) for place in _SOURCES):
            return NoTask()
        return self.estimator._init_callback_context(task_name=name, max_subtasks=max_subtasks)

    def _below(self, name, max_subtasks):
        return self.path[-1].subcontext(task_name=name, max_subtasks=max_subtasks)


def without_callbacks(estimator):
    """A shallow copy without callbacks, and without what a running fit has hung on it."""
    bare = copy(estimator)
    for name in _CALLBACK_STATE:
        vars(bare).pop(name, None)
    return bare
