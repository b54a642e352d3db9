"""The variational autoencoder against quadrature: closed forms, bounds below the likelihood,
and importance weights that reach it."""

import numpy as np
import pytest
import torch
from blobs import blobs
from scipy import integrate, stats

from genlab.autoencoders import variational
from genlab.training import Diverged


@pytest.fixture
def small():
    """Four pixels, one latent number: log p(x) is an integral."""
    vae = variational.VAE(1, hidden=(5,), n_pixels=4, seed=0)
    # a proposal wider than the posterior, so that importance weights have a variance
    with torch.no_grad():
        vae.encoder[-1].weight.mul_(0.1)
        vae.encoder[-1].bias.copy_(torch.tensor([0.3, 0.3]))
    x = torch.tensor([[0.0, 0, 1, 1], [1, 0, 1, 0]])
    z = torch.linspace(-8, 8, 4001)[:, None]
    joint = variational.log_bernoulli(x[:, None], vae.decode(z)) + variational.log_normal(z)
    return vae, x, (joint.logsumexp(1) + np.log(16 / 4000)).detach()


def test_kl_in_closed_form_is_the_integral():
    mean, log_var = 0.7, -0.4
    q = stats.norm(mean, np.exp(log_var / 2))
    integral, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z)), -10, 10)
    closed = variational.kl_to_standard_normal(torch.tensor([mean]), torch.tensor([log_var]))
    assert float(closed) == pytest.approx(integral, abs=1e-6)
    assert float(variational.kl_to_standard_normal(torch.zeros(3), torch.zeros(3))) == 0


def test_log_normal_is_scipys():
    z, mean, log_var = (
        torch.tensor([[0.3, -1.0]]),
        torch.tensor([[0.1, 0.2]]),
        torch.tensor([[-0.5, 1.0]]),
    )
    expected = stats.norm(mean.numpy(), np.exp(log_var.numpy() / 2)).logpdf(z.numpy()).sum()
    assert float(variational.log_normal(z, mean, log_var)) == pytest.approx(expected, rel=1e-6)


def test_bounds_lie_below_and_rise_to_the_likelihood(small):
    vae, x, truth = small
    torch.manual_seed(0)
    repeated = x.repeat_interleave(4000, 0)
    bounds = {
        n: variational.importance_bound(vae, repeated, samples=n).detach().view(2, 4000)
        for n in (1, 10, 100)
    }
    means = {n: b.mean(1) for n, b in bounds.items()}
    noise = 4 * bounds[1].std() / np.sqrt(4000)
    assert (means[1] < means[10] + noise).all() and (means[10] <= means[100] + noise).all()
    assert (means[1] < truth - 0.01).all() and (means[100] < truth + noise).all()
    assert torch.allclose(means[100], truth, atol=0.02)
    closed = variational.elbo(vae, repeated).detach().view(2, 4000).mean(1)
    assert torch.allclose(closed, means[1], atol=2 * float(noise))


def test_with_the_exact_posterior_the_bound_is_the_likelihood(small):
    """Where the decoder ignores z the posterior is the prior: an encoder that says so makes the
    bound tight, another does not."""
    vae, x, _ = small
    with torch.no_grad():
        vae.decoder[-1].weight.zero_()
        vae.encoder[-1].weight.zero_()
        vae.encoder[-1].bias.zero_()
    log_p = variational.log_bernoulli(x, vae.decode(torch.zeros(2, 1)))
    assert torch.allclose(variational.elbo(vae, x), log_p) and torch.allclose(
        variational.importance_bound(vae, x, samples=3), log_p, atol=1e-5
    )
    with torch.no_grad():
        vae.encoder[-1].bias.fill_(1.0)
    assert (variational.elbo(vae, x) < log_p - 0.5).all()


def test_the_estimate_agrees_with_quadrature_and_repeats(small):
    vae, x, truth = small
    found = variational.log_likelihood(vae, x, samples=4950, seed=0)  # the last chunk is a half
    assert found.value == pytest.approx(float(truth.mean()), abs=0.02)
    assert (
        found == variational.log_likelihood(vae, x, samples=4950, seed=0)
        and 1 < found.effective_samples <= 4950
    )


