"""Tables in Markdown and reStructuredText, and what a reader must know of the machine."""

import datetime
import importlib
import importlib.metadata
import json
import platform
from dataclasses import dataclass, field
from pathlib import Path

from threadpoolctl import threadpool_info

from shared.measure import Disturbance

PACKAGES = [
    "numpy",
    "scipy",
    "scikit-learn",
    "skl-sae",
    "torch",
    "jax",
    "optax",
    "onnxruntime",
    "pyod",
]


@dataclass
class Section:
    """One table of the comparison.

    Attributes
    ----------
    title, note : str
        What was measured; how, and the goal.
    rows : list of dict
        The table: all rows have the same keys.
    raw : dict
        What is saved besides, in the JSON file only.
    """

    title: str
    rows: list
    note: str = ""
    raw: dict = field(default_factory=dict)


def installed(*modules):
    """Whether the modules of a peer can be imported; says so if not."""
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError:
        print(f"{module} is not installed: left out", flush=True)
        return False
    return True


def cell(value):
    """Three digits for a float, a dash for None."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def markdown(section):
    """The section with its table in Markdown."""
    lines = [f"## {section.title}", "", *([section.note, ""] if section.note else [])]
    lines.append("| " + " | ".join(section.rows[0]) + " |")
    lines.append("|---" * len(section.rows[0]) + "|")
    lines += ["| " + " | ".join(map(cell, row.values())) + " |" for row in section.rows]
    return "\n".join(lines) + "\n"


def rst(section):
    """The section with its table in reStructuredText, to be pasted or included."""
    lines = [section.title, "-" * len(section.title), ""]
    lines += [section.note, ""] if section.note else []
    lines += [".. list-table::", "   :header-rows: 1", ""]
    for row in [section.rows[0].keys(), *(row.values() for row in section.rows)]:
        cells = [cell(value) for value in row]
        lines += [
            f"   {'-' if i else '* -'} {c}".replace("   -", "     -") for i, c in enumerate(cells)
        ]
    return "\n".join(lines) + "\n"


def tell(sections, threads, out=None):
    """Print each table as it comes, at last the machine; all so far go to the file ``out``."""
    others, texts = Disturbance(), []
    for section in sections:
        texts.append(markdown(section))
        print("\n" + texts[-1], flush=True)
        if out:
            out.write_text("\n".join([str(machine(threads)), *texts]))
    print(machine(threads) | {"cores taken by other processes": others.cores()})


def save(sections, options, name):
    """The tables in files of ``--out``: ``name.md`` and ``.rst``, all figures in ``.json``."""
    facts = about(options)
    lines = "".join(f"- {key}: {value}\n" for key, value in facts.items())
    saved = {"about": facts, "sections": [vars(section) for section in sections]}
    texts = {
        "md": "\n".join([lines, *map(markdown, sections)]),
        "rst": "\n".join(map(rst, sections)),
        "json": json.dumps(saved, indent=1, default=str),
    }
    for suffix, text in texts.items():
        (options.out / f"{name}.{suffix}").write_text(text)


def about(options):
    """The machine, and what was asked for."""
    return machine(options.threads) | {k: v for k, v in vars(options).items() if k != "out"}


def machine(threads):
    """Versions, processor, threads and date."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "python": platform.python_version(),
        **{name: v for name, v in versions.items() if v},
        "blas": ", ".join(sorted({blas_name(lib) for lib in threadpool_info()})),
    }


def version(package):
    """Its version, or None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def blas_name(library):
    """Such as ``openblas 0.3.29 SkylakeX``."""
    keys = ("internal_api", "version", "architecture")
    return " ".join(str(library[key]) for key in keys if library.get(key))


def processor():
    """The model's name where the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
