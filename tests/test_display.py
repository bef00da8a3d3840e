"""Displays: what their artists hold, the axes they use, and what they refuse."""

import builtins
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils import Bunch

from skl_sae import (
    CodeDisplay,
    ComponentsDisplay,
    FeatureScoresDisplay,
    LossCurveDisplay,
    MLPBackpropClassifier,
    PatchNormalizer,
    ReconstructionDisplay,
    SparseAutoencoder,
    SparseAutoencoderDetector,
    ZCAWhitening,
    code_diagnostics,
)

matplotlib = pytest.importorskip("matplotlib", reason="displays need matplotlib")
matplotlib.use("agg")
plt = pytest.importorskip("matplotlib.pyplot", reason="displays need matplotlib")

PAGE = Path(__file__).parents[1] / "docs" / "diagnostics.rst"
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skl_sae.exceptions.CollapseWarning"),
]
DIGITS, LABELS = load_digits(return_X_y=True)
X, y = DIGITS[:200] / 16, LABELS[:200]
RNG = np.random.default_rng(0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    SAE = SparseAutoencoder(5, rho=0.2, max_iter=20, random_state=0).fit(X)
    NET = MLPBackpropClassifier((7, 4), max_iter=20, random_state=0).fit(X, y)


def draw(display):
    """Everything is laid out and painted without a warning."""
    display.figure_.canvas.draw()
    return display


def of_wine():
    wine = load_wine(as_frame=True)
    sae = SparseAutoencoder(3, rho=0.2, max_iter=20, random_state=0)
    return make_pipeline(MinMaxScaler(), sae).fit(wine.data), wine.data


# -- components --------------------------------------------------------------------------


def test_components_as_pictures():
    display = draw(ComponentsDisplay.from_estimator(SAE, image_shape=(8, 8)))
    grid = display.im_.get_array()
    assert grid.shape == (17, 26)  # two lines of three pictures, a pixel apart
    for i, W in enumerate(SAE.components_):
        top, left = 9 * (i // 3), 9 * (i % 3)
        tile = grid[top : top + 8, left : left + 8]
        assert_allclose(tile, (W / np.abs(W).max()).reshape(8, 8), rtol=1e-12)
    for nothing in (grid[8], grid[:, 8], grid[:, 17], grid[9:, 18:]):
        assert np.ma.getmaskarray(nothing).all() or np.isnan(nothing).all()
    assert display.im_.get_clim() == (-1, 1)
    assert display.colorbar_.ax.get_ylabel() == "relative weight"
    assert display.ax_.figure is display.figure_


def test_components_on_a_shared_scale():
    display = ComponentsDisplay.from_estimator(SAE, image_shape=(8, 8), shared_scale=True)
    assert_allclose(display.im_.get_array()[:8, :8], SAE.components_[0].reshape(8, 8))
    limit = np.abs(SAE.components_).max()
    assert display.im_.get_clim() == pytest.approx((-limit, limit))


@pytest.mark.parametrize("shared", [False, True])
def test_components_in_colour(shared):
    W = RNG.normal(size=(4, 2 * 3 * 3))
    display = draw(ComponentsDisplay(W, image_shape=(2, 3, 3)).plot(shared_scale=shared))
    grid = display.im_.get_array()
    assert grid.shape == (5, 7, 4)
    for i, w in enumerate(W):
        top, left = 3 * (i // 2), 4 * (i % 2)
        tile = grid[top : top + 2, left : left + 3]
        largest = np.abs(W).max() if shared else np.abs(w).max()
        assert_allclose(tile[..., :3], 0.5 + 0.5 * w.reshape(2, 3, 3) / largest, rtol=1e-12)
        assert (tile[..., 3] == 1).all()
    assert (grid[2, :, 3] == 0).all()  # transparent between the pictures
    assert display.colorbar_ is None


def test_components_as_a_heat_map():
    pipe, frame = of_wine()
    display = draw(ComponentsDisplay.from_estimator(pipe))
    assert_array_equal(display.im_.get_array(), pipe[-1].components_)
    low, high = display.im_.get_clim()
    assert high == -low == np.abs(pipe[-1].components_).max()
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert len(labels) == 13
    assert labels[0] == "alcohol"
    assert labels[11] == "od280/od315_of_dilu…"
    assert list(frame.columns[:11]) == labels[:11]


def test_short_of_room_only_some_names_are_shown():
    names = [f"feature {i}" for i in range(200)]
    display = ComponentsDisplay(RNG.normal(size=(3, 200)), feature_names=names).plot()
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    positions = display.ax_.get_xticks()
    assert 10 < len(labels) < 100
    assert labels == [names[int(i)] for i in positions]


def test_names_of_features():
    fitted = SparseAutoencoder(2, max_iter=2, random_state=0)
    frame = load_wine(as_frame=True).data / 2000
    display = ComponentsDisplay.from_estimator(fitted.fit(frame))
    assert display.feature_names[0] == "alcohol"
    display = ComponentsDisplay.from_estimator(fitted, feature_names=list("abcdefghijklm"))
    assert display.feature_names[0] == "a"
    nameless = make_pipeline(FunctionTransformer(), SparseAutoencoder(2, max_iter=2)).fit(frame)
    assert ComponentsDisplay.from_estimator(nameless).feature_names is None
    assert ComponentsDisplay.from_estimator(SAE).ax_.get_xlabel() == "feature"


def test_whitening_is_folded_in():
    sae = SparseAutoencoder(4, output_activation="identity", max_iter=10, random_state=0)
    pipe = make_pipeline(MinMaxScaler(), ZCAWhitening(), sae).fit(X)
    display = ComponentsDisplay.from_estimator(pipe, image_shape=(8, 8))
    # the weights of pixels give the same raw output as those of whitened pixels
    pixels = pipe[0].transform(X)
    raw = (pixels - pipe[1].mean_) @ display.components.T
    assert_allclose(raw, pipe[1].transform(pixels) @ sae.components_.T, atol=1e-10)


def test_components_of_a_network_and_of_dead_units():
    assert_array_equal(ComponentsDisplay.from_estimator(NET).components, NET.coefs_[0].T)
    display = draw(ComponentsDisplay(np.zeros((2, 4)), image_shape=(2, 2)).plot())
    assert np.nanmax(display.im_.get_array()) == 0
    draw(ComponentsDisplay(np.zeros((2, 4))).plot())
    assert ComponentsDisplay(np.eye(4), image_shape=(2, 2, 1)).plot().colorbar_ is not None


def test_components_options():
    display = ComponentsDisplay.from_estimator(
        SAE, image_shape=(8, 8), colorbar=False, imshow_kw={"cmap": "PuOr", "vmin": -2}
    )
    assert display.colorbar_ is None
    assert display.im_.get_cmap().name == "PuOr"
    assert display.im_.get_clim() == (-2, 1)


# -- loss curve --------------------------------------------------------------------------


def test_loss_curve_of_one_stage():
    display = draw(LossCurveDisplay.from_estimator(SAE))
    (line,) = display.lines_
    assert_array_equal(line.get_xdata(), np.arange(20) + 1)
    assert_array_equal(line.get_ydata(), SAE.loss_curve_)
    assert display.ax_.get_legend() is None
    assert display.validation_line_ is display.validation_ax_ is display.best_ is None


def legend_of(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_loss_curve_of_growing_samples():
    sae = SparseAutoencoder(3, growing_samples=True, output_activation="identity", max_iter=600)
    sae.set_params(rho=0.2, tol=1e-2, random_state=0).fit(X)
    assert len(sae.stage_lengths_) == 5
    display = draw(LossCurveDisplay.from_estimator(sae))
    joined = np.concatenate([line.get_ydata() for line in display.lines_])
    assert_array_equal(joined, sae.loss_curve_)
    joined = np.concatenate([line.get_xdata() for line in display.lines_])
    assert_array_equal(joined, np.arange(sae.n_iter_) + 1)
    shown = ["1/32 of rows", "1/8 of rows", "1/2 of rows", "all rows, output solved", "all rows"]
    expected = [name for name, n in zip(shown, sae.stage_lengths_, strict=True) if n]
    assert legend_of(display) == expected
    dashed = [line.get_label() for line in display.lines_ if line.get_linestyle() == "--"]
    assert dashed == expected[3:4]


def test_loss_curve_with_early_stopping():
    net = MLPBackpropClassifier((5,), early_stopping=True, max_iter=30, random_state=0).fit(X, y)
    display = draw(LossCurveDisplay.from_estimator(net))
    assert_array_equal(display.validation_line_.get_ydata(), net.validation_scores_)
    best = int(net.validation_scores_.argmax()) + 1
    assert display.best_.get_xdata() == [best]
    assert display.best_.get_ydata() == [net.best_validation_score_]
    assert_array_equal(display.validation_loss_line_.get_ydata(), net.validation_loss_curve_)
    assert legend_of(display) == ["J of validation rows", f"best in iteration {best}"]


def test_a_fit_that_ended_on_a_sample_says_so():
    display = LossCurveDisplay([3, 2.0], stage_lengths=[2], stage_shares=[1 / 32]).plot()
    assert legend_of(display) == ["1/32 of rows"]


def test_loss_curve_of_short_and_empty_stages():
    display = draw(LossCurveDisplay([20.0, 1, 0], stage_lengths=[1, 0, 2]).plot())
    assert [line.get_marker() for line in display.lines_] == [".", ""]
    assert display.ax_.get_yscale() == "linear"  # zero has no logarithm
    assert not draw(LossCurveDisplay([], validation_scores=[]).plot()).lines_  # no iteration
    assert LossCurveDisplay([1.2, 1.1]).plot().ax_.get_yscale() == "linear"  # few ticks
    assert LossCurveDisplay([9, 1.1]).plot().ax_.get_yscale() == "log"


def test_loss_curve_options():
    display = LossCurveDisplay([2, 1], validation_scores=[0, 1]).plot(
        line_kw={"c": "red", "lw": 3}, validation_line_kw={"ls": ":"}
    )
    assert display.lines_[0].get_color() == "red"
    assert display.lines_[0].get_linewidth() == 3
    assert display.validation_line_.get_linestyle() == ":"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stage_lengths": [1]}, "lengths must add up to the 2 values"),
        ({"stage_lengths": [1, 1], "stage_shares": [1]}, "one entry for each"),
        ({"validation_scores": [1]}, "has 1 values, but loss_curve has 2"),
    ],
)
def test_lengths_that_do_not_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        LossCurveDisplay([2, 1], **wrong).plot()


# -- reconstructions ---------------------------------------------------------------------


def test_reconstructions_as_pictures():
    display = draw(ReconstructionDisplay.from_estimator(SAE, X, image_shape=(8, 8)))
    grid = display.im_.get_array()
    assert grid.shape == (2 * 17 + 2, 5 * 8 + 4 * 2)
    for i, (original, reconstruction) in enumerate(zip(X[:10], SAE.predict(X[:10]), strict=True)):
        top, left = 19 * (i // 5), 10 * (i % 5)
        tile = grid[top : top + 17, left : left + 8]
        assert_array_equal(tile[:8], original.reshape(8, 8))
        assert_array_equal(tile[9:], reconstruction.reshape(8, 8))
    assert display.im_.get_clim() == (X[:10].min(), X[:10].max())
    assert display.colorbar_ is None


def test_reconstructions_in_colour():
    A = RNG.uniform(-2, 4, size=(2, 12))
    display = draw(ReconstructionDisplay(A, 2 * A, image_shape=(2, 2, 3)).plot())
    grid = display.im_.get_array()
    low, high = A.min(), A.max()
    expected = np.clip((2 * A[0].reshape(2, 2, 3) - low) / (high - low), 0, 1)
    assert_allclose(grid[3:5, :2, :3], expected)


def test_reconstructions_as_a_heat_map():
    pipe, frame = of_wine()
    display = draw(ReconstructionDisplay.from_estimator(pipe, frame, n_rows=4))
    scaled = pipe[0].transform(frame)[:4]
    lines = display.im_.get_array()
    assert_array_equal(lines[::3], scaled)
    assert_array_equal(lines[1::3], pipe[1].predict(scaled))
    assert display.im_.get_clim() == (scaled.min(), scaled.max())
    assert display.ax_.get_xticklabels()[1].get_text() == "malic_acid"
    low, high = display.im_.get_extent()[:1:-1]
    assert (low + high) / 2 == pytest.approx(1.5)  # row i at i
    assert display.colorbar_ is not None


def test_pictures_are_taken_back_to_the_units_of_X():
    sae = SparseAutoencoder(4, output_activation="identity", max_iter=10, random_state=0)
    pipe = make_pipeline(ZCAWhitening(), sae).fit(X)
    display = ReconstructionDisplay.from_estimator(pipe, X, n_rows=2, image_shape=(8, 8))
    assert_array_equal(display.X, X[:2])
    assert_allclose(display.reconstructions, pipe[0].inverse_transform(pipe.predict(X[:2])))
    one_way = make_pipeline(PatchNormalizer(), sae).fit(X)
    display = ReconstructionDisplay.from_estimator(one_way, X, n_rows=2, image_shape=(8, 8))
    assert_array_equal(display.X, one_way[0].transform(X[:2]))
    assert_array_equal(display.reconstructions, one_way.predict(X[:2]))


def test_reconstructions_of_sparse_and_constant_rows():
    sparse = ReconstructionDisplay.from_estimator(SAE, csr_array(X), image_shape=(8, 8))
    dense = ReconstructionDisplay.from_estimator(SAE, X, image_shape=(8, 8))
    assert_allclose(sparse.im_.get_array(), dense.im_.get_array(), rtol=1e-12)
    for shape in ((2, 2, 3), (3, 4), None):
        draw(ReconstructionDisplay(np.ones((1, 12)), np.ones((1, 12)), image_shape=shape).plot())


# -- code --------------------------------------------------------------------------------


def test_code():
    weights = RNG.integers(0, 3, size=len(X))
    display = draw(CodeDisplay.from_estimator(SAE, X, sample_weight=weights, threshold=0.15))
    units = code_diagnostics(SAE, X, sample_weight=weights, threshold=0.15, per_unit=True)
    (kind,) = display.means_
    assert kind == "varying"
    assert_array_equal(display.means_[kind].get_ydata(), units["mean_activation"])
    for unit, segment in enumerate(display.spread_.get_segments()):
        mean, std = units["mean_activation"][unit], np.sqrt(units["variance"][unit])
        assert_allclose(segment, [[unit, max(mean - std, 0)], [unit, min(mean + std, 1)]])
    assert display.rho_line_.get_ydata() == [0.2, 0.2]
    number = (SAE.transform(X) > 0.15).sum(axis=1)
    share = np.bincount(number, weights=weights, minlength=6) / weights.sum()
    assert_allclose([bar.get_height() for bar in display.bars_], share)
    assert f"L0 = {share @ np.arange(6):.3g} of 5" in display.axes_[1].get_title()


def test_kinds_of_units():
    units = {
        "mean_activation": np.array([0.01, 0.99, 0.2, 0.1]),
        "variance": np.array([0, 0, 0, 0.02]),
        "kl": np.ones(4),
        "dead": np.array([True, False, False, False]),
        "saturated": np.array([False, True, False, False]),
        "collapsed": np.array([False, True, True, False]),
    }
    display = draw(CodeDisplay(units, [0, 0, 1, 0, 0], threshold=0.1).plot())
    assert {kind: line.get_xdata().tolist() for kind, line in display.means_.items()} == {
        "dead": [0],
        "saturated": [1],
        "collapsed": [2],
        "varying": [3],
    }
    assert display.rho_line_ is None


def test_activity_is_cut_at_one_beside_a_unit_that_is_always_off():
    units = {
        "mean_activation": np.array([0.0, 0.8]),
        "variance": np.array([0, 0.16]),
        "kl": np.array([np.inf, 1.2]),
        "dead": np.array([True, False]),
    }
    display = draw(CodeDisplay(units, [0, 1, 0], threshold=0.1).plot())
    assert_allclose(display.spread_.get_segments()[1], [[1, 0.4], [1, 1]])


def test_code_of_a_network_has_no_target():
    display = draw(CodeDisplay.from_estimator(NET, X))
    assert display.rho_line_ is None
    assert len(display.bars_) == 5
    relu = MLPBackpropClassifier((4,), activation="relu", max_iter=5, random_state=0).fit(X, y)
    tops = [end[1] for _, end in CodeDisplay.from_estimator(relu, X).spread_.get_segments()]
    assert max(tops) > 1  # not cut


def test_code_options():
    display = CodeDisplay.from_estimator(
        SAE,
        X,
        mean_kw={"ms": 9},
        spread_kw={"linewidth": 2},
        rho_line_kw={"c": "red"},
        bar_kw={"color": "black"},
    )
    assert display.means_["varying"].get_markersize() == 9
    assert display.spread_.get_linewidth() == [2]
    assert display.rho_line_.get_color() == "red"
    assert display.bars_[0].get_facecolor()[:3] == (0, 0, 0)


# -- feature scores ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wine_detector():
    frame = load_wine(as_frame=True).data
    return SparseAutoencoderDetector(n_estimators=3, random_state=0).fit(frame), frame


def test_one_row_is_drawn_as_bars_that_add_up_to_its_score(wine_detector):
    detector, frame = wine_detector
    display = draw(FeatureScoresDisplay.from_estimator(detector, frame.iloc[[3]], n_bars=4))
    parts = detector.feature_scores(frame.iloc[[3]])[0]
    widths = [bar.get_width() for bar in display.bars_]
    assert widths[:4] == sorted(parts[np.argsort(-np.abs(parts))[:4]])
    assert_allclose(sum(widths), detector.score_samples(frame.iloc[[3]])[0])
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names[0] == frame.columns[np.flatnonzero(parts == widths[0])[0]]
    assert names[4:] == ["9 others"]
    assert display.im_ is None


def test_several_rows_are_drawn_as_a_heat_map(wine_detector):
    detector, frame = wine_detector
    display = draw(FeatureScoresDisplay.from_estimator(detector, frame[:5]))
    assert_array_equal(display.im_.get_array(), detector.feature_scores(frame[:5]))
    low, high = display.im_.get_clim()
    assert low == -high
    assert display.bars_ is None


def test_feature_scores_of_a_pipeline_and_of_numbers(wine_detector):
    _, frame = wine_detector
    detector = SparseAutoencoderDetector(n_estimators=2, max_iter=2, random_state=0)
    pipe = make_pipeline(MinMaxScaler(), detector).fit(frame)
    display = draw(FeatureScoresDisplay.from_estimator(pipe, frame[:1]))
    assert {label.get_text() for label in display.ax_.get_yticklabels()} == set(frame.columns)
    display = draw(FeatureScoresDisplay([[1.0, -2.0]]).plot())
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [
        "feature 1",
        "feature 0",
    ]
    with pytest.raises(ValueError, match="n_bars must be a whole number above 0, not 0"):
        display.plot(n_bars=0)
    with pytest.raises(ValueError, match="has 1 names, but there are 2 features"):
        FeatureScoresDisplay([[1.0, -2.0]], feature_names=["a"]).plot()
    with pytest.raises(TypeError, match="takes a fitted SparseAutoencoderDetector, or a Pipeline"):
        FeatureScoresDisplay.from_estimator(SAE, X)
    with pytest.raises(NotFittedError):
        FeatureScoresDisplay.from_estimator(SparseAutoencoderDetector(), X)


# -- all ---------------------------------------------------------------------------------

EACH = {
    "components": lambda ax: ComponentsDisplay.from_estimator(SAE, ax=ax),
    "pictures": lambda ax: ComponentsDisplay.from_estimator(SAE, image_shape=(8, 8), ax=ax),
    "loss": lambda ax: LossCurveDisplay.from_estimator(SAE, ax=ax),
    "reconstruction": lambda ax: ReconstructionDisplay.from_estimator(SAE, X, ax=ax),
    "bars": lambda ax: FeatureScoresDisplay([[1.0, -2.0]]).plot(ax),
    "scores": lambda ax: FeatureScoresDisplay([[1.0, -2.0], [0, 1]]).plot(ax),
}


@pytest.mark.parametrize("make", EACH.values(), ids=EACH)
def test_axes_are_reused(make):
    figure, (left, right) = plt.subplots(1, 2)
    display = draw(make(right))
    assert display.ax_ is right
    assert display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    assert not left.has_data()
    assert display.plot() is display
    assert display.figure_ is not figure


def test_code_reuses_two_axes():
    figure, axes = plt.subplots(1, 2)
    display = CodeDisplay.from_estimator(SAE, X, ax=axes)
    assert display.axes_.tolist() == axes.tolist()
    assert display.figure_ is figure
    with pytest.raises(ValueError, match="two axes, not 1"):
        display.plot(axes[0])


@pytest.mark.parametrize("size", [(3, 2.5), (12, 9)])
def test_any_size_is_laid_out(size):
    pipe, frame = of_wine()
    with plt.rc_context({"figure.figsize": size}):
        for make in EACH.values():
            draw(make(None))
        draw(ComponentsDisplay.from_estimator(pipe))
        draw(ReconstructionDisplay.from_estimator(pipe, frame))
        draw(CodeDisplay.from_estimator(SAE, X))


@pytest.mark.parametrize(
    "shape", [(8, 9), (64,), 64, (4, 4, 4), (8, 8, 2), (8.0, 8), (2, 2, 2, 8), "ab"]
)
def test_shapes_that_do_not_fit(shape):
    for draw_it in (
        lambda: ComponentsDisplay.from_estimator(SAE, image_shape=shape),
        lambda: ReconstructionDisplay.from_estimator(SAE, X, image_shape=shape),
    ):
        with pytest.raises(ValueError, match=r"image_shape must be .* product 64"):
            draw_it()
    assert not plt.get_fignums()  # no empty figure is left behind


def test_other_bad_input():
    with pytest.raises(ValueError, match="has 2 names, but there are 64 features"):
        ComponentsDisplay.from_estimator(SAE, feature_names=["a", "b"])
    with pytest.raises(ValueError, match="n_rows must be a whole number above 0, not 0"):
        ReconstructionDisplay.from_estimator(SAE, X, n_rows=0)
    with pytest.raises(ValueError, match=r"X has shape \(2, 3\), but reconstructions \(1, 3\)"):
        ReconstructionDisplay(np.ones((2, 3)), np.ones((1, 3))).plot()
    with pytest.raises(TypeError, match="MLPBackpropClassifier reconstructs nothing"):
        ReconstructionDisplay.from_estimator(NET, X)


@pytest.mark.parametrize(
    "display", [ComponentsDisplay, LossCurveDisplay, ReconstructionDisplay, CodeDisplay]
)
def test_estimators_that_can_not_be_drawn(display):
    data = () if display in (ComponentsDisplay, LossCurveDisplay) else (X,)
    with pytest.raises(NotFittedError):
        display.from_estimator(SparseAutoencoder(), *data)
    with pytest.raises(TypeError, match=f"{display.__name__}.from_estimator takes a fitted"):
        display.from_estimator(GridSearchCV(SAE, {}), *data)


def test_the_package_does_not_import_matplotlib():
    code = "import sys, skl_sae; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    for make in (*EACH.values(), lambda ax: CodeDisplay.from_estimator(SAE, X, ax=ax)):
        with pytest.raises(ImportError, match="pip install matplotlib"):
            make(None)


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
def test_the_page_runs(monkeypatch, short_fits):
    """Its code, each block on its own, in a reader's folder, with fewer rows."""
    few = Bunch(data=DIGITS[:100])
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: few)
    blocks = re.findall(r"code-block:: python\n\n((?: {4}.*\n|\n)+)", PAGE.read_text())
    assert len(blocks) == 3
    for block in blocks:
        exec(textwrap.dedent(block), {})
    assert len(plt.get_fignums()) == 4
