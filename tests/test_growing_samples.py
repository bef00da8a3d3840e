"""Growing samples in the estimators: the same minimum conditions, deterministic, honest."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from skl_sae import MLPBackpropClassifier, MLPBackpropRegressor, SparseAutoencoder, _training
from skl_sae.backprop.network import Network
from skl_sae.backprop.objective import Objective
from skl_sae.backprop.rows import Rows
from skl_sae.backprop.solvers import SHARES, SOLVERS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS / 16
SAE = SparseAutoencoder(8, rho=0.1, max_iter=60, growing_samples=True, random_state=0)


def test_four_stages_and_the_truth_about_them():
    sae = clone(SAE).fit(DIGITS)
    assert len(sae.stage_lengths_) == 4
    assert sae.stage_shares_.tolist() == [1 / 32, 1 / 8, 1 / 2, 1]
    assert sae.stage_lengths_.sum() == sae.n_iter_ == len(sae.loss_curve_)
    assert 59 < sae.stage_lengths_ @ sae.stage_shares_ <= 60  # max_iter counts work
    objective = Objective(Network((64, 8, 64)), Rows(DIGITS), lam=1e-5, beta=3.0, rho=0.1)
    value, _ = objective(objective.network.pack(sae.coefs_, sae.intercepts_))
    assert sae.loss_ == pytest.approx(value, rel=1e-12)
    assert sae.loss_ == sae.loss_curve_[-1]


def test_the_result_is_a_minimum_of_the_whole():
    sae = clone(SAE).set_params(lam=1e-2, rho=0.2, max_iter=5000, tol=1e-4).fit(DIGITS)
    assert sae.converged_
    objective = Objective(Network((64, 8, 64)), Rows(DIGITS), lam=1e-2, beta=3.0, rho=0.2)
    _, gradient = objective(objective.network.pack(sae.coefs_, sae.intercepts_))
    assert np.abs(gradient).max() < 1e-3


@pytest.mark.parametrize(
    "estimator",
    [SAE, MLPBackpropClassifier((8,), growing_samples=True, max_iter=40, random_state=0)],
)
def test_deterministic(estimator):
    one, other = (clone(estimator).fit(DIGITS, LABELS) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one.coefs_, other.coefs_, strict=True))
    third = clone(estimator).set_params(random_state=1).fit(DIGITS, LABELS)
    assert (third.coefs_[0] != one.coefs_[0]).any()


def test_rows_without_weight_are_in_no_sample():
    """Rows that would overflow the objective carry no weight."""
    weights = np.ones(len(DIGITS))
    weights[::2] = 0
    seen = [
        rows.index
        for rows in Rows(DIGITS, sample_weight=weights).samples(SHARES, np.random.RandomState(0))
    ]
    assert [len(rows) for rows in seen] == [29, 113, 449]
    for smaller, larger in pairwise(seen):
        assert set(smaller) < set(larger)
    assert all(weights[rows].all() and (np.diff(rows) > 0).all() for rows in seen)


def test_auto_grows_where_there_are_many_rows(monkeypatch):
    monkeypatch.setattr(_training, "GROW_FROM", 1000)
    auto = clone(SAE).set_params(growing_samples="auto")
    assert len(clone(auto).fit(DIGITS[:999]).stage_lengths_) == 1
    assert clone(auto).fit(DIGITS[:999]).stage_shares_.tolist() == [1]
    assert len(clone(auto).fit(DIGITS[:1000]).stage_lengths_) == 4
    assert len(clone(auto).set_params(growing_samples=False).fit(DIGITS).stage_lengths_) == 1
    assert len(clone(auto).set_params(solver="cg").fit(DIGITS).stage_lengths_) == 1
    assert clone(auto).set_params(solver="cg").fit(DIGITS).stage_shares_.tolist() == [1]
    warm = clone(auto).set_params(warm_start=True).fit(DIGITS)
    assert len(warm.stage_lengths_) == 4
    assert len(warm.fit(DIGITS).stage_lengths_) == 1
    stops = MLPBackpropClassifier((4,), early_stopping=True, max_iter=5)
    assert len(stops.fit(DIGITS, LABELS).stage_lengths_) == 1
    tuned = MLPBackpropClassifier((8,), activation="logistic", pretraining=auto, max_iter=40)
    assert len(tuned.fit(DIGITS, LABELS).stage_lengths_) == 1


@pytest.mark.parametrize("solver", [name for name in SOLVERS if name != "lbfgs"])
def test_only_lbfgs_grows(solver):
    with pytest.raises(ValueError, match="growing_samples=True needs solver='lbfgs'"):
        clone(SAE).set_params(solver=solver).fit(DIGITS)


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_few_rows(n_rows):
    net = MLPBackpropRegressor((3,), growing_samples=True, max_iter=20, random_state=0)
    net.fit(DIGITS[:n_rows], LABELS[:n_rows])
    assert np.isfinite(net.loss_)
