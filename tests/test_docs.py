"""The API reference has every public name, and notebooks link to the pages it generates."""

import importlib
import inspect
from importlib.util import find_spec
from pathlib import Path

import pytest
from sphinx.ext.autosummary.generate import find_autosummary_in_files

import skl_sae
from skl_sae._versioned import DOCS

REFERENCE = Path(__file__).parents[1] / "docs" / "api.rst"
PAGES = {
    entry.name: f"{entry.path}/{entry.name}.html"
    for entry in find_autosummary_in_files([str(REFERENCE)])
}
ESTIMATORS = [name for name in skl_sae.__all__ if hasattr(getattr(skl_sae, name), "fit")]


def test_every_public_name_has_a_page():
    folder = REFERENCE.parent
    expected = {f"skl_sae.{name}" for name in skl_sae.__all__}
    assert {name for name in PAGES if name.count(".") == 1} == expected
    assert all(Path(page).parent == folder / "generated" for page in PAGES.values())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_notebooks_link_to_the_page(name):
    cls = getattr(skl_sae, name)
    needs_encoder = "encoder" in inspect.signature(cls).parameters
    estimator = cls(skl_sae.SparseAutoencoder()) if needs_encoder else cls()
    page = Path(PAGES[f"skl_sae.{name}"]).relative_to(REFERENCE.parent)
    assert f'href="{DOCS}{page}"' in estimator._repr_html_()


def inventory_entries():
    for path in sorted((REFERENCE.parent / "inventories").glob("*.txt")):
        for line in path.read_text().splitlines()[3:]:
            yield line.split()


def test_the_inventories_name_what_exists():
    """They are kept by hand, and a page of another project is named after what it describes."""
    for name, kind, page in inventory_entries():
        module, _, attribute = name.rpartition(".")
        if module == "sklearn.callback" and find_spec(module) is None:  # scikit-learn < 1.9
            continue
        found = getattr(importlib.import_module(module), attribute)
        assert inspect.isclass(found) == (kind != "function"), name
        assert Path(page).name == f"{name}.html"
