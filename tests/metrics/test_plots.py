"""The figures: complete, reproducible to the byte, and readable as text in the SVG."""

import math
import re
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import scipy.stats

from calib_metrics import Score, ece, score

pytest.importorskip("matplotlib")

from calib_metrics.plots import (  # noqa: E402
    bar_chart,
    bar_grid,
    reliability_diagram,
    wilson_interval,
)

LABELS = ["Zero-Shot Classifier", "Verbalized", "Sampling", "Fine-Tuned"]
MANY = [*LABELS, "Constant (train accuracy)", "Fine-Tuned (question only)", "Likelihood", "P(IK)"]
RNG = np.random.default_rng(0)
CONFIDENCE = RNG.random(300)
CORRECT = RNG.random(300) < CONFIDENCE


def a_score(name, value, low, high, n=817, signature="x"):
    return Score(name, value, low, high, 0.01, n, 0, name == "auroc", signature)


def a_row(label, value=0.25, n=817):
    return {
        "label": label,
        "ece": a_score("ece", value, value - 0.05, value + 0.05, n),
        "auroc": a_score("auroc", 1 - value, 0.9 - value, 1 - value / 2, n),
        "emphasise": label == "Fine-Tuned",
    }


def lines(svg):
    """Return the text elements of an SVG."""
    found = ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(element.itertext()) for element in found]


def texts(svg):
    """Return what a reader, or a search, finds in the SVG."""
    return " ".join(lines(svg))


@pytest.mark.parametrize("labels", [LABELS, MANY, ["Verbalized"]])
def test_bar_chart_names_every_method_with_both_values(tmp_path, labels):
    rows = [a_row(label, 0.111 + 0.01 * k) for k, label in enumerate(labels)]
    png, svg = bar_chart(rows, tmp_path / "v0.1", model="SmolLM2-135M-Instruct", task="WorldFacts")
    assert (png, svg) == (tmp_path / "v0.1.png", tmp_path / "v0.1.svg")
    assert png.read_bytes().startswith(b"\x89PNG")
    shown = texts(svg)
    for label in labels:
        assert shown.count(label) >= 2  # below both panels
    for k in range(len(labels)):
        assert f"{0.111 + 0.01 * k:.3f}" in shown and f"{0.889 - 0.01 * k:.3f}" in shown
    model_and_n = "SmolLM2-135M-Instruct", "n = 817 answers"
    for words in ("ECE ↓", "AUROC ↑", "chance", "95 % bootstrap", *model_and_n):
        assert words in shown
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v0.1.png", "v0.1.svg"]


@pytest.mark.parametrize("letters", range(50, 110, 4))
def test_the_subtitle_breaks_between_its_facts(tmp_path, letters):
    facts = ["m" * letters, "a task", "n = 817 answers", "95 % bootstrap intervals"]
    bars = bar_chart([a_row("Verbalized")], tmp_path / "x", model=facts[0], task=facts[1])
    parts = [line.split("  ·") for line in lines(bars[1]) if re.search("mm|a task|817|95 %", line)]
    assert [fact.strip() for part in parts for fact in part if fact] == facts


def test_bar_grid_names_every_model_and_has_one_scale_for_their_errors(tmp_path):
    models = {
        "gemma-3-270m": [a_row(label, 0.1) for label in LABELS],
        "SmolLM2-135M-Instruct": [a_row(label, 0.4, n=300) for label in MANY],
    }
    png, svg = bar_grid(models, tmp_path / "all", task="WorldFacts")
    assert png.read_bytes().startswith(b"\x89PNG")
    shown = texts(svg)
    for words in (*models, "n = 300 to 817 answers", "WorldFacts", "95 % bootstrap"):
        assert words in shown
    assert shown.count("0.400") == len(MANY) and shown.count("0.100") == len(LABELS)
    assert shown.count("chance") == 2
    with pytest.raises(ValueError, match="models is empty"):
        bar_grid({}, tmp_path / "none")


def test_bar_chart_states_unequal_counts_and_another_level(tmp_path):
    rows = [a_row("Verbalized", n=790), a_row("Fine-Tuned", n=1817)]
    rows[0]["ece"] = a_score("ece", 0.2, 0.1, 0.3, 790, "ece|n:790|boot:1000|seed:0|level:0.9")
    rows[1]["ece"] = a_score("ece", 0.2, 0.1, 0.3, 1817, "ece|boot:1000|seed:0|level:0.9")
    for row in rows:
        row["auroc"] = a_score("auroc", 0.6, 0.5, 0.7, row["ece"].n, "auroc|seed:0|level:0.9")
    shown = texts(bar_chart(rows, tmp_path / "figure")[1])
    assert "n = 790 to 1,817 answers" in shown and "90 % bootstrap" in shown


