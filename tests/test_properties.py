"""One contract for every public function that takes arrays: whatever the form of its arguments, the
answer is right, or a ValueError names the argument.

The calls are in `contract`; a function without an entry there fails.
"""

import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from contract import CASES, TRAININGS, Case
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import genlab

# A failing example is printed as it is: to shrink it would take longer than all the tests.
FEW = settings(
    max_examples=2, derandomize=True, deadline=None, database=None, phases=[Phase.generate]
)

# Act on arrays that one of the functions above has seen, most of them inside a compiled program.
INSIDE = {
    "boltzmann.rbm": "hidden_input visible_energy free_energy hidden_given_visible gibbs_step"
    " visible_given_hidden sample_bits sample_visible",
    "boltzmann.dbm": "energy mean_field entropy gibbs_step gibbs_chain update",
    "boltzmann.dbn": "up log_bernoulli update",
    "boltzmann.exact": "from_layers",  # names weights[i] itself
    "boltzmann.likelihood": "walk mean_weight",
    "boltzmann.helmholtz": "update",
    "boltzmann.clamped": "sweep",
    "boltzmann.shape": "by_patch spread alike tied update first_layer_update second_layer_update",
    "boltzmann.sigmoid_net": "logits update",
    "boltzmann.training": "update negative_phase tempered_phase exchange",
    "toys.adversarial": "update",
    "toys.players": "minimax minimax_bare minimax_logits non_saturating hinge relativistic"
    " losses_of batch_norm layered generate discriminate gradient_penalty start_directions"
    " spectral_norm",
    "toys.diffusion": "predict_noise noise_prediction_loss draw update",
    "toys.diffusion_recipes": "predict_noise draw update flow_log_probs",
    "toys.bound": "nll_terms losses_by_level",  # what a model of `train_diffusion` made
    "toys.energy": "energy contrastive_loss absolute_loss update noise_like run_chains"
    " train_chains",
    "toys.energy_repairs": "walk energy_of update",
    "toys.contrast": "log_noise nce_loss update",
    "toys.flow_matching": "velocity matching_loss draw update flow",
    "toys.normalizing_flow": "knots spline forward backward log_prob update",
    "toys.variational": "init normal log_normal log_weights bound update",
    "toys.langevin": "mala unadjusted_langevin uniform_jump alternate score_of",
    # Of functions: see test_checks.
    "metrics.likelihood": "log_z_on_grid draw_on_grid rank_correlation",
    "autoencoders.deep": "started unroll",
    "toys.networks": "mlp fourier_features fourier_mlp",
    "toys.samplers": "start_at",  # in every sampler
    "toys.score": "score dsm_loss tabulated_score update",
    "images.networks": "rebuilt",  # how a network is pickled
    "games.growing": "enlarged phase_seconds",  # drawn images; a training's own border
    "games.players": "sample",  # of labels alone, which `generated` reads
    "metrics.retrieval": "hamming",  # of words, not of numbers: see its own tests
    "metrics.scorecard": "measured",
    "metrics.power": "effect share_seen false_alarms smallest_seen",  # of scores: see its own tests
    "training": "left",  # a history that a training has written
    "training.jax": "train train_stack train_averaged minibatch",
}
ROOMS = (
    "transport",
    "metrics",
    "data",
    "boltzmann",
    "toys",
    "images",
    "autoencoders",
    "games",
    "training",
)


def modules() -> list:
    names = [name for _, name, _ in pkgutil.walk_packages(genlab.__path__, "genlab.")]
    return [importlib.import_module(n) for n in names if n.split(".")[1] in ROOMS]


def takes_arrays(f: Callable) -> bool:
    about = inspect.signature(f).parameters.items()
    told = [str(p.annotation) for name, p in about if name != "key"]
    return any("ndarray" in a or "jax.Array" in a for a in told)


def discovered() -> set[str]:
    """Public functions of the library that take arrays, as "room.module.function"."""
    return {
        f"{module.__name__.removeprefix('genlab.')}.{name}"
        for module in modules()
        for name, f in vars(module).items()
        if not name.startswith("_") and callable(f) and not inspect.isclass(f)
        and getattr(f, "__module__", "") == module.__name__ and takes_arrays(f)
    }  # fmt: skip


