"""Public docstrings are complete numpydoc, checked by numpydoc's own validation."""

import inspect
import re
import subprocess
import sys

import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

import skl_sae
from skl_sae._compat import StrOptions

# What scikit-learn does not ask for either: one-line summaries may span lines, sections
# "See Also" and "Extended Summary" are optional, examples belong to the class.
IGNORED = {
    "ES01",
    "SA01",
    "SA04",
    "EX01",
    "GL01",
    "GL02",
    "GL03",
    "GL08",
    "SA03",
    "SS06",
    "RT02",
    "PR06",
}


def public_objects():
    yield from ("skl_sae.callbacks.Checkpoint", "skl_sae.callbacks.save")
    for name in skl_sae.__all__:
        yield f"skl_sae.{name}"
        public = getattr(skl_sae, name)
        if inspect.isclass(public):
            for method in (
                vars(public) | vars(skl_sae.MLPBackprop) if "MLP" in name else vars(public)
            ):
                if not method.startswith("_") and callable(getattr(public, method, None)):
                    yield f"skl_sae.{name}.{method}"


@pytest.mark.parametrize("path", list(public_objects()))
def test_docstring(path):
    errors = [f"{code}: {text}" for code, text in validate(path)["errors"] if code not in IGNORED]
    assert not errors


ESTIMATORS = [
    "SparseAutoencoder",
    "SparseAutoencoderDetector",
    "MLPBackprop",
    "MLPBackpropClassifier",
    "MLPBackpropRegressor",
    "ConvolveAndPool",
    "PatchNormalizer",
    "ZCAWhitening",
]
each_name = pytest.mark.parametrize("name", ESTIMATORS)


@each_name
def test_the_documented_parameters_are_the_real_ones(name):
    """Of the subclasses too, whose docstrings are made from that of `MLPBackprop`."""
    cls = getattr(skl_sae, name)
    documented = [parameter.name for parameter in ClassDoc(cls)["Parameters"]]
    assert documented == list(inspect.signature(cls).parameters)


@each_name
def test_the_documented_defaults_are_the_real_ones(name):
    cls = getattr(skl_sae, name)
    for parameter in inspect.signature(cls).parameters.values():
        shown = parameter.default
        if shown is parameter.empty:
            continue
        shown = f'"{shown}"' if isinstance(shown, str) else str(shown)
        shown = shown.replace("0.0001", "1e-4").replace("1e-05", "1e-5")
        line = next(
            line
            for line in cls.__doc__.splitlines()
            if line.strip().startswith(f"{parameter.name} : ")
        )
        assert line.endswith(f"default={shown}"), line


@each_name
def test_the_documented_names_are_those_that_are_allowed(name):
    """Which come from the tables of activations, losses and solvers."""
    cls = getattr(skl_sae, name)
    for parameter in ClassDoc(cls)["Parameters"]:
        rules = cls._parameter_constraints[parameter.name]
        allowed = {name for rule in rules if isinstance(rule, StrOptions) for name in rule.options}
        documented = re.findall(r'"(\w+)"', parameter.type.split(", default")[0])
        assert sorted(documented) == sorted(allowed), parameter.name


@pytest.mark.slow
def test_the_package_needs_no_docstrings():
    """``python -OO`` takes them away."""
    subprocess.run([sys.executable, "-OO", "-c", "import skl_sae"], check=True)
