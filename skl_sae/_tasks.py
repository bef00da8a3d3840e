"""A fit as a tree of tasks, which scikit-learn's callbacks see.

The root is the fit, and below it are its iterations. With pretraining a task for it comes before
the iterations. With several starts there is a task for each start, between the fit and its
iterations. Without callbacks no function of scikit-learn is called.
"""

from contextlib import contextmanager, nullcontext
from copy import copy

# Attributes of scikit-learn: an estimator's callbacks, and the task of an outer fit.
_SOURCES = ("_skl_callbacks", "_parent_callback_ctx")

# These attributes, and those of a running fit.
_CALLBACK_STATE = (*_SOURCES, "_skl_callbacks_to_teardown", "_callback_fit_ctx")


class NoTask:
    """A task that no callback sees, nor any task below it."""

    def subcontext(self, **options):
        return self

    def call_on_fit_task_begin(self, **data):
        return self

    def call_on_fit_task_end(self, **data):
        return False

    def propagate_callback_context(self, estimator):
        return nullcontext()


class FitTasks:
    """Begins and ends the tasks of one fit. Each task that begins also ends unless the fit raises.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted, whose callbacks are called.
    X, y : object
        The data that the callbacks get, as they were passed to ``fit``.
    sample_weight : array-like or None
        The metadata that the callbacks get.
    """

    def __init__(self, estimator, X, y, sample_weight):
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.data = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.estimator = estimator
        self.path = []  # the running tasks, from the fit down
        self.stopped = False  # whether a callback stopped the last task other than an iteration

    @contextmanager
    def task(self, name, max_subtasks):
        """Run the block as a task below the present one; the first is the fit."""
        if self.path:
            context = self._below(name, max_subtasks)
            attributes = None  # nothing new to predict with at the end of this task
        else:
            context = self._root(name, max_subtasks)
            attributes = {}  # at its end the estimator has all attributes
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
        """Report an iteration that has ended as a task; return whether a callback stops the run.

        ``attributes()`` are the attributes of the estimator as if the fit had stopped now.
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
    """A shallow copy without callbacks, and without the state of a running fit."""
    bare = copy(estimator)
    for name in _CALLBACK_STATE:
        vars(bare).pop(name, None)
    return bare
