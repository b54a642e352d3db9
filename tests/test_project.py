"""The house: walls between modules, pinned versions that agree, and documents that
tell the truth."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from genlab.pipeline.cli import main
from genlab.section.paths import ROOT

PACKAGE = ROOT / "src" / "genlab"
MODULES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"jax": "jax", "optax": "jax", "equinox": "jax", "torch": "torch", "ot": "ot"}
FAMILIES = {"genlab.toys." + name for name in ("energy", "score", "diffusion", "adversarial")}
WINGS = ("genlab.toys", "genlab.boltzmann", "genlab.images", "genlab.transport")
MODELS = (
    "genlab.toys",
    "genlab.boltzmann",
    "genlab.images",
    "genlab.transport",
    "genlab.metrics",
    "genlab.plots",
)
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "book" / "how_to_rerun.md"]


def imports(source: str) -> set[str]:
    """All modules that `source` imports, and `package.name` for `from package import name`."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "."} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def broken_walls(module: str, source: str) -> list[str]:
    """What the module `module` with this source imports against the plan."""
    names = imports(source)
    frameworks = {FRAMEWORKS[n.split(".")[0]] for n in names if n.split(".")[0] in FRAMEWORKS}
    broken = [f"{len(frameworks)} frameworks: {sorted(frameworks)}"] if len(frameworks) > 1 else []
    if module.startswith("genlab.report"):
        broken += [
            n
            for n in names
            if n.startswith((*MODELS, "genlab.data")) or n.split(".")[0] in FRAMEWORKS
        ]
    else:
        broken += [n for n in names if n.startswith("genlab.report")]
    if module.startswith(WINGS):
        broken += [
            n
            for n in names
            if n.startswith(WINGS)
            and not n.startswith(next(w for w in WINGS if module.startswith(w)))
        ]
    if module in FAMILIES:
        broken += [n for n in names if n in FAMILIES - {module}]
    if module.startswith(("genlab.metrics", "genlab.data", "genlab.plots")):
        broken += [n for n in names if FRAMEWORKS.get(n.split(".")[0]) in ("jax", "torch")]
    return sorted(broken)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_walls(path):
    assert broken_walls(module_name(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("genlab.pipeline.execution.plan", "from genlab.toys import energy"),
        ("genlab.pipeline.execution.plan", "def f():\n    import jax"),
        ("genlab.toys.energy", "from genlab import section"),
        ("genlab.toys.energy", "from genlab.toys import score"),
        ("genlab.toys.energy", "import jax\nimport torch"),
        ("genlab.metrics.distances", "import jax.numpy as jnp"),
    ],
)
def test_a_hole_in_a_wall_is_seen(module, source):
    assert broken_walls(module, source)


def test_files_read_in_one_sitting():
    assert {p.name for p in MODULES if len(p.read_text().splitlines()) > 350} == set()
    assert not {p.name for p in MODULES} & {"utils.py", "base.py", "registry.py"}


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_heavy_files_outside_data():
    heavy = [
        p for p in tracked() if p.stat().st_size > 3_000_000 and ROOT / "data" not in p.parents
    ]
    assert heavy == []


def locked() -> dict[str, str]:
    """{package: version} of requirements.lock; every line pins exactly one version."""
    lines = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line and line[0] != "#"
    ]
    pairs = [line.split("==") for line in lines]
    assert all(len(pair) == 2 for pair in pairs)
    return {canonicalize_name(name): version for name, version in pairs}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_lock_satisfies_every_requirement():
    pins = locked()
    wanted = [
        Requirement(r)
        for r in project()["dependencies"] + project()["optional-dependencies"]["dev"]
    ]
    missing = [
        str(r) for r in wanted if not r.specifier.contains(pins.get(canonicalize_name(r.name), "0"))
    ]
    assert missing == []
    assert pins["torch"] == "2.13.0"


def test_every_import_is_declared():
    """Third-party modules that the package imports are requirements of its own, not of
    something else."""
    homes = {
        "PIL": "pillow",
        "ot": "pot",
        "sklearn": "scikit-learn",
        "yaml": "pyyaml",
        "IPython": "ipython",
        "skimage": "scikit-image",
    }
    found = {n.split(".")[0] for p in MODULES for n in imports(p.read_text())}
    third_party = found - set(sys.stdlib_module_names) - {"genlab", "."}
    declared = {canonicalize_name(Requirement(r).name) for r in project()["dependencies"]}
    assert {n for n in third_party if canonicalize_name(homes.get(n, n)) not in declared} == set()


def test_conda_installs_the_same_versions():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = dict(
        d.split("=") for d in environment["dependencies"] if isinstance(d, str) and "=" in d
    )
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == ["-r requirements.lock"]
    assert Requirement(f"python{project()['requires-python']}").specifier.contains(plain["python"])
    pins = locked()
    assert all(pins[canonicalize_name(n)] == v for n, v in plain.items() if n != "python")


def shell_lines(text: str) -> list[str]:
    """The commands in the ```bash blocks of a document, without their comments,
    and those quoted inline."""
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    inline = re.findall(r"`((?:\.venv/bin/)?(?:genlab|make) [^`]+)`", text)
    lines = [
        line.split("  #")[0].strip() for block in blocks for line in block.splitlines()
    ] + inline
    return [line.removeprefix(".venv/bin/") for line in lines if line]


def complaint(line: str) -> str | None:
    """What is wrong with a documented command: a command, an option or a make target that
    does not exist."""
    words = [w for w in shlex.split(line) if w not in ("…", "...")]
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        unknown = [w for w in words[1:] if "=" not in w and w not in targets]
        return f"no target {unknown}" if unknown else None
    if words[0] != "genlab":
        return None
    command = main.commands.get(words[1])
    if command is None:
        return f"no command {words[1]}"
    try:
        command.make_parser(click.Context(command)).parse_args(words[2:])
    except click.ClickException as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_documented_commands_exist(path):
    lines = shell_lines(path.read_text())
    assert len(lines) > 3
    assert {line: complaint(line) for line in lines if complaint(line)} == {}


def test_an_invented_command_is_seen():
    for line in ("genlab train dsm", "genlab run dsm --epochs 3", "make coffee"):
        assert complaint(line)


def test_documents_link_to_files_that_exist():
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data" / "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
    for name in re.findall(r"^\| `([^`]+/)`", (ROOT / "README.md").read_text(), flags=re.MULTILINE):
        assert (ROOT / name).is_dir()


def test_contributing_is_short_and_sections_are_listed():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 60
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = {c["file"] for part in toc["parts"] for c in part["chapters"]}
    assert {f"notebooks/{p.stem}" for p in (ROOT / "notebooks").glob("*.md")} <= listed
    intro = (ROOT / "book" / "intro.md").read_text()
    assert all(f"{{doc}}`/{f}`" in intro for f in listed if f.startswith("notebooks/"))


def test_citations_are_in_the_bibliography_once():
    keys = re.findall(
        r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), flags=re.MULTILINE
    )
    assert len(keys) == len(set(keys))
    pages = [*(ROOT / "notebooks").glob("*.md"), *(ROOT / "book").glob("*.md")]
    cited = {
        key.strip()
        for page in pages
        for group in re.findall(r"\{cite:[a-z]+\}`([^`]+)`", page.read_text())
        for key in group.split(",")
    }
    assert cited <= set(keys)


def test_ci_runs_the_tests():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_sections_survive_the_way_to_a_notebook_and_back():
    files = sorted(map(str, (ROOT / "notebooks").glob("*.md")))
    command = [sys.executable, "-m", "jupytext", "--test", "--to", "ipynb", *files]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
