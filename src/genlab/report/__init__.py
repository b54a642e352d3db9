"""The pipeline: sections, keys, the run store, execution, sweeps, and the book.  It imports no model code."""
