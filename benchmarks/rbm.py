"""One epoch of an RBM with 500 hidden units on 60,000 digits: ours, scikit-learn's, learnergy's if
it is installed, and the six matrix products that every implementation has to do, at this
machine's own rate.

    .venv/bin/python benchmarks/rbm.py

learnergy is not part of the project: pip install learnergy.
"""

import argparse
import contextlib
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.neural_network import BernoulliRBM

from genlab.boltzmann import training
from genlab.data import images

BATCH, HIDDEN = 100, 500


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(data: np.ndarray, epochs: int = 2) -> float:
    """Seconds of an epoch of persistent contrastive divergence with centring: what a longer
    training takes more."""
    about = {"n_hidden": HIDDEN, "rules": training.Rules(batch_size=BATCH), "seed": 0}
    # compiles; later calls of any length share the program
    training.train_rbm(data, epochs=1, **about)
    long, short = (
        timed(lambda n=n: training.train_rbm(data, epochs=n, **about)) for n in (epochs + 1, 1)
    )
    return (long - short) / epochs


def scikit_learn(data: np.ndarray) -> float:
    """The same for BernoulliRBM, which also trains by persistent contrastive divergence."""
    machine = BernoulliRBM(HIDDEN, batch_size=BATCH, n_iter=1, learning_rate=0.05, random_state=0)
    return timed(lambda: machine.fit(data))


def learnergy(data: np.ndarray) -> float:
    """The same for learnergy's RBM by contrastive divergence with one step."""
    import torch
    from learnergy.models.bernoulli import RBM

    class Digits(torch.utils.data.Dataset):
        def __len__(self):
            return len(data)

        def __getitem__(self, i):
            return torch.from_numpy(data[i]), 0

    machine = RBM(
        n_visible=784,
        n_hidden=HIDDEN,
        steps=1,
        learning_rate=0.05,
        momentum=0.5,
        decay=0,
        temperature=1,
        use_gpu=False,
    )
    return timed(lambda: machine.fit(Digits(), batch_size=BATCH, epochs=1))


def products(data: np.ndarray) -> float:
    """Six products of a batch with the weights, as many times as there are batches in an epoch,
    and nothing else."""
    W = jnp.asarray(0.01 * np.random.default_rng(0).normal(size=(784, HIDDEN)), jnp.float32)

    @jax.jit
    def run(v, W):
        def body(v, _):
            for _ in range(2):
                h = v @ W
                v = 1e-3 * (h @ W.T) + 1e-9 * (v.T @ h)[0, 0]
            return v, None

        return jax.lax.scan(body, v, None, length=len(data) // BATCH)[0]

    v = jnp.asarray(data[:BATCH])
    run(v, W).block_until_ready()
    return timed(lambda: run(v, W).block_until_ready())


def main(rounds: int) -> None:
    data = images.load("mnist", "train").images.reshape(-1, 784) / np.float32(255)
    peers = {
        "six products": products,
        "ours": ours,
        "scikit-learn": scikit_learn,
        "learnergy": learnergy,
    }
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(rounds):
        for name, run in peers.items():
            with contextlib.suppress(ImportError):  # an optional peer
                seconds[name].append(run(data))
    median = {name: statistics.median(values) for name, values in seconds.items() if values}
    for name, value in median.items():
        print(f"{name:14s} {value:6.2f} s an epoch, {value / median['ours']:5.2f} of ours")
    print(
        f"ours reaches {median['six products'] / median['ours']:.0%} of the rate of the "
        "matrix products alone"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    main(parser.parse_args().rounds)
