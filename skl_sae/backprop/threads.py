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
from weakref import ref

CALLER, NOBODY = object(), object()  # the calling thread, and who takes what is dropped


class Helpers:
    """Threads that wait for work, and end when this object does.

    Parameters
    ----------
    n : int
        How many; there are fewer where the system has no more, as at the exit of the interpreter.
    """

    def __init__(self, n):
        self.inbox, self.n, self.process = SimpleQueue(), 0, os.getpid()
        end = ref(self, self.inbox.put)  # not by __del__, which an interrupt can cut short
        with suppress(RuntimeError):
            for _ in range(n):
                start_new_thread(_work, (self.inbox, end))
                self.n += 1

    def call(self, job):
        """Have each call ``job()``, which may come late. A forked child has none of them."""
        if self.process == os.getpid():
            for _ in range(self.n):
                self.inbox.put(job)


def _work(inbox, end):
    while (job := inbox.get()) is not end:
        job()
        job = None  # while it waits, it holds nothing
    inbox.put(end)  # for the next of them


def share_out(run, tasks, helpers=None, drop=lambda: None):
    """``[run(task) for task in tasks]``, where helpers take part.

    Each thread takes the next task until none is left. The first error is raised here, an
    interrupt too, after the others have ended; the tasks not begun are then dropped, and
    ``drop()`` is called, which may shorten those that run.
    """
    if helpers is None:
        return [run(task) for task in tasks]
    shared = _Shared(run, tasks, drop)
    try:
        helpers.call(lambda: shared.take(object()))
        shared.take(CALLER)
        shared.wait()
    except BaseException:  # an interrupt outside of the tasks
        shared.stop()
        shared.wait()
        raise
    try:
        if shared.errors:
            raise shared.errors[0]
    finally:
        shared.errors.clear()  # or the error would hold itself, and all arrays of its traceback
    return [shared.results[i] for i in range(len(tasks))]


class _Shared:
    """Tasks by their numbers: who has taken each, what came of it, which helpers are through."""

    def __init__(self, run, tasks, drop):
        self.run, self.tasks, self.drop = run, tasks, drop
        self.owners, self.results, self.errors = {}, {}, []
        self.ended, self.bell = set(), SimpleQueue()

    def take(self, who):
        """Run tasks until none is left; this may come late, or twice."""
        for i, task in enumerate(self.tasks):
            if self.owners.setdefault(i, who) is not who:
                continue
            try:
                self.results[i] = self.run(task)
            except BaseException as error:
                self.errors.append(error)
                self.stop()
            if who is not CALLER:
                self.ended.add(i)
                self.bell.put(None)

    def stop(self):
        """Drop the tasks that nobody has taken."""
        for i in range(len(self.tasks)):
            self.owners.setdefault(i, NOBODY)
        self.drop()

    def wait(self):
        """Wait for the helpers' tasks, when all tasks have an owner."""
        for i, owner in self.owners.items():
            while owner not in (CALLER, NOBODY) and i not in self.ended:
                self.bell.get()
