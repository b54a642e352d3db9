"""Autoencoders against PCA and by hand: losses, sparse codes, folds, and what bad input is
told."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from blobs import noisy_blobs
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import nn

from genlab.autoencoders import convolutional
from genlab.autoencoders.convolutional import Rules, repaired_autoencoder
from genlab.images import networks
from genlab.streams import stream
from genlab.training import Trained


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at four places with a little noise: four classes, (200, 28, 28)
    bytes and labels."""
    return noisy_blobs()


def test_losses_are_sums_over_pixels():
    out, x = torch.zeros(3, 1, 28, 28), torch.full((3, 1, 28, 28), 0.5)
    values = {name: loss(out, x) for name, loss in convolutional.LOSSES.items()}
    assert values["mse"].tolist() == pytest.approx([784 / 4] * 3) and values[
        "l1"
    ].tolist() == pytest.approx([784 / 2] * 3)
    assert values["huber"].tolist() == pytest.approx([784 * 0.1 * (0.5 - 0.05)] * 3)
    assert values["bernoulli"].tolist() == pytest.approx([784 * np.log(2)] * 3)


@pytest.mark.slow
def test_a_linear_autoencoder_finds_the_subspace_of_pca(pictures):
    images, _ = pictures
    x = images.reshape(-1, 784) / 255
    net = convolutional.Autoencoder(
        nn.Sequential(nn.Flatten(), networks.mlp([784, 3], seed=0)),
        networks.mlp([3, 784], seed=1),
        loss="mse",
    )
    rules = Rules(lr=1e-2, lr_last=0.0, batch_size=50)
    net = convolutional.train_autoencoder(net, images, rules=rules, epochs=600, seed=0).model
    pca = PCA(3).fit(x)
    best = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1).mean()
    seen = networks.as_images(images, torch.device("cpu"))
    again = net.decode(net.encode(seen)).detach().numpy().reshape(-1, 784)
    found = ((again - x) ** 2).sum(1).mean()
    assert best < found < 1.02 * best  # no linear code can be better
    angles = subspace_angles(net.decoder[0].weight.detach().numpy(), pca.components_.T)
    assert np.rad2deg(angles.max()) < 10


def test_k_sparse_codes_keep_the_largest():
    net = convolutional.Autoencoder(nn.Flatten(), nn.Identity(), keep=2)
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 0, :4] = torch.tensor([0.1, 0.9, 0.2, 0.5])
    assert net.encode(x)[0, :4].tolist() == pytest.approx([0, 0.9, 0, 0.5])


def test_dropout_costs_reconstruction(pictures):
    images, _ = pictures
    nets = [convolutional.conv_autoencoder(4, dropout=p, seed=0) for p in (0.0, 0.5)]
    rules = Rules(lr=3e-3, batch_size=50)
    trained = [
        convolutional.train_autoencoder(net, images, rules=rules, epochs=15, seed=0).model
        for net in nets
    ]
    errors = [convolutional.squared_errors(net, images).mean() for net in trained]
    assert errors[1] > 1.2 * errors[0]


