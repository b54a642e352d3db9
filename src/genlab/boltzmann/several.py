"""Many small RBMs at once, which differ in their seed and rate: one program for all, where one
alone would leave the processor waiting."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from genlab import checks
from genlab.boltzmann.rbm import RBM, init_rbm
from genlab.boltzmann.training import Rules, first_state, update
from genlab.streams import stream
from genlab.training import check_epochs, progress


def train_several(
    data: np.ndarray,
    *,
    n_hidden: int,
    epochs: int,
    seeds: Sequence[int],
    rates: Sequence[float],
    rules: Rules,
) -> RBM:
    """`train_rbm` of data (n, n_visible) for each pair of seeds (m,) and constant rates (m,),
    the same numbers up to rounding.

    Returns the parameters after every epoch: W (epochs, m, n_visible, n_hidden),
    b (epochs, m, n_visible), c (epochs, m, n_hidden).  `rules`, with "cd" or "pcd" and a constant
    k, are those of all but for the rate.  A machine whose parameters stop being finite does not
    disturb the others.  Raises ValueError for data that are not binary, a rule out of range, or
    unequally many seeds and rates.
    """
    if not len(seeds) or len(seeds) != len(rates):
        raise ValueError(
            f"{len(seeds)} seeds and {len(rates)} rates: one of each for every machine, "
            "and at least one"
        )
    for rate in rates:
        replace(rules, lr=rate).check()
    if rules.method == "pt" or rules.k_last is not None:
        raise ValueError(
            f"method={rules.method!r}, k_last={rules.k_last}: cd or pcd with a constant k"
        )
    rules, batch_size = replace(rules, k_last=rules.k), rules.batch_size
    data = checks.probabilities(data, "data").astype(np.float32)
    n_hidden = checks.count(n_hidden, "n_hidden")
    check_epochs(epochs, batch_size, len(data))
    steps, mean = len(data) // batch_size, data.mean(0)

    def start(key):
        rbm = init_rbm(len(mean), n_hidden, key=key, mean=mean)
        return first_state(rbm, mean, (batch_size,), key=key)

    def keys(name):
        return jnp.stack([jax.random.key(stream(seed, name)) for seed in seeds])

    states, rates, x = (
        jax.vmap(start)(keys("init")),
        jnp.asarray(rates, jnp.float32),
        jnp.asarray(data),
    )
    orders = [np.random.default_rng(stream(seed, "data")) for seed in seeds]
    path = []
    for epoch in progress(epochs, f"{len(seeds)} RBMs of {n_hidden} ({rules.method})"):
        rows = [
            order.permutation(len(data))[: steps * batch_size].reshape(steps, batch_size)
            for order in orders
        ]
        epoch_keys = jax.vmap(jax.random.fold_in, (0, None))(keys("train"), epoch)
        states = _epoch(states, x, np.stack(rows, 1), rules, rates, epoch_keys)
        path.append(jax.tree.map(np.array, states.rbm))
    return jax.tree.map(lambda *each: np.stack(each), *path)


@partial(jax.jit, donate_argnums=0)
def _epoch(states, data, rows, rules, rates, keys):
    """One epoch of every machine; rows (steps, m, batch), rates and keys (m,)."""

    def one(state, row, rate, key):
        return update(state, data[row], 0.0, replace(rules, lr=rate, lr_last=rate), key=key)[0]

    def body(states, inputs):
        i, rows = inputs
        return jax.vmap(one)(
            states, rows, rates, jax.vmap(jax.random.fold_in, (0, None))(keys, i)
        ), None

    return jax.lax.scan(body, states, (jnp.arange(len(rows)), rows))[0]
