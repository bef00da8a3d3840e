"""Ctrl-C, a full disk, a killed process: what was there before is there after it.

The tests with signals run in processes of their own. What is measured is what goes on after
the interrupt, not the time it takes: no thread begins another block.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_determinism import FITS

from skl_sae import SparseAutoencoder
from skl_sae.backprop.blocks import Lanes
from skl_sae.backprop.network import Network
from skl_sae.callbacks import save

X = load_digits().data / 16
posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


# -- threads notice -------------------------------------------------------------------------


def until(condition):
    """Wait for it, ten seconds at most."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("who", ["the calling thread", "a helper"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_after_an_error_no_thread_begins_another_block(who, error):
    """However many blocks are left in its lane."""
    both, seen, main = threading.Barrier(2, timeout=10), [], threading.get_ident()

    def lane(blocks, work):
        fails = (threading.get_ident() == main) == (who == "the calling thread")
        for _ in blocks:
            seen.append(fails)
            both.wait()
            if fails:
                raise error("planted")
            until(lambda: not blocks)

    lanes = Lanes.plan(Network((2, 2)), 80, float, block_size=1, n_threads=2)
    with pytest.raises(error, match="planted"):
        lanes.map(lane)
    assert sorted(seen) == [False, True]
    assert len(lanes.workspaces) == 2
    starts = [blocks[0].start for blocks in lanes.lanes]  # as they were
    assert lanes.map(lambda blocks, work: blocks[0].start) == starts


def test_the_first_error_is_told():
    """Not one that comes of the blocks that the first has taken away."""
    both, main = threading.Barrier(2, timeout=10), threading.get_ident()

    def lane(blocks, work):
        both.wait()
        if threading.get_ident() != main:
            raise ValueError("the first")
        until(lambda: not blocks)
        return blocks[0]

    lanes = Lanes.plan(Network((2, 2)), 80, float, block_size=1, n_threads=2)
    with pytest.raises(ValueError, match="the first"):
        lanes.map(lane)


# From here on an alarm interrupts, as Ctrl-C does.
ALARM = """
import signal
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
"""

MANY_INTERRUPTS = """
import faulthandler
import numpy as np
from skl_sae import SparseAutoencoder
from skl_sae.backprop import blocks
faulthandler.dump_traceback_later(60, exit=True)
blocks.MIN_ROWS = blocks.MAX_ROWS = 64
rng = np.random.default_rng(0)
X, sae = rng.random((600, 8)), SparseAutoencoder(3, tol=0, max_iter=10**6)
for _ in range(400):
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-3, 5e-3))
        sae.fit(X)
    except KeyboardInterrupt:
        pass
print("all came through")
"""

# A process that a shell has started in the background ignores interrupts, and so do its own.
LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"

INTERRUPTED_WAIT = """
import signal, threading, time
from skl_sae.backprop.blocks import Lanes
from skl_sae.backprop.network import Network
main, both, ended = threading.get_ident(), threading.Barrier(2), []
def lane(blocks, work):
    both.wait()
    if threading.get_ident() == main:
        blocks.clear()
        return
    while not waiting():
        time.sleep(0.001)
    again = 0  # a signal that comes just before a thread sleeps does not wake it
    while blocks:
        if time.monotonic() > again:
            signal.pthread_kill(main, signal.SIGINT)
            again = time.monotonic() + 2
        time.sleep(0.001)
    ended.append(1)
def waiting():
    import sys
    frame = sys._current_frames()[main]
    return frame.f_code.co_name == "wait" and "threads" in frame.f_code.co_filename
lanes = Lanes.plan(Network((2, 2)), 2, float, 1, 2)
try:
    lanes.map(lane)
except KeyboardInterrupt:
    assert ended and len(lanes.workspaces) == 2
    print("interrupted")
"""


def run(code, *arguments, **options):
    """Standard output of a process that ends well, within a minute."""
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-W", "ignore", "-c", LISTEN + code, *map(str, arguments)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, **options
    )
    return process


def output(process):
    with process:
        try:
            text, _ = process.communicate(timeout=100)
        finally:
            process.kill()
    assert process.returncode == 0
    return text


@pytest.mark.slow
@posix
def test_no_interrupt_leaves_a_fit_waiting_for_ever():
    """At whatever lock or queue it comes; an executor of the standard library is soon stuck."""
    assert output(run(ALARM + MANY_INTERRUPTS)) == "all came through\n"


@pytest.mark.slow
@posix
def test_an_interrupt_reaches_the_helpers_that_are_waited_for():
    assert output(run(INTERRUPTED_WAIT)) == "interrupted\n"


# -- fits -----------------------------------------------------------------------------------

