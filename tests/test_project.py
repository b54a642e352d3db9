"""The house: walls between modules, pinned versions that agree, and documents that
tell the truth."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import click
import jupytext
import packaging.markers
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from genlab.pipeline.cli import main
from genlab.section import packages
from genlab.section.paths import ROOT

PACKAGE = ROOT / "src" / "genlab"
MODULES = sorted(PACKAGE.rglob("*.py"))
FRAMEWORKS = {"jax": "jax", "optax": "jax", "equinox": "jax", "torch": "torch", "ot": "ot"}
FAMILIES = tuple(
    f"genlab.{name}" for name in ("toys", "boltzmann", "autoencoders", "games", "transport")
)
TOYS = {
    "genlab.toys." + name
    for name in (
        "energy", "score", "diffusion", "adversarial",
        "flow_matching", "normalizing_flow", "variational",
    )
}  # fmt: skip
SHARED = ("genlab.images", "genlab.training")  # by the families, of which they know nothing
MODELS = (*FAMILIES, *SHARED, "genlab.metrics", "genlab.plots")
READABLE = {"genlab.data", "genlab.data.files"}  # of the data: how files are packed
ABOUT = {
    "book_html",
    "browser",
    "claims",
    "environments",
    "gate_faults",
    "page_format",
    "project",
    "properties",
    "sections",
    "slurm",
    "trainings",
    "workflows",
}
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

    def below(*rooms: str, others: tuple[str, ...] = ()) -> list[str]:
        found = [n for n in names if f"{n}.".startswith(tuple(f"{r}." for r in rooms))]
        return [n for n in found if not f"{n}.".startswith(tuple(f"{o}." for o in others))]

    own = next((f for f in FAMILIES if f"{module}.".startswith(f"{f}.")), None)
    frameworks = {FRAMEWORKS[n.split(".")[0]] for n in names if n.split(".")[0] in FRAMEWORKS}
    broken = [f"{len(frameworks)} frameworks: {sorted(frameworks)}"] if len(frameworks) > 1 else []
    if module.startswith(("genlab.pipeline", "genlab.section")):
        broken += [*below(*MODELS), *({*below("genlab.data")} - READABLE)]
        broken += [n for n in names if n.split(".")[0] in FRAMEWORKS]
    else:
        broken += below("genlab.section")
    if not module.startswith("genlab.pipeline"):
        broken += below("genlab.pipeline")
    if own:
        broken += below(*FAMILIES, others=(own,))
    if module.startswith(SHARED):
        broken += below(*FAMILIES)
    if module in TOYS:
        broken += [n for n in names if n in TOYS - {module}]
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
        ("genlab.pipeline.runs.keys", "from genlab.data import images"),
        ("genlab.pipeline.views.book", "from genlab.training import progress"),
        ("genlab.section.states", "from genlab.pipeline.runs import store"),
        ("genlab.section", "from genlab import plots"),
        ("genlab.metrics.images", "from genlab.pipeline.runs.store import find"),
        ("genlab.games.game", "from genlab.autoencoders import deep"),
        ("genlab.autoencoders.deep", "from genlab.boltzmann.rbm import RBM"),
        ("genlab.transport", "from genlab.toys import score"),
        ("genlab.images.judge", "from genlab.games import players"),
        ("genlab.training.torch", "def f():\n    from genlab import transport"),
        ("genlab.training.torch", "import jax\nimport torch"),
        ("genlab.toys.energy", "from genlab import section"),
        ("genlab.toys.energy", "from genlab.toys import score"),
        ("genlab.toys.energy", "import jax\nimport torch"),
        ("genlab.metrics.distances", "import jax.numpy as jnp"),
    ],
)
def test_a_hole_in_a_wall_is_seen(module, source):
    assert broken_walls(module, source)


def test_what_is_shared_may_be_used():
    for module, source in (
        (
            "genlab.pipeline.runs.keys",
            "from genlab.data import files\nfrom genlab.section import code",
        ),
        (
            "genlab.games.game",
            "from genlab.images import networks\nfrom genlab.training import torch",
        ),
        ("genlab.toys.energy", "from genlab.toys import langevin"),
    ):
        assert broken_walls(module, source) == []


def file_of_tests(module: str) -> str:
    """The name of a module's test file: test_ROOM_MODULE.py, after the first room and the last."""
    _, *rooms = module.split(".")
    return f"test_{'_'.join(dict.fromkeys((rooms[0], rooms[-1])))}.py"


