"""Does pretraining pay? Against random weights in the same time, and with few labels."""

import time

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from course_parts.data import load_images
from course_parts.exercises import (
    LAMS,
    PENALTIES,
    iterations,
    network,
    percent,
    pretrain,
    softmax,
    tuned,
)
from course_parts.pictures import save_curve
from shared.measure import timed

PEERS = [("adam", "relu"), ("adam", "logistic"), ("lbfgs", "relu"), ("lbfgs", "logistic")]
HIDDEN_LAM, EARLY = 1e-5, 30
CHUNK = 200


def peer(options, solver, activation, seed, max_iter=None):
    """scikit-learn's network of the same shape; by itself with as many iterations as ours."""
    return MLPClassifier(
        (200, 200),
        solver=solver,
        activation=activation,
        max_iter=max_iter or iterations(options, 400),
        random_state=seed,
    )


def equal_time(options):
    """Pretraining and fine-tuning against random starts, ours and scikit-learn's.

    Each of them is given the seconds that pretraining and fine-tuning took together, by as
    many iterations as two have shown to fit in; who ends early starts again.
    """
    images = load_images(options)
    (X, y), test = images.train, images.test
    encoders, times = pretrain(options, X)
    model = network(options, encoders)
    _, tuning = timed(lambda: model.fit(X, y))
    budget = sum(times) + tuning
    rows = [_row("pretrained, before fine-tuning", [(model.pretrained_, sum(times), 0)], test)]
    rows.append(_row("pretrained and fine-tuned", [(model, budget, model.n_iter_)], test))
    runs = list(random_starts(options, X, y, budget))
    rows.append(_row("random start, same objective", runs, test))
    for solver, activation in PEERS:
        runs = list(peer_starts(options, solver, activation, X, y, budget))
        rows.append(_row(f"MLPClassifier, {solver}, {activation}", runs, test))
    return rows


def random_starts(options, X, y, budget):
    """Fitted networks with their seconds and iterations, until the budget is spent.

    A run goes on, 200 iterations at a time, until it has converged; then comes another start.
    They run on all rows from the beginning: on growing samples this network gets less far in
    the same time.
    """
    spent, seed = 0.0, options.seed
    while spent < budget:
        params = {"max_iter": CHUNK, "growing_samples": False, "warm_start": True}
        model = network(options, seed=seed, **params)
        seconds, n_iter = 0.0, 0
        while spent + seconds < budget:
            seconds += timed(lambda model=model: model.fit(X, y))[1]
            n_iter += model.n_iter_
            if model.converged_:
                break
        yield model, seconds, n_iter
        spent, seed = spent + seconds, seed + 1


def peer_starts(options, solver, activation, X, y, budget):
    """The same of scikit-learn; each run is one fit."""
    spent, seed = 0.0, options.seed
    while spent < 0.8 * budget:
        trial = peer(options, solver, activation, seed, 2)
        per_iteration = timed(lambda trial=trial: trial.fit(X, y))[1] / trial.n_iter_
        n_iter = int(np.ceil((budget - spent) / per_iteration))
        model = peer(options, solver, activation, seed, n_iter)
        _, seconds = timed(lambda model=model: model.fit(X, y))
        yield model, seconds, model.n_iter_
        spent, seed = spent + seconds, seed + 1


def _row(name, runs, test):
    """The run with the lowest objective; and the best on the test rows, which flatters."""
    scores = [model.score(*test) for model, *_ in runs]
    chosen = int(np.argmin([model.loss_ for model, *_ in runs]))
    return {
        "network": name,
        "starts": len(runs),
        "seconds": float(sum(seconds for _, seconds, _ in runs)),
        "accuracy (lowest J)": percent(scores[chosen]),
        "accuracy (best of the starts)": percent(max(scores)),
        "J (its own)": float(runs[chosen][0].loss_),
        "iterations": int(runs[chosen][2]),
    }


