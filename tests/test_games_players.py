"""Generators and discriminators: what they take and give, the five guidelines, weights by
seed."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from genlab.games import players

MAKERS = {
    "mlp": (
        lambda **k: players.mlp_generator(5, hidden=(8, 8, 8), **k),
        lambda **k: players.mlp_discriminator(hidden=(8, 8, 8), **k),
    ),
    "dcgan": (
        lambda **k: players.dcgan_generator(5, width=2, **k),
        lambda **k: players.dcgan_discriminator(width=2, **k),
    ),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize(("n_classes", "channels", "kernels"), [(0, 1, 0), (10, 1, 3), (0, 3, 0)])
def test_players_fit_each_other(kind, n_classes, channels, kernels):
    make_generator, make_discriminator = MAKERS[kind]
    generator = make_generator(n_classes=n_classes, channels=channels, seed=0)
    discriminator = make_discriminator(
        n_classes=n_classes, channels=channels, kernels=kernels, seed=0
    )
    labels = torch.arange(6) if n_classes else None
    x = generator(torch.randn(6, 5), labels)
    assert x.shape == (6, channels, 28, 28) and x.min() >= -1 and x.max() <= 1
    f = discriminator.features(x)
    assert discriminator(x).shape == discriminator.log_odds(f).shape == (6,)
    assert f.shape[1] == discriminator.head.in_features
    assert (
        discriminator.class_head is None
        if not n_classes
        else discriminator.class_head(f).shape == (6, 10)
    )


def test_the_fully_connected_players_are_those_of_source_d():
    kinds = lambda net: [type(layer) for layer in net.body]  # noqa: E731
    hidden = [nn.Linear, nn.LeakyReLU] * 3
    assert kinds(players.mlp_generator(seed=0)) == [*hidden, nn.Linear, nn.Tanh, nn.Unflatten]
    assert kinds(players.mlp_discriminator(seed=0)) == [
        nn.Flatten,
        *[nn.Linear, nn.LeakyReLU, nn.Dropout] * 3,
    ]


def test_the_convolutional_players_keep_the_five_guidelines():
    generator, discriminator = (
        list(net.body)
        for net in (players.dcgan_generator(seed=0), players.dcgan_discriminator(seed=0))
    )
    everything = generator + discriminator
    assert not any("Pool" in type(layer).__name__ for layer in everything)
    assert all(
        layer.stride == (2, 2)
        for layer in everything
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))
    )
    assert all(
        any(isinstance(layer, nn.BatchNorm2d) for layer in net)
        for net in (generator, discriminator)
    )
    # the projection of z, and no other
    assert [i for i, layer in enumerate(everything) if isinstance(layer, nn.Linear)] == [0]
    ends = [
        type(layer) for layer in generator if isinstance(layer, (nn.ReLU, nn.Tanh, nn.LeakyReLU))
    ]
    assert ends == [nn.ReLU, nn.ReLU, nn.Tanh]
    assert {type(layer) for layer in discriminator if "LU" in type(layer).__name__} == {
        nn.LeakyReLU
    }


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_convolutional_players_start_small_where_they_normalise_and_by_fan_in_elsewhere(norm):
    """N(0, 0.02²) is the start of DCGAN's authors; without normalisation such weights would leave
    nothing of the image: He's rule."""
    for net in (
        players.dcgan_generator(64, width=32, norm=norm, seed=0),
        players.dcgan_discriminator(width=32, norm=norm, seed=0),
    ):
        layers = [
            m for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d))
        ]
        largest = max(layers, key=lambda m: m.weight.numel())
        n, sd = largest.weight.numel(), float(largest.weight.detach().std())
        expected = 0.02 if norm == "batch" else (2 / largest.weight[0].numel()) ** 0.5
        assert sd == pytest.approx(expected, rel=4 / (2 * n) ** 0.5)  # four standard errors
        assert all(m.bias is None or not m.bias.detach().any() for m in layers)


HASH = """import joblib
from genlab.games.players import dcgan_generator as g, mlp_discriminator as d
print(joblib.hash((g(5, width=2, norm="virtual", n_classes=10, seed={seed}), \
d(hidden=(8, 8), kernels=2, seed={seed}))))"""