def astray(modules: list[str], files: set[str]) -> list[str]:
    """Modules without a test file, two with the same one, and test files without a module."""
    names = {module: file_of_tests(module) for module in modules}
    found = [f"{module}: no tests/{name}" for module, name in names.items() if name not in files]
    found += [f"{m}: shares {n}" for m, n in names.items() if [*names.values()].count(n) > 1]
    rooms = {file_of_tests(".".join(module.split(".")[:2])) for module in modules}
    others = {f"test_{name}.py" for name in ABOUT}
    return found + sorted(f"{n}: of no module" for n in files - {*names.values()} - rooms - others)


def test_every_module_has_its_test_file_and_every_test_file_its_module():
    modules = [module_name(p) for p in MODULES if p.name != "__init__.py"]
    assert astray(modules, {p.name for p in (ROOT / "tests").glob("test_*.py")}) == []


def test_a_module_without_tests_is_seen():
    files = {"test_toys_score.py", "test_toys.py", "test_streams.py", "test_pipeline_keys.py"}
    modules = ["genlab.toys.score", "genlab.streams", "genlab.pipeline.runs.keys"]
    assert astray(modules, files) == []
    assert astray([*modules, "genlab.toys.new"], files) == [
        "genlab.toys.new: no tests/test_toys_new.py"
    ]
    assert astray(modules, files | {"test_report_keys.py"}) == ["test_report_keys.py: of no module"]
    assert len(astray([*modules, "genlab.pipeline.gate.keys"], files)) == 2


def test_files_read_in_one_sitting():
    assert {p.name for p in MODULES if len(p.read_text().splitlines()) > 350} == set()
    assert not {p.name for p in MODULES} & {"utils.py", "base.py", "registry.py"}


def without_encoding(source: str) -> list[int]:
    """Lines of the calls that read or write text and leave its encoding to the locale."""
    found = []
    for node in [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]:
        owner, _, name = ast.unparse(node.func).rpartition(".")
        words = {k.arg for k in node.keywords}
        mode = [a.value for a in node.args if isinstance(a, ast.Constant)]
        text = {
            "read_text": len(node.args) < 1,
            "write_text": len(node.args) < 2,
            "open": owner not in ("Image", "tarfile", "gzip", "lzma", "webbrowser")
            and not any("b" in m for m in mode if isinstance(m, str) and len(m) < 4),
            "run": bool(words & {"text", "universal_newlines"}),
            "Popen": bool(words & {"text", "universal_newlines"}),
        }
        if text.get(name, False) and "encoding" not in words:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "book").glob("*.py"))], ids=str)
def test_text_is_utf8_in_every_locale(path):
    assert without_encoding(path.read_text("utf-8")) == []


def test_an_encoding_left_to_the_locale_is_seen():
    wrong = (
        "p.read_text()\np.write_text(t)\nopen(p)\nopen(p, 'w')\np.open('w')\n"
        "subprocess.run(c, text=True)\nsubprocess.Popen(c, universal_newlines=True)"
    )
    right = (
        "p.read_text('utf-8')\np.write_text(t, encoding='utf-8')\nopen(p, 'rb')\nImage.open(p)\n"
        "p.open('w', encoding='utf-8')\nsubprocess.run(c, encoding='utf-8')\nsubprocess.run(c)"
    )
    assert without_encoding(wrong) == list(range(1, 8)) and without_encoding(right) == []


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


def lines_of_the_lock() -> list[Requirement]:
    lines = [
        line
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if line and line[0] != "#"
    ]
    return [Requirement(line) for line in lines]


def locked() -> dict[str, str]:
    """{package: version} of requirements.lock; every line pins exactly one version."""
    pins = [(canonicalize_name(r.name), list(r.specifier)) for r in lines_of_the_lock()]
    assert all(len(s) == 1 and s[0].operator == "==" for _, s in pins) and len(dict(pins)) == len(
        pins
    )
    return {name: s[0].version for name, s in pins}


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


def bounds() -> tuple[Version, Version]:
    """The lowest Python that requires-python promises, and the first that it does not promise any
    more."""
    match = re.fullmatch(r">=(\d+\.\d+(?:\.\d+)?),<(\d+\.\d+)", project()["requires-python"])
    assert match, "requires-python must read >=A,<B: the Makefile reads it, too"
    return Version(match[1]), Version(match[2])


