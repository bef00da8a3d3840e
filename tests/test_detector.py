"""The anomaly detector: its score, its threshold, its explanation, and what it takes."""

import pickle

import dask.array
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skl_sae import SparseAutoencoder, SparseAutoencoderDetector
from skl_sae._robust import CUT, Gaussian, Polygons, center_and_scale, quantiles

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)) @ RNG.normal(size=(4, 6)) + 0.3 * RNG.normal(size=(300, 6))
NEW = RNG.normal(size=(40, 6))
UNITS = 10.0 ** np.array([-6, -3, 0, 2, 4, 6])


def detector(**params):
    return SparseAutoencoderDetector(**{"n_estimators": 6, "random_state": 0, **params})


@pytest.fixture(scope="module")
def fitted():
    return detector(contamination=0.1).fit(X)


# -- the score -------------------------------------------------------------------------------


def distance(rows, A, s=None):
    """The squared distance by its definition, from the nearest four fifths of A."""
    for _ in range(2):
        mean, cov = A.mean(axis=0), np.cov(A, rowvar=False, bias=True)
        typical = np.trace(cov) / len(cov)
        inverse = np.linalg.inv(0.99 * cov + 0.01 * typical * np.eye(len(cov)))
        own = np.einsum("ij,jk,ik->i", A - mean, inverse, A - mean)
        found = np.einsum("ij,jk,ik->i", rows - mean, inverse, rows - mean) / len(cov)
        A = A[own <= np.sort(own)[int(0.8 * len(A))]]
    return found


def scaled(fitted, rows):
    """What the members see."""
    return 2 * np.arcsinh((rows - fitted.center_) / fitted.scale_ / 2)


def knots_of(column):
    """Eleven knots from the 1st to the 99th percentile, or over all if these are equal."""
    low, high = np.sort(column)[[int(0.01 * len(column)), int(0.99 * len(column) + 1e-9)]]
    if low == high:
        low, high = column.min(), column.max()
    step = (high - low) / 10 or 1
    return low + step * np.arange(11), step


def heights_of(column, share=1):
    """How many rows count at each knot, and half a row."""
    knots, step = knots_of(column)
    near = np.maximum(1 - np.abs(column - knots[:, np.newaxis]) / step, 0)
    return 0.5 + (share * near).sum(axis=1)


def rarity(x, column):
    """-log of the density of a column at x, by loops, and 0 at the mode."""
    knots, step = knots_of(column)
    heights = heights_of(column)
    with np.errstate(over="ignore"):
        steps = (x - knots[0]) / step
    return -np.log(np.interp(steps, np.arange(-1, 12), [0.5, *heights, 0.5]) / max(heights))


def test_the_score_is_what_its_docstring_says(fitted):
    new = np.vstack([NEW, 3 * NEW[:10], X[:5] + 1e-9, 1e4 * NEW[:1]])
    scale = scaled(fitted, new)
    total = np.zeros(len(new))
    for sae, rows in zip(fitted.estimators_, fitted.estimators_samples_):
        seen = scaled(fitted, X[rows])
        residuals = scale - sae.predict(scale), seen - sae.predict(seen)
        of_values = [[rarity(x, column) for x, column in zip(row, seen.T)] for row in scale]
        q = distance(sae.transform(scale), sae.transform(seen)) + distance(*residuals)
        total += np.log1p(q + 8 * np.mean(of_values, axis=1))
    np.testing.assert_allclose(fitted.score_samples(new), -total / 6, rtol=1e-7)


