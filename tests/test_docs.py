"""The reference has every public name, notebooks link to its pages, and their checks work."""

import importlib
import inspect
import re
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from sphinx.ext.autosummary.generate import find_autosummary_in_files

import skl_sae
from skl_sae._versioned import DOCS, VersionedEstimator

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


def link_in_a_notebook(name):
    """Of an estimator with default parameters, to the pages of this package."""
    cls = getattr(skl_sae, name)
    needs_encoder = "encoder" in inspect.signature(cls).parameters
    estimator = cls(skl_sae.SparseAutoencoder()) if needs_encoder else cls()
    links = re.findall(r'href="([^"]*)"', estimator._repr_html_())
    return [link for link in links if "scikit-learn.org" not in link]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_notebooks_link_to_the_page(name, monkeypatch):
    address = DOCS or "https://docs.example/"
    template = address + "generated/skl_sae.{estimator_name}.html"
    monkeypatch.setattr(VersionedEstimator, "_doc_link_module", "skl_sae")
    monkeypatch.setattr(VersionedEstimator, "_doc_link_template", template)
    page = Path(PAGES[f"skl_sae.{name}"]).relative_to(REFERENCE.parent)
    assert f"{address}{page}" in link_in_a_notebook(name)


@pytest.mark.skipif(bool(DOCS), reason="there are pages to link to")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_without_an_address_there_is_no_link(name):
    assert link_in_a_notebook(name) == []


# Addresses of what is nobody's until it is registered: pages, repositories, packages of our name.
OWN = re.compile(r"""https?://[^\s"'<>)`]*skl[-_.]?sae[^\s"'<>)`]*""", re.IGNORECASE)
TEXT = {".py", ".rst", ".md", ".toml", ".yml", ".yaml", ".cff", ".txt", ".html", ".css"}


def test_no_other_file_names_an_address_of_this_project():
    """Or a stranger could take it."""
    root = REFERENCE.parents[1]
    tops = ["skl_sae", "docs", "examples", "tests", "benchmarks", ".github"]
    paths = [path for top in tops for path in (root / top).rglob("*")] + list(root.glob("*.*"))
    made = {"generated", "auto_examples", "__pycache__"}
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in paths
        if path.is_file() and path.suffix in TEXT and not made & set(path.parts)
    }
    assert len(texts) > 50
    assert OWN.search("see https://docs" + ".skl_sae.org/en/")
    named = {str(path.relative_to(root)): OWN.findall(text) for path, text in texts.items()}
    named.pop(str(Path("skl_sae", "_versioned.py")), None)  # not here where the wheel is tested
    assert {path: found for path, found in named.items() if found} == {}


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


def complaints(folder, html, index="[First page](index.html)"):
    """What `docs/check_pages.py` says of a site of one page."""
    spec = spec_from_file_location("check_pages", REFERENCE.with_name("check_pages.py"))
    check_pages = module_from_spec(spec)
    spec.loader.exec_module(check_pages)
    (folder / "index.html").write_text(html, encoding="utf-8")
    (folder / "llms.txt").write_text(index, encoding="utf-8")
    return list(check_pages.complaints(folder))


SOUND = f"""<article><p><a href="#end">down</a> <img src="a.png" alt="edges"></p>
<p id="end">It took 3 s, 4 s and 6 % (<code><b>python</b> <b>benchmarks/compare.py</b></code>).</p>
<table><tr><th>network</th></tr><tr><td>1.05</td><td>&lt; 3 s</td></tr></table>
<pre><b>{"x" * 100}</b>\nshort</pre> <ul><li><pre>{"x" * 96}</pre></li></ul></article>"""


def test_a_sound_page_passes_the_checks(tmp_path):
    assert complaints(tmp_path, SOUND) == []


@pytest.mark.parametrize(
    ("sound", "planted", "complaint"),
    [
        ("#end", "gone.html", "index.html: no such page: gone.html"),
        ("#end", "#gone", "index.html: no such place: #gone"),
        ("#end", "index.html#gone", "index.html: no such place: index.html#gone"),
        ('alt="edges"', "", "index.html: no alternative text: a.png"),
        ('<p id="end">', '<ol class="upperalpha"></ol><p id="end">', "index.html: an initial"),
        ("xx</b>", "xx</b>  yy", "index.html: 104 characters where 101 fit: x"),
        ("xx</pre>", "xxx</pre>", "index.html: 97 characters where 96 fit: x"),
    ],
)
def test_a_planted_error_fails_the_checks(tmp_path, sound, planted, complaint):
    found = complaints(tmp_path, SOUND.replace(sound, planted))
    assert len(found) == 1
    assert found[0].startswith(complaint)


def test_figures_need_a_command_that_measures_them(tmp_path):
    paragraph, table = complaints(tmp_path, SOUND.replace("python", "by hand"))
    assert "the figures of: It took 3 s" in paragraph
    assert table.endswith("the table that begins with: 1.05")


def test_the_map_of_the_site_has_every_page(tmp_path):
    found = complaints(tmp_path, SOUND, index="[First page](first.html)")
    assert found == ["llms.txt leaves out index.html", "llms.txt: no such page: first.html"]
