"""Holding BLAS to one thread while our own threads call it; safe with interrupts and forks."""

import os
import warnings
from contextlib import nullcontext
from contextvars import ContextVar, copy_context
from functools import cache
from threading import RLock, get_ident

from threadpoolctl import ThreadpoolController

# Whether other tasks share the rows already: then a fit or a prediction uses one thread.
_ALONE = ContextVar("alone", default=False)


@cache
def _libraries():
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _set_limits(limits):
    """Give each library its number of threads.

    In newer threadpoolctl only the first thread that sets a limit can set more; limits from other
    threads are silently ignored. It also has a lock that an interrupt can leave locked. So this
    calls the function behind it, if there is one.
    """
    for library, limit in zip(_libraries(), limits, strict=True):
        getattr(library, "_real_set_num_threads", library.set_num_threads)(limit)


class _Hold:
    """The present holders of BLAS, and the number of threads of each library before.

    Attributes
    ----------
    holders : dict
        The thread of each holder. A holder that is no longer in it has given BLAS back.
    allowed : list of int or None
        Threads of each library before. None while there is no holder, unless an interrupt kept
        the limits from being restored.
    """

    def __init__(self):
        self.lock, self.holders, self.allowed = RLock(), {}, None

    def take(self, holder):
        """Limit BLAS, and return the number of threads it was allowed."""

        def limit():
            if not self.holders:
                if self.allowed is None:
                    self.allowed = [library.num_threads for library in _libraries()]
                _set_limits([1] * len(self.allowed))
            self.holders[holder] = get_ident()
            return max(self.allowed, default=1)

        return self._alone(limit)

    def restore(self):
        """Give BLAS its threads back if there is no holder; calling it twice does no harm."""

        def restore():
            if not self.holders and self.allowed is not None:
                _set_limits(self.allowed)
                self.allowed = None

        self._alone(restore)

    def _alone(self, action):
        """``action()``, while no other thread runs an action.

        It does not use ``with``: from Python 3.14 on an interrupt can come between a lock and
        its block.
        """
        try:
            self.lock.acquire()
            return action()
        finally:
            try:  # noqa: SIM105, not by `suppress`: the release must be the first call
                self.lock.release()
            except RuntimeError:  # the interrupt came before this thread had the lock
                pass

    def after_fork_in_child(self):
        """Keep only the thread that forked: the parent's other threads do not exist here."""
        self.holders = {who: at for who, at in self.holders.items() if at == get_ident()}
        self.lock = RLock()
        self.restore()


_HOLD = _Hold()

# From Python 3.14 on the module has a lock, which a child would find locked for ever if another
# thread had it: scikit-learn takes it in each check of X.
_WARNINGS = getattr(warnings, "_lock", nullcontext())


def _before_fork():
    """Hold the locks across a fork: no other thread is then within what they guard."""
    _HOLD.lock.acquire()
    _WARNINGS.__enter__()


def _after_fork_in_parent():
    _WARNINGS.__exit__(None, None, None)
    _HOLD.lock.release()


def _after_fork_in_child():
    _WARNINGS.__exit__(None, None, None)
    _HOLD.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )


def on_one_blas_thread(run):
    """``run(n_threads)``, with BLAS held to one thread.

    BLAS threads slow down SciPy's steps on short vectors and products of small blocks. The limit
    belongs to the process. So several fits at once share it: the first one sets it, and the last
    one restores it. An interrupt may come at any time; at worst the next call restores the limit.

    Parameters
    ----------
    run : callable
        ``n_threads`` is the number of threads that BLAS may use outside this call, by the choice
        of the user or joblib. It is one inside `alone`.
    """
    holder = object()
    try:
        allowed = _HOLD.take(holder)
        return run(1 if _ALONE.get() else allowed)
    finally:
        _HOLD.holders.pop(holder, None)  # a single call of C: no interrupt comes before it
        _HOLD.restore()


def alone(run):
    """``run()`` with one thread, for example in a dask task, beside which other tasks run."""
    context = copy_context()
    context.run(_ALONE.set, True)
    return context.run(run)
