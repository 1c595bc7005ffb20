"""The site's other pages in a real headless Chromium: overview, comparison, models; any window."""

import base64
import itertools
import re

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

import calib_metrics
from calib_leaderboards.pages.publish import build_store
from helpers.axe import axe_script, violations
from helpers.board_entries import (
    make_entry,
    make_samples,
    make_stock_samples,
    put,
)
from helpers.site import HOSTILE, at_tasks, choose, click


def test_the_first_page_answers_which_method_and_shows_one_model_and_task(page, site):
    page.open(site / "index.html", "#model=org/b")
    page.wait("document.querySelector('#reliability svg')")
    rows = "[...document.querySelectorAll('#overview tbody tr')].map((row) => row.innerText)"
    first, *others = page.run(rows)
    assert "org/b" in first and "tuned" in first and "0.400" in first
    methods = "[...document.querySelectorAll('#overview thead th')].map((cell) => cell.innerText)"
    assert page.run(methods) == ["Model", "Likelihood", "Sampling", HOSTILE]
    label = "document.querySelector('#bars svg').getAttribute('aria-label')"
    assert page.run(label) == "ECE ↓: Likelihood 0.050"
    choose(page, "model", "org/a")
    page.wait(f"{label}.includes('Sampling')")
    assert page.run("document.querySelectorAll('#reliability svg').length") == 2
    samples = make_samples(["likelihood", "sampling"], 200, 1)
    bins = calib_metrics.reliability_bins(samples.confidence["likelihood"], samples.correct)
    told = page.run("document.querySelector('#reliability svg').getAttribute('aria-label')")
    assert told.count("answers") == int(np.sum(bins.count > 0))
    assert f"accuracy {bins.accuracy[bins.count > 0][0]:.3f}" in told
    choose(page, "task", "calib_other")
    page.wait("document.getElementById('status').textContent.includes('calib_other')")
    assert page.run("location.hash") == "#model=org%2Fa&task=calib_other"


def test_on_a_phone_the_scores_are_in_sight(page, site):
    page.resize(390, 800)
    for name in ("index.html", "tasks.html"):
        page.open(site / name)
        page.wait("document.querySelector('table tbody tr')")
        inside = page.run(
            "[...document.querySelectorAll('table td.number')].filter((cell) => cell.innerText)"
            ".map((cell) => cell.getBoundingClientRect())"
            ".every((box) => box.width === 0 || box.left >= 0 && box.right <= 390)"
        )
        region = "document.querySelector('.scroll')"
        assert inside and page.run(f"{region}.scrollWidth <= {region}.clientWidth"), name


def test_the_overview_prints(page, site):
    page.open(site / "index.html", "#model=org/a")
    page.wait("document.querySelector('#reliability svg')")
    printed = base64.b64decode(page.send("Page.printToPDF", printBackground=True)["data"])
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type */Page\b", printed)) >= 1
    page.send("Emulation.setEmulatedMedia", media="print")
    seen = "(name) => getComputedStyle(document.querySelector(name)).display"
    assert page.run(f"({seen})('#overview')") == "block" and page.run(f"({seen})('nav')") == "none"
    page.resize(700, 1000)  # of paper
    cells = "[...document.querySelectorAll('#overview td.number')]"
    assert page.run(f"{cells}.every((cell) => cell.getBoundingClientRect().right <= 700)")
    named = f"getComputedStyle({cells}[0], '::before').content"
    assert page.run(named) == '"Likelihood"'  # there is no heading over a card
    assert page.run(f"({seen})('#bars rect.bar')") != "none"  # of a chart, not of buttons
    page.send("Emulation.setEmulatedMedia", media="")


@pytest.mark.nightly
def test_axe_core_finds_nothing_on_any_page_at_any_width_in_light_and_dark(page, site):
    script, why = axe_script()
    if why:
        pytest.skip(why)
    ready = {
        "index.html": "document.querySelector('#reliability svg')",
        "tasks.html": "document.querySelector('#results tbody tr')",
        "compare.html": "document.querySelector('#differences')",
        "models.html": "true",
        "model/org__a.html": "true",
    }
    for name, there in ready.items():
        for scheme, width in itertools.product(("light", "dark"), (390, 1280, 1920)):
            feature = [{"name": "prefers-color-scheme", "value": scheme}]
            page.send("Emulation.setEmulatedMedia", features=feature)
            page.resize(width, 900)
            page.open(site / name)
            page.wait(there)
            page.run("document.querySelectorAll('[data-open]').forEach((each) => each.click())")
            assert violations(page, script) == [], f"{name}, {scheme}, {width}"
    # It does find something where there is something.
    page.run("document.querySelector('h1').after(document.createElement('button'))")
    assert "button-name" in violations(page, script)[0]


