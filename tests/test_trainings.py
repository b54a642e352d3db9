"""What every training of the library keeps, each tried on all of them: the seed decides, nobody's
arrays are changed, a training that is interrupted and continued is the uninterrupted one, what
diverges says where and keeps what was good, what cannot be is refused in words, and a network is
trained where it lies."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import numpy as np
import pytest
import torch

from genlab.autoencoders import classified, convolutional, deep, vae_gan, variational
from genlab.boltzmann import dbm, dbn, helmholtz, sigmoid_net
from genlab.boltzmann import training as rbm
from genlab.boltzmann.rbm import init_rbm
from genlab.games import critic, game, growing, growing_players, line, players
from genlab.images import judge, networks
from genlab.toys import adversarial, diffusion, energy, flow_matching, normalizing_flow, score
from genlab.toys import variational as planar
from genlab.training import Diverged, Trained
from genlab.training import torch as descent


@dataclass(frozen=True)
class Training:
    """`train` with `rules` on `arguments` and, if there are any, options.  length: what its whole
    is called, and how much of it is tried.  broken: rules that must be refused.  explosive: rules
    under which the numbers overflow."""

    train: Callable[..., Trained]
    arguments: tuple
    rules: object
    broken: dict[str, object]
    length: tuple[str, int] = ("steps", 12)
    options: dict[str, object] = field(default_factory=dict)
    explosive: dict[str, object] = field(default_factory=lambda: {"lr": 1e30})

    def __call__(self, rules: object = None, **about) -> Trained:
        about = self.options | dict([self.length]) | {"seed": 0} | about
        return self.train(*self.arguments, rules=rules or self.rules, **about)


rng = np.random.default_rng(0)
POINTS = rng.normal(size=(2, 64, 2)).astype(np.float32)
PLANE = (POINTS, POINTS[:, :32])
NET = {"hidden": (4,), "batch_size": 32}
BITS = rng.integers(0, 2, (40, 6)).astype(np.float32)
LABELS = rng.integers(0, 3, 40)
KEYS = jax.random.split(jax.random.key(0), 4)
LOWER, UPPER = init_rbm(6, 5, key=KEYS[0]), init_rbm(5, 4, key=KEYS[1])
EPOCHS = {"length": ("epochs", 4), "explosive": {"lr": 3e38}}
PASSES = {"length": ("epochs", 4)}
IMAGES = rng.random((40, 28, 28)).astype(np.float32)
NETWORK = {"batch_size": 10}
AUTOENCODER = deep.deep_autoencoder([784, 5, 3], seed=0)
CLASSIFIED = classified.Classified(AUTOENCODER, networks.mlp([3, 3], seed=0))
DESCENT = {"lr": 0.0, "lr_last": -1.0, "weight_decay": -1.0, "optimizer": "lbfgs", "momentum": 1.0}
ASCENT = {"lr": -1.0, "momentum": 1.0, "weight_decay": -1.0, "batch_size": 0}
TRAININGS = {
    "energy": Training(
        energy.train_energy,
        PLANE,
        energy.Rules(**NET, n_chains=8),
        {"loss": "hinge", "lr": 0.0, "l2": -1.0, "n_chains": 0, "ema_decay": 1.0, "sampler": "hmc"},
    ),
    "score": Training(
        score.train_score,
        PLANE,
        score.Rules(sigma=0.5, **NET),
        {"sigma": 0.0, "lr": np.inf, "batch_size": 0, "activation": "sine"},
    ),
    "diffusion": Training(
        diffusion.train_diffusion,
        (*PLANE, np.array([0.1, 0.5, 1.0])),
        diffusion.Rules(**NET),
        {"batch_size": 6, "lr": -1.0, "data_sd": 0.0, "ema_decay": -0.1},
    ),
    "flow matching": Training(
        flow_matching.train_flow_matching,
        PLANE,
        flow_matching.Rules(**NET, n_waves=2, features=4),
        {"batch_size": 0, "lr": -1.0, "data_sd": 0.0, "ema_decay": 1.0},
    ),
    "normalizing flow": Training(
        normalizing_flow.train_flow,
        PLANE,
        normalizing_flow.Rules(**NET, layers=2, bins=3, n_waves=2),
        {"layers": 1, "bins": 1, "batch_size": 0, "lr": -1.0, "data_sd": 0.0, "ema_decay": 1.0},
    ),
    "variational": Training(
        planar.train_vae,
        PLANE,
        planar.Rules(**NET, n_waves=2),
        {"latent": 0, "samples": 0, "lr": -1.0, "data_sd": 0.0},
    ),
    "adversarial": Training(
        adversarial.train_gan,
        PLANE,
        adversarial.Rules(**NET),
        {"loss": "squares", "packing": 3, "latent": 0, "penalty": -1.0, "beta1": 1.0, "lr": 0.0}
        | {"categories": -1},
    ),
    **{
        method: Training(
            rbm.train_rbm,
            (BITS,),
            rbm.Rules(method=method, batch_size=10, **more),
            ASCENT | {"method": "pcb", "k": 0, "k_last": 0, "doubled": "both"},
            options={"n_hidden": 3},
            **EPOCHS,
        )
        for method, more in (("cd", {"k_last": 3}), ("pcd", {}), ("pt", {"temperatures": 3}))
    },
    "dbm": Training(
        dbm.train_dbm,
        (dbm.from_rbms(LOWER, UPPER), BITS),
        dbm.Rules(batch_size=10),
        ASCENT | {"k": 0, "field_steps": 0},
        **EPOCHS,
    ),
    "dbn": Training(
        dbn.train_up_down,
        (dbn.from_rbms([LOWER, UPPER]), BITS),
        dbn.Rules(batch_size=10),
        {"k": 0, "lr": -1.0, "batch_size": 41},
        **EPOCHS,
    ),
    "classifier": Training(
        sigmoid_net.train_classifier,
        (sigmoid_net.init_layers([6, 5, 3], key=KEYS[2]), BITS, LABELS),
        sigmoid_net.Rules(batch_size=10, dropout=0.2),
        {"lr": 0.0, "dropout": 1.0, "weight_decay": -1.0, "batch_size": 41},
        **EPOCHS | {"explosive": {"lr": 3e38, "weight_decay": 1.0}},
    ),
    "helmholtz": Training(
        helmholtz.train_helmholtz,
        (BITS,),
        helmholtz.Rules(batch_size=10),
        {"lr": 0.0, "batch_size": 0},
        options={"n_hidden": 3, "chunks": 12},
        explosive={"lr": 3e38},
    ),
    "autoencoder": Training(
        convolutional.train_autoencoder,
        (
            convolutional.conv_autoencoder(2, channels=(2, 2, 2), hidden=4, dropout=0.2, seed=0),
            IMAGES,
        ),
        convolutional.Rules(**NETWORK, noise=0.2, shift=1, flip=True),
        DESCENT | {"l1": -1.0, "noise": 1.0, "shift": -1, "batch_size": 41},
        **PASSES,
    ),
    "probe": Training(
        classified.train_probe,
        (AUTOENCODER, IMAGES, LABELS),
        descent.Rules(**NETWORK, optimizer="sgd", momentum=0.5),
        DESCENT,
        **EPOCHS,
    ),
    "fine-tuning": Training(
        classified.fine_tune,
        (CLASSIFIED, IMAGES, LABELS),
        classified.TuningRules(**NETWORK, smoothing=0.1, weight_decay=0.01),
        DESCENT | {"weight": -1.0, "smoothing": 1.0},
        **PASSES,
    ),
    "linear RBM": Training(
        deep.train_linear_rbm,
        (BITS,),
        deep.Ascent(**NETWORK),
        ASCENT,
        options={"n_hidden": 3},
        **EPOCHS,
    ),
    "VAE": Training(
        variational.train_vae,
        (IMAGES,),
        variational.Rules(**NETWORK, warm_up=3, free_bits=0.1, lr_last=0.0),
        DESCENT | {"kl_weight": -1.0, "samples": 0, "warm_up": -1, "free_bits": -1.0},
        options={"latent_dim": 2, "hidden": (4,), "labels": LABELS},
        **PASSES,
    ),
    "completion": Training(
        variational.train_completion,
        (IMAGES,),
        descent.Rules(**NETWORK),
        DESCENT,
        options={"quadrants": 2, "hidden": (4,)},
        **EPOCHS,
    ),
    "VAE-GAN": Training(
        vae_gan.train_vae_gan,
        (IMAGES, variational.VAE(2, hidden=(4,), seed=0)),
        vae_gan.Rules(**NETWORK),
        DESCENT | {"similarity_weight": -1.0},
        options={"width": 1},
        **PASSES,
    ),
    "judge": Training(
        judge.train_judge, (IMAGES, LABELS), judge.Rules(**NETWORK, flip=True), DESCENT, **PASSES
    ),
    "critic": Training(
        critic.train_critic,
        (POINTS[0], POINTS[1] + 1),
        critic.Rules(batch_size=16, gp_weight=1.0),
        DESCENT | {"gp_weight": -1.0, "clip_value": 1.0, "batch_size": 65},
        options={"records": 12, "hidden": (4,)},
    ),
    "line": Training(
        line.train_discriminator,
        (*(line.Mixture((1.0,), (mean,), (1.0,)) for mean in (0.0, 1.0)), np.linspace(-3, 3, 9)),
        line.Rules(batch_size=16),
        DESCENT | {"batch_size": 0},
        options={"records": 12, "hidden": (4,)},
        explosive={"lr": 1e37},
    ),
    "game": Training(  # five batches a pass, two a round: it is interrupted amid a pass
        game.train_gan,
        (
            rng.random((50, 28, 28)).astype(np.float32),
            players.dcgan_generator(3, width=2, norm="virtual", seed=0),
            players.dcgan_discriminator(width=2, dropout=0.1, kernels=2, seed=0),
        ),
        game.Rules(batch_size=10, n_critic=(2, 1), history_weight=0.1, ema_decay=(0.9, 0.0)),
        DESCENT | {"loss": "hinge", "n_critic": 0, "real_target": 0.5, "ema_decay": 1.0},
        options={"records": 12, "grid": 2},
    ),
    "growing game": Training(
        growing.train_growing,
        (
            rng.random((50, 28, 28)).astype(np.float32),
            growing_players.growing_generator(3, widths=(2, 2, 2), seed=0),
            growing_players.growing_discriminator(widths=(2, 2, 2), seed=0),
        ),
        growing.Rules(batch_size=10, n_critic=2),
        DESCENT | {"n_critic": 0, "gp_weight": -1.0, "drift": -1.0, "ema_decay": 1.0},
        options={"records": 12, "grid": 2},
    ),
}
every = pytest.mark.parametrize("name", TRAININGS)


def arrays(tree) -> list[np.ndarray]:
    """All numbers in a tree, those of networks included."""
    networks = lambda x: isinstance(x, torch.nn.Module)  # noqa: E731
    leaves = jax.tree.leaves(tree, is_leaf=networks)
    return [
        np.asarray(x).copy()
        for leaf in leaves
        for x in (leaf.state_dict().values() if networks(leaf) else [leaf])
    ]


def same(one: Trained, other: Trained) -> bool:
    one, other = (arrays(trained._replace(state=None)) for trained in (one, other))
    return all(map(np.array_equal, one, other))


@pytest.fixture(scope="module")
def once() -> Callable[[str], Trained]:
    """Each training, run once for all tests."""
    kept: dict[str, Trained] = {}
    return lambda name: kept.setdefault(name, TRAININGS[name]())


@every
def test_the_seed_decides_and_nothing_else_is_touched(name, once):
    training, state = TRAININGS[name], torch.get_rng_state()
    before = arrays(training.arguments)
    again = training()
    assert same(once(name), again) and not same(again, training(seed=1))
    assert all(map(np.array_equal, before, arrays(training.arguments)))
    assert torch.equal(state, torch.get_rng_state())


@every
def test_interrupted_and_continued_equals_uninterrupted(name, once):
    training, whole = TRAININGS[name], once(name)
    part = training.length[1] // 3
    begun = training(until=part)
    resumed = training(resume=begun)
    assert len(begun.history["step"]) == part
    assert same(resumed._replace(history={}), whole._replace(history={}))
    for quantity, values in whole.history.items():  # the history of the whole, in two parts
        parts = np.concatenate([begun.history[quantity], resumed.history[quantity]])
        assert np.array_equal(values, parts), quantity
    fresh = training(until=part, seed=1)  # the twin: continued from elsewhere
    assert not same(training(resume=fresh._replace(state=fresh.state._replace(seed=0))), whole)


@every
def test_only_what_was_interrupted_can_be_continued_and_only_as_it_began(name, once):
    training, part = TRAININGS[name], TRAININGS[name].length[1] // 3
    with pytest.raises(ValueError, match="resume: that training is over"):
        training(resume=once(name))
    begun = training(until=part)
    with pytest.raises(ValueError, match="resume: seed was 0, not 1"):
        training(resume=begun, seed=1)
    with pytest.raises(ValueError, match="resume: rules was"):
        training(replace(training.rules, lr=0.123), resume=begun)
    with pytest.raises(ValueError, match="resume: its number of updates was"):
        training(resume=begun, **{training.length[0]: 2 * training.length[1]})


@every
def test_a_divergence_names_its_step_and_keeps_what_was_good(name):
    training = TRAININGS[name]
    with pytest.raises(Diverged, match="stopped at step") as caught:
        training(replace(training.rules, **training.explosive))
    good = [x for x in arrays(caught.value.state) if x.dtype.kind == "f"]
    assert good and all(np.isfinite(x).all() for x in good)
    assert 0 <= caught.value.step <= 4 * training.length[1]


@every
def test_rules_and_lengths_that_cannot_be_are_refused(name):
    training, (length, whole) = TRAININGS[name], TRAININGS[name].length
    for rule, value in training.broken.items():
        with pytest.raises(ValueError, match=rule):
            training(replace(training.rules, **{rule: value}))
    for value in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"{length}={value}"):
            training(**{length: value})
    with pytest.raises(ValueError, match=f"until={whole + 1} must be at most {whole}"):
        training(until=whole + 1)


@every
def test_the_history_says_what_was_done(name, once, tmp_path, monkeypatch):
    told, training = tmp_path / "progress.json", TRAININGS[name]
    monkeypatch.setenv("GENLAB_PROGRESS", str(told))
    history = training(seed=2).history
    assert json.loads(told.read_text())["done"] == len(history["step"])
    updates = {"steps": 1, "epochs": len(BITS) // 10}[training.length[0]] * training.length[1]
    assert history["step"][-1] == updates and (np.diff(history["step"]) > 0).all()
    assert len(history) > 1
    assert all(len(x) == len(history["step"]) and np.isfinite(x).all() for x in history.values())


def elsewhere(training: Training) -> Trained:
    """The training, by a torch that makes what nobody placed on a device that holds no numbers."""
    takes_device = "device" in inspect.signature(training.train).parameters
    with torch.device("meta"):
        return training(**({"device": "cpu"} if takes_device else {}))


NETWORKS = [*TRAININGS][[*TRAININGS].index("autoencoder") :]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_trained_where_it_lies(name, once):
    assert same(elsewhere(TRAININGS[name]), once(name))


def test_what_is_made_without_saying_where_is_seen(monkeypatch):
    draw = line.draw
    monkeypatch.setattr(line, "draw", lambda m, n, where: draw(m, n, torch.get_default_device()))
    with pytest.raises(Exception, match="meta"):
        elsewhere(TRAININGS["line"])


@pytest.mark.slow
def test_machines_are_trained_on_the_device_that_jax_was_told():
    """On the second of two: the numbers of the first, and nothing left there."""
    program = Path(__file__).with_name("on_device.py")
    done = subprocess.run(
        [sys.executable, program, "second"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
