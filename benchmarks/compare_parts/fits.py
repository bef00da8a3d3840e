"""Time to the same objective: sections of the comparison.

Every contender runs for the same time, in turn, once for every seed (one per round). What
counts is the lowest J so far on all rows, evaluated by our objective outside the clock,
whatever the contender itself has computed. The values to be reached are defined for each
round without regard to who reaches them first:

- middling: low + 0.20 (plateau - low), where ``low`` is the lowest value that anyone has
  reached and ``plateau`` the loss of the best constant output, half the variance of the data;
- close: low + 0.05 (plateau - low);
- lowest of a peer: the lowest value that any peer reaches in the whole time.

Times and ratios are medians over the rounds. Who has not reached a value counts with its
whole time, and the cell shows a bound (``>``).
"""

from functools import partial

import numpy as np

from compare_parts.peers import peers
from shared.curves import middle, ours, race, time_to
from shared.problems import colour_patches, fashion_autoencoder, grey_patches
from shared.report import Section, installed

SHARES = {"middling": 0.20, "close": 0.05}
LOWEST = "lowest of a peer"

FITS_NOTE = (
    "Seconds to the same J of all rows. Goals: best rival / ours at least 10 to the middling "
    "value, at least 3 to the lowest value of a peer."
)
LINEAR_NOTE = (
    "Seconds to the same J of all rows. Goal: joint / exact last layer at least 4 to the "
    "middling value. The peer here is our own joint L-BFGS."
)


def best_time(curves, names, target):
    """The shortest of their times to it."""
    return min(time_to(curves[name], target) for name in names)


def targets(curves, own, rivals, plateau):
    """The values to be reached in this round: see the module's docstring."""
    low = min(values[-1] for _, values in curves.values())
    result = {name: low + share * (plateau - low) for name, share in SHARES.items()}
    lowest = [curves[name][1][-1] for name in rivals]
    return result | ({LOWEST: min(lowest)} if rivals else {})


def ratio(curves, own, rivals, target, limit):
    """Time of the best rival to the best of ours, and whether it is exact or a bound."""
    theirs, mine = best_time(curves, rivals, target), best_time(curves, own, target)
    mark = ">" if theirs == np.inf > mine else "<" if mine == np.inf > theirs else ""
    return min(theirs, limit) / min(mine, limit), mark


def shown(number, mark):
    return f"{mark} {number:.3g}".strip()


def standings(rounds, own, rivals, plateau, limit):
    """The table: each contender's lowest value and its times, then the ratios."""
    aims = [targets(curves, own, rivals, plateau) for curves in rounds]
    names, pairs = list(aims[0]), list(zip(rounds, aims))

    def row(label, lowest, of_target):
        return {"contender": label, "lowest": lowest, **{f"s to {n}": of_target(n) for n in names}}

    def seconds(contender, name):
        found = middle([time_to(curves[contender], aim[name]) for curves, aim in pairs])
        return found if found < np.inf else f"> {limit:g}"

    def ratios(name):
        of_rounds = [ratio(curves, own, rivals, aim[name], limit) for curves, aim in pairs]
        return shown(*middle(of_rounds))

    rows = []
    for contender in rounds[0]:
        lowest = median_of([curves[contender][1][-1] for curves in rounds])
        rows.append(row(contender, lowest, partial(seconds, contender)))
    rows.append(row("(the value)", "", lambda name: median_of([aim[name] for aim in aims])))
    best_own = own[0] if len(own) == 1 else "best of ours"
    if rivals:
        rows.append(row(f"best rival / {best_own}", "", ratios))
    return rows


def median_of(values):
    return f"{middle(values):.5g}"


def plot(curves, problem, aims, path):
    """The objective against time of the first round."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(9, 4.5), layout="constrained")
    ax.set_prop_cycle(color=plt.colormaps["tab20"].colors)
    by_end = sorted(curves, key=lambda name: -curves[name][1][-1])  # the order at the right edge
    for name in by_end:
        ax.loglog(*curves[name], label=name, lw=2.5 if name.startswith("ours") else 1)
    for value in aims.values():
        ax.axhline(value, color="grey", lw=0.5, ls=":")
    lowest, top = min(values[-1] for _, values in curves.values()), 2 * problem.plateau
    ax.set(xlabel="seconds", ylabel="lowest value so far", ylim=(0.95 * lowest, top))
    ax.set_xlim(left=min(time_to(curve, top) for curve in curves.values()))
    ax.set_title(problem.title, fontsize="medium")
    fig.legend(loc="outside right center", fontsize="small")
    fig.savefig(path, dpi=200)
    plt.close(fig)


def compete(problem, contenders, own, rivals, options, note):
    """Run a race; its section, with a plot beside the results."""
    rounds = race(problem, contenders, options.rounds, options.seconds)
    rows = standings(rounds, own, rivals, problem.plateau, options.seconds)
    if installed("matplotlib"):
        aims = targets(rounds[0], own, rivals, problem.plateau)
        plot(rounds[0], problem, aims, options.out / f"{problem.name}.png")
    return Section(problem.title, rows, note, {"name": problem.name, "rounds": rounds})


def fits(options):
    """The comparison's section: whole fits against PyTorch and JAX."""
    rivals = peers(options.threads)
    own = {"ours": ours(), "ours, all rows": ours(growing_samples=False)}
    own["ours, tutorial's start"] = ours(from_data=False)
    for load in (grey_patches, fashion_autoencoder):
        if (problem := load(options)) is not None:
            yield compete(problem, own | rivals, ["ours"], list(rivals), options, FITS_NOTE)


def linear(options):
    """The comparison's section: linear decoders with and without the exact last layer."""
    contenders = {
        f"{name}{rows}": ours(variable_projection=exact, **growing)
        for rows, growing in {"": {}, ", all rows": {"growing_samples": False}}.items()
        for name, exact in {"ours, exact last layer": True, "ours, joint": False}.items()
    }
    own, rival = ["ours, exact last layer"], ["ours, joint"]
    for load in (lambda options: grey_patches(options, "identity"), colour_patches):
        if (problem := load(options)) is not None:
            yield compete(problem, contenders, own, rival, options, LINEAR_NOTE)
