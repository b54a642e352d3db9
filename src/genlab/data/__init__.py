"""Data: two-dimensional densities and the two image sets, in NumPy."""
