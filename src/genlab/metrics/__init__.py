"""Measures of generated samples and of likelihoods: NumPy in, floats out, each with the null
distribution to judge it by."""
