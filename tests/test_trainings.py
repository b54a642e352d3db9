"""What every training of the library keeps, each tried on all of them: the seed decides, nobody's
arrays are changed, a training that is interrupted and continued is the uninterrupted one, what
diverges says where and keeps what was good, and what cannot be is refused in words."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import numpy as np
import pytest
import torch

from genlab.boltzmann import dbm, dbn, helmholtz, sigmoid_net
from genlab.boltzmann import training as rbm
from genlab.boltzmann.rbm import init_rbm
from genlab.toys import adversarial, diffusion, energy, score
from genlab.training import Diverged, Trained


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
    "adversarial": Training(
        adversarial.train_gan,
        PLANE,
        adversarial.Rules(**NET),
        {"loss": "hinge", "packing": 3, "latent": 0, "penalty": -1.0, "beta1": 1.0, "lr": 0.0},
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
}
every = pytest.mark.parametrize("name", TRAININGS)


def numbers(trained: Trained) -> list[np.ndarray]:
    """All that came out."""
    return [np.asarray(x) for x in jax.tree.leaves(trained._replace(state=None))]


def same(one: Trained, other: Trained) -> bool:
    return all(map(np.array_equal, numbers(one), numbers(other)))


@pytest.fixture(scope="module")
def once() -> Callable[[str], Trained]:
    """Each training, run once for all tests."""
    kept: dict[str, Trained] = {}
    return lambda name: kept.setdefault(name, TRAININGS[name]())


@every
def test_the_seed_decides_and_nothing_else_is_touched(name, once):
    training, state = TRAININGS[name], torch.get_rng_state()
    before = jax.tree.map(np.array, training.arguments)
    again = training()
    assert same(once(name), again) and not same(again, training(seed=1))
    given = zip(jax.tree.leaves(before), jax.tree.leaves(training.arguments), strict=True)
    assert all(np.array_equal(a, b) for a, b in given)
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
    assert not same(training(resume=fresh), whole)


@every
def test_a_divergence_names_its_step_and_keeps_what_was_good(name):
    training = TRAININGS[name]
    with pytest.raises(Diverged, match="stopped at step") as caught:
        training(replace(training.rules, **training.explosive))
    good = [x for x in jax.tree.leaves(caught.value.state) if np.asarray(x).dtype.kind == "f"]
    assert good and all(np.isfinite(x).all() for x in good)
    assert 0 <= caught.value.step < 4 * training.length[1]


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
