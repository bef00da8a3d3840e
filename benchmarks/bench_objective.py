"""One evaluation of the objective and its gradient against the bare matrix products.

    python benchmarks/bench_objective.py [--threads 2] [--seconds 6] [--peers] [--json FILE]

For contributors: run it before and after a change, on a quiet machine. It takes about two
minutes: ``--seconds`` for each of ten cases. ``--peers`` adds the textbook's code and PyTorch.
``compare_parts/evaluation.py`` describes how it is measured.
"""

import json

from compare_parts.evaluation import measure_all
from shared.command import parser
from shared.report import tell


def parse():
    command = parser(__doc__, "threads", "json")
    command.add_argument("--seconds", type=float, default=6, help="for each of the ten cases")
    command.add_argument("--peers", action="store_true", help="textbook and PyTorch as well")
    return command.parse_args()


def measured(options):
    section = measure_all(options.threads, options.seconds, options.peers)
    yield section
    if options.json:
        options.json.write_text(json.dumps(section.rows, indent=1))


def main():
    options = parse()
    tell(measured(options), options.threads)


if __name__ == "__main__":
    main()
