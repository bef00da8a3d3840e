"""One evaluation of the objective on a Dask cluster against the same rows in this process.

    python benchmarks/bench_dask.py [--rows 1000000] [--workers 1 2 4] [--threads 2] [--rounds 7]

Random rows of 64 float32 values, an autoencoder 64 → 25, value and gradient at one theta. The
workers are processes on this machine, each with so many threads; this process uses as many.
Both sides are timed in turn; figures are medians.

- cluster / local: the ratio of the times of an evaluation;
- overhead: an evaluation on as many chunks that have ten rows each, which is the price of the
  scheduler, the messages and the tasks; its share is that of the cluster's time.

Goal on one worker with two threads and a million rows: at most 1.25 times the local time.
"""

from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from shared.command import parser
from shared.measure import in_turn, seconds
from shared.report import Section, tell
from skl_sae import SparseAutoencoder

SIZES = (64, 25)


def random_rows(n_rows, n_chunks):
    """A dask array."""
    import dask.array as da

    rng = da.random.default_rng(0)
    chunks = (-(-n_rows // n_chunks), SIZES[0])
    return rng.random((n_rows, SIZES[0]), dtype=np.float32, chunks=chunks)


def evaluation(X, n_threads=1):
    """An evaluation at a random theta, as a function without arguments."""
    from dataclasses import replace

    objective, _ = SparseAutoencoder(SIZES[1])._prepare(X)
    objective = objective.on(replace(objective.rows, n_threads=n_threads))
    theta = objective.network.initialise(np.random.default_rng(0))
    return partial(objective, theta)


def measure(options, n_workers):
    """A row of the table."""
    from distributed import Client, LocalCluster

    n_chunks = options.chunks or 2 * options.threads * n_workers
    with (
        LocalCluster(
            n_workers=n_workers, threads_per_worker=options.threads, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
        threadpool_limits(1, "blas"),
    ):
        X = random_rows(options.rows, n_chunks)
        runs = {
            "local": evaluation(X.compute(), options.threads),
            "cluster": evaluation(X),
            "overhead": evaluation(random_rows(10 * n_chunks, n_chunks)),
        }
        value, gradient = runs["local"]()
        found, slopes = runs["cluster"]()
        assert abs(found - value) < 1e-5 * value
        assert np.abs(slopes - gradient).max() < 1e-5
        calls = {name: partial(seconds, run) for name, run in runs.items()}
        times = in_turn(calls, options.rounds)
    local, remote, overhead = (np.median(t) for t in times.values())
    return {
        "workers": n_workers,
        "threads each": options.threads,
        "chunks": n_chunks,
        "local, ms": 1e3 * float(local),
        "cluster / local": float(remote / local),
        "overhead, ms": 1e3 * float(overhead),
        "its share": float(overhead / remote),
        "KiB of theta and back": 2 * gradient.nbytes / 1024,
    }


def parse():
    command = parser(__doc__, "threads", "rounds")
    command.set_defaults(rounds=7)
    command.add_argument("--rows", type=int, default=1_000_000)
    command.add_argument("--workers", type=int, nargs="+", default=[1])
    command.add_argument("--chunks", type=int, help="two for each thread if not given")
    return command.parse_args()


def measured(options):
    title = "One evaluation, {:,} × {} → {} float32".format(options.rows, *SIZES)
    yield Section(title, [measure(options, n) for n in options.workers])


def main():
    options = parse()
    tell(measured(options), options.threads)


if __name__ == "__main__":
    main()
