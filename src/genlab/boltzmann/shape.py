"""The shape Boltzmann machine (Eslami, Heess, Williams & Winn 2014): a deep Boltzmann machine whose
first hidden layer looks at four overlapping patches of the picture with the same weights.

It is a `dbm.DBM` whose W₁ is tied: the four blocks of its columns, one a patch, hold the same
numbers at the patch's pixels and zero elsewhere.  A training step of the DBM with W₁ replaced by
what `tied` makes of it stays a machine of this kind.  Without ties, with patches that do not
overlap, or with patches that are the whole picture the same code trains the rivals; many machines
of one size train side by side.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logit

from genlab import checks
from genlab.boltzmann import dbm, training
from genlab.boltzmann.dbm import DBM
from genlab.boltzmann.rbm import (
    RBM,
    hidden_given_visible,
    init_rbm,
    sample_bits,
    visible_given_hidden,
)
from genlab.streams import stream
from genlab.training import Trained
from genlab.training.jax import train

PATCHES = 4


class Layout(NamedTuple):
    """Who is connected to whom, and which weights are one.

    pixels (4, p): the pixels of each patch, n_visible where there is none; places (n_visible, 4):
    the place of each pixel in each patch, p where it is in none; ties (4, 4): whose steps a patch
    adds up, all ones where the patches share their weights; deep: 0 for a machine whose second
    layer stays unconnected, an RBM.
    """

    pixels: np.ndarray
    places: np.ndarray
    ties: np.ndarray
    deep: np.ndarray


def layout(side: int, overlap: int, *, shared: bool = True, deep: bool = True) -> Layout:
    """Four square patches in the corners of side² pixels, which overlap by `overlap` rows and
    columns; with overlap = side each of them is the whole picture.

    Raises ValueError unless side + overlap is even and overlap at most side.
    """
    side = checks.count(side, "side", 2)
    overlap = checks.count(overlap, "overlap", 0, side)
    if (side + overlap) % 2:
        raise ValueError(f"overlap={overlap} of side={side}: their sum must be even")
    width, shift = (side + overlap) // 2, (side - overlap) // 2
    corners = [(y, x) for y in (0, shift) for x in (0, shift)]
    grid = np.arange(side * side).reshape(side, side)
    pixels = np.stack([grid[y : y + width, x : x + width].ravel() for y, x in corners])
    ties = np.ones((PATCHES, PATCHES)) if shared else np.eye(PATCHES)
    return _with_places(pixels, side * side, ties, deep)


def _with_places(pixels: np.ndarray, n_visible: int, ties: np.ndarray, deep: bool) -> Layout:
    places = np.full((n_visible, PATCHES), pixels.shape[1])
    for patch, inside in enumerate(pixels):
        real = inside < n_visible
        places[inside[real], patch] = np.flatnonzero(real)
    return Layout(pixels, places, ties.astype(np.float32), np.float32(deep))


def stack(layouts: Sequence[Layout]) -> Layout:
    """Layouts of one picture as one, each field (m, ...); smaller patches are filled up with pixels
    that are none."""
    n_visible = len(layouts[0].places)
    width = max(one.pixels.shape[1] for one in layouts)
    wide = [
        _with_places(
            np.pad(
                one.pixels, ((0, 0), (0, width - one.pixels.shape[1])), constant_values=n_visible
            ),
            n_visible,
            one.ties,
            bool(one.deep),
        )
        for one in layouts
    ]
    return Layout(*map(np.stack, zip(*wide, strict=True)))


def by_patch(W1: jax.Array, where: Layout) -> jax.Array:
    """The weights (4, p, k) of every patch in W₁ (n_visible, 4k); zero where there is no pixel."""
    blocks = W1.reshape(len(W1), PATCHES, -1)
    blocks = jnp.concatenate([blocks, jnp.zeros_like(blocks[:1])])
    return blocks[where.pixels, jnp.arange(PATCHES)[:, None]]


def spread(weights: jax.Array, where: Layout) -> jax.Array:
    """W₁ (n_visible, 4k) of the weights (4, p, k) of every patch; zero between a unit and the
    pixels outside its patch."""
    padded = jnp.concatenate([weights, jnp.zeros_like(weights[:, :1])], 1)
    return padded[jnp.arange(PATCHES), where.places].reshape(len(where.places), -1)


def alike(W1: jax.Array, where: Layout) -> jax.Array:
    """W₁ (n_visible, 4k) as the layout allows it: where weights are shared those of the first patch
    in all four, and zero where there is no connection."""
    weights = by_patch(W1, where)
    return spread(jnp.where(where.ties[0, 1], weights[:1], weights), where)


def tied(step: DBM, where: Layout, means: tuple[jax.Array, ...] | None = None) -> DBM:
    """What a step of ascent, or a gradient, in the parameters of a DBM becomes where they are tied:
    a weight that stands in four places moves by the sum of the four steps, one that is not there
    does not move.

    With W₁ = spread(w), every patch of w alike, this is spread(dL/dw) by the chain rule.  Biases
    are free.  means: the offsets (μ, λ₁, λ₂) of a centred gradient (see `dbm.centred_gradient`).
    Its biases make up for the step of the weights: then for the tied one.
    """
    summed = jnp.einsum("pq,qik->pik", where.ties, by_patch(step.W1, where))
    W1, W2, b, c1, c2 = spread(summed, where), where.deep * step.W2, *step[2:]
    if means is not None:
        mu, l1, l2 = means
        lost1, lost2 = step.W1 - W1, step.W2 - W2
        b, c1, c2 = b + lost1 @ l1, c1 + mu @ lost1 + lost2 @ l2, c2 + l1 @ lost2
    return DBM(W1, W2, b, c1, where.deep * c2)


def update(
    state: dbm.State, batch: jax.Array, done: jax.Array, rules: Any, where: Layout, *, key
) -> tuple[dbm.State, dict[str, jax.Array]]:
    """One step of ascent of the tied machine: the step of `dbm.update`, tied."""
    plain = replace(rules, weight_decay=0.0)
    after, logs = dbm.update(state, batch, done, plain, key=key)
    kept = jax.tree.map(lambda velocity: rules.momentum * velocity, state.velocity)
    step = jax.tree.map(jnp.subtract, after.velocity, kept)
    step = _decayed(
        tied(step, where, after.means if rules.centred else None), state.dbm, done, rules
    )
    velocity = jax.tree.map(jnp.add, kept, step)
    return after._replace(dbm=jax.tree.map(jnp.add, state.dbm, velocity), velocity=velocity), logs


def _decayed(step: DBM, machine: DBM, done: jax.Array, rules: Any) -> DBM:
    """The step with the weight decay, of each weight once."""
    pull = rules.weight_decay * (rules.lr + (rules.lr_last - rules.lr) * done)
    return step._replace(W1=step.W1 - pull * machine.W1, W2=step.W2 - pull * machine.W2)


def first_layer_update(
    state: training.State, batch: jax.Array, done: jax.Array, rules: Any, where: Layout, *, key
) -> tuple[training.State, dict[str, jax.Array]]:
    """One step of the first layer alone, by persistent chains: an RBM, tied, whose hidden units see
    the pixels twice if a second layer is to come (Salakhutdinov & Hinton 2009, §3.2)."""
    rbm, velocity, chains, means = state
    key_v, key_h = jax.random.split(key)
    twice = rbm._replace(W=(1 + where.deep) * rbm.W)
    v_neg = sample_bits(visible_given_hidden(rbm, chains), key=key_v)
    h_pos, h_neg = hidden_given_visible(twice, batch), hidden_given_visible(twice, v_neg)
    gradient, means = training.centred_gradient(rbm, batch, h_pos, v_neg, h_neg, means)
    lr = rules.lr + (rules.lr_last - rules.lr) * done
    dW, db, dc = (lr * g for g in gradient[:3])
    none = jnp.zeros((len(dc), 1)), jnp.zeros(1)  # no second layer yet
    step = tied(DBM(dW, none[0], db, dc, none[1]), where, (*means, none[1]))
    step = _decayed(step, DBM(rbm.W, none[0], rbm.b, rbm.c, none[1]), done, rules)
    kept = jax.tree.map(lambda old: rules.momentum * old, velocity)
    velocity = jax.tree.map(jnp.add, kept, RBM(step.W1, step.b, step.c1))
    rbm = jax.tree.map(jnp.add, rbm, velocity)
    chains = sample_bits(h_neg, key=key_h)
    return training.State(rbm, velocity, chains, means), {"activity": h_pos.mean()}


def second_layer_update(
    state: training.State, batch: jax.Array, done: jax.Array, rules: Any, where: Layout, *, key
) -> tuple[training.State, dict[str, jax.Array]]:
    """One step of the second layer on activities of the first, its hidden layer doubled."""
    del where
    greedy = training.Rules(
        k_last=1, lr=rules.lr, lr_last=rules.lr_last, momentum=rules.momentum,
        weight_decay=rules.weight_decay, doubled="down",
    )  # fmt: skip
    return training.update(state, batch, done, greedy, key=key)


class Recipe(NamedTuple):
    """How one machine is trained: its layout, the rows (n,) of the data that it learns from, its
    learning rate, weight decay and seed."""

    where: Layout
    rows: np.ndarray
    lr: float
    weight_decay: float
    seed: int


class Machines(NamedTuple):
    """m recipes in arrays: sets (m, n, n_visible), of which each learns from the first `sizes` (m,)
    of its rows (m, n or more); lr, weight_decay (m,); where: their layouts; keys (m, 2), raw."""

    sets: jax.Array
    rows: jax.Array
    sizes: jax.Array
    lr: jax.Array
    weight_decay: jax.Array
    where: Layout
    keys: jax.Array


def train_shapes(
    recipes: Sequence[Recipe],
    data: np.ndarray,
    *,
    n_1: int,
    n_2: int,
    greedy_steps: int,
    steps: int,
    rules: dbm.Rules,
) -> Trained:
    """Train a machine by every recipe, side by side: the first layer alone, the second on the
    activities of the first, `greedy_steps` updates each, then `steps` updates of both together; the
    rate falls linearly to zero in each of the three.

    data (n, n_visible): bits.  n_1, a multiple of four, and n_2: hidden units.  `rules`: all else.
    Returns the machines as one DBM, each field (m, ...); history: "residual" (chunks, m); chains
    (m, batch_size, n_1), hidden states.  Raises ValueError for bad arguments, Diverged.
    """
    if not recipes:
        raise ValueError("recipes: none, there must be one at least")
    data = checks.probabilities(data, "data", len(recipes[0].where.places)).astype(np.float32)
    n_1, n_2 = checks.count(n_1, "n_1", PATCHES), checks.count(n_2, "n_2")
    if n_1 % PATCHES:
        raise ValueError(f"n_1={n_1} must be a multiple of {PATCHES}: as many units a patch")
    for one in recipes:
        replace(rules, lr=one.lr, lr_last=0.0, weight_decay=one.weight_decay).check()
        if not len(one.rows) or np.max(one.rows) >= len(data):
            raise ValueError(f"rows of a recipe: at least one of the {len(data)} rows of data")
    about = _machines(recipes, data)
    init = jnp.stack([jax.random.key(stream(one.seed, "init")) for one in recipes])
    begin = jax.vmap(_layer, (0, 0, None, None))
    first = begin(init, about, n_1, rules.batch_size)
    first = first._replace(rbm=first.rbm._replace(W=_alike(first.rbm.W, about.where)))
    lower = _run(first_layer_update, first, about, rules, greedy_steps, "first layer")[0].rbm
    doubled = lower._replace(W=(1 + about.where.deep[:, None, None]) * lower.W)
    above = about._replace(sets=_heard(doubled, about.sets))
    second = begin(init, above, n_2, rules.batch_size)
    upper = _run(second_layer_update, second, above, rules, greedy_steps, "second layer")[0].rbm
    start = _start(lower, upper, about, rules)
    state, history = _run(update, start, about, rules, steps, "shape machines")
    return Trained(jax.tree.map(np.asarray, state.dbm), history, np.asarray(state.chains))


def _machines(recipes: Sequence[Recipe], data: np.ndarray) -> Machines:
    # As long for few rows as for many, so that sets of all sizes share one compiled program.
    most = max(len(data), *(len(one.rows) for one in recipes))
    each = np.array([(one.lr, one.weight_decay) for one in recipes], np.float32)
    sizes = jnp.array([len(one.rows) for one in recipes])
    rows = np.stack([np.resize(one.rows, most) for one in recipes])
    keys = jnp.stack([jax.random.key(stream(one.seed, "train")) for one in recipes])
    where = jax.tree.map(jnp.asarray, stack([one.where for one in recipes]))
    sets = jnp.broadcast_to(data, (len(recipes), *data.shape))
    return Machines(
        sets, jnp.asarray(rows), sizes, *jnp.asarray(each.T), where, jax.random.key_data(keys)
    )


def _batch(machine: Machines, i: Any, n: int) -> tuple[jax.Array, jax.Array]:
    """n of the rows that a machine learns from, drawn for its step i, and a key for the rest."""
    key = jax.random.fold_in(jax.random.wrap_key_data(machine.keys), i)
    key_rows, key = jax.random.split(key)
    drawn = jax.random.randint(key_rows, (n,), 0, machine.sizes)
    return machine.sets[machine.rows[drawn]], key


def _mean(machine: Machines) -> jax.Array:
    """Mean of the rows that a machine learns from, (n_visible,)."""
    seen = jnp.arange(len(machine.rows)) < machine.sizes
    return seen @ machine.sets[machine.rows] / machine.sizes


def _layer(key: jax.Array, machine: Machines, n_hidden: int, batch_size: int) -> training.State:
    """Where the training of one layer begins."""
    mean = _mean(machine)
    rbm = init_rbm(len(mean), n_hidden, key=key)._replace(b=logit(jnp.clip(mean, 1e-3, 1 - 1e-3)))
    return training.first_state(rbm, mean, (batch_size,), key=key)


def _together(lower: RBM, upper: RBM, machine: Machines, rules: dbm.Rules) -> dbm.State:
    """Where the training of all layers begins, its chains at what mean field says of data."""
    joined, deep = dbm.from_rbms(lower, upper), machine.where.deep
    joined = joined._replace(
        c1=deep * joined.c1 + (1 - deep) * lower.c, W2=deep * joined.W2, c2=deep * joined.c2
    )
    batch, key = _batch(machine, 0, rules.batch_size)
    field = dbm.mean_field(joined, batch, steps=rules.field_steps)
    means = _mean(machine), field.q1.mean(0), field.q2.mean(0)
    chains = sample_bits(field.q1, key=key)
    return dbm.State(joined, jax.tree.map(jnp.zeros_like, joined), chains, means)


# Of all machines at once, each one program in place of some hundred.
_alike = jax.jit(jax.vmap(alike))
_heard = jax.jit(jax.vmap(hidden_given_visible))
_start = jax.jit(jax.vmap(_together, (0, 0, 0, None)))


def _run(step_of, state, about: Machines, rules: dbm.Rules, steps: int, what: str):
    """`steps` updates of every machine by step_of, side by side in one program; the last state and
    the history."""
    steps = checks.count(steps, "steps")

    def one(state, machine: Machines, i):
        batch, key = _batch(machine, i, rules.batch_size)
        own = replace(rules, lr=machine.lr, lr_last=0.0, weight_decay=machine.weight_decay)
        return step_of(state, batch, i / steps, own, machine.where, key=key)

    def step(carry, _, machines):
        state, i = carry
        state, logs = jax.vmap(one, (0, 0, None))(state, machines, i)
        return (state, i + 1), logs

    key = jax.random.key(0)  # of nobody: every machine has its own
    start = state, jnp.int32(0)
    (state, _), history = train(step, start, steps=steps, key=key, about=(about,), what=what)
    return state, history