def test_bad_input_is_refused_in_words(pictures):
    images, _ = pictures
    net = convolutional.conv_autoencoder(2, seed=0)

    def train(epochs=1, **rules):
        convolutional.train_autoencoder(net, images, rules=Rules(**rules), epochs=epochs, seed=0)

    for call, words in (
        (lambda: convolutional.conv_autoencoder(0, seed=0), "at least two, each at least 1"),
        (lambda: convolutional.conv_autoencoder(2, dropout=1.0, seed=0), "dropout=1.0"),
        (
            lambda: convolutional.conv_autoencoder(2, loss="l3", seed=0),
            "loss='l3' must be one of mse, l1",
        ),
        (
            lambda: convolutional.codes(net, images[:, :14]),
            r"shape \(200, 14, 28\) must be \(n, 28, 28\)",
        ),
        (lambda: convolutional.codes(net, images * 2.0), "grey values from"),
        (lambda: train(epochs=0), "epochs=0"),
        (lambda: train(noise=1.0), "noise=1.0"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_folds_share_no_image_and_start_from_fresh_weights(pictures, monkeypatch):
    """What each fold is trained on and judged by, and that its weights are those of a new network,
    or with the leak the last fold's."""
    images, _ = pictures
    calls = []

    def spy(net, seen, **about):
        trained = copy.deepcopy(net)
        with torch.no_grad():
            trained.encoder[-1].bias += 1
        calls.append((net, seen, trained))
        return Trained(trained, {})

    monkeypatch.setattr(convolutional, "train_autoencoder", spy)
    for fresh in (True, False):
        calls.clear()
        errors, last = convolutional.cross_validate(
            images, latent_dim=2, rules=Rules(), folds=4, epochs=1, seed=0, fresh=fresh
        )
        assert errors.shape == (4,) and last is calls[-1][2]
        held_out = [
            {x.tobytes() for x in images} - {x.tobytes() for x in seen} for _, seen, _ in calls
        ]
        assert [len(seen) for _, seen, _ in calls] == [150] * 4 and sorted(map(len, held_out)) == [
            50
        ] * 4
        assert not set.union(*held_out[:2]) & set.union(*held_out[2:])
        assert all((start is before[2]) is not fresh for before, (start, *_) in pairwise(calls))
        fresh_weights = [start.encoder[-1].bias.abs().sum() == 0 for start, *_ in calls]
        assert all(fresh_weights) if fresh else fresh_weights == [True, False, False, False]


def test_takes_images_and_gives_grey_values():
    net = repaired_autoencoder(7, channels=(4, 6, 8), hidden=16, seed=0)
    x = torch.rand(5, 1, 28, 28)
    assert net.encode(x).shape == (5, 7)
    shown = net.decode(net.encode(x))
    assert shown.shape == x.shape and shown.min() > 0 and shown.max() < 1


def test_the_decoder_has_the_encoders_channels_at_each_size():
    net = repaired_autoencoder(2, channels=(4, 6, 8), hidden=16, seed=0)
    down = [layer.out_channels for layer in net.encoder if isinstance(layer, torch.nn.Conv2d)]
    up = [layer.in_channels for layer in net.decoder if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert down == [4, 6, 8] and up == [6, 4]  # 14, 7 and 3 pixels a side; 7 and 14


def test_weights_follow_the_seed_and_leave_torchs_generator_alone():
    before = torch.random.get_rng_state()
    one, same, other = (
        repaired_autoencoder(3, channels=(4, 4, 4), hidden=8, seed=s) for s in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    z = torch.randn(2, 3)
    assert torch.equal(one.decode(z), same.decode(z)) and not torch.equal(
        one.decode(z), other.decode(z)
    )


@pytest.mark.slow
def test_one_number_tells_four_places_apart_which_one_principal_component_cannot():
    images, _ = noisy_blobs()
    x = images.reshape(-1, 784) / 255
    pca = PCA(1).fit(x)
    linear = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1).mean()
    start = repaired_autoencoder(1, channels=(8, 8, 8), hidden=32, seed=0)
    rules = Rules(lr=3e-3, lr_last=0.0, batch_size=20)
    net = convolutional.train_autoencoder(start, images, rules=rules, epochs=40, seed=0).model
    assert convolutional.squared_errors(net, images).mean() < 0.5 * linear


@pytest.mark.parametrize("sizes", [{"latent_dim": 0}, {"hidden": 0}, {"channels": (4, 0, 4)}])
def test_a_network_that_cannot_be_is_refused(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        repaired_autoencoder(**{"latent_dim": 2, "seed": 0} | sizes)


def test_the_encoder_has_the_weights_of_the_rectified_one():
    about = {"channels": (4, 6, 8), "hidden": 16}
    encoder = repaired_autoencoder(7, **about, seed=0).encoder
    rectified = networks.pooled_encoder(7, **about, seed=stream(0, "init"))
    assert all(map(torch.equal, encoder.state_dict().values(), rectified.state_dict().values()))
    kinds = [
        [nn.SiLU if isinstance(layer, nn.ReLU) else type(layer) for layer in net]
        for net in (encoder, rectified)
    ]
    assert kinds[0] == kinds[1] and nn.SiLU in kinds[0]
    assert not any(isinstance(layer, nn.ReLU) for layer in encoder)
