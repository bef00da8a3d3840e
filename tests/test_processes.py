"""Forks, interrupts of the hold on BLAS, and processes that can start no thread.

Each test runs a process of its own, which `run` of the tests of interrupts starts.
"""

import os

import pytest
from test_interrupts import ALARM, output, posix, run

pytestmark = pytest.mark.slow
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")

# Two threads for BLAS, a fitted autoencoder, and how a child ends: by what it prints, or killed.
BEGIN = """
import os, signal, threading, time, warnings
import numpy as np, threadpoolctl
from sklearn.base import clone
from skl_sae import SparseAutoencoder
warnings.simplefilter("ignore")
limits = threadpoolctl.threadpool_limits(2, user_api="blas")
libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
def allowed():
    return {library.num_threads for library in libraries}
def child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + 20
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "hung"
        time.sleep(0.002)
few = np.random.default_rng(0).uniform(size=(10, 5))
many = np.random.default_rng(0).uniform(size=(7000, 64))
sae = SparseAutoencoder(2, max_iter=3).fit(few)
wide = SparseAutoencoder(8, max_iter=3, growing_samples=False, random_state=0)
"""

FORK_BESIDE = """
ended, expected = threading.Event(), sae.transform(few)
def beside():
    while not ended.is_set():
        {beside}
def work():
    assert allowed() == {{2}}
    assert (sae.transform(few) == expected).all()
    wide.fit(many)
    assert allowed() == {{2}}
threads = [threading.Thread(target=beside) for _ in range(2)]
for thread in threads:
    thread.start()
print([child(work) for _ in range(8)])
ended.set()
for thread in threads:
    thread.join()
assert allowed() == {{2}}
"""


def output_of(code):
    return output(run(BEGIN + code))


BESIDE = {"predictions": "sae.transform(few)", "fits": "clone(wide).fit(many)"}


@forks
def test_a_child_finds_no_lock_of_the_warnings_that_is_held():
    """Python has that lock from 3.14 on; a thread may be in it at any fork."""
    found = output_of("""
from contextlib import nullcontext
held, lock = threading.Event(), getattr(warnings, "_lock", nullcontext())
def beside():
    with lock:
        held.set()
        time.sleep(0.5)
def work():
    with warnings.catch_warnings():
        assert sae.transform(few).shape == (10, 2)
thread = threading.Thread(target=beside)
thread.start()
held.wait()
print(child(work))
thread.join()
""")
    assert found == "0\n"


@forks
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_children_that_are_forked_beside_other_threads(beside):
    """They inherit no lock that is held, no thread that helps, and no limit of BLAS."""
    assert output_of(FORK_BESIDE.format(beside=beside)) == f"{[0] * 8}\n"


FORK_INSIDE = """
from skl_sae import _estimator
expected = wide.fit(many).coefs_[0].copy()
original, forked = _estimator.Run.__call__, []
def inside(self, so_far):
    if len(so_far.loss_curve) == 2 and not forked:
        forked.append(os.fork())
    return original(self, so_far)
_estimator.Run.__call__ = inside
found = wide.fit(many).coefs_[0]
same = (found == expected).all() and allowed() == {2}
if forked == [0]:
    os._exit(0 if same else 1)
print(same, os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1]))
"""


@forks
def test_a_child_that_is_forked_within_a_fit_ends_it_alone():
    """With the same bits, and BLAS has its threads back after it."""
    assert output_of(FORK_INSIDE) == "True 0\n"


PRELOADED = """
fitted = clone(wide).fit(many)
expected = fitted.transform(many)
pids = []
for _ in range(4):
    pids.append(os.fork())
    if pids[-1] == 0:
        signal.alarm(60)
        same = all((fitted.transform(many) == expected).all() for _ in range(20))
        os._exit(0 if same and allowed() == {2} else 1)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
"""


@forks
def test_children_of_a_server_that_has_loaded_a_model_predict_at_once():
    assert output_of(PRELOADED) == "[0, 0, 0, 0]\n"


POOLS = """
from multiprocessing import get_context
import joblib
expected, ended = sae.transform(few), threading.Event()
def beside():
    while not ended.is_set():
        sae.transform(few)
thread = threading.Thread(target=beside)
thread.start()
with get_context("fork").Pool(2) as pool:
    print(all((Z == expected).all() for Z in pool.map(sae.transform, [few] * 8)))
for backend in ("multiprocessing", "loky"):
    calls = [joblib.delayed(sae.transform)(few) for _ in range(8)]
    print(all((Z == expected).all() for Z in joblib.Parallel(2, backend=backend)(calls)))
ended.set()
thread.join()
"""


@forks
def test_pools_of_processes_beside_a_thread_that_predicts():
    assert output_of(POOLS) == "True\n" * 3


INTERRUPTS = """
rng, lost = np.random.default_rng(0), 0
for _ in range(1000):
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(20e-6, 400e-6))
        sae.transform(few)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    if allowed() != {2}:
        sae.transform(few)
        lost += allowed() != {2}
print(lost)
"""


@posix
def test_after_an_interrupt_the_next_call_restores_blas():
    assert output_of(ALARM + INTERRUPTS) == "0\n"


NO_THREADS = """
def fit():
    return [W.tobytes() for W in wide.fit(many).coefs_] + [wide.transform(many).tobytes()]
def refuse(*_):
    raise RuntimeError("can't start new thread")
from skl_sae.backprop import threads
expected, threads.start_new_thread, threading.Thread.start = fit(), refuse, refuse
alone = fit()
print(alone == expected, allowed())
"""


def test_where_no_thread_can_be_started_the_calling_one_does_it_all():
    assert output_of(NO_THREADS) == "True {2}\n"


AT_EXIT = """
import atexit
fitted = wide.fit(many)
atexit.register(lambda: print((fitted.transform(many) == codes).all(), wide.fit(many).n_iter_))
codes = fitted.transform(many)
"""


def test_a_prediction_and_a_fit_at_the_exit_of_the_interpreter():
    assert output_of(AT_EXIT) == "True 3\n"
