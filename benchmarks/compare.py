"""The comparison with bare NumPy, PyTorch, JAX and scikit-learn, by one command.

    python benchmarks/compare.py --data DIR [--only evaluation fits ...] [--out FOLDER]

DIR holds ``fashion_mnist.npz`` (X, y, n_train) and ``natural_tiles512.npz`` (X of grey
images); what needs them is left out without. Peers that are not installed are left out as
well. Each section's table is printed as it ends; FOLDER gets ``results.json`` (all figures,
the curves of the fits, versions and machine), ``results.md``, ``results.rst`` and a plot of
each fit problem. ``docs/benchmarks.rst`` tells what is measured.

``--quick`` shrinks everything to a couple of minutes: a test of the comparison itself, whose
figures mean nothing.
"""

from pathlib import Path

from threadpoolctl import threadpool_limits

from compare_parts import evaluation, fits, footprint, scikit_learn
from shared.command import parser
from shared.measure import Disturbance, keep_to
from shared.report import about, markdown, save

SECTIONS = {
    "evaluation": evaluation.evaluation,
    "fits": fits.fits,
    "linear": fits.linear,
    "regressor": scikit_learn.regressor,
    "classifier": scikit_learn.classifier,
    "grid": scikit_learn.grid,
    "memory": footprint.memory,
    "rows": footprint.rows,
    "import": footprint.imports,
}


def parse():
    command = parser(__doc__, "data", "rounds", "threads", "quick")
    command.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    command.add_argument("--seconds", type=float, default=40, help="of each contender's fit")
    command.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    options = command.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    return options


def measured(run, options):
    """The sections of ``run``, each with a word on what else the machine had to do."""
    with threadpool_limits(options.threads, "blas"):
        others = Disturbance()
        for section in run(options):
            section.note = f"{section.note} {others.note()}".strip()
            yield section
            others = Disturbance()


def main():
    options = parse()
    keep_to(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    sections = []
    print(about(options), flush=True)
    for name in options.only:
        print(f"\n{name}", flush=True)
        for section in measured(SECTIONS[name], options):
            sections.append(section)
            save(sections, options, "results")  # so far: a run may be interrupted
            print("\n" + markdown(section), flush=True)


if __name__ == "__main__":
    main()
