"""The exercises of `course.py`."""
