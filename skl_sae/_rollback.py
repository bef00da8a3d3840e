"""A fit that fails leaves the estimator as it was."""

from functools import wraps


def all_or_nothing(fit):
    """Decorate a method to restore the estimator's attributes if it raises any exception."""

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
