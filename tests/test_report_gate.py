"""The gate's statistics against closed forms and simulation, its pictures, and the commands
baseline, check and compare."""

import io
import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from gate_faults import UNCHANGED, leave_one_out, run, split_alarms
from pipeline import Project, one_line
from scipy import stats

from genlab.pipeline.gate import LEAST_SEEDS, baseline, statistics
from genlab.pipeline.gate.figures import similarity, thumbnail
from genlab.report.paths import ROOT, UserError


def test_the_interval_is_that_of_the_textbook_for_a_symmetric_baseline():
    x = np.array([-3.0, -2.0, -1.5, -0.5, 0.5, 1.5, 2.0, 3.0]) + 3.0
    low, high = statistics.interval(x, 1, "target", 0.05)
    width = stats.t.ppf(0.975, 7 / 2) * x.std(ddof=1) * np.sqrt(1 + 1 / 8)
    assert np.allclose([low, high], [3.0 - width, 3.0 + width])
    assert (
        statistics.interval(x, 1, "lower", 0.05)[0] == -np.inf
        and statistics.interval(x, 1, "higher", 0.05)[1] == np.inf
    )
    t = (10.0 - 3.0) / (x.std(ddof=1) * np.sqrt(1 + 1 / 8))
    assert statistics.p_value(x, np.array([10.0]), "lower") == pytest.approx(stats.t.sf(t, 7 / 2))
    assert statistics.p_value(x, np.array([10.0]), "higher") == pytest.approx(stats.t.cdf(t, 7 / 2))


def test_positive_quantities_are_compared_by_ratio():
    x = [1.0, 2.5, 4.0, 0.5, 2.2, 1.7, 0.8, 3.1]
    (plain,) = statistics.judge({"m": ("target", x, [1.5])}, tests=1)
    (scaled,) = statistics.judge({"m": ("target", [7.3 * v for v in x], [7.3 * 1.5])}, tests=1)
    assert (
        plain.low > 0
        and scaled.p == pytest.approx(plain.p)
        and scaled.high == pytest.approx(7.3 * plain.high)
    )
    (signed,) = statistics.judge({"m": ("target", [*x[:-1], -0.1], [1.5])}, tests=1)
    assert signed.low < 0  # a value below zero: no logarithm


def test_a_skewed_baseline_is_wider_on_its_long_side(rng):
    x = rng.exponential(size=4000)
    above, below = statistics.spread(x, 1), statistics.spread(x, -1)
    assert above == pytest.approx(np.sqrt(4 / np.e), rel=0.05)  # 2 E[(x - 1)²; x > 1] = 4/e
    assert below == statistics.spread(x) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("better", ["lower", "higher", "target"])
def test_inside_the_interval_is_a_p_value_above_the_level(rng, better):
    x = rng.normal(size=9)
    low, high = statistics.interval(x, 2, better, 0.01)
    for value in np.linspace(-8, 8, 41):
        assert (low <= value <= high) == (
            statistics.p_value(x, np.array([value, value]), better) >= 0.01
        )


def test_holm_by_hand():
    levels = statistics.holm_levels([0.001, 0.04, 0.012, 0.5], 0.05, 4)
    # two rejected, then it stops
    assert np.allclose(levels, [0.05 / 4, 0.05 / 2, 0.05 / 3, 0.05 / 2])


def simulated(draw, judge_book, books=1500, metrics=30, seeds=20):
    """Share of simulated books of independent metrics that raise an alarm."""
    alarms = 0
    for _ in range(books):
        values = draw((metrics, seeds + 1))
        alarms += judge_book(
            {
                str(i): ("lower" if i % 2 else "target", row[:-1], row[-1:])
                for i, row in enumerate(values)
            }
        )
    return alarms / books


def test_the_alarm_rate_of_a_book_is_at_most_the_stated_one(rng):
    rate = 0.05
    error = np.sqrt(rate * (1 - rate) / 1500)

    def ours(metrics):
        return any(j.alarm for j in statistics.judge(metrics, alarm_rate=rate, tests=30))

    # the twin: a normal quantile and the plain spread, as if the seeds told it exactly
    def wrong(metrics):
        z = [(f[0] - np.mean(b)) / np.std(b, ddof=1) for _, b, f in metrics.values()]
        return max(map(abs, z)) > stats.norm.isf(rate / 30 / 2)

    def normal(shape):
        return rng.normal(size=shape)

    def skewed(shape):  # as distances are: skewness 0.95
        return np.exp(0.3 * rng.normal(size=shape))

    for draw in (normal, skewed):
        assert simulated(draw, ours) < rate + 3 * error
        assert simulated(draw, wrong, books=400) > 2 * rate


def test_fresh_seeds_of_unchanged_code(rng):
    """Sixty-four runs of each experiment, split at random: false alarms as stated, within what
    64 runs can tell."""
    rate = 0.05
    found = [split_alarms(run(e, 64, 501), splits=300, alarm_rate=rate, rng=rng) for e in UNCHANGED]
    error = np.sqrt(rate * (1 - rate) / (64 * len(UNCHANGED)))
    assert np.mean(found) < rate + 3 * error, dict(zip(UNCHANGED, found, strict=True))


