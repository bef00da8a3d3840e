"""The README's code runs, its table tells the real defaults; who cites cites this version."""

import re
from itertools import pairwise
from pathlib import Path

import skl_sae

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def numbers(text):
    return [float(number) for number in re.findall(r"\d\.\d+", text)]


def test_the_code_runs_and_prints_what_is_shown(capsys):
    """The second example finds another minimum with other versions."""
    blocks = re.findall(r"```(python|text)\n(.*?)```", README.read_text(), flags=re.DOTALL)
    within = iter([0.0051, 0.03])  # two of 450 rows; as far as the minima are apart
    for (kind, code), (next_kind, shown) in pairwise([*blocks, ("", "")]):
        if kind == "python":
            exec(code, {})
            printed = numbers(capsys.readouterr().out)
        if kind == "python" and next_kind == "text":
            raw, code = printed
            assert code > raw
            assert raw == numbers(shown)[0]
            assert abs(code - numbers(shown)[1]) < next(within)
    assert next(within, None) is None


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
