"""Time to the same objective: growing samples, the full batch, and PyTorch.

    python benchmarks/bench_fit.py DATA.npz [--task patches|images] [--seconds 30]
                                   [--threads 2] [--json FILE] [--plot FILE]

DATA.npz holds images X (uint8): ``patches`` draws 80,000 patches of 12 × 12 pixels and learns
100 units; ``images`` learns 196 units from all training rows (``n_train``), λ 3e-3, ρ 0.1.
All contenders minimise the same objective of the same float32 data from the same start with
the same number of threads, in turn, each for the given time. Whatever they computed, J on all
rows is what is reported, evaluated by our objective outside the clock.

PyTorch is left out if it is not installed. Its L-BFGS has strong Wolfe line search and the
history of ours; Adam has five settings of learning rate and batch size (at a tenth of the
batches J is a mini-batch's, and ρ̂ is too).
"""

import argparse
import json
import time

import numpy as np
from threadpoolctl import threadpool_limits

from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.solvers import minimise
from skl_sae.base import ROUNDING, _samples

ADAM = [(1e-2, 1000), (3e-3, 1000), (1e-3, 1000), (3e-3, 250), (1e-2, 10_000)]


def patches(images, n_patches=80_000, size=12, seed=0):
    """Random patches with the tutorial's normalisation."""
    rng = np.random.default_rng(seed)
    side = int(np.sqrt(images[0].size))
    images = images.reshape(-1, side, side)
    which = rng.integers(len(images), size=n_patches)
    corners = rng.integers(side - size + 1, size=(2, n_patches))
    X = np.array(
        [
            images[i, r : r + size, c : c + size].ravel()
            for i, r, c in zip(which, *corners, strict=True)
        ],
        dtype=np.float32,
    )
    X -= X.mean(axis=1, keepdims=True)
    limit = 3 * X.std()
    return (np.clip(X, -limit, limit) / limit + 1) * np.float32(0.4) + np.float32(0.1)


def load(path, task):
    """The data, and the objective's parameters."""
    with np.load(path, allow_pickle=False) as data:
        images, n_train = data["X"], int(data["n_train"]) or None
    if task == "patches":
        return patches(images), 100, {"lam": 1e-4, "beta": 3.0, "rho": 0.05}
    X = images[:n_train].reshape(len(images[:n_train]), -1).astype(np.float32) / 255
    return X, 196, {"lam": 3e-3, "beta": 3.0, "rho": 0.1}


class Trace:
    """Points passed and when, the time spent in recording not counted."""

    def __init__(self, seconds):
        self.seconds, self.points, self.lost = seconds, [], 0.0
        self.start = time.perf_counter()

    def __call__(self, n_iter, theta, value):
        """Record theta; True when the time is over."""
        now = time.perf_counter()
        elapsed = now - self.start - self.lost
        if not self.points or elapsed > 1.05 * self.points[-1][0]:  # evenly on a log scale
            self.points.append((elapsed, np.array(theta, dtype=float)))
        self.lost += time.perf_counter() - now
        return elapsed > self.seconds


def ours(objective, theta0, seconds, growing):
    trace = Trace(seconds)
    samples = _samples(objective, np.random.RandomState(0)) if growing else ()
    minimise(
        objective,
        theta0,
        max_iter=100_000 if not growing else 800,
        tol=1e-7,
        eps=ROUNDING[4],
        samples=samples,
        callback=trace,
    )
    return trace.points


def torch_model(X, theta0, network, params):
    """Parameters, and the same objective of some rows."""
    import torch

    data = torch.from_numpy(X)
    (W1, W2), (b1, b2) = network.unpack(theta0.astype(np.float32))
    weights = [torch.from_numpy(p.copy()).requires_grad_() for p in (W1, W2, b1, b2)]
    lam, beta, rho = params["lam"], params["beta"], params["rho"]

    def value(rows):
        W1, W2, b1, b2 = weights
        x = data if rows is None else data[rows]
        A = torch.sigmoid(torch.addmm(b1, x, W1))
        out = torch.sigmoid(torch.addmm(b2, A, W2))
        r = A.mean(dim=0)
        kl = rho * torch.log(rho / r) + (1 - rho) * torch.log((1 - rho) / (1 - r))
        decay = lam / 2 * ((W1**2).sum() + (W2**2).sum())
        return ((out - x) ** 2).sum() / 2 / len(x) + decay + beta * kl.sum()

    def theta():
        return np.concatenate([p.detach().numpy().ravel() for p in weights])

    return weights, value, theta


