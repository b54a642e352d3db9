"""Faults planted in copies of genlab, one line each, and how often the gate catches them.

    python tests/gate_faults.py

writes tests/baselines/power.json, the table on the book's page about the gate.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from genlab.pipeline.gate import statistics

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "baselines" / "power.json"
# Replicates: of the baseline, as in tests/baselines, and of the faulty code.
BASELINE, FRESH = 20, 16
BOOK = 650  # quantities the alarm rate is split over: a little more than the book has now
# Experiments for the rate of false alarms.
UNCHANGED = ("chains", "denoisers", "digits", "measures")
SEEDS = 4  # of `genlab check --seeds 4`


@dataclass(frozen=True)
class Fault:
    """One line of a file of genlab, changed as a tired programmer would."""

    name: str
    experiment: str
    file: str
    right: str
    wrong: str


FAULTS = (
    Fault("Langevin noise √h instead of √(2h)", "chains", "toys/langevin.py",
          "step_size * score(x) + jnp.sqrt(2 * step_size)",
          "step_size * score(x) + jnp.sqrt(step_size)"),
    Fault("Metropolis test left out", "chains", "toys/langevin.py",
          "jnp.log(jax.random.uniform(key_accept, log_p.shape)) < log_ratio",
          "log_ratio < jnp.inf"),
    Fault("the energy's sign flipped in the sampler", "energies", "toys/energy.py",
          "lambda y: -E(params, y), sampler", "lambda y: E(params, y), sampler"),
    Fault("momentum dropped from Adam", "energies", "toys/energy.py",
          "optax.adam(schedule)", "optax.adam(schedule, b1=0.0)"),
    Fault("β schedule off by one", "denoisers", "toys/diffusion.py",
          "alpha_bars = np.cumprod(np.asarray(alphas, np.float64))",
          "alpha_bars = np.cumprod(np.concatenate([[0.9999], alphas[:-1]]))"),
    Fault("ancestral noise left out", "denoisers", "toys/diffusion.py",
          "* noise + jnp.sqrt(variance) * fresh", "* noise"),
    Fault("generator trained on detached logits", "players", "toys/adversarial.py",
          "fake = generate(params, z)\n", "fake = jax.lax.stop_gradient(generate(params, z))\n"),
    Fault("one pixel row shifted", "digits", "data/images.py",
          "return Images(images, labels)", "return Images(np.roll(images, 1, axis=1), labels)"),
    Fault("labels permuted", "digits", "data/images.py",
          "return Images(images, labels)",
          "return Images(images, np.random.default_rng(0).permutation(labels))"),
    Fault("pixels read as signed", "digits", "data/images.py",
          "return values.reshape(shape)", "return values.reshape(shape) & 127"),
    Fault("a seed ignored", "measures", "streams.py", "[seed, zlib", "[0, zlib"),
    Fault("a metric computed on training data", "measures", "metrics/distances.py",
          "classifier.fit(points[train], labels[train])",
          "classifier.fit(points[held_out], labels[held_out])"),
    Fault("a wrong bandwidth (not squared)", "measures", "metrics/distances.py",
          "(-2 * bandwidth**2)", "(-2 * bandwidth)"),
    Fault("a kernel density fitted to what it scores", "measures", "metrics/distances.py",
          "gaussian_kde(real.T).logpdf", "gaussian_kde(generated.T).logpdf"),
)  # fmt: skip


def run(
    experiment: str, replicates: int, seed: int, source: Path = ROOT / "src"
) -> dict[str, tuple[str, list[float]]]:
    """The experiment with the genlab under `source`."""
    env = os.environ | {
        "PYTHONPATH": str(source),
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        "GENLAB_ROOT": str(ROOT),
    }
    command = [
        sys.executable,
        str(ROOT / "tests" / "gate_experiments.py"),
        experiment,
        str(replicates),
        str(seed),
    ]
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


@cache
def baseline(experiment: str) -> dict[str, tuple[str, list[float]]]:
    """The experiment as it should be, at seed 101."""
    return run(experiment, BASELINE, 101)


def planted(fault: Fault, folder: Path) -> Path:
    """A copy of src/ under `folder` with the fault in it."""
    source = folder / "src"
    shutil.copytree(
        ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    # data/ is found beside src/
    shutil.copytree(ROOT / "data", folder / "data", copy_function=os.link)
    file = source / "genlab" / fault.file
    text = file.read_text()
    assert text.count(fault.right) == 1, (
        f"{fault.file} holds {text.count(fault.right)} times {fault.right!r}"
    )
    file.write_text(text.replace(fault.right, fault.wrong))
    return source


def alarms(experiment: str, fresh: dict, rows: list[int]) -> list[statistics.Judgement]:
    """The gate's alarms for these replicates of a fresh result."""
    known = baseline(experiment)
    metrics = {
        m: (better, values, [fresh[m][1][i] for i in rows]) for m, (better, values) in known.items()
    }
    judged = statistics.judge(metrics, tests=BOOK)
    return sorted(
        (j for j in judged if j.alarm),
        key=lambda j: -abs(j.shift) if np.isfinite(j.shift) else -np.inf,
    )


