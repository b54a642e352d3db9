"""Where the book runs besides a checkout: containers and Binder install what the lock says, as
`make` does."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from genlab.section.paths import ROOT

CONTAINERS = {name: (ROOT / name).read_text() for name in ("Dockerfile", "Dockerfile.cuda")}
PYTHONS = SpecifierSet(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
)


def steps(text: str) -> list[tuple[str, str]]:
    """(instruction, its words) of a Dockerfile, continued lines joined."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [
        tuple(step.split(maxsplit=1)) for step in "\n".join(lines).replace("\\\n", "").split("\n")
    ]


def wrong(text: str) -> list[str]:
    """What a Dockerfile of this project must not be."""
    found, told = [], steps(text)
    words = {name: [w for n, w in told if n == name] for name, _ in told}
    (image,) = words["FROM"]
    python = re.fullmatch(r"python:(3\.\d+)-slim-\w+", image)
    if python is None or python[1] not in PYTHONS:
        found.append(f"{image} is no Python that pyproject.toml promises")
    if re.search(r"://|pypi|index-url|pip3? install|download\.", text.replace("PyPI's", "")):
        found.append("it says itself where packages are from")
    before = told.index(("COPY", "--chown=reader:reader . ."))
    copied = [w for n, w in told[:before] if n == "COPY"]
    installed = [i for i, (n, w) in enumerate(told) if n == "RUN" and "$VENV/.installed" in w]
    if not (copied and "requirements.lock" in copied[0].split() and installed):
        found.append("the lock is not what is installed")
    if ("ARG", "TORCH=") not in told or 'TORCH="$TORCH"' not in text:
        found.append("torch cannot be chosen")
    roots = told.index(("USER", "reader")) if ("USER", "reader") in told else len(told)
    if not installed or roots > installed[0] or roots > len(told) - 2:
        found.append("it runs as root")
    if words.get("CMD") != ['["make", "book"]'] or words.get("VOLUME") != [
        "/home/reader/genlab/runs"
    ]:
        found.append("it makes no book, or forgets its runs")
    return found


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_holds_the_lock_on_a_promised_python(name):
    assert wrong(CONTAINERS[name]) == []


@pytest.mark.parametrize(
    ("right", "mistake"),
    [
        ("python:3.11-slim-bookworm", "python:3.9-slim-bookworm"),
        ("python:3.11-slim-bookworm", "debian:bookworm"),
        ("requirements.lock README.md", "README.md"),
        ('"$VENV/.installed"', '"$VENV" && pip install torch'),
        ("ARG TORCH=\n", ""),
        ("USER reader\n", ""),
        ('CMD ["make", "book"]', 'CMD ["bash"]'),
        ("VOLUME /home/reader/genlab/runs\n", ""),
        ("PIP_NO_CACHE_DIR=1", "PIP_INDEX_URL=https://example.org/simple"),
    ],
)
def test_a_wrong_container_is_seen(right, mistake):
    assert right in CONTAINERS["Dockerfile"]
    assert wrong(CONTAINERS["Dockerfile"].replace(right, mistake))


def test_the_two_containers_differ_in_the_gpu_alone():
    cpu, gpu = (steps(text) for text in CONTAINERS.values())
    assert [step for step in gpu if step not in cpu] == [
        ("ENV", "EXTRA=cuda NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility")
    ]
    assert [step for step in cpu if step not in gpu] == []


def left_out(path: str) -> bool:
    """Whether .dockerignore keeps a path out of the image."""
    rules = (ROOT / ".dockerignore").read_text().split()
    parents = [path, *(path[:i] for i, c in enumerate(path) if c == "/")]
    return any(
        fnmatch.fnmatch(p, rule) or fnmatch.fnmatch(p, rule.removeprefix("**/"))
        for p in parents
        for rule in rules
    )


def test_the_image_holds_what_git_holds_and_no_results_of_this_machine():
    for path in (".git/config", ".venv/bin/python", "runs/ebm/0/record.json", "_build/html/a.html"):
        assert left_out(path)
    assert left_out("src/genlab/__pycache__/a.pyc")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert [path for path in listed.stdout.splitlines() if left_out(path)] == []


def test_what_the_first_layer_copies_is_enough_to_install(tmp_path):
    """The package's description, read from those files and an empty package."""
    copied = next(w for n, w in steps(CONTAINERS["Dockerfile"]) if n == "COPY").split()[1:-1]
    for name in copied:
        shutil.copy(ROOT / name, tmp_path / name)
    about = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    needed = {about["readme"], *about["license-files"], "Makefile"}
    assert needed | {"requirements.lock", "pyproject.toml"} == set(copied)


def test_binder_has_the_lock_the_python_of_conda_and_sections_as_notebooks(tmp_path):
    folder = ROOT / "binder"
    python = (folder / "runtime.txt").read_text().strip().removeprefix("python-")
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert python in PYTHONS and f"python={python}" in conda
    lines = [
        line for line in (folder / "requirements.txt").read_text().splitlines() if line[0] != "#"
    ]
    assert lines == ["-r ../requirements.lock"] and (folder / lines[0].split()[1]).is_file()
    script = folder / "postBuild"
    assert script.stat().st_mode & 0o111 and script.read_text().startswith("#!/bin/bash\n")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    (line,) = [x for x in script.read_text().splitlines() if x.startswith("jupytext-config")]
    settings = tmp_path / "settings.json"
    program, *words = line.split()
    command = [
        shutil.which(program, path=os.path.dirname(sys.executable)),
        "--settings-file",
        str(settings),
        *words,
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert "Jupytext Notebook" in settings.read_text()
