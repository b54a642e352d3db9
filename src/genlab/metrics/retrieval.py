"""What codes know of classes nobody told them: precision and recall of a search by them, accuracy
of their clusters.

A search ranks a database by its distance from a query.  Hits are images of the query's class.
Where many are equally far, as with codes of bits, the order among them is arbitrary, and every
number here is its mean over all such orders.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from genlab import checks

QUERIES_AT_A_TIME = 100


def pack(bits: np.ndarray) -> np.ndarray:
    """Bits (n, 64), booleans or zeros and ones, as one 64-bit word a row, (n,) uint64.
    ValueError for anything else."""
    bits = checks.real(bits, "bits")
    if bits.ndim != 2 or not len(bits) or bits.shape[1] != 64 or not np.isin(bits, (0, 1)).all():
        raise ValueError(f"bits of shape {bits.shape}: 64 zeros and ones a row")
    return np.packbits(np.ascontiguousarray(bits, bool), axis=1).view(np.uint64)[:, 0]


def hamming(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Number of bits in which the words x (n,) and y (m,) differ, (n, m) uint8: an exclusive or and
    a count of ones."""
    for name, w in (("x", x := np.asarray(x)), ("y", y := np.asarray(y))):
        if w.ndim != 1 or w.dtype.kind != "u":
            raise ValueError(
                f"{name} of shape {w.shape}, {w.dtype}: unsigned words (n,), as packed"
            )
    return np.bitwise_count(x[:, None] ^ y[None])


def euclidean(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distance of rows x (n, d) and y (m, d) less ‖x‖², which is the same for all that a
    query is compared with; (n, m).  Far from the origin ‖x - c‖² with c in the middle of y."""
    x, y = checks.points(1, dtype=None, x=x, y=y)
    y, x = checks.near_origin(y, x)
    return (y * y).sum(1) - 2 * x @ y.T


def hits(distances: np.ndarray, same: np.ndarray, at: Sequence[int]) -> np.ndarray:
    """Hits among the k nearest, for each k of `at`, (queries, len(at)); distances and same
    (is it a hit?): (queries, database).

    Of those exactly as far as the k-th, as many as still fit are counted at their share of hits.
    """
    distances = checks.real(distances, "distances")
    if distances.ndim != 2 or not distances.size or np.isnan(distances).any():
        raise ValueError(f"distances of shape {distances.shape}: numbers (queries, database)")
    same = checks.flags(same, "same", distances.shape, ", as the distances")
    at = np.array([checks.count(k, "at") for k in np.atleast_1d(at)])
    if not len(at) or at.max() > distances.shape[1]:
        raise ValueError(
            f"at={at.tolist()}, the nearest of {distances.shape[1]}: at least one, at most all"
        )
    found = np.empty((len(distances), len(at)))
    kth = np.take_along_axis(
        np.partition(distances, np.unique(at - 1), axis=1), at[None] - 1, axis=1
    )
    for j, k in enumerate(at):
        nearer, level = distances < kth[:, j, None], distances == kth[:, j, None]
        share = (same & level).sum(1) / level.sum(1)
        found[:, j] = (same & nearer).sum(1) + (k - nearer.sum(1)) * share
    return found


def precision_recall(
    queries: np.ndarray,
    database: np.ndarray,
    query_labels: np.ndarray,
    labels: np.ndarray,
    *,
    at: Sequence[int] = (10,),
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray] = euclidean,
) -> tuple[np.ndarray, np.ndarray]:
    """Precision (hits among the k nearest / k) and recall (the same / all of the class) of every
    query, each (queries, len(at)).

    `distance` is `euclidean` for rows of numbers, `hamming` for `pack`ed words.  ValueError if
    labels and rows differ in number or a query's class is not in the database.
    """
    # Words stay words; what is no number, or not finite, is refused.
    queries, database = checks.real(queries, "queries"), checks.real(database, "database")
    for name, rows in (("queries", queries), ("database", database)):
        if not checks.numbers(rows, name, None).ndim:
            raise ValueError(f"{name}={rows} must be rows (n, ...)")
    query_labels = checks.labels(query_labels, "query_labels", len(queries))
    labels = checks.labels(labels, "labels", len(database))
    at = np.atleast_1d(at)
    if missing := set(np.unique(query_labels).tolist()) - set(np.unique(labels).tolist()):
        raise ValueError(f"no row of the database is of class {min(missing)}")
    found = []
    for i in range(0, len(queries), QUERIES_AT_A_TIME):
        rows = slice(i, i + QUERIES_AT_A_TIME)
        found.append(
            hits(distance(queries[rows], database), query_labels[rows, None] == labels, at)
        )
    every = np.concatenate(found)
    return every / np.asarray(at), every / (query_labels[:, None] == labels).sum(1, keepdims=True)


def cluster_accuracy(assigned: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows in the right class when clusters are named after classes, one to one, as well
    as possible (Hungarian method).

    assigned, labels (n,): integers from 0.  With more clusters than classes the rest stay unnamed
    and count as wrong.
    """
    assigned = checks.labels(assigned, "assigned")
    labels = checks.labels(labels, "labels", len(assigned))
    clusters, classes = (np.unique(x, return_inverse=True)[1] for x in (assigned, labels))
    table = np.zeros((clusters.max() + 1, classes.max() + 1))
    np.add.at(table, (clusters, classes), 1)
    return table[linear_sum_assignment(-table)].sum() / len(labels)
