"""The layout of theta, the names of its entries, and the initial weights."""

import numpy as np
import pytest

from skl_sae.backprop.network import Network

NETWORKS = [
    Network((3, 2)),
    Network((3, 4, 2)),
    Network((3, 4, 5, 2), "tanh"),
    Network((3, 4, 3), tied=True),
]


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_pack_undoes_unpack(network):
    theta = np.arange(network.n_params, dtype=float)
    coefs, intercepts = network.unpack(theta)
    assert [W.shape for W in coefs] == network.shapes
    assert [b.shape for b in intercepts] == [(n,) for n in network.sizes[1:]]
    assert (network.pack(coefs, intercepts) == theta).all()
    assert network.pack(*network.unpack(theta.astype(np.float32))).dtype == np.float64


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_unpack_gives_views(network):
    theta = np.zeros(network.n_params)
    coefs, intercepts = network.unpack(theta)
    assert all(np.shares_memory(part, theta) for part in [*coefs, *intercepts])


def test_tied_weights_are_one_array_and_collect_both_gradients():
    network = Network((3, 4, 3), tied=True)
    coefs, _ = network.unpack(np.arange(network.n_params, dtype=float))
    assert (coefs[1] == coefs[0].T).all()
    flat = network.flat_gradient()
    grads, _ = network.views(flat)
    grads[0][1, 2], grads[1][2, 1] = 5.0, 7.0
    folded = network.unpack(network.fold(flat))[0][0]
    assert folded[1, 2] == 12.0
    assert folded.sum() == 12.0


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_every_entry_has_its_own_name(network):
    theta = np.arange(network.n_params, dtype=float)
    coefs_, intercepts_ = network.unpack(theta)
    names = [network.name_of(k) for k in range(network.n_params)]
    assert len(set(names)) == network.n_params
    values = [eval(name, {"coefs_": coefs_, "intercepts_": intercepts_}) for name in names]
    assert values == theta.tolist()


def test_initial_weights_are_those_of_the_tutorial():
    network = Network((50, 40, 50))
    coefs, intercepts = network.unpack(network.initialise(np.random.RandomState(0)))
    r = np.sqrt(6 / (50 + 40 + 1))
    for W in coefs:
        assert 0.99 * r < np.abs(W).max() <= r
        assert W.std() == pytest.approx(r / np.sqrt(3), rel=0.05)
    assert all((b == 0).all() for b in intercepts)


def test_few_units_count_in_the_range_of_initial_weights():
    coefs, _ = Network((2, 1)).unpack(Network((2, 1)).initialise(np.random.RandomState(0)))
    drawn = np.random.RandomState(0).uniform(-1, 1, size=(2, 1))
    np.testing.assert_allclose(coefs[0], np.sqrt(6 / (2 + 1 + 1)) * drawn)
