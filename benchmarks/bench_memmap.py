"""A fit from a file that need not fit into memory, against the same rows in memory.

    python benchmarks/bench_memmap.py [--rows 10000000] [--threads 2] [--rounds 3] [--dtype uint8]

Random rows of 64 values are written to a file in blocks, 2.4 GiB of float32 for ten million of
them, and read once, so that the system caches what it can. Then an autoencoder 64 → 25 is
fitted for 20 iterations of L-BFGS on all rows, each fit in a fresh process: to the
memory-mapped file, and to the array that it holds. ``--kinds file`` leaves out the second, for
a machine that has no memory for it; ``--growing`` lets samples of the rows grow as usual.

- seconds an evaluation: those of the fit, validation included, by its evaluations of the
  objective;
- anonymous MiB: the peak of ``RssAnon`` in /proc/self/status (Linux), which leaves the pages of
  mapped files out, beyond what all imports and a fit of 1,000 rows have taken; in memory the
  rows themselves are part of it.

Goals for ten million rows in float32: at most 512 MiB, at most 1.3 times the time.
"""

import tempfile
import threading
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from shared.command import parser
from shared.measure import fresh, in_turn, kib, seconds
from shared.report import Section, tell

SIZES = (64, 25)
BLOCK_ROWS = 100_000


def write(path, n_rows, dtype):
    """A file of random rows: uniform floats, or bytes 0 and 1."""
    rng = np.random.default_rng(0)
    shape = n_rows, SIZES[0]
    file = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    for start in range(0, n_rows, BLOCK_ROWS):
        block = rng.random((min(BLOCK_ROWS, n_rows - start), SIZES[0]), dtype=np.float32)
        file[start : start + BLOCK_ROWS] = block.round() if file.dtype == np.uint8 else block
    file.flush()


def read(path):
    """Read the file once, a block at a time."""
    file = np.load(path, mmap_mode="r")
    for start in range(0, len(file), BLOCK_ROWS):
        file[start : start + BLOCK_ROWS].max()


class Peak:
    """The largest RssAnon while a block of code runs, looked at every few milliseconds."""

    def __enter__(self):
        self.kib, self.ended = 0, threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        return self

    def watch(self):
        while not self.ended.wait(0.005):
            self.kib = max(self.kib, kib("RssAnon"))

    def __exit__(self, *error):
        self.ended.set()
        self.watcher.join()


def fit(kind, path, max_iter, threads, growing):
    """Seconds an evaluation, MiB and evaluations of one fit."""
    from skl_sae import SparseAutoencoder

    options = {"tol": 0, "random_state": 0}
    X = np.load(path, mmap_mode="r")
    with warnings.catch_warnings(action="ignore"), threadpool_limits(threads, "blas"):
        SparseAutoencoder(SIZES[1], max_iter=1, **options).fit(X[:1000])  # imports, threads
        before = kib("RssAnon")
        if kind == "memory":
            X = np.array(X)
        sae = SparseAutoencoder(SIZES[1], max_iter=max_iter, growing_samples=growing, **options)
        with Peak() as peak:
            took = seconds(lambda: sae.fit(X))
    n = sae.n_evaluations_
    return took / n, (peak.kib - before) / 1024, n


def measure(options, path):
    """The table, one row for each kind."""
    arguments = str(path), options.iterations, options.threads, options.growing
    run = partial(fresh, "bench_memmap", "fit")
    found = in_turn({k: partial(run, k, *arguments) for k in options.kinds}, options.rounds)
    columns = "s an evaluation", "anonymous MiB", "evaluations"
    return [
        {"rows from": kind, **dict(zip(columns, np.median(runs, axis=0).tolist()))}
        for kind, runs in found.items()
    ]


def parse():
    command = parser(__doc__, "threads", "rounds")
    command.add_argument("--rows", type=int, default=10_000_000)
    command.add_argument("--dtype", default="float32", choices=["float32", "float64", "uint8"])
    command.add_argument("--iterations", type=int, default=20)
    command.add_argument("--kinds", nargs="+", default=["file", "memory"])
    command.add_argument("--growing", action="store_true")
    command.add_argument("--folder", help="where the file is made for the while")
    return command.parse_args()


def measured(options):
    """The table of a file that is made for the while."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "rows.npy"
        write(path, options.rows, options.dtype)
        read(path)
        mib = path.stat().st_size / 2**20
        rows = measure(options, path)
    title = f"{options.rows:,} × {SIZES[0]} {options.dtype}, {mib:.0f} MiB, → {SIZES[1]}"
    yield Section(title, rows)


def main():
    options = parse()
    tell(measured(options), options.threads)


if __name__ == "__main__":
    main()