INTERRUPTED_FITS = """
import os, random, signal, threading, time
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info, threadpool_limits
from test_determinism import FITS, X, y, bits
endless = dict(tol=0.0, max_iter=10**7)
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
def allowed():
    return [lib["num_threads"] for lib in threadpool_info()]
random.seed(0)
for name, estimator in FITS.items():
    estimator = clone(estimator).set_params(**endless)
    if name == "early stopping":
        estimator.set_params(n_iter_no_change=10**7)
    if name in ("cg", "mini-batches"):
        estimator.set_params(activation="logistic", learning_rate=1e-6)
    for fitted in (False, True):
        if fitted:
            estimator.set_params(max_iter=2).fit(X, y).set_params(**endless)
            predicted = estimator.predict(X)
        before = dict(vars(estimator))
        with threadpool_limits(2):
            limits = allowed()
            timer = threading.Timer(random.uniform(0.05, 0.3), interrupt)
            timer.start()
            try:
                while True:  # should a fit ever end
                    estimator.fit(X, y)
                    before = dict(vars(estimator))
            except KeyboardInterrupt:
                pass
            assert allowed() == limits
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[key] is before[key] for key in before)
        if fitted:
            assert (estimator.predict(X) == predicted).all()
        print(name, fitted)
"""


@pytest.mark.slow
@posix
def test_an_interrupt_leaves_the_estimator_and_the_threads_as_they_were():
    assert len(output(run(INTERRUPTED_FITS)).splitlines()) == 2 * len(FITS)


INTERRUPTED_SEARCH = """
import sys
from sklearn.model_selection import GridSearchCV
from test_determinism import NET, X, y
net = NET.set_params(tol=0.0, max_iter=10**7, verbose=1)
search = GridSearchCV(net, {"lam": [1e-4, 1e-3]}, cv=2, n_jobs=int(sys.argv[1]))
try:
    search.fit(X, y)
except KeyboardInterrupt:
    assert not hasattr(search, "best_estimator_") and not hasattr(net, "coefs_")
    print("search interrupted")
"""


@pytest.mark.slow
@posix
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_ends_a_search_and_its_workers(n_jobs):
    """As by Ctrl-C all of them get it; the output ends when the last of them does."""
    with run(INTERRUPTED_SEARCH, n_jobs, start_new_session=True) as process:
        try:
            # Two workers may write their texts first and then the ends of both lines.
            lines = [process.stdout.readline() for _ in range(20)]
            assert "".join(lines).count("iteration") >= 20
            os.killpg(process.pid, signal.SIGINT)
            text, _ = process.communicate(timeout=60)
            assert process.returncode == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert text.splitlines().count("search interrupted") == 1


# -- files ----------------------------------------------------------------------------------


@pytest.fixture
def old_file(tmp_path):
    path = tmp_path / "model.joblib"
    save(SparseAutoencoder(3, beta=0, max_iter=10, tol=1.0, n_iter_no_change=5).fit(X), path)
    return path


def assert_untouched(path, old):
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
    joblib.load(path).transform(X)


@pytest.mark.parametrize("where", ["write", "flush", "fsync", "rename"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("exists", [True, False])
def test_a_save_that_fails_anywhere_leaves_what_there_was(
    where, error, exists, old_file, monkeypatch
):
    old = old_file.read_bytes()
    if not exists:
        old_file.unlink()

    def fail(*args, **options):
        raise error

    def write_some(estimator, file):
        file.write(b"half of it")
        if where == "flush":
            monkeypatch.setattr(os, "fsync", fail)
        else:
            fail()

    if where in ("write", "flush"):
        monkeypatch.setattr(joblib, "dump", write_some)
    elif where == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(type(old_file), "replace", fail)
    with pytest.raises(type(error)):
        save(np.zeros(10**4), old_file)
    if exists:
        assert_untouched(old_file, old)
    else:
        assert not list(old_file.parent.iterdir())


DISK_FULL = """
import resource, signal, sys
import numpy as np
from skl_sae.callbacks import save
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for room in (0, 1, 4096, 100_000, 799_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        save(np.zeros(10**5), sys.argv[1])
    except OSError as error:
        print(error.errno)
"""


@pytest.mark.slow
@posix
def test_no_room_for_the_new_file(old_file):
    """The system refuses to write more than some bytes, as a full disk does."""
    old = old_file.read_bytes()
    assert output(run(DISK_FULL, old_file)).split() == [str(errno.EFBIG)] * 5
    assert_untouched(old_file, old)


def test_a_folder_in_the_way(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OSError, match="model"):
        save(np.zeros(3), tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


KILLED_WHILE_SAVING = """
import sys
import numpy as np
from skl_sae.callbacks import save
print("ready", flush=True)
for n in range(10**9):
    save({"n": n, "twice": 2 * n, "zeros": [np.full(10**5, n), np.full(10**5, n)]}, sys.argv[1])
"""


@pytest.mark.slow
@posix
def test_a_process_killed_while_it_saves(tmp_path):
    """What it leaves behind beside the file is named so that it is known."""
    path, rng = tmp_path / "model.joblib", np.random.default_rng(0)
    for _ in range(int(os.environ.get("SKL_SAE_KILLS", 2))):
        with run(KILLED_WHILE_SAVING, path) as process:
            process.stdout.readline()
            until(path.exists)
            time.sleep(rng.uniform(0, 0.02))
            process.kill()
        saved = joblib.load(path)
        assert saved["twice"] == 2 * saved["n"]
        assert all((zeros == saved["n"]).all() for zeros in saved["zeros"])
    leftovers = [p.name for p in tmp_path.iterdir() if p != path]
    assert all(n.startswith("model.joblib.") and n.endswith(".part") for n in leftovers)