def test_polygons_depend_on_the_ratios_of_the_weights():
    s = RNG.integers(1, 4, size=len(X)).astype(float)
    weighted, uniform = Polygons.fit(X, s), Polygons.fit(X, np.ones(len(X)) * 7)
    assert (weighted.heights != uniform.heights).any()
    low, high = quantiles(X, s, 0.01, 0.99)
    for j, (heights, column) in enumerate(zip(weighted.heights, X.T)):
        knots = np.linspace(low[j], high[j], 11)
        near = np.maximum(1 - np.abs(column[:, np.newaxis] - knots) / (knots[1] - knots[0]), 0)
        expected = s / s.mean() @ near + 0.5
        np.testing.assert_allclose(heights[1:-1], expected / expected.max(), rtol=1e-9)
    np.testing.assert_array_equal(Polygons.fit(X, 8.0 * s).heights, weighted.heights)


@pytest.mark.parametrize(
    "column",
    [
        np.zeros(9),
        np.full(9, 1e100),
        np.r_[0, np.ones(8)],
        np.arange(9) * 1e-320,
        np.r_[np.zeros(8), 5e-324],  # a tenth of its range is 0
        np.r_[-1e99, np.zeros(7), 1e99],
        np.r_[np.zeros(150), 1],  # equal but for the extreme values
    ],
)
def test_rarity_of_columns_at_the_edges(column):
    values = Polygons.fit(column[:, np.newaxis], np.ones(len(column)))
    found = values.rarity(np.r_[column, 0.5, -1e100, 1e100][:, np.newaxis]).ravel()
    assert np.isfinite(found).all()
    assert (found >= 0).all()
    expected = [rarity(x, column) for x in [*column, 0.5]]
    np.testing.assert_allclose(found[:-2], expected, rtol=1e-9, atol=1e-12)
    assert found[-2:].max() == pytest.approx(-np.log(0.5 / max(heights_of(column))), rel=1e-9)


@pytest.mark.parametrize("extreme", [None, 20, 1e6])
def test_a_rare_value_of_a_usual_size_is_odd(extreme):
    """A column has two values, and a third between them, near its mean; two rows are extreme."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.choice([-1.0, 1.0], size=300), rng.normal(size=(300, 2))])
    odd = rows[:50].copy()
    odd[:, 0] = 0
    if extreme is not None:
        rows[[60, 70], 0] = -extreme, extreme
    ours = detector().fit(rows[50:])
    scores = ours.score_samples(np.vstack([rows[:50], odd]))
    assert roc_auc_score(np.repeat([1, 0], 50), scores) > 0.9
    assert (ours.feature_scores(odd).argmin(axis=1) == 0).mean() > 0.8


def test_it_finds_what_an_isolation_forest_does_not():
    """Rows that break a rule among columns, each of them usual."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 3))
    train = np.column_stack([rows, rows.sum(axis=1)]) + 0.1 * rng.normal(size=(400, 4))
    odd = train[rng.permutation(400)[:60]].copy()
    odd[:, 3] += rng.choice([-1.5, 1.5], size=60)
    test, labels = np.vstack([train[200:], odd]), np.repeat([1, 0], [200, 60])
    forest = IsolationForest(random_state=0).fit(train[:200])
    ours = detector().fit(train[:200])
    assert roc_auc_score(labels, ours.score_samples(test)) > 0.9
    assert roc_auc_score(labels, forest.score_samples(test)) < 0.65


def test_tumours():
    data = load_breast_cancer()
    train = data.data[data.target == 1][:200]
    scores = detector().fit(train).score_samples(data.data)
    assert roc_auc_score(data.target, scores) > 0.93


def test_anomalies_in_the_training_data_count_less():
    odd = np.vstack([X, np.full((15, 6), 8.0)])  # a cluster of its own
    scores = detector().fit(odd).score_samples(odd)
    assert set(np.argsort(scores)[:15]) == set(range(300, 315))


# -- the threshold ---------------------------------------------------------------------------


def test_the_threshold_holds_for_new_rows():
    """Training scores alone, of rows that members have seen, would promise too much."""
    rng = np.random.default_rng(2)
    mixing = rng.normal(size=(10, 10))
    shares = []
    for seed in range(4):
        train, new = np.split(rng.normal(size=(2300, 10)) @ mixing, [300])
        found = detector(contamination=0.05, random_state=seed).fit(train).predict(new)
        shares.append((found == -1).mean())
    assert 0.03 < np.mean(shares) < 0.07


