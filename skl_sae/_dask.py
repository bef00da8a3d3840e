"""Fits and predictions on dask collections, whose rows stay where they are.

The solver runs in this process. To evaluate the objective, the weights are sent to every chunk
of rows. There `Rows` makes its usual sums, which are then added up as a tree. The order is fixed,
so the same chunks give the same bits in every run.

dask is imported only by functions that work on its collections.
"""

from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from functools import partial, reduce, wraps
from operator import call
from time import monotonic
from uuid import uuid4

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted, validate_data

from ._dask_tasks import (
    ColumnsOf,
    Method,
    Range,
    Scaled,
    added_chunks,
    as_csr,
    labels_of_chunk,
    n_entries_of,
    n_rows_of,
    sample,
    sums_of_chunk,
    weight_of_chunk,
)
from ._tasks import without_callbacks
from ._validation import FLOATS, check_weight_range, is_dask, plain, refuse_dates
from .backprop.blocks import has_few_entries
from .backprop.once import once
from .backprop.start import Columns

# Sums that a task of the tree adds up.
BRANCHES = 8

# How long a fit waits for a cluster without workers, unless dask's configuration sets a time.
NO_WORKERS_TIMEOUT = "5 minutes"

# Parameters that need all rows in one place, with the values that turn them off.
UNSUPPORTED = {
    "batch_size": None,
    "early_stopping": False,
    "pretraining": None,
    "class_weight": None,
}


class Chunks:
    """Rows in chunks that are kept in memory, on whatever machine.

    Parameters
    ----------
    array : dask array of shape (n_rows,) or (n_rows, n_columns)
        An array with known chunk sizes, cut between rows only. It is persisted.

    Attributes
    ----------
    dtype : dtype
        The dtype of computations on the rows, float64 or float32.
    parts : list of Delayed
        The chunks, NumPy arrays or CSR.
    """

    def __init__(self, array):
        self.array = array.persist()
        self.shape, self.sizes = array.shape, array.chunks[0]
        self.dtype = array.dtype if array.dtype in FLOATS else np.dtype(np.float64)
        self.parts = list(self.array.to_delayed().ravel())

    def __len__(self):
        return self.shape[0]

    def each(self, function, *others):
        """``function(rows, ...)`` for every chunk, with the same chunk of the others."""
        import dask

        function = dask.delayed(function, pure=False)
        columns = [_parts(rows, self) for rows in (self, *others)]
        return _compute([function(*parts) for parts in zip(*columns)])

    def map(self, function, n_columns, dtype):
        """A function of the rows, with ``n_columns`` columns; None means one dimension."""
        return Chunks(_map_blocks(self.array, function, n_columns, dtype))

    def aligned(self, values, name):
        """Values for the same rows, from a dask collection or an array, cut into the same chunks.

        Raises
        ------
        ValueError
            Their number differs from the number of rows.
        """
        import dask.array

        values = _as_array(values) if is_dask(values) else np.asarray(values)
        if is_dask(values):
            values = _known_sizes(values)
        if values.ndim == 0 or len(values) != len(self):
            raise ValueError(
                f"X and {name} have inconsistent numbers of samples: X has {len(self)}, and the "
                f"shape of {name} is {values.shape}."
            )
        cut = (self.sizes, *((n,) for n in values.shape[1:]))
        if is_dask(values):
            return Chunks(values.rechunk(cut))
        return Chunks(dask.array.from_array(values, chunks=cut))

    def weights(self, sample_weight):
        """The same as `_weights.check_weights`, one chunk at a time."""
        if sample_weight is None:
            return None
        if np.ndim(sample_weight) == 0 and not is_dask(sample_weight):
            sample_weight = np.full(len(self), sample_weight, float)
        s = self.aligned(sample_weight, "sample_weight")
        if len(s.shape) != 1:
            raise ValueError(f"sample_weight must have one dimension, not {len(s.shape)}.")
        smallest, largest = s.range("sample_weight")
        check_weight_range(smallest, largest)
        return s.map(Scaled(largest, self.dtype), None, self.dtype)

    def range(self, name=None):
        """The smallest and the largest value; with a name, all values must be finite."""
        found = [pair for pair in self.each(Range(name)) if pair]
        lows, highs = zip(*found)
        return np.min(lows), np.max(highs)  # NaN if there is one

    def as_columns(self):
        """The same rows as a matrix."""
        return Chunks(self.array[:, np.newaxis]) if len(self.shape) == 1 else self

    def unique(self):
        """The labels that occur."""
        if len(self.shape) > 1:
            raise ValueError(
                "With dask collections y must have one dimension: several labels for each row "
                "need NumPy arrays."
            )
        found = self.each(labels_of_chunk)
        if len({labels.dtype.kind for labels in found}) > 1:  # keep numbers from becoming strings
            found = [labels.astype(object) for labels in found]
        return np.unique(plain(np.concatenate(found)))