def test_a_condition_reaches_both_networks():
    vae = variational.VAE(2, hidden=(6,), n_pixels=4, n_condition=3, seed=0)
    x, y = torch.ones(5, 4), torch.eye(3)[[0, 1, 2, 0, 1]]
    torch.manual_seed(0)
    first = variational.importance_bound(vae, x, y, samples=7)
    torch.manual_seed(0)
    other = variational.importance_bound(vae, x, y.roll(1, 1), samples=7)
    assert first.shape == (5,) and not torch.allclose(first, other)
    with pytest.raises(ValueError, match="latent_dim=0 must be at least 1"):
        variational.VAE(0, seed=0)
    with pytest.raises(ValueError, match="samples=0"):
        variational.importance_bound(vae, x, y, samples=0)


def test_bounds_of_groups_rise_to_the_estimate_of_all(small):
    """By Jensen's inequality, for any weights; averaging the weights after taking logarithms is
    the wrong twin."""
    vae, x, _ = small
    log_w = variational.log_weights(vae, x, samples=1000, seed=0, images=1, chunk=300).double()
    assert log_w.shape == (1000, 2)
    means = [variational.grouped_bound(log_w, n) for n in (1, 5, 50, 500, 1000)]
    assert (np.diff(means, axis=0) > 0).all()
    np.testing.assert_allclose(means[0], log_w.mean(0), rtol=1e-5)
    np.testing.assert_allclose(means[-1], np.log(np.exp(log_w.numpy()).mean(0)), rtol=1e-5)
    assert not np.allclose(means[0], means[-1], rtol=1e-5)
    with pytest.raises(ValueError, match="samples=300 must divide the 1000 draws"):
        variational.grouped_bound(log_w, 300)


def test_log_bernoulli_is_scipys_and_broadcasts():
    rng = np.random.default_rng(0)
    x, logits = (
        rng.integers(0, 2, (3, 7)).astype(np.float32),
        30 * rng.normal(size=(4, 3, 7)).astype(np.float32),
    )
    expected = stats.bernoulli(1 / (1 + np.exp(-logits.astype(float)))).logpmf(x)
    # where the probability rounds to 1
    expected = np.where(np.isfinite(expected), expected, (2 * x - 1) * logits).sum(-1)
    np.testing.assert_allclose(
        variational.log_bernoulli(torch.from_numpy(x), torch.from_numpy(logits)),
        expected,
        rtol=1e-4,
    )


def test_free_bits_pay_a_floor_and_the_weight_scales_the_kl(small):
    vae, x, _ = small
    value = {}
    for about in ((1.0, 0.0), (3.0, 0.0), (1.0, 1e-9), (1.0, 5.0)):
        torch.manual_seed(0)
        value[about] = variational.elbo(vae, x, kl_weight=about[0], free_bits=about[1]).detach()
    kl = variational.kl_to_standard_normal(*vae.encode(x)).detach()
    assert torch.allclose(value[1, 0] - value[3, 0], 2 * kl, atol=1e-5) and float(kl.max()) < 5
    # a floor that no unit reaches
    assert torch.allclose(value[1, 1e-9].mean(), value[1, 0].mean(), atol=1e-5)
    assert torch.allclose(value[1, 5] - value[1, 0], kl - 5, atol=1e-5)
    for p in vae.encoder.parameters():
        p.grad = None
    variational.kl_to_standard_normal(*vae.encode(x)).mean().backward()
    pushed = float(vae.encoder[-1].bias.grad.abs().max())
    vae.zero_grad()
    vae.decoder.requires_grad_(False)
    variational.unit_kl(*vae.encode(x)).mean(0).clamp(min=5.0).sum().backward()
    # below the floor nothing switches a unit off
    assert pushed > 0.01 and float(vae.encoder[-1].bias.grad.abs().max()) == 0


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