def test_contamination_is_the_share_of_the_training_rows(fitted):
    assert (fitted.predict(X) == -1).sum() == 30
    assert (fitted.fit_predict(X) == fitted.predict(X)).all()


def test_auto_is_one_interquartile_range_below_the_quartile():
    fitted = detector().fit(X)
    scores = np.sort(fitted.score_samples(X))
    assert fitted.offset_ == pytest.approx(2 * scores[75] - scores[225])
    np.testing.assert_array_equal(
        fitted.predict(NEW), np.where(fitted.score_samples(NEW) < fitted.offset_, -1, 1)
    )


def test_members_are_not_asked_about_rows_that_they_have_seen(fitted):
    own = np.array([member.score(scaled(fitted, X)) for member in fitted._members])
    unseen = np.ones(own.shape)
    for weights, rows in zip(unseen, fitted.estimators_samples_):
        weights[rows] = 0
    some = unseen.any(axis=0)
    expected = np.average(own[:, some], axis=0, weights=unseen[:, some])
    np.testing.assert_allclose(fitted.score_samples(X)[some], expected, rtol=1e-9)
    another = fitted.score_samples(X + 1e-12)  # rows that nobody has seen
    assert np.abs(another / fitted.score_samples(X) - 1).max() > 0.01


def test_a_row_that_all_members_have_seen_is_scored_by_all():
    everything = detector(max_samples=1.0).fit(X)
    another = everything.score_samples(X + 1e-12)
    np.testing.assert_allclose(everything.score_samples(X), another, rtol=1e-6)


@pytest.mark.parametrize(("asked", "n_rows"), [("auto", 150), (20, 20), (0.1, 30), (1.0, 300)])
def test_max_samples(asked, n_rows):
    fitted = detector(max_samples=asked, n_estimators=2, max_iter=2).fit(X)
    assert fitted.max_samples_ == n_rows
    for rows in fitted.estimators_samples_:
        assert len(np.unique(rows)) == n_rows
    assert not np.array_equal(*fitted.estimators_samples_) or n_rows == 300


def test_more_samples_than_rows_are_warned_of():
    with pytest.warns(UserWarning, match="max_samples=500 is more than the 300 different rows"):
        detector(max_samples=500, max_iter=2).fit(X)


# -- the explanation ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_features", [1, 2, 6])
def test_contributions_add_up_to_the_score(n_features):
    fitted = detector().fit(X[:, :n_features])
    rows = np.vstack([X[:50], 100 * NEW, np.zeros((1, 6))])[:, :n_features]
    parts = fitted.feature_scores(rows)
    assert parts.shape == rows.shape
    np.testing.assert_allclose(parts.sum(axis=1), fitted.score_samples(rows), rtol=1e-8)


def test_the_feature_that_is_odd_contributes_most(fitted):
    rows = X[:6].copy()
    rows[np.arange(6), np.arange(6)] += 15 * X.std(axis=0)
    assert (fitted.feature_scores(rows).argmin(axis=1) == np.arange(6)).mean() > 0.8


# -- units, order, weights -----------------------------------------------------------------


def test_units_change_nothing(fitted):
    other = clone(fitted).fit(X * UNITS)
    np.testing.assert_allclose(other.score_samples(NEW * UNITS), fitted.score_samples(NEW), 1e-5)
    np.testing.assert_array_equal(other.predict(X * UNITS), fitted.predict(X))
    shifted = clone(fitted).fit(X + 100 / UNITS)
    np.testing.assert_allclose(
        shifted.score_samples(NEW + 100 / UNITS)[:9], fitted.score_samples(NEW)[:9], 1e-2
    )


