"""Keys: each part changes exactly the keys it should; parameters parse as they are written."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from genlab.report import closure
from pipeline import Project

from genlab.section.paths import ROOT, UserError

KEYS = (
    "import json; from genlab.pipeline.runs.keys import default_key; "
    "from genlab.pipeline.runs.pages import section_names; "
    "print(json.dumps({n: {p: default_key(n, p) for p in ('quick', 'full')} "
    "for n in section_names()}))"
)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def keys(project):
    result = subprocess.run(
        [sys.executable, "-c", KEYS], env=project.env, capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


CHANGES = {
    "code of the first":
        (("notebooks/first.md", "scale * size", "size * scale"), {"first", "second"}),
    "code of the second": (("notebooks/second.md", '"total"', '"sum"'), {"second"}),
    "an import of the second":
        (("notebooks/second.md", "import section", "import section\nimport genlab.streams"),
         {"second"}),
    "prose": (("notebooks/first.md", "It uses", "It needs"), set()),
    "a comment on a parameter": (("notebooks/first.md", "# a factor", "# some factor"), set()),
    "a default": (("notebooks/first.md", "scale = 2.0", "scale = 3.0"), {"first", "second"}),
    "data": (("data/SHA256SUMS", "  numbers", "0  numbers"), {"first", "second"}),
    "the lock": (("requirements.lock", "2.4.6", "2.4.7"), {"first", "second"}),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_moves_exactly_the_keys_it_should(project, change):
    before = keys(project)
    edit, expected = CHANGES[change]
    project.edit(*edit)
    after = keys(project)
    assert {name for name in before if before[name]["full"] != after[name]["full"]} == expected


TOYS = {"toy_data", "ebm", "dsm", "ddpm", "gan_toy", "toy_comparison"}
BOLTZMANN = {"rbm", "rbm_inpainting", "dbn", "dbm"}
AUTOENCODERS = {"pca_kmeans", "deep_autoencoder", "autoencoder_finetuning", "vae"}
ADVERSARIAL = {"gan", "acgan", "wgan"}
IMAGES = BOLTZMANN | AUTOENCODERS | ADVERSARIAL | {"transport"}  # all sections that show images
REAL = TOYS | IMAGES
NO_JAX = {"toy_data", "toy_comparison"} | AUTOENCODERS - {"deep_autoencoder"} | ADVERSARIAL
READERS = {"toy_comparison", "transport"}  # of the sections on 2-D data
BOOK_CHANGES = {
    "a sampler": ("src/genlab/toys/langevin.py", {"ebm", "dsm", "ddpm"} | READERS),
    "an energy": ("src/genlab/toys/energy.py", {"ebm"} | READERS),
    "the two players": ("src/genlab/toys/adversarial.py", {"gan_toy"} | READERS),
    "a module that sections talk to": ("src/genlab/report/section.py", REAL),
    "figures": ("src/genlab/plots/plane.py", REAL),
    "the pipeline": ("src/genlab/report/run.py", set()),
    "the colours of one part": ("src/genlab/plots/pictures.py", IMAGES),
    "a training of one part": (
        "src/genlab/boltzmann/training.py",
        BOLTZMANN | {"deep_autoencoder"},
    ),
    "a model of one section, which another reads": (
        "src/genlab/boltzmann/helmholtz.py",
        {"dbn", "dbm"},
    ),
    "a judge of images": (
        "src/genlab/images/classifier.py",
        {"autoencoder_finetuning", "vae"} | ADVERSARIAL,
    ),
    "the two players on images": ("src/genlab/images/players.py", ADVERSARIAL),
    "transport": ("src/genlab/transport.py", {"transport", "wgan"}),
    "the images": ("src/genlab/data/images.py", IMAGES),
    "a page of text": ("book/intro.md", set()),
}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A copy of the real project's sources, and a function that reads its keys
    (as in a process that starts now)."""
    root = tmp_path_factory.mktemp("book")
    for name in ("src", "notebooks"):
        shutil.copytree(
            ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    (root / "data").mkdir()
    (root / "book").mkdir()
    for name in ("_toc.yml", "requirements.lock", "data/SHA256SUMS", "book/intro.md"):
        shutil.copy(ROOT / name, root / name)
    env = {k: v for k, v in os.environ.items() if not k.startswith("GENLAB")} | {
        "PYTHONPATH": str(root / "src")
    }

    def read(**more):
        result = subprocess.run(
            [sys.executable, "-c", KEYS], env=env | more, capture_output=True, text=True, check=True
        )
        return {name: key["full"] for name, key in json.loads(result.stdout).items()}

    return root, read, read()


def moved(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("what", BOOK_CHANGES)
def test_a_change_of_a_file_makes_exactly_the_right_sections_of_the_book_stale(book, what):
    root, read, before = book
    file, expected = BOOK_CHANGES[what]
    whole = (root / file).read_text()
    (root / file).write_text(whole + "\n# changed\n")
    after = read()
    (root / file).write_text(whole)
    assert moved(before, after) == expected


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("optax", REAL - NO_JAX - {"deep_autoencoder"}),  # whose machines step by hand
        ("jaxlib", REAL - NO_JAX),  # what jax requires
        ("seaborn", REAL),
        ("ruff", set()),
        ("distributed", set()),
        ("sphinx", set()),
    ],
)
def test_a_new_version_of_a_package_moves_the_sections_that_load_it(book, package, expected):
    root, read, before = book
    lock = root / "requirements.lock"
    whole = lock.read_text()
    lock.write_text(re.sub(rf"(?mi)^({package}==.*)$", r"\1.post9", whole))
    assert lock.read_text() != whole
    after = read()
    lock.write_text(whole)
    # toy_comparison reads the others' results, so it moves when they do
    assert moved(before, after) == expected | ({"toy_comparison"} if expected else set())


