"""Layers scaled at run time, pixelwise normalisation and what a discriminator is told of its batch,
against their formulas."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from genlab.games import scaled
from genlab.games.devices import MinibatchDiscrimination


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_hes_constant_is_that_of_the_paper():
    assert scaled.he_constant(nn.Linear(8, 3)) == pytest.approx(0.5)  # √(2 / 8)
    assert scaled.he_constant(nn.Conv2d(2, 5, 3)) == pytest.approx(np.sqrt(2 / 18))


PAIRS = {
    "linear": (lambda kind: kind(50, 400), (scaled.ScaledLinear, nn.Linear), (40, 50)),
    "convolution": (
        lambda kind: kind(8, 400, 3, 1, 1), (scaled.ScaledConv2d, nn.Conv2d), (40, 8, 5, 5),
    ),
}  # fmt: skip
pairs = pytest.mark.parametrize("name", PAIRS)


@pairs
def test_weights_have_unit_variance_and_the_layer_is_the_plain_one_with_weights_times_c(name):
    make, kinds, shape = PAIRS[name]
    layer, plain = (scaled.started(make(kind), 0) for kind in kinds)
    c, x = scaled.he_constant(layer), drawn(*shape)
    n = layer.weight.numel()
    # the variance of n normal numbers has the relative standard error √(2/n)
    assert layer.weight.var().item() == pytest.approx(1, abs=5 * np.sqrt(2 / n))
    assert plain.weight.var().item() == pytest.approx(c**2, rel=5 * np.sqrt(2 / n))
    # both are drawn from the same numbers, so they are one function
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)
    # the twin: weights of N(0, 1) that nobody scales
    with torch.no_grad():
        plain.weight.copy_(layer.weight)
    assert (plain(x) / layer(x)).median().item() == pytest.approx(1 / c, rel=1e-3)


@pairs
def test_the_gradient_is_that_of_the_scaled_layer(name):
    """∂L/∂w = c ∂L/∂(cw), so Adam, which forgets the factor, moves cw by c times its rate."""
    make, kinds, shape = PAIRS[name]
    layer, plain = (scaled.started(make(kind), 0) for kind in kinds)
    c, x = scaled.he_constant(layer), drawn(*shape)
    for net in (layer, plain):
        net(x).square().mean().backward()
    torch.testing.assert_close(layer.weight.grad, c * plain.weight.grad, rtol=1e-3, atol=1e-6)
    # the twin, a layer that is scaled once and for all, has the gradient of the plain one
    assert not torch.allclose(layer.weight.grad, plain.weight.grad, rtol=0.1)
    before = [c * layer.weight.detach(), plain.weight.detach().clone()]
    for net in (layer, plain):
        torch.optim.Adam([net.weight], lr=0.01).step()
    moved = [
        (after.detach() - start).abs().median().item()
        for after, start in zip((c * layer.weight, plain.weight), before, strict=True)
    ]
    assert moved[0] == pytest.approx(c * 0.01, rel=0.01)
    assert moved[1] == pytest.approx(0.01, rel=0.01)


def test_signals_keep_their_size_through_scaled_layers():
    x = drawn(2000, 64)
    layers = [scaled.started(scaled.ScaledLinear(64, 64), i) for i in range(8)]
    for layer in layers:
        x = functional.relu(layer(x))
    # each layer's gain varies by some √(1/64); eight of them by 0.35
    assert 0.3 < (x.square().mean() / 1).item() < 3
    # the twin: weights of N(0, 1) not scaled multiply it by 32 each time
    y = drawn(2000, 64)
    for layer in layers:
        y = functional.relu(functional.linear(y, layer.weight))
    assert y.square().mean() > 1e9


def test_pixelwise_normalisation_gives_every_pixel_the_mean_square_one():
    x = 5 * drawn(3, 7, 4, 4) + 2
    out = scaled.PixelNorm()(x)
    torch.testing.assert_close(out.square().mean(1), torch.ones(3, 4, 4), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(out, scaled.PixelNorm()(9 * x), rtol=1e-5, atol=1e-6)
    # directions stay, and zero stays zero
    torch.testing.assert_close(out / out[:, :1], x / x[:, :1], rtol=1e-4, atol=1e-5)
    assert scaled.PixelNorm()(torch.zeros(2, 3)).abs().max() == 0
    # the twin: one length for the whole image, as layer normalisation has it
    whole = x * x.square().mean((1, 2, 3), keepdim=True).rsqrt()
    assert (whole.square().mean(1) - 1).abs().max() > 0.1


def test_the_spread_of_a_batch_by_hand():
    # entries with standard deviations 1, 0 and 4 over the batch (divisor n)
    x = torch.tensor([[1.0, 5.0, 0.0], [3.0, 5.0, 8.0]])
    assert scaled.batch_spread(x).item() == pytest.approx((1 + 0 + 4) / 3, abs=1e-4)
    assert scaled.batch_spread(x[:1].expand(6, 3)).item() == pytest.approx(0, abs=2e-4)
    # the twins: divisor n - 1, and the spread of all numbers together
    assert x.std(0).mean().item() == pytest.approx(np.sqrt(2) * 5 / 3)
    assert x.std().item() > 2.5


def test_the_spread_becomes_one_constant_map():
    x = drawn(6, 3, 4, 4)
    out = scaled.BatchSpread()(x)
    assert torch.equal(out[:, :3], x) and out.shape == (6, 4, 4, 4)
    assert out[:, 3].unique().tolist() == [scaled.batch_spread(x).item()]
    layer = scaled.BatchSpread()
    layer.offset = 2.0
    assert (layer(x) - out)[:, 3].mean().item() == pytest.approx(2.0)
    assert torch.equal(layer(x)[:, :3], x)


def test_batch_closeness_is_minibatch_discrimination_and_has_second_derivatives():
    close, known = scaled.BatchCloseness(6, kernels=3), MinibatchDiscrimination(6, kernels=3)
    known.load_state_dict(close.state_dict())
    f = drawn(5, 6).requires_grad_()
    torch.testing.assert_close(close(f), known(f), rtol=1e-5, atol=1e-6)

    def penalty(layer):
        (slope,) = torch.autograd.grad(layer(f)[:, 6:].sum(), f, create_graph=True)
        slope.square().sum().backward()
        return layer.project.weight.grad

    assert penalty(close).abs().max() > 0
    with pytest.raises(RuntimeError):  # the twin
        penalty(known)
