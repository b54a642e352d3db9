"""Faults planted in a copy of the whole tree, one line each, and looked for as a user would:
`genlab check SECTION --seeds 4` on real sections of the book, at the quick profile.

    python tests/gate_faults.py --sections [SECTION ...]

writes tests/baselines/faults.json, a table on the book's page about the gate; with sections named
it measures these anew and keeps the other rows.  GATE_JOBS: runs at a time.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from planting import Fault, plant, text_of

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "baselines" / "faults.json"
SEEDS = 4
TREE = ("src", "data", "notebooks", "tests/baselines", "_toc.yml", "_config.yml", "jupytext.toml",
        "requirements.lock", "pyproject.toml")  # fmt: skip


OWN = 8  # the first; those after them are known not to be seen by intervals of eight seeds alone
FAULTS = (
    Fault("Heun's second slope at the first noise level", "ddpm", "toys/samplers.py",
          "(slope - tau * score(guess, tau)) / 2", "(slope - tau * score(guess, sigma)) / 2"),
    Fault("the flow's base density too narrow", "ddpm", "toys/samplers.py",
          "variance = sigmas[-1] ** 2 + data_sd**2", "variance = sigmas[-1] ** 2"),
    Fault("persistent chains put back after every update", "rbm", "boltzmann/training.py",
          "State(rbm, velocity, chains, means", "State(rbm, velocity, state.chains, means"),
    Fault("the rate of ascent never falls", "rbm", "boltzmann/training.py",
          "lr = rules.lr + (rules.lr_last - rules.lr) * done", "lr = rules.lr"),
    Fault("a variance taken for a standard deviation", "vae", "autoencoders/bounds.py",
          "z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)",
          "z = mean + log_var.exp() * torch.randn_like(mean)"),
    Fault("the gradient penalty at real images", "wgan", "games/critic.py",
          "between = fake.detach() + t * (real - fake.detach())", "between = real.detach()"),
    Fault("the generator's average keeps its random start", "gan", "games/devices.py",
          "max(1 - decay, 1 / (step + 1))", "1 - decay"),
    Fault("a self-distance counted half", "transport", "transport.py",
          "return 2 * float(a @ f)", "return float(a @ f)"),
    Fault("AIS on every 20th temperature", "rbm", "boltzmann/likelihood.py",
          "pairs = np.stack([inv_temps[:-1], inv_temps[1:]], 1)",
          "inv_temps = np.append(inv_temps[:-1:20], inv_temps[-1])\n"
          "    pairs = np.stack([inv_temps[:-1], inv_temps[1:]], 1)"),
    Fault("bits drawn too often, by 2⁻⁸", "rbm", "boltzmann/rbm.py",
          "(draws + 0.5 < p * 2**16)", "(draws - 255.5 < p * 2**16)"),
    Fault("dropout left on at evaluation", "gan", "training/torch.py",
          "Trained(net.eval(), history", "Trained(net.train(), history"),
    Fault("weights of MS-SSIM permuted", "gan", "metrics/images.py",
          "SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001)", "SSIM_WEIGHTS = (0.3001, 0.0448, 0.2856)"),
)  # fmt: skip

# In the copy: the alarms of one section, and what the first of them was and is.
JUDGE = """
import json, sys
import numpy as np
from genlab.pipeline.gate import check
(result,) = check.check([sys.argv[1]], "quick", seeds=int(sys.argv[2]))
assert not result.problem, result.problem
assert result.judgements
alarms = [j for j in result.judgements if j.alarm]
first = min(alarms, key=lambda j: (j.name[1].startswith("figure"), j.p), default=None)
print(json.dumps({"alarms": len(alarms)} | ({} if first is None else {
    "metric": first.name[1], "usual": float(np.mean(first.baseline)),
    "now": float(np.mean(first.fresh))})))
"""


def copy_of_the_tree(folder: Path) -> Path:
    """What runs need, without any run."""
    for name in TREE:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def judged(tree: Path, section: str) -> dict:
    """Run the section at SEEDS seeds in that tree, and what the gate there says."""
    env = os.environ | {"GENLAB_ROOT": str(tree), "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-m", "genlab.pipeline.cli", "check", section, "--seeds", str(SEEDS)]
    command += ["--jobs", os.environ["GATE_JOBS"]] if "GATE_JOBS" in os.environ else []
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    command = [sys.executable, "-c", JUDGE, section, str(SEEDS)]
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert told.returncode == 0, (ran.stdout + ran.stderr + told.stderr)[-3000:]
    return json.loads(told.stdout.splitlines()[-1])


def planted(tree: Path, fault: Fault) -> dict:
    """What the gate says with the fault in the tree, which is mended afterwards."""
    file, text = text_of(fault, tree / "src")
    plant(fault, tree / "src")
    try:
        return judged(tree, fault.used_by)
    finally:
        file.write_text(text)


def main(sections: list[str]) -> None:
    """Measure the faults in these sections, or all, and write the table as it grows."""
    told = json.loads(TABLE.read_text()) if TABLE.is_file() and sections else {}
    rows = {(r["fault"], r["section"]): r for r in told.get("faults", [])}
    unchanged = told.get("unchanged", {})
    with tempfile.TemporaryDirectory() as folder:
        tree = copy_of_the_tree(Path(folder))
        for section in sections or dict.fromkeys(f.used_by for f in FAULTS):
            unchanged[section] = judged(tree, section)["alarms"]
            print(section, "unchanged:", unchanged[section], "alarms", flush=True)
            for fault in (f for f in FAULTS if f.used_by == section):
                row = {"fault": fault.name, "file": fault.file, "section": section}
                rows[fault.name, section] = row | planted(tree, fault)
                print(rows[fault.name, section], flush=True)
            order = [rows[f.name, f.used_by] for f in FAULTS if (f.name, f.used_by) in rows]
            about = {"seeds": SEEDS, "unchanged": unchanged, "faults": order}
            TABLE.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
