"""How Sphinx builds this site: `make docs` from the repository's root, without a network."""

import os
import re
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import skl_sae  # noqa: E402
from skl_sae._versioned import DOCS  # noqa: E402

project = "skl_sae"
author = "The skl_sae developers"
copyright = "the skl_sae developers, BSD-3-Clause"
version = release = skl_sae.__version__
language = "en-GB"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
exclude_patterns = ["_ext", "inventories"]
templates_path = ["_templates"]
default_role = "py:obj"
highlight_language = "none"  # of blocks that say nothing; examples with >>> are Python
smartquotes = False  # most quotes are around values to type: default="auto"
rst_prolog = ".. currentmodule:: skl_sae\n"
html_math_renderer = "mathml"
math_numfig = False

# -- the reference ----------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# Plain-text inventories with the names that are used here: nothing is fetched.
intersphinx_mapping = {
    "numpy": ("https://numpy.org/doc/stable/", "inventories/numpy.txt"),
    "scipy": ("https://docs.scipy.org/doc/scipy/", "inventories/scipy.txt"),
    "joblib": ("https://joblib.readthedocs.io/en/stable/", "inventories/joblib.txt"),
    "sklearn": ("https://scikit-learn.org/stable/", "inventories/sklearn.txt"),
}

# -- the gallery ------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "within_subsection_order": "gallery_order.Order",
    "doc_module": ("skl_sae",),
    "reference_url": {"skl_sae": None},
    "backreferences_dir": "generated/backreferences",
    "show_signature": False,
    "image_srcset": ["2x"],
    "thumbnail_size": (430, 300),
    "write_computation_times": False,
    "min_reported_time": 1,
    "abort_on_example_error": False,
}
warnings.filterwarnings("ignore", message=".*non-interactive, and thus cannot be shown")

# -- the look ---------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skl_sae"
html_baseurl = DOCS  # no canonical links where it is empty
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.png"  # and the logo: make_logo.py
html_extra_path = ["llms.txt"]  # a map of the site in plain text
html_show_sourcelink = False
# Pages without pages below them.
html_sidebars = {
    name: []
    for name in (
        "index",
        "core",
        "architecture",
        "promises",
        "benchmarks",
        "course",
        "changes",
        "glossary",
    )
}
html_theme_options = {
    "logo": {
        "image_light": "_static/logo.png",
        "image_dark": "_static/logo.png",
        "text": "skl_sae",
    },
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "navigation_with_keys": False,
}


def changes(app, docname, source):
    """CHANGES.md as the page `changes`: its headings in the marks of reStructuredText."""
    if docname == "changes":
        text = (HERE.parent / "CHANGES.md").read_text()
        for hashes, mark in (("# ", "="), ("## ", "-"), ("### ", "~")):
            text = re.sub(
                rf"^{hashes}(.*)$", lambda m, u=mark: f"{m[1]}\n{u * len(m[1])}", text, flags=re.M
            )
        source[0] = text
        app.env.note_dependency(str(HERE.parent / "CHANGES.md"))


def escape_shapes(app, what, name, obj, options, lines):
    """``(n_iter_,)`` in a type is a shape; reStructuredText would take ``n_iter_`` for a link."""
    lines[:] = [re.sub(r"(of shape .*?\w)_(?=[,)])", r"\1\\_", line) for line in lines]


def skip_fields(app, what, name, obj, skip, options):
    """Leave out the fields of named tuples: the docstring of the class describes them."""
    return True if (obj.__doc__ or "").startswith("Alias for field number") else None


def plain_name(app, env, node, contnode):
    """A name in single backticks without a page, such as a parameter's, is code like any other."""
    if node.get("reftype") == "obj":
        contnode["classes"] = []
        return contnode
    return None


def setup(app):
    """Connect what is above."""
    app.connect("autodoc-process-docstring", escape_shapes, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("source-read", changes)
    app.connect("missing-reference", plain_name, priority=900)  # after intersphinx