@dataclass(frozen=True, eq=False)
class ChunkedRows:
    """`Rows` in chunks of dask, all of them or a sample of each chunk.

    Attributes
    ----------
    X, Y, sample_weight : Chunks
        Inputs, targets and weights. Without Y the targets are X; without weights all are 1.
    n_threads : int, default=1
        Not used: each task uses one thread, and dask runs several tasks.
    share : float, default=1
        Share of the rows with a weight that count in each chunk.
    seed : int, default=0
        Random seed of the sample. A smaller share is a part of a larger one.
    """

    X: Chunks
    Y: Chunks | None = None
    sample_weight: Chunks | None = None
    n_threads: int = 1
    share: float = 1
    seed: int = 0

    def sum(self, step, *parameters):
        """The sums of a step over all chunks: one task for each chunk, then a tree.

        The graph is written by hand, because `dask.delayed` is much slower.
        """
        from dask.delayed import Delayed
        from dask.highlevelgraph import HighLevelGraph

        name = f"{type(step).__name__}-{uuid4().hex}"
        graph = {name: partial(sums_of_chunk, self.dtype, step, parameters)}
        tasks = [(call, name, *keys) for keys in self._keys]
        keys = []
        while len(keys) != 1:
            keys = [(name, len(graph), i) for i in range(len(tasks))]
            graph |= zip(keys, tasks)
            tasks = [(added_chunks, keys[i : i + BRANCHES]) for i in range(0, len(keys), BRANCHES)]
        graph = HighLevelGraph.from_collections(name, graph, dependencies=self._collections)
        return _compute([Delayed(keys[0], graph, layer=name)])[0]

    def samples(self, shares, rng):
        """Random samples with these shares of each chunk, drawn where the rows are."""
        seed = int(rng.randint(2**31))
        return (replace(self, share=share, seed=seed) for share in shares)

    @property
    def dtype(self):
        """The dtype of X."""
        return self.X.dtype

    @once
    def stay_sparse(self):
        """Whether products with X are sparse, in each chunk that has few entries."""
        if not issparse(self.X.array._meta):
            return False
        return has_few_entries(sum(self.X.each(n_entries_of)), self.X.shape)

    @property
    def n_rows(self):
        """Number of rows, including those left out of a sample."""
        return len(self.X)

    @once
    def total_weight(self):
        """The sum of the weights of the rows that count."""
        import dask

        if self.sample_weight is None and self.share == 1:
            return float(self.n_rows)
        weigh = dask.delayed(weight_of_chunk, pure=False)
        return float(sum(_compute([weigh(*data) for data in self._data])))

    def columns(self, of_targets=False, limits=None):
        """`Columns` of X, or of the targets, after their values are cut to limits."""
        rows = self.Y if of_targets and self.Y is not None else self.X
        return columns_of_chunks(rows, self.sample_weight, limits)

    def keeps(self, network, n_arrays=2):
        """Whether codes stay in memory from one pass to the next. They don't in tasks."""
        return False

    def first(self, n):
        """At most n of the first rows, all from the first chunk that has rows."""
        return self._first_rows[:n]

    def some(self, most):
        """The first rows as float64, with weights of one."""
        return self._first_rows.astype(float), np.ones(n_rows_of(self._first_rows))

    @once
    def _first_rows(self):
        first = next(part for part, n in zip(self.X.parts, self.X.sizes) if n)
        return _compute([first[:64]])[0].astype(self.dtype)

    @once
    def _keys(self):
        """For each chunk the dask keys of its items in `_data`."""
        return [[part if part is None else part.key for part in parts] for parts in self._data]

    @once
    def _collections(self):
        """The collections that hold these items."""
        rows = [r.array for r in (self.X, self.Y, self.sample_weight) if r is not None]
        return [*rows, *(index for *_, index in self._data if index is not None)]

    @once
    def _data(self):
        """For each chunk its X, Y and weights, and the index of its sample."""
        import dask

        columns = [_parts(rows, self.X) for rows in (self.X, self.Y, self.sample_weight)]
        index = [None] * len(columns[0])
        if self.share < 1:
            draw = dask.delayed(sample, pure=False)
            index = [
                draw(X, s, self.share, (self.seed, i))
                for i, (X, s) in enumerate(zip(columns[0], columns[2]))
            ]
            index = dask.persist(*index)
        return list(zip(*columns, index))


