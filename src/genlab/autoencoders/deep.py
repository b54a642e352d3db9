"""Deep autoencoders: where their weights may start, greedy pre-training of the code layer, sparse
codes, codes of bits.

The networks are those of Hinton & Salakhutdinov (2006): 784-1000-500-250-30 and back, sigmoid
units, linear codes.  A start is "he" (weights of variance 2 / fan-in, as `networks.initialised`
draws them for any network), "glorot" (`glorot`), or a list of trained RBMs (`unroll`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from genlab import checks
from genlab.autoencoders.convolutional import Autoencoder, squared_errors, train_autoencoder
from genlab.images.networks import as_images, mlp
from genlab.streams import stream
from genlab.training import check_epochs
from genlab.training.torch import batches

RBMs = list[tuple[np.ndarray, np.ndarray, np.ndarray]]
ACTIVATIONS: dict[str, type[nn.Module]] = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}


class Noise(nn.Module):
    """x + sd · N(0, 1) in training, x otherwise: before sigmoid code units it drives them to 0 and
    1 (Salakhutdinov & Hinton 2009)."""

    def __init__(self, sd: float):
        super().__init__()
        checks.number(sd, "sd", "at least 0")
        self.sd = sd

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.sd * torch.randn_like(x) if self.training else x


def deep_autoencoder(
    sizes: Sequence[int],
    *,
    activation: str = "sigmoid",
    loss: str = "mse",
    code_noise: float | None = None,
    seed: int,
) -> Autoencoder:
    """784-…-code and back with `activation` between the layers, linear codes and pixels in [0, 1];
    sizes = [784, 1000, 500, 250, 30].

    With `code_noise` the codes are sigmoid units whose input carries Gaussian noise of that
    standard deviation in training.  ValueError for an unknown activation or sizes that do not begin
    with 784.
    """
    checks.one_of(activation, "activation", ACTIVATIONS)
    if sizes[0] != 784:
        raise ValueError(f"sizes={list(sizes)} must begin with the 784 pixels")
    key = stream(seed, "init")
    encoder = nn.Sequential(nn.Flatten(), *mlp(sizes, activation=ACTIVATIONS[activation], seed=key))
    decoder = mlp(sizes[::-1], activation=ACTIVATIONS[activation], seed=key + 1)
    if code_noise is not None:
        encoder.extend([Noise(code_noise), nn.Sigmoid()])
    if loss != "bernoulli":  # which reads log-odds
        decoder.append(nn.Sigmoid())
    return Autoencoder(encoder, decoder, loss=loss)


def glorot(net: Autoencoder, *, seed: int) -> Autoencoder:
    """Redraw the weights, in place, so that variances neither grow nor fall from layer to layer
    (Glorot & Bengio 2010, eq. 16).

    Their weights, uniform with variance 2 / (fan-in + fan-out), are meant for tanh.
    As σ(2a) = (1 + tanh a)/2, a network of sigmoids computes what that of tanh units does if
    weights count twice for a sigmoid above them and twice for one below, and the bias takes away
    the mean ½ of the units below: -½ Σ_j W_ij.
    """
    generator = torch.Generator().manual_seed(stream(seed, "init"))
    layers = [layer for layer in net.modules() if isinstance(layer, (nn.Linear, nn.Sigmoid))]
    with torch.no_grad():
        for i, layer in enumerate(layers):
            if isinstance(layer, nn.Linear):
                reads = i > 0 and isinstance(layers[i - 1], nn.Sigmoid)
                # The last sigmoid makes pixels: it is the output, no unit that feeds another.
                feeds = i + 2 < len(layers) and isinstance(layers[i + 1], nn.Sigmoid)
                nn.init.xavier_uniform_(
                    layer.weight, gain=2.0 ** (reads + feeds), generator=generator
                )
                layer.bias.copy_(-0.5 * layer.weight.sum(1) * reads)
    return net


def unroll(net: Autoencoder, rbms: RBMs) -> Autoencoder:
    """Give a `deep_autoencoder` the weights of greedily trained RBMs, (W (below, above), b, c) as
    NumPy arrays, upwards for the encoder and transposed for the decoder
    (Hinton & Salakhutdinov 2006, figure 1); in place.  ValueError if the sizes differ."""
    up = [layer for layer in net.encoder.modules() if isinstance(layer, nn.Linear)]
    down = [layer for layer in net.decoder.modules() if isinstance(layer, nn.Linear)][::-1]
    if len(rbms) != len(up):
        raise ValueError(f"{len(rbms)} RBMs for {len(up)} layers")
    with torch.no_grad():
        for (W, b, c), above, below in zip(rbms, up, down, strict=True):
            W, b, c = (checks.numbers(*p, None) for p in ((W, "W"), (b, "b"), (c, "c")))
            if tuple(above.weight.shape[::-1]) != W.shape:
                raise ValueError(
                    f"an RBM of shape {W.shape} for a layer of {tuple(above.weight.shape[::-1])}"
                )
            for layer, weight, bias in ((above, np.asarray(W).T, c), (below, np.asarray(W), b)):
                layer.weight.copy_(torch.tensor(np.asarray(weight, np.float32)))
                layer.bias.copy_(torch.tensor(np.asarray(bias, np.float32)))
    return net


def started(sizes: Sequence[int], start: str | RBMs, *, seed: int, **shape) -> Autoencoder:
    """A `deep_autoencoder` before its training, with the weights that `start` names."""
    net = deep_autoencoder(sizes, seed=seed, **shape)
    if not isinstance(start, str):
        return unroll(net, start)
    if start not in ("he", "glorot"):
        raise ValueError(f"start={start!r} must be he, glorot or a list of RBMs")
    return glorot(net, seed=seed) if start == "glorot" else net


def train_deep(
    images: np.ndarray,
    *,
    sizes: Sequence[int],
    start: str | RBMs,
    seed: int,
    activation: str = "sigmoid",
    loss: str = "mse",
    code_noise: float | None = None,
    **rules,
) -> tuple[Autoencoder, dict[str, np.ndarray]]:
    """A deep autoencoder trained on `images` (n, 28, 28), and its history; `rules` go to
    `training.train`."""
    net = started(sizes, start, seed=seed, activation=activation, loss=loss, code_noise=code_noise)
    return train_autoencoder(net, images, seed=seed, **rules)


def learning_curve(images: np.ndarray, held_out: np.ndarray, **how) -> dict[str, np.ndarray]:
    """The history of `train_deep` and the mean "squared_error" of the images `held_out` at its end,
    without the network."""
    net, history = train_deep(images, **how)
    return history | {"squared_error": squared_errors(net, held_out).mean()}


def gradient_norms(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Norm of the gradient of the mean loss in the weights of each layer, from the pixels to the
    code and back: (2 · layers,)."""
    x = as_images(images)
    net.zero_grad()
    net.errors(x).mean().backward()
    return np.array(
        [float(m.weight.grad.norm()) for m in net.modules() if isinstance(m, nn.Linear)]
    )


