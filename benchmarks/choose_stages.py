"""Which growing samples, and which history of L-BFGS: the choice of the defaults.

    python benchmarks/choose_stages.py --data DIR [--problems patches fashion ...]
        [--schedules 1/32,1/8,1/2:8:0.003:10 ...] [--seeds 3] [--seconds 20] [--out FILE]

A schedule is written SHARES:STAGE_WORK:STAGE_GAIN:HISTORY; ``none`` for the shares means all
rows from the beginning. The first schedule is the one that others are compared with. Every
schedule runs once for each seed, in turn; the tables show the median seconds to J values
that are common to all schedules of a problem and seed: low + share (plateau - low), where
``low`` is the lowest value that any of them has reached and ``plateau`` the loss of the best
constant output. Ratios to the first are medians over the seeds; who has not reached a value
counts with its whole time.
"""

import argparse
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np
from bench_fit import curve, middle, time_to
from compare import keep_to
from contenders import ours, record
from data import (
    colour_patches,
    fashion_autoencoder,
    fashion_classifier,
    grey_patches,
)
from report import Section, machine, markdown
from threadpoolctl import threadpool_limits

PROBLEMS = {
    "patches": grey_patches,
    "patches-linear": lambda options: grey_patches(options, "identity"),
    "fashion": fashion_autoencoder,
    "classifier": fashion_classifier,
    "colour": colour_patches,
}
# The first, and what differs from it in one respect.
SCHEDULES = [
    "1/32,1/8,1/2:8:0.003:10",
    "1/64,1/16,1/4:8:0.003:10",
    "1/16,1/4:8:0.003:10",
    "1/32,1/16,1/8,1/4,1/2:8:0.003:10",
    "none:8:0.003:10",
    "1/32,1/8,1/2:4:0.003:10",
    "1/32,1/8,1/2:16:0.003:10",
    "1/32,1/8,1/2:8:0.001:10",
    "1/32,1/8,1/2:8:0.01:10",
    "1/32,1/8,1/2:8:0.003:5",
    "1/32,1/8,1/2:8:0.003:20",
    "1/32,1/8,1/2:8:0.003:50",
]
SHARES = (0.2, 0.05, 0.01)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the .npz files")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS)[:4])
    parser.add_argument("--schedules", nargs="+", default=SCHEDULES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="of each fit")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="also write the tables to this file")
    parser.add_argument("--quick", action="store_true", help="few rows: tests the command")
    return parser.parse_args()


def with_schedule(schedule):
    """Our estimator, its growing samples set by ``schedule``."""
    shares, work, gain, history = schedule.split(":")
    grows = shares != "none"
    constants = {
        "skl_sae._training.SHARES": tuple(float(Fraction(s)) for s in shares.split(",") if grows),
        "skl_sae.backprop.solvers.STAGE_WORK": float(work),
        "skl_sae.backprop.solvers.STAGE_GAIN": float(gain),
    }
    fit = ours(growing_samples=grows, history_size=int(history))

    def run(problem, seed, trace):
        with ExitStack() as stack:
            for name, value in constants.items():
                stack.enter_context(mock.patch(name, value))
            fit(problem, seed, trace)

    return run


def curves_of(problem, options):
    """For each seed the curve of every schedule."""
    found = []
    for seed in range(options.seeds):
        curves = {}
        for schedule in options.schedules:
            points = record(with_schedule(schedule), problem, seed, options.seconds)
            curves[schedule] = curve(points, problem.value)
            print(f"{problem.name}, {seed}, {schedule}: {curves[schedule][1][-1]:.6g}", flush=True)
        found.append(curves)
    return found


def table(problem, found, limit):
    """Median seconds of every schedule, and how many times those of the first they are."""
    lows = [min(values[-1] for _, values in curves.values()) for curves in found]

    def seconds(schedule, share):
        aims = [low + share * (problem.plateau - low) for low in lows]
        return np.array([time_to(curves[schedule], aim) for curves, aim in zip(found, aims)])

    rows = []
    for schedule in found[0]:
        lowest = middle([curves[schedule][1][-1] for curves in found])
        row = {"schedule": schedule, "lowest": f"{lowest:.5g}"}
        for share in SHARES:
            mine, first = seconds(schedule, share), seconds(next(iter(found[0])), share)
            median = middle(mine)
            row[f"s to {share:g}"] = median if median < np.inf else f"> {limit:g}"
            times = np.minimum(mine, limit) / np.minimum(first, limit)
            row[f"/ first, {share:g}"] = float(middle(times))
        rows.append(row)
    return Section(problem.title, rows)


def main():
    options = parse()
    keep_to(options.threads)
    texts = [str(machine(options.threads))]
    for name in options.problems:
        problem = PROBLEMS[name](options)
        if problem is None:
            continue
        with threadpool_limits(options.threads, "blas"):
            found = curves_of(problem, options)
        texts.append(markdown(table(problem, found, options.seconds)))
        print("\n" + texts[-1], flush=True)
        if options.out:
            options.out.write_text("\n".join(texts))


if __name__ == "__main__":
    main()
