"""A fit on Dask while workers are killed, against the same fit undisturbed.

    python benchmarks/bench_dask_faults.py [--kills 10] [--iterations 200] [--rows 20000]

A scheduler and two workers run as processes of their own on this machine. During the second fit a
worker drawn at random is killed (SIGKILL) and another one started; one to three seconds after that
has joined the next one dies, until so many have. Both fits must end with the same bits.
"""

import random
import subprocess
import sys
import tempfile
import threading
import warnings
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from shared.command import parser
from shared.measure import timed
from skl_sae import SparseAutoencoder

N_WORKERS = 2


class Cluster:
    """Processes of a scheduler and its workers."""

    def __init__(self, folder):
        self.folder, self.file = folder, str(Path(folder) / "scheduler.json")
        self.processes = [self.start("scheduler", "--port", "0")]
        self.processes += [self.worker() for _ in range(N_WORKERS)]

    def start(self, kind, *options):
        module = f"distributed.cli.dask_{kind}"
        common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", self.file]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([sys.executable, "-m", module, *common, *options], **quiet)

    def worker(self):
        options = "--nthreads", "1", "--no-nanny", "--local-directory", self.folder
        return self.start("worker", *options)

    def replace(self, k):
        """Kill the k-th worker and start another one."""
        self.processes[k].kill()
        self.processes[k].wait()
        self.processes[k] = self.worker()

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


def disturb(cluster, client, n_kills, ended, killed):
    """Kill workers until there were so many, or the fit has ended."""
    rng = random.Random(0)
    while len(killed) < n_kills and not ended.wait(rng.uniform(1, 3)):
        killed.append(rng.randint(1, N_WORKERS))
        cluster.replace(killed[-1])
        while len(client.ncores()) < N_WORKERS and not ended.wait(0.1):
            pass


def fit(options):
    """A fit on new data of the same values, and its seconds."""
    import dask.array as da

    X = np.random.default_rng(0).random((options.rows, 64), dtype=np.float32)
    model = SparseAutoencoder(
        25, max_iter=options.iterations, tol=0, growing_samples=False, random_state=0
    )
    return timed(lambda: model.fit(da.from_array(X, chunks=(-(-options.rows // 8), 64))))


def parse():
    command = parser(__doc__)
    command.add_argument("--kills", type=int, default=10)
    command.add_argument("--iterations", type=int, default=200)
    command.add_argument("--rows", type=int, default=20_000)
    return command.parse_args()


def main():
    from distributed import Client

    options = parse()
    warnings.simplefilter("ignore")
    with ExitStack() as stack:
        cluster = Cluster(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.callback(cluster.close)
        client = stack.enter_context(Client(scheduler_file=cluster.file, timeout=60))
        client.wait_for_workers(N_WORKERS, timeout=60)
        expected, seconds = fit(options)
        print(f"undisturbed: {seconds:.1f} s, J = {expected.loss_!r}")
        ended, killed = threading.Event(), []
        killer = threading.Thread(
            target=disturb, args=(cluster, client, options.kills, ended, killed)
        )
        killer.start()
        try:
            found, seconds = fit(options)
        finally:
            ended.set()
            killer.join()
        print(f"{len(killed)} workers killed: {seconds:.1f} s, J = {found.loss_!r}")
        equal = all((a == b).all() for a, b in zip(found.coefs_, expected.coefs_))
        print("the same bits" if equal else "NOT the same weights")


if __name__ == "__main__":
    main()
