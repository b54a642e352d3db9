"""The growing game: its schedule, its losses on critics whose slopes are known, what an update may
touch, and what a training leaves."""

import copy

import numpy as np
import pytest
import torch
from blobs import blobs
from torch import nn

from genlab.games import growing
from genlab.games.growing_players import at_growth, growing_discriminator, growing_generator
from genlab.games.players import sample
from genlab.training.torch import Batches, Descent

WIDTHS = (4, 3, 2)


def players(batch="spread"):
    return (
        growing_generator(5, widths=WIDTHS, seed=0),
        growing_discriminator(widths=WIDTHS, batch=batch, seed=0),
    )


def opened(critic=None, steps=20, **rules):
    rules = growing.Rules(**{"lr": 1e-2, "batch_size": 6} | rules)
    generator, discriminator = players()
    nets = generator, critic or discriminator
    return growing.Game(
        *(Descent(net, rules, steps) for net in nets), copy.deepcopy(generator)
    ), rules


# --- the schedule ---


def test_five_equal_parts_and_what_grows_in_them():
    steps = 50
    growth = np.array([growing.growth_at(i, steps) for i in range(steps)])
    assert (growth[:10] == 0).all() and (growth[20:30] == 1).all() and (growth[40:] == 2).all()
    assert np.allclose(growth[10:20], np.arange(10) / 10)  # alpha rises linearly from 0
    assert np.allclose(growth[30:40], 1 + np.arange(10) / 10)
    switched = np.array([growing.growth_at(i, steps, fade=False) for i in range(steps)])
    assert np.array_equal(switched, np.repeat([0, 1, 1, 2, 2], 10))
    assert {growing.growth_at(i, steps, grow=False) for i in range(steps)} == {2.0}
    # by the share that is done; the twin, by rounds passed, would grow alike in both
    assert growing.growth_at(15, 50) == growing.growth_at(30, 100) == 0.5
    assert growing.growth_at(15, 50) != growing.growth_at(15, 100)


def test_rounds_show_the_discriminator_so_many_images():
    rules = growing.Rules(batch_size=10, n_critic=5)
    assert growing.rounds_of(1000, rules) == 20 and growing.rounds_of(7, rules) == 1


# --- updates ---