def power(experiment: str, fresh: dict) -> dict:
    """How often the gate raises an alarm on one fresh run and on the mean of SEEDS, and the metric
    that shows it best."""
    one = [alarms(experiment, fresh, [i]) for i in range(FRESH)]
    several = [alarms(experiment, fresh, list(range(i, i + SEEDS))) for i in range(0, FRESH, SEEDS)]
    named = [a[0].name for a in one + several if a]
    caught = max(set(named), key=named.count) if named else ""
    shifts = [j.shift for a in one + several for j in a if j.name == caught]
    return {
        "metric": caught,
        "shift": float(f"{np.median(shifts):.3g}") if shifts else 0.0,
        "power_1": float(np.mean([bool(a) for a in one])),
        f"power_{SEEDS}": float(np.mean([bool(a) for a in several])),
    }


def measure(fault: Fault) -> dict:
    """The row of the table for one fault."""
    with tempfile.TemporaryDirectory(
        dir=ROOT / "runs" if (ROOT / "runs").is_dir() else ROOT
    ) as folder:
        return {"fault": fault.name, "file": fault.file} | power(
            fault.experiment, run(fault.experiment, FRESH, 1, planted(fault, Path(folder)))
        )


def split_alarms(pool: dict, *, splits: int, alarm_rate: float, rng: np.random.Generator) -> float:
    """Share of random splits of unchanged replicates, BASELINE against one fresh, on which the gate
    raises an alarm."""
    count, n = 0, len(next(iter(pool.values()))[1])
    for _ in range(splits):
        *known, fresh = rng.choice(n, BASELINE + 1, replace=False)
        metrics = {
            m: (better, [v[i] for i in known], [v[fresh]]) for m, (better, v) in pool.items()
        }
        count += any(
            j.alarm for j in statistics.judge(metrics, alarm_rate=alarm_rate, tests=len(pool))
        )
    return count / splits


def leave_one_out(baselines: list) -> list[str]:
    """The whole book as it was run for the baselines: every seed in turn judged by the others;
    the alarms raised, in words."""
    found = []
    tests = sum(b.tests() for b in baselines)
    for i, seed in enumerate(max((b.seeds for b in baselines), key=len)):
        metrics = {}
        for b in baselines:
            # newer sections have fewer seeds
            for m, about in b.metrics.items() if i < len(b.seeds) else ():
                v = about["values"]
                metrics[b.section, m] = (about["better"], v[:i] + v[i + 1 :], [v[i]])
        found += [
            f"seed {seed}: {j.name[0]} {j.name[1]}"
            for j in statistics.judge(metrics, tests=tests)
            if j.alarm
        ]
    return found


if __name__ == "__main__":
    from genlab.pipeline.gate import baseline as committed

    rows = []
    for fault in FAULTS:
        rows.append(measure(fault))
        print(rows[-1], flush=True)
    about = {
        "baseline_seeds": BASELINE,
        "fresh_runs": FRESH,
        "quantities": BOOK,
        "alarm_rate": statistics.ALARM_RATE,
        "seeds": SEEDS,
    }
    rng = np.random.default_rng(0)
    rates = {
        e: split_alarms(run(e, 64, 501), splits=2000, alarm_rate=0.01, rng=rng) for e in UNCHANGED
    }
    book = committed.read_all("quick", "cpu")
    unchanged = {
        "splits_per_experiment": 2000,
        "rates": rates,
        "book_seeds": max(len(b.seeds) for b in book),
        "book_alarms": leave_one_out(book),
    }
    print(unchanged)
    TABLE.write_text(
        json.dumps(about | {"faults": rows, "unchanged": unchanged}, indent=1, ensure_ascii=False)
        + "\n"
    )