def few_labels(options):
    """Parts of the labels, 1 % and so on; pretraining on all rows, which needs no labels.

    With ``--tune`` every contender's weight decay and iterations, and the penalties of the
    autoencoders, are chosen on a fifth of the labelled rows held out, three times where rows
    are few. What all labels give is the business of `equal_time`.
    """
    images = load_images(options)
    (X, y), test = images.train, images.test
    encoders = []
    for penalties in PENALTIES if options.tune else PENALTIES[:1]:
        fitted, times = pretrain(options, X, penalties=penalties)
        print(f"pretraining took {sum(times):.1f} s", flush=True)
        encoders.append(fitted)
    curves, chosen = {}, {}
    for share in options.shares:
        for draw in range(options.draws):
            rows = labelled_rows(y, share, seed=options.seed + draw)
            start = time.perf_counter()
            results = accuracies(options, X[rows], y[rows], encoders, draw, test)
            for name, accuracy, params in results:
                curves.setdefault(name, {}).setdefault(len(rows), []).append(accuracy)
                chosen.setdefault(name, []).append(params)
            print(f"{len(rows):,} labels: {time.perf_counter() - start:.1f} s", flush=True)
    title = f"{images.title}, pretraining on {len(X):,} rows without labels"
    save_curve(curves, title, options.out / "few_labels.png")
    return [_line(name, by_n, chosen[name][-1]) for name, by_n in curves.items()]


def labelled_rows(y, share, seed):
    """Random rows with each class in proportion, at least ten of each."""
    n = max(round(share * len(y)), 10 * len(np.unique(y)))
    rows, _ = train_test_split(np.arange(len(y)), train_size=n, stratify=y, random_state=seed)
    return rows


def accuracies(options, X, y, encoders, draw, test):
    """(name, test accuracy, what was chosen) of each contender after training on X and y."""
    seed = options.seed + draw
    n_splits = 1 if options.quick or len(y) > 2_000 else 3
    for name, model, grid in contenders(options, encoders, len(y), seed):
        model = tuned(options, model, grid, seed, n_splits).fit(X, y)
        best = getattr(model, "best_params_", {})
        chosen = {key: _short(value, grid[key]) for key, value in best.items()}
        yield name, model.score(*test), chosen


def contenders(options, encoders, n_labels, seed):
    """(name, network, what the search chooses from) of ours and scikit-learn's.

    All have the same choice of weight decay (scikit-learn's networks also of their default), and
    networks of an early end. Fine-tuning hardly decays the hidden layers, whose weights come
    from elsewhere.
    """
    ends = {"max_iter": [EARLY, iterations(options, 400)]}
    codes = [make_pipeline(*each) for each in encoders]
    model = Pipeline([("code", codes[0]), ("softmax", softmax(options, 200))])
    yield "pretrained, not fine-tuned", model, {"code": codes, "softmax__lam": LAMS}
    fine = {"lam": [(HIDDEN_LAM, HIDDEN_LAM, lam) for lam in LAMS]} | ends
    model = network(options, encoders[0], seed)
    yield "pretrained and fine-tuned", model, fine | {"pretraining": encoders}
    yield "random start", network(options, None, seed), {"lam": LAMS} | ends
    alphas = {"alpha": [1e-4, *(n_labels * lam for lam in LAMS)]} | ends
    # Those of "lbfgs" lose to those of "adam" without a choice, and take longest with one.
    for solver, activation in PEERS[:2] if options.tune else PEERS:
        model = peer(options, solver, activation, seed)
        yield f"MLPClassifier, {solver}, {activation}", model, alphas


def _short(value, choices):
    """A chosen value; of encoders, which they are."""
    return value if isinstance(value, (int, float, tuple)) else choices.index(value) + 1


def _line(name, by_n, params):
    """Mean and standard deviation over the draws for each number of labels, and one choice."""
    line = {"network": name}
    for n, scores in by_n.items():
        spread = f" ± {100 * np.std(scores, ddof=1):.2f}" if len(scores) > 1 else ""
        line[f"{n:,} labels"] = f"{100 * np.mean(scores):.2f}{spread} %"
    line["chosen in the last draw"] = ", ".join(f"{k} {v}" for k, v in params.items())
    return line
