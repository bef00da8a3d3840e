"""The targets: `Labels` or `Reals`, with the same methods.

``read(y, ...)`` returns the targets and y as a matrix. ``prepared`` returns the matrix to fit and
the weights of the rows. ``decide`` turns raw outputs into predictions. ``score`` and ``score_raw``
compare predictions with targets.
"""

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from ._compat import Interval
from ._dask import Chunks, columns_of_chunks
from ._validation import no_nan, plain, refuse_nan
from ._weights import check_weights
from .backprop.activations import RANGES, STEEPNESS, apply_output
from .backprop.blocks import chunks, in_precision
from .backprop.start import Columns, power_of_two

# Targets of up to this many bytes are scaled once; larger ones each time they are read.
MOST_COPIED = 2**24


@dataclass(frozen=True, eq=False)
class Labels:
    """One label for each row, or a 0/1 matrix with a column for each label.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        The labels, or the numbers of the columns.
    multilabel : bool
        Whether y is a matrix.
    output_activation : {"softmax", "logistic", "tanh"}
        Activation of the last layer. A label is coded as 1. Its absence is coded as -1 for tanh
        and as 0 for the others. Two classes have one column.
    """

    classes: np.ndarray
    multilabel: bool
    output_activation: str

    task = "classification"
    auto_lam = 0.005  # chosen on a panel: benchmarks/defaults.py

    @staticmethod
    def loss_and_output(loss, output_activation):
        """The loss and output activation that "auto" means; `read` resolves the rest."""
        if output_activation == "identity":
            raise ValueError(
                "output_activation='identity' is for task='regression': labels need 'logistic', "
                "'tanh' or 'auto'."
            )
        if loss == "auto":
            loss = "log_loss" if output_activation == "auto" else "squared_error"
        if output_activation != "auto" and loss == "log_loss":
            raise ValueError(
                f"output_activation={output_activation!r} needs loss='squared_error': set it, or "
                "leave output_activation='auto'."
            )
        if output_activation == "auto" and loss == "squared_error":
            output_activation = "logistic"
        return loss, output_activation

    @classmethod
    def read(cls, y, dtype, output_activation, classes=None, before=None):
        """The labels and their codes.

        Parameters
        ----------
        y : {array-like, Chunks}
            The labels.
        dtype : dtype
            The dtype of the codes.
        output_activation : str
            The result of `loss_and_output`.
        classes : array-like, default=None
            All labels that will ever occur; None means the labels in y.
        before : Labels, default=None
            The labels of the fit that this one continues.
        """
        if isinstance(y, Chunks):
            labels, multilabel = y.unique(), False
        else:
            y, labels, multilabel = _labels(y)
        new = np.unique(labels if classes is None else plain(classes, "classes"))
        _check_classes(new, labels, multilabel)
        if before is not None:
            before._check_goes_on(new, multilabel)
        if output_activation == "auto":
            output_activation = "softmax" if len(new) > 2 and not multilabel else "logistic"
        targets = cls(new, multilabel, output_activation)
        code = _Coded(new, multilabel, RANGES.get(output_activation, (0, 1)), dtype)
        return targets, y.map(code, targets.n_outputs, dtype) if isinstance(y, Chunks) else code(y)

    def _check_goes_on(self, new, multilabel):
        """Refuse to continue from weights that were fitted to other labels."""
        if multilabel != self.multilabel or not np.array_equal(new, self.classes):
            kinds = {False: "one label for each row", True: "a 0/1 matrix"}
            raise ValueError(
                f"The fit goes on with the classes {self.classes.tolist()} as "
                f"{kinds[self.multilabel]}, but y has {new.tolist()} as {kinds[multilabel]}: "
                "fit anew with warm_start=False."
            )

    def prepared(self, Y, sample_weight, *, class_weight, **unused):
        """The labels, the codes, and the weights of the rows times their class weights."""
        return self, Y, self._weigh_classes(Y, sample_weight, class_weight)

    def _weigh_classes(self, Y, sample_weight, class_weight):
        if class_weight is None:
            return sample_weight
        if self.multilabel:
            raise ValueError("class_weight takes one label for each row: pass sample_weight.")
        index = label_index(Y)
        weights = np.ones(len(Y)) if sample_weight is None else sample_weight
        if isinstance(class_weight, str):  # "balanced": only the ratios of weights matter
            totals = np.bincount(index, weights=weights, minlength=len(self.classes))
            return check_weights(weights / np.where(totals > 0, totals, 1)[index], Y)
        by_class = self._by_class(index, class_weight)
        return check_weights(weights * (by_class / by_class.max())[index], Y)

    def _by_class(self, index, class_weight):
        """The weight of each class, from a dictionary."""
        rule = Interval(Real, 0, None, closed="left")
        by_class = np.zeros(1)
        if all(map(rule.is_satisfied_by, class_weight.values())):
            by_class = compute_class_weight(
                class_weight, classes=self.classes, y=self.classes[index]
            )
        if not by_class.any():
            raise ValueError(
                "class_weight must hold finite weights, none negative and not all zero, "
                f"not {class_weight}."
            )
        return by_class

    @property
    def n_outputs(self):
        """Number of columns of the codes."""
        return len(self.classes) if self.multilabel or len(self.classes) > 2 else 1

    @property
    def attributes(self):
        """Fitted attributes; None for those that others have."""
        known = {"classes_": self.classes, "_multilabel": self.multilabel}
        return known | {"target_offset_": None, "target_scale_": None}

    def strata(self, Y):
        """The class of each row, to stratify by; None if a row may have several labels."""
        return None if self.multilabel else label_index(Y)

    def decide(self, Z):
        """The labels for raw outputs."""
        if self.multilabel:
            return (Z > 0).astype(int)
        return self.classes[label_index(Z)]

    def probabilities(self, Z, log=False):
        """Class probabilities or their logarithms; a tanh output a means (a + 1) / 2."""
        logistic, normalised = (log_expit, log_softmax) if log else (expit, softmax)
        Z = STEEPNESS.get(self.output_activation, 1) * Z
        if self.multilabel:
            return logistic(Z)
        if Z.shape[1] == 1:
            return logistic(np.hstack([-Z, Z]))
        scores = Z if self.output_activation == "softmax" else log_expit(Z)
        with np.errstate(invalid="ignore"):  # inf - inf
            scores = no_nan(scores - scores.max(axis=1, keepdims=True))
        return normalised(scores, axis=1)

    def score(self, y, prediction, sample_weight):
        """Accuracy."""
        return accuracy_score(y, prediction, sample_weight=sample_weight)

    def score_raw(self, Y, Z, sample_weight):
        """Accuracy, from codes and raw outputs."""
        hit = label_index(Z) == label_index(Y)
        if self.multilabel:
            hit = ((Z > 0) == (Y > 0)).all(axis=1)
        return float(np.average(hit, weights=sample_weight))


