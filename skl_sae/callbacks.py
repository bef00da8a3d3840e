"""A callback for scikit-learn's ``set_callbacks`` (1.9 and newer), besides its own ones.

The estimators do not import this file. A callback only gets what scikit-learn passes to it.
"""

import os
from numbers import Integral
from pathlib import Path
from uuid import uuid4

import joblib

from ._tasks import without_callbacks


class Checkpoint:
    """Save the estimator to a file every few iterations while it is fitted.

    The file holds the estimator as if the fit had stopped there. It can predict, and with
    ``warm_start=True`` another ``fit`` continues from it. The file is replaced as a whole: if
    the process is killed, either the old file or the new one is there. When the fit ends, the
    file holds the fitted estimator.

    Parameters
    ----------
    path : str or path-like
        The file, to be read by `joblib.load`.
    every : int, default=10
        Number of iterations from one save to the next.

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
    This needs scikit-learn 1.9. Set it on the estimator whose iterations count, for example a
    step of a pipeline. It sees the iterations of this estimator alone. Do not use it in a grid
    search, where all candidates would write to the same file. joblib files can run code when
    they are loaded, so load only files that you trust.

    To compute the estimator as if the fit had stopped, a `~skl_sae.SparseAutoencoder` needs
    one pass of its encoder over the rows in each iteration.

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
        """Start to count iterations."""
        self.n_iter = 0

    def teardown(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Save after every ``every`` iterations, and at the end of the fit."""
        if fitted_estimator is None:
            return
        at_the_end = context.max_subtasks != 0  # iterations have no tasks below them
        self.n_iter += not at_the_end
        if at_the_end or self.n_iter % self.every == 0:
            save(without_callbacks(fitted_estimator), self.path)


def save(estimator, path):
    """Write a joblib file in one step: at any moment the old file or the new one is there.

    Parameters
    ----------
    estimator : object
        What to save.
    path : str or path-like
        The file. It is first written under a temporary name, ``path`` and
        ``.<letters>.part``, then flushed to the disk, then renamed. A process that is killed
        may leave the temporary file behind.

    Raises
    ------
    OSError
        The file can't be written. An older file is left unchanged.
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