def train_linear_rbm(
    data: np.ndarray,
    *,
    n_hidden: int,
    epochs: int,
    seed: int,
    lr: float = 1e-3,
    batch_size: int = 100,
    momentum: float = 0.9,
    weight_decay: float = 2e-4,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The RBM at the top, whose hidden units are Gaussian with variance 1, by CD-1;
    returns W (n_visible, n_hidden), b, c.

    E(v, h) = ½‖h - c‖² - b·v - vᵀWh, so p(h|v) = N(c + Wᵀv, I) and p(v_i = 1|h) = σ((b + Wh)_i),
    as for the codes of Hinton & Salakhutdinov (2006).  data (n, n_visible): probabilities,
    from which new bits are drawn in every epoch.
    """
    data = checks.probabilities(data, "data")
    check_epochs(epochs, batch_size, len(data))
    n_hidden = checks.count(n_hidden, "n_hidden")
    v = torch.tensor(np.asarray(data, np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream(seed, "train"))
        W = 0.1 * torch.randn(v.shape[1], n_hidden)
        b, c = torch.logit(v.mean(0), eps=1e-3), torch.zeros(n_hidden)
        parameters = [W, b, c]
        velocity = [torch.zeros_like(p) for p in parameters]
        for _ in range(epochs):
            for (batch,) in batches((v,), batch_size, len(v) // batch_size):
                for p, speed, g in zip(
                    parameters, velocity, contrast(W, b, c, torch.bernoulli(batch)), strict=True
                ):
                    speed.mul_(momentum).add_(g - weight_decay * p if p is W else g, alpha=lr)
                    p.add_(speed)
    return W.numpy(), b.numpy(), c.numpy()


def contrast(W: torch.Tensor, b: torch.Tensor, c: torch.Tensor, v: torch.Tensor, *, steps: int = 1):
    """The contrastive-divergence estimate, by `steps` Gibbs steps from bits v, of the gradient of
    the mean log p(v) in W, b and c."""
    h = h_pos = v @ W + c
    for _ in range(steps):
        v_neg = torch.bernoulli(torch.sigmoid((h + torch.randn_like(h)) @ W.T + b))
        h = v_neg @ W + c
    n = len(v)
    return (v.T @ h_pos - v_neg.T @ h) / n, (v - v_neg).mean(0), (h_pos - h).mean(0)


def sparse_autoencoder(n_units: int, *, keep: int | None = None, seed: int) -> Autoencoder:
    """One layer of `n_units` rectified units and a linear dictionary of as many pictures;
    `keep` as in `Autoencoder`.

    The dictionary starts as what the units look for, Wᵀ: a reconstruction that is too dark, not too
    loud, leaves no unit dead.
    """
    key = stream(seed, "init")
    encoder = nn.Sequential(nn.Flatten(), *mlp([784, n_units], seed=key), nn.ReLU())
    decoder = mlp([n_units, 784], seed=key + 1)
    with torch.no_grad():
        decoder[0].weight.copy_(encoder[1].weight.T)
    return Autoencoder(encoder, decoder, keep=keep)


def train_sparse(
    images: np.ndarray,
    *,
    n_units: int,
    seed: int,
    keep: int | None = None,
    l1: float = 0.0,
    **rules,
) -> tuple[Autoencoder, dict[str, np.ndarray]]:
    """A `sparse_autoencoder` trained on `images` (n, 28, 28), and its history."""
    return train_autoencoder(
        sparse_autoencoder(n_units, keep=keep, seed=seed), images, seed=seed, l1=l1, **rules
    )


def train_logistic_pca(
    images: np.ndarray, *, n_codes: int, seed: int, **rules
) -> tuple[Autoencoder, dict[str, np.ndarray]]:
    """A linear map to `n_codes` numbers and one back to log-odds, trained on `images` by the
    Bernoulli loss, and its history.

    Logistic PCA proper finds the codes of every image by optimisation; here a linear encoder
    gives them in one step.
    """
    key = stream(seed, "init")
    net = Autoencoder(
        nn.Sequential(nn.Flatten(), *mlp([784, n_codes], seed=key)),
        mlp([n_codes, 784], seed=key + 1),
        loss="bernoulli",
    )
    return train_autoencoder(net, images, seed=seed, **rules)
