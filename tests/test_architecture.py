"""Imports point one way, the core knows no scikit-learn, and functions stay short."""

import ast
from pathlib import Path

import numpy as np
import pytest
import reference

import skl_sae
from skl_sae import diagnostics, onnx
from skl_sae.backprop import activations, losses, start

ROOT = Path(skl_sae.__file__).parent
PAGE = (Path(__file__).parents[1] / "docs" / "architecture.rst").read_text()
FILES = sorted(ROOT.rglob("*.py"))
# Each file may import from those above it only.
ORDER = [
    "backprop.once",
    "backprop.activations",
    "backprop.losses",
    "backprop.penalties",
    "backprop.network",
    "backprop.threads",
    "backprop.blocks",
    "backprop.projection",
    "backprop.start",
    "backprop.coordinates",
    "backprop.rows",
    "backprop.passes",
    "backprop.lean",
    "backprop.objective",
    "backprop.batches",
    "backprop.endings",
    "backprop.descent",
    "backprop.solvers",
    "backprop.gradient_check",
    "exceptions",
    "_compat",
    "_threads",
    "_warn",
    "_rollback",
    "_versioned",
    "_tasks",
    "_robust",
    "_equal_rows",
    "_parameters",
    "_network_parameters",
    "_validation",
    "_training",
    "_dask_tasks",
    "_dask",
    "_weights",
    "_targets",
    "_early_stopping",
    "_advice",
    "_estimator",
    "callbacks",
    "gradient_check",
    "preprocessing",
    "convolution",
    "sparse_autoencoder",
    "detector",
    "pretraining",
    "mlp_backprop",
    "mlp_tasks",
    "onnx",
    "diagnostics",
    "displays.shared",
    "displays.images",
    "displays.components",
    "displays.loss_curve",
    "displays.reconstruction",
    "displays.code",
    "displays.feature_scores",
]
ALONE = {
    "backprop.once",
    "backprop.threads",
    "backprop.coordinates",
    "backprop.endings",
    "backprop.gradient_check",
    "exceptions",
    "_compat",
    "_threads",
    "_warn",
    "_rollback",
    "_versioned",
    "_tasks",
    "_robust",
}
# The solvers know nothing of networks.
ABOVE = {
    "backprop.descent": {"backprop.coordinates", "backprop.endings"},
    "backprop.solvers": {"backprop.coordinates", "backprop.endings", "backprop.descent"},
}


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def imports(path):
    """Absolute names of the modules that a file imports, those of this package cut."""
    package = module_name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else None
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (m if above is None else "." + ".".join([*above, m]) for m in modules)


def bodies():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                if body:
                    length = body[-1].end_lineno - body[0].lineno + 1
                    yield length, f"{path.name}:{node.name}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_one_way(path):
    name = module_name(path)
    if name.endswith("__init__"):
        return
    above = set(ABOVE.get(name, () if name in ALONE else ORDER[: ORDER.index(name)]))
    own = {module[1:] for module in imports(path) if module.startswith(".")}
    assert own <= above


@pytest.mark.parametrize("path", sorted((ROOT / "backprop").glob("*.py")), ids=module_name)
def test_the_core_needs_numpy_and_scipy_only(path):
    standard = {"_thread", "collections", "contextlib", "dataclasses", "functools", "itertools"}
    allowed = standard | {"math", "os", "queue", "typing", "weakref", "numpy", "scipy"}
    assert {m.split(".")[0] for m in imports(path) if not m.startswith(".")} <= allowed


def test_only_one_file_imports_scipy_optimize():
    users = [module_name(path) for path in FILES if "scipy.optimize" in set(imports(path))]
    assert users == ["backprop.solvers"]


def test_private_helpers_of_scikit_learn_come_through_one_file():
    def private(path):
        return [m for m in imports(path) if m.startswith("sklearn.") and "._" in m]

    assert [module_name(path) for path in FILES if private(path)] == ["_compat"]


NAMES = set(activations.ACTIVATIONS)
LOSSES = {loss for loss, _ in losses.LOSSES}
TABLES = {
    "RANGES of skl_sae/backprop/activations.py": (activations.RANGES, NAMES),
    "STEEPEST of skl_sae/backprop/activations.py": (activations.STEEPEST, NAMES),
    "ACTIVITY of skl_sae/diagnostics.py": (diagnostics.ACTIVITY, NAMES),
    "ACTIVATIONS of skl_sae/onnx.py": (onnx.ACTIVATIONS, NAMES),
    "ACTIVATIONS of tests/reference.py": (reference.ACTIVATIONS, NAMES),
    "RATES of tests/reference.py": (reference.RATES, set(activations.STEEPNESS)),
    "TARGET_RANGES of skl_sae/backprop/losses.py": (losses.TARGET_RANGES, LOSSES),
    "BEST_CONSTANTS of skl_sae/backprop/start.py": (start.BEST_CONSTANTS, set(losses.LOSSES)),
    "LOSSES of tests/reference.py": (reference.LOSSES, set(losses.LOSSES)),
}


@pytest.mark.parametrize("where", TABLES)
def test_each_activation_and_each_loss_has_its_line(where):
    """As the architecture page lists them."""
    table, names = TABLES[where]
    assert set(table) == names, f"lines are missing in {where}, or are too many"
    assert {word for word in where.split() if f"``{word}``" not in PAGE} == {"of"}


def test_functions_are_short():
    lengths = sorted(bodies())
    median, most = np.percentile([n for n, _ in lengths], [50, 90])
    assert median <= 6
    assert most <= 15
    assert lengths[-1][0] <= 40, lengths[-1]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 600
