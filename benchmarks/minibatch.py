"""Mini-batches: is the default adam as good as scikit-learn's, and how much sooner?

    python benchmarks/minibatch.py accuracy [--data DIR] [--only NAME ...] [--params lam=1e-4 ...]
    python benchmarks/minibatch.py units
    python benchmarks/minibatch.py epoch race autoencoder combined --data DIR [--threads 1]

DIR holds ``fashion_mnist.npz`` and ``mnist10k.npz``; data that are missing are left out, and so is
PyTorch. ``accuracy``: mean test accuracy of ``MLPBackpropClassifier(solver="adam")`` and of
scikit-learn's ``MLPClassifier()`` on bundled tables, 3/10 of the rows held out, standardised,
five seeds; with ``--data`` on the images too, once. ``epoch``: seconds of an epoch of "sgd" and of
scikit-learn's. ``race``: seconds until the test accuracy that scikit-learn's adam has after 3, 6,
12 and 20 epochs, with its defaults or with ``learning_rate_init=3e-3, batch_size=500``, whichever
is sooner. Ours and PyTorch's Adam run with the same schedule over 1, 2, 3, 5, 8, 12, 20 and 30
epochs; the first that is as good counts.
``autoencoder``: a sparse autoencoder 784 → 196, seconds and J at some lengths. ``combined``: does
Adam first and then L-BFGS beat either alone? ``units``: J of a sparse autoencoder of
scikit-learn's digits after 100 epochs of Adam, with and without the units of the parameters, by
step length. All of one comparison run in turn, on the same rows in float32.
"""

import time
import warnings
from itertools import chain
from statistics import median

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from shared import tables
from shared.command import parser, settings, wanted
from shared.coordinates import seen
from shared.report import Section, installed, tell
from skl_sae import MLPBackpropClassifier, SparseAutoencoder

EPOCHS = (1, 2, 3, 5, 8, 12, 20, 30)
THEIR_EPOCHS = (3, 6, 12, 20)
STEPS = (0.003, 0.01, 0.03, 0.1)
THEIRS = ({}, {"learning_rate_init": 3e-3, "batch_size": 500})
SLOW = {"circles", "quantiles", "signs"}


def parse():
    command = parser(__doc__, "data", "only", "params", "rounds", "threads", "quick")
    command.add_argument("sections", nargs="+", choices=list(SECTIONS))
    return command.parse_args()


def timed(call, *args):
    """What it returns, and seconds."""
    start = time.perf_counter()
    return call(*args), time.perf_counter() - start


# -- accuracy -------------------------------------------------------------------------------


def split(X, y, seed):
    parts = train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(parts[0])
    return scaler.transform(parts[0]), scaler.transform(parts[1]), *parts[2:]


def scores(splits, params):
    """Pairs of test accuracies and seconds, ours first."""
    for seed, (X, X_test, y, y_test) in enumerate(splits):
        ours = MLPBackpropClassifier(solver="adam", random_state=seed).set_params(**params)
        theirs = MLPClassifier(random_state=seed)
        fits = [timed(net.fit, X, y) for net in (ours, theirs)]
        yield [(net.score(X_test, y_test), took) for net, took in fits]


def accuracy_sets(options):
    """Names and splits: five of each table, and the images as they are split."""
    for name, load in tables.classification().items():
        if name not in SLOW:
            yield name, (split(*load(), seed) for seed in range(1 if options.quick else 5))
    for name, X, y, X_test, y_test in image_sets(options):
        yield name, [(X, X_test, y, y_test)]


def accuracy(options):
    table = []
    for name, splits in accuracy_sets(options):
        if wanted(name, options):
            found = scores(splits, settings(options.params))
            ours, theirs = np.mean(list(found), axis=0)
            row = {
                "ours": ours[0],
                "scikit-learn": theirs[0],
                "points": 100 * (ours[0] - theirs[0]),
            }
            table.append({"data": name, **row, "s, ours": ours[1], "s, scikit-learn": theirs[1]})
            print(table[-1], flush=True)
    yield Section("Test accuracy of default fits by adam", table)


# -- time -----------------------------------------------------------------------------------


