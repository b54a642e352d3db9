"""Trainings in torch: their steps against the formula, the step at which one stops, what goes on
as before afterwards, and networks that hash and pickle as their values."""

import pickle
import subprocess
import sys
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from genlab.images.networks import mlp, pooled_encoder
from genlab.streams import stream
from genlab.training import Diverged
from genlab.training.torch import Batches, Descent, Rules, generator_from, in_batches, run_epochs

CPU = torch.device("cpu")


def one_weight(start: float) -> nn.Linear:
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, start)
    return net


def down_the_square(descent, batch, rules):
    """A step down w²/2, whatever the data."""
    return {"loss": descent.down(0.5 * descent.net.weight.square().sum())}


def down_the_weight(descent, batch, rules):
    """A step down w, whatever the data."""
    return {"loss": descent.down(descent.net.weight.sum())}


def down_the_output(descent, batch, rules):
    """A step down the mean square of what the network says."""
    return {"loss": descent.down(descent.net(*batch).square().mean())}


def run(update, net, rows, *, epochs=1, **rules):
    return run_epochs(update, net, (rows,), Rules(**rules), epochs=epochs, seed=0, what="network")


def test_descent_takes_the_steps_of_the_formula():
    """w <- w - lr (v <- momentum v + w) on the loss w²/2, twice, at a constant rate; Adam's first
    step is lr, whatever the gradient, and RMSprop's ten times that, since its mean of squares
    takes a hundredth of the first."""
    w, v, losses = 2.0, 0.0, []
    for _ in range(2):
        losses.append(w**2 / 2)
        v = 0.9 * v + w
        w -= 0.1 * v
    about = {"lr": 0.1, "batch_size": 1}
    net, history, *_ = run(
        down_the_square, one_weight(2.0), torch.zeros(2, 1), optimizer="sgd", momentum=0.9, **about
    )
    assert float(net.weight.detach()) == pytest.approx(w, rel=1e-6)
    assert history["step"].tolist() == [2]
    assert history["loss"] == pytest.approx([np.mean(losses)], rel=1e-6)
    for optimizer, expected in (("adam", 1.9), ("rmsprop", 1.0)):
        start = one_weight(2.0)
        net = run(down_the_square, start, torch.zeros(1, 1), optimizer=optimizer, **about).model
        assert float(net.weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_the_rate_falls_by_a_cosine():
    """Four steps of descent on the loss w: the weight falls by the sum of the rates
    lr (1 + cos πi/4)/2."""
    about = {"optimizer": "sgd", "lr": 1.0, "batch_size": 1}
    falling, constant = (
        run(down_the_weight, one_weight(0.0), torch.zeros(4, 1), lr_last=last, **about).model
        for last in (0.0, None)
    )
    assert float(falling.weight.detach()) == pytest.approx(
        -sum((1 + np.cos(np.pi * i / 4)) / 2 for i in range(4)), rel=1e-6
    )
    assert float(constant.weight.detach()) == pytest.approx(-4, rel=1e-6)


def test_going_down_gives_no_other_network_a_gradient():
    """So that one of two players can move alone; backward for all is the twin."""
    mine, other, x = one_weight(1.0), one_weight(2.0), torch.ones(3, 1)
    descent = Descent(mine, Rules(), 1)
    assert descent.down(other(mine(x)).sum()).tolist() == 6
    assert other.weight.grad is None and float(mine.weight.grad) == 6
    other(mine(x)).sum().backward()
    assert other.weight.grad is not None


def test_a_training_stops_at_the_very_step_and_keeps_the_state_before_it():
    """One row of ten gives a loss that is no number, in the second epoch.  Before it every step
    takes lr away from the weight, the twin being the weight where the epoch began."""

    def update(descent, batch, rules):
        poison = torch.where((batch[0] == 7) & (descent.done >= 10), np.nan, 1.0)
        noise = torch.rand(())  # whose draws have to come again, too
        logs = {"noise": noise}
        return logs | {"loss": descent.down((poison * descent.net.weight).sum())}

    with generator_from(stream(0, "train"), CPU):
        batches = Batches((torch.arange(10.0)[:, None],), 1)
        shown = []
        for _ in range(20):
            shown.append(float(next(batches)[0]))
            torch.rand(())
    expected, rows = 10 + shown[10:].index(7.0), torch.arange(10.0)[:, None]
    net = one_weight(0.0)
    with pytest.raises(
        Diverged, match=r"training of the network stopped at step \d+.*lower lr"
    ) as caught:
        run(update, net, rows, epochs=3, optimizer="sgd", lr=0.125, batch_size=1)
    assert caught.value.step == expected > 10
    descent, at, (generator,) = caught.value.state
    assert float(descent["net"]["weight"]) == float(net.weight.detach()) == -0.125 * expected
    assert float(descent["net"]["weight"]) != -0.125 * 10
    assert at["order"].tolist() == shown[10:] and at["at"] == expected - 10
    with generator_from(stream(0, "train"), CPU):
        for i in range(expected):
            if i % 10 == 0:
                torch.randperm(10)
            torch.rand(())
        assert torch.equal(generator, torch.get_rng_state())


def test_draws_follow_the_seed_and_torchs_generator_goes_on_as_before():
    """Even if what draws fails; torch.manual_seed alone is the twin."""
    torch.manual_seed(7)
    expected = torch.rand(3)
    draws = []
    torch.manual_seed(7)
    for seed in (1, 1, 2):
        with pytest.raises(RuntimeError), generator_from(seed, CPU):
            draws.append(torch.rand(3))
            raise RuntimeError
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    torch.manual_seed(7)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), draws[0]) and not torch.equal(torch.rand(3), expected)


