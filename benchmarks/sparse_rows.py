"""Sparse rows against bare sparse products, scikit-learn and PyTorch.

    python benchmarks/sparse_rows.py [--threads 2] [--rounds 5] [--only networks fits ...]

Random CSR rows, all entries equally likely, values from U(0, 1). In each round the contenders
run in turn; figures are medians of the rounds. It takes some ten minutes and 8 GiB of memory.
PyTorch is optional. It gets dense rows, since its sparse ones have no gradient of both products.
"""

import warnings
from dataclasses import replace
from functools import partial
from unittest import mock

import numpy as np
from scipy.sparse import random_array
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from shared.command import parser, wanted
from shared.measure import fresh, in_turn, keep_to, kib, seconds
from shared.report import Section, installed, tell
from skl_sae import MLPBackpropClassifier, SparseAutoencoder
from skl_sae.backprop import objective as objectives
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows

# Rows, columns, density, units.
NETWORKS = [(10_000, 2000, 0.01, 100), (2000, 20_000, 0.01, 100), (1000, 100_000, 0.001, 100)]
EVALUATIONS = [(10_000, 20_000, 0.005, 50), (20_000, 50_000, 0.002, 100)]
FITS = [(40_000, 5000, 0.005, 50)]
DENSITIES = (0.05, 0.1, 0.2)
WIDE = [(10_000, 784, 50), (10_000, 2000, 100), (2000, 20_000, 100)]  # rows, columns, units
KINDS = {"joint": {}, "solved": {"variable_projection": True}, "tied": {"tied": True}}
MEMORY = (20_000, 50_000, 0.002, 100)
LAM, BETA, RHO = 1e-5, 3.0, 0.05
TORCH_BYTES = 2**30  # of the dense rows

NETWORK_NOTE = (
    "Seconds of an iteration of L-BFGS, and of predict_proba, as multiples of scikit-learn's "
    "MLPClassifier; ten classes, logistic units. Goals: at most 1.2."
)
LINEAR_NOTE = (
    "One evaluation of J and its gradient, β = 3, as a multiple of four bare products of SciPy, "
    "two X W and two Xᵀ D; 'solved' has the output layer solved exactly. Goal: at most 3."
)
FIT_NOTE = "One iteration of a fit, J as above, the same multiple. Goal: at most 4.5."
TORCH_NOTE = "One evaluation in float32; PyTorch's of dense rows. Goal: at least 10 times faster."
MEMORY_NOTE = (
    "Peak resident memory during a fit beyond what is there before it. Goal: at most "
    "4 n_params × 8 bytes × (history + 5) + 256 MiB."
)


