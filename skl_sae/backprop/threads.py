"""Threads that help the calling thread, safe with interrupts and forks.

The executors of the standard library are not safe. If an interrupt comes while the calling thread
acquires one of their locks, the lock can stay locked, and the next thread that needs it waits for
ever. Here the calling thread holds no lock. The data it shares with its helpers change only by
single calls of C, which an interrupt can't cut in two.
"""

import os
from _thread import start_new_thread
from contextlib import suppress
from queue import SimpleQueue
from weakref import ref

CALLER, NOBODY = object(), object()  # owners: the calling thread, and none for dropped tasks


class Helpers:
    """Threads that wait for work, and end when this object does.

    Parameters
    ----------
    n : int
        Their number. There are fewer if the system gives no more, as at interpreter exit.
    """

    def __init__(self, n):
        self.inbox, self.n, self.process = SimpleQueue(), 0, os.getpid()
        end = ref(self, self.inbox.put)  # not by __del__, which an interrupt can cut short
        with suppress(RuntimeError):
            for _ in range(n):
                start_new_thread(_work, (self.inbox, end))
                self.n += 1

    def call(self, job):
        """Let each thread call ``job()``, perhaps late. A forked child has no helpers."""
        if self.process == os.getpid():
            for _ in range(self.n):
                self.inbox.put(job)


def _work(inbox, end):
    while (job := inbox.get()) is not end:
        job()
        job = None  # keep no reference while waiting
    inbox.put(end)  # for the next thread


def share_out(run, tasks, helpers=None, drop=lambda: None):
    """``[run(task) for task in tasks]``, shared with helpers.

    Each thread takes the next task until none is left. After an error or an interrupt, tasks that
    have not begun are dropped, and ``drop()`` is called, which may shorten the running tasks. When
    all threads have ended, the first error is raised here.
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
        shared.errors.clear()  # break the cycle that would keep all arrays of the traceback
    return [shared.results[i] for i in range(len(tasks))]


class _Shared:
    """Tasks by number: the owner and the result of each, and those that helpers have ended."""

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
        """Drop the tasks that no thread has taken."""
        for i in range(len(self.tasks)):
            self.owners.setdefault(i, NOBODY)
        self.drop()

    def wait(self):
        """Wait for the helpers' tasks, when all tasks have an owner."""
        for i, owner in self.owners.items():
            while owner not in (CALLER, NOBODY) and i not in self.ended:
                self.bell.get()
