"""The variational autoencoder: a condition reaches both networks, images are split and joined,
rules decide what a code holds, and what bad input is told."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from blobs import blobs

from genlab.autoencoders import bounds, variational
from genlab.autoencoders.variational import Rules
from genlab.training import torch as training


def test_a_condition_reaches_both_networks():
    vae = variational.VAE(2, hidden=(6,), n_pixels=4, n_condition=3, seed=0)
    x, y = torch.ones(5, 4), torch.eye(3)[[0, 1, 2, 0, 1]]
    torch.manual_seed(0)
    first = bounds.importance_bound(vae, x, y, samples=7)
    torch.manual_seed(0)
    other = bounds.importance_bound(vae, x, y.roll(1, 1), samples=7)
    assert first.shape == (5,) and not torch.allclose(first, other)
    z = torch.ones(5, 2)
    assert not torch.allclose(vae.decode(z, y), vae.decode(z, y.roll(1, 1)))
    assert not torch.allclose(vae.encode(x, y)[0], vae.encode(x, y.roll(1, 1))[0])
    with pytest.raises(ValueError, match="latent_dim=0 must be at least 1"):
        variational.VAE(0, seed=0)


@pytest.mark.parametrize(
    ("quadrants", "n_seen", "corner"), [(1, 196, (27, 0)), (2, 392, (0, 0)), (3, 588, (0, 27))]
)
def test_quadrants_split_and_join(quadrants, n_seen, corner):
    x = torch.rand(3, 784)
    missing, observed = variational.split(x, quadrants)
    seen = variational.observed_pixels(quadrants).view(28, 28)
    assert (
        observed.shape == (3, n_seen)
        and missing.shape == (3, 784 - n_seen)
        and seen[corner]
        and not seen[27, 27]
    )
    assert torch.equal(variational.join(missing, observed, quadrants), x)
    assert torch.equal(variational.join(torch.stack([missing, missing]), observed, quadrants)[1], x)
    assert not torch.equal(variational.join(missing.flip(1), observed, quadrants), x)


@pytest.fixture(scope="module")
def halves():
    """Blobs in the left or the right half, (200, 28, 28), and which half."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    return blobs(np.array([[14, 7], [14, 21]])[labels] + rng.normal(size=(200, 2))), labels


SMALL, RULES = dict(latent_dim=2, hidden=(32,), seed=0), Rules(batch_size=50, lr=3e-3)
FASTER = replace(RULES, lr=1e-2)


def test_training_a_class_condition_paints_that_class(halves):
    images, labels = halves
    vae, history, *_ = variational.train_vae(
        images, labels=labels, rules=FASTER, epochs=40, **SMALL
    )
    assert history["loss"][-1] < history["loss"][0] - 10
    z = np.random.default_rng(0).normal(size=(50, 2))
    for label, half in ((0, np.s_[:, :, :14]), (1, np.s_[:, :, 14:])):
        drawn = variational.decoded(vae, z, np.full(50, label))
        assert drawn.shape == (50, 28, 28) and drawn[half].sum() > 0.8 * drawn.sum()


def test_a_weight_of_784_empties_the_code_and_one_does_not(halves):
    images, _ = halves
    kept, emptied = (
        variational.train_vae(images, rules=rules, epochs=30, **SMALL).model
        for rules in (FASTER, replace(FASTER, kl_weight=784.0))
    )
    assert (
        variational.unit_activity(kept, images).max() > 0.1
        and (variational.unit_activity(emptied, images) < 0.01).all()
    )
    mean, sd = variational.encoded(emptied, images)
    assert mean.shape == sd.shape == (200, 2) and np.abs(sd - 1).max() < 0.1


def test_a_start_is_continued_and_kept_and_seeds_decide(halves):
    images, _ = halves
    start = variational.train_vae(images, rules=RULES, epochs=5, **SMALL).model
    before = {k: v.clone() for k, v in start.state_dict().items()}
    states = [
        variational.train_vae(
            images, rules=replace(RULES, **about), start=start, epochs=1, **SMALL
        ).model.state_dict()
        for about in (dict(samples=3), dict(samples=3), dict(warm_up=4), {})
    ]
    assert all(torch.equal(before[k], v) for k, v in start.state_dict().items())
    assert all(torch.equal(states[0][k], states[1][k]) for k in before)
    assert not torch.equal(states[2]["encoder.0.weight"], states[3]["encoder.0.weight"])


def test_completion_by_a_network_is_a_conditional_likelihood(halves):
    images, _ = halves
    net = variational.train_completion(
        images, quadrants=2, hidden=(32,), rules=training.Rules(batch_size=50, lr=3e-3), epochs=40,
        seed=0,
    ).model  # fmt: skip
    bits = variational.toss(torch.from_numpy(images.reshape(-1, 784).astype(np.float32)))
    x, y = variational.split(bits, 2)
    informed, blind = (
        float(bounds.log_bernoulli(x, net(y[o])).detach().mean())
        for o in (torch.arange(200), torch.arange(200).roll(1))
    )
    assert informed > blind + 5  # another image's left half says less


def test_bad_trainings_are_refused_in_words(halves):
    images, labels = halves
    for rules, words in (
        (
            dict(samples=5, kl_weight=2.0),
            "samples=5: kl_weight, warm_up and free_bits belong to the ELBO",
        ),
        (dict(samples=5, warm_up=2), "samples=5"),
        (dict(samples=5, free_bits=0.1), "samples=5"),
        (dict(free_bits=-1.0), "free_bits=-1.0"),
        (dict(samples=0), "samples=0"),
    ):
        with pytest.raises(ValueError, match=words):
            variational.train_vae(images, rules=replace(RULES, **rules), epochs=1, **SMALL)
    for about, words in (
        (dict(labels=labels, quadrants=1), "labels or quadrants, not both"),
        (dict(labels=labels + 9), "whole numbers from 0 to 9"),
        (dict(quadrants=4), "quadrants=4 must be 1, 2 or 3"),
        (dict(latent_dim=0), "latent_dim=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            variational.train_vae(images, rules=RULES, epochs=1, **SMALL | about)
