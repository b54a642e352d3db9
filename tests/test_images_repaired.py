"""The repaired autoencoder: sizes, weights that follow the seed, and a code that a linear
one cannot equal."""

import pytest
import torch
from blobs import noisy_blobs
from sklearn.decomposition import PCA
from torch import nn

from genlab.autoencoders import convolutional
from genlab.autoencoders.convolutional import repaired_autoencoder
from genlab.images.networks import pooled_encoder
from genlab.streams import stream


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


def test_the_encoder_has_the_weights_of_the_rectified_one():
    about = {"channels": (4, 6, 8), "hidden": 16}
    encoder = repaired_autoencoder(7, **about, seed=0).encoder
    rectified = pooled_encoder(7, **about, seed=stream(0, "init"))
    assert all(map(torch.equal, encoder.state_dict().values(), rectified.state_dict().values()))
    kinds = [
        [nn.SiLU if isinstance(layer, nn.ReLU) else type(layer) for layer in net]
        for net in (encoder, rectified)
    ]
    assert kinds[0] == kinds[1] and nn.SiLU in kinds[0]
    assert not any(isinstance(layer, nn.ReLU) for layer in encoder)


def test_one_number_tells_four_places_apart_which_one_principal_component_cannot():
    images, _ = noisy_blobs()
    x = images.reshape(-1, 784) / 255
    pca = PCA(1).fit(x)
    linear = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1).mean()
    start = repaired_autoencoder(1, channels=(8, 8, 8), hidden=32, seed=0)
    net, _ = convolutional.train_autoencoder(
        start, images, epochs=40, seed=0, lr=3e-3, lr_last=0.0, batch_size=20
    )
    assert convolutional.squared_errors(net, images).mean() < 0.5 * linear


@pytest.mark.parametrize("sizes", [{"latent_dim": 0}, {"hidden": 0}, {"channels": (4, 0, 4)}])
def test_a_network_that_cannot_be_is_refused(sizes):
    with pytest.raises(ValueError, match="at least 1"):
        repaired_autoencoder(**{"latent_dim": 2, "seed": 0} | sizes)
