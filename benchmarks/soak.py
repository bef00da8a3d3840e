"""One process in which many things go wrong for a while: does it hang, leak or err?

    python benchmarks/soak.py [--minutes 20] [--seed 0] [--json FILE]

In each round some threads fit, predict, save and load. The main thread does the same and has one
kind of trouble: it is interrupted, forks children that predict at once, gets no memory
(RLIMIT_AS) or disk (RLIMIT_FSIZE), or can't start threads. Every result is compared bit by bit
with the result of a quiet process. After each round BLAS must have as many threads as before (the
number differs from round to round), and no thread or file may be left. The script prints how often
each thing was done, and the failures. A hang ends with a traceback of all threads. Needs POSIX.
"""

import faulthandler
import gc
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from functools import partial
from hashlib import sha256
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from shared.command import parser
from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.backprop import threads

HANGS_AFTER = 120  # seconds without the end of a round
MIB = 2**20


class Planted(Exception):
    """What a signal raises: an interrupt that does not end the command."""


def parse():
    command = parser(__doc__, "json")
    command.add_argument("--minutes", type=float, default=20)
    command.add_argument("--seed", type=int, default=0)
    return command.parse_args()


# -- the work ---------------------------------------------------------------------------------


def digest(*arrays):
    """A short name for the bits of arrays."""
    return sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


def fit(estimator, *data):
    fitted = clone(estimator).fit(*data)
    return digest(*fitted.coefs_, *fitted.intercepts_)


def save_and_load(fitted, X, folder):
    path = Path(folder, f"{os.getpid()} {threading.get_ident()}.joblib")
    joblib.dump(fitted, path)
    return digest(joblib.load(path).transform(X))


def work(folder):
    """Names of jobs, and functions that give a digest of their result."""
    rng = np.random.default_rng(0)
    X, wide = rng.random((2000, 20)), rng.random((9000, 64)).astype(np.float32)
    y, labels = X @ rng.normal(size=20), (X[:, 0] > 0.5).astype(int)
    short = {"max_iter": 5, "random_state": 0}
    sae = SparseAutoencoder(10, **short)
    large = SparseAutoencoder(16, growing_samples=False, **short)
    fitted, classifier = clone(large).fit(wide), MLPBackpropClassifier((10,), **short)
    tuned = MLPBackpropClassifier((8,), activation="logistic", pretraining=sae, **short)
    return {
        "fit of an autoencoder": partial(fit, sae, X),
        "fit of a wide autoencoder": partial(fit, large, wide),
        "fit of a classifier": partial(fit, classifier, X, labels),
        "fit of a regressor by mini-batches": partial(
            fit, MLPBackpropRegressor((5,), solver="sgd", batch_size=100, **short), X, y
        ),
        "fit of a pretrained network": partial(fit, tuned, X, labels),
        "prediction": lambda: digest(fitted.transform(wide), fitted.predict(wide[:99])),
        "save and load": partial(save_and_load, fitted, wide[:99], folder),
    }