class Linear(nn.Module):
    """f(x) = weight · sum of pixels, whose slope has the norm |weight| · side."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.growth = nn.Parameter(torch.tensor(weight)), 2.0

    def forward(self, x):
        return self.weight * x.sum((1, 2, 3))


def test_the_discriminators_loss_on_a_linear_critic_is_the_formula():
    game, rules = opened(Linear(0.1), drift=0.5, gp_weight=3.0)
    told = []
    game.discriminator.down = lambda loss: told.append(float(loss.detach()))
    real = torch.rand(6, 1, 28, 28)
    state = torch.get_rng_state()
    with torch.no_grad():
        fake = game.generator.net(growing.latents(game.generator.net, 6))
    torch.set_rng_state(state)
    logs = growing.discriminator_update(game, real, rules)
    on_real, on_fake = (0.1 * x.sum((1, 2, 3)).double() for x in (real, fake))
    estimate, penalty = float(on_real.mean() - on_fake.mean()), (0.1 * 28 - 1) ** 2
    drift = float(on_real.square().mean())
    assert float(logs["estimate"]) == pytest.approx(estimate, rel=1e-4)
    assert float(logs["penalty"]) == pytest.approx(3 * penalty, rel=1e-4)
    assert told[0] == pytest.approx(-estimate + 3 * penalty + 0.5 * drift, rel=1e-4)
    # the twins: estimate with the other sign, no drift
    for wrong in (estimate + 3 * penalty + 0.5 * drift, -estimate + 3 * penalty):
        assert told[0] != pytest.approx(wrong, rel=1e-2)


def test_each_update_changes_its_own_network_only():
    game, rules = opened()
    nets = game.generator.net, game.discriminator.net
    for which in (0, 1):
        before = [copy.deepcopy(net.state_dict()) for net in nets]
        if which:
            growing.discriminator_update(game, torch.rand(6, 1, 28, 28), rules)
        else:
            growing.generator_update(game, 6)
        changed = [
            any(not torch.equal(x, old[k]) for k, x in net.state_dict().items())
            for net, old in zip(nets, before, strict=True)
        ]
        assert changed == [not which, bool(which)]


def test_a_generator_learns_to_raise_the_critic():
    game, _ = opened(Linear(0.01))
    values = [float(growing.generator_update(game, 64)["generator_loss"]) for _ in range(30)]
    assert values[-1] < values[0] - 0.5  # whiter images, which this critic likes
    worse, _ = opened(Linear(-0.01))
    values = [float(growing.generator_update(worse, 64)["generator_loss"]) for _ in range(30)]
    made = worse.generator.net(growing.latents(worse.generator.net, 64))
    assert made.mean() < -0.5


def test_a_round_lets_all_three_grow_and_leaves_what_is_not_there_yet():
    game, rules = opened(steps=20)
    batches = Batches([torch.rand(40, 1, 28, 28)], rules.batch_size)
    before = copy.deepcopy(game.generator.net.state_dict())
    growing.update(game, batches, rules)
    nets = game.generator.net, game.discriminator.net, game.average
    assert [net.growth for net in nets] == [0.0] * 3
    changed = {
        k.split(".")[0] + k.split(".")[1]
        for k, x in nets[0].state_dict().items()
        if not torch.equal(x, before[k])
    }
    assert "grey0" in changed and not changed & {"blocks0", "blocks1", "grey1", "grey2"}
    # the average of the first round is the generator itself
    for a, b in zip(nets[2].parameters(), nets[0].parameters(), strict=True):
        torch.testing.assert_close(a, b)
    game.generator.rate.last_epoch = 14
    growing.update(game, batches, rules)
    assert [net.growth for net in nets] == [1.5] * 3


# --- what spread is worth ---


@pytest.mark.parametrize("growth", [0.0, 1.5, 2.0])
def test_the_slope_in_the_spread_is_that_of_differences(growth):
    critic = players()[1].double()  # so that steps are short: the network has kinks
    shown = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0)).double()
    critic.growth, x = growth, at_growth(shown, growth)
    layer, step = critic.last[0], 1e-6
    values = []
    for offset in (-step, step):
        layer.offset = offset
        values.append(critic(x).mean().item())
    layer.offset = 0.0
    slope = growing.spread_slope(critic, x)
    assert slope == pytest.approx((values[1] - values[0]) / (2 * step), rel=1e-4)
    assert abs(slope) > 1e-3
    assert layer.offset == 0.0  # as it was
    assert growing.spread_slope(players("none")[1].double(), at_growth(shown, 2.0)) == 0


# --- a training ---


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    pictures = blobs(rng.uniform(8, 20, (200, 2))).astype(np.float32)
    rules = growing.Rules(lr=1e-2, batch_size=8)
    return pictures, growing.train_growing(
        pictures, *players(), rules=rules, steps=100, seed=0, grid=12, records=10
    )


def test_the_history_shows_the_growth(trained):
    _, run = trained
    assert run.history["snapshot"].shape == (10, 12, 28, 28)
    growth = run.history["growth"]
    assert growth[0] == 0 and growth[-1] == 2 and (np.diff(growth) >= 0).all()
    assert run.model.generator.growth == run.model.discriminator.growth == 2
    for snapshot, stage in zip(run.history["snapshot"], np.ceil(growth), strict=True):
        times = 4 // 2 ** int(stage)
        coarse = snapshot.reshape(12, 28 // times, times, 28 // times, times)
        assert np.array_equal(coarse.min((2, 4)), coarse.max((2, 4)))  # blocks of one value


def test_a_training_comes_nearer_to_the_data(trained):
    pictures, run = trained
    seen = pictures.mean(0)
    far = np.abs(run.history["snapshot"].astype(float).mean(1) - seen).mean((1, 2))
    untrained = np.abs(sample(players()[0], n=12, seed=0).mean(0) - seen).mean()
    assert far[-1] < untrained / 2


def test_enlarged_images_keep_their_values():
    x = np.arange(2 * 14 * 14, dtype=float).reshape(2, 14, 14)
    large = growing.enlarged(x)
    assert large.shape == (2, 28, 28) and np.array_equal(large[:, ::2, 1::2], x)
    assert np.array_equal(growing.enlarged(large), large)


def test_seconds_are_those_of_each_part_and_nothing_is_kept(monkeypatch):
    nets, state, now = players(), torch.get_rng_state(), [0.0]
    before = [copy.deepcopy(net.state_dict()) for net in nets]

    def costly(game, *_):  # a round that takes 1 s and more for what has grown
        growth = growing.growth_at(game.generator.done, game.generator.steps)
        now[0] += 1 + np.ceil(growth)
        torch.rand(3)
        game.generator.optimizer.step()  # of no gradient: changes nothing

    monkeypatch.setattr(growing, "update", costly)
    monkeypatch.setattr(growing.time, "perf_counter", lambda: now[0])
    pictures = np.random.default_rng(0).random((40, 28, 28)).astype(np.float32)
    taken = growing.phase_seconds(pictures, *nets, rules=growing.Rules(), rounds=4)
    # a fade begins with alpha 0, which costs what the smaller size costs
    assert taken.tolist() == [[1] * 4, [1, 2, 2, 2], [2] * 4, [2, 3, 3, 3], [3] * 4]
    assert torch.equal(state, torch.get_rng_state())
    for net, old in zip(nets, before, strict=True):
        assert all(torch.equal(x, old[k]) for k, x in net.state_dict().items())
