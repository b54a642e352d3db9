"""Steps per second of toy noise-prediction training: the compiled loop of `genlab.training.jax`
against an eager torch loop.

Equal network (2 coordinates and the level in sines and cosines, 256 inputs, three hidden layers of
128), batch 32, Adam.
"""

import argparse
import itertools
import statistics
import time

import jax
import jax.numpy as jnp
import optax
import torch

from genlab.toys.networks import init_mlp, mlp
from genlab.training.jax import minibatch, train

SIZES, BATCH = (256, 128, 128, 128, 2), 32
FREQUENCIES = jnp.geomspace(1.0, 64.0, 64)


def ours(steps: int) -> float:
    """Steps per second of the compiled loop, compilation excluded: the difference between a long
    and a short run."""
    data = jax.random.normal(jax.random.key(0), (8_000, 2))
    optimizer = optax.adam(1e-3)

    def embed(x, level):
        waves = [
            f(c[:, None] * FREQUENCIES)
            for c in (x[:, 0] + level, x[:, 1] - level)
            for f in (jnp.sin, jnp.cos)
        ]
        return jnp.concatenate(waves, axis=-1)

    def loss(params, x, key):
        key_noise, key_level = jax.random.split(key)
        noise, level = (
            jax.random.normal(key_noise, x.shape),
            jax.random.uniform(key_level, (BATCH,)),
        )
        return jnp.mean(
            (mlp(params, embed(x + level[:, None] * noise, level), "gelu") - noise) ** 2
        )

    def step(state, key):
        params, opt_state = state
        key_x, key_loss = jax.random.split(key)
        value, grads = jax.value_and_grad(loss)(params, minibatch(data, BATCH, key=key_x), key_loss)
        updates, opt_state = optimizer.update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), {"loss": value}

    params = init_mlp(SIZES, key=jax.random.key(1))
    state = (params, optimizer.init(params))

    def seconds(n: int) -> float:
        start = time.perf_counter()
        train(step, state, steps=n, key=jax.random.key(2), chunks=10)
        return time.perf_counter() - start

    seconds(10)  # first use of the backend
    short = seconds(steps // 4)
    # each call compiles anew; the difference does not count it
    return (steps - steps // 4) / (seconds(steps) - short)


def peer(steps: int) -> float:
    """Steps per second of the usual eager loop: DataLoader-free minibatches, module,
    loss.backward(), optimiser step."""
    frequencies = torch.tensor(FREQUENCIES.tolist())
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(SIZES):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.GELU()]
    network = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    data = torch.randn(8_000, 2)
    start = time.perf_counter()
    for _ in range(steps):
        x = data[torch.randint(len(data), (BATCH,))]
        noise, level = torch.randn_like(x), torch.rand(BATCH)
        y = x + level[:, None] * noise
        waves = [
            f(c[:, None] * frequencies)
            for c in (y[:, 0] + level, y[:, 1] - level)
            for f in (torch.sin, torch.cos)
        ]
        loss = torch.nn.functional.mse_loss(network(torch.cat(waves, -1)), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return steps / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    pairs = [(ours(4 * args.steps), peer(args.steps)) for _ in range(args.rounds)]
    print("| round | genlab [steps/s] | eager torch [steps/s] | ratio |\n|--:|--:|--:|--:|")
    for i, (a, b) in enumerate(pairs):
        print(f"| {i + 1} | {a:.0f} | {b:.0f} | {a / b:.2f} |")
    print(f"\nmedian ratio {statistics.median(a / b for a, b in pairs):.2f}")


if __name__ == "__main__":
    main()