@dataclass(frozen=True, eq=False)
class Reals:
    """Real numbers, one or more for each row.

    Attributes
    ----------
    offset, scale : ndarray of shape (n_outputs,)
        They scale the output back: a prediction is ``offset + scale * output``.
    output_activation : {"identity", "logistic", "tanh"}
        Activation of the last layer.
    """

    offset: np.ndarray
    scale: np.ndarray
    output_activation: str

    task = "regression"
    auto_lam = 0.01

    @staticmethod
    def loss_and_output(loss, output_activation):
        """The loss and output activation that "auto" means."""
        output_activation = "identity" if output_activation == "auto" else output_activation
        return "squared_error" if loss == "auto" else loss, output_activation

    @classmethod
    def read(cls, y, dtype, output_activation, classes=None, before=None):
        """Targets in their own unit, as a matrix."""
        if isinstance(y, Chunks):
            Y = y.as_columns()
        else:
            Y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
            Y = Y if Y.dtype.kind in "buif" else Y.astype(float)
            Y = Y[:, np.newaxis] if Y.ndim == 1 else Y
        n_outputs = Y.shape[1]
        return cls(np.zeros(n_outputs), np.ones(n_outputs), output_activation), Y

    @np.errstate(over="ignore")  # infinite targets are reported by the fit
    def prepared(self, Y, sample_weight, *, scale_targets, before, dtype, **unused):
        """Scale the targets to suit the last layer; a fit that continues keeps the old scale."""
        targets = self
        if before is not None:
            targets = replace(self, offset=before.offset, scale=before.scale)
        elif scale_targets:
            targets = self._in_unit(Y, sample_weight)
            targets._refuse_beyond(dtype)
        Y = targets._scaled(Y, dtype, scale_targets or before is not None)
        return targets, Y, sample_weight

    def _in_unit(self, Y, sample_weight):
        """The scale for mean 0 and variance 1, or for the whole range of bounded outputs."""
        low, high = RANGES[self.output_activation]
        if not np.isfinite(high - low):
            mean, scale = mean_and_scale(Y, sample_weight)
            return replace(self, offset=mean, scale=scale)
        smallest, largest = bounds(Y, sample_weight)
        scale = (largest - smallest) / (high - low)
        scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
        middle = smallest / 2 + largest / 2
        return replace(self, offset=middle - scale * (low + high) / 2, scale=scale)

    def _scaled(self, Y, dtype, is_scaled):
        scaled = Standardised(self.offset, self.scale, dtype)
        if isinstance(Y, Chunks):
            return Y.map(scaled, Y.shape[1], dtype)
        if not is_scaled:
            return in_precision(Y, dtype)
        return scaled(Y) if Y.nbytes <= MOST_COPIED else StandardisedRows(Y, scaled)

    def _refuse_beyond(self, dtype):
        """Refuse targets so large that predictions of them would be infinite."""
        if (np.abs(self.offset) + self.scale > np.finfo(dtype).max).any():
            raise ValueError(
                f"The network can't be fitted: {np.dtype(dtype)}, the dtype of X, does "
                "not hold numbers as large as y. Scale the data, or give X as float64."
            )

    @property
    def n_outputs(self):
        """Number of columns of y."""
        return len(self.scale)

    @property
    def attributes(self):
        """Fitted attributes; None for those that others have."""
        known = {"target_offset_": self.offset, "target_scale_": self.scale}
        return known | {"classes_": None, "_multilabel": None}

    def strata(self, Y):
        """Real targets have no classes to stratify by."""

    def decide(self, Z):
        """The targets for raw outputs."""
        A = apply_output(Z, self.output_activation)
        with np.errstate(over="ignore"):
            Y = (A * self.scale + self.offset).astype(Z.dtype)
        return Y.ravel() if Y.shape[1] == 1 else Y

    def score(self, y, prediction, sample_weight):
        """R²; minus infinity if the squared errors overflow."""
        return _r2(y, prediction, sample_weight)

    def score_raw(self, Y, Z, sample_weight):
        """R², from scaled targets and raw outputs."""
        return _r2(Y, apply_output(Z, self.output_activation), sample_weight)


