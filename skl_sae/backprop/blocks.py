"""Blocks of consecutive rows: how X is cut into them, and how threads share them."""

from collections import deque
from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.sparse import issparse

from .activations import apply_output
from .network import Workspace, affine, forward
from .threads import Helpers, share_out

# A block's activations should stay in the cache. Below 512 rows products of wide layers get
# slower. For narrow layers fewer, larger blocks help, because threads contend for the
# interpreter's lock at each call of NumPy.
BLOCK_BYTES = 5 * 2**20
MIN_ROWS, MAX_ROWS = 512, 8192

# If products dominate, a second thread pays from this many rows times weights on.
TWO_LANES_WORK = 2**25

# The most bytes of a block, and the most rows times weights (at 6 flops each). With very wide
# layers larger blocks would fill the memory and delay an interrupt.
MOST_BYTES, MOST_WORK = 2**28, 3 * 2**30

# Rows with at least this many columns and at most this share of entries stay sparse. An entry then
# costs as much as this many numbers of a dense row.
WIDE, SPARSE, ENTRY_COST = 64, 0.1, 8

# A sparse block should have this many times more entries than X has columns: its product Xᵀδ is a
# dense matrix, and each block costs passes over it.
ENTRIES_PER_COLUMN = 8

# Partial sums over the rows, and so the largest useful number of threads.
N_LANES = 8


def stays_sparse(X):
    """Whether products with X are sparse; otherwise its blocks are made dense."""
    return issparse(X) and has_few_entries(X.nnz, X.shape)


def has_few_entries(n_entries, shape):
    """Whether sparse products of such a matrix are faster than dense ones."""
    n_rows, n_columns = shape
    return n_columns >= WIDE and n_entries <= SPARSE * n_rows * n_columns


