"""Autoencoders that know classes: what the probe and fine-tuning move, their loss by hand, codes to
draw a class from, and what bad input is told."""

import numpy as np
import pytest
import torch
from blobs import noisy_blobs

from genlab.autoencoders import classified, convolutional
from genlab.images.networks import as_images, mlp
from genlab.training.torch import Descent, Rules

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at four places with a little noise: four classes, (200, 28, 28)
    bytes and labels."""
    return noisy_blobs()


def test_fine_tuning_moves_encoder_and_decoder_and_the_probe_moves_neither(pictures):
    images, labels = pictures
    start = convolutional.conv_autoencoder(4, seed=0)
    rules = convolutional.Rules(lr=3e-3, batch_size=50)
    net, history, *_ = convolutional.train_autoencoder(
        start, images, rules=rules, epochs=15, seed=0
    )
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    before = {k: v.clone() for k, v in net.state_dict().items()}
    rules = Rules(lr=1e-2, batch_size=50)
    both = classified.train_probe(
        net, images, labels, rules=rules, n_classes=4, epochs=40, seed=0
    ).model
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    probe = (both.probabilities(images).argmax(1) == labels).mean()
    rules = classified.TuningRules(batch_size=50, weight=10.0)
    both = classified.fine_tune(both, images, labels, rules=rules, epochs=15, seed=0).model
    # what was given stays as it was
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    net = both.net
    moved = {k.split(".")[0] for k, v in net.state_dict().items() if not torch.equal(before[k], v)}
    assert moved == {"encoder", "decoder"}
    assert (both.probabilities(images).argmax(1) == labels).mean() >= max(probe, 0.95)
    means, sds = classified.prototypes(both, images, labels)
    drawn = np.clip(net.images(torch.from_numpy(means)).detach().numpy()[:, 0], 0, 1)
    assert (
        means.shape == sds.shape == (4, 4)
        and (both.probabilities(drawn).argmax(1) == np.arange(4)).all()
    )
    z = convolutional.codes(net, images)
    mixtures = classified.class_mixtures(z, labels, components=1, seed=0)
    np.testing.assert_allclose(mixtures[2].means_[0], z[labels == 2].mean(0), atol=1e-4)


def untrained(n_classes: int) -> classified.Classified:
    """Codes of three numbers and a classifier on them."""
    net = convolutional.conv_autoencoder(3, channels=(2, 2, 2), hidden=4, seed=0)
    return classified.Classified(net, mlp([3, n_classes], seed=1))


def test_fine_tuning_adds_weighted_cross_entropy_of_smoothed_labels(pictures):
    """With labels smoothed by s the target of a class is s / n_classes, and 1 - s more for the
    right one."""
    both, images, labels = untrained(4), pictures[0][:8], pictures[1][:8]
    z = convolutional.codes(both.net, images)
    error = both.net.errors(as_images(images, CPU)).mean().item()
    target = 0.2 / 4 + 0.8 * np.eye(4)[labels]
    cross_entropy = -(target * np.log(both.probabilities(images))).sum(1).mean()
    batch = as_images(images, CPU), torch.from_numpy(labels)
    rules = classified.TuningRules(weight=50.0, smoothing=0.2)
    loss = classified.tuning_update(Descent(both, rules, 1), batch, rules)["loss"].item()
    assert loss == pytest.approx(error + 50 * cross_entropy, rel=1e-5)
    assert loss != pytest.approx(error + cross_entropy, rel=0.1)  # the twin: no weight
    # one step of descent has moved all three
    assert not np.allclose(z, convolutional.codes(both.net, images))
    assert both.head[0].bias.abs().min() > 0 and both.net.decoder[0].bias.abs().max() > 0


def test_prototypes_are_of_the_images_that_the_classifier_is_surest_of(pictures):
    """The classifier is as sure of class 0 as the first code number is large."""
    images, labels = pictures
    both, labels = untrained(2), labels % 2
    with torch.no_grad():
        both.head[0].weight.copy_(torch.tensor([[1.0, 0, 0], [-1, 0, 0]]))
    z = convolutional.codes(both.net, images)
    of_0, of_1 = z[labels == 0], z[labels == 1]
    n = [round(0.1 * len(own)) for own in (of_0, of_1)]
    largest, smallest = of_0[np.argsort(of_0[:, 0])[-n[0] :]], of_1[np.argsort(of_1[:, 0])[: n[1]]]
    means, sds = classified.prototypes(both, images, labels)
    np.testing.assert_allclose(means, [largest.mean(0), smallest.mean(0)], rtol=1e-4)
    np.testing.assert_allclose(sds, [x.std(0, ddof=1) for x in (largest, smallest)], rtol=1e-4)
    assert not np.allclose(means, [of_0.mean(0), of_1.mean(0)], rtol=1e-2)  # the twin: all of them


def test_bad_input_is_refused_in_words(pictures):
    images, labels = pictures
    net, both = convolutional.conv_autoencoder(2, seed=0), untrained(4)
    lonely = np.where(np.arange(200) == 0, 3, labels % 3)  # one image of the last class
    how = dict(epochs=1, seed=0)
    for call, words in (
        (
            lambda: classified.train_probe(net, images, labels + 8, rules=Rules(), **how),
            "whole numbers from 0 to 9",
        ),
        (
            lambda: classified.fine_tune(
                both, images, labels + 1, rules=classified.TuningRules(), **how
            ),
            "whole numbers from 0 to 3",
        ),
        (lambda: classified.prototypes(both, images, lonely), "at least two of each"),
        (lambda: classified.prototypes(both, images, labels, share=1.5), "share=1.5"),
        (
            lambda: classified.class_mixtures(np.zeros((200, 2)), labels, components=101, seed=0),
            "components=101.*codes of the smallest class",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call()