def test_weights_are_repetition_and_order_does_not_matter(fitted):
    counts = np.random.default_rng(0).integers(0, 3, size=300)
    weighted = clone(fitted).fit(X, sample_weight=counts)
    repeated = np.random.default_rng(1).permutation(np.repeat(X, counts, axis=0))
    other = clone(fitted).fit(repeated)
    np.testing.assert_array_equal(other.score_samples(NEW), weighted.score_samples(NEW))
    assert other.offset_ == weighted.offset_


@pytest.mark.parametrize("limit", [1, 2])
def test_any_number_of_jobs_and_threads_gives_the_same_bits(limit, fitted):
    rows = np.tile(NEW, (60, 1))  # several blocks
    with threadpool_limits(limit), parallel_config("threading"):
        other = clone(fitted).set_params(n_jobs=limit).fit(X)
        np.testing.assert_array_equal(other.score_samples(rows), fitted.score_samples(rows))
        np.testing.assert_array_equal(other.feature_scores(NEW), fitted.feature_scores(NEW))


@pytest.mark.slow
def test_processes_give_the_same_bits(fitted):
    other = clone(fitted).set_params(n_jobs=2).fit(X)
    np.testing.assert_array_equal(other.score_samples(NEW), fitted.score_samples(NEW))


# -- what it takes ---------------------------------------------------------------------------


def test_sparse_and_single_rows(fitted):
    sparse = clone(fitted).fit(csr_array(X))
    np.testing.assert_array_equal(sparse.score_samples(csr_array(NEW)), fitted.score_samples(NEW))
    single = clone(fitted).fit(X.astype(np.float32))
    found = single.score_samples(NEW.astype(np.float32))
    np.testing.assert_allclose(found, fitted.score_samples(NEW), rtol=1e-2)


def test_columns_that_are_constant_discrete_or_twice_there(fitted):
    rows = np.column_stack(
        [X, X[:, 0], np.full(300, 7.0), np.zeros(300), RNG.integers(3, size=300)]
    )
    rows[:, -1] *= rows[:, -1] == 2  # most are zero
    found = detector().fit(rows)
    scores = found.score_samples(rows)
    assert np.isfinite(scores).all()
    odd = rows[[0, 0, 0]].copy()
    odd[0, 6] += 3  # the columns are not the same
    odd[1, 7] = 14
    odd[2, 8] = 1
    assert (found.predict(odd) == -1).all()
    assert (found.feature_scores(odd)[1:].argmin(axis=1) == [7, 8]).all()


@pytest.mark.parametrize("value", [0, 3.5, -1e300])
def test_rows_that_are_all_the_same(value):
    rows = np.full((5, 3), value)
    found = detector().fit(rows)
    assert (found.predict(rows) == 1).all()
    assert (found.predict(rows + 1 + abs(rows)) == -1).all()


def test_many_columns():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(80, 5)) @ rng.normal(size=(5, 2000)) + rng.normal(size=(80, 2000))
    found = detector(n_estimators=3, max_iter=3, contamination=0.1).fit(wide)
    odd = wide[:4] + 3 * rng.normal(size=(4, 2000))
    assert (found.predict(odd) == -1).all()
    np.testing.assert_allclose(
        found.feature_scores(odd).sum(axis=1), found.score_samples(odd), rtol=1e-6
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e160, 1e300])
def test_huge_and_tiny_numbers(scale, fitted):
    rows = X / np.abs(X).max() * scale
    found = clone(fitted).fit(rows)
    np.testing.assert_array_equal(found.predict(rows), fitted.predict(X))
    far = np.full((1, 6), 1e308)
    assert np.isfinite(found.score_samples(far)).all()
    assert np.isfinite(found.feature_scores(far)).all()


def test_data_frames(fitted):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    found = clone(fitted).fit(frame)
    assert found.feature_names_in_.tolist() == list("abcdef")
    np.testing.assert_array_equal(found.score_samples(frame), fitted.score_samples(X))
    with pytest.raises(ValueError, match="feature names"):
        found.predict(frame[list("bacdef")])


