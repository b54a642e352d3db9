"""Autoencoders against PCA and by hand: losses, sparse codes, fine-tuning, unrolled machines, and what bad input is told."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA
from torch import nn

from genlab.images import autoencoder as A
from genlab.images import networks, training


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at four places with a little noise: four classes, (200, 28, 28) bytes and labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    y, x = np.mgrid[:28, :28]
    centres = np.array([[8, 8], [8, 20], [20, 8], [20, 20]])[labels] + rng.normal(size=(200, 2))
    blobs = np.exp(-((y - centres[:, :1, None]) ** 2 + (x - centres[:, 1:, None]) ** 2) / 30)
    return np.uint8(255 * np.clip(blobs + 0.02 * rng.normal(size=blobs.shape), 0, 1)), labels


def test_losses_are_sums_over_pixels():
    out, x = torch.zeros(3, 1, 28, 28), torch.full((3, 1, 28, 28), 0.5)
    values = {name: loss(out, x) for name, loss in A.LOSSES.items()}
    assert values["mse"].tolist() == pytest.approx([784 / 4] * 3) and values["l1"].tolist() == pytest.approx(
        [784 / 2] * 3
    )
    assert values["huber"].tolist() == pytest.approx([784 * 0.1 * (0.5 - 0.05)] * 3)
    assert values["bernoulli"].tolist() == pytest.approx([784 * np.log(2)] * 3)


def test_a_linear_autoencoder_finds_the_subspace_of_pca(pictures):
    images, _ = pictures
    x = images.reshape(-1, 784) / 255
    net = A.Autoencoder(
        nn.Sequential(nn.Flatten(), networks.mlp([784, 3], seed=0)), networks.mlp([3, 784], seed=1), loss="mse"
    )
    A.train_autoencoder(net, images, epochs=600, seed=0, lr=1e-2, lr_last=0.0, batch_size=50)
    pca = PCA(3).fit(x)
    best = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1).mean()
    found = (
        ((net.decode(net.encode(A.as_images(images))).detach().numpy()[:, 0].reshape(-1, 784) - x) ** 2).sum(1).mean()
    )
    assert best < found < 1.02 * best  # no linear code can be better
    angles = subspace_angles(net.decoder[0].weight.detach().numpy(), pca.components_.T)
    assert np.rad2deg(angles.max()) < 10


def test_k_sparse_codes_keep_the_largest():
    net = A.Autoencoder(nn.Flatten(), nn.Identity(), keep=2)
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 0, :4] = torch.tensor([0.1, 0.9, 0.2, 0.5])
    assert net.encode(x)[0, :4].tolist() == pytest.approx([0, 0.9, 0, 0.5])


def test_an_unrolled_machine_computes_what_the_machines_do():
    rng = np.random.default_rng(0)
    rbms = [
        (rng.normal(size=(784, 6)) / 28, rng.normal(size=784), rng.normal(size=6)),
        (rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=2)),
    ]
    net = A.deep_autoencoder([784, 6, 2], seed=0)
    A.unroll(net, rbms)
    x = rng.random((5, 28, 28)).astype(np.float32)
    sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
    h = sigmoid(x.reshape(5, 784) @ rbms[0][0] + rbms[0][2])
    z = h @ rbms[1][0] + rbms[1][2]
    down = sigmoid(z @ rbms[1][0].T + rbms[1][1]) @ rbms[0][0].T + rbms[0][1]
    np.testing.assert_allclose(A.codes(net, x), z, atol=1e-5)
    np.testing.assert_allclose(A.reconstructions(net, x).reshape(5, 784), sigmoid(down), atol=1e-5)


def test_fine_tuning_moves_encoder_and_decoder_and_the_probe_moves_neither(pictures):
    images, labels = pictures
    net, history = A.train_autoencoder(A.conv_autoencoder(4, seed=0), images, epochs=15, seed=0, batch_size=50, lr=3e-3)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    before = {k: v.clone() for k, v in net.state_dict().items()}
    both = A.train_probe(net, images, labels, n_classes=4, seed=0, epochs=40, batch_size=50, lr=1e-2)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    probe = (both.probabilities(images).argmax(1) == labels).mean()
    A.fine_tune(both, images, labels, seed=0, epochs=15, batch_size=50, weight=10.0)
    moved = {k.split(".")[0] for k, v in net.state_dict().items() if not torch.equal(before[k], v)}
    assert moved == {"encoder", "decoder"}
    assert (both.probabilities(images).argmax(1) == labels).mean() >= max(probe, 0.95)
    means, sds = A.prototypes(both, images, labels)
    drawn = np.clip(net.images(torch.from_numpy(means)).detach().numpy()[:, 0], 0, 1)
    assert means.shape == sds.shape == (4, 4) and (both.probabilities(drawn).argmax(1) == np.arange(4)).all()
    mixtures = A.class_mixtures(A.codes(net, images), labels, components=1, seed=0)
    np.testing.assert_allclose(mixtures[2].means_[0], A.codes(net, images)[labels == 2].mean(0), atol=1e-4)


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone(pictures):
    images, _ = pictures
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    nets = [
        A.train_autoencoder(A.conv_autoencoder(2, dropout=0.5, seed=s), images, epochs=1, seed=s, batch_size=50)[0]
        for s in (0, 0, 1)
    ]
    assert torch.equal(torch.rand(1), expected)
    first, again, other = (torch.cat([p.flatten() for p in net.parameters()]) for net in nets)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_dropout_costs_reconstruction(pictures):
    images, _ = pictures
    errors = [
        A.squared_errors(
            A.train_autoencoder(
                A.conv_autoencoder(4, dropout=p, seed=0), images, epochs=15, seed=0, batch_size=50, lr=3e-3
            )[0],
            images,
        ).mean()
        for p in (0.0, 0.5)
    ]
    assert errors[1] > 1.2 * errors[0]


def test_divergence_keeps_the_last_good_weights(pictures):
    images, _ = pictures
    with pytest.raises(training.Diverged, match=r"training of the autoencoder stopped at step \d+.*lower lr") as caught:
        A.train_autoencoder(A.conv_autoencoder(4, seed=0), images, epochs=5, seed=0, lr=1e30, batch_size=50)
    assert all(torch.isfinite(v).all() for v in caught.value.state.values())


def test_bad_input_is_refused_in_words(pictures):
    images, labels = pictures
    net = A.conv_autoencoder(2, seed=0)
    for call, words in (
        (lambda: A.conv_autoencoder(0, seed=0), "at least two, each at least 1"),
        (lambda: A.conv_autoencoder(2, dropout=1.0, seed=0), "dropout=1.0"),
        (lambda: A.conv_autoencoder(2, loss="l3", seed=0), "loss='l3' must be one of mse, l1"),
        (lambda: A.codes(net, images[:, :14]), r"shape \(200, 14, 28\) must be \(n, 28, 28\)"),
        (lambda: A.codes(net, images * 2.0), "grey values from"),
        (lambda: A.train_probe(net, images, labels + 8, seed=0, epochs=1), "one from 0 to 9 for each"),
        (lambda: A.train_autoencoder(net, images, seed=0, epochs=0), "epochs=0"),
        (lambda: A.train_autoencoder(net, images, seed=0, epochs=1, noise=1.0), "noise=1.0"),
        (lambda: A.unroll(A.deep_autoencoder([784, 4], seed=0), []), "0 RBMs for 1 layers"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
