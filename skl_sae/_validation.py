"""What is let in: rows, targets and weights of any kind, and the sentences that refuse others."""

from datetime import date, timedelta
from numbers import Number

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import assert_all_finite, check_array, validate_data

from .backprop.blocks import LazyRows, as_floats, chunks

FLOATS = [np.float64, np.float32]
DATES = (date, timedelta, np.datetime64, np.timedelta64)

# Types that stand for what is missing, by name since pandas need not be there, and those of
# which a value can be unequal to itself.
MISSING = {"NoneType", "NAType", "NaTType"}
UNEQUAL = (Number, np.datetime64, np.timedelta64)


@np.errstate(invalid="ignore")  # as in `check_floats`
def validate_rows(estimator, X, **options):
    """X, or X and y, where X is then float64 or float32.

    scikit-learn would convert an array of integers as a whole, and look for values
    that are not finite by masks of its size: here both is done a block at a time.
    """
    if is_dask(X):
        raise TypeError(
            f"{type(estimator).__name__} needs rows in memory or in a file for this: give it some "
            "of the rows, such as X[:100_000].compute(). What it computes for each row, as "
            "transform does, works on dask collections."
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
    """A CSR array itself, or a copy with entries in order whose duplicates are added."""
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return X


@np.errstate(invalid="ignore")  # scikit-learn adds all values to see whether they are finite
def check_floats(X, input_name="X"):
    """A matrix of float64 or float32."""
    refuse_dates(X, input_name)
    return check_array(X, dtype=FLOATS, input_name=input_name)


def refuse_dates(X, name="X"):
    """Refuse dates and durations, which would become numbers in a unit that nobody has chosen."""
    dtypes = getattr(X, "dtypes", [getattr(X, "dtype", None)])
    dtypes = list(dtypes) if np.iterable(dtypes) else [dtypes]
    if any(map(_is_date, dtypes)) or any(isinstance(v, DATES) for v in _first_objects(X, dtypes)):
        raise TypeError(
            f"{name} holds dates or durations: convert them to numbers, for example by "
            "(dates - dates.min()) / np.timedelta64(1, 'D')."
        )


def _is_date(dtype):
    """Of NumPy, pandas or polars."""
    if hasattr(dtype, "is_temporal"):
        return dtype.is_temporal()
    return getattr(dtype, "kind", None) in ("m", "M") or str(dtype).startswith("period")


def _first_objects(X, dtypes):
    """The first row of a list, or of what holds objects, in memory."""
    is_list = isinstance(X, (list, tuple))
    holds_objects = object in dtypes and not is_dask(X) and np.ndim(X) > 0
    return np.array(X[:1], dtype=object).flat if is_list or holds_objects else ()


def refuse_nan(X, name="X"):
    """Refuse NaN, for which nobody has looked where ``assume_finite=True``."""
    if any(np.isnan(block).any() for block in ([X.data] if issparse(X) else chunks(X))):
        raise ValueError(
            f"{name} holds NaN, which assume_finite=True has let pass: leave these rows out, or "
            "fill the gaps, for example with SimpleImputer."
        ) from None


def no_nan(output, X=None):
    """The output itself, unless infinite terms of it have cancelled, or X held NaN."""
    if np.isnan(output.min()):
        if X is not None:
            refuse_nan(X)
        raise ValueError("X is so large that the output of the network overflows: scale X.")
    return output


def plain(y, name="y"):
    """Labels or targets of one kind; numbers that are held as objects as an array of numbers.

    Raises
    ------
    ValueError
        Some are missing, or they are of several kinds.
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
    """An array of the objects in y; None if y holds numbers or strings, which have a type."""
    if isinstance(y, (list, tuple)):
        return np.array(y, dtype=object)
    if y is None or issparse(y) or is_dask(y) or np.isscalar(y):
        return None
    if getattr(getattr(y, "dtype", None), "kind", "O") not in "OmM":
        return None
    values = np.asarray(y)
    return values.astype(object) if values.dtype.kind in "OmM" else None


def _family(kind):
    """The type itself, or a larger one whose members can be compared."""
    families = str, bytes, (Number, np.bool_)
    return next((family for family in families if issubclass(kind, family)), kind)


def is_dask(X):
    """Whether X is a collection of dask, which is not imported to find out."""
    return type(X).__module__.partition(".")[0] == "dask"


def check_weight_range(smallest, largest):
    """Refuse weights of rows that are negative, or all zero."""
    if not np.isfinite([smallest, largest]).all():  # with assume_finite=True
        raise ValueError("sample_weight holds NaN or infinity: give the rows finite weights.")
    if smallest < 0:
        raise ValueError("Negative values in data passed to `sample_weight`: weights count rows.")
    if largest == 0:
        raise ValueError("All sample weights are zero: give at least one row a weight.")