def test_bar_chart_shows_undefined_scores_and_intervals_above_their_value(tmp_path):
    row = a_row("Constant")
    row["auroc"] = a_score("auroc", math.nan, math.nan, math.nan)
    row["ece"] = a_score("ece", 0.006, 0.008, 0.02)
    shown = texts(bar_chart([row], tmp_path / "figure")[1])
    assert "n/a" in shown and "0.006" in shown


def test_reliability_diagram_states_its_ece_and_n(tmp_path):
    confidence = [*CONFIDENCE, None]
    _, svg = reliability_diagram(confidence, [*CORRECT, 1], tmp_path / "figure", title="Sampling")
    shown = texts(svg)
    assert f"ECE {ece(CONFIDENCE, CORRECT):.3f} [" in shown and "n = 300 answers" in shown
    assert "Sampling" in shown
    for count in np.histogram(CONFIDENCE, np.arange(11) / 10)[0]:
        assert f" {count} " in f" {shown} "


def test_reliability_diagram_states_the_ece_it_is_given_and_its_subtitle(tmp_path):
    known = a_score("ece", 0.123, 0.111, 0.135, n=300)
    _, svg = reliability_diagram(
        CONFIDENCE,
        CORRECT,
        tmp_path / "figure",
        title="Sampling",
        found=known,
        strategy="mass",
        model="SmolLM2",
        task="WorldFacts",
    )
    shown = texts(svg)
    assert "ECE 0.123 [0.111, 0.135]" in shown and "SmolLM2  ·  WorldFacts" in shown
    for count in np.histogram(CONFIDENCE, np.arange(11) / 10)[0]:  # always by width
        assert f" {count} " in f" {shown} "


def test_large_counts_are_short(tmp_path):
    confidence = np.repeat([0.05, 0.15, 0.95], [1_234_000, 123_456, 99_999])
    known = a_score("ece", 0.1, 0.1, 0.1)
    _, svg = reliability_diagram(
        confidence, np.zeros(confidence.size), tmp_path / "figure", title="Many", found=known
    )
    shown = f" {texts(svg)} "
    assert " 1.23M " in shown and " 123k " in shown and " 99,999 " in shown


@pytest.mark.parametrize("bins", [1, 10, 40])
def test_reliability_diagram_of_a_single_answer_and_any_bins(tmp_path, bins):
    reliability_diagram([1.0], [1], tmp_path / "figure", title="One", bins=bins)


def test_same_input_gives_the_same_bytes_whatever_the_users_style(tmp_path):
    import matplotlib

    rows = [a_row(label) for label in LABELS]
    draw = [
        lambda stem: bar_chart(rows, stem),
        lambda stem: reliability_diagram(CONFIDENCE, CORRECT, stem, title="Sampling"),
    ]
    for place, function in enumerate(draw):
        first = function(tmp_path / f"first{place}")
        with matplotlib.rc_context({"font.size": 20, "svg.fonttype": "path"}):
            second = function(tmp_path / f"second{place}")
        for one, other in zip(first, second, strict=True):
            assert one.read_bytes() == other.read_bytes()


def test_failed_figure_leaves_the_old_one_and_no_part(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    (tmp_path / "figure.png").write_text("old")

    def half_written(self, path, **kwargs):
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half_written)
    with pytest.raises(OSError, match="disk full"):
        bar_chart([a_row("Sampling")], tmp_path / "figure")
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]
    assert (tmp_path / "figure.png").read_text() == "old"


@pytest.mark.parametrize(
    ("rows", "words"),
    [([], "rows is empty"), ([{"label": "Sampling"}], "'Sampling' lacks auroc, ece")],
)
def test_incomplete_rows_are_refused(tmp_path, rows, words):
    with pytest.raises(ValueError, match=words):
        bar_chart(rows, tmp_path / "figure")


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"calibench\[plots\]"):
        bar_chart([a_row("Sampling")], tmp_path / "figure")


@pytest.mark.parametrize(("right", "n"), [(0, 5), (1, 1), (7, 20), (20, 20), (300, 817)])
def test_wilson_interval_equals_scipys(right, n):
    expected = scipy.stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_rows_of_real_scores_are_drawn(tmp_path):
    scores = score(CONFIDENCE, CORRECT, ("ece", "auroc"))
    _, svg = bar_chart([{"label": "Sampling", **scores}], tmp_path / "deep" / "figure")
    assert f"{scores['auroc'].value:.3f}" in texts(svg)
