"""The game: losses at known logits and at the known optimum, what an update may touch, and what a
training leaves and refuses."""

import copy

import numpy as np
import pytest
import torch
from blobs import blobs

from genlab.games import game
from genlab.games.players import (
    dcgan_discriminator,
    dcgan_generator,
    mlp_discriminator,
    mlp_generator,
    sample,
)
from genlab.training.torch import Batches, Descent


@pytest.fixture(scope="module")
def pictures():
    """Blurred blobs at random places, (200, 28, 28)."""
    rng = np.random.default_rng(0)
    return blobs(rng.uniform(8, 20, (200, 2))).astype(np.float32)


def players(n_classes=0, seed=0, **more):
    """Small convolutional ones; batch normalisation in both, so that there is something else than
    weights to leave alone."""
    about = {"width": 2, "n_classes": n_classes, "seed": seed}
    return dcgan_generator(5, **about), dcgan_discriminator(**about, **more)


def opened(*nets, steps=20, **rules):
    """A game of these players before its first round, and its rules; a step is large enough to
    be seen."""
    rules = game.Rules(**{"lr": 1e-2} | rules)
    return game._opened(*(nets or players()), rules, steps), rules


def noise(n=6):
    """Real images that nobody has seen."""
    return torch.randn(n, 1, 28, 28)


# --- losses ---


def test_losses_at_logits_set_by_hand():
    # D = ¾, ½ and ¼, ¾
    real, fake = torch.tensor([np.log(3.0), 0.0]), torch.tensor([-np.log(3.0), np.log(3.0)])
    on_real, on_fake = -(np.log(0.75) + np.log(0.5)) / 2, -(np.log(0.75) + np.log(0.25)) / 2
    assert float(game.discriminator_loss(real, fake)) == pytest.approx(on_real + on_fake, rel=1e-6)
    smooth = -(0.9 * (np.log(0.75) + np.log(0.5)) + 0.1 * (np.log(0.25) + np.log(0.5))) / 2
    assert float(game.discriminator_loss(real, fake, 0.9)) == pytest.approx(
        smooth + on_fake, rel=1e-6
    )
    assert float(game.minimax_generator_loss(fake)) == pytest.approx(-on_fake, rel=1e-6)
    assert float(game.non_saturating_generator_loss(fake)) == pytest.approx(
        -(np.log(0.25) + np.log(0.75)) / 2, rel=1e-6
    )


def test_losses_of_a_sure_discriminator_are_finite():
    sure = torch.tensor([1000.0])
    for loss in (
        game.discriminator_loss(-sure, sure),
        game.minimax_generator_loss(sure),
        game.non_saturating_generator_loss(-sure),
    ):
        assert torch.isfinite(loss)


# tenths of three symbols: means over samples are exact expectations
P_DATA, P_MODEL = (np.array([5, 3, 2]), np.array([1, 3, 6]))


def logits_of(table):
    return [torch.tensor(np.repeat(table, counts)) for counts in (P_DATA, P_MODEL)]


def test_the_optimal_discriminator_reaches_log_4_minus_twice_the_jsd():
    p, q = P_DATA / 10, P_MODEL / 10
    jsd = 0.5 * (p * np.log(2 * p / (p + q))).sum() + 0.5 * (q * np.log(2 * q / (p + q))).sum()
    best = game.discriminator_loss(*logits_of(np.log(p / q)))
    assert float(best) == pytest.approx(np.log(4) - 2 * jsd, rel=1e-12)
    for other in (np.log(p / q) + 0.1, 0.9 * np.log(p / q), np.zeros(3)):
        assert float(game.discriminator_loss(*logits_of(other))) > float(best) + 1e-4
    # flipped labels are worse than chance
    assert float(game.discriminator_loss(*logits_of(np.log(q / p)))) > np.log(4)