class Soak:
    """Rounds of work and trouble, and what came of them."""

    def __init__(self, seed, folder):
        self.random, self.folder = random.Random(seed), folder
        self.jobs, self.done, self.lost = work(folder), Counter(), Counter()
        self.expected = {name: job() for name, job in self.jobs.items()}
        self.troubles = [self.interrupts, self.forks, self.no_memory, self.no_disk]
        self.troubles.append(self.no_threads)

    def job(self, name, may_fail=()):
        """Do it and compare; what may fail is counted by its error."""
        try:
            found = self.jobs[name]()
        except may_fail as error:
            self.done[f"refused by {type(error).__name__}"] += 1
            return
        self.done[name] += 1
        self.lost["wrong values"] += found != self.expected[name]

    def any_job(self, may_fail=()):
        self.job(self.random.choice(list(self.jobs)), may_fail)

    def beside(self, ended, may_fail):
        """What a thread does until the end of the round."""
        while not ended.is_set():
            try:
                self.any_job(may_fail)
            except Exception as error:
                self.lost[f"errors in threads: {type(error).__name__}: {error}"] += 1

    def round(self):
        """One kind of trouble beside the work of some threads."""
        trouble, n_threads = self.random.choice(self.troubles), self.random.choice([1, 2, 3])
        with threadpool_limits(n_threads, user_api="blas"):
            before, ended = limits(), threading.Event()
            may_fail = (MemoryError, OSError) if trouble in (self.no_memory, self.no_disk) else ()
            others = [
                threading.Thread(target=self.beside, args=(ended, may_fail)) for _ in range(2)
            ]
            for thread in others:
                thread.start()
            try:
                trouble()
            finally:
                ended.set()
                for thread in others:
                    thread.join()
            self.job("prediction")
            self.lost["limits of BLAS"] += limits() != before
        self.lost["threads"] += threading.active_count() != 1
        self.done["rounds"] += 1

    # -- trouble -------------------------------------------------------------------------------

    def interrupts(self):
        armed = []

        def interrupt(*_):
            if armed:
                raise Planted

        signal.signal(signal.SIGALRM, interrupt)
        for _ in range(40):
            try:
                armed.append(True)
                signal.setitimer(signal.ITIMER_REAL, 10 ** self.random.uniform(-4.5, -1))
                self.any_job()
            except Planted:
                self.done["interrupts"] += 1
            finally:
                armed.clear()  # first: the alarm may still be to come
                signal.setitimer(signal.ITIMER_REAL, 0)

    def forks(self):
        for _ in range(3):
            children = [self.child() for _ in range(4)]
            for pid in children:
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                self.done["children"] += 1
                self.lost[f"children that ended with status {status}"] += status != 0

    def child(self):
        """A fork that predicts and fits at once; an alarm kills it where it hangs."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(HANGS_AFTER // 2)
                names = ["prediction", "fit of a wide autoencoder"]
                names.append(self.random.choice(list(self.jobs)))
                code = int(any(self.jobs[name]() != self.expected[name] for name in names))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return pid

    def no_memory(self):
        """Large requests are refused; small ones of the other threads may be too."""
        net = SparseAutoencoder(500, max_iter=3, growing_samples=False, history_size=200)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        with limited(resource.RLIMIT_AS, used + 256 * MIB):
            for _ in range(3):
                try:
                    net.fit(np.random.default_rng(0).random((1000, 500)))
                    self.lost["memory that should have been refused"] += 1
                except MemoryError:
                    self.done["memory refused"] += 1
                self.any_job((MemoryError, OSError))

    def no_disk(self):
        """No file may become larger than ten bytes."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with limited(resource.RLIMIT_FSIZE, 10):
            for _ in range(10):
                try:
                    self.jobs["save and load"]()
                    self.lost["files that should have been refused"] += 1
                except OSError:
                    self.done["files refused"] += 1
                self.any_job((MemoryError, OSError))

    def no_threads(self):
        def refuse(*_):
            raise RuntimeError("can't start new thread")

        start, threads.start_new_thread = threads.start_new_thread, refuse
        try:
            for _ in range(10):
                self.any_job()
                self.done["jobs without threads"] += 1
        finally:
            threads.start_new_thread = start


class limited:
    """A limit of the process for the time of a block."""

    def __init__(self, kind, limit):
        self.kind, self.limit = kind, limit

    def __enter__(self):
        self.before = resource.getrlimit(self.kind)
        resource.setrlimit(self.kind, (self.limit, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(self.kind, self.before)


def limits():
    """Of all BLAS libraries."""
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


def resident():
    """MiB of memory in use, and open files."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB, len(os.listdir("/proc/self/fd"))


def main():
    options = parse()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        soak, end = Soak(options.seed, folder), time.monotonic() + 60 * options.minutes
        start = None
        while time.monotonic() < end:
            faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
            soak.round()
            if soak.done["rounds"] == 20:  # all kinds of buffers have been there
                start = resident()
        faulthandler.cancel_dump_traceback_later()
    after = resident()
    for name, count in sorted(soak.done.items()):
        print(f"{count:8,d}  {name}")
    for text, (memory, files) in {"after 20 rounds": start or after, "at the end": after}.items():
        print(f"{memory:8.0f}  MiB {text}, {files} open files")
    lost = {name: count for name, count in soak.lost.items() if count}
    print("lost:", lost or "nothing")
    if options.json:
        found = {"done": soak.done, "lost": lost, "MiB, files": [start or after, after]}
        options.json.write_text(json.dumps(found, indent=1))
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
