"""Retrieval against sorting by hand, ties against all orders, words against bits, and clusters
against every naming."""

import itertools

import numpy as np
import pytest

from genlab.metrics import retrieval


@pytest.fixture
def small():
    """Six queries and thirty rows of five numbers in three classes."""
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(6, 5)),
        rng.normal(size=(30, 5)),
        rng.integers(0, 3, 6),
        np.arange(30) % 3,
    )


def test_without_ties_it_is_sorting_and_counting(small):
    queries, rows, query_labels, labels = small
    precision, recall = retrieval.precision_recall(
        queries, rows, query_labels, labels, at=[1, 7, 30]
    )
    for i, q in enumerate(queries):
        order = np.argsort(np.linalg.norm(rows - q, axis=1))
        for j, k in enumerate((1, 7, 30)):
            found = (labels[order[:k]] == query_labels[i]).sum()
            assert precision[i, j] == pytest.approx(found / k) and recall[i, j] == pytest.approx(
                found / 10
            )
    assert (recall[:, -1] == 1).all()
    farthest_first = retrieval.precision_recall(
        queries,
        rows,
        query_labels,
        labels,
        at=[1, 7, 30],
        distance=lambda x, y: -retrieval.euclidean(x, y),
    )
    assert not np.allclose(farthest_first[0], precision)


def test_ties_count_as_the_mean_over_all_orders():
    distances, same = np.array([[0, 1, 1, 1, 2]]), np.array([[True, False, True, True, False]])
    orders = [
        list(o)
        for o in itertools.permutations(range(5))
        if (np.diff(distances[0][list(o)]) >= 0).all()
    ]
    assert len(orders) == 6
    for k in range(1, 6):
        expected = np.mean([same[0][o[:k]].sum() for o in orders])
        assert retrieval.hits(distances, same, [k])[0, 0] == pytest.approx(expected)
    as_they_stand = same[0][np.argsort(distances[0], kind="stable")][
        :2
    ].sum()  # the twin: the order of the file decides
    assert as_they_stand != retrieval.hits(distances, same, [2])[0, 0]


def test_unsorted_and_repeated_ranks_keep_their_places(small):
    queries, rows, query_labels, labels = small
    there, back = ([4, 9, 2], [2, 4, 9])
    first = retrieval.precision_recall(queries, rows, query_labels, labels, at=there)[0]
    assert np.array_equal(
        first[:, [2, 0, 1]],
        retrieval.precision_recall(queries, rows, query_labels, labels, at=back)[0],
    )


def test_many_queries_are_searched_in_parts(small):
    _, rows, _, labels = small
    queries, query_labels = np.tile(rows, (9, 1)), np.tile(labels, 9)
    precision, _ = retrieval.precision_recall(queries, rows, query_labels, labels, at=[1])
    assert (
        len(queries) > 2 * retrieval.QUERIES_AT_A_TIME
        and precision.shape == (270, 1)
        and (precision == 1).all()
    )


def test_words_differ_in_as_many_bits_as_rows_do():
    rng = np.random.default_rng(0)
    x, y = rng.random((7, 64)) < 0.5, rng.integers(0, 2, (5, 64))
    found = retrieval.hamming(retrieval.pack(x), retrieval.pack(y))
    assert found.shape == (7, 5) and np.array_equal(found, (x[:, None] != y[None]).sum(2))
    assert len(np.unique(retrieval.pack(np.eye(64)))) == 64


def test_random_codes_find_a_class_as_often_as_it_occurs():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 3000)
    words = retrieval.pack(rng.random((3000, 64)) < 0.5)
    precision, _ = retrieval.precision_recall(
        words[:1000], words[1000:], labels[:1000], labels[1000:], distance=retrieval.hamming
    )
    # ten independent draws a query
    assert abs(precision.mean() - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 10_000)


def test_clusters_are_named_as_well_as_possible():
    rng = np.random.default_rng(0)
    assigned, labels = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    best = max(
        (np.array(names)[assigned] == labels).mean() for names in itertools.permutations(range(4))
    )
    assert retrieval.cluster_accuracy(assigned, labels) == pytest.approx(best)
    assert (
        retrieval.cluster_accuracy((labels + 1) % 4, labels)
        == 1
        > (labels == (labels + 1) % 4).mean()
    )
    # one cluster a class, the others unnamed
    assert retrieval.cluster_accuracy(np.arange(50), labels) == pytest.approx(4 / 50)


def test_bad_input_is_refused_in_words(small):
    queries, rows, query_labels, labels = small
    for call, words in (
        (lambda: retrieval.pack(np.zeros((3, 63))), r"shape \(3, 63\): 64 zeros and ones"),
        (lambda: retrieval.pack(np.full((3, 64), 0.5)), "64 zeros and ones"),
        (
            lambda: retrieval.precision_recall(queries, rows, query_labels, labels, at=[31]),
            r"at=\[31\], the nearest of 30",
        ),
        (
            lambda: retrieval.precision_recall(queries, rows, query_labels, labels, at=[0]),
            "at least 1",
        ),
        (
            lambda: retrieval.precision_recall(queries, rows, query_labels[:3], labels),
            r"query_labels of shape \(3,\): give \(6,\)",
        ),
        (
            lambda: retrieval.precision_recall(queries, rows, query_labels + 9, labels),
            "no row of the database is of class",
        ),
        (
            lambda: retrieval.cluster_accuracy(np.zeros(3, int), np.zeros(2, int)),
            r"labels of shape \(2,\): give \(3,\)",
        ),
    ):
        with pytest.raises(ValueError, match=words):
            call()
