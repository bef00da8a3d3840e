"""Threads that help the calling one, safe with interrupts and forks.

The executors of the standard library are not: an interrupt that comes while the calling thread
is at one of their locks can leave it locked, and then the next to need it waits for ever. Here
the calling thread holds no lock, and what it shares with its helpers changes by single calls
of C, which an interrupt comes before or after.
"""

import os
from _thread import start_new_thread
from contextlib import suppress
from queue import SimpleQueue

NOBODY = object()  # takes the tasks that are dropped


class Helpers:
    """Threads that wait for work, and end when this object does.

    Parameters
    ----------
    n : int
        How many; there are fewer where the system has no more, as at the exit of the interpreter.
    """

    inbox = None

    def __init__(self, n):
        self.inbox, self.n, self.process = SimpleQueue(), 0, os.getpid()
        with suppress(RuntimeError):
            for _ in range(n):
                start_new_thread(_work, (self.inbox,))
                self.n += 1

    def call(self, job):
        """Have each call ``job()``, which may come late. A forked child has none of them."""
        if self.process == os.getpid():
            for _ in range(self.n):
                self.inbox.put(job)

    def __del__(self):
        if self.inbox is not None:  # an interrupt came before there was one
            self.inbox.put(None)


def _work(inbox):
    while (job := inbox.get()) is not None:
        job()
        job = None  # while it waits, it holds nothing
    inbox.put(None)  # for the next of them


def share_out(run, tasks, helpers=None, drop=lambda: None):
    """``[run(task) for task in tasks]``, where helpers take part.

    Each thread takes the next task until none is left. The first error is raised here, an
    interrupt too, after the others have ended; the tasks not begun are then dropped, and
    ``drop()`` is called, which may shorten those that run.
    """
    if helpers is None:
        return [run(task) for task in tasks]
    me, owners, results, errors = object(), {}, {}, []
    ended, bell = set(), SimpleQueue()  # tasks of helpers, and a token for each

    def stop():
        for i in range(len(tasks)):
            owners.setdefault(i, NOBODY)
        drop()

    def take(who):
        for i, task in enumerate(tasks):
            if owners.setdefault(i, who) is not who:
                continue
            try:
                results[i] = run(task)
            except BaseException as error:
                errors.append(error)
                stop()
            if who is not me:
                ended.add(i)
                bell.put(None)

    def wait():
        for i in [i for i, owner in owners.items() if owner not in (me, NOBODY)]:
            while i not in ended:
                bell.get()

    try:
        helpers.call(lambda: take(object()))
        take(me)
        wait()
    except BaseException:  # an interrupt outside of the tasks
        stop()
        wait()
        raise
    try:
        if errors:
            raise errors[0]
    finally:
        errors.clear()  # or the error would hold itself, and all arrays of its traceback
    return [results[i] for i in range(len(tasks))]