def test_smoothing_real_labels_scales_the_optimal_discriminator_and_keeps_where_it_looks():
    """D* = s p / (p + q): monotone in p / q as before, so only its confidence falls."""
    p, q, s = P_DATA / 10, P_MODEL / 10, 0.9
    table = torch.tensor(np.log(s * p / (p + q - s * p)), requires_grad=True)
    real, fake = (
        table[torch.tensor(np.repeat(np.arange(3), counts))] for counts in (P_DATA, P_MODEL)
    )
    (slope,) = torch.autograd.grad(game.discriminator_loss(real, fake, s), table)
    assert slope.abs().max() < 1e-12
    # the optimum without smoothing is none here
    table = torch.tensor(np.log(p / q), requires_grad=True)
    real, fake = (
        table[torch.tensor(np.repeat(np.arange(3), counts))] for counts in (P_DATA, P_MODEL)
    )
    assert torch.autograd.grad(game.discriminator_loss(real, fake, s), table)[0].abs().max() > 1e-2


def test_the_original_generator_loss_saturates_and_the_other_does_not():
    losing = torch.tensor([-8.0], requires_grad=True)
    slopes = [
        float(torch.autograd.grad(loss(losing), losing)[0].abs())
        for loss in (game.minimax_generator_loss, game.non_saturating_generator_loss)
    ]
    assert slopes[0] == pytest.approx(1 / (1 + np.exp(8)), rel=1e-5)
    assert slopes[1] == pytest.approx(1 / (1 + np.exp(-8)), rel=1e-5)


def test_class_loss_takes_logits_and_a_softmax_before_it_is_another_loss():
    logits = torch.tensor([[2.0, 0.0]])
    value = float(game.class_loss(logits, torch.tensor([0])))
    assert value == pytest.approx(np.log1p(np.exp(-2)), rel=1e-6)
    assert float(game.class_loss(logits.softmax(1), torch.tensor([0]))) > 2 * value


def test_class_loss_ignores_the_head_that_says_real_or_not():
    _, discriminator = players(n_classes=10)
    x, labels = torch.randn(6, 1, 28, 28), torch.arange(6)
    loss = game.class_loss(discriminator.class_head(discriminator.features(x)), labels)
    loss.backward()
    assert (
        discriminator.head.weight.grad is None
        and discriminator.class_head.weight.grad.abs().max() > 0
    )
    with torch.no_grad():
        discriminator.head.weight.fill_(7.0)
        assert torch.equal(
            game.class_loss(discriminator.class_head(discriminator.features(x)), labels), loss
        )
    # the other loss does need it
    discriminator.log_odds(discriminator.features(x)).sum().backward()
    assert discriminator.head.weight.grad.abs().max() > 0


# --- updates ---


def touched(net, before):
    """Names in the network's state that are not as they were."""
    return {k for k, v in net.state_dict().items() if not torch.equal(v, before[k])}


def stepped(which, n_classes=0):
    """What an update of `which` player changed in both, whether the other got a gradient,
    and what it logged."""
    playing, rules = opened(*players(n_classes))
    generator, discriminator = playing.generator.net, playing.discriminator.net
    before = [copy.deepcopy(net.state_dict()) for net in (generator, discriminator)]
    labels = torch.arange(6) if n_classes else None
    if which == "discriminator":
        logs, other = game.discriminator_update(playing, noise(), labels, rules), generator
    else:
        logs, other = game.generator_update(playing, noise(), rules), discriminator
    gradient = any(p.grad is not None for p in other.parameters())
    return touched(generator, before[0]), touched(discriminator, before[1]), gradient, logs


@pytest.mark.parametrize("n_classes", [0, 10])
@pytest.mark.parametrize("which", ["generator", "discriminator"])
def test_each_update_changes_its_own_network_only(which, n_classes):
    in_generator, in_discriminator, gradient, logs = stepped(which, n_classes)
    own, other = (
        (in_generator, in_discriminator)
        if which == "generator"
        else (in_discriminator, in_generator)
    )
    assert {name for name in own if "weight" in name} and not other and not gradient
    assert all(torch.isfinite(v) and not v.requires_grad and v.ndim == 0 for v in logs.values())


def test_a_plain_backward_reaches_the_discriminator_and_a_plain_pass_its_statistics(monkeypatch):
    """The twins: without `inputs=` gradients pile up in the other player, without `still` its
    running statistics move."""

    def plain(descent, loss):
        descent.optimizer.zero_grad()
        loss.backward()
        descent.optimizer.step()
        return loss.detach()

    monkeypatch.setattr(Descent, "down", plain)
    assert stepped("generator")[2]
    monkeypatch.undo()
    monkeypatch.setattr(game, "still", lambda net: torch.enable_grad())
    assert {name.split(".")[-1] for name in stepped("generator")[1]} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }


def test_an_update_follows_its_loss_downhill():
    (playing, rules), real = opened(), noise(32)
    losses = [
        float(game.discriminator_update(playing, real, None, rules)["discriminator_loss"])
        for _ in range(20)
    ]
    assert losses[-1] < losses[0]
    fooled = [
        float(game.generator_update(playing, real, rules)["generator_loss"]) for _ in range(20)
    ]
    assert fooled[-1] < fooled[0]


def test_real_and_generated_images_of_an_update_have_the_same_classes():
    playing, rules = opened(*players(n_classes=10))
    seen = []
    playing.generator.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    labels = torch.tensor([3, 1, 4, 1, 5, 9])
    game.discriminator_update(playing, noise(), labels, rules)
    assert torch.equal(seen[0], labels)


def test_generated_images_teach_classes_only_where_asked():
    generator, discriminator = players(n_classes=10)
    real, labels = noise(), torch.arange(6)
    slopes = {}
    for class_fakes in (False, True):
        learner = copy.deepcopy(discriminator)
        playing, rules = opened(generator, learner, class_fakes=class_fakes)
        game.discriminator_update(playing, real, labels, rules)
        slopes[class_fakes] = learner.class_head.weight.grad
    game.class_loss(discriminator.class_head(discriminator.features(real)), labels).backward()
    assert torch.allclose(slopes[False], discriminator.class_head.weight.grad)
    assert not torch.allclose(slopes[True], discriminator.class_head.weight.grad, rtol=1e-2)


def test_feature_matching_replaces_the_generators_loss():
    real, losses = noise(), {}
    for match in (False, True):
        playing, rules = opened(match_features=match)  # players of the same weights each time
        torch.manual_seed(1)
        losses[match] = float(game.generator_update(playing, real, rules)["generator_loss"])
    generator, discriminator = players()
    torch.manual_seed(1)
    with torch.no_grad():
        means = [discriminator.features(x).mean(0) for x in (real, generator(torch.randn(6, 5)))]
    assert losses[True] == pytest.approx(float(((means[0] - means[1]) ** 2).sum()), rel=1e-4)
    assert losses[False] != pytest.approx(losses[True], rel=0.01)


def test_weights_are_clipped_after_every_update():
    generator, _ = players()
    discriminator = mlp_discriminator(hidden=(8,), dropout=0.0, seed=0)
    free = copy.deepcopy(discriminator)
    bounded, unbounded = (
        opened(generator, net, loss="wasserstein", clip_value=c)
        for net, c in ((discriminator, 0.01), (free, 0.0))
    )
    largest = lambda net: max(float(p.detach().abs().max()) for p in net.parameters())  # noqa: E731
    for _ in range(5):
        real = noise()
        for playing, rules in (bounded, unbounded):
            game.discriminator_update(playing, real, None, rules)
        assert largest(discriminator) <= np.float32(0.01) < largest(free)


# --- trainings ---


def trained(pictures, *, steps=20, records=4, labels=None, **rules):
    generator, discriminator = (
        mlp_generator(4, hidden=(32,), seed=0),
        mlp_discriminator(hidden=(32,), dropout=0.0, seed=0),
    )
    rules = game.Rules(**{"batch_size": 20} | rules)
    about = {"labels": labels, "steps": steps, "records": records, "grid": 5, "seed": 0}
    return game.train_gan(pictures, generator, discriminator, rules=rules, **about)


def test_the_history_has_a_row_a_record_and_snapshots_of_the_latents_of_sample(pictures):
    about = {"steps": 6, "records": 3, "grid": 4, "seed": 0}
    (one, judge), history, *_ = game.train_gan(
        pictures, *players(), rules=game.Rules(batch_size=20), **about
    )
    assert history["step"].tolist() == [2, 4, 6] and not one.training and not judge.training
    assert all(
        v.shape == (3,) and np.isfinite(v).all() for k, v in history.items() if k != "snapshot"
    )
    shots = history["snapshot"]
    assert shots.shape == (3, 4, 28, 28) and shots.min() >= 0 and shots.max() <= 1
    np.testing.assert_allclose(shots[-1], sample(one, n=4, seed=0), atol=1e-3)


