"""Callbacks for scikit-learn's ``set_callbacks`` (1.9 and newer) beside its own.

Nothing here is imported by the estimators: a callback only sees what scikit-learn hands to it.
"""

import os
from numbers import Integral
from pathlib import Path
from uuid import uuid4

import joblib

from ._tasks import without_callbacks


class Checkpoint:
    """Save the estimator to a file again and again while it is fitted.

    The file holds the estimator as if the fit had stopped there: it predicts, and with
    ``warm_start=True`` a further ``fit`` goes on from it. It is replaced as a whole, so that
    whatever happens to the process, the file is the one before or the one after. When the
    fit ends, it holds the fitted estimator.

    Parameters
    ----------
    path : str or path-like
        The file, for `joblib.load`.
    every : int, default=10
        Save after so many iterations.

    Raises
    ------
    ValueError
        ``every`` is not a positive whole number.

    See Also
    --------
    sklearn.callback.ProgressBar : Shows how far a fit is.
    sklearn.callback.ScoringMonitor : Scores after each iteration.

    Notes
    -----
    Needs scikit-learn 1.9. It is set on the estimator whose iterations count, a step of a
    pipeline for example, and sees those of that estimator alone: in a grid search all
    candidates would write to the same file. joblib files run code when they are loaded: load
    only what you trust.

    To know the estimator as if the fit had stopped costs a `~skl_sae.SparseAutoencoder` one
    pass of its encoder over the rows in each iteration.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import joblib
    >>> from sklearn.datasets import load_digits
    >>> from skl_sae import SparseAutoencoder
    >>> from skl_sae.callbacks import Checkpoint
    >>> X = load_digits().data / 16
    >>> path = Path(tempfile.mkdtemp()) / "digits.joblib"
    >>> sae = SparseAutoencoder(16, random_state=0)
    >>> sae = sae.set_callbacks(Checkpoint(path)).fit(X)
    >>> saved = joblib.load(path)
    >>> saved = saved.set_params(warm_start=True).fit(X)
    """

    def __init__(self, path, every=10):
        if isinstance(every, bool) or not (isinstance(every, Integral) and every > 0):
            raise ValueError(f"every must be a positive number of iterations, not {every!r}.")
        self.path, self.every = Path(path), every

    def setup(self, estimator, context):
        """Begin to count."""
        self.n_iter = 0

    def teardown(self, estimator, context):
        """Nothing is left open."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Save after every so many iterations, and at the end of the fit."""
        if fitted_estimator is None:
            return
        at_the_end = context.max_subtasks != 0  # iterations have no tasks below them
        self.n_iter += not at_the_end
        if at_the_end or self.n_iter % self.every == 0:
            save(without_callbacks(fitted_estimator), self.path)


def save(estimator, path):
    """Write a joblib file so that there is the old one or the new one at any moment.

    Parameters
    ----------
    estimator : object
        What to save.
    path : str or path-like
        The file. It is written under another name (``path`` and ``.<letters>.part``), brought
        to the disk, and renamed; a process that is killed may leave the other one behind.

    Raises
    ------
    OSError
        The file can't be written; then an older one is as it was.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            joblib.dump(estimator, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