KINDS = {"classification": Labels, "regression": Reals}


# -- labels -------------------------------------------------------------------------------------


def _labels(y):
    """The targets as an array, the labels, and whether a row may have several."""
    if y.dtype.kind == "f":
        refuse_nan(y if y.ndim == 2 else y[:, np.newaxis], "y")
    check_classification_targets(y)
    kind = type_of_target(y, input_name="y")
    if kind == "multiclass-multioutput":
        raise ValueError(
            "y has several columns with more than two classes: fit one network for "
            "each column, for example with MultiOutputClassifier."
        )
    if kind == "multilabel-indicator":
        y = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
        if not np.isin(y, (0, 1)).all():
            raise ValueError(
                "y has several columns, one for each label, and so must hold 0 and 1 alone, "
                f"not {np.unique(y).tolist()}."
            )
        return y, np.arange(y.shape[1]), True
    y = column_or_1d(y, warn=True)
    return y, np.unique(y), False


def _check_classes(new, labels, multilabel):
    """Refuse labels that are not among the classes, and classes that can't be told apart."""
    unknown = np.setdiff1d(labels, new)
    if len(unknown):
        raise ValueError(f"y has labels that are not in classes: {unknown.tolist()}.")
    if len(new) < 2 and not multilabel:
        raise ValueError(
            f"Classification needs at least two classes, but y has one class: {new.tolist()[0]!r}."
        )
    if multilabel and not np.array_equal(new, labels):
        raise ValueError(
            f"classes must be the column numbers {labels.tolist()} where y is a 0/1 matrix."
        )


