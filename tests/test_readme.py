"""The README's code runs, its table tells the real defaults; who cites cites this version."""

import re
from pathlib import Path

import skl_sae

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_the_code_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})
    assert "sae__rho" in capsys.readouterr().out


def test_the_table_tells_the_defaults():
    defaults = skl_sae.MLPBackprop().get_params() | skl_sae.SparseAutoencoder().get_params()
    rows = re.findall(r"^\|[^|]+\| `(\w+)` \| ([^ |]+)", README.read_text(), flags=re.MULTILINE)
    assert len(rows) >= 8
    for name, shown in rows:
        assert str(defaults[name]).replace("e-0", "e-") == shown.strip('"'), name


def test_the_citation_is_of_this_version():
    assert f"\nversion: {skl_sae.__version__}\n" in (ROOT / "CITATION.cff").read_text()