def test_every_function_that_takes_arrays_has_its_contract():
    inside = {f"{module}.{name}" for module, names in INSIDE.items() for name in names.split()}
    kept = set(CASES) | set(TRAININGS) | inside
    assert discovered() - kept == set()
    assert inside - discovered() == set() and not inside & (set(CASES) | set(TRAININGS))
    # The wrong twin: an entry that is missing is seen.
    assert discovered() - (kept - {"metrics.distances.w2"}) == {"metrics.distances.w2"}


# --- the contract ---

FORMS: dict[str, Callable] = {
    "float32": lambda x: x.astype(np.float32),
    "int64": lambda x: x.astype(np.int64),
    "uint8": lambda x: x.astype(np.uint8),
    "bool": lambda x: x.astype(bool),
    "list": lambda x: x.tolist(),
    "int8": lambda x: x.astype(np.int8),
    "float16": lambda x: x.astype(np.float16),
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "torch": torch.from_numpy,
    "jax": jnp.asarray,
}
BAD: dict[str, Callable] = {
    "nan": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, np.nan, x),
    "infinite": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.inf, x),
    "complex": lambda x: x.astype(complex),
    "strings": lambda x: x.astype(str),
    "objects": lambda x: x.astype(object),
    "masked": lambda x: np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) == 0),
    "empty": lambda x: x[:0],
    "deeper": lambda x: x[None],
    "flat": lambda x: x.ravel()[0],
    "ragged": lambda x: [*x[:-1].tolist(), [[1.0], 2.0]],
    "nothing": lambda x: object(),
}


def leaves(result) -> list[np.ndarray]:
    return [np.asarray(x, np.float64) for x in jax.tree.leaves(result)]


def alike(a, b, loose: float, factor: float = 1.0) -> bool:
    pairs = list(zip(leaves(a), leaves(b), strict=True))
    size = max((np.abs(factor * y).max(initial=0) for _, y in pairs), default=0)
    return all(
        x.shape == y.shape and np.abs(x - factor * y).max(initial=0) <= loose * (size or factor)
        for x, y in pairs
    )


