"""Boltzmann machines on binary images, in JAX (machine: NumPy).

machine: every state of a small one.  rbm, training, likelihood: the restricted one; several: many
at once; missing: pixels that are not known; epochs: the loop that all trainings share.  dbn, dbm,
helmholtz: deep ones; classifier: their weights, fine-tuned to tell classes.
"""
