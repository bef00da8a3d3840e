"""Memory, time against the number of rows, and import: sections of the comparison.

Each figure comes from a fresh Python process.
"""

import os
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from shared.measure import fresh, in_turn, kib
from shared.report import Section

SIZES = (64, 25)
MEMORY_NOTE = (
    "Peak resident memory during fit beyond what is there before it, X and all modules "
    "included; medians. Of ours the {:.1f} MiB of the vectors of L-BFGS are part of it. Goal: "
    "at most 64 MiB."
)
ROWS_NOTE = "L-BFGS on all rows, {} iterations. Goal: ten times the rows take at most 10.5 times."
IMPORT_NOTE = "Beyond what is imported already; medians. Goal: at most 15 ms."


def model_of(name, max_iter):
    """A contender by name."""
    if name == "scikit-learn":
        from sklearn.neural_network import MLPRegressor

        return MLPRegressor(
            hidden_layer_sizes=SIZES[1:], activation="logistic", solver="lbfgs", max_iter=max_iter
        )
    from skl_sae import SparseAutoencoder

    grows = name == "ours, growing samples"
    return SparseAutoencoder(SIZES[1], growing_samples=grows, max_iter=max_iter, tol=0)


def fit(name, n_rows, max_iter, threads, before=lambda: None):
    """A few iterations on random rows; the model, the seconds, and what ``before()`` gave."""
    X = np.random.default_rng(0).random((n_rows, SIZES[0]), dtype=np.float32)
    data = (X, X) if name == "scikit-learn" else (X,)
    with warnings.catch_warnings(action="ignore"), threadpool_limits(threads, "blas"):
        model_of(name, 1).fit(*(part[:1000] for part in data))  # imports, threads
        noted, start = before(), time.perf_counter()
        model = model_of(name, max_iter).fit(*data)
    return model, time.perf_counter() - start, noted


def peak_mib(name, n_rows, max_iter, threads):
    """Peak memory of a fit beyond that before it."""
    before = fit(name, n_rows, max_iter, threads, before=lambda: kib("VmRSS"))[2]
    return (kib("VmHWM") - before) / 1024


def per_iteration(n_rows, max_iter, threads):
    """Seconds, and evaluations, of an iteration on all rows."""
    model, seconds, _ = fit("ours", n_rows, max_iter, threads)
    return seconds / model.n_iter_, model.n_evaluations_ / model.n_iter_


def memory(options):
    """The comparison's section."""
    if not Path("/proc/self/status").exists():
        print("memory: there is no /proc/self/status: left out")
        return
    n_rows = 50_000 if options.quick else 1_000_000
    names = {"ours": 5, "ours, growing samples": 100, "scikit-learn": 3}
    rows = []
    for name, max_iter in names.items():
        peaks = [
            fresh(__name__, "peak_mib", name, n_rows, max_iter, options.threads)
            for _ in range(options.rounds)
        ]
        rows.append({"contender": name, "MiB": float(np.median(peaks))})
    rows.append({"contender": "(X itself)", "MiB": n_rows * SIZES[0] * 4 / 2**20})
    d, h = SIZES
    vectors = 8 * (2 * d * h + d + h) * (2 * 10 + 5) / 2**20  # ten pairs of steps, and five more
    title = f"Memory of fit, {n_rows:,} × {d} → {h} float32"
    yield Section(title, rows, MEMORY_NOTE.format(vectors))


def rows(options):
    """The comparison's section: time per iteration against the number of rows."""
    few, max_iter = (5_000 if options.quick else 100_000), 20
    run = partial(fresh, __name__, "per_iteration")
    calls = {n: partial(run, n, max_iter, options.threads) for n in (few, 10 * few)}
    found = in_turn(calls, max(3, options.rounds))
    times = {n_rows: np.array(runs)[:, 0] for n_rows, runs in found.items()}
    table = [
        {
            "rows": f"{n_rows:,}",
            "ms an iteration": 1e3 * float(np.median(times[n_rows])),
            "evaluations an iteration": float(np.median(np.array(runs)[:, 1])),
            "ratio": float(np.median(times[n_rows] / times[few])),
        }
        for n_rows, runs in found.items()
    ]
    yield Section(
        "Ten times the rows, {} → {} float32".format(*SIZES), table, ROWS_NOTE.format(max_iter)
    )


def import_ms(before):
    """Milliseconds of ``import skl_sae`` after another import."""
    code = (
        f"import {before}, time; start = time.perf_counter(); import skl_sae; "
        "print(1e3 * (time.perf_counter() - start))"
    )
    # compiled beforehand, as an installed package is
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "skl_sae_pycache")
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=env)
    return float(done.stdout)


def imports(options):
    """The comparison's section: what ``import skl_sae`` adds."""
    modules = "sklearn", "sklearn.decomposition", "sklearn.neural_network"
    calls = {module: partial(import_ms, module) for module in modules}
    import_ms("sklearn")  # compiles
    found = in_turn(calls, 3 if options.quick else 15)
    table = [{"after import": k, "ms": float(np.median(v))} for k, v in found.items()]
    yield Section("import skl_sae", table, IMPORT_NOTE)
