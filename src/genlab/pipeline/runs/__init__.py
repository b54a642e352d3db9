"""Runs: sections as data, keys, the store, published results."""
