"""The repository keeps its own rules: pins, walls, sizes, and documents that tell the truth."""

import ast
import re
import subprocess
import tomllib

import pytest
import yaml

from genlab.report import sections
from genlab.report.cli import main
from genlab.report.closure import import_closure, sha256
from genlab.report.paths import PACKAGE, ROOT

MIB = 2**20


def modules() -> dict[str, set[str]]:
    """{genlab module: top-level names it imports}."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(("genlab", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        imports = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imports |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} uses a relative import, which keys do not follow"
                imports |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        found[name] = imports
    return found


FRAMEWORKS = {"jax", "torch", "ot"}
FAMILIES = ("toys", "boltzmann", "images")


def test_walls():
    for name, imports in modules().items():
        part = name.split(".")[1] if "." in name else ""
        own = {".".join(i.split(".")[:2]) for i in imports if i.startswith("genlab.")}
        used = {i.split(".")[0] for i in imports} & FRAMEWORKS
        assert len(used) <= 1, f"{name} mixes {used}"
        if part == "report":
            allowed = {"genlab.report"}
            assert own <= allowed and not used, f"{name} imports {own | used}: the pipeline imports no model code"
        else:
            assert "genlab.report" not in own, f"{name} imports the pipeline"
        if part in FAMILIES:
            assert not own & {f"genlab.{f}" for f in FAMILIES if f != part}, f"{name} imports another model family"
        if part in ("data", "metrics"):
            assert not used & {"jax", "torch"}, f"{name} is NumPy and imports {used}"


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.\-]+==[\w.!+]+", line) for line in lines), "every line of the lock is NAME==VERSION"
    return {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}


def test_lock_pins_everything_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.match(r"[\w.\-]+", w)[0].lower().replace("_", "-") for w in wanted}
    assert names <= set(pins())
    assert pins()["torch"] == "2.13.0" and pins()["jupyter-book"] == "1.0.4.post1"


def test_environment_is_consistent_with_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    flat = [d for d in environment["dependencies"] if isinstance(d, str)]
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert any(d.startswith("python=3.11") for d in flat)
    for line in pip:
        if "==" in line:
            name, version = line.split("==")
            assert pins()[name.lower().replace("_", "-")] == version
        else:
            assert line in ("-r requirements.lock", "-e .", "--no-deps -e ."), line


def test_documents_name_only_commands_and_files_that_exist():
    known = set(main.commands)
    for name in ("README.md", "CONTRIBUTING.md", "book/how_to_rerun.md"):
        text = (ROOT / name).read_text()
        assert set(re.findall(r"(?:^|`|/)genlab ([a-z]+)", text, re.M)) <= known, name
        targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
        assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M)) <= targets, name
    for section in re.findall(r"genlab (?:run|describe|sweep|page) ([a-z_0-9]+)", (ROOT / "README.md").read_text()):
        assert section in sections.section_names()
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 60
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_sizes():
    sizes = {name: (ROOT / name).stat().st_size for name in tracked()}
    assert sum(sizes.values()) < 64 * MIB
    heavy = {n: s for n, s in sizes.items() if s > 3 * MIB and not n.startswith("data/")}
    assert not heavy
    assert sum(s for n, s in sizes.items() if n.startswith("book/published/")) < 20 * MIB
    long = {
        n
        for n in sizes
        if n.startswith("src/") and n.endswith(".py") and len((ROOT / n).read_text().splitlines()) > 350
    }
    assert not long


def test_data_is_what_its_checksums_say():
    lines = (ROOT / "data" / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 8
    for line in lines:
        digest, name = line.split()
        assert sha256((ROOT / "data" / name.lstrip("*").removeprefix("./")).read_bytes()) == digest


def test_sections_are_listed_and_import_only_what_exists():
    files = {path.stem for path in (ROOT / "notebooks").glob("*.md")}
    assert files == set(sections.section_names())
    for name in files:
        code = sections.get_section(name).code_cells
        assert "genlab.report.section" in import_closure({"genlab.report.section"}) and code
