"""Faults planted in copies of genlab, one line each, and how often the gate catches them, at the
level that one of the committed baselines' quantities has.

    python tests/gate_faults.py             # in small experiments: tests/baselines/power.json
    python tests/gate_faults.py --sections  # in sections of the book: tests/baselines/faults.json

writes the tables on the book's page about the gate.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from planting import Fault, plant

from genlab.pipeline.gate import baseline as committed
from genlab.pipeline.gate import statistics

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "baselines" / "power.json"
FRESH = 16  # replicates of the faulty code
# Experiments for the rate of false alarms.
UNCHANGED = ("chains", "denoisers", "digits", "measures")
SEEDS = 4  # of `genlab check --seeds 4`


@cache
def book() -> list[committed.Baseline]:
    """The committed baselines: how many seeds and quantities there are, and how noisy."""
    return committed.read_all("quick", "cpu")


def sizes() -> list[int]:
    """Numbers of seeds behind the book's baselines, the smallest first."""
    return sorted({len(b.seeds) for b in book()})


def judge(metrics: dict, **options) -> list[statistics.Judgement]:
    """The gate's judgements with what the book tells."""
    tests = sum(b.tests() for b in book())
    return statistics.judge(metrics, **{"tests": tests, "priors": priors()} | options)


@cache
def priors() -> dict:
    return committed.priors_of(book())