def image_sets(options):
    """Names, and rows to fit and to test as float32."""
    if options.data:
        for name, file in (("Fashion-MNIST", "fashion_mnist.npz"), ("digits", "mnist10k.npz")):
            data = np.load(options.data / file)
            X, y = (data["X"] / 255).astype(np.float32), data["y"].astype(int)
            n = int(data["n_train"])
            if n == 0:  # sorted by label
                order = np.random.default_rng(0).permutation(len(X))
                X, y, n = X[order], y[order], 4 * len(X) // 5
            yield name, X[:n], y[:n], X[n:], y[n:]


def wide_sets():
    """Generated tables of many columns."""
    for n_features, n_classes in ((500, 5), (2000, 10)):
        X, y = make_classification(
            12_000, n_features, n_informative=40, n_classes=n_classes, random_state=0
        )
        X = StandardScaler().fit_transform(X).astype(np.float32)
        yield f"{n_features} columns", X[:10_000], y[:10_000], X[10_000:], y[10_000:]


def _of_an_epoch(net, X, y):
    """Seconds of an epoch: of a fit of four epochs less a fit of one, over three."""
    short, long = (timed(net.set_params(max_iter=n).fit, X, y)[1] for n in (1, 4))
    return (long - short) / 3


def epoch(options):
    table = []
    for name, X, y, *_ in image_sets(options):
        for size in (32, 200, 1000):
            common = {"batch_size": size, "random_state": 0, "solver": "sgd"}
            ours = MLPBackpropClassifier((100,), learning_rate=0.1, **common)
            theirs = MLPClassifier((100,), learning_rate_init=0.1, **common)
            took = [
                [_of_an_epoch(net, X, y) for net in (ours, theirs)] for _ in range(options.rounds)
            ]
            a, b = np.median(took, axis=0)
            table.append(
                {"data": name, "rows a batch": size, "s, ours": a, "scikit-learn ÷ ours": b / a}
            )
            print(table[-1], flush=True)
    yield Section("An epoch of sgd, 784-100-10", table)


def their_curve(net, X, y, X_test, y_test):
    """Seconds and test accuracy of scikit-learn's after some epochs of one fit."""
    net.set_params(warm_start=True, max_iter=1)
    seconds, found = 0.0, {}
    for n in range(1, max(THEIR_EPOCHS) + 1):
        seconds += timed(net.fit, X, y)[1]
        if n in THEIR_EPOCHS:
            found[n] = seconds, net.score(X_test, y_test)
    return found


def our_runs(activation, X, y, X_test, y_test):
    for n in EPOCHS:
        net = MLPBackpropClassifier(
            (100,), activation=activation, solver="adam", max_iter=n, random_state=0
        )
        took = timed(net.fit, X, y)[1]
        yield took, net.score(X_test, y_test)


def torch_runs(activation, X, y, X_test, y_test, threads):
    """PyTorch's Adam with the same schedule, on tensors that are there before the clock starts."""
    import torch

    torch.set_num_threads(threads)
    X, y, X_test = torch.from_numpy(X), torch.from_numpy(y), torch.from_numpy(X_test)
    act = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[activation]
    for n in EPOCHS:
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 100), act(), torch.nn.Linear(100, int(y.max()) + 1)
        )
        took = timed(_torch_fit, torch, net, X, y, n)[1]
        with torch.no_grad():
            yield took, float((net(X_test).argmax(1).numpy() == y_test).mean())


