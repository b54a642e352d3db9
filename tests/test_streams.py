"""Streams of one seed are distinct, repeatable and independent; unknown names are refused."""

import numpy as np
import pytest

from genlab.streams import STREAMS, stream


def test_streams_are_repeatable_and_distinct():
    table = {(seed, name): stream(seed, name) for seed in range(200) for name in STREAMS}
    assert table == {(seed, name): stream(seed, name) for seed, name in table}
    assert len(set(table.values())) == len(table)
    assert all(0 <= value < 2**31 for value in table.values())


def test_neighbouring_seeds_are_uncorrelated():
    a = np.stack(
        [np.random.default_rng(stream(seed, "data")).standard_normal(4_000) for seed in range(12)]
    )
    correlation = np.corrcoef(a)[np.triu_indices(12, 1)]
    # five standard errors of a null correlation
    assert np.abs(correlation).max() < 5 / np.sqrt(a.shape[1])


def test_unknown_stream_is_refused_by_name():
    with pytest.raises(ValueError, match=r"unknown random stream 'noise'.*init, data, train"):
        stream(0, "noise")
