"""Warnings of this package, to filter them by name."""


class CollapseWarning(UserWarning):
    """A fit has learned nothing, or most of its hidden units give every row the same activation.

    The message gives the number of units that do not vary, the penalty that causes it, and a
    remedy.

    Examples
    --------
    >>> import warnings
    >>> from skl_sae.exceptions import CollapseWarning
    >>> warnings.simplefilter("ignore", CollapseWarning)  # in a search over strong penalties
    """