@dataclass
class _Coded:
    """Encode labels by the two ends of a range; two classes have one column."""

    classes: np.ndarray
    multilabel: bool
    ends: tuple
    dtype: np.dtype

    def __call__(self, y):
        found = y > 0 if self.multilabel else y[:, np.newaxis] == self.classes
        two = not self.multilabel and len(self.classes) == 2
        low, high = self.ends
        return (found[:, 1:] if two else found).astype(self.dtype) * (high - low) + low


def label_index(Z):
    """The class of each row: its largest column, or for one column whether it is positive."""
    return Z.argmax(axis=1) if Z.shape[1] > 1 else (Z[:, 0] > 0).astype(int)


# -- real numbers -------------------------------------------------------------------------------


@np.errstate(all="ignore")
def _r2(y, prediction, sample_weight):
    """R²; minus infinity if the squared errors overflow."""
    score = r2_score(y, prediction, sample_weight=sample_weight)
    if not np.isnan(score) or len(prediction) == 1:
        return score
    refuse_nan(np.reshape(y, (len(prediction), -1)), "y")
    return -np.inf


@dataclass
class Standardised:
    """Shift targets, and divide them by a scale, column by column."""

    offset: np.ndarray
    scale: np.ndarray
    dtype: np.dtype

    def __call__(self, Y):
        return ((Y - self.offset) / self.scale).astype(self.dtype)


class StandardisedRows:
    """Rows, perhaps in a file, that are standardised when they are read: see `LazyRows`."""

    def __init__(self, Y, standardised):
        self.Y, self.standardised = Y, standardised
        self.shape, self.dtype = Y.shape, np.dtype(standardised.dtype)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        with np.errstate(over="ignore"):  # values that are too large become infinite
            return self.standardised(self.Y[rows])


def mean_and_scale(Y, sample_weight):
    """The weighted mean and standard deviation of each column; 1 for a column without variance.

    Parameters
    ----------
    Y : {ndarray, Chunks} of shape (n_rows, n_outputs)
        Targets.
    sample_weight : {ndarray, Chunks} of shape (n_rows,) or None
        Weights of the rows.

    Returns
    -------
    mean, scale : ndarray of shape (n_outputs,)
    """
    with np.errstate(all="ignore"):  # the fit reports an overflow
        # squares of huge or tiny values would overflow, or vanish
        peak = np.array([power_of_two(size) for size in np.abs(bounds(Y)).max(axis=0)])
        scaled = Standardised(0.0, peak, float)
        if isinstance(Y, Chunks):
            columns = columns_of_chunks(Y.map(scaled, Y.shape[1], float), sample_weight)
        else:
            columns = Columns.of(StandardisedRows(Y, scaled), sample_weight)
        scale = np.sqrt(columns.variance) * peak
        return columns.mean * peak, np.where((scale > 0) & np.isfinite(scale), scale, 1.0)


def bounds(Y, sample_weight=None):
    """The smallest and the largest value of each column, among rows that have a weight."""
    if isinstance(Y, Chunks):
        found = Y.each(_bounds, *([] if sample_weight is None else [sample_weight]))
    else:
        s, start, found = sample_weight, 0, []
        for block in chunks(Y):
            found.append(_bounds(block, None if s is None else s[start : start + len(block)]))
            start += len(block)
    lows, highs = zip(*(pair for pair in found if pair))
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _bounds(rows, s=None):
    """The bounds of some rows, or None without rows."""
    rows = (rows if s is None else rows[s > 0]).astype(float)
    return (rows.min(axis=0), rows.max(axis=0)) if len(rows) else None
