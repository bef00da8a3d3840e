"""Holding BLAS to one thread while our own threads call it."""

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from threading import Lock

from threadpoolctl import ThreadpoolController


class _Holders:
    """How many fits hold BLAS at this moment, and what it was allowed before."""

    lock = Lock()
    count = 0
    allowed = 1
    limiter = None


# Whether others share the rows already, so that a fit or a prediction takes no more threads.
_ALONE = ContextVar("alone", default=False)


@cache
def _controller():
    return ThreadpoolController().select(user_api="blas")


def _take_control():
    """Let this thread set the limits.

    Newer threadpoolctl gives them to the first thread that sets one; what others set is
    lost without a word.
    """
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@contextmanager
def blas_on_one_thread():
    """Hold BLAS to one thread, and say how many threads it was allowed.

    SciPy's steps on short vectors and products of small blocks lose by BLAS threads. The
    limit belongs to the process, so that several fits at once share it: the first sets
    it and the last one gives it back.

    Yields
    ------
    n_threads : int
        The threads that BLAS may use outside, by the user's or joblib's choice; one
        inside of `alone`.
    """
    with _Holders.lock:
        if _Holders.count == 0:
            _Holders.allowed = max((lib["num_threads"] for lib in _controller().info()), default=1)
            _take_control()
            _Holders.limiter = _controller().limit(limits=1)
        _Holders.count += 1
    try:
        yield 1 if _ALONE.get() else _Holders.allowed
    finally:
        with _Holders.lock:
            _Holders.count -= 1
            if _Holders.count == 0:
                _take_control()
                _Holders.limiter.restore_original_limits()
                _take_control()  # and leave it to whoever comes next


@contextmanager
def alone():
    """Take one thread, as a task of dask does, which has others beside it."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)
