"""The site in a real headless Chromium: opened from files, used as a visitor would."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

import calib_metrics
from calib_leaderboards.pages.publish import build_store
from helpers.board_entries import make_entry, make_samples, make_stock_samples, put
from helpers.chromium import Chromium, find_chromium

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="needs Chromium: install it, or name it in the variable CHROMIUM"
)
HOSTILE = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
HERE = "calib_worldfacts"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Models a, b (with an adapter) and one with a hostile name on two tasks, and a stock task."""
    folder = tmp_path_factory.mktemp("site")
    store = folder / "store"

    def scores(ece, auroc, brier):
        return {
            "acc": (0.45, 0.42, 0.48),
            "ece": (ece, ece - 0.02, ece + 0.03),
            "auroc": (auroc, auroc - 0.03, auroc + 0.03),
            "brier": (brier, brier - 0.01, brier + 0.01),
        }

    put(
        store,
        make_entry(
            model="org/a",
            parameters=135_000_000,
            samples=make_samples(["likelihood", "sampling"], 200, 1),
            methods={"likelihood": scores(0.13, 0.79, 0.20), "sampling": scores(0.27, 0.60, 0.25)},
        ),
    )
    put(
        store,
        make_entry(
            model="org/b",
            parameters=7_000_000_000,
            adapter="tuned",
            setting="0-shot_chat",
            samples=make_samples(["likelihood"], 200, 2),
            methods={"likelihood": scores(0.05, 0.91, 0.12)},
        ),
    )
    put(
        store,
        make_entry(
            model=HOSTILE,
            parameters=None,
            methods={"question_only": scores(0.04, 0.5, 0.24)},
            label={"question_only": HOSTILE},
            samples=make_samples(["question_only"], 200, 3),
        ),
    )
    put(
        store,
        make_entry(
            model="org/a",
            task="calib_other",
            methods={"likelihood": scores(0.2, 0.7, 0.2)},
        ),
    )
    for seed, model in enumerate(("org/a", "org/b")):
        put(
            store,
            make_entry(
                model=model,
                task="squad",
                source="lm_eval",
                label={"none": "none"},
                methods={"none": {"f1": (61.5 + seed, 60.0, 63.0)}},
                higher={"f1": True},
                samples=make_stock_samples("f1,none", 100, seed),
            ),
        )
    build_store(store, folder / "out")
    return folder / "out" / "site"


@pytest.fixture(scope="module")
def browser():
    running = Chromium(PROGRAM)
    yield running
    running.close()


@pytest.fixture
def page(browser, site):
    """The browser at the first page; a test fails if its pages report an error."""
    browser.problems.clear()
    browser.resize(1280, 900)
    browser.open(site / "index.html")
    browser.wait("document.querySelector('#results tbody tr')")
    yield browser
    assert browser.problems == []


def column(page, number):
    """The texts of a column of the table, without the intervals."""
    return page.run(
        "[...document.querySelectorAll('#results tbody tr')]"
        f".map((row) => row.cells[{number}].firstChild?.textContent ?? '')"
    )


def headings(page):
    return page.run("[...document.querySelectorAll('#results thead th')].map((h) => h.innerText)")


def choose(page, field, value):
    """Set a filter as a visitor does, with its event."""
    page.run(
        f"(() => {{ const field = document.getElementById('{field}'); field.value = '{value}';"
        "field.dispatchEvent(new Event('input', { bubbles: true }));"
        "field.dispatchEvent(new Event('change', { bubbles: true })); })()"
    )


def click(page, selector):
    page.run(f"document.querySelector({selector!r}).click()")