def test_without_averaging_the_last_weights_come_out(pictures):
    last, smooth = (trained(pictures, ema_decay=d).model.generator for d in (0.0, 0.999))
    assert touched(last, smooth.state_dict())
    means = [
        float(torch.cat([p.flatten() for p in net.parameters()]).detach().std())
        for net in (last, smooth)
    ]
    assert means[0] >= means[1]  # an average of a walk has walked less far from its small start


def test_several_averages_of_one_game_are_those_of_each_alone(pictures):
    """They change nothing in the game; the snapshots are the first one's."""
    ((last, smooth), judge), history, *_ = trained(pictures, ema_decay=(0.0, 0.9))
    for decay, several in ((0.0, last), (0.9, smooth)):
        (alone, same_judge), same_history, *_ = trained(pictures, ema_decay=decay)
        assert not touched(alone, several.state_dict()) and not touched(
            judge, same_judge.state_dict()
        )
        assert np.array_equal(history["generator_loss"], same_history["generator_loss"])
        assert np.array_equal(history["snapshot"], same_history["snapshot"]) == (decay == 0.0)
    assert touched(last, smooth.state_dict())
    with pytest.raises(ValueError, match=r"ema_decay=\(\)"):
        trained(pictures, ema_decay=())


def test_the_average_starts_as_a_plain_mean_and_not_at_the_first_weights(pictures):
    one, two = ({"steps": 1, "records": 1}, {"steps": 2, "records": 2})
    first, second = (
        trained(pictures, ema_decay=0.0, **about).model.generator.state_dict()
        for about in (one, two)
    )
    smooth = trained(pictures, ema_decay=0.999, **two).model.generator.state_dict()
    for name, value in smooth.items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2)


@pytest.mark.parametrize(
    "rules",
    [
        {"loss": "minimax"},
        {"loss": "wasserstein", "clip_value": 0.05, "optimizer": "rmsprop", "n_critic": 2},
        {"loss": "wasserstein", "gp_weight": 10.0, "betas": (0.0, 0.9), "n_critic": 2},
        {"real_target": 0.9, "match_features": True, "history_weight": 0.1, "lr_last": 0.0},
    ],
    ids=["minimax", "clipping", "penalty", "devices"],
)
def test_every_game_can_be_played(pictures, rules):
    (generator, discriminator), history, *_ = trained(pictures, **rules)
    assert all(np.isfinite(v).all() for v in history.values()) and sample(
        generator, n=3, seed=1
    ).shape == (3, 28, 28)
    assert ("penalty" in history) == ("gp_weight" in rules or "history_weight" in rules)
    if "clip_value" in rules:
        assert max(float(p.detach().abs().max()) for p in discriminator.parameters()) <= np.float32(
            0.05
        )


def test_a_training_moves_images_towards_the_data(pictures):
    """The mean grey of a picture starts near ½ and must end nearer to that of the data."""
    (generator, _), history, *_ = trained(pictures, steps=300, lr=5e-3, ema_decay=0.5)
    goal, start = float(pictures.mean()), 0.5
    found = float(sample(generator, n=100, seed=0).mean())
    assert abs(found - goal) < 0.5 * abs(start - goal)
    assert abs(float(history["snapshot"][0].mean()) - goal) > abs(
        float(history["snapshot"][-1].mean()) - goal
    )


def watched(monkeypatch):
    """(player, its images and labels) of every update from now on, as they come."""
    seen, updates = [], (game.discriminator_update, game.generator_update)
    for which, update in zip("dg", updates, strict=True):

        def told(playing, real, *more, which=which, update=update):
            seen.append((which, real, *more[:-1]))
            return update(playing, real, *more)

        monkeypatch.setattr(game, update.__name__, told)
    return seen


def test_the_discriminator_is_trained_progressively_more(pictures, monkeypatch):
    seen = watched(monkeypatch)
    trained(pictures, steps=6, records=1, n_critic=(1, 2, 3))
    assert "".join(which for which, *_ in seen) == "dgdg" + "ddgddg" + "dddgdddg"