def test_the_book_itself_raises_no_alarm_when_its_seeds_judge_each_other():
    book = baseline.read_all("quick", "cpu")
    assert book and all(len(b.seeds) >= LEAST_SEEDS for b in book)
    # two of so few books at 1 % would be a 1 % event
    assert len({a.split(":")[0] for a in leave_one_out(book)}) <= 1


def test_verdicts():
    steady, counts = [1.0, 1.1, 0.9, 1.05, 0.95, 1.02, 0.98, 1.03], [25.0] * 8
    judged = statistics.judge(
        {
            "worse": ("lower", steady, [3.0]),
            "better": ("lower", steady, [-3.0]),
            "changed": ("target", steady, [-3.0]),
            "ok": ("higher", steady, [1.03]),
            "one mode fewer": ("higher", counts, [24.0]),
            "half the modes": ("higher", counts, [12.0]),
            "rounding": ("target", [2.0794415] * 8, [2.0794416]),
            "rounding near one": ("target", [1.3228757] * 8, [1.3228756]),
            "not finite": ("lower", steady, [np.nan]),
            "seed ignored": ("lower", steady, [1.01, 1.01]),
        },
        tests=10,
    )
    verdicts = {j.name: j.verdict for j in judged}
    assert verdicts == {
        "worse": "worse", "better": "better", "changed": "changed", "ok": "ok",
        "one mode fewer": "ok", "half the modes": "worse", "rounding": "ok",
        "rounding near one": "ok", "not finite": "worse", "seed ignored": "seed ignored",
    }  # fmt: skip
    with pytest.raises(ValueError, match="at least 3"):
        statistics.judge({"m": ("lower", [1.0, 2.0], [1.0])}, tests=1)


def picture(points, *, font="DejaVu Sans", size=9.0) -> bytes:
    with plt.rc_context({"font.family": font, "font.size": size}):
        fig, axes = plt.subplots(1, 2, figsize=(7, 3))
        axes[0].scatter(*points.T, s=4)
        axes[1].plot(np.sort(points[:, 0]))
        for ax in axes:
            ax.set(xlabel="x one", ylabel="x two", title="A title", xlim=(None, None))
        buffer = io.BytesIO()
        fig.savefig(buffer, format="png")
        plt.close(fig)
    return buffer.getvalue()


def test_pictures_forgive_fonts_and_catch_empty_and_different_ones(rng):
    angle = rng.uniform(0, 2 * np.pi, 800)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * rng.normal(size=(800, 2))
    reference = thumbnail(picture(ring))
    assert similarity(reference, reference) == pytest.approx(1.0)
    same = [
        similarity(reference, thumbnail(picture(ring, font=f, size=s)))
        for f, s in (("DejaVu Serif", 9.0), ("DejaVu Sans", 9.3))
    ]
    other_seed = similarity(reference, thumbnail(picture(ring[:400])))
    empty = similarity(reference, thumbnail(picture(np.full((800, 2), np.nan))))
    blob = similarity(reference, thumbnail(picture(0.3 * rng.normal(size=(800, 2)))))
    assert min(*same, other_seed) > 0.9 > 0.8 > max(empty, blob), (same, other_seed, empty, blob)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """A miniature project with baselines of both sections."""
    project = Project(tmp_path_factory.mktemp("gate") / "project")
    project.edit(
        "notebooks/first.md",
        "scale * size",
        "scale * size + 0.01 * np.random.default_rng(seed).normal()",
    )
    project.edit(
        "notebooks/first.md",
        "* scale + seed)",
        "* scale + 0.01 * np.random.default_rng(seed).normal())",
    )
    figure = (
        '\n```{code-cell} ipython3\n---\nmystnb:\n  image:\n    alt: "points"\n---\n'
        "import matplotlib.pyplot as plt\n\n"
        "fig, ax = plt.subplots()\n"
        'ax.scatter(*np.random.default_rng(seed).normal(size=(2, 300)), s=9, color="k")\n'
        "ax.set(xlim=(-4, 4), ylim=(-4, 4))\n```\n"
    )
    path = project.root / "notebooks/first.md"
    path.write_text(path.read_text() + figure)
    result = project.genlab("baseline", "--all", timeout=300)
    assert result.returncode == 0, result.stderr
    assert project.genlab("run", "--all").returncode == 0
    return project


def test_baselines_read_well_and_hold_eight_seeds(checked):
    text = (checked.root / "tests/baselines/quick-cpu/first.json").read_text()
    (line,) = [ln for ln in text.splitlines() if '"double"' in ln]
    assert (
        len(json.loads(text)["metrics"]["double"]["values"]) == 8 and '"better": "higher"' in line
    )
    assert len(json.loads(text)["figures"]["figure_01/likeness"]["values"]) == 7
    assert (checked.root / "tests/baselines/quick-cpu/first/figure_01.png").stat().st_size < 15_000


