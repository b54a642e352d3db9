"""The loop that all networks on images share: its steps against the formula, and networks that hash
and pickle as their values."""

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from genlab.images.networks import pooled_encoder
from genlab.training.torch import in_batches, train


def one_weight(start: float) -> nn.Linear:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, start)
    return net


def test_gradient_descent_takes_the_steps_of_the_formula():
    """w <- w - lr (v <- momentum v + w) on the loss w²/2, twice, at a constant rate; Adam's first
    step is lr, whatever the gradient."""
    about = {"epochs": 1, "seed": 0, "batch_size": 1, "lr": 0.1}
    data = (torch.zeros(2, 1),)
    sgd, adam = one_weight(2.0), one_weight(2.0)
    train(sgd, lambda x: 0.5 * sgd.weight.square().sum(), data, momentum=0.9, **about)
    w, v = 2.0, 0.0
    for _ in range(2):
        v = 0.9 * v + w
        w -= 0.1 * v
    assert float(sgd.weight.detach()) == pytest.approx(w, rel=1e-6)
    train(adam, lambda x: 0.5 * adam.weight.square().sum(), (torch.zeros(1, 1),), **about)
    assert float(adam.weight.detach()) == pytest.approx(1.9, rel=1e-6)


def test_the_rate_falls_by_a_cosine():
    """Four steps of descent on the loss w: the weight falls by the sum of the rates
    lr (1 + cos πi/4)/2."""
    net = one_weight(0.0)
    train(
        net,
        lambda x: net.weight.sum(),
        (torch.zeros(4, 1),),
        epochs=1,
        seed=0,
        lr=1.0,
        lr_last=0.0,
        batch_size=1,
        momentum=0.0,
    )
    assert float(net.weight.detach()) == pytest.approx(
        -sum((1 + np.cos(np.pi * i / 4)) / 2 for i in range(4)), rel=1e-6
    )


HASH = (
    "import joblib; from genlab.images.networks import pooled_encoder as p; "
    "print(joblib.hash(p(3, seed={seed})))"
)


def test_equal_networks_have_equal_hashes_in_every_process():
    """So that a remembered training is found again; torch's own pickles differ from
    process to process."""
    here = joblib.hash(pooled_encoder(3, seed=0))
    there = [
        subprocess.run(
            [sys.executable, "-c", HASH.format(seed=s)], capture_output=True, text=True, check=True
        ).stdout.strip()
        for s in (0, 1)
    ]
    assert there[0] == here != there[1]


def test_a_pickled_network_is_the_same_network():
    net = pooled_encoder(3, seed=0).eval()
    again = pickle.loads(pickle.dumps(net))
    x = torch.rand(5, 1, 28, 28)
    assert torch.equal(net(x), again(x)) and again[0].weight.is_contiguous(
        memory_format=torch.channels_last
    )
    assert [type(p) for p in again.parameters()] == [nn.Parameter] * len(list(net.parameters()))
    assert joblib.hash(again) == joblib.hash(net)


def noisy() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))


def check_ready(net: nn.Module, x: torch.Tensor) -> None:
    """Two evaluations are equal, in company or alone: no dropout, no statistics of the batch."""
    with torch.no_grad():
        assert torch.equal(net(x), net(x))
        torch.testing.assert_close(net(x)[:1], net(x[:1]))


def test_a_trained_network_is_ready_to_be_evaluated():
    net, x = noisy(), torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    train(net, lambda x: net(x).square().mean(), (x,), epochs=2, seed=0, batch_size=20)
    check_ready(net, x)
    with pytest.raises((AssertionError, ValueError)):  # one row has no variance
        check_ready(net.train(), x)


def test_every_row_is_shown_once_an_epoch_and_read_once_at_evaluation():
    """Batches that divide the rows show all of them; what is read in pieces is read to its end."""
    rows, net, seen = torch.arange(60.0)[:, None], one_weight(0.0), []

    def loss(x):
        seen.extend(x[:, 0].tolist())
        return net(x).square().mean()

    train(net, loss, (rows,), epochs=2, seed=0, batch_size=20)
    first, second = seen[:60], seen[60:]
    assert sorted(first) == sorted(second) == rows[:, 0].tolist() and first != second
    x = torch.arange(25.0)[:, None]
    for size in (1, 10, 25, 100):
        assert np.array_equal(in_batches(lambda x: 2 * x, x, size), 2 * x.numpy())