def entries_of_row(X):
    """The mean number of entries in a row if X stays sparse, else None."""
    return max(1, X.nnz // X.shape[0]) if stays_sparse(X) else None


def share_and_block_size(network, itemsize, n_rows, n_entries=None):
    """The number of rows in a share, of which lanes are made, and in a block.

    ``n_entries`` is the mean number of entries in a sparse row, else None.

    The input, activations and deltas of a share fill about `BLOCK_BYTES` at most. If there are
    few shares, their number is rounded up to 1, 2, 4 or 8 to give threads equal work. A share is
    one block, or several if one would exceed `MOST_BYTES` or `MOST_WORK`.
    """
    n_features, first, *_ = network.sizes
    row_bytes = itemsize * (2 * sum(network.sizes[1:]) + (n_entries or n_features))
    size = int(np.clip(BLOCK_BYTES // row_bytes, MIN_ROWS, MAX_ROWS))
    work = shared = network.n_weights
    if n_entries:
        size = max(size, ENTRIES_PER_COLUMN * n_features // n_entries)
        shared -= first * n_features  # sparse products hold the interpreter's lock
        work = shared + first * ENTRY_COST * n_entries
    pays = n_rows * shared >= TWO_LANES_WORK
    n_shares = max(ceil(n_rows / size), 2 if pays else 1)
    if n_shares <= N_LANES:
        n_shares = 2 ** (n_shares - 1).bit_length()
    share = ceil(n_rows / n_shares)
    most = max(1, min(MOST_BYTES // row_bytes, MOST_WORK // work))
    return share, ceil(share / ceil(share / most))


def row_blocks(n_rows, block_size):
    """Slices of at most ``block_size`` consecutive rows that cover ``n_rows``."""
    starts = range(0, n_rows, block_size)
    return [slice(start, min(start + block_size, n_rows)) for start in starts]


class LazyRows:
    """Rows of an array in some precision, which are read and converted only when needed.

    So a file of bytes, or part of a file, can be used as floats without a copy of all of it. It
    has the three things that the package needs of a matrix: shape, dtype and access to rows.

    Parameters
    ----------
    values : ndarray of shape (n, ...)
        The rows, perhaps memory-mapped.
    dtype : dtype
        The precision of the result.
    index : ndarray of int of shape (n_rows,), default=None
        The rows to use; None means all.
    """

    def __init__(self, values, dtype, index=None):
        self.values, self.dtype, self.index = values, np.dtype(dtype), index
        n_rows = len(values) if index is None else len(index)
        self.shape = (n_rows, *values.shape[1:])

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        at = rows if self.index is None else self.index[rows]
        with np.errstate(over="ignore"):  # values that are too large become infinite
            return aligned(self.values[at].astype(self.dtype, copy=False))


def aligned(values):
    """The array itself, or a copy if its address is not a multiple of its item size.

    This happens in files with a header of odd length, and with data from the network. NumPy would
    copy such an array for each product, in another memory order, which can change the last digit.
    """
    return np.require(values, requirements=["ALIGNED"])


def in_precision(X, dtype):
    """X itself if it has this dtype; else its rows are converted when they are read."""
    as_it_is = X.dtype == dtype and (not isinstance(X, np.ndarray) or X.flags.aligned)
    return X if as_it_is else LazyRows(X, dtype)


def as_floats(X):
    """X itself if it is float64 or float32; else its rows become float64 when they are read."""
    return in_precision(X, X.dtype if X.dtype in (np.float64, np.float32) else np.float64)


def chunks(X, n_bytes=2**22):
    """All rows of X in order, as small blocks. They are CSR if X stays sparse."""
    row_bytes = X.dtype.itemsize * max(1, entries_of_row(X) or X.shape[1])
    return (block_of(X, rows) for rows in row_blocks(X.shape[0], max(1, n_bytes // row_bytes)))


def as_dense(block):
    """The block itself, or a copy if it is sparse."""
    return block.toarray() if issparse(block) else block


def dense(X, rows):
    """The rows as a dense array: a view, or a small copy where X is sparse."""
    return as_dense(X[rows])


def block_of(X, rows):
    """The rows for computations: CSR if X stays sparse, else dense."""
    return X[rows] if stays_sparse(X) else dense(X, rows)


@dataclass(frozen=True)
class Lanes:
    """The blocks of all rows, shared among threads.

    A lane is a fixed run of blocks that one thread sums up, from the first block to the last.
    So the result has the same bits for any number of threads.

    Attributes
    ----------
    lanes : list of list of slice
        The blocks of each lane.
    workspaces : deque of Workspace
        Buffers, one for each thread.
    helpers : Helpers or None
        The threads that help the calling one.
    """

    lanes: list
    workspaces: deque
    helpers: Helpers | None

    @classmethod
    def plan(cls, network, n_rows, dtype, block_size=None, n_threads=1, n_entries=None):
        """Cut the rows into blocks and lanes and allocate what the threads need."""
        dtype = np.dtype(dtype)
        share, size = share_and_block_size(network, dtype.itemsize, n_rows, n_entries)
        if block_size:
            share = size = min(block_size, n_rows)
        n_lanes = min(N_LANES, ceil(n_rows / share))
        lanes = [list(lane) for lane in np.array_split(row_blocks(n_rows, size), n_lanes)]
        n_threads = min(n_threads, len(lanes))
        return cls(
            lanes,
            deque(Workspace.allocate(network, size, dtype) for _ in range(n_threads)),
            Helpers(n_threads - 1) if n_threads > 1 else None,
        )

    def map(self, lane_sums):
        """``lane_sums(blocks, work)`` of every lane, in the order of the lanes.

        After an error in one thread, no thread begins another block.
        """
        lanes = [list(lane) for lane in self.lanes]

        def drop():
            for blocks in lanes:
                blocks.clear()

        def run(blocks):
            work = self.workspaces.pop()
            try:
                with np.errstate(all="ignore"):  # an overflow shows in the value
                    return lane_sums(blocks, work)
            finally:
                self.workspaces.append(work)

        return share_out(run, lanes, self.helpers, drop)


def over_blocks(use, X, network, coefs, intercepts, output_activation, n_threads=1):
    """Call ``use(rows, block, output)`` for every block, with the output of a network.

    Parameters
    ----------
    use : callable
        It gets the slice of rows, these rows of X (CSR if X stays sparse), and their output, an
        ndarray of shape (n_block, n_outputs). The output is a buffer that a later block
        overwrites. Threads call it in any order.
    X : {ndarray, LazyRows, CSR array} of shape (n_rows, n_features)
        Input, float64 or float32.
    network : Network
        The shape of the network, which may be some consecutive layers of a larger one.
    coefs, intercepts : list of ndarray
        Parameters of the network, in the dtype of X.
    output_activation : str
        The activation of the last layer.
    n_threads : int, default=1
        Threads that share the blocks.
    """

    def lane(blocks, work):
        for rows in blocks:
            block, buffers = block_of(X, rows), work.cut(rows)
            A, _ = forward(block, coefs, intercepts, network.activation, *buffers.hidden)
            output = affine(A[-1], coefs[-1], intercepts[-1], out=buffers.outputs[-1])
            use(rows, block, apply_output(output, output_activation))

    Lanes.plan(network, X.shape[0], X.dtype, n_threads=n_threads, n_entries=entries_of_row(X)).map(
        lane
    )


def propagate(X, network, coefs, intercepts, output_activation, n_threads=1):
    """The output of every row, ndarray of shape (n_rows, n_outputs): see `over_blocks`."""
    result = np.empty((X.shape[0], network.sizes[-1]), X.dtype)

    def store(rows, block, output):
        result[rows] = output

    over_blocks(store, X, network, coefs, intercepts, output_activation, n_threads)
    return result
