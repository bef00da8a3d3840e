"""scikit-learn's callbacks: what they see of a fit, and what they can do to it."""

import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder
from skl_sae.callbacks import Checkpoint, save

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks since 1.9")
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]

X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
FITS = {
    "autoencoder": (SparseAutoencoder(3, max_iter=30), None),
    "growing samples": (SparseAutoencoder(3, max_iter=60, growing_samples=True), None),
    "exact output": (
        SparseAutoencoder(3, max_iter=60, output_activation="identity", tol=1e-3),
        None,
    ),
    "cg": (SparseAutoencoder(3, max_iter=20, solver="cg"), None),
    "gradient descent": (
        SparseAutoencoder(3, max_iter=20, solver="sgd", batch_size=None, learning_rate=0.1),
        None,
    ),
    "mini-batches": (SparseAutoencoder(3, max_iter=20, solver="sgd", batch_size=50), None),
    "classifier": (MLPBackpropClassifier((4,), max_iter=30), y),
    "softmax": (MLPBackpropClassifier((), tol=1e-2), y),
    "early stopping": (MLPBackpropClassifier((4,), max_iter=30, early_stopping=True), y),
    "regressor": (MLPBackpropRegressor((4,), max_iter=30), X[:, 0]),
}


class Record:
    """Keeps what the hooks get, and stops when ``stop`` says so."""

    def __init__(self, stop=lambda context, n_ended: False):
        self.stop, self.log, self.ended = stop, [], []

    def setup(self, estimator, context):
        self.log.append(("setup", context))

    def teardown(self, estimator, context):
        self.log.append(("teardown", context))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.log.append(("begin", context))
        self.X, self.y, self.metadata = X, y, metadata

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.log.append(("end", context))
        if fitted_estimator is not None:
            self.ended.append(fitted_estimator)
        return self.stop(context, len(self.ended))

    def tasks(self, name):
        return [
            context for what, context in self.log if (what, context.task_name) == ("end", name)
        ]


def fitted(name, record, **params):
    estimator, target = FITS[name]
    estimator = clone(estimator).set_params(random_state=0, **params)
    return estimator.set_callbacks(record).fit(X, target)


@pytest.mark.parametrize("name", FITS)
def test_every_iteration_is_a_task_and_nothing_else(name):
    record = Record()
    estimator = fitted(name, record)
    assert len(record.tasks("iteration")) == estimator.n_iter_
    assert len(record.tasks("fit")) == 1
    what = [w for w, _ in record.log]
    assert what[0] == "setup"
    assert what[-1] == "teardown"
    # begun and ended in pairs, one after the other, inside the fit
    assert what[1:-1] == ["begin", *["begin", "end"] * estimator.n_iter_, "end"]
    contexts = [context for _, context in record.log[1:-1]]
    assert contexts[1:-1:2] == contexts[2:-1:2]
    assert contexts[0] is contexts[-1]


def test_several_starts_are_tasks():
    record = Record()
    fitted("classifier", record, n_init=3)
    starts = record.tasks("start")
    assert len(starts) == 3
    assert {context.parent.task_name for context in record.tasks("iteration")} == {"start"}
    assert what_begins(record) == what_ends(record)


def what_begins(record):
    return sorted(id(context) for what, context in record.log if what == "begin")


def what_ends(record):
    return sorted(id(context) for what, context in record.log if what == "end")


class Propagated(Record):
    max_propagation_depth = None


