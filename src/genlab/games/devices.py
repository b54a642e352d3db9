"""What Salimans et al. (2016, section 3) add to the game, piece by piece, and averages of weights.

Their one-sided label smoothing (section 3.4) is the argument `real_target` of
`game.discriminator_loss`.
"""

import torch
from torch import nn

from genlab.images.networks import check_sizes


def feature_matching(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """|mean f(x) - mean f(G(z))|² of features (n, d) and (m, d) (section 3.1): the generator's aim
    in place of the log-odds."""
    return ((real.mean(0) - fake.mean(0)) ** 2).sum()


ROW = 8  # numbers in each row of minibatch discrimination


class MinibatchDiscrimination(nn.Module):
    """Features (n, d) -> features (n, d + kernels): to each row how close the others of its batch
    are to it (section 3.2).

    o_b(x_i) = Σ_{j≠i} exp(-|M_ib - M_jb|₁) with M_i = T f(x_i) in `kernels` rows of ROW numbers;
    here T holds a factor 1 / ROW, which keeps the exponentials away from zero at the start.
    """

    def __init__(self, n_features: int, kernels: int = 16):
        super().__init__()
        check_sizes([n_features, kernels], 0)
        self.kernels = kernels
        self.project = nn.Linear(n_features, kernels * ROW, bias=False)

    def forward(self, f: torch.Tensor) -> torch.Tensor:
        m = (self.project(f) / ROW).view(len(f), self.kernels, ROW).transpose(0, 1)
        closeness = (-torch.cdist(m, m, p=1)).exp().sum(2) - 1  # itself left out
        return torch.cat([f, closeness.T], 1)


class VirtualBatchNorm(nn.Module):
    """Normalise each image by the reference images, the first `n_reference` rows of x, and by
    itself (section 3.5).

    x (n_reference + n, channels, h, w).  Its own moments weigh 1 / (n_reference + 1); the reference
    rows use those of the reference alone.  No image sees another of its batch, in contrast to
    batch normalisation.
    """

    def __init__(self, channels: int, n_reference: int, tiny: float = 1e-5):
        super().__init__()
        self.n_reference, self.tiny = n_reference, tiny
        self.weight, self.bias = (
            nn.Parameter(torch.ones(channels, 1, 1)),
            nn.Parameter(torch.zeros(channels, 1, 1)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        r = self.n_reference
        mean, square = (
            self._mixed(x.mean((2, 3), keepdim=True), r),
            self._mixed((x * x).mean((2, 3), keepdim=True), r),
        )
        # The difference of two moments can round to less than zero.
        var = (square - mean**2).clamp(min=0)
        return (x - mean) * (var + self.tiny).rsqrt() * self.weight + self.bias

    @staticmethod
    def _mixed(moment: torch.Tensor, r: int) -> torch.Tensor:
        """Moments of each image (r + n, channels, 1, 1) mixed with their mean over the first r."""
        common = moment[:r].mean(0, keepdim=True)
        return torch.cat(
            [common.expand(r, -1, -1, -1), torch.lerp(common, moment[r:], 1 / (r + 1))]
        )


def squared_distance(net: nn.Module, past: nn.Module) -> torch.Tensor:
    """|θ - mean of θ over the past|² (historical averaging, section 3.3); `past` holds the mean and
    learns nothing."""
    return sum(
        ((p - q.detach()) ** 2).sum()
        for p, q in zip(net.parameters(), past.parameters(), strict=True)
    )


def follow(average: nn.Module, net: nn.Module, decay: float, step: int) -> None:
    """Move an average by the weights after this step, the first being 0: the mean of all steps
    until that forgets more slowly than `decay`, and the last weights alone for 0."""
    # By the decay from the start, the random first weights would stay in the average for some
    # 1 / (1 - decay) steps.
    move_towards(average, net, max(1 - decay, 1 / (step + 1)))


@torch.no_grad()
def move_towards(average: nn.Module, net: nn.Module, rate: float) -> None:
    """average += rate · (net - average) for all weights and running statistics, in place.

    A constant rate 1 - decay is an exponential moving average, rate 1 / t in step t the
    mean of all steps.
    """
    for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, rate)
        else:
            old.copy_(new)  # a counter