@pytest.mark.parametrize(
    "method", ["score_samples", "decision_function", "predict", "feature_scores"]
)
def test_dask_collections_are_scored_by_chunks(method, fitted):
    lazy = getattr(fitted, method)(dask.array.from_array(NEW, chunks=(15, 6)))
    np.testing.assert_allclose(lazy.compute(), getattr(fitted, method)(NEW), rtol=1e-12)
    with pytest.raises(TypeError, match="needs rows in memory"):
        fitted.fit(dask.array.from_array(X, chunks=(50, 6)))


def test_pickles(fitted):
    back = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(back.score_samples(NEW), fitted.score_samples(NEW))


def test_onnx_is_refused_in_a_sentence(fitted):
    skl2onnx = pytest.importorskip("skl2onnx")
    from skl_sae.onnx import register

    register()
    with pytest.raises(NotImplementedError, match="SparseAutoencoderDetector is not exported"):
        skl2onnx.to_onnx(fitted, X[:1])


def test_a_search_with_labels():
    """Labels choose parameters; they are not fitted."""
    labels = np.repeat([1, -1], [300, 40])
    rows = np.vstack([X, 3 * NEW])
    search = GridSearchCV(
        make_pipeline(StandardScaler(), detector(max_iter=2)),
        {"sparseautoencoderdetector__n_components": [2, 4]},
        scoring="roc_auc",
        cv=StratifiedKFold(2),
    )
    assert search.fit(rows, labels).best_score_ > 0.9


def test_few_rows():
    found = detector().fit(X[:2])
    assert np.isfinite(found.score_samples(X)).all()
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        found.fit(X[:1])


def test_members_are_autoencoders_of_several_sizes(fitted):
    assert all(type(sae) is SparseAutoencoder for sae in fitted.estimators_)
    assert [sae.n_components for sae in fitted.estimators_[:4]] == [2, 3, 6, 2]
    same = detector(n_components=5, lam=0.1, beta=0, rho=0.2, max_iter=3, n_estimators=2).fit(X)
    for sae in same.estimators_:
        asked = {"n_components": 5, "lam": 0.1, "beta": 0, "rho": 0.2, "max_iter": 3}
        assert asked.items() <= sae.get_params().items()


@pytest.mark.slow
@pytest.mark.parametrize("digit", range(10))
def test_false_alarms_on_digits(digit):
    data = load_digits()
    clean = data.data[data.target != digit]
    rows = np.random.default_rng(digit).permutation(clean)
    found = SparseAutoencoderDetector(contamination=0.05, random_state=0).fit(rows[:1000])
    assert 0.02 < (found.predict(rows[1000:]) == -1).mean() < 0.09


# -- the statistics it is made of --------------------------------------------------------------


def test_quantiles_count_weights():
    values = np.array([3.0, 1.0, 2.0])
    assert [float(q) for q in quantiles(values, np.array([1.0, 1, 2]), 0, 0.25, 0.5, 1)] == [
        1,
        2,
        2,
        3,
    ]


def test_the_scale_is_that_of_most_values():
    rows = np.random.default_rng(0).normal(size=(1000, 1))
    rows[0] = 1e9
    center, scale = center_and_scale(rows, np.ones(1000))
    assert abs(center) < 0.1
    assert 0.85 < scale < 1.05
    assert CUT == 0.01


@pytest.mark.parametrize("shape", [(30, 4), (4, 30)])
def test_the_parts_of_a_distance_add_up(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    found = Gaussian.fit(rows, np.ones(len(rows)))
    far = np.random.default_rng(1).normal(size=(5, shape[1]))
    D, pulled = found.pull(far)
    np.testing.assert_allclose((D * pulled).sum(axis=1), found.distance(far), rtol=1e-9)
