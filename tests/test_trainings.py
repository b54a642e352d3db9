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

from genlab.toys import adversarial, diffusion, energy, score
from genlab.training import Diverged, Trained

STEPS = 12


@dataclass(frozen=True)
class Training:
    """`train` with `rules` on `arguments`.  broken: rules that must be refused, and the words;
    explosive: rules under which the numbers overflow."""

    train: Callable[..., Trained]
    arguments: tuple[np.ndarray, ...]
    rules: object
    broken: dict[str, object]
    explosive: dict[str, object] = field(default_factory=lambda: {"lr": 1e30})

    def __call__(self, rules: object = None, **about) -> Trained:
        about = {"steps": STEPS, "seed": 0} | about
        return self.train(*self.arguments, rules=rules or self.rules, **about)


rng = np.random.default_rng(0)
POINTS = rng.normal(size=(2, 64, 2)).astype(np.float32)
PLANE = (POINTS, POINTS[:, :32])
NET = {"hidden": (4,), "batch_size": 32}
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
    before = [x.copy() for x in training.arguments]
    again = training()
    assert same(once(name), again) and not same(again, training(seed=1))
    assert all(map(np.array_equal, before, training.arguments))
    assert torch.equal(state, torch.get_rng_state())


@every
def test_interrupted_and_continued_equals_uninterrupted(name, once):
    training, whole = TRAININGS[name], once(name)
    begun = training(until=5)
    resumed = training(start=begun)
    assert begun.history["step"][-1] == 5 and resumed.history["step"][0] == 6
    assert all(map(np.array_equal, jax.tree.leaves(whole.state), jax.tree.leaves(resumed.state)))
    for quantity, values in whole.history.items():  # the history of the whole, in two parts
        parts = np.concatenate([begun.history[quantity], resumed.history[quantity]])
        assert np.array_equal(values, parts), quantity
    fresh = training(until=5, seed=1)  # the twin: continued from elsewhere
    assert not same(training(start=fresh), whole)


@every
def test_a_divergence_names_its_step_and_keeps_what_was_good(name):
    training = TRAININGS[name]
    with pytest.raises(Diverged, match="stopped at step") as caught:
        training(replace(training.rules, **training.explosive))
    good = [x for x in jax.tree.leaves(caught.value.state) if np.asarray(x).dtype.kind == "f"]
    assert good and all(np.isfinite(x).all() for x in good)
    assert 0 <= caught.value.step < STEPS


@every
def test_rules_and_lengths_that_cannot_be_are_refused(name):
    training = TRAININGS[name]
    for rule, value in training.broken.items():
        with pytest.raises(ValueError, match=rule):
            training(replace(training.rules, **{rule: value}))
    for steps in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"steps={steps}"):
            training(steps=steps)
    with pytest.raises(ValueError, match=f"until={STEPS + 1} must be at most {STEPS}"):
        training(until=STEPS + 1)


@every
def test_the_history_says_what_was_done(name, once, tmp_path, monkeypatch):
    told = tmp_path / "progress.json"
    monkeypatch.setenv("GENLAB_PROGRESS", str(told))
    history = TRAININGS[name](seed=2).history
    assert json.loads(told.read_text())["done"] == len(history["step"])
    assert history["step"][-1] == STEPS and (np.diff(history["step"]) > 0).all()
    assert len(history) > 1
    assert all(len(x) == len(history["step"]) and np.isfinite(x).all() for x in history.values())