@pytest.mark.parametrize("n_init", [1, 2])
def test_pretraining_is_a_task_with_those_of_the_autoencoders(n_init):
    record = Propagated()
    net = MLPBackpropClassifier(
        (4, 3),
        activation="logistic",
        max_iter=10,
        n_init=n_init,
        random_state=0,
        pretraining=SparseAutoencoder(max_iter=5),
    )
    net.set_callbacks(record).fit(X, y)
    assert what_begins(record) == what_ends(record)
    iterations = record.tasks("iteration")
    own = [c for c in iterations if c.estimator_name == "MLPBackpropClassifier"]
    parents = [context.parent.task_name for context in own]
    assert 0 < parents.count("fit" if n_init == 1 else "start") <= 10 * n_init
    names = {context.estimator_name for context in iterations}
    assert names == {"SparseAutoencoder", "MLPBackpropClassifier"}
    assert len(record.tasks("pretraining")) == n_init
    assert "output layer" in parents
    pickle.loads(pickle.dumps(net.pretrained_))
    assert not [name for name in vars(net.pretrained_) if "callback" in name]


def test_a_line_search_that_gives_up_leaves_no_task_open(monkeypatch):
    """The gradient is wrong: SciPy tries steps and finds none that lowers the value."""
    from skl_sae.backprop.objective import Objective

    right = Objective.__call__
    monkeypatch.setattr(Objective, "__call__", lambda self, theta: (right(self, theta)[0], -theta))
    record = Record()
    estimator = fitted("classifier", record)
    assert not estimator.converged_
    assert what_begins(record) == what_ends(record)


def test_hooks_get_the_data_as_they_were_given():
    frame, weights = pd.DataFrame(X, columns=list("abcd")), np.ones(len(X))
    record = Record()
    sae = SparseAutoencoder(3, max_iter=3).set_callbacks(record)
    sae.fit(frame, y, sample_weight=weights)
    assert record.X is frame
    assert record.y is frame  # what an autoencoder is fitted to
    assert record.metadata["sample_weight"] is weights
    record = Record()
    MLPBackpropClassifier((3,), max_iter=3).set_callbacks(record).fit(frame, y)
    assert record.X is frame
    assert record.y is y
    assert record.metadata is None


