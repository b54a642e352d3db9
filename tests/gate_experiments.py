"""Small experiments with genlab's own code, repeated over many seeds: what the gate is proved on
(see test_report_gate_power).

    python tests/gate_experiments.py EXPERIMENT REPLICATES FIRST_SEED

prints {metric: [better, [one value per replicate]]} as JSON.  The genlab that is imported decides
the result: the proof runs this file against copies of the library with one planted fault each.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

from genlab.data import images
from genlab.data.toy import DENSITIES
from genlab.metrics import distances
from genlab.streams import stream
from genlab.toys import adversarial, diffusion, energy, langevin

EIGHT = DENSITIES["eight_gaussians"]
POINTS = 400  # generated points behind each value


def rng_of(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(stream(seed, name))


def pools(replicates: int, seed: int, n: int = 4000) -> np.ndarray:
    """A training set for every replicate, drawn independently: (replicates, n, 2)."""
    return (
        EIGHT.sample(replicates * n, rng=rng_of(seed, "data"))
        .reshape(replicates, n, 2)
        .astype(np.float32)
    )


def against_real(samples: np.ndarray, seed: int) -> dict:
    """The distances of every replicate's sample from fresh real points."""
    rng = rng_of(seed, "evaluate")
    real = EIGHT.sample(len(samples) * POINTS, rng=rng).reshape(len(samples), POINTS, 2)
    pairs = [
        (np.clip(x[:POINTS], -50, 50).astype(float), y) for x, y in zip(samples, real, strict=True)
    ]
    return {
        "sliced_w2": ["lower", [distances.sliced_w2(x, y) for x, y in pairs]],
        "mmd2": ["lower", [distances.mmd2(x, y, 1.0) for x, y in pairs]],
        "coverage": ["higher", [distances.density_and_coverage(y, x)[1] for x, y in pairs]],
    }


def chains(replicates: int, seed: int) -> dict:
    """Langevin and its Metropolis correction on N(0, 1)²: the variance they settle at, and the
    share accepted."""

    def log_density(x):
        return -jnp.sum(x**2, axis=-1) / 2

    def one(key):
        x = jax.random.normal(key, (1000, 2))
        plain, _, _ = langevin.run_chain(
            langevin.unadjusted_langevin(lambda y: -y, 0.3), x, steps=60, key=key
        )
        exact, _, info = langevin.run_chain(langevin.mala(log_density, 0.9), x, steps=60, key=key)
        return jnp.var(plain), jnp.var(exact), info["accepted"].mean()

    plain, exact, accepted = jax.vmap(one)(
        jax.random.split(jax.random.key(stream(seed, "sample")), replicates)
    )
    values = {"langevin_variance": plain, "mala_variance": exact, "mala_accepted": accepted}
    return {name: ["target", np.asarray(v, float).tolist()] for name, v in values.items()}


def energies(replicates: int, seed: int) -> dict:
    """An energy-based model of the eight Gaussians."""
    data = pools(replicates, seed)
    model = energy.train_energy(
        data,
        data[:, :500],
        rules=energy.Rules(hidden=(48, 48), n_chains=128, batch_size=128, ema_decay=0.9),
        steps=250,
        seed=seed,
    )
    samples, _ = energy.sample_energy(model.model, n=POINTS, steps=60, seed=seed)
    last = model.history["train_loss"][-20:].mean(axis=0)
    return against_real(samples, seed) | {"energy_gap": ["target", last.tolist()]}


def denoisers(replicates: int, seed: int) -> dict:
    """A diffusion model on twenty levels of a linear schedule, and its ancestral samples."""
    sigmas = diffusion.sigmas_of(diffusion.linear_alphas(20, 0.995, 0.5))
    data = pools(replicates, seed)
    model = diffusion.train_diffusion(
        data,
        data[:, :500],
        sigmas,
        rules=diffusion.Rules(hidden=(48, 48), batch_size=128, ema_decay=0.9),
        steps=300,
        seed=seed,
    )
    key = jax.random.key(stream(seed, "sample"))
    down = jnp.asarray(np.append(sigmas[::-1], 0.0), jnp.float32)
    samples, _ = diffusion.sample_stack(
        model.model, key, down, n=POINTS, method="ddim", features=16, data_sd=2.0, eta=1.0
    )
    losses = {
        name: ["lower", model.history[name][-30:].mean(axis=0).tolist()]
        for name in ("train_loss", "validation_loss")
    }
    return against_real(np.asarray(samples), seed) | losses


def players(replicates: int, seed: int) -> dict:
    """A relativistic GAN on the eight Gaussians."""
    data = pools(replicates, seed)
    rules = adversarial.Rules(hidden=(48, 48), batch_size=96, lr=2e-3, ema_decay=0.95)
    model = adversarial.train_gan(data, data[:, :500], rules=rules, steps=1000, seed=seed)
    accuracy = model.history["accuracy"][-20:].mean(axis=0)
    samples = adversarial.sample_gan(model.model, rules=rules, n=POINTS, seed=seed)
    return against_real(samples, seed) | {"accuracy": ["target", accuracy.tolist()]}


def digits(replicates: int, seed: int) -> dict:
    """A linear classifier on a draw of MNIST, and where its ink is."""
    train, test = images.load("mnist", "train"), images.load("mnist", "test")
    found: dict[str, list] = {
        "accuracy": [],
        "train_accuracy": [],
        "row_of_ink": [],
        "mean_pixel": [],
    }
    for replicate in range(replicates):
        rng = rng_of(seed + 1000 * replicate, "data")
        a, b = (
            rng.choice(len(train.images), 800, replace=False),
            rng.choice(len(test.images), 800, replace=False),
        )
        x, y = (s.images[i].reshape(len(i), -1) / 255.0 for s, i in ((train, a), (test, b)))
        classifier = LogisticRegression(C=0.02, max_iter=40, tol=1e-2).fit(x, train.labels[a])
        found["accuracy"].append(classifier.score(y, test.labels[b]))
        found["train_accuracy"].append(classifier.score(x, train.labels[a]))
        ink = y.reshape(-1, 28, 28).sum(axis=(0, 2))
        found["row_of_ink"].append(float(ink @ np.arange(28) / ink.sum()))
        found["mean_pixel"].append(float(y.mean()))
    better = {"accuracy": "higher"}
    return {name: [better.get(name, "target"), values] for name, values in found.items()}


def measures(replicates: int, seed: int) -> dict:
    """The measures themselves, on real points against real points that were shrunk."""
    found: dict[str, list] = {
        "c2st_accuracy": [],
        "mmd2": [],
        "kde_log_density": [],
        "coverage": [],
        "sample_mean": [],
    }
    for replicate in range(replicates):
        rng = rng_of(seed + 1000 * replicate, "evaluate")
        real, other = EIGHT.sample(POINTS, rng=rng), EIGHT.sample(POINTS, rng=rng)
        fake = 0.93 * other
        found["c2st_accuracy"].append(distances.c2st_accuracy(fake, real, rng=rng))
        found["mmd2"].append(distances.mmd2(0.6 * other, real, 0.25))
        found["kde_log_density"].append(distances.kde_log_density(fake, real))
        found["coverage"].append(distances.density_and_coverage(real, fake)[1])
        found["sample_mean"].append(float(real.mean()))
    return {name: ["target", values] for name, values in found.items()}


EXPERIMENTS = {f.__name__: f for f in (chains, energies, denoisers, players, digits, measures)}

if __name__ == "__main__":
    name, replicates, first_seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    print(json.dumps(EXPERIMENTS[name](replicates, first_seed)))