def _torch_fit(torch, net, X, y, n_epochs, batch=200, rate=0.01):
    from skl_sae.backprop.descent import annealed

    adam, loss = torch.optim.Adam(net.parameters(), lr=rate), torch.nn.CrossEntropyLoss()
    n_batches, step = -(-len(X) // batch), 0
    for _ in range(n_epochs):
        for at in torch.randperm(len(X)).chunk(n_batches):
            adam.param_groups[0]["lr"] = rate * annealed((step + 0.5) / (n_epochs * n_batches))
            step += 1
            adam.zero_grad()
            loss(net(X[at]), y[at]).backward()
            adam.step()


def first(runs, target):
    """Seconds of the first run that is as good; infinite if none is."""
    return min((took for took, score in runs if score >= target), default=np.inf)


def raced(options, activation, data):
    """For each number of their epochs: their seconds, ours and PyTorch's."""
    nets = [MLPClassifier((100,), activation=activation, random_state=0, **p) for p in THEIRS]
    curves = [their_curve(net, *data) for net in nets]
    ours = list(our_runs(activation, *data))
    peer = installed("torch")
    peers = list(torch_runs(activation, *data, options.threads)) if peer else []
    for n in THEIR_EPOCHS:
        target = max(curve[n][1] for curve in curves)
        theirs = min(s for curve in curves for s, score in curve.values() if score >= target)
        yield n, target, theirs, first(ours, target), first(peers, target) if peer else None


def race(options):
    table = []
    for name, *data in chain(image_sets(options), wide_sets()):
        for activation in ("relu", "tanh"):
            if not wanted(f"{name} {activation}", options):
                continue
            for n, target, theirs, ours, peer in raced(options, activation, data):
                row = {"data": name, "f": activation, "epochs": n, "accuracy": target}
                row |= {"s, ours": ours, "scikit-learn ÷ ours": theirs / ours}
                table.append(row | {"PyTorch ÷ ours": None if peer is None else peer / ours})
                print(table[-1], flush=True)
    ratios = [row["scikit-learn ÷ ours"] for row in table]
    note = f"scikit-learn ÷ ours: median {median(ratios):.3g}, least {min(ratios):.3g}"
    yield Section("Seconds to scikit-learn's test accuracy", table, note)


def autoencoder(options):
    for _, X, *_ in image_sets(options):
        fits = []
        for n in EPOCHS[:6]:
            sae = SparseAutoencoder(196, rho=0.1, solver="adam", max_iter=n, random_state=0)
            fits.append(("adam", *timed(sae.fit, X)))
        for n in (20, 40, 80):
            sae = SparseAutoencoder(196, rho=0.1, max_iter=n, random_state=0)
            fits.append(("lbfgs", *timed(sae.fit, X)))
        rows = [
            {"solver": name, "max_iter": sae.max_iter, "J": sae.loss_, "seconds": took}
            for name, sae, took in fits
        ]
        yield Section("Fashion-MNIST, sparse autoencoder 784 → 196", rows)
        return


PLANS = {
    "adam first": [("adam", 1), ("lbfgs", 50)],
    "adam alone": [("adam", 3)],
    "L-BFGS alone": [("lbfgs", 50), ("lbfgs", 100)],
}


def followed(model, plan, epochs, *data):
    """J and seconds after each part of a plan, in which every fit goes on from the one before."""
    model, seconds = clone(model).set_params(warm_start=True, random_state=0), 0.0
    for solver, n in plan:
        model.set_params(solver=solver, max_iter=n * epochs if solver == "adam" else n)
        seconds += timed(model.fit, *data)[1]
        yield solver, model.loss_, seconds


def combined(options):
    """Sparse autoencoders and classifiers of 6,000 images and of scikit-learn's digits."""
    digits = load_digits()
    sets = [
        ("scikit-learn's digits", (digits.data / 16).astype(np.float32), digits.target, 50, 100)
    ]
    sets += [(name, X[:6000], y[:6000], 100, 15) for name, X, y, *_ in image_sets(options)]
    rows = []
    for name, X, y, n_units, epochs in sets:
        net = MLPBackpropClassifier((n_units,), activation="tanh")
        for model, data in ((SparseAutoencoder(n_units), (X,)), (net, (X, y))):
            for plan, parts in PLANS.items():
                for solver, value, seconds in followed(model, parts, epochs, *data):
                    row = {"data": name, "model": type(model).__name__, "plan": plan}
                    rows.append(row | {"after": solver, "J": value, "seconds": seconds})
    yield Section("Adam first, then L-BFGS", rows)


def units(options):
    X = (load_digits().data / 16).astype(np.float32)
    adam = {"solver": "adam", "max_iter": 10 if options.quick else 100, "random_state": 0}
    rows = []
    for step in STEPS:
        sae = SparseAutoencoder(**adam, learning_rate=step)
        ours = sae.fit(X).loss_
        with seen(unit=1.0):
            rows.append({"step": step, "J, units": ours, "J, none": sae.fit(X).loss_})
    lowest = SparseAutoencoder(random_state=0).fit(X).loss_
    yield Section("Adam with and without the units", rows, f"L-BFGS: J {lowest:.3g}")


SECTIONS = {
    "accuracy": accuracy,
    "epoch": epoch,
    "race": race,
    "autoencoder": autoencoder,
    "combined": combined,
    "units": units,
}


def main():
    options = parse()
    warnings.simplefilter("ignore")
    with threadpool_limits(options.threads, "blas"):
        sections = (s for name in options.sections for s in SECTIONS[name](options))
        tell(sections, options.threads)


if __name__ == "__main__":
    main()