@pytest.mark.parametrize("name", FITS)
def test_a_callback_stops(name):
    record = Record(stop=lambda context, n_ended: n_ended == 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator = fitted(name, record)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 3
    assert not estimator.converged_


def test_a_callback_stops_one_start_or_all():
    record = Record(stop=lambda context, n_ended: context.task_name == "iteration")
    estimator = fitted("classifier", record, n_init=3)
    assert estimator.n_iter_ == 1
    assert len(record.tasks("start")) == 3
    record = Record(stop=lambda context, n_ended: context.task_name == "start")
    fitted("classifier", record, n_init=3)
    assert len(record.tasks("start")) == 1


@pytest.mark.parametrize(
    "name", [name for name in FITS if name not in ("growing samples", "mini-batches")]
)
def test_the_fitted_estimator_is_that_of_a_shorter_fit(name):
    """It is what ``max_iter`` gives; samples would grow earlier then, and steps shrink earlier."""
    record = Record()
    fitted(name, record)
    if name == "early stopping":  # stopped by max_iter, not by patience
        assert len(record.ended) > 5
    for n_iter in (1, 4):
        estimator, target = FITS[name]
        shorter = clone(estimator).set_params(random_state=0, max_iter=n_iter).fit(X, target)
        seen = vars(record.ended[n_iter - 1])
        for attribute, value in vars(shorter).items():
            if attribute.endswith("_") and attribute not in ("n_evaluations_", "converged_"):
                np.testing.assert_equal(seen[attribute], value, err_msg=attribute)
        probe = record.ended[n_iter - 1]
        np.testing.assert_array_equal(probe.predict(X), shorter.predict(X))


def test_the_fitted_estimator_of_a_stage_knows_its_stages():
    record = Record()
    estimator = fitted("growing samples", record)
    for n_iter, seen in enumerate(record.ended[:-1], start=1):
        assert seen.stage_lengths_.sum() == seen.n_iter_ == len(seen.loss_curve_) == n_iter
    assert (record.ended[-2].stage_lengths_ == estimator.stage_lengths_).all()


def test_a_hook_that_raises_leaves_the_estimator_as_it_was():
    def stop(context, n_ended):
        raise RuntimeError("a hook")

    record = Record(stop)
    sae = SparseAutoencoder(3, max_iter=5).set_callbacks(record)
    before = dict(vars(sae))
    with pytest.raises(RuntimeError, match="a hook"):
        sae.fit(X)
    assert vars(sae) == before
    assert record.log[-1][0] == "teardown"


def test_fitting_leaves_nothing_of_the_callbacks_behind():
    estimator = fitted("classifier", Record())
    assert [name for name in vars(estimator) if "callback" in name] == ["_skl_callbacks"]
    plain = clone(FITS["classifier"][0]).set_params(random_state=0).fit(X, y)
    assert not [name for name in vars(plain) if "callback" in name]


def pipeline():
    steps = {
        "scale": StandardScaler(),
        "sae": SparseAutoencoder(3, max_iter=20, output_activation="identity"),
        "net": MLPBackpropClassifier((4,), max_iter=15, random_state=0),
    }
    return Pipeline(list(steps.items()))


def test_progress_bar_alone_in_a_pipeline_and_in_a_search(capsys):
    pytest.importorskip("rich", reason="the progress bar needs rich")
    bar = callback.ProgressBar(max_propagation_depth=None)
    SparseAutoencoder(3, max_iter=20).set_callbacks(bar).fit(X)
    assert "SparseAutoencoder - fit" in capsys.readouterr().out
    pipeline().set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = capsys.readouterr().out
    assert "SparseAutoencoder - fit" in shown
    assert "MLPBackpropClassifier - fit" in shown
    search = GridSearchCV(pipeline(), {"sae__rho": [0.05, 0.2]}, cv=2, n_jobs=2)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert capsys.readouterr().out.count("SparseAutoencoder - fit") >= 5


def test_scoring_monitor_logs_every_iteration():
    monitor = callback.ScoringMonitor(scoring="r2")
    frame = pd.DataFrame(X, columns=list("abcd"))
    sae = SparseAutoencoder(3, max_iter=12, random_state=0).set_callbacks(monitor).fit(frame, y)
    log = monitor.get_logs().data_as_pandas
    iterations = log[log["task_name"] == "iteration"]
    assert len(iterations) == sae.n_iter_
    assert log["r2"].iloc[-1] == pytest.approx(sae_r2(sae, frame))


def sae_r2(sae, frame):
    from sklearn.metrics import r2_score

    return r2_score(frame, sae.predict(frame))


def test_scoring_monitor_in_a_search_of_two_workers():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    net = MLPBackpropClassifier((4,), max_iter=6, random_state=0)
    net.set_callbacks(monitor)  # of scikit-learn's callbacks it is not passed on by a search
    GridSearchCV(net, {"lam": [1e-4, 1e-2]}, cv=2, n_jobs=2, refit=False).fit(X, y)
    log = monitor.get_logs().data_as_pandas
    assert (log["task_name"] == "iteration").sum() == 4 * 6


@pytest.mark.parametrize("page", ["callbacks", "persistence"])
def test_the_code_of_the_pages_runs(page, tmp_path, monkeypatch, short_fits):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("rich", reason="the progress bar needs rich")
    pytest.importorskip("skops", reason="the page is about skops too")
    pipe = pipeline().fit(X, y)
    sae = "skl_sae.sparse_autoencoder.SparseAutoencoder"
    pipe = Pipeline(pipe.steps[:2]).fit(X) if page == "persistence" else pipe
    namespace = {"pipe": pipe}
    few = load_digits(return_X_y=True)
    few = few[0][:300], few[1][:300]
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda return_X_y: few)
    text = (Path(__file__).parents[1] / "docs" / f"{page}.rst").read_text()
    blocks = re.findall(r".. code-block:: python\n\n((?:    .*\n|\n)+)", text)
    assert len(blocks) >= 2
    for block in blocks:
        exec(textwrap.dedent(block), namespace)
    if page == "persistence":
        import skops.io

        assert skops.io.get_untrusted_types(file="model.skops") == [sae]


