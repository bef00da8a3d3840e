"""Greedy layer-wise pretraining: each hidden layer starts as the encoder of an autoencoder.

The first autoencoder is fitted to the data, the next one to the codes of the first, and so on.
Their encoders become the hidden layers. The tutorial then trains the output layer on the last
code, and fine-tunes all layers together (UFLDL, "Stacked autoencoders").
"""

from functools import partial
from itertools import pairwise

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ._warn import part
from .sparse_autoencoder import SparseAutoencoder


def autoencoders(pretraining, sizes, activation):
    """The autoencoder of each hidden layer: a clone to fit, or one that is already fitted.

    Parameters
    ----------
    pretraining : SparseAutoencoder, FrozenEstimator, or list of them
        A template for all hidden layers, or one for each.
    sizes : tuple of int
        The number of features, and the units of each hidden layer.
    activation : str
        The activation of the hidden layers.

    Returns
    -------
    list of SparseAutoencoder
        One for each hidden layer, with as many units.

    Raises
    ------
    TypeError
        ``pretraining`` is something else.
    ValueError
        Their number, sizes or activation do not suit the network, or it has no hidden layer.
    """
    n_hidden = len(sizes) - 1
    given = pretraining
    if not isinstance(given, (list, tuple)):
        given = [given] * n_hidden
    if n_hidden == 0 or len(given) != n_hidden:
        raise ValueError(
            f"pretraining has {len(given)} autoencoders for {n_hidden} hidden layers: give one "
            "for each, or a single unfitted one as a template for all."
        )
    return [_autoencoder(*each, activation) for each in zip(given, pairwise(sizes))]


def activation_of(pretraining, default):
    """The activation of the first autoencoder, or the default if there is none."""
    given = pretraining if isinstance(pretraining, (list, tuple)) else [pretraining]
    return _encoder(given[0])[2] if given else default


def _encoder(given):
    """The autoencoder, whether it is frozen, and its activation."""
    frozen = isinstance(given, FrozenEstimator)
    encoder = given.estimator if frozen else given
    if not isinstance(encoder, SparseAutoencoder):
        raise TypeError(
            "pretraining takes a SparseAutoencoder, a fitted one in a FrozenEstimator, or a "
            f"list with one for each hidden layer, not {encoder!r}."
        )
    if frozen:
        check_is_fitted(encoder)
    else:
        encoder._validate_params()
    return encoder, frozen, encoder.activation_ if frozen else encoder.activation


def _autoencoder(given, shape, activation):
    encoder, frozen, own = _encoder(given)
    if own != activation:
        raise ValueError(
            f"The hidden layers have activation={activation!r}, but an autoencoder of "
            f"pretraining has {own!r}: set both to the same, with warm_start=False if the fit "
            "goes on."
        )
    if not frozen:
        return clone(encoder).set_params(n_components=shape[1])
    if encoder.coefs_[0].shape != shape:
        raise ValueError(
            "A fitted autoencoder of pretraining encodes {} features as {} components, but "
            "its layer has {} inputs and {} units.".format(*encoder.coefs_[0].shape, *shape)
        )
    return encoder


def pretrain(encoders, X, sample_weight, rng, tasks):
    """Fit the autoencoders that are not fitted yet, each to the code of the one before.

    Parameters
    ----------
    encoders : list of SparseAutoencoder
        The result of `autoencoders`.
    X : {ndarray, CSR array} of shape (n_rows, n_features)
        The data.
    sample_weight : ndarray of shape (n_rows,) or None
        Weights of the rows.
    rng : RandomState
        Seeds the autoencoders that have no ``random_state`` of their own.
    tasks : FitTasks
        The tasks of the fit that this pretraining is a part of.

    Returns
    -------
    coefs, intercepts : list of ndarray
        The parameters of the hidden layers.
    code : ndarray of shape (n_rows, n_units)
        The code of the last autoencoder.
    """
    coefs, intercepts, code = [], [], X
    for encoder in encoders:
        if not hasattr(encoder, "coefs_"):
            if encoder.random_state is None:
                encoder.set_params(random_state=rng.randint(np.iinfo(np.int32).max))
            name = f"autoencoder {len(coefs) + 1}"
            fit = partial(encoder.fit, code, sample_weight=sample_weight)
            with tasks.of(encoder, name):
                part(f"{name} of the pretraining", fit)
        code = encoder._propagate(code, slice(1), encoder.activation_)
        coefs.append(encoder.coefs_[0])
        intercepts.append(encoder.intercepts_[0])
    return coefs, intercepts, code
