"""The sigmoid classifier: its formula, its gradient's effect, the side channel, and bad labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from genlab.boltzmann import sigmoid_net
from genlab.training import Diverged


@pytest.fixture
def clouds(rng):
    """Three separable clouds in the plane and their labels."""
    labels = rng.integers(0, 3, 600)
    return (np.array([[0, 3], [3, -2], [-3, -2]])[labels] + rng.normal(size=(600, 2))).astype(
        np.float32
    ), labels


def test_logits_are_the_formula(key, rng):
    layers = sigmoid_net.init_layers([2, 4, 3], key=key)
    x, side = rng.normal(size=(5, 2)), rng.normal(size=(5, 3))
    first = layers[0]._replace(side=jnp.asarray(rng.normal(size=(3, 4)), jnp.float32))
    W, c, s = (np.asarray(a) for a in first)
    expected = expit(x @ W + c + side @ s) @ np.asarray(layers[1].W) + np.asarray(layers[1].c)
    np.testing.assert_allclose(sigmoid_net.logits([first, layers[1]], x, side), expected, atol=1e-5)
    assert np.abs(sigmoid_net.logits(layers, x) - expected).max() > 0.01


def test_dropout_keeps_the_mean(key):
    layers = sigmoid_net.with_output([sigmoid_net.Layer(jnp.zeros((2, 1000)), jnp.zeros(1000))], 1)
    layers[1] = layers[1]._replace(W=jnp.ones((1000, 1)) / 1000)
    x = jnp.zeros((200, 2))
    dropped = sigmoid_net.logits(layers, x, dropout=0.4, key=key)
    assert float(dropped.std()) > 1e-3
    assert abs(float(dropped.mean()) - 0.5) < 5 * float(dropped.std()) / np.sqrt(200)


@pytest.mark.slow
def test_it_learns_and_random_labels_do_not_generalise(clouds, key, rng):
    x, labels = clouds
    layers = sigmoid_net.init_layers([2, 16, 3], key=key)
    about = {"epochs": 30, "seed": 0, "rules": sigmoid_net.Rules(lr=0.02, batch_size=50)}
    trained, history, *_ = sigmoid_net.train_classifier(layers, x[:400], labels[:400], **about)
    assert (np.asarray(sigmoid_net.predict(trained, x[400:])) == labels[400:]).mean() > 0.93
    assert history["loss"][-1] < 0.3 < history["loss"][0] and history["step"][-1] == 240
    mixed = rng.permutation(labels[:400])
    shuffled = sigmoid_net.train_classifier(layers, x[:400], mixed, **about).model
    assert (np.asarray(sigmoid_net.predict(shuffled, x[400:])) == labels[400:]).mean() < 0.6


def test_a_side_channel_can_carry_the_label(clouds):
    x, labels = clouds
    side = np.eye(3, dtype=np.float32)[labels]
    layers = sigmoid_net.with_output(
        [
            sigmoid_net.Layer(
                np.zeros((2, 8)), np.zeros(8), np.random.default_rng(0).normal(size=(3, 8))
            )
        ],
        3,
    )
    rules = sigmoid_net.Rules(lr=0.02, batch_size=50)
    trained = sigmoid_net.train_classifier(
        layers, 0 * x, labels, side=side, epochs=30, seed=0, rules=rules
    ).model
    assert (np.asarray(sigmoid_net.predict(trained, 0 * x, side)) == labels).mean() == 1.0


def test_zero_weights_are_logistic_regression(clouds):
    x, labels = clouds
    fitted, history, *_ = sigmoid_net.train_classifier(
        [sigmoid_net.Layer(np.zeros((2, 3)), np.zeros(3))],
        x,
        labels,
        epochs=1,
        seed=0,
        rules=sigmoid_net.Rules(batch_size=600),
    )
    assert history["loss"][0] == pytest.approx(np.log(3), abs=1e-6)
    onehot = np.eye(3)[labels]
    # Adam's first step has the size of lr in every coordinate
    sign = -np.sign(x.T @ (1 / 3 - onehot))
    np.testing.assert_allclose(fitted[0].W, 1e-3 * sign, rtol=1e-3)
    assert jax.tree.leaves(fitted)[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"labels": [0, 1, 3]}, "from 0 to 3"),
        ({"labels": [0, -1, 1]}, "from -1"),
        ({"labels": [0, 1]}, r"labels of shape \(2,\)"),
        ({"epochs": 0}, "epochs=0"),
        ({"rules": sigmoid_net.Rules(batch_size=4)}, "batch_size=4"),
    ],
)
def test_bad_input(key, about, message):
    rules = sigmoid_net.Rules(batch_size=3)
    good = {"labels": [0, 1, 2], "epochs": 1, "seed": 0, "rules": rules}
    with pytest.raises(ValueError, match=message):
        sigmoid_net.train_classifier(
            sigmoid_net.init_layers([2, 3], key=key), np.zeros((3, 2)), **(good | about)
        )
    with pytest.raises(Diverged, match="training of the classifier stopped at step"):
        sigmoid_net.train_classifier(
            sigmoid_net.init_layers([2, 3], key=key), np.full((3, 2), 1e38), **good
        )


def check_predictions(predict, layers, x) -> None:
    """The class of the formula without dropout, twice the same."""
    (W1, c1, _), (W2, c2, _) = layers
    formula = (expit(x @ np.asarray(W1) + c1) @ np.asarray(W2) + c2).argmax(1)
    assert np.array_equal(predict(layers, x), formula)
    assert np.array_equal(predict(layers, x), predict(layers, x))


def test_nothing_is_dropped_when_classes_are_predicted(key, rng):
    """Many weak units: without any of them the close calls turn out otherwise."""
    layers = sigmoid_net.init_layers([2, 200, 3], key=key)
    x = rng.normal(size=(400, 2)).astype(np.float32)
    check_predictions(lambda *a: np.asarray(sigmoid_net.predict(*a)), layers, x)

    def twin(layers, x):
        return np.asarray(sigmoid_net.logits(layers, x, dropout=0.5, key=key)).argmax(1)

    with pytest.raises(AssertionError):
        check_predictions(twin, layers, x)
