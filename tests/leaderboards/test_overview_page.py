"""The first page: models by methods, with few models and with many."""

import pytest

from calib_leaderboards.pages.overview import overview, overview_page
from calib_leaderboards.pages.publish import build_store
from calib_leaderboards.tables.overview import Pair
from helpers.board_entries import make_entry, put
from helpers.chromium import Chromium, find_chromium


def pair(model, label, value, *, adapter="", sanity=False, whole=True, half=0.05):
    low, high = value - half, value + half
    return Pair(model, adapter, label, sanity, 3 if whole else 1, whole, value, low, high, 1)


def shown(*pairs):
    ordered = sorted(pairs, key=lambda each: (not each.whole, each.sanity, -each.value))
    pages = {each.model: f"model/{each.model}.html" for each in pairs}
    return overview_page(overview(["one", "two", "three"], ordered, pages))


def test_models_stand_by_their_best_method_and_adapters_below_their_model():
    page = shown(
        pair("low", "Sampling", 0.1),
        pair("high", "Likelihood", 0.2),
        pair("high", "Sampling", 0.3),
        pair("low", "Fine-Tuned", 0.25, adapter="lora"),
        pair("high", "Question only", 0.9, sanity=True),
    )
    assert [(row["model"], row["adapter"]) for row in page["rows"]] == [
        ("high", ""),
        ("low", ""),
        ("low", "lora"),
    ]
    # By the mean over the models; what is there to be beaten comes last.
    assert page["methods"] == [
        ("Fine-Tuned", False),
        ("Likelihood", False),
        ("Sampling", False),
        ("Question only", True),
    ]
    bold = page["marks"]["best"]
    marked = [
        (row["model"], cell[0])
        for row in page["rows"]
        for cell in row["cells"]
        if cell and cell[3] & bold
    ]
    assert marked == [("high", "0.300"), ("low", "0.250")]


def test_the_sentence_counts_the_models_of_which_a_method_is_the_best():
    def answer(*best):
        return shown(*(pair(f"m{i}", label, 0.1) for i, label in enumerate(best)))["answer"]

    assert answer("A", "B", "A") == "Best method: A for 2 of 3 models, B for 1."
    assert answer("A") == "Best method: A."
    some = pair("m0", "A", 0.5, whole=False), pair("m0", "Question only", 0.9, sanity=True)
    assert shown(*some)["answer"] == ""


def test_a_mean_over_some_of_the_tasks_is_marked_and_never_the_best():
    page = shown(pair("a", "Likelihood", 0.1), pair("a", "Sampling", 0.9, whole=False))
    marks = page["marks"]
    cells = dict(
        zip([label for label, _ in page["methods"]], page["rows"][0]["cells"], strict=True)
    )
    assert cells["Sampling"][2] == "1 task" and cells["Sampling"][3] & marks["partial"]
    assert not cells["Sampling"][3] & marks["best"] and cells["Likelihood"][3] & marks["best"]
    assert "only some of the tasks" in page["how"]


@pytest.mark.parametrize("value, mark", [(0.2, "above"), (-0.2, "below"), (0.01, None)])
def test_cells_are_coloured_where_the_interval_leaves_0_out(value, mark):
    page = shown(pair("a", "Likelihood", value))
    ((cell,),) = (row["cells"] for row in page["rows"])
    found = [name for name in ("above", "below") if cell[3] & page["marks"][name]]
    assert found == ([mark] if mark else [])


@pytest.mark.skipif(find_chromium() is None, reason="needs Chromium, or its name in CHROMIUM")
def test_of_many_models_the_first_fifty_are_there_at_once_and_the_others_on_demand(tmp_path):
    for place in range(56):
        skill = 0.5 - place / 100
        scores = {"likelihood": {"brier_skill": (skill, skill - 0.1, skill + 0.1)}}
        put(tmp_path / "store", make_entry(model=f"org/model-{place:02d}", methods=scores))
    build_store(tmp_path / "store", tmp_path / "out")
    browser = Chromium(find_chromium())
    try:
        browser.resize(390, 800)
        browser.open(tmp_path / "out/site/index.html")
        names = "[...document.querySelectorAll('#overview tbody a')].map((a) => a.textContent)"
        assert browser.run(names) == [f"org/model-{place:02d}" for place in range(50)]
        browser.wait("!document.getElementById('more').hidden")
        browser.run("document.getElementById('more').click()")
        browser.wait("document.querySelectorAll('#overview tbody tr').length === 56")
        assert browser.run(names)[50:] == [f"org/model-{place:02d}" for place in range(50, 56)]
        last = "[...document.querySelectorAll('#overview tbody td')].at(-1)"
        assert "−0.050" in browser.run(f"{last}.textContent")
        assert browser.run(f"{last}.className") == "number best"
        assert browser.run(f"{last}.getBoundingClientRect().right") <= 390
        assert browser.run("document.getElementById('shown').textContent") == "56 of 56 rows"
        assert browser.run("document.getElementById('more').hidden") and browser.problems == []
    finally:
        browser.close()