def rows_of(case, dtype=float, scale=1):
    """CSR rows of a case; ``scale`` shrinks their number."""
    n_rows, n_columns, density, _ = case
    shape = max(20, n_rows // scale), n_columns
    return random_array(shape, density=density, format="csr", dtype=dtype, rng=0)


def title(case):
    n_rows, n_columns, density, n_units = case
    return f"{n_rows:,} × {n_columns:,}, {100 * density:g} % → {n_units}"


def per_iteration(model, *data):
    """Seconds of an iteration."""
    with warnings.catch_warnings(action="ignore"):
        return seconds(lambda: model.fit(*data)) / model.n_iter_


def medians(calls, rounds):
    """The median of each call's figures, by name."""
    return {name: float(np.median(found)) for name, found in in_turn(calls, rounds).items()}


class Counting(MLPClassifier):
    """One that counts the evaluations of its objective (a private hook)."""

    def _backprop(self, *args, **options):
        self.n_evaluations_ = getattr(self, "n_evaluations_", 0) + 1
        return super()._backprop(*args, **options)


def networks(options):
    """The networks of both packages."""
    rows = []
    for case in NETWORKS:
        X = rows_of(case, scale=options.scale)
        y = np.arange(X.shape[0]) % 10
        common = {"hidden_layer_sizes": case[3:], "activation": "logistic", "max_iter": 20}
        ours = MLPBackpropClassifier(**common, lam=LAM, growing_samples=False, random_state=0)
        theirs = Counting(**common, alpha=LAM * X.shape[0], solver="lbfgs", random_state=0)
        fits = {
            "ours": lambda ours=ours, X=X, y=y: per_iteration(ours, X, y),
            "theirs": lambda theirs=theirs, X=X, y=y: per_iteration(theirs, X, y),
        }
        fit = medians(fits, options.rounds)
        evaluations = {
            "ours": ours.n_evaluations_ / ours.n_iter_,
            "theirs": theirs.n_evaluations_ / options.rounds / theirs.n_iter_,
        }
        each = {name: fit[name] / evaluations[name] for name in fit}
        calls = {
            "ours": lambda ours=ours, X=X: seconds(lambda: ours.predict_proba(X)),
            "theirs": lambda theirs=theirs, X=X: seconds(lambda: theirs.predict_proba(X)),
        }
        predict = medians(calls, 3 * options.rounds)
        rows.append(
            {
                "rows": title(case),
                "iteration, ms": 1e3 * fit["ours"],
                "÷ scikit-learn": fit["ours"] / fit["theirs"],
                "evaluations of an iteration": evaluations["ours"],
                "scikit-learn's": evaluations["theirs"],
                "for an evaluation ÷ scikit-learn": each["ours"] / each["theirs"],
                "predict, ms": 1e3 * predict["ours"],
                "predict ÷ scikit-learn": predict["ours"] / predict["theirs"],
            }
        )
    yield Section("Networks on CSR rows", rows, NETWORK_NOTE)


def objective_of(case, X, options, **changes):
    """That of a linear autoencoder, and a point."""
    network = Network((X.shape[1], case[3], X.shape[1]), tied=changes.pop("tied", False))
    objective = Objective(
        network,
        Rows(X, n_threads=options.threads),
        "squared_error",
        "identity",
        lam=LAM,
        beta=BETA,
        rho=RHO,
        **changes,
    )
    return objective, objective.reduce(objective.start(np.random.RandomState(0)))


def four_products(case, X):
    """A call that gives the seconds of X W and Xᵀ D, each twice."""
    rng = np.random.default_rng(0)
    W, D = (rng.normal(size=(n, case[3])).astype(X.dtype) for n in X.shape[::-1])

    def products():
        for _ in range(2):
            X @ W
            X.T @ D

    return lambda: seconds(products)


def evaluations(options):
    """Evaluations of linear autoencoders."""
    rows = []
    for case in [*EVALUATIONS, *FITS]:
        X = rows_of(case, scale=options.scale)
        calls = {"bare": four_products(case, X)}
        for name, changes in KINDS.items():
            objective, theta = objective_of(case, X, options, **changes)
            objective(theta)
            calls[name] = lambda f=objective, theta=theta: seconds(lambda: f(theta))
        found = medians(calls, options.rounds)
        bare = found.pop("bare")
        ratios = {f"{name} ÷ bare": t / bare for name, t in found.items()}
        rows.append({"rows": title(case), "four bare products, ms": 1e3 * bare} | ratios)
    yield Section("Linear autoencoders on CSR rows: an evaluation", rows, LINEAR_NOTE)


def evaluation_from(n_features, objective, theta):
    """Seconds of an evaluation, if sums of small products were used from so many features on."""
    with mock.patch.object(objectives, "LEAN_FROM", n_features):
        return seconds(lambda: objective(theta))


def wide(options):
    """Evaluations of linear autoencoders on dense rows, by sums of small products or by blocks."""
    rows = []
    for n_rows, n_columns, n_units in WIDE:
        X = np.random.default_rng(0).random((n_rows // options.scale, n_columns), np.float32)
        row = {"rows": f"{len(X):,} × {n_columns:,} → {n_units}"}
        for name, changes in KINDS.items():
            objective, theta = objective_of((0, 0, 0, n_units), X, options, **changes)
            calls = {
                "lean": partial(evaluation_from, 0, objective, theta),
                "blocks": partial(evaluation_from, np.inf, replace(objective), theta),
            }
            for call in calls.values():
                call()
            found = medians(calls, options.rounds)
            row[f"{name}, lean ÷ blocks"] = found["lean"] / found["blocks"]
        rows.append(row)
    yield Section("Linear autoencoders on wide dense rows: an evaluation", rows)


def density(options):
    """The four bare products, of CSR rows and of the same rows made dense."""
    rows = []
    for share in DENSITIES:
        case = (10_000, 2000, share, 100)
        X = rows_of(case, scale=options.scale)
        calls = {"sparse": four_products(case, X), "dense": four_products(case, X.toarray())}
        found = medians(calls, options.rounds)
        ratio = found["sparse"] / found["dense"]
        ms = {f"{name}, ms": 1e3 * t for name, t in found.items()}
        rows.append({"rows": title(case)} | ms | {"sparse ÷ dense": ratio})
    yield Section("Bare products: from which density on are dense ones faster?", rows)


def fits(options):
    """Iterations of fits."""
    rows = []
    for case in [*FITS, *EVALUATIONS[:1]]:
        X = rows_of(case, scale=options.scale)
        kinds = {
            "joint": {"variable_projection": False},
            "solved": {"variable_projection": True},
            "tied": {"tied_weights": True},
        }
        calls = {"bare": four_products(case, X)}
        for name, params in kinds.items():
            sae = SparseAutoencoder(
                case[3],
                output_activation="identity",
                lam=LAM,
                growing_samples=False,
                max_iter=8,
                random_state=0,
                **params,
            )
            calls[name] = lambda sae=sae, X=X: per_iteration(sae, X)
        found = medians(calls, options.rounds)
        bare = found.pop("bare")
        ratios = {f"{name} ÷ bare": t / bare for name, t in found.items()}
        rows.append({"rows": title(case), "four bare products, ms": 1e3 * bare} | ratios)
    yield Section("Linear autoencoders on CSR rows: an iteration of a fit", rows, FIT_NOTE)


def against_torch(options):
    """Evaluations in float32, of PyTorch on dense rows."""
    if not installed("torch"):
        return
    import torch

    torch.set_num_threads(options.threads)
    rows = []
    for case in [*EVALUATIONS, *FITS]:
        X = rows_of(case, np.float32, options.scale)
        if 4 * np.prod(X.shape) > TORCH_BYTES:
            continue
        objective, theta = objective_of(case, X, options)
        coefs, intercepts = objective.network.unpack(theta.astype(np.float32))
        weights = [torch.from_numpy(p.copy()).requires_grad_() for p in [*coefs, *intercepts]]
        dense = torch.from_numpy(X.toarray())

        def evaluate(weights=weights, dense=dense):
            W1, W2, b1, b2 = weights
            A = torch.sigmoid(torch.addmm(b1, dense, W1))
            misfit = 0.5 * (torch.addmm(b2, A, W2) - dense).square().sum() / len(dense)
            rate = A.mean(0)
            kl = RHO * torch.log(RHO / rate) + (1 - RHO) * torch.log((1 - RHO) / (1 - rate))
            decay = W1.square().sum() + W2.square().sum()
            torch.autograd.grad(misfit + LAM / 2 * decay + BETA * kl.sum(), weights)

        objective(theta)
        calls = {
            "ours": lambda f=objective, theta=theta: seconds(lambda: f(theta)),
            "torch": lambda call=evaluate: seconds(call),
        }
        found = medians(calls, options.rounds)
        ratio = found["torch"] / found["ours"]
        rows.append(
            {"rows": title(case), "ours, ms": 1e3 * found["ours"], "PyTorch ÷ ours": ratio}
        )
    yield Section("Linear autoencoders on CSR rows: against PyTorch", rows, TORCH_NOTE)


def peak(scale, threads, tied):
    """MiB of a fit, beyond what was there, and the number of parameters."""
    X = rows_of(MEMORY, scale=scale)
    sae = SparseAutoencoder(
        MEMORY[3],
        output_activation="identity",
        lam=LAM,
        growing_samples=False,
        tied_weights=tied,
        max_iter=3,
        random_state=0,
    )
    with warnings.catch_warnings(action="ignore"), threadpool_limits(threads, "blas"):
        before = kib("VmRSS")
        sae.fit(X)
    coefs = sae.coefs_[: 1 if tied else 2]
    n_params = sum(part.size for part in [*coefs, *sae.intercepts_])
    return (kib("VmHWM") - before) / 1024, n_params


def memory(options):
    """Peak memory of fits, each in a process of its own."""
    rows = []
    for name, tied in (("of their own", False), ("tied", True)):
        mib, n_params = fresh("sparse_rows", "peak", options.scale, options.threads, tied)
        goal = 4 * n_params * 8 * 15 / 2**20 + 256
        vectors = 8 * n_params / 2**20
        rows.append(
            {
                "decoder's weights": name,
                "peak, MiB": mib,
                "all weights, MiB": vectors,
                "goal, MiB": goal,
            }
        )
    yield Section(f"Memory, {title(MEMORY)}", rows, MEMORY_NOTE)


SECTIONS = {
    "networks": networks,
    "density": density,
    "evaluations": evaluations,
    "wide": wide,
    "fits": fits,
    "torch": against_torch,
    "memory": memory,
}


def main():
    command = parser(__doc__, "threads", "only", "quick")
    command.add_argument("--rounds", type=int, default=5)
    options = command.parse_args()
    options.scale = 20 if options.quick else 1
    keep_to(options.threads)
    names = [name for name in SECTIONS if wanted(name, options)]
    with threadpool_limits(options.threads, "blas"):
        tell((s for name in names for s in SECTIONS[name](options)), options.threads)


if __name__ == "__main__":
    main()
