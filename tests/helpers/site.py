"""A site of made-up entries, and what a visitor does and sees there."""

import numpy as np

from calib_leaderboards.pages.publish import build_store
from helpers.board_entries import make_entry, make_samples, make_stock_samples, put, samples_with

HOSTILE = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'


def made_up_site(folder):
    """Models a, b (with an adapter) and one with a hostile name on two tasks, and a stock task."""
    store = folder / "store"

    def scores(skill, ece, auroc, aurc=0.3):
        return {
            "acc": (0.45, 0.42, 0.48),
            "brier_skill": (skill, skill - 0.02, skill + 0.02),
            "ece": (ece, ece - 0.02, ece + 0.03),
            "auroc": (auroc, auroc - 0.03, auroc + 0.03),
            "aurc": (aurc, aurc - 0.01, aurc + 0.01),
        }

    def add(model, methods, seed=None, **options):
        samples = None if seed is None else make_samples(list(methods), 200, seed)
        put(store, make_entry(model=model, methods=methods, samples=samples, **options))

    add("org/a", {"likelihood": scores(0.20, 0.13, 0.79), "sampling": scores(0.10, 0.27, 0.60)}, 1)
    # Asked in another way, of which hardly an answer is right.
    chat = {"likelihood": scores(-3.0, 0.01, 0.97)}
    put(
        store,
        make_entry(
            model="org/a",
            setting="0-shot_chat",
            methods=chat,
            samples=samples_with(np.arange(200) < 4, {"likelihood": np.linspace(0, 0.1, 200)}),
        ),
    )
    add(
        "org/b",
        {"likelihood": scores(0.40, 0.05, 0.91)},
        2,
        parameters=7_000_000_000,
        adapter="tuned",
    )
    add(
        HOSTILE,
        {"question_only": scores(0.01, 0.04, 0.5)},
        3,
        parameters=None,
        label={"question_only": HOSTILE},
    )
    add("org/a", {"likelihood": scores(0.1, 0.2, 0.7)}, task="calib_other")
    for seed, name in enumerate(("org/a", "org/b")):
        put(
            store,
            make_entry(
                model=name,
                task="squad",
                source="lm_eval",
                label={"none": "none"},
                methods={"none": {"f1": (61.5 + seed, 60.0, 63.0)}},
                higher={"f1": True},
                samples=make_stock_samples("f1,none", 1100, seed),
            ),
        )
    build_store(store, folder / "out")
    return folder / "out" / "site"


def at_tasks(browser, site, fragment=""):
    browser.open(site / "tasks.html", fragment)
    browser.wait("document.querySelector('#results tbody tr')")


def column(page, number):
    """The texts of a column of the table, without the intervals."""
    return page.run(
        "[...document.querySelectorAll('#results tbody tr')]"
        f".map((row) => row.cells[{number}].firstChild?.textContent ?? '')"
    )


def models(page):
    """Whose the rows are."""
    return page.run(
        "[...document.querySelectorAll('#results tbody th a')].map((link) => link.textContent)"
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