def test_the_device_counts_only_where_a_section_wants_one(book):
    root, read, before = book
    assert moved(before, read(GENLAB_GPU="Some GPU")) == set()
    file = root / "notebooks/ebm.md"
    whole = file.read_text()
    file.write_text(whole.replace("  quick:\n", "  device: any\n  quick:\n", 1))
    on_cpu, on_gpu = read(GENLAB_GPU="none"), read(GENLAB_GPU="Some GPU")
    file.write_text(whole)
    assert moved(before, on_cpu) == set() and moved(on_cpu, on_gpu) == {"ebm"} | READERS


def test_why_names_the_file_the_parameter_and_the_package(project):
    assert project.genlab("run", "--all").returncode == 0
    assert "first (quick) is current" in project.genlab("why", "first").stdout
    project.edit("notebooks/first.md", "scale * size", "size * scale")
    assert "code: first.md, cell 2 changed: `import os`" in project.genlab("why", "first").stdout
    reach = project.genlab("why", "second").stdout
    assert "needs: first would be run again, because of" in reach and "cell 2 changed" in reach
    project.edit("notebooks/first.md", "size * scale", "scale * size")
    assert "params: scale 2.0 -> 3.0" in project.genlab("why", "first", "-p", "scale=3.0").stdout
    project.edit("requirements.lock", "2.4.6", "2.4.7")
    assert "lock: numpy 2.4.6 -> 2.4.7" in project.genlab("why", "first").stdout
    refused = project.genlab("run", "first")
    assert refused.returncode == 2 and "numpy 2.4.6 installed, 2.4.7 pinned" in refused.stderr
    project.edit("requirements.lock", "2.4.7", "2.4.6")
    project.edit("notebooks/first.md", "It uses", "It really uses")
    assert "is current" in project.genlab("why", "first").stdout


def test_why_tells_the_import_trail(project):
    cell = "from genlab import section"
    project.edit("notebooks/first.md", cell, f"import genlab.toys.energy\n{cell}")
    clone = project.root / "src"
    shutil.copytree(ROOT / "src", clone, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    project.env["PYTHONPATH"] = str(clone)
    assert project.genlab("run", "first").returncode == 0
    file = clone / "genlab/toys/langevin.py"
    file.write_text(file.read_text() + "\n# changed\n")
    said = project.genlab("why", "first").stdout
    assert (
        "src/genlab/toys/langevin.py changed (imported by notebooks/first.md through" in said
        and "genlab.toys.energy" in said
    )


def test_a_needed_run_follows_the_seed(project):
    assert project.genlab("run", "second", "--seed", "3").returncode == 0
    records = [json.loads(f.read_text()) for f in (project.root / "runs").glob("*/*/record.json")]
    assert {r["section"]: r["seed"] for r in records} == {"first": 3, "second": 3}


def test_a_file_given_as_a_parameter_counts_by_what_is_in_it(project):
    project.edit(
        "notebooks/first.md", "# a switch", '# a switch\npicture = "none"  # a file {none | file}'
    )
    path = project.root / "mine.txt"
    missing = project.genlab("run", "first", "-p", f"picture={path}")
    assert (
        missing.returncode == 2
        and "mine.txt' is refused: there is no such file (a file; str, none | file)"
        in missing.stderr
    )
    for text, state in (("one", "done"), ("one", "reused"), ("two", "done")):
        path.write_text(text)
        assert state in project.genlab("run", "first", "-p", f"picture={path}").stdout
    assert "done" in project.genlab("run", "first").stdout  # by its name, without a file


def test_quick_values_move_the_quick_key_only(project):
    before = keys(project)
    project.edit("notebooks/first.md", "quick: {size: 3}", "quick: {size: 4}")
    after = keys(project)
    assert (
        before["first"]["full"] == after["first"]["full"]
        and before["first"]["quick"] != after["first"]["quick"]
    )


def test_closure_is_transitive_and_no_wider():
    names = closure.import_closure({"genlab.toys.score"})
    assert {
        "genlab.toys.score",
        "genlab.toys.langevin",
        "genlab.toys.networks",
        "genlab.streams",
        "genlab.data.toy",
    } <= set(names)
    assert not {
        n for n in names if n.startswith(("genlab.report", "genlab.plots", "genlab.metrics"))
    }
    assert closure.imported_modules(
        "import numpy\nfrom genlab import plots\nfrom genlab.toys import energy as e"
    ) == {"genlab", "genlab.plots", "genlab.toys", "genlab.toys.energy"}


def test_parameters_parse_with_unit_and_rule():
    source = (
        "a = 1  # count of things [things] {1 .. 2_000}\n"
        "b = 'x'  # choice {x | y}\n"
        "c = [0.5, 1.0]  # levels [nats] {> 0}\n"
        "d = True"
    )
    a, b, c, d = sections.parse_parameters(source, "test")
    assert (a.meaning, a.unit, a.rule, a.type_name) == (
        "count of things",
        "things",
        "1 .. 2_000",
        "int",
    )
    assert (b.rule, c.unit, c.type_name, d.meaning) == ("x | y", "nats", "list of float", "")


@pytest.mark.parametrize("source", ["a = b", "a, b = 1, 2", "print(1)", "a = len('x')"])
def test_a_parameter_must_be_a_literal(source):
    with pytest.raises(UserError, match=r"literal"):
        sections.parse_parameters(source, "test")


def test_cell_ids_do_not_change_between_readings(project):
    ids = [
        [c.id for c in sections.read_section(project.root / "notebooks/first.md").notebook.cells]
        for _ in range(2)
    ]
    assert ids[0] == ids[1] and len(set(ids[0])) == len(ids[0])
