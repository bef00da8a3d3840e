"""Private helpers of scikit-learn, and stand-ins that older versions need, in one place."""

from numbers import Integral

import numpy as np
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval as IntervalOfNumbers
from sklearn.utils._param_validation import RealNotInt, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:
        """Empty: older versions have no callbacks."""


class Interval(IntervalOfNumbers):
    """An interval that holds neither True nor, among real numbers, 10**400, which is no float."""

    def is_satisfied_by(self, val):
        """Whether the number lies in the interval."""
        if isinstance(val, bool) or not isinstance(val, (int, float, np.number)):
            return False
        try:
            return (self.type is Integral or np.isfinite(float(val))) and super().is_satisfied_by(
                val
            )
        except OverflowError:
            return False


__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "check_sample_weight",
    "fit_context",
]