def columns_of_chunks(rows, s, cut=None):
    """`Columns` of rows in chunks; their weights s may be None."""
    parts = rows.each(ColumnsOf(cut), *([] if s is None else [s]))
    return reduce(Columns.joined, [part for part in parts if part])


def by_chunks(method):
    """Let a method with X as its only argument return a lazy dask array for dask collections."""

    @wraps(method)
    def apply(self, X):
        return _lazy(self, method, X) if is_dask(X) else method(self, X)

    return apply


def in_memory(*values):
    """The values, with dask collections computed as NumPy arrays."""
    found = iter(_compute([_as_array(v) for v in values if is_dask(v)]))
    return [next(found) if is_dask(v) else v for v in values]


def _lazy(estimator, method, X):
    check_is_fitted(estimator)
    names, X, name = _names(X), _checked(X), method.__name__
    if name == "transform":
        _refuse_frames(estimator)
    if name != "inverse_transform":
        validate_data(estimator, names, skip_check_array=True, reset=False)
    fitted = without_callbacks(estimator)
    for attribute in ("feature_names_in_", "_sklearn_output_config"):
        vars(fitted).pop(attribute, None)
    kind = csr_array if issparse(X._meta) else np.zeros
    one = kind((1, X.shape[1]), dtype=X.dtype)
    example = method(fitted, one)  # errors that do not depend on the rows are raised here
    n_columns = example.shape[1] if example.ndim > 1 else None
    return _map_blocks(X, Method(name, fitted), n_columns, example.dtype)


def _refuse_frames(estimator):
    own = vars(estimator).get("_sklearn_output_config", {})
    wanted = own.get("transform", get_config()["transform_output"])
    if wanted != "default":
        raise ValueError(
            f"transform gives dask arrays for dask collections, not {wanted!r}: use "
            "set_output(transform='default'), or transform parts that fit into memory."
        )


def refuse(estimator):
    """Raise if a parameter needs all rows in one place."""
    for name, without in UNSUPPORTED.items():
        value = getattr(estimator, name, without)
        if name == "batch_size" and not estimator._by_batches():
            continue  # the other solvers ignore it
        if value is not without and value != without:
            raise ValueError(
                f"{name}={value!r} does not work with dask collections: set it to {without}, or "
                "give NumPy arrays."
            )


def validate(estimator, X, y=(), *, reset=True, y_numeric=False, **unused):
    """X, or X and y, as `Chunks` of finite numbers; y may hold labels of any kind.

    Raises
    ------
    TypeError, ValueError
        The collection is not a matrix of numbers, or y does not have the same rows.
    """
    names, X = _names(X), _checked(X)
    validate_data(estimator, names, skip_check_array=True, reset=reset)
    X = Chunks(_known_sizes(X))
    if len(X) == 0:
        raise ValueError("X has no rows: at least one is needed.")
    X.range("X")
    if isinstance(y, tuple) and y == ():
        return X
    if y is None:
        raise ValueError(f"{type(estimator).__name__} needs targets: give y.")
    y = _check_targets(X.aligned(y, "y"), y_numeric)
    return X, Chunks(y.array[:, 0]) if y.shape[1:] == (1,) else y


def _check_targets(y, numeric):
    """The targets, converted to numbers if ``numeric``."""
    if len(y.shape) > 2:
        raise ValueError(f"y must have one or two dimensions, not {len(y.shape)}.")
    if y.array.dtype.kind == "c":
        raise ValueError("y must be real, not complex: give its parts as two columns.")
    if y.array.dtype.kind == "O":
        y = Chunks(y.array.map_blocks(plain, dtype=object, meta=y.array._meta))
    if numeric and y.array.dtype.kind not in "buif":
        y = Chunks(y.array.astype(float))
    if y.array.dtype.kind == "f":
        y.range("y")
    return y


def _checked(X):
    """A dask array of numbers whose chunks hold whole rows."""
    refuse_dates(X)
    X = _as_array(X)
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got a dask array of {X.ndim} dimensions instead: reshape it."
        )
    known = isinstance(X._meta, np.ndarray) or issparse(X._meta)
    if not known or X.dtype.kind not in "buif":
        raise TypeError(
            "A dask collection must have chunks that are NumPy arrays of numbers, or SciPy's "
            f"sparse ones, not {type(X._meta).__name__} of {X.dtype}: use map_blocks or astype "
            "first."
        )
    if X.shape[1] == 0:
        raise ValueError("X has no features: at least one is needed.")
    if np.isnan(X.shape[1]):
        raise ValueError("The number of features is unknown: call X.compute_chunk_sizes() first.")
    X = X if X.numblocks[1] == 1 else X.rechunk({1: -1})
    if not issparse(X._meta):
        return X
    dtype = X.dtype if X.dtype in FLOATS else np.dtype(float)
    return X.map_blocks(as_csr, dtype=dtype, meta=csr_array((0, 0), dtype=dtype))


