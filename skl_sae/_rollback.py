"""A fit that fails leaves the estimator as it was."""

from functools import wraps


def all_or_nothing(fit):
    """Let a method give the estimator its attributes back if it raises, whatever the reason."""

    @wraps(fit)
    def safe_fit(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return safe_fit
