"""Machines trained together are the machines trained alone, and one that diverges leaves the
others as they are."""

from dataclasses import replace

import numpy as np
import pytest

from genlab.boltzmann import several, training

DATA = np.tile(
    np.array([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1]], np.float32), (20, 1)
)
RULES = training.Rules(batch_size=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rules",
    [RULES, replace(RULES, method="cd", k=3, centred=False, momentum=0.0, weight_decay=0.01)],
)
def test_each_machine_is_the_one_trained_alone(rules):
    seeds, rates = (0, 1, 0), (0.01, 0.1, 0.1)
    path = several.train_several(DATA, n_hidden=3, epochs=3, seeds=seeds, rates=rates, rules=rules)
    assert path.W.shape == (3, 3, 6, 3) and path.b.shape == (3, 3, 6) and path.c.shape == (3, 3, 3)
    for i, (seed, rate) in enumerate(zip(seeds, rates, strict=True)):
        # a constant rate: the short training is the beginning of the long one
        for epochs in (1, 3):
            alone = training.train_rbm(
                DATA, n_hidden=3, epochs=epochs, seed=seed,
                rules=replace(rules, lr=rate, lr_last=rate),
            ).model  # fmt: skip
            for part in "Wbc":
                np.testing.assert_allclose(
                    getattr(path, part)[epochs - 1, i], getattr(alone, part), rtol=1e-5, atol=1e-6
                )
    assert np.abs(path.W[-1, 1] - path.W[-1, 2]).max() > 1e-3  # another seed is another machine


@pytest.mark.slow
def test_a_machine_that_diverges_keeps_it_to_itself():
    about = {"n_hidden": 3, "epochs": 2, "rules": RULES}
    calm = several.train_several(DATA, seeds=[0], rates=[0.1], **about)
    both = several.train_several(DATA, seeds=[0, 0], rates=[0.1, 3e38], **about)
    assert not np.isfinite(both.W[-1, 1]).all()
    np.testing.assert_allclose(both.W[:, 0], calm.W[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"rates": [0.1]}, "2 seeds and 1 rates"),
        ({"seeds": [], "rates": []}, "0 seeds and 0 rates"),
        ({"rates": [0.1, -1.0]}, "lr=-1.0"),
        ({"rules": replace(RULES, k=0)}, "k=0"),
        ({"rules": replace(RULES, method="pt")}, "method='pt'"),
        ({"rules": replace(RULES, k_last=5)}, "k_last=5"),
        ({"data": 3 * DATA}, "values from 0 to 3"),
        ({"epochs": 0}, "epochs=0"),
        ({"rules": replace(RULES, batch_size=1000)}, "batch_size=1000"),
    ],
)
def test_what_makes_no_sense_is_refused(about, message):
    usual = {"data": DATA, "n_hidden": 3, "epochs": 1, "seeds": [0, 1], "rates": [0.1, 0.1]}
    about = usual | {"rules": RULES} | about
    with pytest.raises(ValueError, match=message):
        several.train_several(about.pop("data"), **about)
