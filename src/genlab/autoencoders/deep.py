"""Deep autoencoders: where their weights may start, greedy pre-training of the code layer, sparse
codes, codes of bits.

The networks are those of Hinton & Salakhutdinov (2006): 784-1000-500-250-30 and back, sigmoid
units, linear codes.  A start is "he" (weights of variance 2 / fan-in, as `networks.initialised`
draws them for any network), "glorot" (`glorot`), or a list of trained RBMs (`unroll`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from genlab import checks
from genlab.autoencoders.convolutional import Autoencoder, Rules, squared_errors, train_autoencoder
from genlab.images.networks import as_images, mlp
from genlab.streams import stream
from genlab.training import Trained, check_epochs
from genlab.training.torch import Batches, builder, device_of, epochs_until, train

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


@builder
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
                layer.weight.copy_(torch.from_numpy(np.array(weight, np.float32)))
                layer.bias.copy_(torch.from_numpy(np.array(bias, np.float32)))
    return net


@builder
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
    rules: Rules,
    epochs: int,
    seed: int,
    **shape,
) -> Trained:
    """A deep autoencoder trained on `images` (n, 28, 28); shape: activation, loss, code_noise and
    device of `deep_autoencoder`."""
    net = started(sizes, start, seed=seed, **shape)
    return train_autoencoder(net, images, rules=rules, epochs=epochs, seed=seed)


def learning_curve(images: np.ndarray, held_out: np.ndarray, **how) -> dict[str, np.ndarray]:
    """The history of `train_deep` and the mean "squared_error" of the images `held_out` at its end,
    without the network."""
    net, history, *_ = train_deep(images, **how)
    return history | {"squared_error": squared_errors(net, held_out).mean()}


def gradient_norms(net: Autoencoder, images: np.ndarray) -> np.ndarray:
    """Norm of the gradient of the mean loss in the weights of each layer, from the pixels to the
    code and back: (2 · layers,)."""
    x = as_images(images, device_of(net))
    net.zero_grad()
    net.errors(x).mean().backward()
    return np.array(
        [float(m.weight.grad.norm()) for m in net.modules() if isinstance(m, nn.Linear)]
    )


class LinearRBM(NamedTuple):
    """W (n_visible, n_hidden), visible bias b (n_visible,), hidden bias c (n_hidden,)."""

    W: np.ndarray
    b: np.ndarray
    c: np.ndarray


@dataclass(frozen=True)
class Ascent:
    """How a linear RBM climbs: velocity <- momentum · velocity + lr · gradient, with
    -weight_decay · W in that of W; parameters += velocity."""

    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 2e-4
    batch_size: int = 100

    def check(self) -> None:
        """ValueError for a rule that makes no sense, with the value and the range."""
        checks.number(self.lr, "lr", "positive")
        checks.number(self.momentum, "momentum", "in [0, 1)")
        checks.number(self.weight_decay, "weight_decay", "at least 0")


def train_linear_rbm(
    data: np.ndarray,
    *,
    n_hidden: int,
    rules: Ascent,
    epochs: int,
    seed: int,
    until: int | None = None,
    resume: Trained | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """The RBM at the top, whose hidden units are Gaussian with variance 1, by CD-1; the model is a
    `LinearRBM`.

    E(v, h) = ½‖h - c‖² - b·v - vᵀWh, so p(h|v) = N(c + Wᵀv, I) and p(v_i = 1|h) = σ((b + Wh)_i),
    as for the codes of Hinton & Salakhutdinov (2006).  data (n, n_visible): probabilities,
    from which new bits are drawn in every epoch.
    """
    rules.check()
    data = checks.probabilities(data, "data")
    check_epochs(epochs, rules.batch_size, len(data))
    n_hidden = checks.count(n_hidden, "n_hidden")
    where = torch.get_default_device() if device is None else torch.device(device)
    v, steps = torch.from_numpy(np.array(data, np.float32)).to(where), len(data) // rules.batch_size
    zero = [torch.zeros(s, device=where) for s in ((v.shape[1], n_hidden), v.shape[1], n_hidden)]
    rbm, velocity = (
        nn.ParameterList(nn.Parameter(p.clone(), requires_grad=False) for p in zero)
        for _ in range(2)
    )
    batches = Batches((v,), rules.batch_size)

    def begin():
        W, b, _ = rbm
        W.copy_(0.1 * torch.randn(W.shape, device=where))
        b.copy_(torch.logit(v.mean(0), eps=1e-3))

    history, state = train(
        lambda: linear_rbm_update(rbm, velocity, next(batches), rules),
        (rbm, velocity, batches),
        rules=rules,
        ends=steps * np.arange(1, epochs + 1),
        seed=seed,
        what="linear RBM",
        device=where,
        until=steps * epochs_until(until, epochs, steps, resume),
        resume=resume,
        begin=begin,
    )
    return Trained(LinearRBM(*(p.cpu().numpy() for p in rbm)), history, state=state)


def linear_rbm_update(
    rbm: Sequence[torch.Tensor], velocity: Sequence[torch.Tensor], batch: tuple, rules: Ascent
) -> dict[str, torch.Tensor]:
    """One step of ascent from fresh bits of the probabilities (n, n_visible) in `batch`; logs the
    norm of the gradient in W."""
    gradient = contrast(*rbm, torch.bernoulli(*batch))
    for p, speed, g in zip(rbm, velocity, gradient, strict=True):
        decayed = g - rules.weight_decay * p if p is rbm[0] else g
        speed.mul_(rules.momentum).add_(decayed, alpha=rules.lr)
        p.add_(speed)
    return {"gradient": gradient[0].norm()}


def contrast(W: torch.Tensor, b: torch.Tensor, c: torch.Tensor, v: torch.Tensor, *, steps: int = 1):
    """The contrastive-divergence estimate, by `steps` Gibbs steps from bits v, of the gradient of
    the mean log p(v) in W, b and c."""
    h = h_pos = v @ W + c
    for _ in range(steps):
        p = torch.sigmoid((h + torch.randn_like(h)) @ W.T + b)
        v_neg = torch.bernoulli(p.nan_to_num())  # what diverged is for the training to say
        h = v_neg @ W + c
    n = len(v)
    return (v.T @ h_pos - v_neg.T @ h) / n, (v - v_neg).mean(0), (h_pos - h).mean(0)


@builder
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
    rules: Rules,
    epochs: int,
    seed: int,
    keep: int | None = None,
    device: torch.device | str | None = None,
) -> Trained:
    """A `sparse_autoencoder` trained on `images` (n, 28, 28)."""
    net = sparse_autoencoder(n_units, keep=keep, seed=seed, device=device)
    return train_autoencoder(net, images, rules=rules, epochs=epochs, seed=seed)


@builder
def linear_autoencoder(n_codes: int, *, seed: int) -> Autoencoder:
    """A linear map to `n_codes` numbers and one back, to log-odds."""
    key = stream(seed, "init")
    return Autoencoder(
        nn.Sequential(nn.Flatten(), *mlp([784, n_codes], seed=key)),
        mlp([n_codes, 784], seed=key + 1),
        loss="bernoulli",
    )


def train_logistic_pca(
    images: np.ndarray,
    *,
    n_codes: int,
    rules: Rules,
    epochs: int,
    seed: int,
    device: torch.device | str | None = None,
) -> Trained:
    """A `linear_autoencoder` trained on `images` by the Bernoulli loss.

    Logistic PCA proper finds the codes of every image by optimisation; here a linear encoder
    gives them in one step.
    """
    net = linear_autoencoder(n_codes, seed=seed, device=device)
    return train_autoencoder(net, images, rules=rules, epochs=epochs, seed=seed)