def test_the_first_page_shows_the_largest_task_with_arrows_intervals_and_ranks(page):
    assert headings(page)[:4] == ["Compare", "Rank", "Model", "Size"]
    assert {"ECE ↓", "AUROC ↑", "Brier ↓", "Accuracy ↑"} <= set(headings(page))
    assert column(page, 2) == ["org/b", "org/a", "org/a", HOSTILE]
    assert column(page, 1) == ["1", "2", "3", "–"]
    first = page.run("document.querySelector('#results tbody tr').innerText")
    assert "0.050" in first and "0.030–0.080" in first and "7B" in first
    assert page.run("document.getElementById('status').textContent").startswith("4 of 7 rows")


def test_a_click_on_a_heading_sorts_and_says_so(page):
    click(page, "[data-sort=auroc]")
    assert column(page, 2)[:3] == ["org/b", "org/a", "org/a"]
    sort = "document.querySelector('[data-sort=auroc]').closest('th').getAttribute('aria-sort')"
    assert page.run(sort) == "descending"
    click(page, "[data-sort=auroc]")
    assert page.run(sort) == "ascending" and column(page, 5)[0] == "Sampling"
    click(page, "[data-sort=model]")
    assert column(page, 2) == [HOSTILE, "org/a", "org/a", "org/b"]
    assert page.run("document.querySelectorAll('[aria-sort]:not([aria-sort=none])').length") == 1


def test_the_keyboard_sorts_and_keeps_its_place(page):
    page.run("document.querySelector('[data-sort=brier]').focus()")
    page.press("Enter", "\r")
    page.wait("document.querySelector('th[aria-sort=ascending] [data-sort=brier]')")
    assert page.run("document.activeElement.dataset.sort") == "brier"
    page.press("Tab")
    assert page.run("document.activeElement.dataset.sort") == "acc"


@pytest.mark.parametrize(
    "field, value, models",
    [
        ("model", "ORG/B", ["org/b"]),
        ("method", "=Sampling", ["org/a"]),
        ("adapter", "any", ["org/b"]),
        ("adapter", "none", ["org/a", "org/a", HOSTILE]),
        ("setting", "=0-shot_chat", ["org/b"]),
        ("size", "5e8-2e9", []),
        ("size", "2e9-1e10", ["org/b"]),
        ("size", "unknown", [HOSTILE]),
        ("task", "=calib_other", ["org/a"]),
    ],
)
def test_each_filter_keeps_the_rows_that_fit(page, field, value, models):
    choose(page, field, value)
    assert column(page, 2) == models


def test_filters_are_cleared_and_stay_in_the_address(page, site):
    choose(page, "model", "org/b")
    assert column(page, 2) == ["org/b"]
    fragment = page.run("location.hash")
    page.open(site / "index.html", fragment)
    page.wait("document.querySelector('#results tbody tr')")
    assert column(page, 2) == ["org/b"]
    click(page, "button[type=reset]")
    page.wait("document.querySelectorAll('#results tbody tr').length === 4")


def test_all_tasks_show_stock_scores_beside_ours(page):
    choose(page, "task", "all")
    assert page.run("document.querySelectorAll('#results tbody tr').length") == 7
    assert "Task" in headings(page)
    choose(page, "task", "=squad")
    assert "f1 ↑" in headings(page) and "ECE ↓" not in headings(page)
    assert column(page, 2) == ["org/b", "org/a"] and column(page, 1) == ["1", "1"]
    assert "61.500" in page.run("document.querySelector('#results tbody').innerText")
    choose(page, "task", f"={HERE}")
    assert column(page, 2) == ["org/b", "org/a", "org/a", HOSTILE] and column(page, 1)[1] == "2"


def test_ranks_are_those_of_the_chosen_metric(page):
    choose(page, "metric", "auroc")
    assert column(page, 1) == ["1", "2", "3", "–"]
    choose(page, "metric", "acc")
    assert column(page, 1) == ["1", "1", "1", "–"]


