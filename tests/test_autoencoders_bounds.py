"""Bounds on the likelihood against quadrature: closed forms, bounds below the likelihood, and
importance weights that reach it."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from genlab.autoencoders import bounds
from genlab.autoencoders.variational import VAE


@pytest.fixture
def small():
    """Four pixels, one latent number: log p(x) is an integral."""
    vae = VAE(1, hidden=(5,), n_pixels=4, seed=0)
    # a proposal wider than the posterior, so that importance weights have a variance
    with torch.no_grad():
        vae.encoder[-1].weight.mul_(0.1)
        vae.encoder[-1].bias.copy_(torch.tensor([0.3, 0.3]))
    x = torch.tensor([[0.0, 0, 1, 1], [1, 0, 1, 0]])
    z = torch.linspace(-8, 8, 4001)[:, None]
    joint = bounds.log_bernoulli(x[:, None], vae.decode(z)) + bounds.log_normal(z)
    return vae, x, (joint.logsumexp(1) + np.log(16 / 4000)).detach()


def test_kl_in_closed_form_is_the_integral():
    mean, log_var = 0.7, -0.4
    q = stats.norm(mean, np.exp(log_var / 2))
    integral, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z)), -10, 10)
    closed = bounds.kl_to_standard_normal(torch.tensor([mean]), torch.tensor([log_var]))
    assert float(closed) == pytest.approx(integral, abs=1e-6)
    assert float(bounds.kl_to_standard_normal(torch.zeros(3), torch.zeros(3))) == 0


def test_log_normal_is_scipys():
    z, mean, log_var = (
        torch.tensor([[0.3, -1.0]]),
        torch.tensor([[0.1, 0.2]]),
        torch.tensor([[-0.5, 1.0]]),
    )
    expected = stats.norm(mean.numpy(), np.exp(log_var.numpy() / 2)).logpdf(z.numpy()).sum()
    assert float(bounds.log_normal(z, mean, log_var)) == pytest.approx(expected, rel=1e-6)


def test_bounds_lie_below_and_rise_to_the_likelihood(small):
    vae, x, truth = small
    torch.manual_seed(0)
    repeated = x.repeat_interleave(4000, 0)
    found = {
        n: bounds.importance_bound(vae, repeated, samples=n).detach().view(2, 4000)
        for n in (1, 10, 100)
    }
    means = {n: b.mean(1) for n, b in found.items()}
    noise = 4 * found[1].std() / np.sqrt(4000)
    assert (means[1] < means[10] + noise).all() and (means[10] <= means[100] + noise).all()
    assert (means[1] < truth - 0.01).all() and (means[100] < truth + noise).all()
    assert torch.allclose(means[100], truth, atol=0.02)
    closed = bounds.elbo(vae, repeated).detach().view(2, 4000).mean(1)
    assert torch.allclose(closed, means[1], atol=2 * float(noise))


def test_with_the_exact_posterior_the_bound_is_the_likelihood(small):
    """Where the decoder ignores z the posterior is the prior: an encoder that says so makes the
    bound tight, another does not."""
    vae, x, _ = small
    with torch.no_grad():
        vae.decoder[-1].weight.zero_()
        vae.encoder[-1].weight.zero_()
        vae.encoder[-1].bias.zero_()
    log_p = bounds.log_bernoulli(x, vae.decode(torch.zeros(2, 1)))
    assert torch.allclose(bounds.elbo(vae, x), log_p) and torch.allclose(
        bounds.importance_bound(vae, x, samples=3), log_p, atol=1e-5
    )
    with torch.no_grad():
        vae.encoder[-1].bias.fill_(1.0)
    assert (bounds.elbo(vae, x) < log_p - 0.5).all()


def test_the_estimate_agrees_with_quadrature_and_repeats(small):
    vae, x, truth = small
    found = bounds.log_likelihood(vae, x, samples=4950, seed=0)  # the last chunk is a half
    assert found.value == pytest.approx(float(truth.mean()), abs=0.02)
    assert (
        found == bounds.log_likelihood(vae, x, samples=4950, seed=0)
        and 1 < found.effective_samples <= 4950
    )


def test_bounds_of_groups_rise_to_the_estimate_of_all(small):
    """By Jensen's inequality, for any weights; averaging the weights after taking logarithms is
    the wrong twin."""
    vae, x, _ = small
    log_w = bounds.log_weights(vae, x, samples=1000, seed=0, images=1, chunk=300).double()
    assert log_w.shape == (1000, 2)
    means = [bounds.grouped_bound(log_w, n) for n in (1, 5, 50, 500, 1000)]
    assert (np.diff(means, axis=0) > 0).all()
    np.testing.assert_allclose(means[0], log_w.mean(0), rtol=1e-5)
    np.testing.assert_allclose(means[-1], np.log(np.exp(log_w.numpy()).mean(0)), rtol=1e-5)
    assert not np.allclose(means[0], means[-1], rtol=1e-5)
    with pytest.raises(ValueError, match="samples=300 must divide the 1000 draws"):
        bounds.grouped_bound(log_w, 300)
    with pytest.raises(ValueError, match="samples=0"):
        bounds.importance_bound(vae, x, samples=0)


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
        bounds.log_bernoulli(torch.from_numpy(x), torch.from_numpy(logits)), expected, rtol=1e-4
    )


def test_free_bits_pay_a_floor_and_the_weight_scales_the_kl(small):
    vae, x, _ = small
    value = {}
    for about in ((1.0, 0.0), (3.0, 0.0), (1.0, 1e-9), (1.0, 5.0)):
        torch.manual_seed(0)
        value[about] = bounds.elbo(vae, x, kl_weight=about[0], free_bits=about[1]).detach()
    kl = bounds.kl_to_standard_normal(*vae.encode(x)).detach()
    assert torch.allclose(value[1, 0] - value[3, 0], 2 * kl, atol=1e-5) and float(kl.max()) < 5
    # a floor that no unit reaches
    assert torch.allclose(value[1, 1e-9].mean(), value[1, 0].mean(), atol=1e-5)
    assert torch.allclose(value[1, 5] - value[1, 0], kl - 5, atol=1e-5)
    for p in vae.encoder.parameters():
        p.grad = None
    bounds.kl_to_standard_normal(*vae.encode(x)).mean().backward()
    pushed = float(vae.encoder[-1].bias.grad.abs().max())
    vae.zero_grad()
    vae.decoder.requires_grad_(False)
    bounds.unit_kl(*vae.encode(x)).mean(0).clamp(min=5.0).sum().backward()
    # below the floor nothing switches a unit off
    assert pushed > 0.01 and float(vae.encoder[-1].bias.grad.abs().max()) == 0
