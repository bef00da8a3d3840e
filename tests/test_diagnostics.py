"""Diagnostics of a code: plain loops, hand-made codes, blocks, weights, scorers."""

from math import inf, log

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference import rate
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, minmax_scale

from skl_sae import CodeDisplay, MLPBackpropClassifier, SparseAutoencoder, code_diagnostics
from skl_sae.backprop.activations import ACTIVATIONS, STEEPNESS
from skl_sae.diagnostics import ACTIVITY, describe_units

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]
DIGITS, LABELS = load_digits(return_X_y=True)
X = minmax_scale(DIGITS)[:150]
WEIGHTS = np.random.default_rng(0).integers(0, 4, size=len(X))
NAMES = ["mean_activation", "variance", "kl", "l0", "dead", "saturated", "collapsed"]


def fit(activation="logistic", X=X, **params):
    beta = 1.0 if activation in STEEPNESS else 0.0
    sae = SparseAutoencoder(
        6, activation=activation, beta=beta, rho=0.2, lam=1e-3, max_iter=30, random_state=0
    )
    return sae.set_params(**params).fit(X)


def with_code(code, activation="logistic", rho=0.05):
    """An autoencoder whose code of the identity matrix is this one."""
    raw = {
        "logistic": lambda a: np.log(a / (1 - a)),
        "tanh": np.arctanh,
        "relu": np.array,
        "identity": np.array,
    }
    n_rows, n_units = code.shape
    sae = SparseAutoencoder(n_units, activation=activation, beta=0, rho=rho, max_iter=1)
    sae.fit(np.eye(n_rows))
    sae.coefs_[0], sae.intercepts_[0] = raw[activation](code), np.zeros(n_units)
    assert_allclose(sae.transform(np.eye(n_rows)), code, atol=1e-12)
    return sae, np.eye(n_rows)


