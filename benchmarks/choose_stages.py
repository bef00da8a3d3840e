"""Which growing samples, and which history of L-BFGS: the choice of the defaults.

    python benchmarks/choose_stages.py --data DIR [--problems patches fashion ...]
        [--schedules 1/32,1/8,1/2:8:0.003:10 ...] [--seeds 3] [--seconds 20] [--out FILE]

A schedule is written SHARES:STAGE_WORK:STAGE_GAIN:HISTORY. ``none`` for the shares means all
rows from the beginning. The others are compared with the first schedule. Every schedule runs
once for each seed, in turn. The tables show the median seconds to certain values of J, which are
the same for all schedules of a problem and seed: low + share (plateau - low). Here ``low`` is
the lowest value that any schedule has reached, and ``plateau`` is the loss of the best constant
output. Ratios to the first schedule are medians over the seeds. A schedule that has not reached
a value counts with its whole time.
"""

from contextlib import ExitStack
from fractions import Fraction
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_limits

from shared.command import parser
from shared.curves import middle, ours, race, time_to
from shared.measure import keep_to
from shared.problems import colour_patches, fashion_autoencoder, fashion_classifier, grey_patches
from shared.report import Section, tell

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
    command = parser(__doc__, "data", "threads", "out", "quick")
    command.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS)[:4])
    command.add_argument("--schedules", nargs="+", default=SCHEDULES)
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--seconds", type=float, default=20, help="of each fit")
    return command.parse_args()


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


def measured(options):
    """The table of each problem whose data are there."""
    schedules = {schedule: with_schedule(schedule) for schedule in options.schedules}
    for name in options.problems:
        if (problem := PROBLEMS[name](options)) is not None:
            with threadpool_limits(options.threads, "blas"):
                found = race(problem, schedules, options.seeds, options.seconds)
            yield table(problem, found, options.seconds)


def main():
    options = parse()
    keep_to(options.threads)
    tell(measured(options), options.threads, options.out)


if __name__ == "__main__":
    main()