def test_classes_are_learnt_with_their_labels(pictures):
    about = {"labels": np.arange(200) % 10, "steps": 4, "records": 2, "grid": 20, "seed": 0}
    (net, _), history, *_ = game.train_gan(
        pictures, *players(n_classes=10), rules=game.Rules(batch_size=20), **about
    )
    assert {"class_loss_real", "class_loss_fake", "generator_class_loss"} <= set(history)
    np.testing.assert_allclose(
        history["snapshot"][-1], sample(net, n=20, seed=0, labels=np.arange(20) % 10), atol=1e-3
    )


def test_stacked_images_are_triples_of_the_data(pictures, monkeypatch):
    seen = watched(monkeypatch)
    nets = (
        dcgan_generator(5, width=2, channels=3, seed=0),
        dcgan_discriminator(width=2, channels=3, seed=0),
    )
    playing, rules = opened(*nets, batch_size=5)
    batches = Batches((torch.arange(60.0).view(60, 1, 1, 1).expand(60, 1, 28, 28),), 5 * 3)
    for _ in range(8):  # two epochs
        game.update(playing, batches, rules)
    reals = [real for which, real, *_ in seen if which == "d"]
    assert reals[0].shape == (5, 3, 28, 28)
    for epoch in (reals[:4], reals[4:]):
        assert torch.cat(epoch)[..., 0, 0].flatten().sort().values.tolist() == list(range(60))
    assert not torch.equal(reals[0], reals[4])
    seen.clear()
    about = {"steps": 2, "records": 1, "grid": 4, "seed": 0}
    _, history, *_ = game.train_gan(pictures, *nets, rules=game.Rules(batch_size=10), **about)
    assert history["snapshot"].shape == (1, 4, 3, 28, 28)
    data = {image.tobytes() for image in 2 * pictures - 1}
    shown = torch.cat([real for _, real, *_ in seen]).flatten(0, 1)
    assert {x.numpy().tobytes() for x in shown} <= data


def test_an_update_sees_images_with_their_labels(monkeypatch):
    seen = watched(monkeypatch)
    y = torch.arange(40)
    playing, rules = opened(*players(n_classes=40), batch_size=10)
    game.update(playing, Batches((y.float().view(40, 1, 1, 1).expand(40, 1, 28, 28), y), 10), rules)
    (_, x, labels), _ = seen
    assert torch.equal(x[:, 0, 0, 0], labels.float()) and x.shape == (10, 1, 28, 28)
    assert not torch.equal(labels, y[:10])  # in another order than the data's


def test_bad_input_is_refused_in_words(pictures):
    g, d = players()
    labels = np.zeros(200, int)
    for rules, words in (
        ({"loss": "hinge"}, "loss='hinge' must be one of minimax"),
        ({"n_critic": 0}, "n_critic=0"),
        ({"n_critic": ()}, "n_critic="),
        ({"real_target": 0.5}, "real_target=0.5 must be in"),
        ({"real_target": 0.9, "loss": "wasserstein"}, "and 1 for a critic"),
        ({"steps": 0}, "steps=0 must be at least 4"),
        ({"batch_size": 201}, "batch_size=201"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"ema_decay": 1.0}, "ema_decay=1.0"),
        ({"gp_weight": -1.0}, "at least 0"),
        ({"labels": labels}, "labels given: all three with classes, or none"),
    ):
        with pytest.raises(ValueError, match=words):
            trained(pictures, **rules)
    about = {"steps": 2, "records": 1, "seed": 0, "rules": game.Rules(batch_size=10)}
    slopes = about | {"rules": game.Rules(batch_size=10, gp_weight=1.0)}
    for call, words in (
        (lambda: game.train_gan(pictures, g, d, **slopes), "must not mix them"),
        (lambda: game.train_gan(pictures[:, :14], g, d, **about), r"must be \(n, 28, 28\)"),
        (lambda: game.train_gan(pictures * np.nan, g, d, **about), "grey values"),
        (lambda: game.train_gan(pictures, *players(n_classes=10), **about), "labels missing"),
        (
            lambda: game.train_gan(pictures, *players(n_classes=10), labels=labels - 1, **about),
            "whole numbers from 0 to 9",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call()