def test_unchanged_code_passes_and_a_planted_fault_does_not(checked):
    result = checked.genlab("check")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "first" in result.stdout and "ok" in result.stdout
    assert "passed" in (checked.root / "_build/check/index.html").read_text()
    for right, wrong, said, verdict in (
        ("scale * size + 0.01", "scale * size - 1.0 + 0.01", "double", "worse"),
        ("size=(2, 300)), s=9", "size=(2, 2)), s=9", "figure_01/ink", "changed"),
        (
            'color="k")',
            'color="k")\nax.set_position([0.3, 0.3, 0.2, 0.2])',
            "figure_01/likeness",
            "worse",
        ),
    ):
        checked.edit("notebooks/first.md", right, wrong)
        stale = checked.genlab("check", "first")
        assert stale.returncode == 1 and "no current quick run at seed 0" in " ".join(
            stale.stdout.split()
        )
        assert checked.genlab("run", "first").returncode == 0
        result = checked.genlab("check", "first")
        checked.edit("notebooks/first.md", wrong, right)
        assert result.returncode == 1 and said in result.stdout and verdict in result.stdout, (
            result.stdout
        )
        assert "the gate did not pass: first" in one_line(result.stderr)


def test_several_seeds_and_a_seed_that_is_ignored(checked):
    assert checked.genlab("check", "first", "--seeds", "3").returncode == 0
    checked.edit("notebooks/first.md", "default_rng(seed).normal()", "default_rng(7).normal()")
    result = checked.genlab("check", "first", "--seeds", "2")
    checked.edit("notebooks/first.md", "default_rng(7).normal()", "default_rng(seed).normal()")
    assert result.returncode == 1 and "seed ignored" in result.stdout


def test_a_metric_that_is_gone_or_new_is_said(checked):
    checked.edit("notebooks/first.md", 'section.metric("double"', 'section.metric("twofold"')
    checked.genlab("run", "first")
    result = checked.genlab("check", "first")
    checked.edit("notebooks/first.md", 'section.metric("twofold"', 'section.metric("double"')
    assert result.returncode == 1 and "missing" in result.stdout and "1 new" in result.stdout


def test_a_damaged_record_is_named_and_the_rest_is_checked(checked):
    for record in (checked.root / "runs/second").glob("*/record.json"):
        if json.loads(record.read_text())["seed"] == 0:
            break
    whole = record.read_text()
    record.write_text(whole[:40])
    result = checked.genlab("check")
    text = " ".join(result.stdout.split())
    assert result.returncode == 1 and "damaged record" in text and "not checked" in text
    assert "first" in text and "3 quantities" in text
    record.write_text(whole)
    notebook = record.with_name("notebook.ipynb")
    kept = notebook.read_bytes()
    notebook.unlink()
    assert "notebook.ipynb is missing" in " ".join(checked.genlab("check").stdout.split())
    assert checked.genlab("run", "second").returncode == 0  # made anew
    assert notebook.is_file() or kept


def test_compare_shows_parameters_metrics_and_pictures(checked):
    assert checked.genlab("run", "first", "-p", "size=7").returncode == 0
    runs = [f.parent for f in (checked.root / "runs/first").glob("*/record.json")]
    params = {str(f): json.loads((f / "record.json").read_text())["params"] for f in runs}
    seven = next(f for f, p in params.items() if p["size"] == 7)
    plain = next(
        f for f, p in params.items() if p["size"] == 3 and p["seed"] == 0 and p["mode"] == "plain"
    )
    result = checked.genlab("compare", plain.rsplit("/", 1)[1], seven)
    assert result.returncode == 0, result.stderr
    assert (
        "size" in result.stdout
        and "double" in result.stdout
        and "better" in result.stdout
        and "±" in result.stdout
    )
    page = next((checked.root / "_build/compare").glob("*.html")).read_text()
    assert (
        page.count("<img") == 2 and "<code>scale</code>" not in page and "<code>size</code>" in page
    )
    for words, said in (
        (("first",), "two runs or more"),
        (("first", "secnd"), "did you mean 'second'"),
        (("first", "second"), "different sections"),
        (("first", "published"), "no published run"),
    ):
        wrong = checked.genlab("compare", *words)
        assert wrong.returncode == 2 and said in one_line(wrong.stderr)


def test_a_sweep_draws_a_line_plot_per_numeric_parameter(checked):
    result = checked.genlab(
        "sweep", "first", "-g", "scale=1,2,4", "-g", "loud=true,false", "--seeds", "2", timeout=300
    )
    assert result.returncode == 0, result.stderr
    page = (checked.root / "_build/sweeps/first-1.html").read_text()
    assert "<h2>scale</h2>" in page and "<h2>loud</h2>" not in page and "Student" in page


def test_a_damaged_baseline_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(baseline, "FOLDER", ROOT / "tests" / "baselines" / "nowhere")
    assert baseline.read("ebm", "quick", "cpu") is None
    monkeypatch.setattr(baseline, "FOLDER", tmp_path)
    monkeypatch.setattr(baseline, "ROOT", tmp_path)
    (tmp_path / "quick-cpu").mkdir()
    (tmp_path / "quick-cpu" / "ebm.json").write_text("{")
    with pytest.raises(UserError, match="damaged baseline"):
        baseline.read("ebm", "quick", "cpu")
