"""Convolution and pooling: features learned on small patches, applied to whole images."""

from itertools import product
from math import prod
from numbers import Integral

import numpy as np
from scipy.sparse import csc_array
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted

from ._compat import Interval, fit_context
from ._dask import by_chunks
from ._rollback import all_or_nothing
from ._validation import check_floats, validate_rows
from ._versioned import VersionedEstimator
from .backprop.blocks import row_blocks

# Bytes of the patches and codes of one block, which should stay in the cache. An encoder with
# several steps needs a few times as much.
BLOCK_BYTES = 2**22


class ConvolveAndPool(
    ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, VersionedEstimator
):
    r"""Features of images, from an encoder of small patches.

    The encoder, usually a `SparseAutoencoder` behind its preprocessing, is applied to
    every patch of an image (valid convolution). Each feature becomes a map, whose pixel
    (i, j) is the feature of the patch at (i, j). The maps are divided into a grid of
    regions, and each feature is averaged over each region (mean pooling):

    .. math::

        z_{g,k} = \frac{1}{|R_g|} \sum_{(i, j) \in R_g} \mathrm{encoder}(x^{(i, j)})_k .

    This is "Feature extraction using convolution" and "Pooling" of the UFLDL tutorial
    [1]_. A network is learned on 8 × 8 pixels, which is cheap, and used on 64 × 64.

    Parameters
    ----------
    encoder : estimator
        An estimator or `~sklearn.pipeline.Pipeline` with `fit` and `transform`, which
        turns patches into features. A clone of it is fitted on patches of X. A
        `~sklearn.frozen.FrozenEstimator` is used as it is, for features learned elsewhere
        (self-taught learning).
    image_shape : tuple (height, width) or (height, width, n_channels), default=None
        Shape of an image. Each row of X is an image, flattened in C order: the channels
        of a pixel are neighbours, then the pixels of a line. None means one line of
        ``n_features`` pixels.
    patch_shape : tuple (height, width), default=(8, 8)
        Size of a patch in pixels. A patch has all channels; the encoder sees it
        flattened in C order.
    pool_shape : tuple (height, width), default=None
        Size of a pooling region in pixels of the feature map. If the map is not a multiple
        of it, the last regions are smaller and have the mean of fewer pixels. None means
        one region, the whole map.
    stride : int, default=1
        Distance between neighbouring patches in pixels, in both directions.
    n_patches : int, default=10000
        Number of patches on which the encoder is fitted. They are drawn at random from all
        images and positions, each at most once. If there are fewer, all are used.
    random_state : int, RandomState instance or None, default=None
        Random numbers for drawing the patches. The encoder has its own.

    Attributes
    ----------
    encoder_ : estimator
        The fitted encoder.
    image_shape_ : tuple (height, width, n_channels)
        Shape of an image.
    map_shape_ : tuple (height, width)
        Size of a feature map: the number of patches of an image in each direction.
    grid_shape_ : tuple (height, width)
        Number of pooling regions.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features seen in `fit`, if all are strings.

    See Also
    --------
    SparseAutoencoder : An encoder.
    ZCAWhitening : Preprocessing of patches; goes into the encoder's pipeline.
    PatchNormalizer : Preprocessing of patches; goes into the encoder's pipeline.

    Notes
    -----
    An image of height H and patches of height h at stride t give maps of height
    ⌊(H - h) / t⌋ + 1. In the tutorial images of 64 × 64 and patches of 8 × 8 pixels give
    maps of 57 × 57, and regions of 19 × 19 a grid of 3 × 3.

    `transform` works on a few images at a time, or on parts of one. So the patches of all
    images are never in memory together.

    References
    ----------
    .. [1] A. Ng, J. Ngiam, C. Y. Foo, Y. Mai and C. Suen, "Feature extraction using
           convolution" and "Pooling", UFLDL tutorial, Stanford University, 2011.
    .. [2] A. Coates, H. Lee and A. Y. Ng, "An analysis of single-layer networks in
           unsupervised feature learning", AISTATS 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from skl_sae import ConvolveAndPool, SparseAutoencoder, ZCAWhitening
    >>> X = load_digits().data / 16
    >>> encoder = make_pipeline(
    ...     ZCAWhitening(epsilon=0.01),
    ...     SparseAutoencoder(10, output_activation="identity", random_state=0),
    ... )
    >>> conv = ConvolveAndPool(
    ...     encoder, image_shape=(8, 8), patch_shape=(4, 4), pool_shape=(3, 3), random_state=0
    ... )
    >>> conv.fit_transform(X).shape
    (1797, 40)
    >>> conv.map_shape_, conv.grid_shape_
    ((5, 5), (2, 2))
    """

    _parameter_constraints = {
        "encoder": "no_validation",  # checked by `_check_encoder`
        "image_shape": [tuple, list, None],
        "patch_shape": [tuple, list],
        "pool_shape": [tuple, list, None],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "n_patches": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        encoder,
        *,
        image_shape=None,
        patch_shape=(8, 8),
        pool_shape=None,
        stride=1,
        n_patches=10_000,
        random_state=None,
    ):
        self.encoder = encoder
        self.image_shape = image_shape
        self.patch_shape = patch_shape
        self.pool_shape = pool_shape
        self.stride = stride
        self.n_patches = n_patches
        self.random_state = random_state

    @all_or_nothing
    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Fit the encoder on random patches of X, unless it is frozen.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images, one in each row, flattened in C order.
        y : None
            Ignored, present by convention.

        Returns
        -------
        ConvolveAndPool
            The fitted transformer.

        Raises
        ------
        TypeError
            The encoder has no `fit` or no `transform`.
        ValueError
            Bad data or parameters, shapes that do not fit together, a frozen encoder
            that is not fitted (`~sklearn.exceptions.NotFittedError`) or was fitted on
            patches of another size. The transformer is left unchanged.
        """
        _check_encoder(self.encoder)
        X = validate_rows(self, X)
        self._store_shapes(X.shape[1])
        self._fit_encoder(X)
        return self

    @by_chunks
    def transform(self, X):
        """Compute the pooled features of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images, one in each row, flattened in C order.

        Returns
        -------
        ndarray of shape (n_samples, grid_height * grid_width * n_codes)
            The mean of each feature in each region, flattened in C order: row of the
            grid, column of the grid, feature of the encoder. float32 stays float32.
        """
        check_is_fitted(self)
        X = validate_rows(self, X, reset=False)
        pooled = np.zeros((len(X), *self.grid_shape_, self._n_codes), X.dtype)
        for images, rows, columns in product(*self._blocks(len(X), X.dtype.itemsize)):
            codes = self._encode(self._windows(X[images])[:, rows, columns])
            i, j = map(_regions, (rows, columns), self.map_shape_, self._pool_shape)
            touched = images, slice(i[0][0], i[0][-1] + 1), slice(j[0][0], j[0][-1] + 1)
            pooled[touched] += _average(codes, pooled[touched].shape, i, j)
        return pooled.reshape(len(X), -1)

    def get_feature_names_out(self, input_features=None):
        """Name the output features after their region and the encoder's feature.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only checked against the names seen in `fit`.

        Returns
        -------
        ndarray of str objects
            Such as "row0_col2_sparseautoencoder5".
        """
        super().get_feature_names_out(input_features)
        try:
            codes = self.encoder_.get_feature_names_out()
        except AttributeError:  # it, or a step of a pipeline, has no names
            codes = [f"feature{k}" for k in range(self._n_codes)]
        grid = product(*map(range, self.grid_shape_), codes)
        return np.array([f"row{i}_col{j}_{code}" for i, j, code in grid], dtype=object)

    @property
    def _n_features_out(self):
        return prod(self.grid_shape_) * self._n_codes

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _store_shapes(self, n_features):
        """Check that image, patch and region fit together, and store their shapes."""
        shape = (1, n_features) if self.image_shape is None else self.image_shape
        _check_shape("image_shape", shape, (2, 3))
        _check_shape("patch_shape", self.patch_shape, (2,))
        if prod(shape) != n_features:
            raise ValueError(
                f"image_shape={self.image_shape} means {prod(shape)} values, but X has "
                f"{n_features} features."
            )
        self.image_shape_ = (*shape, 1)[:3]
        height, width = shape[:2]
        if self.patch_shape[0] > height or self.patch_shape[1] > width:
            raise ValueError(
                f"patch_shape={self.patch_shape} is larger than the images of {height} x {width} "
                f"pixels (n_features={n_features}): give a smaller patch_shape, or the right "
                "image_shape."
            )
        self.map_shape_ = tuple(
            (n - int(size)) // int(self.stride) + 1
            for n, size in zip((height, width), self.patch_shape)
        )
        # `transform` uses these: parameters changed after a fit count from the next fit on
        self._patch_shape = tuple(map(int, self.patch_shape))
        self._stride = min(int(self.stride), max(height, width))
        pool_shape = self.map_shape_ if self.pool_shape is None else self.pool_shape
        _check_shape("pool_shape", pool_shape, (2,))
        self._pool_shape = tuple(min(int(k), n) for k, n in zip(pool_shape, self.map_shape_))
        self.grid_shape_ = tuple(-(-n // k) for n, k in zip(self.map_shape_, self._pool_shape))

    def _fit_encoder(self, X):
        if isinstance(self.encoder, FrozenEstimator):
            self.encoder_ = self.encoder
            _check_frozen(self.encoder, prod(self._patch_shape) * self.image_shape_[2])
        else:
            self.encoder_ = clone(self.encoder).fit(self._draw(X))
        code = self.encoder_.transform(_flatten(self._windows(X[:1])[:, :1, :1]))
        self._n_codes = check_floats(code, "the encoder's code").shape[1]

    def _draw(self, X):
        """Random patches of all images and positions, one in each row.

        Images are read a few at a time, in their order in X, which may be a file.
        """
        shape = (len(X), *self._windows(X[:1], stride=1).shape[1:3])
        rng = check_random_state(self.random_state)
        n = min(self.n_patches, prod(shape))
        drawn = sample_without_replacement(prod(shape), n, random_state=rng)
        patches = np.empty((n, prod(self._patch_shape) * self.image_shape_[2]), X.dtype)
        in_order = np.argsort(drawn)
        for some in row_blocks(n, max(1, BLOCK_BYTES // (X.shape[1] * X.dtype.itemsize))):
            here = in_order[some]
            image, row, column = np.unravel_index(drawn[here], shape)
            windows = self._windows(X[image], stride=1)
            found = windows[np.arange(len(here)), row, column]
            patches[here] = found.reshape(len(here), -1)
        return patches

    def _windows(self, X, stride=None):
        """All patches as a view (n_images, map rows, map columns, rows, columns, channels)."""
        t = stride or self._stride
        images = X.reshape(-1, *self.image_shape_)
        windows = np.lib.stride_tricks.sliding_window_view(images, self._patch_shape, axis=(1, 2))
        return np.moveaxis(windows, 3, -1)[:, ::t, ::t]

    def _blocks(self, n_images, itemsize):
        """Slices of the images, and of the rows and columns of a map that is too large."""
        patch_size = prod(self._patch_shape) * self.image_shape_[2]
        n_positions = BLOCK_BYTES // (itemsize * (patch_size + self._n_codes))
        height, width = self.map_shape_
        return [
            row_blocks(n_images, max(n_positions // (height * width), 1)),
            row_blocks(height, max(n_positions // width, 1)),
            row_blocks(width, max(n_positions, 1)),
        ]

    def _encode(self, windows):
        """Codes of patches, ndarray of shape (n_patches, n_codes), in the type of X."""
        return np.asarray(self.encoder_.transform(_flatten(windows)), windows.dtype)


def _flatten(windows):
    """Patches as the rows of a new array, which an encoder may overwrite."""
    return np.array(windows, order="C").reshape(prod(windows.shape[:3]), -1)


def _regions(span, n, size):
    """The region of each pixel of a span, out of n, and the pixel's weight in its mean."""
    regions = np.arange(span.start, span.stop) // size
    return regions, 1 / np.minimum(size, n - regions * size)