def test_the_bar_figure_follows_the_table(page):
    label = "document.querySelector('#bars svg').getAttribute('aria-label')"
    assert page.run(label).startswith("ECE ↓: Likelihood · org/b · tuned · 0-shot_chat 0.050")
    choose(page, "model", "org/a")
    assert page.run(label) == "ECE ↓: Likelihood 0.130; Sampling 0.270"


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
        "Brier ↓": [brier_score_loss(*pair) for pair in pairs],
        "AUROC ↑": [roc_auc_score(*pair) for pair in pairs],
        "ECE ↓": [calib_metrics.ece(confidence, correct) for correct, confidence in pairs],
        "Accuracy ↑": [float(np.mean(correct)) for correct, _ in pairs],
    }
    for name, values in expected.items():
        assert found[name][:2] == [f"{value:.3f}" for value in values]
    # NumPy's paired bootstrap of the Brier difference; its own random numbers, hence the tolerance.
    losses = [(confidence - correct) ** 2 for correct, confidence in pairs]
    drawn = np.random.default_rng(0).integers(0, 200, (4000, 200))
    low, high = np.quantile((losses[1] - losses[0])[drawn].mean(axis=1), [0.025, 0.975])
    shown = [float(part.replace("−", "-")) for part in found["Brier ↓"][3].split(" to ")]
    assert shown == pytest.approx([low, high], abs=0.004)
    assert "200 questions in common" in page.run("document.getElementById('status').textContent")
    again = page.run("document.getElementById('differences').innerText")
    page.open(site / "compare.html", page.run("location.hash"))
    page.wait("document.querySelector('#differences')")
    assert page.run("document.getElementById('differences').innerText") == again


def test_stock_scores_are_compared_by_their_value_of_each_question(page, site):
    page.open(site / "compare.html")
    choose(page, "task", "squad")
    page.wait("document.querySelector('#differences tbody th')?.innerText === 'f1 ↑'")
    values = [make_stock_samples("f1,none", 100, seed).values["f1,none"].mean() for seed in (0, 1)]
    cells = "[...document.querySelector('#differences tbody tr').cells].map((c) => c.innerText)"
    assert page.run(cells)[1:3] == [f"{value:.3f}" for value in values]
    assert page.run("document.querySelectorAll('#differences tbody tr').length") == 1


def test_rows_without_samples_say_why_they_cannot_be_compared(page, site):
    page.open(site / "compare.html")
    choose(page, "task", "calib_other")
    page.wait("document.getElementById('status').textContent.includes('were not kept')")


def test_a_model_opens_with_charts_and_its_command(page):
    click(page, "#results tbody a")
    page.wait("location.pathname.includes('/model/')")
    page.wait("document.readyState === 'complete'")
    assert page.run("document.querySelector('h1').textContent") == "org/b"
    assert page.run("document.querySelector('pre').innerText").startswith("lm_eval run")
    assert page.run("document.querySelectorAll('svg[role=img]').length") == 4
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
        "brier": (0.2, 0.1, 0.3),
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
    page.open(site / "index.html")
    page.wait("document.querySelector('#results tbody tr')")
    region = "document.getElementById('region')"
    assert page.run(f"{region}.scrollWidth <= {region}.clientWidth")
    assert page.run("document.querySelector('#results td.name').textContent") == name


def test_hostile_names_are_text_on_every_page(page, site):
    choose(page, "task", "all")
    page.open(site / "models.html")
    links = "[...document.querySelectorAll('main a')]"
    page.run(f"{links}.find((a) => a.textContent.includes('img')).click()")
    page.wait("location.pathname.includes('/model/')")
    page.wait("document.readyState === 'complete'")
    assert page.run("document.querySelector('h1').textContent") == HOSTILE
    for name in ("index.html", "compare.html"):
        page.open(site / name)
        page.wait(
            f"document.querySelector('main').textContent.includes({HOSTILE!r})"
            if name == "index.html"
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
    for name in ("index.html", "models.html", "compare.html", "model/org__a.html"):
        page.open(site / name)
        assert page.run("document.documentElement.scrollWidth") <= 360, name
