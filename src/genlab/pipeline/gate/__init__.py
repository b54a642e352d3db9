"""The gate: whether results are what they used to be."""

LEAST_SEEDS = 8  # behind a baseline
