"""Publishing: what somebody else's store is checked for, and the branch that a submission makes."""

import json
import subprocess

import pytest
from click.testing import CliRunner

from calib_leaderboards.store import add, read_entries
from calib_leaderboards.store.check import check
from calib_leaderboards.submit import STORE, submit
from helpers.store_runs import named_run

FEW = {"resamples": 20}


def git(folder, *words):
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path):
    """A repository with an empty leaderboard, and a file that its owner is editing."""
    folder = tmp_path / "clone"
    (folder / STORE).mkdir(parents=True)
    git(tmp_path, "init", "--quiet", "-b", "main", str(folder))
    git(folder, "config", "user.name", "A Submitter")
    git(folder, "config", "user.email", "submitter@example.org")
    (folder / "leaderboards/README.md").write_text(
        "<!-- Made by `calibench leaderboard build`: build it again rather than edit it. -->\n"
    )
    (folder / ".gitignore").write_text("/leaderboards/site/\n*.parquet\n*.tex\n")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "A leaderboard")
    (folder / "leaderboards/README.md").write_text("being edited")
    return folder


def test_a_submission_is_one_commit_with_entries_samples_tables_and_the_text(
    evaluated, evaluated_stock, clone
):
    told = submit([evaluated, evaluated_stock], clone)
    assert git(clone, "branch", "--show-current") == "main"
    assert (clone / "leaderboards/README.md").read_text() == "being edited"
    assert git(clone, "worktree", "list").count("\n") == 0
    (branch,) = (name for name in git(clone, "branch").split() if name.startswith("submit/"))
    assert git(clone, "rev-list", "--count", f"main..{branch}") == "1"
    files = git(clone, "diff", "--name-only", "main", branch).splitlines()
    entries = [name for name in files if name.startswith(STORE) and name.endswith(".json")]
    assert len(entries) >= 6
    assert {name.replace(".json", ".samples.jsonl.gz") for name in entries} <= set(files)
    assert {"leaderboards/README.md", "leaderboards/leaderboard.csv"} <= set(files)
    assert not any("site/" in name for name in files)
    message = git(clone, "log", "-1", "--format=%B", branch)
    assert message.startswith("Leaderboard: org/tiny on ") and "lm_eval run" in message
    assert "| Model | Adapter | Task |" in message and "brier_skill" in message
    assert f"git push YOUR_FORK {branch}" in told and message in told


def test_a_task_of_any_name_is_submitted(clone, tmp_path):
    told = submit([named_run(tmp_path, "my-task.v1+x")], clone, branch="mine")
    assert told.startswith("1 entry is on the branch 'mine'.") and "| my-task.v1+x |" in told
    git(clone, "worktree", "add", "--quiet", str(tmp_path / "got"), "mine")
    assert check(tmp_path / "got" / STORE) == 1


def test_what_is_submitted_passes_the_check_of_the_one_who_receives_it(evaluated, clone, tmp_path):
    submit([evaluated], clone, branch="mine")
    git(clone, "worktree", "add", "--quiet", str(tmp_path / "got"), "mine")
    store = tmp_path / "got" / STORE
    assert check(store) == len(read_entries(store))
    page = (tmp_path / "got/leaderboards/README.md").read_text(encoding="utf-8")
    assert "org/tiny" in page


def test_a_refused_submission_leaves_neither_branch_nor_work_tree(evaluated, clone, tmp_path):
    submit([evaluated], clone, branch="mine")
    with pytest.raises(ValueError, match="already has a branch 'mine'"):
        submit([evaluated], clone, branch="mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        submit([tmp_path / "empty"], clone, branch="other")
    with pytest.raises(ValueError, match="Give a clone of the leaderboard's repository"):
        submit([evaluated], tmp_path, branch="other")
    assert git(clone, "branch", "--list", "other") == ""
    assert git(clone, "worktree", "list").count("\n") == 0


def charted(entry):
    """The first score of which some confidence is there, so that it has bins and a curve."""
    return next(score for score in entry["scores"] if score["reliability"])


def stored(evaluated, folder, change):
    """A store whose first entry was edited."""
    files = add([evaluated], folder, **FEW)
    entry = json.loads(files[0].read_text("utf-8"))
    change(entry)
    files[0].write_text(json.dumps(entry), "utf-8")
    return folder


@pytest.mark.parametrize(
    "change, problem",
    [
        (lambda e: e["scores"][0]["metrics"]["ece"].update(value=0.001), "ece is 0.001 .* instead"),
        (lambda e: e["scores"][0]["metrics"]["brier_skill"].update(high=0.99), "brier_skill is"),
        (lambda e: e["scores"][0].update(n_missing=7), "n_missing is 7 instead of 24"),
        (lambda e: e["scores"][0].update(label="Fine-Tuned by Us"), "the label 'Fine-Tuned by Us'"),
        (lambda e: charted(e)["reliability"]["count"].__setitem__(0, 99), "reliability differs"),
        (lambda e: charted(e)["risk_coverage"]["risk"].__setitem__(0, 0.123), "risk_coverage"),
        (
            lambda e: e["scores"][0]["metrics"].update(magic=e["scores"][0]["metrics"]["ece"]),
            "magic is not a score that can be recomputed",
        ),
        (lambda e: e["samples"].update(file=None, sha256=None), "its samples were not kept"),
    ],
)
def test_a_check_names_what_the_samples_do_not_give(evaluated, tmp_path, change, problem):
    with pytest.raises(ValueError, match=problem):
        check(stored(evaluated, tmp_path / "store", change))


def test_a_check_of_stock_tasks_recomputes_their_means(evaluated_stock, tmp_path):
    store = tmp_path / "store"
    files = add([evaluated_stock], store, **FEW)
    assert check(store) == len(files)

    def change(entry):
        next(iter(entry["scores"][0]["metrics"].values()))["value"] = 0.987

    with pytest.raises(ValueError, match=r"is 0\.987 instead of"):
        check(stored(evaluated_stock, tmp_path / "other", change))


def test_the_commands_print_a_sentence(evaluated, clone, tmp_path):
    from calibench.cli import cli

    done = CliRunner().invoke(
        cli, ["leaderboard", "submit", str(evaluated), "--repository", str(clone)]
    )
    assert done.exit_code == 0 and "git push YOUR_FORK" in done.output
    add([evaluated], tmp_path / "store", **FEW)
    done = CliRunner().invoke(cli, ["leaderboard", "check", "--store", str(tmp_path / "store")])
    assert done.exit_code == 0 and "every score agrees with its samples" in done.output