def places(net: nn.Module) -> set[str]:
    return {x.device.type for x in net.state_dict().values()}


def test_a_network_lies_where_it_is_told_or_where_torch_says_with_the_same_weights():
    """And torch's generator is as before, which it is not after making the layers (the twin)."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for make in (partial(mlp, [4, 3, 2], seed=0), partial(pooled_encoder, 2, seed=0)):
        here = make()
        with torch.device("meta"):
            by_default, told = make(), make(device="cpu")
        assert places(here) == places(told) == {"cpu"}
        assert places(by_default) == places(make(device="meta")) == {"meta"}
        assert all(map(torch.equal, here.state_dict().values(), told.state_dict().values()))
    assert torch.equal(torch.get_rng_state(), before)
    mlp.__wrapped__([4, 3, 2], seed=0)
    assert not torch.equal(torch.get_rng_state(), before)


def test_batches_gone_back_to_come_again():
    """Amid a pass and over its end; the twin goes back with the generator alone."""
    rows = torch.arange(10)
    batches = Batches((rows, 2 * rows), 3)

    def seven():
        return [next(batches) for _ in range(7)]

    with generator_from(0, CPU):
        next(batches)
        state, generator = batches.state_dict(), torch.get_rng_state()
        first = seven()
        torch.set_rng_state(generator)
        elsewhere = seven()
        batches.load_state_dict(state)
        torch.set_rng_state(generator)
        again = seven()
    assert all(torch.equal(y, 2 * x) for x, y in first)
    assert all(map(torch.equal, [x for x, _ in first], [x for x, _ in again]))
    assert not all(map(torch.equal, [x for x, _ in first], [x for x, _ in elsewhere]))


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
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    net = run(down_the_output, noisy(), x, epochs=2, batch_size=20).model
    check_ready(net, x)
    with pytest.raises((AssertionError, ValueError)):  # one row has no variance
        check_ready(net.train(), x)


def test_every_row_is_shown_once_an_epoch_and_read_once_at_evaluation():
    """Batches that divide the rows show all of them; what is read in pieces is read to its end."""
    rows, seen = torch.arange(60.0)[:, None], []

    def update(descent, batch, rules):
        seen.extend(batch[0][:, 0].tolist())
        return down_the_output(descent, batch, rules)

    run(update, one_weight(0.0), rows, epochs=2, batch_size=20)
    first, second = seen[:60], seen[60:]
    assert sorted(first) == sorted(second) == rows[:, 0].tolist() and first != second
    x = torch.arange(25.0)[:, None]
    for size in (1, 10, 25, 100):
        assert np.array_equal(in_batches(lambda x: 2 * x, x, size), 2 * x.numpy())
