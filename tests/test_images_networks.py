"""Networks for images: layers that start as He says, and images that are moved."""

import pytest
import torch
from torch import nn

from genlab.games import players
from genlab.images import networks
from genlab.images.networks import moved


def test_every_fresh_layer_doubles_the_mean_square():
    """He's rule, so that the rectifier halves it again: within borders (smaller) and few
    channels (noise)."""
    layers = [
        layer
        for net in (networks.conv_encoder(10, seed=0), networks.conv_decoder(10, seed=0))
        for layer in net
        if hasattr(layer, "weight")
    ]

    def gain(layer):
        x = torch.randn(300, layer.weight.shape[1], generator=torch.Generator().manual_seed(0))
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            x = torch.randn(
                100,
                getattr(layer, "in_channels", 0),
                14,
                14,
                generator=torch.Generator().manual_seed(0),
            )
        with torch.no_grad():
            return float(layer(x).square().mean() / x.square().mean())

    assert len(layers) == 10 and all(1.4 < gain(layer) < 2.6 for layer in layers)
    transposed = [layer for layer in layers if isinstance(layer, nn.ConvTranspose2d)]
    for layer in transposed:  # torch's own rule takes a transposed convolution for a plain one
        nn.init.kaiming_uniform_(
            layer.weight, nonlinearity="relu", generator=torch.Generator().manual_seed(0)
        )
    assert not any(1.4 < gain(layer) < 2.6 for layer in transposed)


def test_moving_shifts_by_whole_pixels_and_mirrors_half():
    x = torch.zeros(2000, 1, 28, 28)
    x[:, 0, 14, 10] = 1
    torch.manual_seed(0)
    out = moved(x, shift=2, flip=True)
    at = out.flatten(1).argmax(1)
    assert out.flatten(1).sum(1).tolist() == [1.0] * 2000
    rows, columns = at // 28, at % 28
    assert len(set(rows.tolist())) == 1 and abs(int(rows[0]) - 14) <= 2
    left = int(columns.min())
    assert abs(left - 10) <= 2 and set(columns.tolist()) == {left, 27 - left}
    assert abs((columns == left).float().mean() - 0.5) < 4 * 0.5 / 2000**0.5
    assert torch.equal(moved(x, shift=0, flip=False), x)


def with_dropout() -> dict[str, nn.Sequential]:
    """Every network of the book that drops units, as one row of layers."""
    discriminators = {
        "mlp_discriminator": players.mlp_discriminator(hidden=(30, 20), dropout=0.4, seed=0),
        "dcgan_discriminator": players.dcgan_discriminator(width=4, dropout=0.4, seed=0),
    }
    rows = {name: nn.Sequential(*d.body, d.head) for name, d in discriminators.items()}
    return rows | {
        "mlp": nn.Sequential(nn.Flatten(), *networks.mlp([784, 30, 20, 5], dropout=0.4, seed=0)),
        "conv_encoder": networks.conv_encoder(5, dropout=0.4, code_dropout=0.4, seed=0),
        "conv_decoder": networks.conv_decoder(5, dropout=0.4, code_dropout=0.4, seed=0),
        "pooled_encoder": networks.pooled_encoder(5, dropout=0.4, seed=0),
    }


def check_dropout(layer: nn.Module, h: torch.Tensor) -> None:
    """At evaluation nothing happens; in training the mean over draws is the same."""
    assert torch.equal(layer.eval()(h), h)
    layer.train()
    draws = torch.stack([layer(h) for _ in range(4000)])
    se = draws.std(0) / 4000**0.5
    assert (se > 0).any() and ((draws.mean(0) - h).abs() <= 6 * se).all()


class Unscaled(nn.Module):
    """The twin: what is kept is not scaled up."""

    def forward(self, h):
        return h * (torch.rand_like(h) > 0.4) if self.training else h


@pytest.mark.parametrize("name", with_dropout())
def test_dropout_is_off_at_evaluation_and_keeps_the_mean_in_training(name):
    torch.manual_seed(0)
    net = with_dropout()[name].eval()
    x = torch.rand(3, 5) if name == "conv_decoder" else torch.rand(3, 1, 28, 28)
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        assert not torch.equal(net.train()(x), net(x))  # the twin: left in training
        net.eval()
        places = [i for i, layer in enumerate(net) if isinstance(layer, nn.Dropout)]
        assert places
        for i in places:
            h = net[:i](x).flatten(1)[:, :8]
            check_dropout(net[i], h)
            with pytest.raises(AssertionError):
                check_dropout(Unscaled(), h + 1)
