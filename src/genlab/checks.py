"""What an argument must be, said once for the whole package.

Each function takes a value and the name by which the caller knows it, and returns the value in the
form that the mathematics needs: integers, booleans, lists and arrays of any layout as floats,
labels as integers.  The caller's arrays are never changed.  A ValueError says in one line which
argument it is, what was found, the rule, and the remedy.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

RULES = {
    "finite": lambda x: True,
    "positive": lambda x: x > 0,
    "at least 0": lambda x: x >= 0,
    "in [0, 1]": lambda x: 0 <= x <= 1,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "in (0, 1)": lambda x: 0 < x < 1,
}
SIDE = 28  # pixels of an image each way
FAR = 1e3  # of the extent: points further from the origin are moved there to be compared


def traced(x: Any) -> bool:
    """Whether `x` is a stand-in inside a transformation of JAX, whose values nobody knows yet."""
    return any(kind.__name__ == "Tracer" for kind in type(x).__mro__)


def real(x: Any, name: str) -> np.ndarray:
    """`x` as an array of booleans, integers or floats.  ValueError for all else, as it is."""
    if np.ma.is_masked(x):
        raise ValueError(
            f"{name} hides {np.ma.count_masked(x)} values behind a mask: drop or fill them"
        )
    try:
        found = np.asarray(x)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f"{name} of type {type(x).__name__} is no array of numbers: give rows of equal length, "
            "detached from any graph"
        ) from None
    if found.dtype.kind not in "biuf":
        raise ValueError(f"{name} of type {found.dtype} must hold real numbers: convert it first")
    return found


def numbers(x: Any, name: str, dtype: Any = np.float64) -> np.ndarray:
    """`x` as an array of finite floats; dtype=None: single and double precision stay, all else
    becomes single.  ValueError for what is not finite."""
    found = real(x, name)
    if dtype is None:
        dtype = found.dtype if found.dtype in (np.float32, np.float64) else np.float32
    with np.errstate(over="ignore"):
        found = found.astype(dtype, copy=False)
    if bad := found.size - np.count_nonzero(np.isfinite(found)):
        raise ValueError(f"{name} holds {bad} values that are not finite: drop or replace them")
    return found


def number(value: Any, name: str, rule: str, hint: str = "") -> Any:
    """One finite number as a float, by one of RULES.  A traced one is returned as it is."""
    if traced(value):
        return value
    found = real(value, name)
    if found.ndim or not np.isfinite(found) or not RULES[rule](found):
        raise ValueError(f"{name}={value} must be {rule}" + (hint or ": give one finite number"))
    return float(found)


def count(value: Any, name: str, least: int = 1, most: float = np.inf, hint: str = "") -> Any:
    """A whole number from `least` to `most` as an int.  A traced one is returned as it is."""
    if traced(value):
        return value
    found = real(value, name)
    if found.ndim or found.dtype.kind == "f":
        raise ValueError(f"{name}={value} must be one whole number{hint}")
    if not least <= found <= most:
        bound = f"at least {least}" if found < least else f"at most {most}"
        raise ValueError(f"{name}={value} must be {bound}{hint}")
    return int(found)


def one_of(value: Any, name: str, options: Collection[str]) -> Any:
    """One of the `options`."""
    if value not in tuple(options):
        raise ValueError(f"{name}={value!r} must be one of {', '.join(options)}")
    return value


def shape(x: Any, name: str, wanted: tuple[int, ...], hint: str = "") -> Any:
    """`x` as it is, if it has the shape `wanted`: what a function of the caller returned, say."""
    if np.shape(x) != tuple(wanted):
        raise ValueError(f"{name} of shape {np.shape(x)} must be of shape {tuple(wanted)}{hint}")
    return x


def flags(x: Any, name: str, wanted: tuple[int, ...], hint: str = "") -> np.ndarray:
    """`x`, yes or no in numbers or booleans, as booleans of this shape; ValueError otherwise."""
    x = shape(real(x, name), name, wanted, hint)
    if not np.isin(x, (0, 1)).all():
        raise ValueError(f"{name} from {x.min()} to {x.max()} must say yes or no: booleans")
    return x.astype(bool)


def points(least: int, /, *, dtype: Any = np.float64, **clouds: Any) -> list[np.ndarray]:
    """Clouds of points, named by their keywords, as float arrays (n, d) of one d, each of `least`
    points or more."""
    found = {name: numbers(x, name, dtype) for name, x in clouds.items()}
    first = next(iter(found.values())).shape
    width = first[1] if len(first) == 2 and first[1] else "d"
    for name, x in found.items():
        if x.ndim != 2 or len(x) < least or x.shape[1] != width:
            raise ValueError(
                f"{name} of shape {x.shape} must be (n, {width}) with n of at least {least}: "
                "a point a row"
            )
    return [*found.values()]


def near_origin(*clouds: np.ndarray) -> list[np.ndarray]:
    """The clouds (n, d) as they are, or, if they lie further than FAR times their extent from the
    origin, moved there together: squares of large numbers would swallow the distances."""
    low = np.min([c.min(0) for c in clouds], axis=0).astype(np.float64)
    high = np.max([c.max(0) for c in clouds], axis=0).astype(np.float64)
    far = max(np.abs(low).max(), np.abs(high).max()) > FAR * (high - low).max()
    return [c - (low + (high - low) / 2) for c in clouds] if far else [*clouds]


def unit_of(cost: np.ndarray) -> float:
    """A power of two to divide costs by, so that a solver with absolute tolerances sees numbers of
    order one: 1 for costs of ordinary size."""
    largest = float(np.abs(cost).max())
    ordinary = not largest or 1e-3 <= largest <= 1e9
    return 1.0 if ordinary else float(2.0 ** np.round(np.log2(largest)))


def sets(least: int = 1, /, **stacks: Any) -> list[np.ndarray]:
    """Stacks (sets, n, 2) of as many planar data sets each, single precision."""
    found = [numbers(x, name, np.float32) for name, x in stacks.items()]
    for name, x in zip(stacks, found, strict=True):
        if x.ndim != 3 or x.shape[2] != 2 or min(x.shape) < least or len(x) != len(found[0]):
            raise ValueError(
                f"{name} of shape {x.shape} must be (sets, n, 2), one for each of "
                f"{len(found[0]) if found[0].ndim else 0} sets, none empty: data[None] is one set"
            )
    return found


def images(x: Any, name: str = "images") -> np.ndarray:
    """Grey values (n, 28, 28) in [0, 1], single precision; bytes are divided by 255.  ValueError
    for others, and for bytes that look like bits."""
    found = real(x, name)
    if found.ndim != 3 or found.shape[1:] != (SIDE, SIDE) or not len(found):
        raise ValueError(f"{name} of shape {found.shape} must be (n, 28, 28), n at least 1")
    if found.dtype == np.uint8:
        if found.max() == 1:
            raise ValueError(
                f"{name} of bytes from 0 to 1: bytes mean grey values up to 255, give bits as bool "
                "or float"
            )
        return found.astype(np.float32) / np.float32(255)
    if not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
        raise ValueError(
            f"{name} with grey values from {found.min()} to {found.max()}: give bytes, or finite "
            "numbers in [0, 1]"
        )
    return found.astype(np.float32)


def probabilities(v: Any, name: str, width: int | None = None) -> np.ndarray:
    """Rows (n, width) of bits, or of their probabilities, as floats."""
    found = real(v, name)
    if found.ndim != 2 or not found.shape[1] or found.shape[1] != (width or found.shape[1]):
        raise ValueError(
            f"{name} of shape {found.shape} must be (n, {width or 'n_visible'}): flatten the images"
        )
    if not found.size or not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
        values = f"values from {found.min():g} to {found.max():g}" if found.size else "no values"
        raise ValueError(
            f"{name} must hold probabilities within [0, 1] for binary units, not {values}: "
            "divide the pixels by 255"
        )
    return numbers(found, name, None)


def labels(x: Any, name: str = "labels", n: int | None = None, n_classes: float = np.inf):
    """Classes (n,) as integers from 0, below `n_classes`; whole floats and booleans are such."""
    found = real(x, name)
    if found.ndim != 1 or not len(found) or len(found) != (len(found) if n is None else n):
        raise ValueError(
            f"{name} of shape {found.shape}: give ({'n' if n is None else n},), one for each row, "
            "at least one"
        )
    low, high = found.min(), found.max()
    if not (np.isfinite(found).all() and (found == np.floor(found)).all()) or not (
        0 <= low <= high < n_classes
    ):
        top = "" if np.isinf(n_classes) else f" to {n_classes - 1}"
        raise ValueError(f"{name} from {low} to {high}: give whole numbers from 0{top}")
    return found.astype(np.int64)


def weights(w: Any, n: int, name: str) -> np.ndarray:
    """Weights (n,) as float64, uniform for None.  ValueError if they are not n finite numbers >= 0
    that sum to one, as nearly as their own precision can tell."""
    if w is None:
        return np.full(n, 1 / n)
    given = real(w, name)
    found = np.ascontiguousarray(given, np.float64)
    if found.shape != (n,):
        raise ValueError(f"{name} of shape {found.shape} must hold one weight for each of {n}")
    if not np.isfinite(found).all() or (found < 0).any():
        bad = int(np.argmax(~(found >= 0) | ~np.isfinite(found)))
        raise ValueError(f"{name}[{bad}]={found[bad]} must be finite and not negative")
    rough = given.dtype.kind == "f" and given.dtype.itemsize < 8
    if abs(found.sum() - 1) > (64 * np.finfo(given.dtype).eps if rough else 1e-8):
        raise ValueError(
            f"{name} sums to {found.sum():.9g}, it must sum to 1: divide it by its sum"
        )
    return found / found.sum() if rough else found


def levels(sigmas: Any, name: str = "sigmas", *, rising: bool = False, zero: bool = False) -> Any:
    """Noise levels (levels,), falling (or `rising`) and positive, the lowest perhaps `zero`; as
    they are.  Traced ones are believed."""
    if traced(sigmas):
        return sigmas
    found = numbers(sigmas, name)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"{name} of shape {found.shape} must be (levels,), at least one")
    down = found[::-1] if rising else found
    if (np.diff(down) > 0).any():
        way = "rise" if rising else "fall"
        raise ValueError(f"{name} from {found[0]:g} to {found[-1]:g} must {way}: sort them")
    if down[-1] < 0 or (down if not zero else down[:-1]).min(initial=np.inf) <= 0:
        last = ", the last perhaps 0" if zero else ""
        raise ValueError(f"{name} down to {down[-1]:g} must be positive{last}")
    return sigmas


def inv_temps(x: Any, name: str = "inv_temps") -> np.ndarray:
    """Inverse temperatures (m,) that rise from 0 to 1, single precision."""
    found = numbers(x, name, np.float32)
    if (
        found.ndim != 1 or len(found) < 2 or (found[0], found[-1]) != (0, 1)
        or (np.diff(found) < 0).any()
    ):  # fmt: skip
        raise ValueError(f"{name} of shape {found.shape} must rise from 0 to 1: see `schedule`")
    return found
