"""What is set before anything is imported, and how many examples hypothesis tries."""

import os

from hypothesis import HealthCheck, settings

# Before SciPy is imported: without it scikit-learn skips its check of array API input.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# The same few examples in every run of the suite; `make properties` draws many new ones.
untimed = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
settings.register_profile("bounded", untimed, derandomize=True, max_examples=50)
settings.register_profile("long", untimed, max_examples=2000, print_blob=True)
settings.load_profile("bounded")
