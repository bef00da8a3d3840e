"""What is set before anything is imported, how many examples hypothesis tries, and the seed."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Before SciPy is imported: without it scikit-learn skips its check of array API input.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# The same few examples in every run of the suite; `make properties` draws many new ones.
untimed = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
settings.register_profile("bounded", untimed, derandomize=True, max_examples=50)
settings.register_profile("long", untimed, max_examples=2000, print_blob=True)
settings.load_profile("bounded")


@pytest.fixture(autouse=True)
def seed():
    """What a test leaves to chance (``random_state=None``) is the same in every run."""
    np.random.seed(0)  # noqa: NPY002, the generator that stands behind None


@pytest.fixture
def short_fits(monkeypatch):
    """Fits that end early without a warning, for code of the pages that is only to run."""
    from skl_sae._estimator import BackpropEstimator

    options = BackpropEstimator._options

    def early(self, objective):
        return options(self, objective)._replace(tol=0.05)

    monkeypatch.setattr(BackpropEstimator, "_options", early)
