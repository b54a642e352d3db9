"""Keys: each part changes exactly the keys it should, and definitions count, not the files that
hold them."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from audit import definition_at
from gate_faults import FAULTS
from pipeline import Project, one_line, prepared, run_all

from genlab.pipeline.runs import keys, store
from genlab.pipeline.runs.pages import get_section, section_names
from genlab.section import code, packages
from genlab.section.paths import PACKAGE, UserError

OWN = (
    "import json; from genlab.pipeline.runs import keys, store; "
    "from genlab.pipeline.runs.pages import get_section, section_names; "
    "print(json.dumps({n: {p: [store.key_of(keys.own_parts(s, s.values(p, {}), p)), "
    "keys.current_key(n, p)] for p in ('quick', 'full')} "
    "for n in section_names() for s in [get_section(n)]}))"
)


def read(project) -> dict[str, dict[str, list[str | None]]]:
    """{section: {profile: [key of its own parts, current key]}} in a process that starts now."""
    result = subprocess.run(
        [sys.executable, "-c", OWN], env=project.env, capture_output=True, text=True, check=True
    )
    return json.loads(result.stdout)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """The keys of the miniature book as it is, without runs."""
    return read(Project(tmp_path_factory.mktemp("unchanged")))


CHANGES = {
    "code of the first": (("notebooks/first.md", "scale * size", "size * scale"), {"first"}),
    "code of the second": (("notebooks/second.md", '"total"', '"sum"'), {"second"}),
    "an import that nothing uses":
        (("notebooks/second.md", "import section", "import section\nimport genlab.streams"), set()),
    "a package that is loaded":
        (("notebooks/second.md", "import section", "import section\nimport numpy"), {"second"}),
    "prose": (("notebooks/first.md", "It uses", "It needs"), set()),
    "a comment in a cell":
        (("notebooks/first.md", "import os\n", "import os  # for kill\n"), set()),
    "the layout of a cell": (("notebooks/first.md", "scale * size, ", "scale  *  size,"), set()),
    "a comment on a parameter": (("notebooks/first.md", "# a factor", "# some factor"), set()),
    "a default": (("notebooks/first.md", "scale = 2.0", "scale = 3.0"), {"first"}),
    "data": (("data/SHA256SUMS", "2c8b08da", "3c8b08da"), {"first"}),
    "the lock": (("requirements.lock", "2.4.6", "2.4.7"), {"first"}),  # the second loads no numpy
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_moves_exactly_the_keys_it_should(project, unchanged, change):
    edit, expected = CHANGES[change]
    project.edit(*edit)
    after = read(project)
    for i, profile in enumerate(("quick", "full")):
        moved = {n for n in after if after[n][profile][0] != unchanged[n][profile][0]}
        assert moved == expected, (i, profile)


def test_quick_values_move_the_quick_key_only(project, unchanged):
    project.edit("notebooks/first.md", "quick: {size: 3}", "quick: {size: 4}")
    after = read(project)
    assert after["first"]["full"] == unchanged["first"]["full"]
    assert after["first"]["quick"] != unchanged["first"]["quick"]


@pytest.mark.slow
def test_a_section_has_a_key_once_what_it_needs_has_run(unchanged, tmp_path_factory):
    assert unchanged["first"]["quick"][1] and unchanged["second"]["quick"][1] is None
    ran = read(prepared(tmp_path_factory, "ran", run_all))
    assert ran["first"] == unchanged["first"] and ran["second"]["full"][1] is None
    assert ran["second"]["quick"][0] == unchanged["second"]["quick"][0] != ran["second"]["quick"][1]


@pytest.mark.slow
def test_a_needed_run_counts_by_what_it_says(tmp_path_factory):
    """Another way to the same numbers makes nothing stale; other numbers do."""
    project = prepared(tmp_path_factory, "ran", run_all)
    before = read(project)["second"]["quick"][1]
    project.edit("notebooks/first.md", "scale * size", "size * scale")
    assert read(project)["second"]["quick"][1] is None  # until the first has run again
    assert project.genlab("run", "first").returncode == 0
    assert read(project)["second"]["quick"][1] == before
    project.edit("notebooks/first.md", "size * scale", "1 + size * scale")
    assert project.genlab("run", "first").returncode == 0
    assert read(project)["second"]["quick"][1] not in (before, None)


def test_threads_follow_the_profile_and_move_the_key(monkeypatch):
    section = get_section("toy_data")
    for given in ("1", "9", "many"):
        monkeypatch.setenv("GENLAB_THREADS", given)
        assert {
            p: keys.own_parts(section, section.values(p, {}), p)["threads"] for p in keys.THREADS
        } == {"quick": 1, "full": 2}
    before = keys.own_parts(section, section.values("full", {}), "full")
    monkeypatch.setitem(keys.THREADS, "full", 3)
    after = keys.own_parts(section, section.values("full", {}), "full")
    assert {p for p in after if before[p] != after[p]} == {"threads"}
    assert store.key_of(before) != store.key_of(after)


# --- definitions of the real book ---

TOYS = {"toy_data", "ebm", "dsm", "ddpm", "gan_toy", "toy_comparison"}
BOLTZMANN = {"rbm", "rbm_inpainting", "dbn", "dbm", "shape_machine"}
AUTOENCODERS = {"pca_kmeans", "deep_autoencoder", "autoencoder_finetuning", "vae"}
ADVERSARIAL = {"gan", "acgan", "wgan", "progressive"}
IMAGES = BOLTZMANN | AUTOENCODERS | ADVERSARIAL | {"transport"}  # all sections that show images
REAL = TOYS | IMAGES
NO_JAX = {"toy_data"} | AUTOENCODERS - {"deep_autoencoder"} | ADVERSARIAL
MACHINES = {"rbm", "dbn", "dbm", "deep_autoencoder"}  # sections that train machines

DEFINITIONS = {
    "mala": ("toys/langevin.py", "< log_ratio", "<= log_ratio", {"ebm"}),
    "annealed_langevin": ("toys/samplers.py", "step_size * sigma**2", "step_size * sigma", {"dsm"}),
    "the sampler of an energy":
        ("toys/energy.py", "lambda y: -E(params, y)", "lambda y: E(params, y)",
         {"ebm"}),
    "a schedule": ("toys/diffusion.py", "last: float = 0.98", "last: float = 0.97", {"ddpm"}),
    "a game in the plane":
        ("toys/adversarial.py", "fake = generate(params, z, ", "fake = -generate(params, z, ",
         {"gan_toy"}),
    "streams": ("streams.py", "[seed, zlib", "[1 + seed, zlib", REAL),
    "a bandwidth": ("metrics/distances.py", "(-2 * bandwidth**2)", "(-2 * bandwidth)", TOYS),
    "the size of points":
        ("plots/plane.py", "9_000 / n", "8_000 / n", TOYS | {"wgan", "transport"}),
    "a constant of figures": ("plots/plane.py", "NATS = 9.0", "NATS = 8.0", TOYS - {"gan_toy"}),
    "the gap between images": ("plots/pictures.py", "GAP = 2 ", "GAP = 3 ", IMAGES),
    "the images": ("data/images.py", "return Images(images, labels)",
                   "return Images(1 - images, labels)", IMAGES),
    "epochs of machines": ("training/jax.py", "n // rules.batch_size,",
                           "n // rules.batch_size - 1,", MACHINES),
    "wake-sleep": ("boltzmann/helmholtz.py", "missed = dream_h - ", "missed = dream_h + ", {"dbn"}),
    "a judge of images": ("images/judge.py", "dropout=0.25", "dropout=0.2",
                          {"autoencoder_finetuning", "vae"} | ADVERSARIAL),
    "the players on images": ("games/players.py", "nn.Unflatten(1, (2 * width, 7, 7))",
                              "nn.Unflatten(1, (1 + 2 * width, 7, 7))",
                              ADVERSARIAL - {"progressive"}),
    "the players that grow": ("games/growing_players.py", "torch.lerp(small, large, alpha)",
                              "torch.lerp(large, small, alpha)", {"progressive"}),
    "what a page says": ("section/number.py", "one number, and finite", "a number", REAL),
    "what a page saves": ("section/__init__.py", '"arrays.npz"', '"saved.npz"',
                          {"toy_data", "ebm", "dsm", "ddpm", "gan_toy", "rbm", "dbn",
                           "shape_machine", "acgan", "wgan", "progressive"}),
}  # fmt: skip


NOTHING = {
    "the pipeline": ("pipeline/execution/process.py", "POLL = 0.15", "POLL = 0.25"),
    "keys themselves": ("section/code.py", "SCHEME = 2", "SCHEME = 2 + 0"),
    "a comment": ("toys/langevin.py", "    log_ratio = ", "    # said\n        log_ratio = "),
    "layout": ("toys/langevin.py", "carry, carry[0]", "(carry,  carry[0])"),
    "a docstring": ("toys/langevin.py", "One step of each kernel", "A step of each kernel"),
}


@pytest.fixture
def copy(tmp_path):
    """A copy of the package that a test may change."""
    folder = tmp_path / "src" / "genlab"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def now():
    """Digests of the sections above: one that somebody adds is not in these tables."""
    return {name: keys.code_behind(get_section(name)).digest for name in sorted(REAL)}


def moved(now, package) -> set[str]:
    """Sections whose code has another digest in this copy of the package."""
    fresh = Path(tempfile.mkdtemp(dir=package.parent)) / "genlab"  # a folder is read once
    shutil.copytree(package, fresh)
    return {n for n in now if keys.code_behind(get_section(n), fresh).digest != now[n]}


def rewrite(path, change) -> None:
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)


@pytest.mark.parametrize("what", DEFINITIONS)
def test_a_changed_definition_moves_exactly_the_sections_that_reach_it(copy, now, what):
    file, old, new, expected = DEFINITIONS[what]
    rewrite(copy / file, lambda text: text.replace(old, new, 1))
    assert moved(now, copy) == expected


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_moves_exactly_the_sections_that_use_its_line(copy, now, fault):
    """Those that the gate is tried on; who uses the line is read from calls, not from digests."""
    path = copy / fault.file
    before = path.read_text()
    line = before.count("\n", 0, before.index(fault.right)) + 1
    module = ".".join(("genlab", *fault.file.removesuffix(".py").split("/")))
    owner = definition_at(code.library(PACKAGE), module, line)
    users = {n for n in now if owner in keys.code_behind(get_section(n)).trail}
    rewrite(path, lambda text: text.replace(fault.right, fault.wrong, 1))
    assert moved(now, copy) == users and users
    if fault.name.startswith("Langevin noise"):
        assert users == {"ebm", "dsm"}  # ddpm imports the file, and walks without that step


def test_the_pipeline_comments_layout_and_docstrings_move_nothing(copy, now):
    for file, old, new in NOTHING.values():
        rewrite(copy / file, lambda text, old=old, new=new: text.replace(old, new, 1))
    assert moved(now, copy) == set()


def test_an_added_function_and_an_added_module_move_nothing(copy, now):
    plane = copy / "plots" / "plane.py"
    rewrite(plane, lambda t: t + '\n\ndef cross(ax):\n    """New."""\n    return ax\n')
    (copy / "plots" / "crosses.py").write_text(
        "from genlab.plots.plane import cross\n\nX = cross\n"
    )
    assert moved(now, copy) == set()
    rewrite(plane, lambda t: t.replace("    x = _points(x)\n", "    x = cross(_points(x))\n", 1))
    assert {"toy_data", "ebm"} <= moved(now, copy)  # once something reaches it, it counts


def test_a_helper_that_is_renamed_or_moved_moves_nothing(copy, now):
    """`_points` gets another name, and then goes to a module of its own, whence it is imported."""
    plane = copy / "plots" / "plane.py"
    rewrite(plane, lambda t: re.sub(r"\b_points\b", "_checked", t))
    assert moved(now, copy) == set()
    text = plane.read_text()
    node = next(n for n in ast.parse(text).body if getattr(n, "name", "") == "_checked")
    lines = text.splitlines(keepends=True)
    helper = "".join(lines[node.lineno - 1 : node.end_lineno])
    (copy / "plots" / "checks.py").write_text(f"import numpy as np\n\n\n{helper}")
    del lines[node.lineno - 1 : node.end_lineno]
    head = "import numpy as np\n"
    plane.write_text(
        "".join(lines).replace(head, head + "from genlab.plots.checks import _checked\n")
    )
    assert moved(now, copy) == set()
    rewrite(copy / "plots" / "checks.py", lambda t: t.replace("!= 2", "!= 3"))
    assert {"toy_data", "ebm"} <= moved(now, copy)


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        # Those that train with it: other machines step by hand.
        (
            "optax",
            REAL - NO_JAX - {"deep_autoencoder", "rbm_inpainting", "shape_machine", "transport"},
        ),
        ("jaxlib", REAL - NO_JAX - {"transport"}),  # what jax requires
        ("seaborn", REAL),
        ("ruff", set()),
        ("distributed", set()),
        ("sphinx", set()),
    ],
)
def test_a_new_version_of_a_package_moves_the_sections_that_load_it(monkeypatch, package, expected):
    def lock():
        return {n: packages.behind(keys.code_behind(get_section(n)).packages) for n in REAL}

    before, pins = lock(), packages.pinned()
    assert package in pins
    monkeypatch.setattr(packages, "pinned", lambda: pins | {package: f"{pins[package]}.post9"})
    after = lock()
    assert {n for n in REAL if before[n] != after[n]} == expected


def test_the_device_counts_only_where_a_section_wants_one(monkeypatch):
    cpu = get_section("ebm")
    either, gpu = replace(cpu, device="any"), replace(cpu, device="gpu")
    monkeypatch.setattr(keys, "gpu_name", lambda: "Some GPU")
    assert [keys.device_class(s) for s in (cpu, either, gpu)] == ["cpu", *["cuda:Some GPU"] * 2]
    monkeypatch.setattr(keys, "gpu_name", lambda: None)
    assert [keys.device_class(s) for s in (cpu, either)] == ["cpu", "cpu"]
    with pytest.raises(UserError, match="ebm needs a GPU and this machine shows none"):
        keys.device_class(gpu)


def test_a_published_run_is_judged_on_the_device_that_computed_it(monkeypatch):
    """On a machine with a GPU the key of a section that may use it is another; what was published
    from a processor stays what it was."""
    monkeypatch.setattr(keys, "gpu_name", lambda: None)
    public = [store.published(name) for name in section_names()]
    before = [keys.is_current(run) for run in public]
    usual = {name: keys.current_key(name, "quick") for name in ("vae", "ebm")}
    monkeypatch.setattr(keys, "gpu_name", lambda: "Some GPU")
    assert [keys.is_current(run) for run in public] == before
    assert keys.current_key("vae", "quick") != usual["vae"]
    assert keys.current_key("ebm", "quick") == usual["ebm"]  # it never wants one
    assert keys.current_key("vae", "quick", device="cpu") == usual["vae"]


def test_what_is_loaded_is_transitive_and_no_wider():
    names = code.library(PACKAGE).loaded({"genlab.toys.score"})
    assert {
        "genlab.toys.score",
        "genlab.toys.langevin",
        "genlab.toys.networks",
        "genlab.streams",
        "genlab.data.toy",
    } <= set(names)
    outside = ("genlab.section", "genlab.pipeline", "genlab.plots", "genlab.metrics")
    assert not {n for n in names if n.startswith(outside)}
    tree = ast.parse("import numpy\nfrom genlab import plots\nfrom genlab.toys import energy as e")
    assert {n for n in code.imported(tree) if n.startswith("genlab.")} == {
        "genlab.plots",
        "genlab.toys.energy",
    }


def test_broken_and_missing_data(project):
    file = project.root / "data/numbers.txt"
    file.write_text("two\n")
    result = project.genlab("run", "first")
    line = one_line(result.stderr)
    assert (
        result.returncode == 2
        and "data/numbers.txt is broken" in line
        and "expected sha256" in line
        and "found" in line
    )
    file.unlink()
    result = project.genlab("run", "first")
    assert result.returncode == 2 and "data/numbers.txt is missing" in one_line(result.stderr)
    assert project.snapshot() == {}
