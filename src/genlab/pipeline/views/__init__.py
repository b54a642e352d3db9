"""Views of runs: the book, comparisons, sweeps, tables."""