def in_loops(sae, X, s, threshold):
    """The table of the docstring, one number at a time."""
    has_rate = sae.activation in STEEPNESS
    activity = rate(sae.activation) if has_rate else abs
    units = {name: [] for name in NAMES}
    for unit in sae.transform(X).T:
        u = [activity(a) for a in unit]
        counted = [v for v, w in zip(u, s, strict=True) if w > 0]
        mean = sum(w * v for v, w in zip(u, s, strict=True)) / sum(s)
        variance = sum(w * (v - mean) ** 2 for v, w in zip(u, s, strict=True)) / sum(s)
        kl = (
            sae.rho * log(sae.rho / mean) + (1 - sae.rho) * log((1 - sae.rho) / (1 - mean))
            if has_rate
            else np.nan
        )
        units["mean_activation"].append(mean)
        units["variance"].append(variance)
        units["kl"].append(kl)
        units["l0"].append(sum(w for v, w in zip(u, s, strict=True) if v > threshold) / sum(s))
        units["dead"].append(all(v <= threshold for v in counted))
        units["saturated"].append(has_rate and all(v >= 1 - threshold for v in counted))
        units["collapsed"].append(variance**0.5 < 0.1 * mean)
    return units


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_plain_loops(activation, weights):
    sae = fit(activation)
    s = np.ones(len(X)) if weights is None else weights
    units = code_diagnostics(sae, X, sample_weight=weights, threshold=0.15, per_unit=True)
    assert list(units) == NAMES
    for name, expected in in_loops(sae, X, s, threshold=0.15).items():
        assert_allclose(units[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)
    numbers = code_diagnostics(sae, X, sample_weight=weights, threshold=0.15)
    assert list(numbers) == ["explained_variance", *NAMES]
    assert numbers["explained_variance"] == sae.score(X, sample_weight=weights)
    for name in NAMES:
        reduce = np.mean if name in ("mean_activation", "variance") else np.sum
        assert type(numbers[name]) is float
        assert_allclose(numbers[name], reduce(units[name]), rtol=1e-12, err_msg=name)


def test_hand_made_code():
    """Dead, saturated, stuck at rho, and one that works."""
    low, high = 1e-3, 1 - 1e-3
    code = np.array(
        [
            [low, high, 0.05, 0.9],
            [low, high, 0.05, 0.01],
            [low / 2, high, 0.05, 0.01],
            [low, 1 - 1e-4, 0.05, 0.2],
        ]
    )
    sae, rows = with_code(code)
    units = code_diagnostics(sae, rows, per_unit=True)
    assert_array_equal(units["dead"], [True, False, True, False])
    assert_array_equal(units["saturated"], [False, True, False, False])
    assert_array_equal(units["collapsed"], [False, True, True, False])
    assert_allclose(units["l0"], [0, 1, 0, 0.5])
    assert_allclose(units["variance"][2], 0, atol=1e-30)
    assert_allclose(units["kl"][2], 0, atol=1e-12)
    assert units["kl"][1] > 2
    small = code_diagnostics(sae, rows, per_unit=True, threshold=0.02)
    assert_array_equal(small["dead"], [True, False, False, False])
    _, n_active = describe_units(sae, rows)
    assert_allclose(n_active, [0, 0.5, 0.5, 0, 0])


def test_tanh_codes_are_read_as_rates():
    code = np.array([[0.3, 0.7, 0.05], [0.15, 0.2, 0.6]])
    logistic, rows = with_code(code)
    tanh, _ = with_code(2 * code - 1, "tanh")
    one, other = (code_diagnostics(sae, rows, per_unit=True) for sae in (logistic, tanh))
    for name in NAMES:
        assert_allclose(one[name], other[name], rtol=1e-10, err_msg=name)


def test_relu_and_identity_units():
    code = np.array([[0.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
    relu, rows = with_code(code, "relu")
    units = code_diagnostics(relu, rows, per_unit=True)
    assert_array_equal(units["dead"], [True, False, False])
    assert_allclose(units["l0"], [0, 1, 0.5])
    assert_allclose(units["variance"], [0, 0.25, 2.25])
    assert not units["saturated"].any()
    assert np.isnan(units["kl"]).all()
    identity, rows = with_code(-code, "identity")
    negative = code_diagnostics(identity, rows, per_unit=True)
    for name in NAMES:
        assert_allclose(units[name], negative[name], err_msg=name)


def test_saturated_units_have_a_finite_kl():
    """Where the code rounds to one, 1 - activity is still known."""
    sae, rows = with_code(np.full((3, 2), 0.5))
    sae.intercepts_[0] = np.array([60.0, -60.0])
    assert (sae.transform(rows)[:, 0] == 1).all()
    kl = code_diagnostics(sae, rows, per_unit=True)["kl"]
    expected = (
        0.95 * (log(0.95) + 60) + 0.05 * log(0.05),
        0.05 * (log(0.05) + 60) + 0.95 * log(0.95),
    )
    assert_allclose(kl, expected, rtol=1e-12)
    sae.intercepts_[0] = np.array([0.0, -1000.0])
    assert code_diagnostics(sae, rows)["kl"] == inf


def test_the_penalty_is_beta_times_kl():
    """J minus its other terms."""
    sae = fit(beta=3.0)
    misfit = ((sae.predict(X) - X) ** 2).sum(axis=1).mean() / 2
    decay = sae.lam / 2 * sum((W**2).sum() for W in sae.coefs_)
    assert 3 * code_diagnostics(sae, X)["kl"] == pytest.approx(sae.loss_ - misfit - decay)
    mean = code_diagnostics(sae, X, per_unit=True)["mean_activation"]
    assert_allclose(mean, sae.mean_activation_, rtol=1e-12)


def test_weights_are_repetitions():
    sae = fit()
    weighted = describe_units(sae, X, WEIGHTS)
    repeated = describe_units(sae, np.repeat(X, WEIGHTS, axis=0))
    assert_allclose(weighted[1], repeated[1])
    for name in NAMES:
        assert_allclose(weighted[0][name], repeated[0][name], rtol=1e-10, err_msg=name)


def test_many_blocks_equal_one_and_weightless_blocks_do_not_count():
    big = np.tile(X, (200, 1))  # 30,000 rows: several blocks
    sae = fit()
    weights = np.r_[np.zeros(15_000), np.ones(15_000)]
    one = describe_units(sae, X)
    for several in (describe_units(sae, big), describe_units(sae, big, weights)):
        assert_allclose(one[1], several[1], rtol=1e-10)
        for name in NAMES:
            assert_allclose(one[0][name], several[0][name], rtol=1e-10, err_msg=name)


def test_blocks_that_differ():
    """Units that are dead or saturated in one block only, and blocks of unequal weight."""
    code = np.array([[0.01, 0.99, 0.99, 0.3], [0.5, 0.5, 0.95, 0.6]])
    sae, rows = with_code(code)
    number = [20_000, 9_000]
    weights = np.repeat([1.0, 3.0], number)
    units, n_active = describe_units(sae, np.repeat(rows, number, axis=0), weights)
    share = np.array([20, 27]) / 47
    mean = share @ code
    assert_allclose(units["mean_activation"], mean)
    assert_allclose(units["variance"], share @ (code - mean) ** 2)
    assert_allclose(units["l0"], [share[1], 1, 1, 1])
    assert_allclose(n_active, [0, 0, 0, share[0], share[1]])
    assert_array_equal(units["dead"], [False] * 4)
    assert_array_equal(units["saturated"], [False, False, True, False])


def test_the_whole_code_is_never_in_memory():
    import tracemalloc

    big = np.tile(X.astype(np.float32), (1000, 1))  # 150,000 rows
    sae = fit(X=X.astype(np.float32), n_components=100, max_iter=2)
    tracemalloc.start()
    try:
        code_diagnostics(sae, big)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.6 * len(big) * 100 * 4  # of its code


def test_sparse_and_single_precision():
    sae = fit()
    dense = code_diagnostics(sae, X)
    assert code_diagnostics(sae, csr_array(X)) == pytest.approx(dense, rel=1e-12)
    single = X.astype(np.float32)
    # Few iterations: later the paths of both precisions part.
    found = code_diagnostics(fit(X=single, max_iter=5), single)
    assert found == pytest.approx(code_diagnostics(fit(max_iter=5), X), rel=1e-4, abs=1e-6)


def test_pipeline():
    raw = DIGITS[:150]
    pipe = make_pipeline(MinMaxScaler(), fit(), LogisticRegression()).fit(raw, LABELS[:150])
    expected = code_diagnostics(pipe[1], pipe[0].transform(raw))
    assert code_diagnostics(pipe, raw) == expected
    frozen = make_pipeline(MinMaxScaler(), FrozenEstimator(pipe[1]))
    assert code_diagnostics(frozen.fit(raw), raw) == expected
    assert code_diagnostics(pipe[1:], pipe[0].transform(raw)) == expected
    assert code_diagnostics(FrozenEstimator(pipe[1]), pipe[0].transform(raw)) == expected


def test_data_frames_do_not_warn():
    pd = pytest.importorskip("pandas", reason="needs pandas")
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    sae = fit(X=frame)
    pipe = make_pipeline(MinMaxScaler().set_output(transform="pandas"), fit()).fit(frame)
    rows = frame.to_numpy()  # in the same order in memory
    assert code_diagnostics(sae, frame) == code_diagnostics(fit(X=rows), rows)
    assert code_diagnostics(pipe, frame)["l0"] > 0


def test_network():
    net = MLPBackpropClassifier((7, 5), activation="relu", max_iter=5, random_state=0)
    net.fit(X, LABELS[:150])
    for layer in (0, 1):
        code = net.set_params(transform_layer=layer).fit(X, LABELS[:150]).transform(X)
        units = code_diagnostics(net, X, per_unit=True)
        assert_allclose(units["mean_activation"], code.mean(axis=0))
        assert_allclose(units["variance"], code.var(axis=0))
        assert_allclose(units["l0"], (code > 0).mean(axis=0))
    assert "explained_variance" not in code_diagnostics(net, X)


def test_the_fit_is_described_whatever_the_parameters_are_now():
    sae = fit()
    before = code_diagnostics(sae, X)
    sae.set_params(activation="relu", output_activation="identity", rho=0.5, beta=0)
    assert code_diagnostics(sae, X) == before
    rho = CodeDisplay.from_estimator(sae, X).rho
    assert rho == fit().rho


def test_it_is_a_scorer():
    sae = SparseAutoencoder(4, max_iter=5, random_state=0)
    grid = {"rho": [0.05, 0.3]}
    search = GridSearchCV(sae, grid, scoring=code_diagnostics, refit="explained_variance", cv=2)
    search.fit(X)
    train = sae.set_params(rho=0.3).fit(X[75:])
    expected = code_diagnostics(train, X[:75])
    for name, value in expected.items():
        assert search.cv_results_[f"split0_test_{name}"][1] == value
    pipe = make_pipeline(MinMaxScaler(), sae, LogisticRegression(max_iter=500))
    scores = cross_validate(pipe, DIGITS[:150], LABELS[:150], scoring=code_diagnostics, cv=2)
    assert (scores["test_l0"] > 0).all()


def test_one_number_as_a_scorer():
    def sparse_enough(estimator, X, y=None):
        numbers = code_diagnostics(estimator, X)
        return numbers["explained_variance"] - 0.01 * numbers["l0"]

    search = GridSearchCV(SparseAutoencoder(4, max_iter=5), {"rho": [0.05, 0.3]}, cv=2)
    search.set_params(scoring=sparse_enough).fit(X)
    assert np.isfinite(search.best_score_)


@pytest.mark.parametrize("threshold", [None, 0.2])
def test_an_activation_without_activity_says_where_it_is_missing(threshold, monkeypatch):
    monkeypatch.delitem(ACTIVITY, "tanh")
    with pytest.raises(NotImplementedError, match="'tanh' is missing in ACTIVITY of skl_sae/diag"):
        code_diagnostics(fit("tanh"), X, threshold=threshold)


def test_bad_input():
    sae = fit()
    for threshold in (-0.1, 0.6, "high", np.nan):
        with pytest.raises(ValueError, match=r"threshold must be a number from 0 to 0\.5"):
            code_diagnostics(sae, X, threshold=threshold)
    assert code_diagnostics(fit("relu"), X, threshold=3.0)["l0"] >= 0
    with pytest.raises(ValueError, match=r"(?i)sample weights .*zero"):
        code_diagnostics(sae, X, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match="expecting 64 features"):
        code_diagnostics(sae, X[:, :5])
    with pytest.raises(NotFittedError):
        code_diagnostics(SparseAutoencoder(), X)
    search = GridSearchCV(SparseAutoencoder(2, max_iter=2), {"rho": [0.1]}, cv=2).fit(X)
    with pytest.raises(TypeError, match="not a GridSearchCV; for a search, pass its best_estima"):
        code_diagnostics(search, X)
    with pytest.raises(TypeError, match="takes a fitted SparseAutoencoder"):
        code_diagnostics(make_pipeline(MinMaxScaler()), X)
    net = MLPBackpropClassifier((), max_iter=2).fit(X, LABELS[:150])
    with pytest.raises(ValueError, match="no hidden layer, and so no code"):
        code_diagnostics(net, X)
