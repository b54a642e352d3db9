"""Critics: the gradient penalty in closed form, what it teaches and whom, and estimates of
distances that are known."""

import numpy as np
import pytest
import torch
from torch import nn

from genlab.games.critic import (
    Rules,
    critic_generator_loss,
    critic_loss,
    gradient_penalty,
    train_critic,
)
from genlab.games.players import Discriminator, dcgan_discriminator, dcgan_generator


def players(n_classes=0, seed=0, **more):
    """Small convolutional ones; batch normalisation in both, so that there is something else than
    weights to leave alone."""
    about = {"width": 2, "n_classes": n_classes, "seed": seed}
    return dcgan_generator(5, **about), dcgan_discriminator(**about, **more)


def test_losses_at_values_set_by_hand():
    assert float(critic_loss(torch.tensor([2.0, 4.0]), torch.tensor([1.0, -2.0]))) == pytest.approx(
        -3.5
    )
    assert float(critic_generator_loss(torch.tensor([1.0, -2.0]))) == pytest.approx(0.5)


def test_gradient_penalty_of_a_linear_critic():
    """(|w| - 1)², wherever it is taken."""
    w = torch.randn(784, generator=torch.Generator().manual_seed(0)) / 10
    critic = Discriminator(nn.Flatten(), 784)
    with torch.no_grad():
        critic.head.weight.copy_(w)
    real, fake = torch.rand(2, 6, 1, 28, 28)
    value = gradient_penalty(critic, real, fake).item()
    assert value == pytest.approx((float(w.norm()) - 1) ** 2, rel=1e-4)
    # squared slopes would be another penalty
    assert abs(value - (float(w.norm()) ** 2 - 1) ** 2) > 0.1


def test_the_penalty_teaches_the_critic_and_never_the_generator():
    generator, _ = players()
    critic = dcgan_discriminator(width=2, norm="none", seed=0)
    fake, real = generator(torch.randn(6, 5)), torch.rand(6, 1, 28, 28)
    gradient_penalty(critic, real, fake).backward()
    assert all(p.grad is None for p in generator.parameters())
    assert critic.body[0].weight.grad.abs().max() > 0

    def attached(critic, real, fake):  # the twin, as often copied
        x = fake + torch.rand(6, 1, 1, 1) * (real - fake)
        (slopes,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return ((slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()

    smooth = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0)
    )
    # a piecewise linear critic would hide it: its slopes do not change with x
    attached(smooth, real, fake).backward()
    assert generator.body[0].weight.grad.abs().max() > 0


def test_points_of_the_penalty_lie_between_real_and_generated():
    seen = []

    def critic(x):
        seen.append(x.detach())
        return x.flatten(1).sum(1)

    gradient_penalty(critic, torch.ones(400, 1, 2, 2), torch.zeros(400, 1, 2, 2))
    t = seen[0].flatten(1)
    assert torch.equal(t.min(1).values, t.max(1).values)  # one t for an image
    sd = 1 / np.sqrt(12 * 400)
    assert abs(float(t.mean()) - 0.5) < 4 * sd and float(t.max()) <= 1 and float(t.min()) >= 0


@pytest.mark.slow
@pytest.mark.parametrize("gp_weight", [1.0, 10.0])
def test_a_critic_with_penalty_overshoots_the_distance_by_what_the_penalty_allows(gp_weight):
    """Two samples |c| apart: W₁ = |c|.  w·x maximises |w||c| - λ(|w| - 1)² at |w| = 1 + |c| / 2λ,
    so the estimate is |c| times that.

    5 %, the error of the training, would not excuse an estimate of |c| itself.
    """
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(500, 2)), np.array([1.2, -1.6])
    rules = Rules(gp_weight=gp_weight, batch_size=100, lr=1e-2)
    about = {"steps": 600, "seed": 0, "hidden": (64, 64), "records": 3}
    history = train_critic(x + c, x, rules=rules, **about).history
    assert history["estimate"][-1] == pytest.approx(2 * (1 + 2 / (2 * gp_weight)), rel=0.05)
    assert history["estimate"][-1] / history["slope"][-1] < 2 * 1.02
    assert history["step"].tolist() == [200, 400, 600]


def test_without_its_slope_the_estimate_of_a_clipped_critic_means_nothing():
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(500, 2)), np.array([1.2, -1.6])
    about = {"steps": 200, "seed": 0, "hidden": (32,), "records": 1}
    found = {
        v: train_critic(x + c, x, rules=Rules(clip_value=v, batch_size=100, lr=1e-2), **about)
        for v in (0.05, 0.2)
    }
    for value, (critic, history, *_) in found.items():
        assert max(float(p.detach().abs().max()) for p in critic.parameters()) <= np.float32(value)
        assert 0.5 * 2 < history["estimate"][-1] / history["slope"][-1] < 1.02 * 2
    small, large = (found[v].history["estimate"][-1] for v in (0.05, 0.2))
    # two layers: four times the weights, sixteen times the slope
    assert small < 0.5 and large > 8 * small


@pytest.mark.parametrize(
    ("x", "y", "rules", "words"),
    [
        (np.zeros((9, 2)), np.zeros((9, 3)), {"gp_weight": 1.0}, r"must be \(n, 2\)"),
        (np.zeros((300, 2)), np.zeros((300, 2)), {}, "one of them above 0"),
    ],
)
def test_bad_input_is_refused_in_words(x, y, rules, words):
    with pytest.raises(ValueError, match=words):
        train_critic(x, y, rules=Rules(**rules), steps=50, seed=0)