def torch_lbfgs(X, theta0, network, params, seconds):
    import torch

    weights, value, theta = torch_model(X, theta0, network, params)
    solver = torch.optim.LBFGS(  # ten iterations a call: each call begins with an evaluation
        weights,
        max_iter=10,
        max_eval=1000,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure():
        solver.zero_grad()
        loss = value(None)
        loss.backward()
        return loss

    trace = Trace(seconds)
    while not trace(0, theta(), 0):
        solver.step(closure)
    return trace.points


def torch_adam(X, theta0, network, params, seconds, rate, batch):
    import torch

    weights, value, theta = torch_model(X, theta0, network, params)
    solver = torch.optim.Adam(weights, lr=rate)
    torch.manual_seed(0)
    trace, n_steps = Trace(seconds), 0
    while True:
        for rows in torch.randperm(len(X)).split(batch):
            if n_steps % 10 == 0 and trace(0, theta(), 0):
                return trace.points
            solver.zero_grad()
            value(rows).backward()
            solver.step()
            n_steps += 1


def contenders(objective, theta0, params, seconds):
    """Names and what to run, BLAS held to one thread for ours only."""
    X, network = objective.X, objective.network
    yield "ours, growing samples", lambda: ours(objective, theta0, seconds, True)
    yield "ours, all rows", lambda: ours(objective, theta0, seconds, False)
    try:
        import torch  # noqa: F401
    except ImportError:
        print("torch is not installed: left out")
        return
    yield "torch L-BFGS", lambda: torch_lbfgs(X, theta0, network, params, seconds)
    for rate, batch in ADAM:
        yield (
            f"torch Adam, {rate:g}, {batch}",
            lambda rate=rate, batch=batch: torch_adam(
                X, theta0, network, params, seconds, rate, batch
            ),
        )


def curve(points, objective):
    """Seconds and the lowest J so far."""
    values = np.minimum.accumulate([objective(theta)[0] for _, theta in points])
    return [t for t, _ in points], values.tolist()


def time_to(seconds, values, target):
    """When the objective was first at most the target; None if never."""
    return next((t for t, v in zip(seconds, values, strict=True) if v <= target), None)


def report(curves):
    """For values that ours reaches after 1/10, 1/3 and all of its time: who needs how long."""
    seconds, values = curves["ours, growing samples"]
    targets = [values[int(np.searchsorted(seconds, q * seconds[-1]))] for q in (0.1, 1 / 3)]
    targets.append(values[-1])
    peers = [v[-1] for name, (_, v) in curves.items() if not name.startswith("ours")]
    if peers:
        targets.append(min(peers))
    print("\n| contender | final J | " + " | ".join(f"s to {t:.4g}" for t in targets) + " |")
    print("|---" * (2 + len(targets)) + "|")
    for name, (seconds, values) in curves.items():
        times = [time_to(seconds, values, target) for target in targets]
        cells = [f"{t:.2f}" if t is not None else f"> {seconds[-1]:.0f}" for t in times]
        print(f"| {name} | {values[-1]:.4f} | " + " | ".join(cells) + " |")


def plot(curves, path):
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, (seconds, values) in curves.items():
        ax.loglog(seconds, values, label=name, lw=2 if name.startswith("ours") else 1)
    ax.set(xlabel="seconds", ylabel="lowest objective so far")
    ax.legend()
    fig.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--task", choices=["patches", "images"], default="patches")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    X, n_hidden, params = load(arguments.data, arguments.task)
    network = Network((X.shape[1], n_hidden, X.shape[1]))
    objective = Objective(network, X, **params, n_threads=arguments.threads)
    theta0 = network.initialise(np.random.default_rng(0))
    print(f"{len(X):,} × {X.shape[1]} → {n_hidden}, {params}")
    curves = {}
    for name, run in contenders(objective, theta0, params, arguments.seconds):
        with threadpool_limits(1 if name.startswith("ours") else arguments.threads, "blas"):
            points = run()
        with threadpool_limits(1, "blas"):
            curves[name] = curve(points, objective)
        print(f"{name}: {curves[name][1][-1]:.4f}", flush=True)
    report(curves)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(curves, file)
    if arguments.plot:
        plot(curves, arguments.plot)


if __name__ == "__main__":
    main()