RULES = dict(latent_dim=2, hidden=(32,), seed=0, batch_size=50, lr=3e-3)


def test_training_a_class_condition_paints_that_class(halves):
    images, labels = halves
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    vae, history = variational.train_vae(
        images, labels=labels, epochs=40, **(RULES | dict(lr=1e-2))
    )
    assert torch.equal(torch.rand(1), expected)
    assert history["loss"][-1] < history["loss"][0] - 10
    z = np.random.default_rng(0).normal(size=(50, 2))
    for label, half in ((0, np.s_[:, :, :14]), (1, np.s_[:, :, 14:])):
        drawn = variational.decoded(vae, z, np.full(50, label))
        assert drawn.shape == (50, 28, 28) and drawn[half].sum() > 0.8 * drawn.sum()


def test_a_weight_of_784_empties_the_code_and_one_does_not(halves):
    images, _ = halves
    kept, _ = variational.train_vae(images, epochs=30, **(RULES | dict(lr=1e-2)))
    emptied, _ = variational.train_vae(
        images, epochs=30, kl_weight=784.0, **(RULES | dict(lr=1e-2))
    )
    assert (
        variational.unit_activity(kept, images).max() > 0.1
        and (variational.unit_activity(emptied, images) < 0.01).all()
    )
    mean, sd = variational.encoded(emptied, images)
    assert mean.shape == sd.shape == (200, 2) and np.abs(sd - 1).max() < 0.1


def test_a_start_is_continued_and_kept_and_seeds_decide(halves):
    images, _ = halves
    start, _ = variational.train_vae(images, epochs=5, **RULES)
    before = {k: v.clone() for k, v in start.state_dict().items()}
    one, again = (
        variational.train_vae(images, epochs=1, samples=3, start=start, **RULES)[0]
        for _ in range(2)
    )
    warm = variational.train_vae(images, epochs=1, warm_up=4, start=start, **RULES)[0]
    plain = variational.train_vae(images, epochs=1, start=start, **RULES)[0]
    states = [net.state_dict() for net in (one, again, warm, plain)]
    assert all(torch.equal(before[k], v) for k, v in start.state_dict().items())
    assert all(torch.equal(states[0][k], states[1][k]) for k in before)
    assert not torch.equal(states[2]["encoder.0.weight"], states[3]["encoder.0.weight"])


def test_completion_by_a_network_is_a_conditional_likelihood(halves):
    images, _ = halves
    rules = {k: v for k, v in RULES.items() if k != "latent_dim"}
    net, _ = variational.train_completion(images, quadrants=2, epochs=40, **rules)
    bits = variational.toss(torch.from_numpy(images.reshape(-1, 784).astype(np.float32)))
    x, y = variational.split(bits, 2)
    informed, blind = (
        float(variational.log_bernoulli(x, net(y[o])).detach().mean())
        for o in (torch.arange(200), torch.arange(200).roll(1))
    )
    assert informed > blind + 5  # another image's left half says less


def test_bad_trainings_are_refused_in_words(halves):
    images, labels = halves
    for about, words in (
        (
            dict(samples=5, kl_weight=2.0),
            "samples=5: kl_weight, warm_up and free_bits belong to the ELBO",
        ),
        (dict(samples=5, warm_up=2), "samples=5"),
        (dict(free_bits=-1.0), "free_bits=-1.0"),
        (dict(labels=labels, quadrants=1), "labels or quadrants, not both"),
        (dict(labels=labels + 9), "whole numbers from 0 to 9"),
        (dict(quadrants=4), "quadrants=4 must be 1, 2 or 3"),
        (dict(samples=0), "samples=0"),
        (dict(latent_dim=0), "latent_dim=0 must be at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            variational.train_vae(images, epochs=1, **(RULES | about))
    with pytest.raises(Diverged, match="training of the VAE stopped at step"):
        variational.train_vae(images, epochs=5, **(RULES | dict(lr=1e30)))
