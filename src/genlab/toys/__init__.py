"""Generative models of two-dimensional data, in JAX: every training is one compiled loop."""
