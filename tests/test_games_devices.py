"""The devices that help a game, against their formulas."""

import numpy as np
import pytest
import torch
from torch import nn

from genlab.games import devices, players


def test_feature_matching_sees_means_alone():
    real, fake = (
        torch.tensor([[0.0, 2.0], [2.0, 0.0]]),
        torch.tensor([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]]),
    )
    assert float(devices.feature_matching(real, fake)) == pytest.approx(
        1.0
    )  # means (1, 1) and (2, 1)
    # one point repeated at the mean is not told apart
    assert float(devices.feature_matching(real, torch.ones(4, 2))) == 0


def test_minibatch_discrimination_is_its_formula():
    layer = devices.MinibatchDiscrimination(6, kernels=3)
    f = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    out = layer(f).detach()
    T = layer.project.weight.detach().view(3, 8, 6) / 8
    for i in range(5):
        for b in range(3):
            terms = [float(torch.exp(-(T[b] @ f[i] - T[b] @ f[j]).abs().sum())) for j in range(5)]
            assert float(out[i, 6 + b]) == pytest.approx(sum(terms) - terms[i], rel=1e-5)
            # the twin that counts the image itself
            assert abs(float(out[i, 6 + b]) - sum(terms)) > 0.5
    assert torch.equal(out[:, :6], f)


def test_minibatch_discrimination_catches_one_image_repeated():
    layer = devices.MinibatchDiscrimination(6)
    f = torch.randn(50, 6)
    assert torch.allclose(layer(f[:1].expand(50, 6))[:, 6:], torch.tensor(49.0))
    assert layer(f)[:, 6:].max() < 40


def test_virtual_batch_norm_normalises_by_the_reference_and_itself():
    g = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(6, 2, 4, 4, generator=g) + 1
    layer = devices.VirtualBatchNorm(2, 4)
    out = layer(x)
    batch = nn.BatchNorm2d(2).train()
    torch.testing.assert_close(out[:4], batch(x[:4]), rtol=1e-4, atol=1e-5)
    for i in (4, 5):  # as if the image were one of five
        five = torch.cat([x[:4], x[i : i + 1]])
        torch.testing.assert_close(out[i], batch(five)[4], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(out[4], batch(x)[4], atol=1e-3)


def test_virtual_batch_norm_keeps_an_image_from_its_neighbours_and_batch_norm_does_not():
    z = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    virtual, batch = (
        players.dcgan_generator(5, width=2, norm=norm, seed=0).train()
        for norm in ("virtual", "batch")
    )
    torch.testing.assert_close(virtual(z)[:2], virtual(z[:2]), rtol=1e-4, atol=1e-5)
    assert virtual(z).shape == (8, 1, 28, 28) and not torch.allclose(
        virtual(z), virtual(-z), atol=1e-3
    )
    assert float((batch(z)[:2] - batch(z[:2])).detach().abs().max()) > 1e-3


def weights(value: float) -> nn.Linear:
    net = nn.Linear(2, 1)
    for p in net.parameters():
        nn.init.constant_(p, value)
    return net


def test_averages_of_weights_are_those_of_the_formula():
    """Rate 1/t: the mean; rate 1 - decay from a start:
    decay^t start + (1 - decay) Σ decay^(t-s) θ_s."""
    path = [1.0, 4.0, -2.0, 0.5]
    mean, ema = weights(9.0), weights(9.0)
    for t, value in enumerate(path, 1):
        devices.move_towards(mean, weights(value), 1 / t)
        devices.move_towards(ema, weights(value), 0.1)
    expected = 9 * 0.9**4 + 0.1 * sum(0.9 ** (4 - t) * v for t, v in enumerate(path, 1))
    assert mean.weight.detach().numpy() == pytest.approx(np.mean(path), rel=1e-6)
    assert ema.bias.detach().numpy() == pytest.approx(expected, rel=1e-6)


def test_averages_follow_running_statistics_and_counters():
    net, average = (
        players.dcgan_generator(5, width=2, seed=0),
        players.dcgan_generator(5, width=2, seed=0),
    )
    net(torch.randn(8, 5))
    devices.move_towards(average, net, 0.5)
    own, before = net.body[2], nn.BatchNorm2d(4)
    torch.testing.assert_close(
        average.body[2].running_mean, own.running_mean / 2 + before.running_mean / 2
    )
    assert int(average.body[2].num_batches_tracked) == 1


def test_historical_averaging_pulls_back_to_the_past():
    net, past = weights(2.0), weights(0.5)
    distance = devices.squared_distance(net, past)
    distance.backward()
    assert distance.item() == pytest.approx(3 * 1.5**2)
    assert net.weight.grad.numpy() == pytest.approx(3.0) and past.weight.grad is None
