"""The variational autoencoder against quadrature: closed forms, bounds below the likelihood, and importance weights that reach it."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from genlab.images import variational as V


@pytest.fixture
def small():
    """Four pixels, one latent number: log p(x) is an integral."""
    vae = V.VAE(1, hidden=(5,), n_pixels=4, seed=0)
    with torch.no_grad():  # a proposal wider than the posterior, so that importance weights have a variance
        vae.encoder[-1].weight.mul_(0.1)
        vae.encoder[-1].bias.copy_(torch.tensor([0.3, 0.3]))
    x = torch.tensor([[0.0, 0, 1, 1], [1, 0, 1, 0]])
    z = torch.linspace(-8, 8, 4001)[:, None]
    joint = V.log_bernoulli(x[:, None], vae.decode(z)) + V.log_normal(z)
    return vae, x, (joint.logsumexp(1) + np.log(16 / 4000)).detach()


def test_kl_in_closed_form_is_the_integral():
    mean, log_var = 0.7, -0.4
    q = stats.norm(mean, np.exp(log_var / 2))
    integral, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z)), -10, 10)
    closed = V.kl_to_standard_normal(torch.tensor([mean]), torch.tensor([log_var]))
    assert float(closed) == pytest.approx(integral, abs=1e-6)
    assert float(V.kl_to_standard_normal(torch.zeros(3), torch.zeros(3))) == 0


def test_log_normal_is_scipys():
    z, mean, log_var = torch.tensor([[0.3, -1.0]]), torch.tensor([[0.1, 0.2]]), torch.tensor([[-0.5, 1.0]])
    expected = stats.norm(mean.numpy(), np.exp(log_var.numpy() / 2)).logpdf(z.numpy()).sum()
    assert float(V.log_normal(z, mean, log_var)) == pytest.approx(expected, rel=1e-6)


def test_bounds_lie_below_and_rise_to_the_likelihood(small):
    vae, x, truth = small
    torch.manual_seed(0)
    repeated = x.repeat_interleave(4000, 0)
    bounds = {n: V.importance_bound(vae, repeated, samples=n).detach().view(2, 4000) for n in (1, 10, 100)}
    means = {n: b.mean(1) for n, b in bounds.items()}
    noise = 4 * bounds[1].std() / np.sqrt(4000)
    assert (means[1] < means[10] + noise).all() and (means[10] <= means[100] + noise).all()
    assert (means[1] < truth - 0.01).all() and (means[100] < truth + noise).all()
    assert torch.allclose(means[100], truth, atol=0.02)
    closed = V.elbo(vae, repeated).detach().view(2, 4000).mean(1)
    assert torch.allclose(closed, means[1], atol=2 * float(noise))


def test_with_the_exact_posterior_the_bound_is_the_likelihood(small):
    """Where the decoder ignores z the posterior is the prior: an encoder that says so makes the bound tight, another does not."""
    vae, x, _ = small
    with torch.no_grad():
        vae.decoder[-1].weight.zero_()
        vae.encoder[-1].weight.zero_()
        vae.encoder[-1].bias.zero_()
    log_p = V.log_bernoulli(x, vae.decode(torch.zeros(2, 1)))
    assert torch.allclose(V.elbo(vae, x), log_p) and torch.allclose(
        V.importance_bound(vae, x, samples=3), log_p, atol=1e-5
    )
    with torch.no_grad():
        vae.encoder[-1].bias.fill_(1.0)
    assert (V.elbo(vae, x) < log_p - 0.5).all()


def test_the_estimate_agrees_with_quadrature_and_repeats(small):
    vae, x, truth = small
    found = V.log_likelihood(vae, x, samples=5000, seed=0)
    assert found.value == pytest.approx(float(truth.mean()), abs=0.02)
    assert found == V.log_likelihood(vae, x, samples=5000, seed=0) and 1 < found.effective_samples <= 5000


def test_a_condition_reaches_both_networks():
    vae = V.VAE(2, hidden=(6,), n_pixels=4, n_condition=3, seed=0)
    x, y = torch.ones(5, 4), torch.eye(3)[[0, 1, 2, 0, 1]]
    torch.manual_seed(0)
    first = V.importance_bound(vae, x, y, samples=7)
    torch.manual_seed(0)
    other = V.importance_bound(vae, x, y.roll(1, 1), samples=7)
    assert first.shape == (5,) and not torch.allclose(first, other)
    with pytest.raises(ValueError, match="latent_dim=0 must be at least 1"):
        V.VAE(0, seed=0)
    with pytest.raises(ValueError, match="samples=0"):
        V.importance_bound(vae, x, y, samples=0)
