"""The exercises of the UFLDL course, and whether pretraining pays, by one command.

    python benchmarks/course.py EXERCISE ... [--data FILE.npz | --openml] [--out FOLDER]

Exercises: ``edges`` and ``colour`` (patches of photographs: FILE has X of shape (n, h, w) or
(n, h, w, 3); bundled ones without), ``strokes``, ``softmax``, ``self-taught``, ``stacked`` and
``convolution`` (labelled images: FILE has X of shape (n, pixels) or (n, h, w, c), y and
n_train; ``--openml`` takes MNIST; without either scikit-learn's digits, whose figures can't
be compared with the published ones). Comparisons on labelled images: ``equal-time`` and
``few-labels``.

The settings are the published ones. FOLDER gets the filters as pictures, and the table and
the figures of each exercise in a file of its own. ``--quick`` shrinks everything: a test of
the exercises themselves, whose figures mean nothing.
"""

import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from course_parts import comparisons, exercises
from shared.command import parser
from shared.measure import Disturbance
from shared.report import Section, markdown, save

EXERCISES = {
    "edges": exercises.edges,
    "strokes": exercises.strokes,
    "softmax": exercises.softmax_regression,
    "self-taught": exercises.self_taught,
    "stacked": exercises.stacked,
    "colour": exercises.colour,
    "convolution": exercises.convolution,
    "equal-time": comparisons.equal_time,
    "few-labels": comparisons.few_labels,
}


def parse():
    command = parser(__doc__, "threads", "quick")
    command.add_argument("exercises", nargs="+", choices=EXERCISES, metavar="EXERCISE")
    source = command.add_mutually_exclusive_group()
    source.add_argument("--data", type=Path, help="npz file")
    source.add_argument("--openml", action="store_true", help="MNIST of openml.org")
    command.add_argument("--max-iter", type=int, help="in place of the published number")
    command.add_argument("--rows", type=int, help="use only so many training rows")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--draws", type=int, default=5, help="of the labelled rows (few-labels)")
    command.add_argument(
        "--shares", type=float, nargs="+", default=[0.01, 0.03, 0.1], help="labelled (few-labels)"
    )
    command.add_argument(
        "--tune",
        action="store_true",
        help="choose weight decay, codes and iterations by validation (self-taught, few-labels)",
    )
    command.add_argument(
        "--decay", choices=["softmax", "all"], default="softmax", help="layers (without --tune)"
    )
    command.add_argument("--out", type=Path, default=Path("build/course"))
    return command.parse_args()


def measured(name, options):
    """The section of an exercise, with a word on what else the machine had to do."""
    others = Disturbance()
    return Section(name, EXERCISES[name](options), others.note())


def main():
    options = parse()
    options.out.mkdir(parents=True, exist_ok=True)
    options.draws = 2 if options.quick else options.draws
    warnings.simplefilter("ignore", ConvergenceWarning)  # the budgets are the course's
    with threadpool_limits(options.threads, "blas"):
        for name in options.exercises:
            section = measured(name, options)
            save([section], options, name)
            print("\n" + markdown(section), flush=True)


if __name__ == "__main__":
    main()
