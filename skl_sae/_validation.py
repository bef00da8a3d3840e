"""Validation of rows, targets and weights, with the error messages for bad input."""

from datetime import date, timedelta
from numbers import Number

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import assert_all_finite, check_array, validate_data

from .backprop.blocks import LazyRows, as_floats, chunks

FLOATS = [np.float64, np.float32]
DATES = (date, timedelta, np.datetime64, np.timedelta64)

# Types of missing values, by name because pandas may not be installed; and types with values, such
# as NaN, that are unequal to themselves.
MISSING = {"NoneType", "NAType", "NaTType"}
UNEQUAL = (Number, np.datetime64, np.timedelta64)


@np.errstate(invalid="ignore")  # as in `check_floats`
def validate_rows(estimator, X, **options):
    """X, or X and y, with X as float64 or float32.

    scikit-learn would convert an array of integers as a whole, and use masks of its size to find
    values that are not finite. Here both are done one block at a time.
    """
    if is_dask(X):
        raise TypeError(
            f"{type(estimator).__name__} needs rows in memory or in a file for this: give it some "
            "of the rows, such as X[:100_000].compute(). Methods that work row by row, such as "
            "transform, accept dask collections."
        )
    if isinstance(X, LazyRows):  # validated before
        return validate_data(estimator, X, skip_check_array=True, **options)
    refuse_dates(X)
    by_blocks = isinstance(X, np.ndarray) and X.dtype.kind in "buif"
    how = {"dtype": None, "ensure_all_finite": False} if by_blocks else {"dtype": FLOATS}
    found = validate_data(estimator, X, **how, **options)
    X, *y = found if isinstance(found, tuple) else (found,)
    if by_blocks:
        X = as_floats(X)
        for block in chunks(X):
            assert_all_finite(block, estimator_name=type(estimator).__name__, input_name="X")
    X = no_entry_twice(X) if issparse(X) else X
    return (X, *y) if y else X


def no_entry_twice(X):
    """The CSR array itself, or a copy with sorted entries and duplicates added up."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


@np.errstate(invalid="ignore")  # scikit-learn sums all values to see whether they are finite
def check_floats(X, input_name="X"):
    """A matrix of float64 or float32."""
    refuse_dates(X, input_name)
    return check_array(X, dtype=FLOATS, input_name=input_name)


def refuse_dates(X, name="X"):
    """Refuse dates and durations, which would become numbers in an arbitrary unit."""
    dtypes = getattr(X, "dtypes", [getattr(X, "dtype", None)])
    dtypes = list(dtypes) if np.iterable(dtypes) else [dtypes]
    if any(map(_is_date, dtypes)) or any(isinstance(v, DATES) for v in _first_objects(X, dtypes)):
        raise TypeError(
            f"{name} holds dates or durations: convert them to numbers, for example by "
            "(dates - dates.min()) / np.timedelta64(1, 'D')."
        )


def _is_date(dtype):
    """Whether a dtype of NumPy, pandas or polars holds dates or durations."""
    if hasattr(dtype, "is_temporal"):
        return dtype.is_temporal()
    return getattr(dtype, "kind", None) in ("m", "M") or str(dtype).startswith("period")


def _first_objects(X, dtypes):
    """The first row of a list, or of an array in memory that holds objects."""
    is_list = isinstance(X, (list, tuple))
    holds_objects = object in dtypes and not is_dask(X) and np.ndim(X) > 0
    return np.array(X[:1], dtype=object).flat if is_list or holds_objects else ()


def refuse_nan(X, name="X"):
    """Refuse NaN, which is not looked for earlier with ``assume_finite=True``."""
    if any(np.isnan(block).any() for block in ([X.data] if issparse(X) else chunks(X))):
        raise ValueError(
            f"{name} holds NaN, which assume_finite=True has let pass: leave these rows out, or "
            "fill the gaps, for example with SimpleImputer."
        ) from None


def no_nan(output, X=None):
    """The output itself; raise if it has NaN, from NaN in X or from infinite terms."""
    if np.isnan(output.min()):
        if X is not None:
            refuse_nan(X)
        raise ValueError("X is so large that the output of the network overflows: scale X.")
    return output


def plain(y, name="y"):
    """Labels or targets of one kind. Numbers held as objects become an array of numbers.

    Raises
    ------
    ValueError
        Some values are missing, or they are of several kinds.
    """
    values = _objects(y)
    if values is None:
        return y
    kinds = set(map(type, values.flat))
    if {kind.__name__ for kind in kinds} & MISSING or any(
        value != value for value in values.flat if isinstance(value, UNEQUAL)
    ):
        raise ValueError(
            f"{name} has missing values (None, NaN, NA or NaT): leave these rows out, or give "
            "them a value."
        )
    if len({_family(kind) for kind in kinds}) > 1:
        names = sorted(kind.__name__ for kind in kinds)
        raise ValueError(
            f"{name} mixes values of the types {', '.join(names)}: convert all to one, for "
            "example with astype(str)."
        )
    numbers = np.array(values.tolist())
    return numbers if numbers.dtype.kind in "biuf" else y


def _objects(y):
    """An array of the objects in y, or None if y has a dtype of numbers or strings."""
    if isinstance(y, (list, tuple)):
        return np.array(y, dtype=object)
    if y is None or issparse(y) or is_dask(y) or np.isscalar(y):
        return None
    if getattr(getattr(y, "dtype", None), "kind", "O") not in "OmM":
        return None
    values = np.asarray(y)
    return values.astype(object) if values.dtype.kind in "OmM" else None


def _family(kind):
    """The type itself, or a wider one whose values can be compared."""
    families = str, bytes, (Number, np.bool_)
    return next((family for family in families if issubclass(kind, family)), kind)


def is_dask(X):
    """Whether X is a dask collection. dask is not imported for this."""
    return type(X).__module__.partition(".")[0] == "dask"


def check_weight_range(smallest, largest):
    """Refuse weights of rows that are negative, or all zero."""
    if not np.isfinite([smallest, largest]).all():  # with assume_finite=True
        raise ValueError("sample_weight holds NaN or infinity: give the rows finite weights.")
    if smallest < 0:
        raise ValueError("Negative values in data passed to `sample_weight`: weights count rows.")
    if largest == 0:
        raise ValueError("All sample weights are zero: give at least one row a weight.")
