"""Deep autoencoders by hand: starts against tanh units, unrolled machines, the top RBM against
enumeration, codes of bits."""

import itertools

import numpy as np
import pytest
import torch
from blobs import noisy_blobs
from torch import nn

from genlab.autoencoders import convolutional, deep
from genlab.autoencoders.convolutional import Rules
from genlab.images import networks

CPU = torch.device("cpu")


def linear(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at four places with a little noise, (200, 28, 28) bytes."""
    return noisy_blobs()[0]


@pytest.mark.parametrize("code_noise", [None, 4.0])
def test_the_glorot_start_of_sigmoids_is_that_of_tanh_units(code_noise):
    """The same function as tanh units with the weights divided and no biases; with weights drawn
    for any network it is not."""
    sizes = [784, 60, 40, 8]
    x = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))

    def difference(start, halved):
        net = deep.started(sizes, start, code_noise=code_noise, seed=0).eval()
        twin = networks.mlp([*sizes, *sizes[-2::-1]], activation=nn.Tanh, seed=0)
        if code_noise is None:
            twin[5] = nn.Identity()  # linear codes
        reads, feeds = [0, 1, 1, 0, 1, 1], [1, 1, 0, 1, 1, 0]
        if code_noise is not None:
            reads[3], feeds[2] = 1, 1
        with torch.no_grad():
            for ours, theirs, r, f in zip(linear(net), linear(twin), reads, feeds, strict=True):
                theirs.weight.copy_(ours.weight / (2.0 ** (r + f) if halved else 1))
                theirs.bias.zero_()
            return float(
                (twin(x.flatten(1)).sigmoid() - net.decode(net.encode(x)).flatten(1)).abs().max()
            )

    assert difference("glorot", True) < 1e-5
    assert difference("glorot", False) > 1e-2 and difference("he", True) > 1e-2


def test_glorot_weights_have_the_variance_of_both_fans():
    for activation, gain in (("tanh", 1), ("relu", 1), ("sigmoid", 4)):
        weight = linear(deep.started([784, 300, 200, 8], "glorot", activation=activation, seed=0))[
            1
        ].weight
        sd = gain * np.sqrt(2 / (300 + 200))
        # of the sample's sd: a uniform has kurtosis 9/5
        spread = sd * np.sqrt(0.8 / (4 * weight.numel()))
        assert abs(float(weight.detach().std()) - sd) < 5 * spread


def test_an_unrolled_machine_computes_what_the_machines_do():
    rng = np.random.default_rng(0)
    rbms = [
        (rng.normal(size=(784, 6)) / 28, rng.normal(size=784), rng.normal(size=6)),
        (rng.normal(size=(6, 2)), rng.normal(size=6), rng.normal(size=2)),
    ]
    x = rng.random((5, 28, 28)).astype(np.float32)
    sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
    h = sigmoid(x.reshape(5, 784) @ rbms[0][0] + rbms[0][2])
    z = h @ rbms[1][0] + rbms[1][2]
    down = sigmoid(z @ rbms[1][0].T + rbms[1][1]) @ rbms[0][0].T + rbms[0][1]
    for loss in ("mse", "bernoulli"):
        net = deep.started([784, 6, 2], rbms, loss=loss, seed=0)
        np.testing.assert_allclose(convolutional.codes(net, x), z, atol=1e-5)
        np.testing.assert_allclose(
            convolutional.reconstructions(net, x).reshape(5, 784), sigmoid(down), atol=1e-5
        )
    swapped = [(W, b, c + 1) for W, b, c in rbms]  # the twin: other hidden biases
    assert not np.allclose(
        convolutional.codes(deep.started([784, 6, 2], swapped, seed=0), x), z, atol=1e-2
    )


def test_gradient_norms_are_slopes_of_the_loss(pictures):
    net = deep.started([784, 20, 5], "glorot", seed=0)
    x = networks.as_images(pictures[:50], CPU)
    norms = deep.gradient_norms(net, pictures[:50])
    for layer, norm in zip(linear(net), norms, strict=True):
        direction, step = layer.weight.grad / norm, 1e-2
        with torch.no_grad():
            losses = []
            for move in (step, -2 * step, step):
                losses.append(float(net.errors(x).double().mean()))
                layer.weight += move * direction
        before, ahead, behind = losses
        assert (ahead - behind) / (2 * step) == pytest.approx(
            norm, rel=0.02
        ) and behind < before < ahead


def exact(W, b, c, states):
    """Log-probabilities of all states by enumeration: -F(v) = b·v + c·Wᵀv + ½‖Wᵀv‖²."""
    x = states @ W
    log_p = states @ b + x @ c + 0.5 * (x**2).sum(1)
    return log_p - torch.logsumexp(log_p, 0)


def test_the_top_machines_gradient_is_that_of_its_likelihood():
    """Many Gibbs steps against automatic differentiation of the enumerated likelihood;
    one step must not pass."""
    generator = torch.Generator().manual_seed(0)
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5)))
    W, b, c = (torch.randn(s, generator=generator) for s in ((5, 2), (5,), (2,)))
    v = states[torch.randint(0, 32, (40_000,), generator=generator)]
    parameters = [p.clone().requires_grad_() for p in (W, b, c)]
    log_p = exact(*parameters, states)
    counts = (v @ 2.0 ** torch.arange(4, -1, -1)).long().bincount(minlength=32) / len(v)
    (counts * log_p).sum().backward()

    def worst(steps):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            found = deep.contrast(W, b, c, v, steps=steps)
        h = states @ W + c  # the standard error of the model's average, each chain being one draw
        moments = [states[:, :, None] * h[:, None], states, h]
        p = log_p.detach().exp()
        errors = []
        for f, parameter, m in zip(found, parameters, moments, strict=True):
            weights = p.view(-1, *[1] * (m.ndim - 1))
            sd = ((weights * m**2).sum(0) - (weights * m).sum(0) ** 2).sqrt()
            errors.append(((f - parameter.grad).abs() / (sd / np.sqrt(len(v)))).max())
        return float(max(errors))

    assert worst(300) < 5 < worst(1)


def test_the_top_machine_climbs_with_momentum_and_weights_that_decay():
    """Two steps of the formula from the same contrasts; weights that do not decay are the twin."""
    generator = torch.Generator().manual_seed(0)
    p, *start = (torch.rand(s, generator=generator) for s in ((20, 5), (5, 2), (5,), (2,)))

    def after_two(decay):
        parameters, velocity = start, [0.0, 0.0, 0.0]
        for step in range(2):
            torch.manual_seed(step)
            gradient = deep.contrast(*parameters, torch.bernoulli(p))
            pull = (decay * parameters[0], 0, 0)
            velocity = [0.5 * v + g - d for v, g, d in zip(velocity, gradient, pull, strict=True)]
            parameters = [x + 0.2 * v for x, v in zip(parameters, velocity, strict=True)]
        return parameters, gradient[0].norm()

    rules = deep.Ascent(lr=0.2, momentum=0.5, weight_decay=0.1)
    rbm, velocity = [x.clone() for x in start], [torch.zeros_like(x) for x in start]
    for step in range(2):
        torch.manual_seed(step)
        logs = deep.linear_rbm_update(rbm, velocity, (p,), rules)
    expected, norm = after_two(decay=0.1)
    torch.testing.assert_close(rbm, expected)
    torch.testing.assert_close(logs["gradient"], norm)
    assert not torch.allclose(rbm[0], after_two(decay=0.0)[0][0])


def test_the_top_machine_learns_what_its_bits_share():
    rng = np.random.default_rng(0)
    bits = np.repeat(rng.random((2000, 1)) < 0.5, 6, axis=1) ^ (rng.random((2000, 6)) < 0.05)
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)))
    trained = deep.train_linear_rbm(bits, n_hidden=1, rules=deep.Ascent(lr=0.01), epochs=30, seed=0)
    W, b, c = map(torch.from_numpy, trained.model)
    rows = torch.from_numpy(bits @ 2 ** np.arange(5, -1, -1))
    independent = -6 * np.log(2)
    assert independent + 1.5 < float(exact(W, b, c, states)[rows].mean())


def test_noise_is_there_in_training_only_and_drives_codes_apart(pictures):
    def decided(noise):
        how = dict(start="he", activation="relu", code_noise=noise, epochs=25, seed=0)
        rules = Rules(lr=3e-3, batch_size=20)
        net = deep.train_deep(pictures, sizes=[784, 30, 8], rules=rules, **how).model
        z = convolutional.codes(net, pictures)
        assert (
            np.array_equal(z, convolutional.codes(net, pictures)) and z.min() >= 0 and z.max() <= 1
        )
        return np.abs(z - 0.5).mean()

    assert decided(0.0) < 0.48 < decided(4.0)
    net = deep.started([784, 30, 8], "he", code_noise=4.0, seed=0).train()
    x = networks.as_images(pictures[:5], CPU)
    assert not torch.equal(net.encode(x), net.encode(x))


def test_sparse_codes_are_sparse(pictures):
    plain, l1 = (Rules(batch_size=20, l1=weight) for weight in (0.0, 1.0))

    def number_active(rules, keep=None):
        how = dict(n_units=20, rules=rules, keep=keep, epochs=15, seed=0)
        net = deep.train_sparse(pictures, **how).model
        return (convolutional.codes(net, pictures) > 0).sum(1)

    active = {
        "plain": number_active(plain),
        "l1": number_active(l1),
        "keep": number_active(plain, keep=3),
    }
    assert (
        active["keep"].max() <= 3 < active["plain"].mean()
        and 0 < active["l1"].mean() < active["plain"].mean() / 2
    )


def test_logistic_pca_explains_bits_better_than_their_frequencies(pictures):
    x = pictures.reshape(-1, 784) / 255
    p = x.mean(0).clip(1e-3, 1 - 1e-3)
    frequencies = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum(1).mean()
    rules = Rules(lr=1e-2, batch_size=50)
    net, history, *_ = deep.train_logistic_pca(pictures, n_codes=3, rules=rules, epochs=60, seed=0)
    assert history["loss"][-1] < 0.9 * frequencies
    z = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    # The decoder is linear.
    assert torch.allclose(
        net.decode(z.mean(0, keepdim=True)), net.decode(z).mean(0, keepdim=True), atol=1e-5
    )


def test_a_learning_curve_is_that_of_the_training(pictures):
    how = dict(sizes=[784, 20, 5], start="glorot", rules=Rules(batch_size=50), epochs=2, seed=3)
    net, history, *_ = deep.train_deep(pictures[:150], **how)
    curve = deep.learning_curve(pictures[:150], pictures[150:], **how)
    assert np.array_equal(curve["loss"], history["loss"])
    assert curve["squared_error"] == pytest.approx(
        convolutional.squared_errors(net, pictures[150:]).mean()
    )


def test_bad_input_is_refused_in_words(pictures):
    def climb(data, epochs):
        how = dict(n_hidden=1, rules=deep.Ascent(batch_size=3), epochs=epochs, seed=0)
        deep.train_linear_rbm(data, **how)

    def sparse(n_units):
        deep.train_sparse(pictures, n_units=n_units, rules=Rules(), epochs=1, seed=0)

    for call, words in (
        (lambda: deep.deep_autoencoder([784, 0], seed=0), "at least two, each at least 1"),
        (lambda: deep.deep_autoencoder([100, 5], seed=0), "begin with the 784 pixels"),
        (lambda: deep.deep_autoencoder([784, 5], activation="step", seed=0), "activation='step'"),
        (
            lambda: deep.deep_autoencoder([784, 5], code_noise=-1.0, seed=0),
            "sd=-1.0 must be at least 0",
        ),
        (
            lambda: deep.started([784, 5], "zero", seed=0),
            "start='zero' must be he, glorot or a list of RBMs",
        ),
        (lambda: deep.started([784, 4], [], seed=0), "0 RBMs for 1 layers"),
        (
            lambda: deep.started([784, 4], [(np.zeros((784, 5)), 0, 0)], seed=0),
            r"shape \(784, 5\) for a layer of \(784, 4\)",
        ),
        (lambda: climb(np.full((9, 3), 2.0), epochs=1), "within"),
        (lambda: climb(np.zeros((9, 3)), epochs=0), "epochs=0"),
        (lambda: sparse(0), "each at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
