"""The README's code runs, its table tells the real defaults; who cites cites this version."""

import re
from pathlib import Path

import numpy as np
import pytest

import skl_sae

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


# How far the numbers of each example may lie from those that are shown: two rows of 450, then as
# far as the minima of other versions are apart. None where SciPy's docstrings decide.
WITHIN = [0.0051, 0.03, None, 0.03, 0.03]
BASELINE_FIRST = [0, 1, 4]


def numbers(text):
    return [float(number) for number in re.findall(r"\d\.\d+", text)]


def examples():
    """Code and the output that is shown below it."""
    blocks = re.findall(r"```(python|text)\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "text"] * len(WITHIN)
    return [(code, shown) for (_, code), (_, shown) in zip(blocks[::2], blocks[1::2])]


@pytest.mark.parametrize("i", range(len(WITHIN)))
def test_the_code_runs_and_prints_what_is_shown(i, capsys):
    code, shown = examples()[i]
    exec(code, {})
    printed = capsys.readouterr().out
    if WITHIN[i] is None:
        assert "'svd', 'svdvals'" in printed
        assert "'svd', 'svdvals'" in shown
        return
    assert re.sub(r"\d\.\d+", "", printed) == re.sub(r"\d\.\d+", "", shown)
    np.testing.assert_allclose(numbers(printed), numbers(shown), rtol=0, atol=WITHIN[i])
    if i in BASELINE_FIRST:
        baseline, ours = numbers(printed)
        assert ours > baseline


def test_the_first_example_wins():
    raw, code = numbers(re.search(r"```text\n(.*?)```", README.read_text(), re.DOTALL)[1])
    assert code > raw + 0.01


def test_the_table_tells_the_defaults():
    defaults = skl_sae.MLPBackprop().get_params() | skl_sae.SparseAutoencoder().get_params()
    rows = re.findall(r"^\|[^|]+\| `(\w+)` \| ([^ |]+)", README.read_text(), flags=re.MULTILINE)
    assert len(rows) >= 8
    for name, shown in rows:
        assert str(defaults[name]).replace("e-0", "e-") == shown.strip('"'), name


def test_the_citation_is_of_this_version():
    assert f"\nversion: {skl_sae.__version__}\n" in (ROOT / "CITATION.cff").read_text()