def called(case: Case, about: dict):
    """What the function returns, or the ValueError that names an argument, or a complaint."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            found = case.f(**about)
        except ValueError as error:
            return error if any(name in str(error) for name in about) else f"names none: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    finite = all(np.isfinite(x).all() for x in leaves(found))
    return found if finite else "a number that is not finite"


def wrong_forms(case: Case, seed: int, names=FORMS) -> list[str]:
    """Forms of the same numbers whose answer is another one, or refused; and changed arguments."""
    about = case.make(np.random.default_rng(seed))
    right, found = case.f(**about), []
    for form in names:
        exact = {n: _exactly(FORMS[form], x) for n, x in about.items()}
        given = {
            n: x if e is None else e
            for (n, x), e in zip(about.items(), exact.values(), strict=True)
        }
        if all(e is None for e in exact.values()):
            continue
        before = {n: np.array(x) for n, x in given.items()}
        answer = called(case, given)
        pixels = any(x.ndim == 3 and x.shape[1:] == (28, 28) for x in about.values())
        if form == "uint8" and pixels:  # bytes: 1 of 255 is no bit
            ok = isinstance(answer, ValueError)
        else:
            ok = not isinstance(answer, (str, ValueError)) and alike(answer, right, case.loose)
        found += [] if ok else [f"{form}: {answer}, not {right}"]
        changed = [n for n, x in given.items() if not np.array_equal(before[n], np.array(x))]
        found += [f"{form}: {n} is changed" for n in changed]
    return found


def _exactly(form: Callable, x: np.ndarray):
    """x in another form if that holds the same numbers, else None."""
    given = form(x)
    return given if np.array_equal(np.asarray(given, np.float64), x) else None


def accepted(case: Case, seed: int) -> list[str]:
    """Bad arguments that are not refused by a ValueError which names an argument."""
    about, found = case.make(np.random.default_rng(seed)), []
    for name in about:
        for bad in BAD.keys() - case.allows:
            answer = called(case, about | {name: BAD[bad](about[name])})
            if not isinstance(answer, ValueError):
                found.append(f"{bad} {name}: {str(answer)[:200]}")
    return found


def broken_laws(case: Case, seed: int) -> list[str]:
    """Laws that do not hold: scale, distance from the origin, order, repetition; and one row."""
    rng = np.random.default_rng(seed)
    about = case.make(rng)
    right, found = case.f(**about), []
    names, power = case.scale or ((), 0)
    for c in (1e-9, 1e-3, 1e9) if names else ():
        answer = called(case, {n: c * x if n in names else x for n, x in about.items()})
        if not _is(answer, right, max(case.loose, 1e-7), c**power):
            found.append(f"scale {c:g}: {answer}, not {c**power:g} times {right}")
    for move in (-1e6, 1.7e9) if case.far else ():
        answer = called(case, {n: x + move if n in case.far else x for n, x in about.items()})
        if not _is(answer, right, max(case.loose, 1e-6)):
            found.append(f"moved by {move:g}: {answer}, not {right}")
    shuffled = {n: rng.permutation(x) if n in case.order else x for n, x in about.items()}
    doubled = {n: np.repeat(x, 2, 0) if n in case.twice else x for n, x in about.items()}
    laws = [("order", shuffled)] * bool(case.order) + [("twice", doubled)] * bool(case.twice)
    for law, rows in laws:
        if not _is(answer := called(case, rows), right, max(case.loose, 1e-9)):
            found.append(f"{law}: {answer}, not {right}")
    answer = called(case, {n: x[:1] for n, x in about.items()})
    return [*found, f"one row: {answer}"] if isinstance(answer, str) else found


def _is(answer, right, loose: float, factor: float = 1.0) -> bool:
    return not isinstance(answer, (str, ValueError)) and alike(answer, right, loose, factor)


@pytest.mark.parametrize("name", CASES)
@FEW
@given(seed=st.integers(0, 99))
def test_any_form_of_the_same_numbers_gives_the_same(name, seed):
    case = CASES[name]
    assert wrong_forms(case, seed, ["int64"] if case.slow else FORMS) == []


@pytest.mark.parametrize("name", [*CASES, *TRAININGS])
def test_what_is_no_such_argument_is_refused_by_its_name(name):
    assert accepted({**CASES, **TRAININGS}[name], 0) == []


@pytest.mark.parametrize("name", [n for n, case in CASES.items() if not case.slow])
@FEW
@given(seed=st.integers(0, 99))
def test_laws_hold_from_the_smallest_scale_to_the_farthest_place(name, seed):
    assert broken_laws(CASES[name], seed) == []


BORDERS = ("train_rbm", "train_classifier", "train_linear_rbm", "train_critic", "line.train")


@pytest.mark.parametrize("name", [n for n in TRAININGS if any(b in n for b in BORDERS)])
def test_a_training_learns_the_same_from_integers(name):
    assert wrong_forms(TRAININGS[name], 0, ["uint8"]) == []


def wrapping(x, y):
    """`retrieval.euclidean` as it was: bytes wrap around, squares far away drown."""
    x, y = np.asarray(x), np.asarray(y)
    return np.diff((y * y).sum(1) - 2 * x @ y.T, axis=1)


def trusting(assigned, labels):
    """`cluster_accuracy` without a look at its arguments."""
    assigned, labels = (np.nan_to_num(np.asarray(x, float)).astype(int) for x in (assigned, labels))
    return (assigned == labels).mean() if labels.size else 0.0


TWINS = [
    ("metrics.retrieval.euclidean", wrapping, wrong_forms, "uint8"),
    ("metrics.retrieval.euclidean", wrapping, broken_laws, "moved by"),
    ("metrics.retrieval.cluster_accuracy", trusting, accepted, "nan"),
    ("metrics.images.frechet_distance", lambda real, generated: 1.0, broken_laws, "scale"),
]


@pytest.mark.parametrize(("name", "twin", "finds", "what"), TWINS)
def test_a_planted_twin_is_found(name, twin, finds, what):
    assert any(what in complaint for complaint in finds(replace(CASES[name], f=twin), 0))
    assert not any(what in complaint for complaint in finds(CASES[name], 0))
