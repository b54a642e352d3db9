"""The gate: whether results are what they used to be."""