# -- checkpoints ---------------------------------------------------------------------------


def test_checkpoints_hold_the_estimator_as_if_the_fit_had_stopped(tmp_path):
    path, seen = tmp_path / "sae.joblib", []

    class Look(Record):
        def on_fit_task_end(self, estimator, context):
            if path.exists():
                seen.append(joblib.load(path))

    sae = SparseAutoencoder(3, max_iter=25, random_state=0)
    sae.set_callbacks(Checkpoint(path, every=10), Look()).fit(X)
    assert sorted({saved.n_iter_ for saved in seen}) == [10, 20, 25]
    shorter = clone(sae).set_callbacks().set_params(max_iter=10).fit(X)
    np.testing.assert_array_equal(seen[0].transform(X), shorter.transform(X))
    assert not [name for name in vars(seen[0]) if "callback" in name]
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(joblib.load(path).transform(X), sae.transform(X))


def test_a_checkpoint_goes_on(tmp_path):
    path = tmp_path / "net.joblib"
    net = MLPBackpropClassifier((), random_state=0, tol=1e-7)
    whole = clone(net).fit(X, y)
    stop = Record(stop=lambda context, n_ended: n_ended == 10)
    net.set_callbacks(Checkpoint(path, every=5), stop).fit(X, y)
    saved = joblib.load(path)
    assert saved.n_iter_ == 10
    resumed = saved.set_params(warm_start=True).fit(X, y)
    assert resumed.loss_ == pytest.approx(whole.loss_, abs=1e-9)


@pytest.mark.parametrize("every", [0, -1, 2.5, "10", True])
def test_every_is_a_positive_whole_number(every):
    with pytest.raises(ValueError, match="every must be a positive number"):
        Checkpoint("x", every=every)


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "old.joblib"
    save(SparseAutoencoder(3, max_iter=2).fit(X), path)
    old = path.read_bytes()

    class Unpicklable:
        def __reduce__(self):
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        save([np.zeros(10**6), Unpicklable()], path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import sys
import numpy as np
from sklearn.datasets import load_digits, load_iris
from skl_sae import MLPBackpropClassifier
from skl_sae.callbacks import Checkpoint
X, y = load_iris(return_X_y=True)
net = MLPBackpropClassifier((), tol=0, max_iter=10**6, lam=1e-3, random_state=0)
print("ready", flush=True)
while True:
    net.set_callbacks(Checkpoint(sys.argv[1], every=1)).fit(X, y)
"""


def kill_while_it_saves(path, seconds):
    """Kill a process that writes checkpoints all the time."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", KILLED, path], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    while not (path.exists() and path.stat().st_mtime_ns > before):
        assert process.poll() is None
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_the_file_outlives_kills(tmp_path):
    """``SKL_SAE_KILLS=200`` does it so many times."""
    path, rng = tmp_path / "net.joblib", np.random.default_rng(0)
    whole = MLPBackpropClassifier((), tol=1e-7, lam=1e-3, random_state=0).fit(X, y)
    for _ in range(int(os.environ.get("SKL_SAE_KILLS", 3))):
        kill_while_it_saves(path, rng.uniform(0, 0.1))
        saved = joblib.load(path)
        resumed = saved.set_params(warm_start=True, tol=1e-7).fit(X, y)
        assert resumed.loss_ <= whole.loss_ + 1e-6
    leftovers = [p for p in Path(tmp_path).iterdir() if p != path]
    assert all(p.suffix == ".part" for p in leftovers)


def test_frozen_autoencoders_get_no_callbacks():
    sae = SparseAutoencoder(4, max_iter=5).fit(X)
    record = Propagated()
    net = MLPBackpropClassifier(
        (4,), activation="logistic", max_iter=5, pretraining=FrozenEstimator(sae)
    )
    net.set_callbacks(record).fit(X, y)
    assert {c.estimator_name for _, c in record.log} == {"MLPBackpropClassifier"}
    assert "_skl_callbacks" not in vars(sae)
