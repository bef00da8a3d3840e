"""One evaluation of the objective and its gradient against the bare matrix products.

All sides use the same data, dtype and number of threads and are timed in turn; figures are
medians over the rounds, and ratios are taken round by round.

- bare products: the five products of an autoencoder's evaluation on whole arrays, nothing
  else, by NumPy's BLAS;
- with exp: the same and one in-place ``np.exp`` for each activation;
- textbook (a peer): value and gradient as the tutorial writes them, on whole arrays;
- torch (a peer): the same objective in PyTorch with autograd, if it is installed.
"""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from compare_parts.peers import torch_value, torch_weights
from shared.measure import seconds
from shared.report import Section, installed
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows

SHAPES = [
    (60_000, 784, 196),
    (10_000, 64, 25),
    (100_000, 192, 400),
    (500, 784, 196),
    (2_000, 20_000, 100),
]
LAM, BETA, RHO = 3e-3, 3.0, 0.1
NOTE = (
    "Goals: ours / bare products at most 1.10 for 784 → 196; ours / with exp at most 1.4 for "
    "64 → 25; torch / ours at least 2.0 (64 → 25: 1.5); textbook / ours at least 2.0."
)


def bare_products(X, W1, W2):
    """X W1, A W2, Aᵀ delta, delta W2ᵀ, Xᵀ delta on arrays made beforehand."""
    n, h = len(X), W1.shape[1]
    A, D, out = np.empty((n, h), X.dtype), np.empty((n, h), X.dtype), np.empty_like(X)
    G1, G2 = np.empty_like(W1), np.empty_like(W2)

    def run():
        np.matmul(X, W1, out=A)
        np.matmul(A, W2, out=out)
        np.matmul(A.T, out, out=G2)
        np.matmul(out, W2.T, out=D)
        np.matmul(X.T, D, out=G1)

    def run_with_exp():
        run()
        np.exp(A, out=A)
        np.exp(out, out=out)

    return {"bare products": run, "with exp": run_with_exp}


def textbook(X, theta, network):
    """The tutorial's vectorised code."""

    def sigmoid(Z):
        return 1 / (1 + np.exp(-Z))

    def run():
        (W1, W2), (b1, b2) = network.unpack(theta)
        n = len(X)
        A = sigmoid(X @ W1 + b1)
        Xhat = sigmoid(A @ W2 + b2)
        rho_hat = A.mean(axis=0)
        kl = RHO * np.log(RHO / rho_hat) + (1 - RHO) * np.log((1 - RHO) / (1 - rho_hat))
        value = ((Xhat - X) ** 2).sum() / 2 / n + LAM / 2 * ((W1**2).sum() + (W2**2).sum())
        value += BETA * kl.sum()
        delta3 = (Xhat - X) * Xhat * (1 - Xhat)
        sparsity = BETA * (-RHO / rho_hat + (1 - RHO) / (1 - rho_hat))
        delta2 = (delta3 @ W2.T + sparsity) * A * (1 - A)
        grads = [X.T @ delta2 / n + LAM * W1, A.T @ delta3 / n + LAM * W2]
        return value, network.pack(grads, [delta2.mean(axis=0), delta3.mean(axis=0)])

    return run


def torch_objective(X, theta, network, threads):
    """The same objective with PyTorch's autograd."""
    import torch

    torch.set_num_threads(threads)
    data, weights = torch.from_numpy(X), torch_weights(theta, network)

    def run():
        for p in weights:
            p.grad = None
        value = torch_value(weights, data, LAM, BETA, RHO)
        value.backward()
        return value.item(), np.concatenate([p.grad.numpy().ravel() for p in weights])

    return run


def seconds_of(run, repeat):
    return seconds(lambda: [run() for _ in range(repeat)]) / repeat


def in_turn_for(limit, runs, threads, repeat):
    """Seconds of each run, one after the other, at least three times and for so long.

    Ours shares the rows among threads of its own and needs BLAS held to one.
    """
    times = {name: [] for name in runs}
    end = time.perf_counter() + limit
    while time.perf_counter() < end or len(times["ours"]) < 3:
        for name, run in runs.items():
            time.sleep(0.1)  # until the other's threads wait no longer actively
            with threadpool_limits(1 if name == "ours" else threads, "blas"):
                times[name].append(seconds_of(run, repeat))
    return {name: np.array(t) for name, t in times.items()}


def contenders(shape, dtype, threads, peers):
    """What is timed, by name; all that give a value are checked to give the same."""
    n, d, h = shape
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, size=(n, d)).astype(dtype)
    network = Network((d, h, d))
    theta = network.initialise(rng)
    small = theta.astype(dtype)
    objective = Objective(network, Rows(X, n_threads=threads), lam=LAM, beta=BETA, rho=RHO)
    runs = {"ours": lambda: objective(theta)}
    if peers:
        runs["textbook"] = textbook(X, small, network)
        if installed("torch"):
            runs["torch"] = torch_objective(X, small, network, threads)
    check(runs)
    return runs | bare_products(X, *network.unpack(small)[0])


def check(runs):
    """All compute the same value and gradient: the comparison is of like with like."""
    value, gradient = runs["ours"]()
    for name, run in runs.items():
        found, slopes = run()
        assert abs(found - value) < 1e-4 * value, name
        assert np.abs(np.sort(slopes) - np.sort(gradient)).max() < 1e-4, name


def measure(shape, dtype, threads, limit, peers):
    """A row of the table: medians of our time and of the ratios."""
    repeat = 20 if np.prod(shape) < 1e8 else 1
    times = in_turn_for(limit, contenders(shape, dtype, threads, peers), threads, repeat)
    own = times.pop("ours")
    row = {"shape": "{:,} × {} → {}".format(*shape), "dtype": np.dtype(dtype).name}
    row["rounds"] = len(own)
    row["ours, ms"] = 1e3 * float(np.median(own))
    for name in ("bare products", "with exp"):
        row[f"ours / {name}"] = float(np.median(own / times[name]))
    if peers:
        for name in ("textbook", "torch"):
            row[f"{name} / ours"] = float(np.median(times[name] / own)) if name in times else None
    return row


def measure_all(threads, limit, peers, shapes=SHAPES):
    """The table: every shape in float32 and float64."""
    rows = []
    for shape in shapes:
        for dtype in (np.float32, np.float64):
            rows.append(measure(shape, dtype, threads, limit, peers))
            print(f"{rows[-1]['shape']} {rows[-1]['dtype']}", flush=True)
    return Section("One evaluation of value and gradient", rows, NOTE)


def evaluation(options):
    """The comparison's section."""
    shapes = [(n // 10, d, h) for n, d, h in SHAPES] if options.quick else SHAPES
    limit = 1 if options.quick else 10 * options.rounds
    yield measure_all(options.threads, limit, True, shapes)
