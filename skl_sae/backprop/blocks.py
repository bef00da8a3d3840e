"""Row blocks: how any X is cut into consecutive rows, and what is mapped over them."""

import numpy as np

from .activations import apply_output
from .network import Workspace, forward

# A block's activations should stay in the cache of one core. Below 512 rows the products
# of wide layers lose, above 2048 nothing is won.
BLOCK_BYTES = 2**21


def default_block_size(network, itemsize):
    """Rows whose input, activations and deltas fill about `BLOCK_BYTES`."""
    row_bytes = itemsize * (network.sizes[0] + 2 * sum(network.sizes[1:]))
    return int(np.clip(BLOCK_BYTES // row_bytes, 512, 2048))


def row_blocks(n_rows, block_size):
    """Slices of at most ``block_size`` consecutive rows that cover ``n_rows``."""
    starts = range(0, n_rows, block_size)
    return [slice(start, min(start + block_size, n_rows)) for start in starts]


def dense(X, rows):
    """The rows as a dense array: a view, or a small copy where X is sparse."""
    block = X[rows]
    return block if isinstance(block, np.ndarray) else block.toarray()


def outputs(X, network, coefs, intercepts, output_activation):
    """The output of a network, block by block.

    Parameters
    ----------
    X : {ndarray, CSR array} of shape (n_rows, n_features)
        Input, float64 or float32.
    network : Network
        Its shape; it may be some consecutive layers of a larger one.
    coefs, intercepts : list of ndarray
        Its parameters, in the dtype of X.
    output_activation : str
        The activation of the last layer.

    Yields
    ------
    rows : slice
        The rows of the block.
    block : ndarray of shape (n_block, n_features)
        These rows of X.
    output : ndarray of shape (n_block, n_outputs)
        Their output, in a buffer that the next block overwrites.
    """
    n_rows = X.shape[0]
    block_size = min(default_block_size(network, X.dtype.itemsize), n_rows)
    work = Workspace.allocate(network, block_size, X.dtype)
    for rows in row_blocks(n_rows, block_size):
        block = dense(X, rows)
        with np.errstate(all="ignore"):
            A = forward(block, coefs, intercepts, network.activation, work.cut(rows))
            output = apply_output(A[-1], output_activation)
        yield rows, block, output


def propagate(X, network, coefs, intercepts, output_activation):
    """The output of every row, ndarray of shape (n_rows, n_outputs): see `outputs`."""
    result = np.empty((X.shape[0], network.sizes[-1]), X.dtype)
    for rows, _, output in outputs(X, network, coefs, intercepts, output_activation):
        result[rows] = output
    return result
