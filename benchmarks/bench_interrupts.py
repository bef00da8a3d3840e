"""Seconds from an interrupt (Ctrl-C) to the `KeyboardInterrupt` that fit raises, by size.

    python benchmarks/bench_interrupts.py [--interrupts 20] [--only TEXT] [--json FILE]

Each case is fitted in a process of its own, without an end; it is sent SIGINT at random moments
of the first iterations, fits anew after each, and tells when the exception was caught. A fit
has to end what it calls at that moment: a block of each thread, or a step of SciPy, which in
L-BFGS grows with the number of weights and biases. Takes a quarter of an hour and 16 GiB;
needs POSIX signals.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from functools import partial

import numpy as np

from shared.command import parser, wanted
from shared.report import Section, machine, tell

NOTE = "From the signal to the exception, which leaves the estimator as it was. Goal: below 1 s."


def dense(n_rows, n_features):
    """Random rows."""
    return np.random.default_rng(0).random((n_rows, n_features))


def sparse(n_rows, n_features):
    """Random CSR rows with a thousandth of their entries."""
    from scipy.sparse import random_array

    return random_array((n_rows, n_features), density=0.001, format="csr", rng=0)


def autoencoder(n_components, **options):
    """One whose fit does not end."""
    from skl_sae import SparseAutoencoder

    return SparseAutoencoder(n_components, tol=0, max_iter=10**6, random_state=0, **options)


by_cg = partial(autoencoder, solver="cg")


def search(n_components):
    """A grid search of such fits in two processes."""
    from sklearn.model_selection import GridSearchCV

    return GridSearchCV(autoencoder(n_components), {"lam": [1e-4, 1e-3]}, cv=2, n_jobs=2)


# How to make the estimator and the rows, and the seconds in which the signal comes.
CASES = {
    "1,800 rows, 64 → 25": (autoencoder, 25, dense, 1800, 64, 1),
    "60,000 rows, 784 → 196": (autoencoder, 196, dense, 60_000, 784, 5),
    "grid search in two processes": (search, 196, dense, 20_000, 784, 8),
    "10,000,000 rows, 20 → 25": (autoencoder, 25, dense, 10**7, 20, 15),
    "2,000 rows, 10,000 → 50 (1 million weights)": (autoencoder, 50, dense, 2000, 10_000, 10),
    "2,000 rows, 20,000 → 100 (4 million)": (autoencoder, 100, dense, 2000, 20_000, 20),
    "2,000 rows, 40,000 → 100 (8 million)": (autoencoder, 100, dense, 2000, 40_000, 30),
    "5,000 CSR rows, 100,000 → 5 (1 million)": (autoencoder, 5, sparse, 5000, 10**5, 20),
    "5,000 CSR rows, 100,000 → 100 (20 million)": (autoencoder, 100, sparse, 5000, 10**5, 40),
    "the same, solver='cg'": (by_cg, 100, sparse, 5000, 10**5, 40),
}


def fit_and_tell(name, n_interrupts):
    """Fit a case again and again; print when a fit begins and when an interrupt is caught."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    make, n_components, rows, n_rows, n_features, _ = CASES[name]
    estimator, X = make(n_components), rows(n_rows, n_features)
    for _ in range(n_interrupts):
        try:
            print("begins", flush=True)
            estimator.fit(X)
        except KeyboardInterrupt:
            print(time.monotonic(), flush=True)


def latencies(name, n_interrupts):
    """Seconds from each signal to the exception."""
    *_, window = CASES[name]
    command = [sys.executable, "-W", "ignore", __file__, "--child", name]
    command += ["--interrupts", str(n_interrupts)]
    found, rng = [], random.Random(0)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        for _ in range(n_interrupts):
            assert child.stdout.readline() == "begins\n"
            time.sleep(rng.uniform(0.1, window))
            sent = time.monotonic()
            os.killpg(child.pid, signal.SIGINT)
            found.append(float(child.stdout.readline()) - sent)
    return found


def measure(name, n_interrupts):
    """A row of the table."""
    found = latencies(name, n_interrupts)
    row = {"fit": name, "median s": statistics.median(found), "worst s": max(found)}
    print(*row.values(), flush=True)
    return row


def step_of_scipy(n_weights=5_000_000, history_size=10):
    """Median seconds between two evaluations by L-BFGS with a full history, per million."""
    from scipy.optimize import minimize

    scales, steps, left = np.linspace(1, 100, n_weights), [], time.perf_counter()

    def quadratic(x):
        nonlocal left
        steps.append(time.perf_counter() - left)
        gradient = scales * x
        value = gradient @ x / 2
        left = time.perf_counter()
        return value, gradient

    options = {"maxcor": history_size, "maxiter": 4 * history_size}
    minimize(quadratic, np.ones(n_weights), jac=True, method="L-BFGS-B", options=options)
    return statistics.median(steps[-2 * history_size :]) / n_weights * 1e6


def parse():
    command = parser(__doc__, "only", "json")
    command.add_argument("--interrupts", type=int, default=20)
    command.add_argument("--child", help=argparse.SUPPRESS)
    return command.parse_args()


def measured(options):
    """The table, then a line, then the file."""
    rows = [measure(name, options.interrupts) for name in CASES if wanted(name, options)]
    yield Section("Interrupts", rows, NOTE)
    print(f"A step of SciPy's L-BFGS takes {step_of_scipy():.2g} s per million weights.")
    if options.json:
        facts = {"machine": machine(os.cpu_count()), "rows": rows}
        options.json.write_text(json.dumps(facts, indent=1))


def main():
    options = parse()
    if options.child:
        fit_and_tell(options.child, options.interrupts)
    else:
        tell(measured(options), os.cpu_count())


if __name__ == "__main__":
    main()
