"""The gate: whether results are what they used to be."""

LEAST_SEEDS = 8  # behind a baseline
SEEDS = 20  # behind one that is written anew, unless fewer are asked for
