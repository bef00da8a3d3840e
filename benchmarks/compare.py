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

import argparse
import json
import os
from pathlib import Path

import bench_fit
import bench_footprint
import bench_objective
import bench_sklearn
from report import Disturbance, machine, markdown, rst
from threadpoolctl import threadpool_limits

SECTIONS = {
    "evaluation": bench_objective.evaluation,
    "fits": bench_fit.fits,
    "linear": bench_fit.linear,
    "regressor": bench_sklearn.regressor,
    "classifier": bench_sklearn.classifier,
    "grid": bench_sklearn.grid,
    "memory": bench_footprint.memory,
    "rows": bench_footprint.rows,
    "import": bench_footprint.imports,
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the .npz files")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=3, help="each with a seed of its own")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=40, help="of each contender's fit")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--quick", action="store_true", help="tiny: tests the comparison")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 1
    return options


def keep_to(threads):
    """Hold the process, and its children, to so many cores, where the system can.

    JAX has no setting for its threads: it takes as many as there are cores to run on.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def save(sections, about, folder):
    """Everything so far: an interrupted run leaves what it has measured."""
    facts = "\n".join(f"- {key}: {value}" for key, value in about.items())
    parts = {"md": [facts + "\n", *map(markdown, sections)], "rst": map(rst, sections)}
    for suffix, texts in parts.items():
        (folder / f"results.{suffix}").write_text("\n".join(texts))
    saved = {"about": about, "sections": [vars(section) for section in sections]}
    (folder / "results.json").write_text(json.dumps(saved, indent=1))


def settings(options):
    """Those that the figures depend on."""
    return {key: getattr(options, key) for key in ("rounds", "seconds", "quick")}


def measured(run, options):
    """The sections of ``run``, each with a word on what else the machine had to do."""
    with threadpool_limits(options.threads, "blas"):
        others = Disturbance()
        for section in run(options):
            cores = others.cores()
            if cores is not None:
                section.note += f" Other processes took {cores} cores meanwhile."
            yield section
            others = Disturbance()


def main():
    options = parse()
    keep_to(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    about, sections = machine(options.threads) | settings(options), []
    print(about, flush=True)
    for name in options.only:
        print(f"\n{name}", flush=True)
        for section in measured(SECTIONS[name], options):
            sections.append(section)
            save(sections, about, options.out)
            print("\n" + markdown(section), flush=True)


if __name__ == "__main__":
    main()
