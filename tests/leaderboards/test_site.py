"""The site's table in a real headless Chromium: opened from files, used as a visitor would."""

import pytest

from helpers.site import HOSTILE, at_tasks, choose, click, column, headings, models


def test_the_table_is_in_the_order_of_skill_with_arrows_intervals_and_ranks(page):
    assert headings(page)[:3] == ["Compare", "Rank", "Method and model"]
    assert headings(page)[3:] == ["Skill ↑", "ECE ↓", "AUROC ↑", "AURC ↓", "Accuracy ↑", "n"]
    assert models(page) == ["org/b", "org/a", "org/a", HOSTILE]
    assert column(page, 3) == ["0.400", "0.200", "0.100", "0.010"]
    assert column(page, 1)[0] == "1" and column(page, 1)[3] == ""  # there to be beaten
    first = page.run("document.querySelector('#results tbody tr').innerText")
    assert "0.050" in first and "0.030–0.080" in first and "tuned" in first
    assert page.run("document.getElementById('status').textContent").startswith("4 of 5 rows")
    how = page.run("document.getElementById('how').textContent")
    assert "3-shot" in how and "Skill is the share" in how and "paired test" in how


def test_other_settings_unfold_below_their_row_and_have_no_rank(page):
    assert page.run("document.querySelectorAll('[data-open]').length") == 1
    page.run("document.querySelector('[data-open]').focus()")
    page.press("Enter", "\r")
    page.wait("document.querySelector('tr.under')")
    assert page.run("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert models(page) == ["org/b", "org/a", "org/a", "org/a", HOSTILE]
    under = page.run("document.querySelector('tr.under').innerText")
    assert "0-shot_chat" in under and "0.970 †" in under and column(page, 1)[2] == ""
    assert "fewer than ten" in page.run("document.getElementById('few').innerText")
    assert page.run("document.querySelectorAll('td.grey').length") == 1
    page.press("Enter", "\r")
    page.wait("!document.querySelector('tr.under')")
    choose(page, "setting", "all")
    assert len(models(page)) == 5 and "Setting" in headings(page)


def test_a_click_on_a_heading_sorts_and_says_so(page):
    click(page, "[data-sort=auroc]")
    assert models(page)[:3] == ["org/b", "org/a", "org/a"]
    sort = "document.querySelector('[data-sort=auroc]').closest('th').getAttribute('aria-sort')"
    assert page.run(sort) == "descending"
    click(page, "[data-sort=auroc]")
    assert page.run(sort) == "ascending" and column(page, 2)[0] == "Sampling"
    click(page, "[data-sort=name]")
    assert models(page) == [HOSTILE, "org/a", "org/b", "org/a"]
    assert page.run("document.querySelectorAll('[aria-sort]:not([aria-sort=none])').length") == 1


def test_the_keyboard_sorts_and_keeps_its_place(page):
    page.run("document.querySelector('[data-sort=aurc]').focus()")
    page.press("Enter", "\r")
    page.wait("document.querySelector('th[aria-sort=ascending] [data-sort=aurc]')")
    assert page.run("document.activeElement.dataset.sort") == "aurc"
    page.press("Tab")
    assert page.run("document.activeElement.dataset.sort") == "acc"


@pytest.mark.parametrize(
    "field, value, found",
    [
        ("model", "ORG/B", ["org/b"]),
        ("method", "=Sampling", ["org/a"]),
        ("adapter", "any", ["org/b"]),
        ("adapter", "none", ["org/a", "org/a", HOSTILE]),
        ("setting", "=0-shot_chat", ["org/a"]),
        ("size", "5e8-2e9", []),
        ("size", "2e9-1e10", ["org/b"]),
        ("size", "unknown", [HOSTILE]),
    ],
)
def test_each_filter_keeps_the_rows_that_fit(page, field, value, found):
    choose(page, field, value)
    assert models(page) == found


def test_filters_are_cleared_and_stay_in_the_address(page, site):
    choose(page, "model", "org/b")
    assert models(page) == ["org/b"]
    at_tasks(page, site, page.run("location.hash"))
    assert models(page) == ["org/b"]
    click(page, "button[type=reset]")
    page.wait("document.querySelectorAll('#results tbody tr').length === 4")


def test_a_stock_task_has_its_own_scores(page):
    choose(page, "task", "squad")
    page.wait("document.getElementById('results').innerText.includes('f1 ↑')")
    assert "ECE ↓" not in headings(page)
    assert models(page) == ["org/b", "org/a"] and column(page, 1) == ["1", "1"]
    assert "61.500" in page.run("document.querySelector('#results tbody').innerText")


def test_another_metric_is_a_column_and_the_order(page):
    choose(page, "metric", "ece")
    assert models(page) == ["org/b", "org/a", "org/a", HOSTILE]
    assert page.run("document.querySelector('[aria-sort=ascending]').innerText") == "ECE ↓"


def test_the_bar_figure_follows_the_table(page):
    label = "document.querySelector('#bars svg').getAttribute('aria-label')"
    assert page.run(label).startswith("ECE ↓: Likelihood · org/b · tuned 0.050")
    choose(page, "model", "org/a")
    assert page.run(label) == "ECE ↓: Likelihood 0.130; Sampling 0.270"
