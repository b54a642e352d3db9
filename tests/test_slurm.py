"""The SLURM example is a program that works as far as a machine without SLURM can tell:
it writes the job script."""

import subprocess
import sys

from genlab.section.paths import ROOT


def test_the_example_writes_a_job_script():
    command = [
        sys.executable,
        str(ROOT / "book" / "slurm.py"),
        "--show",
        "--queue",
        "night",
        "--gpu",
        "--cores",
        "3",
    ]
    script = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (
        "#SBATCH -p night" in script and "--gres=gpu:1" in script and "--cpus-per-task=3" in script
    )
    assert "--resources GPU=1" in script and "--nthreads 3" in script and sys.executable in script
