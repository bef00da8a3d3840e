"""Early stopping: rows held out say when a fit stops, and which weights are kept."""

import numpy as np
from sklearn.model_selection import train_test_split

from .backprop.blocks import propagate


class EarlyStopping:
    """``on_iteration`` that scores held-out rows and remembers the weights that scored best.

    Parameters
    ----------
    targets : Labels or Reals
        Say what the score is.
    network : Network
        What is fitted.
    held_out : tuple of (X, Y, sample_weight)
        The held-out rows, their encoded targets and weights.
    tol : float
        A score has risen if it has by this.
    patience : int
        It stops when so many iterations have not raised the score.
    """

    def __init__(self, targets, network, held_out, tol, patience):
        self.targets, self.network, self.tol, self.patience = targets, network, tol, patience
        self.X, self.Y, self.sample_weight = held_out
        self.scores, self.best_score, self.best = [], -np.inf, None
        self.reference, self.reference_iter = -np.inf, 0

    def __call__(self, so_far):
        """Score the weights; True once the score has stopped rising."""
        n_iter, score = len(so_far.loss_curve), self.score(so_far.theta)
        self.scores.append(score)
        if score > self.best_score:
            self.best_score, self.best = score, so_far.theta.copy()
        if score > self.reference + self.tol:
            self.reference, self.reference_iter = score, n_iter
        return n_iter - self.reference_iter >= self.patience

    def score(self, theta):
        """Accuracy or R² of some weights; minus infinity if an output overflows."""
        coefs, intercepts = self.network.unpack(theta.astype(self.X.dtype))
        Z = propagate(self.X, self.network, coefs, intercepts, "identity")
        if not np.isfinite(Z).all():
            return -np.inf
        return self.targets.score_raw(self.Y, Z, self.sample_weight)

    def keep(self, result, objective):
        """The result with the weights that scored best in place of the last ones."""
        if self.best is None:
            self.best_score = self.score(result.theta)
            return result
        value, _ = objective(self.best)
        return result._replace(
            theta=self.best, value=value, n_evaluations=result.n_evaluations + 1
        )

    @property
    def attributes(self):
        """Fitted attributes."""
        return {
            "validation_scores_": np.array(self.scores),
            "best_validation_score_": float(self.best_score),
        }


def hold_out(rows, targets, fraction, random_state):
    """Split rows into those to fit and ``(X, Y, weights)`` of those to score."""
    train, held_out = train_test_split(
        np.arange(rows.n_rows),
        test_size=fraction,
        random_state=random_state,
        stratify=targets.strata(rows.Y),
    )
    if targets.task == "regression" and len(held_out) < 2:
        raise ValueError(
            "early_stopping needs at least two rows held out to compute R²: increase "
            "validation_fraction."
        )
    train, held_out = np.sort(train), np.sort(held_out)  # as they lie in a file
    s = rows.sample_weight
    if s is not None and not (s[train].any() and s[held_out].any()):
        raise ValueError(
            "early_stopping splits the rows into two parts, and in one of them all "
            "sample weights are zero: leave out the rows without weight."
        )
    return rows.take(train), rows.take(held_out).data()