def promised(minor: int) -> list[Version]:
    """The first and a late release of Python 3.`minor`, as far as they are promised."""
    low, high = bounds()
    return [v for v in (Version(f"3.{minor}.0"), Version(f"3.{minor}.99")) if low <= v < high]


def refuses(name: str, requires_python: str | None) -> str | None:
    """A complaint if a distribution does not install on every Python that is promised."""
    pythons = [v for minor in range(30) for v in promised(minor)]
    wrong = [str(v) for v in pythons if v not in SpecifierSet(requires_python or "")]
    if wrong:
        return (
            f"{name} needs Python {requires_python}, requires-python promises "
            f"{project()['requires-python']}: {wrong}"
        )
    return None


ENVIRONMENT = dict(packaging.markers.default_environment())


def wanted_by(name: str) -> list[str]:
    """What a distribution requires on the Python that runs."""
    found = map(Requirement, metadata.requires(name) or [])
    return [r.name for r in found if r.marker is None or r.marker.evaluate({"extra": ""})]


def pinned_here() -> dict[str, metadata.Distribution]:
    """The distributions of the lock that belong on this Python and this platform, all of which
    `make` has installed."""
    return {
        r.name: metadata.distribution(r.name)
        for r in lines_of_the_lock()
        if not r.marker or r.marker.evaluate()
    }


def test_the_lock_installs_on_every_python_that_is_promised():
    found = {
        name: refuses(name, d.metadata.get("Requires-Python")) for name, d in pinned_here().items()
    }
    assert [complaint for complaint in found.values() if complaint] == []


def test_a_package_that_needs_another_python_is_seen():
    """soupsieve 4.1.1 was pinned, and Debian 12 has Python 3.11.2."""
    assert "soupsieve needs Python >=3.11.5" in refuses("soupsieve", ">=3.11.5")
    low, high = bounds()
    last = f"{high.major}.{high.minor - 1}"
    assert (
        refuses("old", f"<{last}") and refuses("old", f"!={last}.*") and refuses("new", f">{low}")
    )
    assert not any(
        refuses("any", spec) for spec in (None, "", ">=3.8", f">={low}", f">={low}, !={high}.1")
    )


def test_the_lock_holds_what_every_python_that_is_promised_needs():
    """Requirements under a marker, on each promised Python: papermill wants aiohttp on 3.12
    alone."""
    lock = {canonicalize_name(r.name): r.marker for r in lines_of_the_lock()}
    free = {"setuptools", "wheel", "pip"}  # tools that no pin covers
    for minor in range(30):
        for python in promised(minor):
            here = {"python_version": f"3.{minor}", "python_full_version": str(python), "extra": ""}
            wanted = {
                canonicalize_name(r.name)
                for name, d in pinned_here().items()
                for r in map(Requirement, d.requires or [])
                if canonicalize_name(name) != "torch"
                and (r.marker is None or r.marker.evaluate(here))
            }
            there = {
                name for name, marker in lock.items() if marker is None or marker.evaluate(here)
            }
            assert wanted - there - free == set(), str(python)


def test_a_key_is_the_same_on_every_python_that_is_promised(monkeypatch):
    """IPython wants typing_extensions below 3.12 alone; what this Python says of itself must not
    reach a key."""
    assert Version(packages.LOWEST_PYTHON["python_version"]) == Version(
        ".".join(map(str, bounds()[0].release[:2]))
    )
    found = {}
    for python in ("3.11", "3.13"):
        monkeypatch.setattr(
            packaging.markers,
            "default_environment",
            lambda python=python: ENVIRONMENT | {"python_version": python},
        )
        packages._requirements.cache_clear()
        found[python] = packages._requirements("ipython"), set(wanted_by("ipython"))
    packages._requirements.cache_clear()
    assert found["3.11"][0] == found["3.13"][0] and "typing_extensions" in found["3.13"][0]
    assert found["3.11"][1] != found["3.13"][1], (
        "the wrong twin, which asks the Python it runs on, sees the difference"
    )