FAULTS = (
    Fault("Langevin noise √h instead of √(2h)", "chains", "toys/langevin.py",
          "step_size * score(x) + jnp.sqrt(2 * step_size)",
          "step_size * score(x) + jnp.sqrt(step_size)"),
    Fault("Metropolis test left out", "chains", "toys/langevin.py",
          "jnp.log(jax.random.uniform(key_accept, log_p.shape)) < log_ratio",
          "log_ratio < jnp.inf"),
    Fault("the energy's sign flipped in the sampler", "energies", "toys/energy.py",
          "lambda y: -E(params, y)", "lambda y: E(params, y)"),
    Fault("momentum dropped from Adam", "energies", "training/jax.py",
          "if decay_lr else lr, b1=b1", "if decay_lr else lr, b1=0.0"),
    Fault("β schedule off by one", "denoisers", "toys/diffusion.py",
          "alpha_bars = np.cumprod(np.asarray(alphas, np.float64))",
          "alpha_bars = np.cumprod(np.concatenate([[0.9999], alphas[:-1]]))"),
    Fault("ancestral noise left out", "denoisers", "toys/samplers.py",
          "* noise + jnp.sqrt(variance) * fresh", "* noise"),
    Fault("generator trained on detached logits", "players", "toys/adversarial.py",
          "fake = generate(params, z, normed(arm, 0))\n",
          "fake = jax.lax.stop_gradient(generate(params, z, normed(arm, 0)))\n"),
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
    """The experiment as it should be, at seed 101, as often as the largest baseline."""
    return run(experiment, sizes()[-1], 101)


def planted(fault: Fault, folder: Path) -> Path:
    """A copy of src/ under `folder` with the fault in it."""
    source = folder / "src"
    shutil.copytree(
        ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    # data/ is found beside src/
    shutil.copytree(ROOT / "data", folder / "data", copy_function=os.link)
    plant(fault, source)
    return source


def alarms(experiment: str, fresh: dict, rows: list[int], size: int) -> list[statistics.Judgement]:
    """The gate's alarms for these replicates of a fresh result, against a baseline of that size."""
    metrics = {
        m: (better, values[:size], [fresh[m][1][i] for i in rows])
        for m, (better, values) in baseline(experiment).items()
    }
    return sorted(
        (j for j in judge(metrics) if j.alarm),
        key=lambda j: -abs(j.shift) if np.isfinite(j.shift) else -np.inf,
    )


def power(experiment: str, fresh: dict) -> dict:
    """How often the gate raises an alarm on one fresh run and on the mean of SEEDS, for every size
    of baseline, and the metric that shows it best to the largest."""
    told, groups = {}, {1: [[i] for i in range(FRESH)]}
    groups[SEEDS] = [list(range(i, i + SEEDS)) for i in range(0, FRESH, SEEDS)]
    for size in sizes():
        found = {k: [alarms(experiment, fresh, rows, size) for rows in groups[k]] for k in groups}
        told |= {
            f"power_{size}_{k}": float(np.mean([bool(a) for a in v])) for k, v in found.items()
        }
    every = [a for v in found.values() for a in v]
    named = [a[0].name for a in every if a]
    caught = max(set(named), key=named.count) if named else ""
    shifts = [j.shift for a in every for j in a if j.name == caught]
    shift = float(f"{np.median(shifts):.3g}") if shifts else 0.0
    return {"metric": caught, "shift": shift} | told


def measure(fault: Fault) -> dict:
    """The row of the table for one fault."""
    with tempfile.TemporaryDirectory(
        dir=ROOT / "runs" if (ROOT / "runs").is_dir() else ROOT
    ) as folder:
        return {"fault": fault.name, "file": fault.file} | power(
            fault.used_by, run(fault.used_by, FRESH, 1, planted(fault, Path(folder)))
        )


def split_alarms(
    pool: dict, *, size: int, splits: int, alarm_rate: float, rng: np.random.Generator
) -> float:
    """Share of random splits of unchanged replicates, `size` against one fresh, on which the gate
    raises an alarm."""
    count, n = 0, len(next(iter(pool.values()))[1])
    for _ in range(splits):
        *known, fresh = rng.choice(n, size + 1, replace=False)
        metrics = {
            m: (better, [v[i] for i in known], [v[fresh]]) for m, (better, v) in pool.items()
        }
        count += any(j.alarm for j in judge(metrics, alarm_rate=alarm_rate, tests=len(pool)))
    return count / splits


def leave_one_out(
    baselines: list[committed.Baseline], alarm_rate: float = statistics.ALARM_RATE
) -> list[str]:
    """The whole book as it was run for the baselines: every seed in turn judged by the others;
    the alarms raised, in words."""
    found = []
    options = {
        "alarm_rate": alarm_rate,
        "tests": sum(b.tests() for b in baselines),
        "priors": committed.priors_of(baselines),
    }
    for i, seed in enumerate(max((b.seeds for b in baselines), key=len)):
        metrics = {
            (b.section, m): (better, v[:i] + v[i + 1 :], [v[i]])
            for b in baselines
            for m, (better, v) in b.quantities().items()
            if i < len(v)  # newer sections have fewer seeds
        }
        found += [
            f"seed {seed}: {j.name[0]} {j.name[1]}"
            for j in statistics.judge(metrics, **options)
            if j.alarm
        ]
    return found


def write(table: Path, told: dict) -> None:
    table.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def experiments() -> None:
    """Measure every fault of FAULTS and the rate of false alarms, and write the table."""
    rows = []
    for fault in FAULTS:
        rows.append(measure(fault))
        print(rows[-1], flush=True)
    rng, splits = np.random.default_rng(0), 2000
    rates = {
        e: split_alarms(run(e, 64, 501), size=sizes()[0], splits=splits, alarm_rate=0.01, rng=rng)
        for e in UNCHANGED
    }
    told = {
        "baseline_seeds": sizes(),
        "fresh_runs": FRESH,
        "quantities": sum(b.tests() for b in book()),
        "alarm_rate": statistics.ALARM_RATE,
        "seeds": SEEDS,
        "faults": rows,
        "unchanged": {
            "splits_per_experiment": splits,
            "rates": rates,
            "book_seeds": max(len(b.seeds) for b in book()),
            "book": {rate: leave_one_out(book(), float(rate)) for rate in ("0.01", "0.1")},
        },
    }
    print(told["unchanged"])
    write(TABLE, told)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sections"]:
        import gate_sections

        gate_sections.main(sys.argv[2:])
    else:
        experiments()
