"""Contenders of PyTorch and JAX, as `shared.curves` says what one is."""

import numpy as np

from shared.report import installed

# Learning rate and rows of a mini-batch. J of a mini-batch has the mean code of its rows.
ADAM = [(1e-2, 1000), (3e-3, 1000), (1e-3, 1000), (3e-3, 250), (1e-2, 10_000)]

# What a contender's name ends with, and whether its biases start from the data.
STARTS = {"": True, ", tutorial's start": False}


def torch_weights(theta, network):
    """W1, W2, b1 and b2, which learn."""
    import torch

    (W1, W2), (b1, b2) = network.unpack(theta)
    return [torch.from_numpy(p.copy()).requires_grad_() for p in (W1, W2, b1, b2)]


def torch_value(weights, x, lam, beta, rho):
    """The objective in PyTorch."""
    import torch

    W1, W2, b1, b2 = weights
    A = torch.sigmoid(torch.addmm(b1, x, W1))
    out = torch.sigmoid(torch.addmm(b2, A, W2))
    r = A.mean(dim=0)
    kl = rho * torch.log(rho / r) + (1 - rho) * torch.log((1 - rho) / (1 - r))
    decay = lam / 2 * ((W1**2).sum() + (W2**2).sum())
    return ((out - x) ** 2).sum() / 2 / len(x) + decay + beta * kl.sum()


def torch_model(problem, seed, threads, from_data=True):
    """Weights to be learned, the objective of some rows, and theta."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    data = torch.from_numpy(problem.X)
    theta0 = problem.start(seed, from_data).astype(np.float32)
    weights = torch_weights(theta0, problem.network)

    def value(rows=None):
        return torch_value(weights, data if rows is None else data[rows], **problem.params)

    def theta():
        return np.concatenate([p.detach().numpy().ravel() for p in weights], dtype=float)

    return weights, value, theta


def torch_lbfgs(threads, from_data=True):
    """PyTorch's L-BFGS with strong Wolfe line search and the history of ours."""

    def run(problem, seed, trace):
        import torch

        weights, value, theta = torch_model(problem, seed, threads, from_data)
        solver = torch.optim.LBFGS(  # one long call: each begins with an evaluation
            weights,
            max_iter=10**6,
            max_eval=10**6,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
            history_size=10,
        )

        def closure():
            solver.zero_grad()
            loss = value()
            loss.backward()
            trace(theta)
            return loss

        trace.begin()
        while True:
            solver.step(closure)

    return run


def torch_adam(threads, rate, batch, from_data=True):
    """PyTorch's Adam on mini-batches."""

    def run(problem, seed, trace):
        import torch

        weights, value, theta = torch_model(problem, seed, threads, from_data)
        solver = torch.optim.Adam(weights, lr=rate)
        trace.begin()
        while True:
            for rows in torch.randperm(len(problem.X)).split(batch):
                trace(theta)
                solver.zero_grad()
                value(rows).backward()
                solver.step()

    return run


def jax_value(params, X, lam, beta, rho):
    """The objective in JAX."""
    import jax.numpy as jnp
    from jax.nn import sigmoid

    W1, W2, b1, b2 = params
    A = sigmoid(X @ W1 + b1)
    misfit = ((sigmoid(A @ W2 + b2) - X) ** 2).sum() / 2 / len(X)
    r = A.mean(axis=0)
    kl = rho * jnp.log(rho / r) + (1 - rho) * jnp.log((1 - rho) / (1 - r))
    return misfit + lam / 2 * ((W1**2).sum() + (W2**2).sum()) + beta * kl.sum()


def jax_lbfgs(problem, seed, trace):
    """Optax's L-BFGS with zoom line search; a step is compiled before the clock starts."""
    import jax
    import optax

    X = jax.numpy.asarray(problem.X)
    (W1, W2), (b1, b2) = problem.network.unpack(problem.start(seed).astype(np.float32))
    params = [jax.numpy.asarray(p) for p in (W1, W2, b1, b2)]
    solver = optax.lbfgs(memory_size=10)

    def step(params, state, X):
        def value_of(params):
            return jax_value(params, X, **problem.params)

        # the value and gradient that the line search has found last
        value, grad = optax.value_and_grad_from_state(value_of)(params, state=state)
        updates, state = solver.update(
            grad, state, params, value=value, grad=grad, value_fn=value_of
        )
        return optax.apply_updates(params, updates), state

    state = solver.init(params)
    step = jax.jit(step).lower(params, state, X).compile()
    trace.begin()
    while True:
        params, state = jax.block_until_ready(step(params, state, X))
        trace(lambda params=params: np.concatenate([np.ravel(p) for p in params], dtype=float))


def peers(threads):
    """The contenders of PyTorch and JAX, where they are installed."""
    found = {}
    if installed("torch"):
        for words, from_data in STARTS.items():
            found[f"torch L-BFGS{words}"] = torch_lbfgs(threads, from_data)
            for rate, batch in ADAM if from_data else ADAM[:1]:
                name = f"torch Adam, {rate:g}, {batch}{words}"
                found[name] = torch_adam(threads, rate, batch, from_data)
    if installed("jax", "optax"):
        found["JAX L-BFGS"] = jax_lbfgs
    return found