def test_makefile_reads_the_bounds_of_python(tmp_path):
    """A Python outside of both bounds is refused in one line, with its version, the bounds and a
    remedy."""
    low, high = bounds()
    for version, fits in (
        (low, True),
        (high, False),
        (Version("3.10.13"), False),
        (Version("2.7.18"), False),
    ):
        fake = tmp_path / f"python{version}"
        fake.write_text(
            f'#!/bin/sh\n[ "$1" != -V ] || {{ echo Python {version}; exit 0; }}\n'
            'code=$(printf %s "$2" | sed \'s/^import sys;/import sys; sys.version_info = '
            f"{(*version.release, 0)[:3]};/')\n"
            f'shift 2\nexec {sys.executable} -c "$code" "$@"\n'
        )
        fake.chmod(0o755)
        command = [
            "make",
            "--no-print-directory",
            f"PYTHON={fake}",
            f"VENV={tmp_path / 'no'}",
            f"{tmp_path}/no/bin/activate",
        ]
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        told = (
            f"is Python {version}, genlab needs {project()['requires-python']}: name another: "
            "make PYTHON="
        )
        assert (told in result.stderr) == (not fits), result.stderr
        assert (f"with Python {version}" in result.stdout) == fits


def test_every_import_is_declared():
    """Third-party modules that the package imports are requirements of its own, not of
    something else."""
    homes = {
        "PIL": "pillow",
        "bs4": "beautifulsoup4",
        "ot": "pot",
        "sklearn": "scikit-learn",
        "yaml": "pyyaml",
        "IPython": "ipython",
        "markdown_it": "markdown-it-py",
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
    cards = yaml.safe_load((ROOT / "book" / "cards.yaml").read_text())["cards"]
    assert all(f.removeprefix("notebooks/") in cards for f in listed if f.startswith("notebooks/"))


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


SECTIONS = [
    *sorted((ROOT / "notebooks").glob("*.md")),
    *sorted((ROOT / "tests" / "miniature" / "notebooks").glob("*.md")),
]
FILTER = "  notebook_metadata_filter: genlab\n"


def lost(before: str, after: str) -> list[str]:
    """What of a section is not in it any more after it was saved: its block of front matter, cells,
    or what is said of them."""
    old, new = (jupytext.reads(text, fmt="md:myst") for text in (before, after))
    cells = [
        [(c.cell_type, c.source, c.metadata) for c in notebook.cells] for notebook in (old, new)
    ]
    block = [notebook.metadata.get("genlab") for notebook in (old, new)]
    return ["front matter"] * (block[0] != block[1]) + ["cells"] * (cells[0] != cells[1])


@pytest.mark.parametrize("path", SECTIONS, ids=lambda p: p.stem)
def test_a_section_is_whole_after_it_was_saved(path):
    """By the library, which reads no jupytext.toml: a line in the section itself says what is
    kept."""
    text = path.read_text()
    saved = jupytext.writes(jupytext.reads(text, fmt="md:myst"), fmt="md:myst")
    assert FILTER in text and lost(text, saved) == []


def through_jupyter(folder: Path, text: str) -> str:
    """The section as Jupyter, or the command `jupytext`, saves it in `folder`: through the form of
    a notebook."""
    (folder / "section.md").write_text(text)
    for order in (
        ["section.md", "-o", "section.ipynb"],
        ["section.ipynb", "--to", "md:myst", "-o", "section.md"],
    ):
        subprocess.run([sys.executable, "-m", "jupytext", "-q", *order], cwd=folder, check=True)
    return (folder / "section.md").read_text()


def test_jupytext_toml_keeps_the_front_matter_of_a_new_section(tmp_path):
    """A section without the line that says so, saved where jupytext.toml is; where it is not, the
    block is lost."""
    text = (ROOT / "notebooks" / "ebm.md").read_text().replace(FILTER, "")
    for folder in (ROOT, ROOT / "tests" / "miniature"):
        (tmp_path / folder.name).mkdir()
        shutil.copy(folder / "jupytext.toml", tmp_path / folder.name)
        saved = through_jupyter(tmp_path / folder.name, text)
        assert lost(text, saved) == [] and "jupytext_version" not in saved
    (tmp_path / "bare").mkdir()
    assert lost(text, through_jupyter(tmp_path / "bare", text)) == ["front matter"]


def test_lines_end_alike_in_every_checkout():
    """Keys hash bytes: with CRLF in a checkout every page would be stale."""
    files = [str(p.relative_to(ROOT)) for p in tracked()]
    told = subprocess.run(
        ["git", "ls-files", "--eol", *files], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split("\t")[0].split(maxsplit=2) for line in told.splitlines()]
    assert {row[0] for row in rows} <= {"i/lf", "i/-text", "i/none"}
    assert {row[2].strip() for row in rows} <= {
        "attr/text=auto eol=lf",
        "attr/text eol=lf",
        "attr/-text",
    }
