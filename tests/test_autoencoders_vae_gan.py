"""The VAE-GAN: known losses, each network pushed by its own loss alone, a training that moves all
three, and what bad input is told."""

import numpy as np
import pytest
import torch
from blobs import blobs
from torch.nn.functional import softplus

from genlab.autoencoders import vae_gan, variational
from genlab.autoencoders.bounds import kl_to_standard_normal
from genlab.autoencoders.vae_gan import Rules
from genlab.training.torch import Descent


@pytest.fixture
def nets():
    """A small VAE, a discriminator, and eight grey pictures as rows."""
    x = torch.rand(8, 784, generator=torch.Generator().manual_seed(0))
    return variational.VAE(2, hidden=(8,), seed=0), vae_gan.discriminator(width=2, seed=0), x


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at random places, (200, 28, 28)."""
    rng = np.random.default_rng(0)
    return blobs(rng.uniform(8, 20, (200, 2))).astype(np.float32)


def test_an_undecided_discriminator_costs_log_2_for_every_picture(nets):
    vae, discriminator, x = nets
    with torch.no_grad():
        discriminator.head.weight.zero_()
    torch.manual_seed(0)
    encoder, decoder, three = (
        loss.item() for loss in vae_gan.losses(vae, discriminator, x, similarity_weight=0.0)
    )
    assert three == pytest.approx(3 * np.log(2), rel=1e-6)
    assert decoder == pytest.approx(2 * np.log(2), rel=1e-6)
    assert encoder > 0


def test_the_encoder_pays_the_kl_and_half_the_squared_difference_of_features(nets):
    vae, discriminator, x = nets
    torch.manual_seed(0)
    found = vae_gan.losses(vae, discriminator, x, similarity_weight=3.0)
    torch.manual_seed(0)
    mean, log_var = vae.encode(x)
    z = mean + (log_var / 2).exp() * torch.randn_like(mean)
    again, drawn = vae.decode(z).sigmoid(), vae.decode(torch.randn_like(z)).sigmoid()
    similarity = 0.5 * ((discriminator.features(x) - discriminator.features(again)) ** 2).sum() / 8
    kl = kl_to_standard_normal(mean, log_var).mean()
    logits = [discriminator(picture)[1] for picture in (x, again, drawn)]
    adversarial = softplus(-logits[1]).mean() + softplus(-logits[2]).mean()
    expected = (kl + similarity, 3 * similarity + adversarial)
    torch.testing.assert_close(found[:2], expected, rtol=1e-5, atol=1e-6)
    # a discriminator with no features sees no difference, and the KL is all that is left
    with torch.no_grad():
        discriminator.features[3].weight.zero_()
    torch.manual_seed(0)
    assert vae_gan.losses(vae, discriminator, x, similarity_weight=3.0)[0].item() == pytest.approx(
        kl.item(), rel=1e-5
    )


def gradients(nets, how):
    """The gradients of the three networks' weights as `how` leaves them, as one vector each."""
    vae, discriminator, x = nets
    parts = (vae.encoder, vae.decoder, discriminator)
    for part in parts:
        part.zero_grad()
    torch.manual_seed(0)
    how(parts, vae_gan.losses(vae, discriminator, x, similarity_weight=0.1))
    return [torch.cat([p.grad.flatten() for p in part.parameters()]) for part in parts]


def test_each_network_follows_its_own_loss_and_the_sum_of_all_does_not(nets):
    vae, discriminator, x = nets
    parts = (vae.encoder, vae.decoder, discriminator)
    torch.manual_seed(0)
    three = vae_gan.losses(vae, discriminator, x, similarity_weight=0.1)
    own = [
        torch.cat(
            [
                g.flatten()
                for g in torch.autograd.grad(loss, list(part.parameters()), retain_graph=True)
            ]
        )
        for part, loss in zip(parts, three, strict=True)
    ]
    right = gradients(nets, vae_gan.backward)
    # what one call for all would do
    wrong = gradients(nets, lambda parts, three: sum(three).backward())
    for mine, found, summed in zip(own, right, wrong, strict=True):
        torch.testing.assert_close(found, mine)
        assert float((summed - mine).norm() / mine.norm()) > 0.1


def test_training_moves_the_vae_and_leaves_the_start_alone(pictures):
    start = variational.train_vae(
        pictures, latent_dim=2, hidden=(32,), rules=variational.Rules(lr=3e-3, batch_size=50),
        epochs=20, seed=0,
    ).model  # fmt: skip
    before = {k: v.clone() for k, v in start.state_dict().items()}
    rules = Rules(similarity_weight=1.0, batch_size=50)
    vae, history, *_ = vae_gan.train_vae_gan(
        pictures, start, width=4, rules=rules, epochs=2, seed=0
    )
    assert all(torch.equal(v, before[k]) for k, v in start.state_dict().items())
    moved = {k.split(".")[0] for k, v in vae.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"encoder", "decoder"} and history["step"].tolist() == [4, 8]
    assert all(np.isfinite(history[k]).all() for k in ("encoder", "decoder", "discriminator"))


def test_a_step_of_training_logs_the_losses_and_follows_them(nets):
    """What the networks' gradients are in the update is what `backward` leaves."""
    vae, discriminator, x = nets
    right, expected = gradients(nets, vae_gan.backward), []
    gradients(nets, lambda parts, three: (sum(three).backward(), expected.extend(three)))
    both, rules = vae_gan.Networks(vae, discriminator), Rules(similarity_weight=0.1)
    before = {k: v.clone() for k, v in both.state_dict().items()}
    torch.manual_seed(0)
    logs = vae_gan.update(Descent(both, rules, 1), (x,), rules)
    assert list(logs) == ["encoder", "decoder", "discriminator"]
    assert [v.item() for v in logs.values()] == [loss.item() for loss in expected]
    for part, mine in zip((vae.encoder, vae.decoder, discriminator), right, strict=True):
        torch.testing.assert_close(torch.cat([p.grad.flatten() for p in part.parameters()]), mine)
    assert not any(torch.equal(v, before[k]) for k, v in both.state_dict().items())


def test_bad_input_is_refused_in_words(pictures):
    vae = variational.VAE(2, hidden=(8,), seed=0)

    def train(pictures=pictures, epochs=1, **rules):
        vae_gan.train_vae_gan(pictures, vae, rules=Rules(**rules), epochs=epochs, seed=0)

    for call, words in (
        (lambda: vae_gan.discriminator(width=0, seed=0), "width=0 must be at least 1"),
        (lambda: train(epochs=0), "epochs=0"),
        (lambda: train(similarity_weight=-1), "similarity_weight=-1"),
        (lambda: train(pictures[:, :14]), r"must be \(n, 28, 28\)"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