def _as_array(X):
    """A dask array of a dask collection."""
    X = _with_numpy_types(X).to_dask_array() if hasattr(type(X), "to_dask_array") else X
    if not hasattr(type(X), "rechunk"):
        raise TypeError(
            f"Dask arrays and dataframes are supported, not {type(X).__name__}: "
            "convert it to one of them."
        )
    return X


def _with_numpy_types(frame):
    """A dataframe or series with nullable numbers as floats, as scikit-learn does for pandas."""

    def convert(dtype):
        return float if dtype.kind in "biuf" else object

    types = getattr(frame, "dtypes", None)
    if not hasattr(types, "items"):  # a series
        return frame if isinstance(types, np.dtype) else frame.astype(convert(types))
    new = {name: convert(t) for name, t in types.items() if not isinstance(t, np.dtype)}
    return frame.astype(new) if new else frame


def _known_sizes(X):
    """The same array, persisted, with known chunk sizes."""
    import dask.array

    X = X.persist()
    if not np.isnan(X.shape[0]):
        return X
    size = dask.delayed(n_rows_of, pure=False)
    parts = X.to_delayed().ravel()
    sizes = _compute([size(part) for part in parts])
    known = [
        dask.array.from_delayed(part, (n, *X.shape[1:]), meta=X._meta)
        for part, n in zip(parts, sizes)
    ]
    return dask.array.concatenate(known)


def _names(X):
    """An empty dataframe or array with the columns of X and their names."""
    is_frame = hasattr(type(X), "to_dask_array")
    return X._meta if is_frame else np.empty((0, *_as_array(X).shape[1:]))


def _parts(rows, like):
    return [None] * len(like.parts) if rows is None else rows.parts


def _map_blocks(X, function, n_columns, dtype):
    """A lazy array of ``function(rows)``; ``n_columns`` None means one dimension."""
    if X.ndim == 1:
        axes = {} if n_columns is None else {"new_axis": 1, "chunks": (X.chunks[0], (n_columns,))}
    elif n_columns is None:
        axes = {"drop_axis": 1}
    else:
        axes = {"chunks": (X.chunks[0], (n_columns,))}
    meta = np.empty((0,) if n_columns is None else (0, n_columns), dtype)
    return X.map_blocks(function, dtype=dtype, meta=meta, **axes)


# -- waiting for dask ---------------------------------------------------------------------------


def _compute(collections):
    """The values of the collections, with clear errors for a cluster that fails.

    Raises
    ------
    TimeoutError
        The cluster has had no workers for a long time; dask would wait for ever.
    RuntimeError
        The cluster has lost rows that it can't compute again.
    """
    import dask

    client = getattr(dask.base.get_scheduler(), "__self__", None)
    if not hasattr(client, "gather") or _in_a_task():
        return dask.compute(*collections)
    from distributed.comm import CommClosedError

    try:
        futures = client.compute(collections)
        _wait(client, futures)
        return client.gather(futures)
    except (CancelledError, CommClosedError) as error:
        raise RuntimeError(
            "The dask cluster has lost rows that it can't compute again: its scheduler has ended "
            "or was restarted, or a worker has died with rows that were scattered to it. Fit "
            "again, best with rows that dask loads by itself, from files or by "
            "dask.array.from_array. "
            f"dask says: {error}"
        ) from error


def _wait(client, futures):
    """Wait for futures; raise an error if there are no workers for long."""
    from dask import config
    from dask.utils import parse_timedelta
    from distributed import wait

    name = "distributed.scheduler.no-workers-timeout"
    limit = parse_timedelta(config.get(name, None) or NO_WORKERS_TIMEOUT)
    step = min(5, limit / 4)
    last_seen = monotonic()
    while (begun := monotonic()) - last_seen <= limit:
        try:
            return wait(futures, timeout=step)
        except TimeoutError:
            if monotonic() - begun < step:  # not our timeout, but a signal handler's
                raise
        if client.ncores():
            last_seen = monotonic()
    raise TimeoutError(
        f"The dask cluster has had no workers for {limit:g} seconds. Start some and fit again, or "
        f"wait longer for them with dask.config.set({{{name!r}: '1 hour'}})."
    )


def _in_a_task():
    """Whether this runs on a worker: then a worker exists, and its threads must not wait."""
    from distributed import get_worker

    try:
        return bool(get_worker())
    except ValueError:
        return False
