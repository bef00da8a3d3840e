"""One evaluation of the objective and its gradient against the bare matrix products.

    python benchmarks/bench_objective.py [--threads 2] [--rounds 7] [--json FILE]

For contributors: run it before and after a change. It takes about a minute. All sides use
the same data, dtype and number of threads and are timed in turn; figures are medians over
the rounds, and ratios are taken round by round.

- bare products: the five products of an autoencoder's evaluation on whole arrays, nothing
  else, by NumPy's BLAS;
- with exp: the same and one in-place ``np.exp`` for each activation;
- textbook: value and gradient as the tutorial writes them, on whole arrays;
- torch: the same objective in PyTorch with autograd, if it is installed.
"""

import argparse
import json
import platform
import time

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective

SHAPES = [(60_000, 784, 196), (10_000, 64, 25), (100_000, 192, 400)]
LAM, BETA, RHO = 3e-3, 3.0, 0.1


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
        A.fill(0.5), out.fill(0.5)  # stay finite
        np.exp(A, out=A)
        np.exp(out, out=out)

    return run, run_with_exp


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
    data = torch.from_numpy(X)
    (W1, W2), (b1, b2) = network.unpack(theta)
    params = [torch.from_numpy(p.copy()).requires_grad_() for p in (W1, W2, b1, b2)]

    def run():
        W1, W2, b1, b2 = params
        for p in params:
            p.grad = None
        A = torch.sigmoid(torch.addmm(b1, data, W1))
        Xhat = torch.sigmoid(torch.addmm(b2, A, W2))
        r = A.mean(dim=0)
        kl = RHO * torch.log(RHO / r) + (1 - RHO) * torch.log((1 - RHO) / (1 - r))
        value = ((Xhat - data) ** 2).sum() / 2 / len(data) + BETA * kl.sum()
        value = value + LAM / 2 * ((W1**2).sum() + (W2**2).sum())
        value.backward()
        return value.item(), np.concatenate([p.grad.numpy().ravel() for p in params])

    return run


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(shape, dtype, threads, rounds):
    """Medians of the seconds of each contender, and of the ratios to ours."""
    n, d, h = shape
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, size=(n, d)).astype(dtype)
    network = Network((d, h, d))
    theta = network.initialise(rng)
    ours = Objective(network, X, lam=LAM, beta=BETA, rho=RHO, n_threads=threads)
    small = theta.astype(dtype)
    bare, with_exp = bare_products(X, *network.unpack(small)[0])
    runs = {"bare products": bare, "with exp": with_exp, "textbook": textbook(X, small, network)}
    try:
        runs["torch"] = torch_objective(X, small, network, threads)
    except ImportError:
        print("torch is not installed: left out")
    check(ours(theta), runs)
    times = {name: [] for name in ["ours", *runs]}
    repeat = 20 if n * d * h < 1e8 else 1
    for _ in range(rounds):
        with threadpool_limits(1, "blas"):
            times["ours"].append(seconds(lambda: [ours(theta) for _ in range(repeat)]) / repeat)
        with threadpool_limits(threads, "blas"):
            for name, run in runs.items():
                times[name].append(
                    seconds(lambda run=run: [run() for _ in range(repeat)]) / repeat
                )
    own = np.array(times["ours"])
    return {
        "shape": f"{n:,} × {d} → {h}",
        "dtype": np.dtype(dtype).name,
        "ours_ms": 1e3 * float(np.median(own)),
        "ours / bare products": float(np.median(own / times["bare products"])),
        "ours / with exp": float(np.median(own / times["with exp"])),
        "textbook / ours": float(np.median(times["textbook"] / own)),
        "torch / ours": float(np.median(times["torch"] / own)) if "torch" in times else None,
    }


def check(result, runs):
    """All contenders compute the same value, so that the comparison is of like with like."""
    for name in {"textbook", "torch"} & set(runs):
        value, gradient = runs[name]()
        assert abs(value - result[0]) < 1e-4 * result[0], name
        assert np.abs(np.sort(gradient) - np.sort(result[1])).max() < 1e-4, name


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", help="also write the figures to this file")
    arguments = parser.parse_args()
    rows = []
    for shape in SHAPES:
        for dtype in (np.float32, np.float64):
            rows.append(measure(shape, dtype, arguments.threads, arguments.rounds))
            if len(rows) == 1:
                print("| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
            cells = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in rows[-1].values()]
            print("| " + " | ".join(cells) + " |", flush=True)
    machine = f"{platform.machine()}, {arguments.threads} threads"
    print(f"\nnumpy {np.__version__}, scipy {scipy.__version__}, {machine}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
