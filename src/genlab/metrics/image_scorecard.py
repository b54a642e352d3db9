"""The scorecard of a generator of images, in the features and probabilities of a classifier and in
pixels: every measure at one n, the same for real against real, and for a rival that knows nothing
but the mean.

    real = Seen(test_images, features, probabilities)
    null = null_scorecards(real, n=5000, draws=20, rng=rng)
    cards = [scorecard(Seen(x, *judged(judge, x)), real, rng=rng) for x in samples_at_seeds]
    for row in measured("gan", cards, null, n=5000):
        section.record(**row)
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from genlab import checks
from genlab.metrics import images

# Unit and which way is better; the best value that is possible is the one of real images.
MEASURES: dict[str, tuple[str, str]] = {
    "frechet": ("", "lower"),
    "precision": ("", "higher"),
    "recall": ("", "higher"),
    "modes_of_ten": ("classes", "higher"),
    "sure_modes": ("classes", "higher"),
    "class_entropy": ("nats", "higher"),
    "ms_ssim": ("", "target"),
    "swd_average": ("1e-3", "lower"),
}
SURE = 0.5  # probability from which on the classifier counts as sure


class Seen(NamedTuple):
    """Images (n, 28, 28) in [0, 1], and what a classifier says of them: features (n, d) and
    probabilities (n, classes)."""

    images: np.ndarray
    features: np.ndarray
    probabilities: np.ndarray

    def some(self, which: np.ndarray) -> "Seen":
        """Those images, by index."""
        return Seen(*(part[which] for part in self))


def scorecard(generated: Seen, real: Seen, *, rng: np.random.Generator) -> dict[str, float]:
    """Every measure of generated images beside equally many real ones: {measure: value}.

    ms_ssim is the mean likeness of two generated images, swd_average the mean over the levels of
    `images.swd`.  ValueError for sets of unequal size.
    """
    if len(generated.images) != len(real.images):
        raise ValueError(
            f"{len(generated.images)} generated and {len(real.images)} real images: the measures "
            "depend on the number, so give equally many"
        )
    precision, recall = images.precision_and_recall(real.features, generated.features)
    modes, entropy = images.class_modes(generated.probabilities)
    values = (
        images.frechet_distance(real.features, generated.features),
        precision,
        recall,
        modes,
        images.class_modes(generated.probabilities, sure=SURE)[0],
        entropy,
        images.likeness(generated.images, rng=rng),
        images.swd(real.images, generated.images, rng=rng).mean(),
    )
    return {name: float(v) for name, v in zip(MEASURES, values, strict=True)}


def null_scorecards(
    real: Seen, *, n: int, draws: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The scorecard of n real images against n others, at `draws` random splits:
    {measure: (draws,)}.  ValueError for fewer than 2n images or two draws."""
    draws = checks.count(draws, "draws", 2, hint=" to show a spread")
    n = checks.count(n, "n", 2, len(real.images) // 2, f": half of {len(real.images)} real images")
    cards = []
    for _ in range(draws):
        order = rng.permutation(len(real.images))
        cards.append(scorecard(real.some(order[:n]), real.some(order[n : 2 * n]), rng=rng))
    return {name: np.array([card[name] for card in cards]) for name in MEASURES}


def independent_pixels(real: np.ndarray, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """A rival that knows nothing but what each pixel is like on its own: n images (n, 28, 28), each
    pixel that of a random one of the `real` images.  Its scorecard is the level of chance."""
    real = checks.images(real, "real")
    flat = real.reshape(len(real), -1)
    which = rng.integers(len(flat), size=(checks.count(n, "n"), flat.shape[1]))
    return np.take_along_axis(flat, which, axis=0).reshape(-1, *real.shape[1:])


def measured(
    case: str,
    cards: Sequence[Mapping[str, float]],
    null: Mapping[str, np.ndarray],
    *,
    n: int,
    measures: Mapping[str, tuple[str, str]] = MEASURES,
) -> list[dict[str, Any]]:
    """Arguments of `section.record` for every measure of `case`, of one model or of one training at
    each seed; the limit is what real images score in the mean.  ValueError for no card."""
    if not cards:
        raise ValueError(f"{case}: no scorecard")
    return [
        {
            "name": f"{case}/{name}",
            "values": [card[name] for card in cards] if len(cards) > 1 else cards[0][name],
            "over": "seeds" if len(cards) > 1 else None,
            "unit": unit,
            "better": better,
            "limit": float(null[name].mean()),
            "limit_is": "real images against others, mean of the splits",
            "null": null[name],
            "n": n,
        }
        for name, (unit, better) in measures.items()
    ]