def _average(codes, shape, rows, columns):
    """The part of the regions' means that these codes give, an ndarray of the given shape.

    It is a sparse product with one entry for each patch, which reads the codes once.
    """
    (i, row_weights), (j, column_weights) = rows, columns
    grid = np.ix_(range(shape[0]), i - i[0], j - j[0])
    region = np.ravel_multi_index(grid, shape[:3]).ravel()
    weights = np.tile(np.outer(row_weights, column_weights).ravel(), shape[0])
    average = csc_array(
        (weights.astype(codes.dtype), region, np.arange(len(region) + 1)),
        shape=(prod(shape[:3]), len(region)),
    )
    return (average @ codes).reshape(shape)


def _check_shape(name, shape, lengths):
    rule = Interval(Integral, 1, None, closed="left")
    if not all(map(rule.is_satisfied_by, shape)) or len(shape) not in lengths:
        wanted = " or ".join(map(str, lengths))
        raise ValueError(f"{name} must be {wanted} positive integers, not {shape}.")


def _check_encoder(encoder):
    if not (hasattr(encoder, "fit") and hasattr(encoder, "transform")):
        raise TypeError(
            "encoder must be an estimator with fit and transform, such as SparseAutoencoder(), "
            f"not {encoder!r}."
        )


def _check_frozen(encoder, patch_size):
    check_is_fitted(
        encoder,
        msg="The frozen encoder is not fitted: fit it, or give it without FrozenEstimator.",
    )
    n_features = getattr(encoder, "n_features_in_", patch_size)
    if n_features != patch_size:
        raise ValueError(
            f"The frozen encoder was fitted on patches of {n_features} values, but "
            f"patch_shape and image_shape give patches of {patch_size}."
        )
