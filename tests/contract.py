"""A valid call of every public function that takes arrays, and the laws that its answer obeys.

Points are whole numbers from 0 to 20, so that every dtype can hold them, exactly.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import torch

from genlab import transport
from genlab.autoencoders import classified, convolutional, deep, vae_gan, variational
from genlab.boltzmann import (
    clamped,
    dbm,
    dbn,
    exact,
    helmholtz,
    likelihood,
    mixture,
    rbm,
    several,
    shape,
    sigmoid_net,
)
from genlab.boltzmann import training as rbm_training
from genlab.data import toy
from genlab.games import critic, game, growing, growing_players, line, players
from genlab.images import judge, networks
from genlab.metrics import chains, distances, retrieval, scorecard, silhouettes
from genlab.metrics import images as image_metrics
from genlab.toys import (
    adversarial,
    bound,
    contrast,
    diffusion,
    diffusion_recipes,
    energy,
    energy_repairs,
    flow_matching,
    langevin,
    normalizing_flow,
    samplers,
    score,
)
from genlab.toys import variational as planar
from genlab.toys.networks import init_mlp
from genlab.training import torch as descent

KEY = jax.random.key(0)
CPU = torch.device("cpu")
SIGMAS = [8.0, 4.0, 2.0, 1.0]


@dataclass(frozen=True)
class Case:
    """f(**make(rng)) is a valid call.  scale: arguments that scale, and the power with which the
    result does.  far: arguments that may be moved together.  order, twice: whose rows may be in
    another order, or all doubled.  loose: tolerance, relative.  allows: what is valid here, though
    not elsewhere.  slow: fewer forms are tried."""

    f: Callable
    make: Callable[[np.random.Generator], dict[str, np.ndarray]]
    scale: tuple[tuple[str, ...], float] | None = None
    far: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    loose: float = 1e-9
    allows: frozenset = frozenset()
    slow: bool = False


def seeded(f: Callable, **more) -> Callable:
    """f with the same random numbers in every call."""
    return lambda **about: f(**about, **more, rng=np.random.default_rng(0))


def points(*names: str, n: int = 12, d: int = 2, high: int = 21) -> Callable:
    return lambda rng: {name: rng.integers(0, high, (n, d)).astype(float) for name in names}


def bits(*names: str, n: int = 6, d: int = 4) -> Callable:
    return points(*names, n=n, d=d, high=2)


def labels(n: int, classes: int, rng) -> np.ndarray:
    """Classes of n rows, each of them twice at least."""
    each = np.tile(np.arange(classes), 2)
    return np.concatenate([each, rng.integers(0, classes, n - len(each))]).astype(float)


def pictures(*names: str, n: int = 6) -> Callable:
    return lambda rng: {name: rng.integers(0, 2, (n, 28, 28)).astype(float) for name in names}


def mass(n: int, rng) -> np.ndarray:
    """Weights that single precision holds exactly."""
    w = rng.integers(1, 9, n)
    w[0] += 64 - w.sum() % 64
    return w / 2.0 ** np.ceil(np.log2(w.sum())) if w.sum() in 2 ** np.arange(20) else _even(n)


def _even(n: int) -> np.ndarray:
    return np.full(n, 1 / n)


RBM = rbm.RBM(
    *(jnp.asarray(np.random.default_rng(i).normal(size=s), jnp.float32)
      for i, s in enumerate(((4, 3), 4, 3)))
)  # fmt: skip
GAUSSIAN = RBM._replace(s=jnp.full(4, 0.7))
DBM = dbm.above(RBM, 2, key=KEY, scale=1.0)
DBN = dbn.from_rbms([RBM, rbm.RBM(jnp.ones((3, 2)), jnp.zeros(3), jnp.zeros(2))])
HELMHOLTZ = helmholtz.Helmholtz(RBM.c, RBM.W, RBM.b, RBM.W, RBM.c)
MACHINE = exact.from_layers([RBM.W], [RBM.b, RBM.c])
SMOOTHED = mixture.smoothed(np.eye(4), flip=0.2)
HALF = np.array([True, True, True, False])  # known pixels
HALVES = {"mean": np.full(4, 0.5), "inv_temps": [0, 0.5, 1], "chains": 5, "key": KEY}
LAYERS = sigmoid_net.init_layers([4, 3, 2], key=KEY)
JUDGE = networks.mlp([784, 128, 10], seed=0)
JUDGE = torch.nn.Sequential(torch.nn.Flatten(), *JUDGE).eval()
AUTOENCODER = deep.deep_autoencoder([784, 3], seed=0)
CLASSIFIED = classified.Classified(AUTOENCODER, networks.mlp([3, 2], seed=0))
VAE = variational.VAE(2, hidden=(3,), seed=0)
GENERATOR = players.mlp_generator(2, hidden=(3,), seed=0).eval()
CRITIC = players.mlp_discriminator(hidden=(3,), seed=0)
GROWING = (
    growing_players.growing_generator(2, widths=(2, 2, 2), seed=0),
    growing_players.growing_discriminator(widths=(2, 2, 2), seed=0),
)
MIXTURE = line.Mixture((0.5, 0.5), (0.0, 8.0), (1.0, 2.0))
BLURRED = energy.init_fourier_mlp((2, 4, 1), 2, bandwidth=1.0, key=KEY)
STACK = jax.tree.map(lambda x: x[None], init_mlp((3 + 4, 4, 2), key=KEY))
STACK = (jnp.ones((1, 2, 2)), STACK)
NETWORK = {"features": 0, "data_sd": 2.0}
VELOCITY = jax.tree.map(
    lambda x: x[None],
    flow_matching.init(flow_matching.Rules(hidden=(4,), n_waves=2, features=4), key=KEY),
)
FLOW = jax.tree.map(
    lambda x: x[None],
    normalizing_flow.init(
        normalizing_flow.Rules(hidden=(4,), layers=2, bins=3, n_waves=2), key=KEY
    ),
)
CODERS = jax.tree.map(lambda x: x[None], planar.init(planar.Rules(hidden=(4,), n_waves=2), key=KEY))


def pull(x, sigma=0.0):
    return -x / (1 + sigma**2)


def cost_of(rng) -> dict[str, np.ndarray]:
    return {"cost": rng.integers(0, 21, (5, 4)).astype(float), "a": _even(5), "b": mass(4, rng)}


def plan_of(rng) -> dict[str, np.ndarray]:
    return {"plan": np.outer(_even(4), mass(4, rng)), "a": mass(4, rng), "b": _even(4)}


def near(rng) -> dict[str, np.ndarray]:
    found = points("queries", "database", n=8, d=3)(rng)
    return found | {"query_labels": labels(8, 2, rng), "labels": labels(8, 2, rng)}


def reach(rng) -> dict[str, np.ndarray]:
    return {
        "distances": rng.integers(0, 9, (3, 8)).astype(float),
        "same": bits("s", n=3, d=8)(rng)["s"],
    }


def with_labels(name: str, make: Callable, n: int, classes: int) -> Callable:
    return lambda rng: make(rng) | {name: labels(n, classes, rng)}


def squares(*names: str) -> Callable:
    return lambda rng: {name: rng.integers(0, 2, (3, 8, 8)).astype(float) for name in names}


def value(plan) -> tuple:
    return plan.cost, plan.value, plan.marginal_error


two = points("x", "y")
BOTH = ("x", "y")
SETS = ("real", "generated")
ANY_SHAPE = frozenset({"deeper", "flat", "empty"})
JAX = {"loose": 2e-5}
CASES: dict[str, Case] = {
    # transport
    "transport.squared_distances": Case(transport.squared_distances, two, (BOTH, 2), BOTH),
    "transport.emd": Case(lambda **k: value(transport.emd(**k))[0], cost_of, (("cost",), 1)),
    "transport.sinkhorn": Case(
        lambda **k: value(transport.sinkhorn(**k, epsilon=5.0))[:2], cost_of, loose=1e-6
    ),
    "transport.check_cost": Case(transport.check_cost, cost_of),
    "transport.self_cost": Case(
        lambda x: transport.self_cost(x, epsilon=50.0),
        points("x"),
        far=("x",),
        order=("x",),
        loose=1e-6,
    ),
    "transport.sinkhorn_divergence": Case(
        functools.partial(transport.sinkhorn_divergence, epsilon=50.0),
        two,
        far=BOTH,
        order=BOTH,
        loose=1e-5,
    ),
    "transport.interpolate": Case(
        lambda **k: transport.interpolate(**k, t=0.25)[0],
        lambda rng: two(rng) | {"plan": np.eye(12)},
        (BOTH, 1),
        loose=1e-6,
    ),
    "transport.rounded": Case(transport.rounded, plan_of),
    "transport.marginal_error": Case(transport.marginal_error, plan_of),
    "transport.roughness": Case(
        transport.roughness,
        lambda rng: {"pixels": rng.integers(0, 21, (4, 5, 3)).astype(float)},
        (("pixels",), 1),
        ("pixels",),
        loose=1e-6,
    ),
    # metrics of points
    "metrics.distances.w2": Case(distances.w2, two, (BOTH, 1), BOTH, BOTH, BOTH),
    "metrics.distances.sliced_w2": Case(distances.sliced_w2, two, (BOTH, 1), BOTH, BOTH, BOTH),
    "metrics.distances.mmd2": Case(
        functools.partial(distances.mmd2, bandwidth=4.0), two, None, BOTH, BOTH
    ),
    "metrics.chains.r_hat": Case(chains.r_hat, points("draws", n=4, d=6), order=("draws",)),
    "metrics.chains.mode_shares": Case(
        chains.mode_shares, points("x", "centres"), far=("x", "centres")
    ),
    "metrics.distances.energy_distance": Case(
        distances.energy_distance, two, (BOTH, 1), BOTH, BOTH
    ),
    "metrics.distances.c2st_accuracy": Case(
        seeded(distances.c2st_accuracy, folds=2),
        lambda rng: {
            "x": rng.permuted(np.arange(144)).reshape(-1, 2)[:20] / 1.0,
            "y": rng.permuted(np.arange(144)).reshape(-1, 2)[:20] + 0.5,
        },
    ),
    "metrics.distances.boosted_accuracy": Case(
        seeded(distances.boosted_accuracy, folds=2),
        lambda rng: {
            "x": rng.permuted(np.arange(144)).reshape(-1, 2)[:20] / 1.0,
            "y": rng.permuted(np.arange(144)).reshape(-1, 2)[:20] + 0.5,
        },
    ),
    "metrics.distances.density_and_coverage": Case(
        functools.partial(distances.density_and_coverage, k=2), points(*SETS), (SETS, 0), SETS, SETS
    ),
    "metrics.distances.kde_log_density": Case(
        distances.kde_log_density, points(*SETS), None, SETS, SETS, loose=1e-6
    ),
    "metrics.scorecard.mode_scores": Case(
        lambda **k: list(scorecard.mode_scores(**k, sd=2.0).values()),
        points("x", "centres"),
        far=("x", "centres"),
        order=("x",),
    ),
    "metrics.scorecard.reverse_kl_of_all": Case(
        scorecard.reverse_kl_of_all,
        points("x", "centres"),
        (("x", "centres"), 0),
        far=("x", "centres"),
        order=("x",),
        twice=("x",),
    ),
    "metrics.scorecard.scorecard": Case(
        seeded(
            lambda **k: list(
                scorecard.scorecard(**k, density=toy.DENSITIES["checkerboard"], n=16).values()
            )
        ),
        points("samples", n=20),
    ),
    "metrics.scorecard.informed_accuracy": Case(
        seeded(
            functools.partial(
                scorecard.informed_accuracy, density=toy.DENSITIES["checkerboard"], n=16
            )
        ),
        points("samples", n=20),
    ),
    # metrics of images and codes
    "metrics.images.frechet_distance": Case(
        image_metrics.frechet_distance, points(*SETS), (SETS, 2), SETS, SETS, loose=1e-6
    ),
    "metrics.images.precision_and_recall": Case(
        functools.partial(image_metrics.precision_and_recall, k=2),
        lambda rng: {
            "real": rng.permuted(np.arange(120)).reshape(-1, 3)[:15] / 1.0,
            "generated": rng.permuted(np.arange(120)).reshape(-1, 3)[:15] / 1.0,
        },
        (SETS, 0),
        SETS,
        SETS,
    ),
    "metrics.images.nearest_images": Case(
        lambda **k: image_metrics.nearest_images(**k)[1], pictures("images", "others")
    ),
    "metrics.images.memorised": Case(
        image_metrics.memorised, pictures("images", "training", "held_out")
    ),
    "metrics.images.class_modes": Case(
        image_metrics.class_modes,
        lambda rng: {"probabilities": np.eye(4)[rng.integers(0, 4, 9)]},
        order=("probabilities",),
    ),
    "metrics.images.stacked_modes": Case(
        lambda labels: image_metrics.stacked_modes(labels),
        points("labels", d=3, high=10),
        order=("labels",),
    ),
    "metrics.images.ms_ssim": Case(image_metrics.ms_ssim, pictures("x", "y", n=2)),
    "metrics.images.likeness": Case(
        seeded(image_metrics.likeness, pairs=3), with_labels("labels", pictures("images"), 6, 1)
    ),
    "metrics.images.swd": Case(seeded(image_metrics.swd, patches=2, directions=4), pictures(*SETS)),
    "metrics.images.stroke_energy": Case(image_metrics.stroke_energy, pictures("images")),
    "metrics.silhouettes.silhouettes": Case(
        lambda images: silhouettes.silhouettes(images, threshold=0.5)[1:], pictures("images")
    ),
    "metrics.silhouettes.components": Case(silhouettes.components, squares("shapes")),
    "metrics.silhouettes.bits": Case(silhouettes.bits, squares("shapes"), allows=frozenset()),
    "metrics.silhouettes.changes": Case(
        silhouettes.changes, squares("shapes"), order=("shapes",), twice=("shapes",)
    ),
    "metrics.silhouettes.seam": Case(
        silhouettes.seam, squares("shapes"), order=("shapes",), twice=("shapes",), loose=1e-7
    ),
    "metrics.silhouettes.nearest_shape": Case(
        silhouettes.nearest_shape, squares("shapes", "others")
    ),
    "metrics.retrieval.pack": Case(retrieval.pack, bits("bits", d=64)),
    "metrics.retrieval.euclidean": Case(
        lambda x, y: np.diff(retrieval.euclidean(x, y), axis=1), two, (BOTH, 2), BOTH
    ),
    "metrics.retrieval.hits": Case(
        functools.partial(retrieval.hits, at=[2, 3]),
        reach,
        (("distances",), 0),
        ("distances",),
        allows=frozenset({"infinite"}),
    ),
    "metrics.retrieval.precision_recall": Case(
        functools.partial(retrieval.precision_recall, at=[1]),
        near,
        (("queries", "database"), 0),
        ("queries", "database"),
    ),
    "metrics.retrieval.cluster_accuracy": Case(
        retrieval.cluster_accuracy,
        lambda rng: {"assigned": labels(20, 3, rng), "labels": labels(20, 4, rng)},
    ),
    # Boltzmann machines
    "boltzmann.exact.energy": Case(
        functools.partial(exact.energy, MACHINE), bits("x", d=7), allows=ANY_SHAPE
    ),
    "boltzmann.exact.log_likelihood": Case(
        functools.partial(exact.log_likelihood, MACHINE), bits("v")
    ),
    "boltzmann.exact.log_likelihood_gradient": Case(
        functools.partial(exact.log_likelihood_gradient, MACHINE), bits("v"), order=("v",)
    ),
    "boltzmann.rbm.units": Case(functools.partial(rbm.units, RBM), bits("v"), **JAX),
    "boltzmann.rbm.gibbs_chain": Case(
        functools.partial(rbm.gibbs_chain, RBM, steps=2, key=KEY), bits("v"), **JAX
    ),
    "boltzmann.rbm.gibbs_film": Case(
        functools.partial(rbm.gibbs_film, RBM, after=np.array([1, 2]), key=KEY), bits("v"), **JAX
    ),
    "boltzmann.rbm.pseudo_log_likelihood": Case(
        functools.partial(rbm.pseudo_log_likelihood, RBM), bits("v"), **JAX
    ),
    "boltzmann.rbm.one_bit_pseudo_log_likelihood": Case(
        functools.partial(rbm.one_bit_pseudo_log_likelihood, RBM, key=KEY), bits("v"), **JAX
    ),
    "boltzmann.rbm.complete": Case(
        functools.partial(rbm.complete, RBM, known=np.ones(4, bool), steps=2, key=KEY),
        bits("v"),
        **JAX,
    ),
    "boltzmann.rbm.init_rbm": Case(
        lambda mean: rbm.init_rbm(4, 3, mean=mean, key=KEY).b,
        lambda rng: {"mean": rng.integers(0, 2, 4) / 1.0},
        **JAX,
    ),
    "boltzmann.likelihood.log_likelihood": Case(
        lambda v: likelihood.log_likelihood(RBM, v, 1.0), bits("v"), **JAX
    ),
    "boltzmann.likelihood.ais": Case(
        lambda mean, samples: likelihood.ais(
            RBM, mean=mean, samples=samples, inv_temps=[0, 0.5, 1], chains=5, key=KEY
        )[:3],
        lambda rng: bits("samples")(rng) | {"mean": rng.integers(0, 2, 4) / 1.0},
        **JAX,
    ),
    "boltzmann.likelihood.base_log_odds": Case(
        functools.partial(likelihood.base_log_odds, n_visible=4),
        lambda rng: {"mean": rng.integers(0, 2, 4) / 1.0},
        **JAX,
    ),
    "boltzmann.likelihood.summary": Case(
        lambda log_w: likelihood.summary(log_w, 1.0)[::2],
        lambda rng: {"log_w": rng.integers(0, 9, 7) / 1.0},
        far=(),
    ),
    "boltzmann.dbm.elbo": Case(lambda v: dbm.elbo(DBM, v, 1.0, steps=3), bits("v"), **JAX),
    "boltzmann.dbm.ais": Case(
        lambda mean, inv_temps: dbm.ais(DBM, mean=mean, inv_temps=inv_temps, chains=5, key=KEY)[:3],
        lambda rng: {"mean": rng.integers(0, 2, 4) / 1.0, "inv_temps": np.array([0, 0.5, 1])},
        **JAX,
    ),
    "boltzmann.clamped.complete": Case(
        lambda v: clamped.complete(DBM, v, np.ones(4, bool), steps=2, key=KEY), bits("v"), **JAX
    ),
    "boltzmann.clamped.ais": Case(
        lambda v: clamped.ais(DBM, v, np.ones(4, bool), **HALVES)[:3], bits("v"), **JAX
    ),
    "boltzmann.clamped.both_ways": Case(
        lambda v: clamped.both_ways(DBM, v, np.ones(4, bool), sweeps=1, **HALVES)[1][:3],
        bits("v"),
        **JAX,
    ),
    "boltzmann.mixture.log_joint": Case(functools.partial(mixture.log_joint, SMOOTHED), bits("v")),
    "boltzmann.mixture.log_prob": Case(functools.partial(mixture.log_prob, SMOOTHED), bits("v")),
    "boltzmann.mixture.log_conditional": Case(
        lambda v: mixture.log_conditional(SMOOTHED, v, HALF), bits("v")
    ),
    "boltzmann.mixture.complete": Case(
        lambda v: mixture.complete(SMOOTHED, v, np.ones(4, bool)), bits("v")
    ),
    "boltzmann.mixture.smoothed": Case(
        lambda shapes: mixture.smoothed(shapes, flip=0.1), bits("shapes")
    ),
    "boltzmann.mixture.fit": Case(
        seeded(lambda v, rng: mixture.fit(v, components=1, steps=2, rng=rng)), bits("v")
    ),
    "boltzmann.mixture.em_step": Case(
        lambda v: mixture.em_step(SMOOTHED, v, 0.1), bits("v"), order=("v",)
    ),
    "boltzmann.dbn.bound": Case(
        lambda v: dbn.bound(DBN, v, 1.0, samples=3, key=KEY), bits("v"), **JAX
    ),
    "boltzmann.dbn.sample": Case(
        lambda x: dbn.sample(DBN, x, steps=2, key=KEY), bits("x", d=3), **JAX
    ),
    "boltzmann.helmholtz.log_likelihood": Case(
        functools.partial(helmholtz.log_likelihood, HELMHOLTZ), bits("v"), **JAX
    ),
    "boltzmann.helmholtz.bound": Case(
        functools.partial(helmholtz.bound, HELMHOLTZ), bits("v"), **JAX
    ),
    "boltzmann.sigmoid_net.rows": Case(
        lambda x: sigmoid_net.rows(LAYERS, x)[0], points("x", d=4), **JAX
    ),
    "boltzmann.sigmoid_net.predict": Case(
        functools.partial(sigmoid_net.predict, LAYERS), points("x", d=4), **JAX
    ),
    # the plane
    "toys.diffusion.sigmas_of": Case(
        diffusion.sigmas_of, lambda rng: {"alphas": rng.integers(1, 8, 5) / 8}
    ),
    "toys.samplers.ddim": Case(
        lambda x, sigmas: samplers.ddim(pull, x, sigmas, eta=1.0, key=KEY),
        lambda rng: points("x")(rng) | {"sigmas": np.array(SIGMAS)},
        **JAX,
    ),
    "toys.samplers.euler": Case(
        lambda x, sigmas: samplers.euler(pull, x, sigmas),
        lambda rng: points("x")(rng) | {"sigmas": np.array(SIGMAS)},
        **JAX,
    ),
    "toys.samplers.heun": Case(
        lambda x, sigmas: samplers.heun(pull, x, sigmas),
        lambda rng: points("x")(rng) | {"sigmas": np.array(SIGMAS)},
        **JAX,
    ),
    "toys.samplers.multistep": Case(
        lambda x, sigmas: samplers.multistep(pull, x, sigmas),
        lambda rng: points("x")(rng) | {"sigmas": np.array(SIGMAS)},
        **JAX,
    ),
    "toys.bound.vp_weights": Case(
        bound.vp_weights, lambda rng: {"alphas": rng.integers(1, 8, 5) / 8}
    ),
    "toys.bound.sigma_weights": Case(
        bound.sigma_weights, lambda rng: {"sigmas": np.array(SIGMAS[::-1])}
    ),
    "toys.samplers.probability_flow_log_prob": Case(
        lambda x, sigmas: samplers.probability_flow_log_prob(pull, x, sigmas, data_sd=1.0),
        lambda rng: points("x")(rng) | {"sigmas": np.array(SIGMAS[::-1])},
        loose=1e-4,
    ),
    "toys.diffusion.sample_stack": Case(
        lambda sigmas: diffusion.sample_stack(STACK, KEY, sigmas, n=3, method="ddim", **NETWORK),
        lambda rng: {"sigmas": np.array(SIGMAS)},
        loose=1e-4,
    ),
    "toys.diffusion.log_prob_stack": Case(
        lambda x, sigmas: diffusion.log_prob_stack(STACK, x, sigmas, **NETWORK),
        lambda rng: {"x": points("x")(rng)["x"][None], "sigmas": np.array(SIGMAS[::-1])},
        loose=1e-4,
    ),
    "toys.diffusion.annealed_langevin_stack": Case(
        lambda sigmas: diffusion.annealed_langevin_stack(
            STACK, KEY, sigmas, n=3, steps_per_sigma=2, step_size=0.1, **NETWORK
        ),
        lambda rng: {"sigmas": np.array(SIGMAS)},
        loose=1e-4,
    ),
    "toys.flow_matching.log_prob_stack": Case(
        lambda x: flow_matching.log_prob_stack(VELOCITY, x, steps=4, features=4, data_sd=2.0),
        lambda rng: {"x": points("x")(rng)["x"][None]},
        loose=1e-4,
    ),
    "toys.normalizing_flow.log_prob_stack": Case(
        lambda x: normalizing_flow.log_prob_stack(FLOW, x, data_sd=2.0),
        lambda rng: {"x": points("x")(rng)["x"][None]},
        loose=1e-4,
    ),
    "toys.variational.log_prob_bounds_stack": Case(
        lambda x: planar.log_prob_bounds_stack(CODERS, x, KEY, samples=3, latent=2, data_sd=2.0),
        lambda rng: {"x": points("x")(rng)["x"][None]},
        loose=1e-4,
    ),
    "toys.energy.log_density": Case(
        lambda x: energy.log_density(BLURRED, x, base_sd=4.0), points("x"), loose=1e-4
    ),
    "toys.energy.log_density_stack": Case(
        lambda x: energy.log_density_stack(
            jax.tree.map(lambda p: p[None].repeat(2, 0), BLURRED), x, base_sd=4.0
        ),
        lambda rng: {"x": rng.integers(0, 21, (2, 5, 2)).astype(float)},
        loose=1e-4,
    ),
    "toys.langevin.start": Case(langevin.start, points("x"), **JAX),
    "toys.langevin.run_chain": Case(
        lambda x: langevin.run_chain(langevin.unadjusted_langevin(pull, 0.1), x, steps=2, key=KEY)[
            0
        ],
        points("x"),
        **JAX,
    ),
    "toys.samplers.annealed_langevin": Case(
        lambda x, sigmas: samplers.annealed_langevin(
            pull, x, sigmas, steps_per_sigma=2, step_size=0.1, key=KEY
        )[0],
        lambda rng: points("x")(rng) | {"sigmas": np.array(SIGMAS)},
        **JAX,
    ),
    "toys.score.blur": Case(
        lambda masses: score.blur(masses, 0.5, per_unit=2).density,
        lambda rng: {"masses": mass(16, rng).reshape(4, 4)},
    ),
    # images in torch
    "images.networks.as_images": Case(
        lambda images: networks.as_images(images, CPU).numpy(), pictures("images")
    ),
    "images.networks.check_labels": Case(
        lambda labels: networks.check_labels(labels, 6, device=CPU).numpy(),
        lambda rng: {"labels": labels(6, 2, rng)},
    ),
    "images.judge.judged": Case(functools.partial(judge.judged, JUDGE), pictures("images"), **JAX),
    "autoencoders.convolutional.codes": Case(
        functools.partial(convolutional.codes, AUTOENCODER), pictures("images"), **JAX
    ),
    "autoencoders.convolutional.reconstructions": Case(
        functools.partial(convolutional.reconstructions, AUTOENCODER), pictures("images"), **JAX
    ),
    "autoencoders.convolutional.squared_errors": Case(
        functools.partial(convolutional.squared_errors, AUTOENCODER), pictures("images"), **JAX
    ),
    "autoencoders.classified.prototypes": Case(
        functools.partial(classified.prototypes, CLASSIFIED),
        with_labels("labels", pictures("images", n=8), 8, 2),
        **JAX,
    ),
    "autoencoders.classified.class_mixtures": Case(
        lambda z, labels: [
            m.means_ for m in classified.class_mixtures(z, labels, components=1, seed=0)
        ],
        with_labels("labels", points("z", n=8), 8, 2),
        loose=1e-6,
    ),
    "autoencoders.deep.gradient_norms": Case(
        functools.partial(deep.gradient_norms, AUTOENCODER), pictures("images"), loose=1e-4
    ),
    "autoencoders.variational.encoded": Case(
        functools.partial(variational.encoded, VAE), pictures("images"), **JAX
    ),
    "autoencoders.variational.decoded": Case(
        functools.partial(variational.decoded, VAE), points("z"), loose=1e-4
    ),
    "autoencoders.variational.unit_activity": Case(
        functools.partial(variational.unit_activity, VAE), pictures("images"), loose=1e-4
    ),
    "games.line.log_density": Case(
        functools.partial(line.log_density, MIXTURE), lambda rng: {"x": rng.integers(0, 9, 5) / 1.0}
    ),
    "games.line.optimal_log_odds": Case(
        functools.partial(line.optimal_log_odds, MIXTURE, MIXTURE),
        lambda rng: {"x": rng.integers(0, 9, 5) / 1.0},
    ),
    "games.line.loss_of": Case(
        lambda log_odds, x: line.loss_of(log_odds, MIXTURE, MIXTURE, x),
        lambda rng: {"log_odds": rng.integers(0, 9, 5) / 1.0, "x": np.arange(5.0)},
    ),
    "games.players.generated": Case(
        functools.partial(players.generated, GENERATOR), points("z"), loose=1e-4
    ),
    "games.players.between": Case(
        functools.partial(players.between, steps=3),
        lambda rng: {"stops": rng.integers(1, 9, (3, 2)) / 1.0},
        loose=1e-6,
    ),
}
SLOW = (
    "toys.diffusion", "toys.samplers", "run_chain", "c2st", "d.scorecard", "ais", "complete",
    "gibbs",
)  # fmt: skip
CASES = {name: replace(case, slow=any(s in name for s in SLOW)) for name, case in CASES.items()}

# Border of a training: bad arrays are refused before anything is trained.
IMAGES = pictures("images")
ONE = {"epochs": 1, "seed": 0}
STEP = {"steps": 1, "records": 1, "seed": 0}
PAIRS = ONE | {"rules": descent.Rules(batch_size=2)}
CODED = ONE | {"rules": convolutional.Rules(batch_size=2)}
NET = {"hidden": (3,), "batch_size": 4}


def once(train: Callable, rules, quantity: str) -> Callable:
    """A training of one step: what it says of a quantity."""
    return lambda **arrays: train(**arrays, rules=rules, steps=1, seed=0).history[quantity]


def stacks(rng) -> dict[str, np.ndarray]:
    return {name: x[None] for name, x in points("data", "held_out")(rng).items()}


def known(rng) -> dict[str, np.ndarray]:
    return points("data", n=6, d=4)(rng) | {"labels": labels(6, 2, rng)}


TRAININGS: dict[str, Case] = {
    "boltzmann.training.train_rbm": Case(
        lambda data: rbm_training.train_rbm(
            data, n_hidden=2, rules=rbm_training.Rules(batch_size=2), **ONE
        ).model[:3],
        bits("data"),
        **JAX,
    ),
    "boltzmann.several.train_several": Case(
        lambda data: several.train_several(
            data,
            n_hidden=2,
            epochs=1,
            seeds=[0],
            rates=[0.1],
            rules=rbm_training.Rules(batch_size=2),
        )[:3],
        bits("data"),
        **JAX,
    ),
    "boltzmann.dbm.train_dbm": Case(
        lambda data: dbm.train_dbm(DBM, data, rules=dbm.Rules(batch_size=2), **ONE).model,
        bits("data"),
        **JAX,
    ),
    "boltzmann.shape.train_shapes": Case(
        lambda data: (
            shape.train_shapes(
                [shape.Recipe(shape.layout(2, 0), np.arange(6), 0.1, 0.0, seed=0)],
                data,
                n_1=4,
                n_2=2,
                greedy_steps=1,
                steps=1,
                rules=dbm.Rules(batch_size=2),
            ).model
        ),
        bits("data"),
        **JAX,
    ),
    "boltzmann.dbn.train_up_down": Case(
        lambda data: dbn.train_up_down(DBN, data, rules=dbn.Rules(batch_size=2), **ONE).model,
        bits("data"),
        **JAX,
    ),
    "boltzmann.helmholtz.train_helmholtz": Case(
        lambda data: (
            helmholtz.train_helmholtz(
                data, n_hidden=2, steps=1, chunks=1, seed=0, rules=helmholtz.Rules(batch_size=2)
            ).model
        ),
        bits("data"),
        **JAX,
    ),
    "boltzmann.sigmoid_net.train_classifier": Case(
        lambda data, labels: (
            sigmoid_net.train_classifier(
                LAYERS, data, labels, rules=sigmoid_net.Rules(batch_size=2), **ONE
            ).model
        ),
        known,
        **JAX,
    ),
    "autoencoders.deep.train_linear_rbm": Case(
        lambda data: (
            deep.train_linear_rbm(data, n_hidden=2, rules=deep.Ascent(batch_size=2), **ONE).model
        ),
        bits("data"),
        **JAX,
    ),
    "games.critic.train_critic": Case(
        lambda x, y: critic.train_critic(
            x, y, rules=critic.Rules(clip_value=1.0, batch_size=4), **STEP, hidden=(3,)
        ).history["estimate"],
        two,
        loose=1e-4,
    ),
    "games.line.train_discriminator": Case(
        lambda x: line.train_discriminator(
            MIXTURE, MIXTURE, x, rules=line.Rules(), **STEP, hidden=(3,)
        ).history["loss"],
        lambda rng: {"x": np.arange(5.0)},
        loose=1e-4,
    ),
    "games.game.train_gan": Case(
        lambda images: game.train_gan(
            images, GENERATOR, CRITIC, rules=game.Rules(batch_size=2), **STEP, grid=2
        ).history["generator_loss"],
        IMAGES,
        loose=1e-4,
    ),
    "games.growing.train_growing": Case(
        lambda images: growing.train_growing(
            images, *GROWING, rules=growing.Rules(batch_size=2), **STEP, grid=2
        ).history["generator_loss"],
        IMAGES,
        loose=1e-4,
    ),
    "images.judge.train_judge": Case(
        lambda images, labels: judge.train_judge(
            images, labels, rules=judge.Rules(batch_size=2), **ONE
        ).history["loss"],
        with_labels("labels", IMAGES, 6, 2),
        loose=1e-4,
    ),
    "autoencoders.convolutional.train_autoencoder": Case(
        lambda images: convolutional.train_autoencoder(AUTOENCODER, images, **CODED).history[
            "loss"
        ],
        IMAGES,
        loose=1e-4,
    ),
    "autoencoders.convolutional.cross_validate": Case(
        lambda images: convolutional.cross_validate(images, latent_dim=2, folds=2, **CODED)[0],
        IMAGES,
        loose=1e-3,
    ),
    "autoencoders.classified.train_probe": Case(
        lambda images, labels: (
            classified.train_probe(AUTOENCODER, images, labels, n_classes=2, **PAIRS)
            .model.head[0]
            .weight.detach()
        ),
        with_labels("labels", IMAGES, 6, 2),
        loose=1e-4,
    ),
    "autoencoders.classified.fine_tune": Case(
        lambda images, labels: classified.fine_tune(
            CLASSIFIED, images, labels, rules=classified.TuningRules(batch_size=2), **ONE
        ).history["loss"],
        with_labels("labels", IMAGES, 6, 2),
        loose=1e-4,
    ),
    "autoencoders.deep.train_deep": Case(
        lambda images: deep.train_deep(images, sizes=[784, 2], start="he", **CODED).history["loss"],
        IMAGES,
        loose=1e-4,
    ),
    "autoencoders.deep.learning_curve": Case(
        lambda images, held_out: deep.learning_curve(
            images, held_out, sizes=[784, 2], start="he", **CODED
        )["squared_error"],
        pictures("images", "held_out"),
        loose=1e-4,
    ),
    "autoencoders.deep.train_sparse": Case(
        lambda images: deep.train_sparse(images, n_units=2, **CODED).history["loss"],
        IMAGES,
        loose=1e-4,
    ),
    "autoencoders.deep.train_logistic_pca": Case(
        lambda images: deep.train_logistic_pca(images, n_codes=2, **CODED).history["loss"],
        IMAGES,
        loose=1e-4,
    ),
    "autoencoders.variational.train_vae": Case(
        lambda images: variational.train_vae(
            images, start=VAE, latent_dim=2, rules=variational.Rules(batch_size=2), **ONE
        ).history["loss"],
        IMAGES,
        loose=1e-4,
    ),
    "autoencoders.variational.train_completion": Case(
        lambda images: variational.train_completion(
            images, quadrants=1, hidden=(3,), **PAIRS
        ).history["loss"],
        IMAGES,
        loose=1e-4,
    ),
    "autoencoders.vae_gan.train_vae_gan": Case(
        lambda images: vae_gan.train_vae_gan(
            images, VAE, width=1, rules=vae_gan.Rules(batch_size=2), **ONE
        ).history["encoder"],
        IMAGES,
        loose=1e-4,
    ),
    "toys.energy.train_energy": Case(
        once(energy.train_energy, energy.Rules(**NET, n_chains=4), "train_loss"), stacks, loose=1e-4
    ),
    "toys.contrast.train_contrast": Case(
        once(contrast.train_contrast, contrast.Rules(**NET), "train_loss"), stacks, loose=1e-4
    ),
    "toys.energy_repairs.train_repairs": Case(
        lambda data, held_out: energy_repairs.train_repairs(
            data,
            held_out,
            [energy_repairs.Repairs(signed=True)],
            steps=1,
            seed=0,
            rules=energy.Rules(**NET, n_chains=4),
        ).history["train_loss"],
        stacks,
        loose=1e-4,
    ),
    "toys.score.train_score": Case(
        once(score.train_score, score.Rules(sigma=1.0, **NET), "train_loss"), stacks, loose=1e-4
    ),
    "toys.adversarial.train_gan": Case(
        once(
            adversarial.train_gan, adversarial.Rules(**NET | {"batch_size": 32}), "generator_loss"
        ),
        stacks,
        loose=1e-4,
    ),
    "toys.diffusion.train_diffusion": Case(
        once(diffusion.train_diffusion, diffusion.Rules(**NET), "train_loss"),
        lambda rng: stacks(rng) | {"sigmas": np.array(SIGMAS[::-1])},
        loose=1e-4,
    ),
    "toys.diffusion_recipes.train_recipes": Case(
        lambda data: diffusion_recipes.train_recipes(
            data, [SIGMAS[::-1]], [diffusion_recipes.FULL], steps=1, seed=0
        ).history["train_loss"],
        lambda rng: {"data": stacks(rng)["data"]},
        loose=1e-4,
    ),
    "toys.flow_matching.train_flow_matching": Case(
        once(
            flow_matching.train_flow_matching,
            flow_matching.Rules(**NET, n_waves=2, features=4),
            "train_loss",
        ),
        stacks,
        loose=1e-4,
    ),
    "toys.normalizing_flow.train_flow": Case(
        once(
            normalizing_flow.train_flow,
            normalizing_flow.Rules(**NET, layers=2, bins=3, n_waves=2),
            "train_loss",
        ),
        stacks,
        loose=1e-4,
    ),
    "toys.variational.train_vae": Case(
        once(planar.train_vae, planar.Rules(**NET, n_waves=2), "train_loss"), stacks, loose=1e-4
    ),
}
