"""What must be set before anything is imported, and how many examples hypothesis tries."""

import os

from hypothesis import HealthCheck, settings

# Before SciPy is imported: without it scikit-learn skips its check of array API input.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

settings.register_profile(
    "bounded",
    derandomize=True,
    database=None,
    max_examples=int(os.environ.get("N", 40)),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("long", deadline=None, max_examples=3000, print_blob=True, suppress_health_check=list(HealthCheck))
settings.load_profile("bounded")
