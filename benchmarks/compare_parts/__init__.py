"""The sections of `compare.py`."""
