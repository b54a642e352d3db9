"""Markov chains for densities known up to a constant: Langevin, its Metropolis correction, and
global moves.

A kernel is ``step(key, x) -> (x, info)`` on points x (n, d); info holds one value per point.
Kernels are compiled by `run_chain`, which keeps a thinned path.  `log_density` and `score` act on
whole arrays: (n, d) -> (n,) and (n, d) -> (n, d).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from genlab import checks
from genlab.training.jax import floats

LogDensity = Callable[[jax.Array], jax.Array]
Score = Callable[[jax.Array], jax.Array]
Kernel = Callable[[jax.Array, jax.Array], tuple[jax.Array, dict[str, jax.Array]]]


def start(x: Any, name: str = "x") -> jax.Array:
    """Points (n, d) to start from, as finite floats; inside a compiled program only floats."""
    x = x if checks.traced(x) else checks.points(1, dtype=None, **{name: x})[0]
    return jnp.asarray(floats(x))


def vectors(f: Callable, name: str) -> Callable:
    """f whose values have the shape of its points (n, d): another would be broadcast."""
    return lambda x, *rest: checks.shape(f(x, *rest), f"what {name} returns", x.shape)


def values(f: Callable, name: str) -> Callable:
    """f whose values are one a point, (n,): another shape would be broadcast."""
    return lambda x, *rest: checks.shape(f(x, *rest), f"what {name} returns", x.shape[:1])


def score_of(log_density: LogDensity) -> Score:
    """The gradient of `log_density` at each point."""
    return jax.grad(lambda x: jnp.sum(log_density(x)))


def unadjusted_langevin(score: Score, step_size: float) -> Kernel:
    """x' = x + h score(x) + sqrt(2h) ξ, ξ ~ N(0, I) (Roberts & Tweedie 1996, section 1.4.1,
    with h their σ²/2).

    Its stationary law is not the target: on N(0, 1) the variance is 1/(1 - h/2).
    """

    checks.number(step_size, "step_size", "positive")
    score = vectors(score, "score")

    def step(key, x):
        noise = jax.random.normal(key, x.shape)
        return x + step_size * score(x) + jnp.sqrt(2 * step_size) * noise, {}

    return step


def mala(log_density: LogDensity, step_size: float | jax.Array) -> Kernel:
    """Langevin with the Metropolis-Hastings correction (Roberts & Tweedie 1996, section 1.4.2):
    exactly invariant.

    info: `accepted` (n,) bool.
    """

    checks.number(step_size, "step_size", "positive")
    log_density = values(log_density, "log_density")

    def value_and_score(x):
        log_p, pullback = jax.vjp(log_density, x)
        return log_p, pullback(jnp.ones_like(log_p))[0]

    def log_kernel(to, mean):
        return -jnp.sum((to - mean) ** 2, axis=-1) / (4 * step_size)

    def step(key, x):
        key_noise, key_accept = jax.random.split(key)
        log_p, score = value_and_score(x)
        mean = x + step_size * score
        proposal = mean + jnp.sqrt(2 * step_size) * jax.random.normal(key_noise, x.shape)
        log_p_new, score_new = value_and_score(proposal)
        back = log_kernel(x, proposal + step_size * score_new)
        log_ratio = log_p_new - log_p + back - log_kernel(proposal, mean)
        accepted = jnp.log(jax.random.uniform(key_accept, log_p.shape)) < log_ratio
        return jnp.where(accepted[:, None], proposal, x), {"accepted": accepted}

    return step


def uniform_jump(log_density: LogDensity, box: float) -> Kernel:
    """Propose a uniform point of [-box, box]^d, accept with min(1, p(x')/p(x))
    (Hastings 1970, independence sampler).

    In two dimensions this mixes between modes in tens of steps; its acceptance falls exponentially
    with the dimension.  A chain outside the box is moved inside at once: the target is understood
    as restricted to the box.
    """

    checks.number(box, "box", "positive")
    log_density = values(log_density, "log_density")

    def step(key, x):
        key_proposal, key_accept = jax.random.split(key)
        proposal = jax.random.uniform(key_proposal, x.shape, minval=-box, maxval=box)
        log_p = jnp.where(jnp.all(jnp.abs(x) <= box, axis=-1), log_density(x), -jnp.inf)
        accepted = (
            jnp.log(jax.random.uniform(key_accept, log_p.shape)) < log_density(proposal) - log_p
        )
        return jnp.where(accepted[:, None], proposal, x), {"accepted": accepted}

    return step


def alternate(*kernels: Kernel) -> Kernel:
    """One step of each kernel in turn; info holds each kernel's values under its position."""

    def step(key, x):
        infos: dict[str, Any] = {}
        for i, kernel in enumerate(kernels):
            x, info = kernel(jax.random.fold_in(key, i), x)
            infos |= {f"{name}_{i}": value for name, value in info.items()}
        return x, infos

    return step


def run_chain(
    kernel: Kernel, x: jax.Array, *, steps: int, key: jax.Array, keep_every: int | None = None
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """Apply `kernel` `steps` times to all chains x (n, d), inside one compiled loop.

    Returns the last points (n, d), the path (kept, n, d) with one frame per `keep_every` steps
    (default: the last only), and the infos averaged over steps, per point (n,).  ValueError if
    keep_every does not divide steps.
    """
    steps, x = checks.count(steps, "steps"), start(x)
    keep_every = steps if keep_every is None else checks.count(keep_every, "keep_every")
    if steps % keep_every:
        raise ValueError(f"keep_every={keep_every} must divide steps={steps}")
    shapes = jax.eval_shape(kernel, key, x)[1]

    def one(i, carry):
        x, sums = carry
        x, info = kernel(jax.random.fold_in(key, i), x)
        return x, jax.tree.map(lambda s, v: s + v.astype(jnp.float32), sums, info)

    def frame(carry, start):
        carry = jax.lax.fori_loop(start, start + keep_every, one, carry)
        return carry, carry[0]

    sums = jax.tree.map(lambda s: jnp.zeros(s.shape, jnp.float32), shapes)
    (x, sums), path = jax.lax.scan(frame, (x, sums), jnp.arange(0, steps, keep_every))
    return x, path, jax.tree.map(lambda s: s / steps, sums)
