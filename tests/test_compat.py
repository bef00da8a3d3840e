"""What is private in other packages and used here: on the day it moves, a test names it."""

import ast
import importlib
import inspect

import pytest
from test_architecture import FILES
from threadpoolctl import ThreadpoolController

# Module, name, and the parameters that we give it.
PRIVATE = [
    ("sklearn.base", "_fit_context", {"prefer_skip_nested_validation"}),
    ("sklearn.utils._param_validation", "Interval", {"type", "left", "right", "closed"}),
    ("sklearn.utils._param_validation", "RealNotInt", set()),
    ("sklearn.utils._param_validation", "StrOptions", {"options"}),
    ("sklearn.utils.validation", "_check_sample_weight", {"sample_weight", "X", "dtype"}),
    ("skl2onnx._parse", "sklearn_parsers_map", set()),
    ("skl2onnx._parse", "_parse_sklearn", {"scope", "model", "inputs", "custom_parsers"}),
    ("skl2onnx._parse", "_parse_sklearn_classifier", {"scope", "model", "inputs"}),
]
# What scikit-learn's base class reads or calls and does not document.
OF_ESTIMATORS = [
    "_doc_link_module",
    "_doc_link_template",
    "_repr_html_",
    "_validate_params",
]


@pytest.mark.parametrize(("module", "name", "parameters"), PRIVATE)
def test_a_private_helper_is_where_it_was(module, name, parameters):
    if module.startswith("skl2onnx"):
        pytest.importorskip("skl2onnx", reason="the extra skl-sae[onnx] is not installed")
    found = getattr(importlib.import_module(module), name)
    assert not parameters or parameters <= set(inspect.signature(found).parameters)


@pytest.mark.parametrize("name", OF_ESTIMATORS)
def test_a_private_attribute_of_estimators_is_there(name):
    from sklearn.base import BaseEstimator

    assert hasattr(BaseEstimator, name)


def test_limits_of_blas_can_be_set_by_any_thread():
    """threadpoolctl gives them to one thread where it has a function behind that does not."""
    for library in ThreadpoolController().select(user_api="blas").lib_controllers:
        only_one = hasattr(library, "clear_controlling_thread")
        assert not only_one or hasattr(library, "_real_set_num_threads")


def imported(path):
    """Pairs of a module of another package and what is imported from it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.module, alias.name) for alias in node.names)
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def test_the_list_is_complete():
    def private(module, name):
        return any(part.startswith("_") for part in [*module.split("."), name])

    used = {pair for path in FILES for pair in imported(path) if private(*pair)}
    used.discard(("_thread", "start_new_thread"))  # documented, in spite of its name
    assert used == {(module, name) for module, name, _ in PRIVATE}
