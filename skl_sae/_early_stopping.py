"""Validation: scores on rows that are not fitted, and early stopping by these scores."""

import numpy as np
from sklearn.model_selection import train_test_split

from .backprop.blocks import propagate


class Validation:
    """An ``on_iteration`` that scores held-out rows, and may stop a fit and choose its weights.

    Parameters
    ----------
    targets : Labels or Reals
        The targets, which define the score.
    objective : Objective
        The objective on the held-out rows.
    tol : float
        The least rise of the score that counts as one.
    patience : int
        Number of iterations without a rise after which the fit stops.
    chooses : bool, default=True
        Whether the fit stops then, and the weights with the best score are kept.
    """

    def __init__(self, targets, objective, tol, patience, chooses=True):
        self.targets, self.objective, self.tol, self.patience = targets, objective, tol, patience
        self.chooses, self.losses, self.scores = chooses, [], []
        self.best_score, self.best = -np.inf, None
        self.reference, self.reference_iter = -np.inf, 0

    def __call__(self, so_far):
        """Score the weights; True once the score has stopped rising."""
        n_iter, score = len(so_far.loss_curve), self.score(so_far.theta)
        self.scores.append(score)
        self.losses.append(self.objective.value(so_far.theta))
        if score > self.best_score:
            self.best_score, self.best = score, so_far.theta.copy() if self.chooses else None
        if score > self.reference + self.tol:
            self.reference, self.reference_iter = score, n_iter
        return self.chooses and n_iter - self.reference_iter >= self.patience

    def score(self, theta):
        """Accuracy or R² of some weights; minus infinity if an output overflows."""
        network, (X, Y, s) = self.objective.network, self.objective.rows.data()
        coefs, intercepts = network.unpack(theta.astype(X.dtype))
        Z = propagate(X, network, coefs, intercepts, "identity")
        return self.targets.score_raw(Y, Z, s) if np.isfinite(Z).all() else -np.inf

    def keep(self, result, objective):
        """The result, with the weights that scored best if this object chooses them."""
        if self.best is None and self.scores:
            return result
        if self.best is None:
            self.best_score = self.score(result.theta)
            return result
        value = objective.value(self.best)
        return result._replace(
            theta=self.best, value=value, n_evaluations=result.n_evaluations + 1
        )

    @property
    def attributes(self):
        """Fitted attributes."""
        return {
            "validation_scores_": np.array(self.scores),
            "validation_loss_curve_": np.array(self.losses),
            "best_validation_score_": float(self.best_score),
        }


def hold_out(rows, targets, fraction, random_state):
    """Split rows into those to fit and those to score."""
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
    train, held_out = np.sort(train), np.sort(held_out)  # in the order of a file
    s = rows.sample_weight
    if s is not None and not (s[train].any() and s[held_out].any()):
        raise ValueError(
            "early_stopping splits the rows into two parts, and in one of them all "
            "sample weights are zero: leave out the rows without weight."
        )
    return rows.take(train), rows.take(held_out)
