"""Boltzmann machines on binary images: machine (exact, small), rbm, training, likelihood, missing, dbn, dbm, helmholtz.  JAX."""
