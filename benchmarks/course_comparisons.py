"""Does pretraining pay? Against random weights in the same time, and with few labels."""

import time

import numpy as np
from course_data import load_images
from course_exercises import iterations, network, percent, pretrain, timed
from course_pictures import save_curve
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

PEERS = [("adam", "relu"), ("adam", "logistic"), ("lbfgs", "relu"), ("lbfgs", "logistic")]
LAMS = [1e-6, 1e-5, 1e-4, 1e-3]
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
    """1 %, 3 % and 10 % of the labels; pretraining on all rows, which needs none of them.

    What all labels give is the business of `equal_time`.
    """
    images = load_images(options)
    (X, y), test = images.train, images.test
    encoders, times = pretrain(options, X)
    print(f"pretraining took {sum(times):.1f} s", flush=True)
    curves, seconds = {}, {}
    for share in (0.01, 0.03, 0.1):
        for draw in range(options.draws):
            rows = labelled_rows(y, share, seed=options.seed + draw)
            start = time.perf_counter()
            results = accuracies(options, X[rows], y[rows], encoders, draw, test)
            for name, accuracy, took in results:
                curves.setdefault(name, {}).setdefault(len(rows), []).append(accuracy)
                seconds.setdefault(name, {}).setdefault(len(rows), []).append(took)
            print(f"{len(rows):,} labels: {time.perf_counter() - start:.1f} s", flush=True)
    title = f"{images.title}, pretraining on {len(X):,} rows without labels"
    save_curve(curves, title, options.out / "few_labels.png")
    return [_line(name, by_n, seconds[name]) for name, by_n in curves.items()]


def labelled_rows(y, share, seed):
    """Random rows with each class in proportion, at least ten of each."""
    n = max(round(share * len(y)), 10 * len(np.unique(y)))
    rows, _ = train_test_split(np.arange(len(y)), train_size=n, stratify=y, random_state=seed)
    return rows


def accuracies(options, X, y, encoders, draw, test):
    """(name, test accuracy, seconds) of each contender after training on X and y."""
    seed = options.seed + draw
    starts = {"pretrained and fine-tuned": encoders, "random start": None}
    for name, start in starts.items():
        lam = chosen_lam(options, X, y, start, seed) if options.validate else None
        params = {} if lam is None else {"lam": lam}
        model = network(options, start, seed, **params)
        _, seconds = timed(lambda model=model: model.fit(X, y))
        if start:
            yield "pretrained, before fine-tuning", model.pretrained_.score(*test), None
        yield name, model.score(*test), seconds
    for solver, activation in PEERS:
        model = peer(options, solver, activation, seed)
        _, seconds = timed(lambda model=model: model.fit(X, y))
        yield f"MLPClassifier, {solver}, {activation}", model.score(*test), seconds


def chosen_lam(options, X, y, start, seed):
    """The λ of the softmax layer, or of all, that is best on a fifth of the labelled rows."""
    train, held_out, labels, held_out_labels = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=seed
    )

    def score(lam):
        model = network(options, start, seed, lam=lam).fit(train, labels)
        return model.score(held_out, held_out_labels)

    candidates = [lam if options.decay == "all" else (0.0, 0.0, lam) for lam in LAMS]
    return max(candidates, key=score)


def _line(name, by_n, seconds):
    """Mean and standard deviation over the draws for each number of labels."""
    line = {"network": name}
    for n, scores in by_n.items():
        spread = f" ± {100 * np.std(scores, ddof=1):.2f}" if len(scores) > 1 else ""
        line[f"{n:,} labels"] = f"{100 * np.mean(scores):.2f}{spread} %"
    times = [t for t in seconds[max(seconds)] if t is not None]
    line["seconds with most labels"] = float(np.mean(times)) if times else None
    return line
