"""Generators and discriminators: what they take and give, the five guidelines, weights by seed,
and the devices against their formulas."""

import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from genlab.games import devices, players

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


# --- devices ---


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
            "one from 0 to 9",
        ),
        (lambda: players.between(np.zeros((3, 2)), 4), "none zero"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