def test_two_rows_are_compared_question_by_question(page, site):
    for place in (0, 1):
        page.run(f"document.querySelectorAll('#results tbody input')[{place}].click()")
    assert "org/b" in page.run("document.getElementById('chosen-text').innerText")
    click(page, "#chosen-open")
    page.wait("location.pathname.endsWith('compare.html')")
    page.wait("document.querySelector('#differences')")
    rows = page.run(
        "[...document.querySelectorAll('#differences tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    found = {row[0]: row[1:] for row in rows}
    sides = [make_samples(["likelihood"], 200, 2), make_samples(["likelihood", "sampling"], 200, 1)]
    pairs = [(side.correct, side.confidence["likelihood"]) for side in sides]
    expected = {
        "Skill ↑": [
            1 - brier_score_loss(y, c) / brier_score_loss(y, np.full(200, y.mean()))
            for y, c in pairs
        ],
        "AUROC ↑": [roc_auc_score(*pair) for pair in pairs],
        "ECE ↓": [calib_metrics.ece(confidence, correct) for correct, confidence in pairs],
        "Accuracy ↑": [float(np.mean(correct)) for correct, _ in pairs],
    }
    for name, values in expected.items():
        assert found[name][:2] == [f"{value:.3f}" for value in values]
    # NumPy's paired bootstrap of the difference; its own random numbers, hence the tolerance.
    drawn = np.random.default_rng(0).integers(0, 200, (4000, 200))
    first, second = (
        1
        - ((c - y) ** 2)[drawn].mean(axis=1) / (y[drawn].mean(axis=1) * (1 - y[drawn].mean(axis=1)))
        for y, c in pairs
    )
    low, high = np.quantile(second - first, [0.025, 0.975])
    shown = [float(part.replace("−", "-")) for part in found["Skill ↑"][3].split(" to ")]
    assert shown == pytest.approx([low, high], abs=0.015)
    assert "200 questions in common" in page.run("document.getElementById('status').textContent")
    again = page.run("document.getElementById('differences').innerText")
    page.open(site / "compare.html", page.run("location.hash"))
    page.wait("document.querySelector('#differences')")
    assert page.run("document.getElementById('differences').innerText") == again


def test_stock_scores_are_compared_by_their_value_of_each_question(page, site):
    """With more questions than those whose samples share a file."""
    folder = site / "samples/org__a"
    assert sorted(file.name for file in folder.rglob("*.js")) == ["main.js", "squad--3-shot.js"]
    page.open(site / "compare.html")
    page.wait("document.querySelector('#a option')")
    choose(page, "task", "squad")
    page.wait("document.querySelector('#differences tbody th')?.innerText === 'f1 ↑'")
    values = [make_stock_samples("f1,none", 1100, seed).values["f1,none"].mean() for seed in (0, 1)]
    cells = "[...document.querySelector('#differences tbody tr').cells].map((c) => c.innerText)"
    assert page.run(cells)[1:3] == [f"{value:.3f}" for value in values]
    assert page.run("document.querySelectorAll('#differences tbody tr').length") == 1


def test_rows_without_samples_say_why_they_cannot_be_compared(page, site):
    page.open(site / "compare.html")
    page.wait("document.querySelector('#a option')")
    choose(page, "task", "calib_other")
    page.wait("document.getElementById('status').textContent.includes('were not kept')")


def test_a_model_opens_with_charts_and_its_command(page):
    click(page, "#results tbody a")
    page.wait("location.pathname.includes('/model/')")
    page.wait("document.readyState === 'complete'")
    assert page.run("document.querySelector('h1').textContent") == "org/b"
    assert page.run("document.querySelector('pre').innerText").startswith("lm_eval run")
    assert page.run("document.querySelectorAll('svg[role=img]').length") == 2
    target = "document.querySelector(':target')"
    assert page.run(f"{target}.tagName + ' ' + {target}.textContent") == "H4 Likelihood"


def test_entries_of_a_long_page_are_folded_until_one_is_asked_for(page, tmp_path):
    """A page of hundreds of charts opens fast, and still leads to each of them."""
    for task in "abcde":
        put(
            tmp_path / "store",
            make_entry(
                model="org/a",
                task=task,
                samples=make_samples(["likelihood"], 50, 1),
                methods={"likelihood": {"ece": (0.1, 0.0, 0.2)}},
            ),
        )
    build_store(tmp_path / "store", tmp_path / "out")
    page.open(tmp_path / "out/site/model/org__a.html")
    opened = "[...document.querySelectorAll('article > details')].map((part) => part.open)"
    assert page.run(opened) == [False] * 5
    links = "[...document.querySelectorAll('tbody a')]"
    page.run(f"{links}.find((a) => a.hash.includes('/c--')).click()")
    page.wait(f"{opened}[2]")
    assert page.run(opened) == [False, False, True, False, False]
    shown = "document.querySelector(':target').getBoundingClientRect()"
    page.wait(f"{shown}.height > 0 && {shown}.top >= 0 && {shown}.bottom <= innerHeight")


def test_long_names_stay_inside_a_narrow_window_and_leave_the_scores_in_sight(page, tmp_path):
    name = "calibration_tuning_lora_prompt"
    row = {
        "ece": (0.1, 0.0, 0.2),
        "auroc": (0.8, 0.7, 0.9),
        "brier_skill": (0.2, 0.1, 0.3),
        "aurc": (0.2, 0.1, 0.3),
        "acc": (0.4, 0.3, 0.5),
    }
    entry, packed = make_entry(
        model="HuggingFaceTB/SmolLM2-135M-Instruct",
        adapter=name,
        methods={"likelihood": row},
        setting="3-shot_frozen-03c2f605",
    )
    score = entry.scores[0].model_copy(update={"elicitation": "wording:yes_no|" * 6})
    put(tmp_path / "store", (entry.model_copy(update={"scores": [score]}), packed))
    build_store(tmp_path / "store", tmp_path / "out")
    site = tmp_path / "out/site"
    page.resize(360, 800)
    page.open(site / "model/HuggingFaceTB__SmolLM2-135M-Instruct.html")
    assert page.run("document.documentElement.scrollWidth") <= 360
    page.resize(1280, 900)
    at_tasks(page, site)
    region = "document.getElementById('region')"
    assert page.run(f"{region}.scrollWidth <= {region}.clientWidth")
    assert name in page.run("document.querySelector('#results tbody th').textContent")


def test_hostile_names_are_text_on_every_page(page, site):
    page.open(site / "models.html")
    links = "[...document.querySelectorAll('main a')]"
    page.run(f"{links}.find((a) => a.textContent.includes('img')).click()")
    page.wait("location.pathname.includes('/model/')")
    page.wait("document.readyState === 'complete'")
    assert page.run("document.querySelector('h1').textContent") == HOSTILE
    for name in ("index.html", "tasks.html", "compare.html"):
        page.open(site / name)
        page.wait(
            f"document.querySelector('main').textContent.includes({HOSTILE!r})"
            if name != "compare.html"
            else "document.querySelector('#a option')"
        )
        assert page.run("window.pwned === undefined && !document.querySelector('main img')")


def test_every_field_has_a_label_and_a_skip_link_leads_to_the_content(page):
    fields = "[...document.querySelectorAll('input, select')]"
    assert page.run(f"{fields}.every((f) => f.labels.length || f.getAttribute('aria-label'))")
    page.press("Tab")
    assert page.run("document.activeElement.textContent") == "Skip to content"
    assert page.run("document.activeElement.getBoundingClientRect().left >= 0")  # seen when focused
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.press("Enter", "\r")
    page.wait("document.activeElement.id === 'content'")
    assert page.run("document.querySelectorAll('#results th[scope=row]').length") == 4


def test_dark_mode_and_narrow_windows(page, site):
    def contrast():
        return page.run(
            "['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name]"
            ".match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))"
        )

    for scheme, darker in (("light", 0), ("dark", 1)):
        feature = [{"name": "prefers-color-scheme", "value": scheme}]
        page.send("Emulation.setEmulatedMedia", features=feature)
        values = contrast()
        assert values.index(min(values)) == darker and abs(values[0] - values[1]) > 450
    page.resize(360, 800)
    for name in ("index.html", "tasks.html", "models.html", "compare.html", "model/org__a.html"):
        page.open(site / name)
        assert page.run("document.documentElement.scrollWidth") <= 360, name