def test_weights_depend_on_the_seed_alone_in_every_process():
    """So that a remembered training, whose arguments are players, is found again; and making one
    moves no one's random numbers."""
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    here = [
        joblib.hash(
            (
                players.dcgan_generator(5, width=2, norm="virtual", n_classes=10, seed=s),
                players.mlp_discriminator(hidden=(8, 8), kernels=2, seed=s),
            )
        )
        for s in (0, 1)
    ]
    assert torch.equal(torch.rand(1), expected)
    there = subprocess.run(
        [sys.executable, "-c", HASH.format(seed=0)], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here[0] != here[1]


# --- pictures ---


def test_still_networks_normalise_as_before_and_remember_nothing():
    net, z = players.dcgan_generator(5, width=2, seed=0).train(), torch.randn(8, 5)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with players.still(net):
        quiet = net(z)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(net(z), quiet)  # which does remember
    assert not all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(("channels", "shape"), [(1, (7, 28, 28)), (3, (7, 3, 28, 28))])
def test_images_leave_as_grey_values_that_depend_on_their_latents_alone(channels, shape):
    net = players.dcgan_generator(5, width=2, channels=channels, seed=0).train()
    z = np.random.default_rng(0).normal(size=(7, 5))
    x = players.generated(net, z)
    assert (
        x.shape == shape
        and x.dtype == np.float32
        and x.min() >= 0
        and x.max() <= 1
        and net.training
    )
    np.testing.assert_allclose(players.generated(net, z[3:4])[0], x[3], atol=1e-6)
    assert np.array_equal(players.sample(net, n=3, seed=0), players.sample(net, n=3, seed=0))
    assert not np.array_equal(players.sample(net, n=3, seed=0), players.sample(net, n=3, seed=1))


def test_labels_choose_the_image():
    net = players.mlp_generator(5, hidden=(8,), n_classes=10, seed=0)
    z = np.zeros((2, 5))
    one, other = players.generated(net, z, [3, 4])
    assert not np.allclose(one, other) and np.array_equal(players.generated(net, z, [3, 3])[0], one)


def test_the_way_between_latents_keeps_their_length_and_a_line_does_not():
    a, b = np.array([3.0, 4.0, 0.0]), np.array([0.0, 0.0, 5.0])
    path = players.between(np.stack([a, b]), 4)
    assert path.shape == (8, 3)
    np.testing.assert_allclose(path[[0, 4]], [a, b], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 5, rtol=1e-6)
    np.testing.assert_allclose(path[2], (a + b) / np.sqrt(2), rtol=1e-6)
    assert np.linalg.norm((a + b) / 2) < 3.6
    np.testing.assert_allclose(
        players.between(np.stack([a, 2 * a]), 2)[1], 1.5 * a
    )  # no angle: a line


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: players.mlp_generator(0, seed=0), "layer sizes"),
        (lambda: players.mlp_discriminator(dropout=1.0, seed=0), "dropout=1.0"),
        (lambda: players.dcgan_generator(width=0, seed=0), "layer sizes"),
        (
            lambda: players.dcgan_generator(norm="layer", seed=0),
            "norm='layer' must be one of batch, virtual, none",
        ),
        (
            lambda: players.dcgan_discriminator(norm="virtual", seed=0),
            "norm='virtual' is for generators",
        ),
        (
            lambda: players.mlp_generator(5, n_classes=10, seed=0)(torch.zeros(1, 5)),
            "labels missing",
        ),
        (
            lambda: players.mlp_generator(5, seed=0)(torch.zeros(1, 5), torch.zeros(1, dtype=int)),
            "labels given",
        ),
        (
            lambda: players.generated(players.mlp_generator(5, seed=0), np.zeros((2, 4))),
            r"z of shape \(2, 4\) must be \(n, 5\)",
        ),
        (
            lambda: players.generated(
                players.mlp_generator(5, n_classes=10, seed=0), np.zeros((1, 5)), [10]
            ),
            "whole numbers from 0 to 9",
        ),
        (lambda: players.between(np.zeros((3, 2)), 4), "none zero"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
