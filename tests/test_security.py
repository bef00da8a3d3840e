"""The package runs no code from data, opens no connection, and loads no file by itself."""

import ast
import subprocess
import sys

import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from test_architecture import FILES, imports, module_name

from skl_sae import SparseAutoencoder

STANDARD = {
    "_thread",
    "collections",
    "concurrent",
    "contextlib",
    "contextvars",
    "copy",
    "dataclasses",
    "datetime",
    "fractions",
    "functools",
    "inspect",
    "itertools",
    "math",
    "numbers",
    "operator",
    "os",
    "pathlib",
    "queue",
    "re",
    "sys",
    "textwrap",
    "threading",
    "time",
    "typing",
    "uuid",
    "warnings",
    "weakref",
}
INSTALLED = {"joblib", "numpy", "scipy", "sklearn", "threadpoolctl"}
OPTIONAL = {"dask", "distributed", "matplotlib", "onnx", "onnxruntime", "pandas", "skl2onnx"}
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint", "input", "globals", "locals"}
# What of a module with sharp edges is used, and where.
ATTRIBUTES = {"os": {"callbacks": {"fsync"}}, "joblib": {"callbacks": {"dump"}}}
ATTRIBUTES["os"] |= {"_threads": {"register_at_fork"}, "backprop.threads": {"getpid"}}
ATTRIBUTES["sys"] = {"_versioned": {"modules"}, "_warn": {"_getframe"}}
METHODS = {"load", "loads", "dumps", "system", "popen", "fromfile", "allow_pickle", "tofile"}


def problems(name, code):
    """What a file should not do, a line each."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and node.id in CALLS:
            yield f"{name}:{node.lineno} {node.id}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            yield f"{name}:{node.lineno} allow_pickle"
        if isinstance(node, ast.Attribute):
            owner = getattr(node.value, "id", None)
            allowed = ATTRIBUTES.get(owner, {}).get(name, set())
            if (owner in ATTRIBUTES and node.attr not in allowed) or node.attr in METHODS:
                yield f"{name}:{node.lineno} {owner}.{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_pickle_eval_exec_or_network(path):
    modules = {m.split(".")[0] for m in imports(path) if not m.startswith(".")}
    assert modules <= STANDARD | INSTALLED | OPTIONAL
    assert not list(problems(module_name(path), path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)",
        "run = exec",
        "joblib.load(path)",
        "os.system(text)",
        "np.load(path, allow_pickle=True)",
        "model = other.loads(data)",
    ],
)
def test_the_walk_sees_what_it_looks_for(code):
    assert list(problems("callbacks", code))


FITS_UNDER_AUDIT = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
import skl_sae
from skl_sae.callbacks import save
events = []
def audit(event, arguments):
    dangerous = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "pickle.",
                 "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "shutil.", "marshal.")
    if event.startswith(dangerous) or (event == "open" and set("wax+") & set(str(arguments[1]))):
        events.append((event, arguments))
X, y = np.random.default_rng(0).uniform(size=(60, 5)), np.arange(60) % 3
sae = skl_sae.SparseAutoencoder(2, max_iter=3).fit(X)  # what scikit-learn imports late
sys.addaudithook(audit)
sae = skl_sae.SparseAutoencoder(2, max_iter=3).fit(X)
sae.predict(sae.inverse_transform(sae.transform(X)))
net = skl_sae.MLPBackpropClassifier((2,), max_iter=3, early_stopping=True).fit(X, y)
net.predict_proba(X), net.score(X, y)
skl_sae.MLPBackpropRegressor((2,), max_iter=3).fit(X, y)
skl_sae.ZCAWhitening().fit_transform(X)
assert not events, events
save(sae, sys.argv[1])
assert {event for event, _ in events} == {"open"}, events
"""


def test_fits_open_no_file_no_connection_and_start_no_process(tmp_path):
    """As Python itself reports it; saving opens the file for writing."""
    path = tmp_path / "sae.joblib"
    subprocess.run([sys.executable, "-c", FITS_UNDER_AUDIT, path], check=True, timeout=100)


class Foreign(BaseEstimator):
    """What a file of someone else may hold."""


def test_skops_refuses_what_was_not_trusted():
    skops = pytest.importorskip("skops.io", reason="skops saves without pickle")
    sae = SparseAutoencoder(2, random_state=0).fit(load_iris().data / 8)
    own = "skl_sae.sparse_autoencoder.SparseAutoencoder"
    assert skops.get_untrusted_types(data=skops.dumps(sae)) == [own]
    sae.mean_activation_ = Foreign()
    saved = skops.dumps(sae)
    assert len(skops.get_untrusted_types(data=saved)) == 2
    for trusted in ([], [own]):
        with pytest.raises(Exception, match=r"[Uu]ntrusted"):
            skops.loads(saved, trusted=trusted)
