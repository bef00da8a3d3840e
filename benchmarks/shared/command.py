"""The command line: arguments that several commands have, and values written as text."""

import argparse
from ast import literal_eval
from pathlib import Path

ARGUMENTS = {
    "data": {"type": Path, "help": "folder of the .npz files"},
    "threads": {"type": int, "default": 2},
    "rounds": {"type": int, "default": 3},
    "only": {"nargs": "+", "metavar": "TEXT", "help": "those whose names hold one of these"},
    "params": {"nargs": "+", "default": [], "metavar": "NAME=VALUE", "help": "of our estimators"},
    "jobs": {"type": int, "default": 2, "help": "fits at a time"},
    "out": {"type": Path, "help": "also write the tables to this file"},
    "json": {"type": Path, "help": "also write the figures to this file"},
    "quick": {"action": "store_true", "help": "tiny: tests the command, its figures mean nothing"},
}


def parser(doc, *names):
    """A parser whose help is the module's docstring, with these of `ARGUMENTS`."""
    found = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in names:
        found.add_argument(f"--{name}", **ARGUMENTS[name])
    return found


def wanted(name, options):
    """Whether ``--only`` lets it pass."""
    return not options.only or any(text in name for text in options.only)


def settings(texts):
    """The parameters of NAME=VALUE texts."""
    pairs = (text.partition("=")[::2] for text in texts)
    return {name: value(text) for name, text in pairs}


def value(text):
    """A number, None or the like where it is one, else the text itself."""
    try:
        return literal_eval(text)
    except (SyntaxError, ValueError):
        return text
