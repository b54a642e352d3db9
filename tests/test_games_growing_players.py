"""Players that grow: at both ends of a fade they are the small and the large network exactly, and
what they are shown has grown as they have."""

import numpy as np
import pytest
import torch

from genlab.games import growing_players as growing
from genlab.games.players import generated, sample
from genlab.games.scaled import BatchCloseness, BatchSpread, PixelNorm, ScaledConv2d

WIDTHS = (4, 3, 2)
SIDES = (7, 14, 28)


def players(**about):
    return (
        growing.growing_generator(5, widths=WIDTHS, seed=0, **about),
        growing.growing_discriminator(widths=WIDTHS, seed=0),
    )


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_positions_of_a_growth():
    found = [growing.position(g) for g in (0.0, 0.25, 1.0, 1.5, 2.0)]
    assert found == [(0, 1.0), (1, 0.25), (1, 1.0), (2, 0.5), (2, 1.0)]


def test_doubling_and_halving_are_inverse_in_one_order_alone():
    x = drawn(2, 1, 14, 14)
    assert torch.equal(growing.halved(growing.doubled(x)), x)
    assert growing.doubled(x)[0, 0, :2, :2].unique().tolist() == [x[0, 0, 0, 0].item()]
    assert not torch.allclose(growing.doubled(growing.halved(x)), x)


@pytest.mark.parametrize("stage", [1, 2])
def test_a_faded_generator_ends_in_the_small_and_in_the_large_one_exactly(stage):
    net, z = players()[0], drawn(6, 5)
    small, large = net.drawn(z, stage - 1, 1.0), net.drawn(z, stage, 1.0)
    assert [x.shape[2] for x in (small, large)] == [SIDES[stage - 1], SIDES[stage]]
    assert torch.equal(net.drawn(z, stage, 0.0), growing.doubled(small))
    half = net.drawn(z, stage, 0.5)
    mixed = (growing.doubled(small).atanh() + large.atanh()) / 2  # before tanh
    torch.testing.assert_close(half.atanh(), mixed, rtol=1e-3, atol=1e-3)
    # `growth` says the same; and the twins, alpha turned round or never less than one
    net.growth = stage - 1 + 0.25
    assert torch.equal(net(z), net.drawn(z, stage, 0.25))
    for other in (0.75, 1.0):
        assert (net(z) - net.drawn(z, stage, other)).abs().max() > 1e-3


@pytest.mark.parametrize("stage", [1, 2])
def test_a_faded_discriminator_ends_in_the_small_and_in_the_large_one_exactly(stage):
    net, x = players()[1], drawn(6, 1, SIDES[stage], SIDES[stage])
    large = net.judged(x, stage, 1.0)
    small = net.judged(growing.halved(x), stage - 1, 1.0)
    assert torch.equal(net.judged(x, stage, 0.0), small)
    # on images without detail both read the same, and the detail is what alpha lets in
    net.growth = stage - 1 + 0.25
    assert torch.equal(net(x), net.judged(x, stage, 0.25))
    assert (net(x) - small).abs().max() > 1e-4 and (net(x) - large).abs().max() > 1e-4


def test_real_images_grow_as_the_players_do():
    x = drawn(3, 1, 28, 28)
    assert torch.equal(growing.at_growth(x, 2.0), x)
    assert torch.equal(growing.at_growth(x, 1.0), growing.halved(x))
    assert torch.equal(growing.at_growth(x, 0.0), growing.halved(growing.halved(x)))
    fading = growing.at_growth(x, 1.25)
    expected = 0.75 * growing.doubled(growing.halved(x)) + 0.25 * x
    torch.testing.assert_close(fading, expected, rtol=1e-5, atol=1e-6)
    # the twin shows sharp images to players that draw blurred ones
    assert (fading - x).abs().max() > 0.1
    for growth in (0.0, 0.5, 1.0, 1.5, 2.0):
        made, judge = players()
        made.growth = judge.growth = growth
        assert made(drawn(3, 5)).shape == growing.at_growth(x, growth).shape
        assert judge(growing.at_growth(x, growth)).shape == (3,)


def test_the_parts_of_the_players_are_those_asked_for():
    def kinds(net):
        return {type(layer) for layer in net.modules()}

    pixel, batch, none = (
        kinds(growing.growing_generator(5, widths=WIDTHS, norm=norm, scaled=False, seed=0))
        for norm in ("pixel", "batch", "none")
    )
    assert PixelNorm in pixel and torch.nn.BatchNorm2d in batch and pixel - none == {PixelNorm}
    assert ScaledConv2d in kinds(players()[0]) and ScaledConv2d not in pixel
    spread, close, alone = (
        kinds(growing.growing_discriminator(widths=WIDTHS, batch=batch, seed=0))
        for batch in growing.BATCH_LAYERS[::-1]
    )
    assert spread - alone == {BatchSpread} and close - alone == {BatchCloseness, torch.nn.Linear}
    assert torch.nn.GroupNorm in kinds(
        growing.growing_discriminator(widths=WIDTHS, norm="layer", seed=0)
    )


def test_a_layer_that_normalises_an_image_keeps_it_from_its_neighbours_and_the_spread_does_not():
    x = drawn(6, 1, 28, 28)
    layer, spread = (
        growing.growing_discriminator(widths=WIDTHS, seed=0, **about)
        for about in ({"norm": "layer", "batch": "none"}, {})
    )
    torch.testing.assert_close(layer(x)[:3], layer(x[:3]), rtol=1e-4, atol=1e-5)
    assert (spread(x)[:3] - spread(x[:3])).abs().max() > 1e-4


def test_generators_draw_as_others_do():
    net = players()[0]
    assert sample(net, n=3, seed=0).shape == (3, 28, 28)
    net.growth = 0.5
    made = generated(net, drawn(3, 5).numpy())
    assert made.shape == (3, 14, 14) and made.min() >= 0 and made.max() <= 1
    assert np.array_equal(made, generated(net, drawn(3, 5).numpy()))


@pytest.mark.parametrize(
    ("about", "match"),
    [({"widths": (4, 4)}, "widths"), ({"widths": (4, 0, 2)}, "sizes"), ({"norm": "layer"}, "norm")],
)
def test_players_that_cannot_be_are_refused(about, match):
    with pytest.raises(ValueError, match=match):
        growing.growing_generator(5, seed=0, **about)
    if "widths" in about:
        with pytest.raises(ValueError, match=match):
            growing.growing_discriminator(seed=0, **about)
    with pytest.raises(ValueError, match="batch="):
        growing.growing_discriminator(batch="mean", seed=0)
