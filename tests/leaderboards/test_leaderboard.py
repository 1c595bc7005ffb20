"""A look at runs: pages and figures of files in the format that lm-eval writes."""

import csv
import hashlib
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from calib_leaderboards.markdown import escape
from calib_leaderboards.pages.publish import build_runs
from calib_leaderboards.runs import find_runs
from calib_leaderboards.runs.run import last_part
from calib_leaderboards.store import add
from calib_leaderboards.store.make import make_all
from calibench.publish import read_train_accuracy

TASK = "calib_worldfacts"
FEW = {"resamples": 20}  # intervals are not under test here
METHODS = ("likelihood", "zero_shot_classifier", "verbalized", "sampling")


def questions(n=60, seed=0):
    """n made-up questions with answers, and whether each answer is right."""
    rng = np.random.default_rng(seed)
    return [
        {"id": f"q{i}", "question": f"Question {i}?", "answer": f"a{i}", "correct": int(right)}
        for i, right in enumerate(rng.random(n) < 0.6)
    ]


def confidences(n=60, seed=1):
    return [float(value) for value in np.random.default_rng(seed).random(n)]


def sklearn_scores(confidence, correct):
    confidence, correct = np.array(confidence), np.array(correct)
    share, mean = calibration_curve(correct, confidence, n_bins=10)
    count = np.histogram(confidence, bins=10, range=(0, 1))[0]
    return {
        "ece": float(np.sum(count[count > 0] / len(correct) * np.abs(share - mean))),
        "auroc": float(roc_auc_score(correct, confidence)),
        "brier": float(brier_score_loss(correct, confidence)),
        "acc": float(np.mean(correct)),
    }


def write_run(
    folder,
    methods,
    docs=None,
    *,
    task=TASK,
    stamp="2025-01-02T03-04-05.678901",
    model_args=None,
    answers=None,
    limit=None,
    whole=None,
    summary=None,
):
    """Write results_*.json and samples_*.jsonl as lm-eval 0.4.13 does.

    methods: confidences by method; lm-eval turns each filtered response into text.
    whole: how many questions the task has, if not those of `docs`. summary: changes to the printed
    scores. Returns both paths.
    """
    docs = docs or questions()
    folder.mkdir(parents=True, exist_ok=True)
    printed, lines = {"alias": task, "sample_len": len(docs)}, []
    for method, confidence in methods.items():
        for number, (doc, value) in enumerate(zip(docs, confidence, strict=True)):
            record = {
                "task": task,
                "split": "test",
                **doc,
                "method": method,
                "confidence": value,
                "reason": "no number in 'Sure'" if value is None else None,
                "signature": "wording:yes_no",
            }
            pair = [value, doc["correct"]]
            lines.append(
                {
                    "doc_id": number,
                    "doc": {"id": doc["id"]},
                    "target": "x",
                    "arguments": {"gen_args_0": {"arg_0": doc["question"]}},
                    "resps": [[doc["answer"]]],
                    "filtered_resps": [json.dumps(record), "None"],
                    "filter": method,
                    "metrics": ["acc", "ece", "auroc", "brier", "answered"],
                    "doc_hash": "0",
                    "prompt_hash": "0",
                    "target_hash": "0",
                    "acc": doc["correct"],
                    "ece": pair,
                    "auroc": pair,
                    "brier": pair,
                    "answered": int(value is not None),
                }
            )
        present = [
            (v, d["correct"]) for v, d in zip(confidence, docs, strict=True) if v is not None
        ]
        if present:
            for name, value in sklearn_scores(*zip(*present, strict=True)).items():
                printed[f"{name},{method}"] = value
        printed[f"acc,{method}"] = float(np.mean([doc["correct"] for doc in docs]))
        printed[f"answered,{method}"] = len(present) / len(docs)
        printed[f"ece_stderr,{method}"] = "N/A"
    printed.update(summary or {})
    results = {
        "results": {task: printed},
        "configs": {task: {"task": task, "metadata": {"version": 1.0, "answers": answers}}},
        "versions": {task: 1.0},
        "n-shot": {task: 0},
        "n-samples": {task: {"original": whole or len(docs), "effective": len(docs)}},
        "config": {
            "model": "hf",
            "model_args": model_args
            or {"pretrained": "/home/me/.cache/SmolLM2-135M-Instruct-b179c9523d0e"},
            "model_dtype": "torch.float32",
            "limit": limit,
            "random_seed": 0,
            "numpy_seed": 1234,
            "torch_seed": 1234,
            "fewshot_seed": 1234,
        },
        "date": 1735786800.0,
        "pretty_env_info": "PyTorch version: 2.13.0+cpu\nIs debug build: False",
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.23.0",
        "chat_template_sha": None,
        "total_evaluation_time_seconds": "61.25",
    }
    results_file = folder / f"results_{stamp}.json"
    results_file.write_text(json.dumps(results, indent=2), encoding="utf-8")
    samples_file = folder / f"samples_{task}_{stamp}.jsonl"
    samples_file.parent.mkdir(parents=True, exist_ok=True)  # of a name with slashes
    samples_file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return results_file, samples_file


def write_adapter_run(folder, methods, docs=None, **options):
    options = {"stamp": "2025-01-03T00-00-00.000001", "answers": "/x/samples.jsonl", **options}
    adapter = {"pretrained": "/m/SmolLM2-135M-Instruct-b179c9523d0e", "peft": "/x/my_adapter"}
    return write_run(folder, methods, docs, model_args=adapter, **options)


def build(runs, out, **options):
    """Build the pages of runs; return the text of the README."""
    return build_runs(runs, out, **{**FEW, **options}).read_text(encoding="utf-8")


def scores_of(out, **wanted):
    """metric -> line of leaderboard.csv, of the rows that have all the wanted values."""
    with (out / "leaderboard.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row
            for row in csv.DictReader(lines)
            if all(row[name] == value for name, value in wanted.items())
        ]
    assert len({row["metric"] for row in rows}) == len(rows), "not one row"
    return {row["metric"]: row for row in rows}


def values_of(out, **wanted):
    return {name: float(row["value"]) for name, row in scores_of(out, **wanted).items()}


def labels_of(out, task=TASK):
    """label -> line of leaderboard.csv about its accuracy; in the order of the file."""
    with (out / "leaderboard.csv").open(encoding="utf-8", newline="") as lines:
        rows = [
            row for row in csv.DictReader(lines) if (row["metric"], row["task"]) == ("acc", task)
        ]
    return {row["label"]: row for row in rows}


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


# ------------------------------------------------------------------------------------------ scores


def test_scores_equal_those_of_scikit_learn(tmp_path):
    confidence, docs = confidences(), questions()
    write_run(tmp_path / "run", {"zero_shot_classifier": confidence}, docs)
    build([tmp_path / "run"], tmp_path / "out")
    expected = sklearn_scores(confidence, [doc["correct"] for doc in docs])
    got = values_of(tmp_path / "out")
    assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    row = scores_of(tmp_path / "out")["answered"]
    assert row["elicitation"] == "wording:yes_no" and row["n"] == "60" and row["value"] == "1.0"


def test_missing_confidences_are_left_out_of_the_scores_and_counted(tmp_path):
    confidence, docs = confidences(), questions()
    for i in (0, 7, 8):
        confidence[i] = None
    write_run(tmp_path / "run", {"verbalized": confidence}, docs)
    build([tmp_path / "run"], tmp_path / "out")
    kept = [(c, d["correct"]) for c, d in zip(confidence, docs, strict=True) if c is not None]
    got = values_of(tmp_path / "out")
    assert got["brier"] == pytest.approx(
        sklearn_scores(*zip(*kept, strict=True))["brier"], rel=1e-9
    )
    assert got["answered"] == pytest.approx(57 / 60)
    assert got["acc"] == pytest.approx(np.mean([doc["correct"] for doc in docs]))
    assert scores_of(tmp_path / "out")["brier"]["n_missing"] == "3"


def test_a_method_that_never_gives_a_confidence_still_has_a_row(tmp_path):
    undefined = {f"{name},verbalized": float("nan") for name in ("ece", "auroc", "brier")}
    write_run(tmp_path / "run", {"verbalized": [None] * 60}, summary=undefined)
    page = build([tmp_path / "run"], tmp_path / "out")
    assert scores_of(tmp_path / "out")["ece"]["value"] == ""
    assert "| Verbalized | undefined | undefined | undefined | undefined |" in page
    assert "Reliability" not in (tmp_path / "out/site/model/SmolLM2-135M-Instruct.html").read_text()


def test_reliability_bins_hold_every_row(tmp_path):
    confidence = [0.0, 0.05, 0.15, 1.0, 1.0, 0.95]
    docs = questions()[:6]
    for doc, right in zip(docs, [0, 1, 1, 1, 0, 1], strict=True):
        doc["correct"] = right
    write_run(tmp_path / "run", {"sampling": confidence}, docs)
    ((entry, _),) = make_all(find_runs([tmp_path]), **FEW).values()
    bins = entry.scores[0].reliability
    assert bins.count == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert bins.accuracy[0] == 0.5 and bins.accuracy[2] is None
    assert bins.accuracy[9] == pytest.approx(2 / 3)


def test_a_summary_that_disagrees_with_the_samples_is_refused(tmp_path):
    changed = {"ece,likelihood": 0.0123}
    results, _ = write_run(tmp_path / "run", {"likelihood": confidences()}, summary=changed)
    with pytest.raises(ValueError, match=r"ece,likelihood = 0\.0123.* give 0\.\d+") as error:
        build([tmp_path / "run"], tmp_path / "out")
    assert results.name in str(error.value)
    assert not (tmp_path / "out").exists()


def test_folders_without_results_or_logs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="No results_.*json below"):
        build([tmp_path], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="nowhere' is not a folder"):
        build([tmp_path / "nowhere"], tmp_path / "out")
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()})
    samples.unlink()
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        build([tmp_path], tmp_path / "out")


# -------------------------------------------------------------------------------------------- rows


def test_rows_have_the_labels_of_the_paper_and_bars_their_order(tmp_path):
    write_run(tmp_path / "base", {name: confidences(seed=i) for i, name in enumerate(METHODS)})
    tuned = ("question_only", "zero_shot_classifier", "verbalized")
    write_adapter_run(tmp_path / "tuned", {name: confidences() for name in tuned})
    build([tmp_path / "tuned", tmp_path / "base"], tmp_path / "out", train_accuracy=0.55)
    rows = labels_of(tmp_path / "out")
    sanity = {"Fine-Tuned (question only)", "Constant (train accuracy)"}
    frozen = {"Fine-Tuned", "Verbalized (adapter)", "Fine-Tuned (question only)"}
    bars = ["Likelihood", "Zero-Shot Classifier", "Verbalized", "Sampling"]
    bars += ["Fine-Tuned", "Verbalized (adapter)"]
    assert rows.keys() == {*bars, *sanity}
    assert {row["model"] for row in rows.values()} == {"SmolLM2-135M-Instruct"}
    assert {label for label, row in rows.items() if row["answers"] == "frozen"} == frozen
    assert {label for label, row in rows.items() if row["sanity"] == "true"} == sanity
    drawn = (tmp_path / f"out/figures/{TASK}_bars.svg").read_text(encoding="utf-8")
    for label in sanity:
        assert label not in drawn
    places = [drawn.index(part) for part in ("Likelihood<", "Sampling<", "Fine-Tuned<")]
    assert places == sorted(places)


def test_an_adapter_for_the_confidence_labels_only_what_it_was_asked(tmp_path):
    arguments = {"pretrained": "/m/SmolLM2-135M-Instruct", "confidence_adapter": "/x/my_adapter"}
    chosen = {name: confidences() for name in ("likelihood", "zero_shot_classifier", "sampling")}
    write_run(tmp_path / "run", chosen, model_args=arguments)
    build([tmp_path / "run"], tmp_path / "out")
    assert labels_of(tmp_path / "out").keys() == {"Likelihood", "Fine-Tuned", "Sampling"}


def test_the_constant_row_knows_the_rate_and_nothing_else(tmp_path):
    docs = questions()
    write_run(tmp_path / "base", {"likelihood": confidences()}, docs)
    write_adapter_run(tmp_path / "a_tuned", {"zero_shot_classifier": confidences(seed=2)}, docs)
    page = build([tmp_path], tmp_path / "out", train_accuracy=0.25)
    scores = scores_of(tmp_path / "out", method="constant")
    accuracy = np.mean([doc["correct"] for doc in docs])
    assert float(scores["auroc"]["value"]) == 0.5
    assert float(scores["ece"]["value"]) == pytest.approx(abs(accuracy - 0.25))
    assert float(scores["brier_skill"]["value"]) == pytest.approx(0, abs=1e-9)
    of_others = scores_of(tmp_path / "out", method="likelihood")["brier_skill"]
    assert "|base_rate:0.25|" in of_others["signature"]
    assert scores["ece"]["rank"] == "" and scores["ece"]["adapter"] == ""  # of the base model
    assert "| *Constant (train accuracy)* |" in page
    with pytest.raises(ValueError, match=r"train_accuracy is 1\.5"):
        build([tmp_path / "base"], tmp_path / "out", train_accuracy=1.5)


def test_sanity_rows_alone_make_a_table_without_bars(tmp_path):
    write_run(tmp_path / "run", {"question_only": confidences()})
    page = build([tmp_path / "run"], tmp_path / "out")
    assert "| *Question only* |" in page and not (tmp_path / "out/figures").exists()


def test_own_and_frozen_answers_are_told_apart_and_bars_are_about_the_same_answers(tmp_path):
    write_run(tmp_path / "a", {"zero_shot_classifier": confidences()})
    write_adapter_run(tmp_path / "b", {"zero_shot_classifier": confidences(seed=2)})
    others = [{**doc, "answer": "other", "correct": 1 - doc["correct"]} for doc in questions()]
    own = {"answers": None, "stamp": "2025-01-04T00-00-00.000001"}
    write_adapter_run(tmp_path / "c", {"zero_shot_classifier": confidences(seed=3)}, others, **own)
    page = build([tmp_path], tmp_path / "out")
    assert "1 row in other settings" in page
    main, _, folded = page.partition("<details>")
    assert re.search(r"\| \d \| SmolLM2-135M-Instruct \| my_adapter \| Fine-Tuned \|", main)
    assert "| my_adapter | Fine-Tuned | 0-shot |" in folded
    for name in (f"{TASK}_bars.svg", "*_ece.svg"):
        (figure,) = (tmp_path / "out/figures").glob(name)
        text = figure.read_text(encoding="utf-8")
        assert "Fine-Tuned" in text and "shot" not in text  # one row has the label: no setting
    # Without a run on the base model's answers, the adapter's own are drawn.
    build([tmp_path / "a", tmp_path / "c"], tmp_path / "out")
    assert "Fine-Tuned<" in (tmp_path / f"out/figures/{TASK}_bars.svg").read_text(encoding="utf-8")


def test_several_models_share_a_table(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()}, model_args="pretrained=org/one,a=1")
    write_run(tmp_path / "b", {"likelihood": confidences(seed=5)}, model_args="pretrained=org/two")
    page = build([tmp_path], tmp_path / "out")
    assert "| org/one |  | Likelihood |" in page and "| org/two |  | Likelihood |" in page
    assert page.count("## calib_worldfacts") == 1
    figure = (tmp_path / f"out/figures/{TASK}_bars.svg").read_text(encoding="utf-8")
    assert "org/one" in figure and "org/two" in figure


def test_tasks_of_lm_eval_stand_beside_ours(tmp_path):
    _, samples = write_run(tmp_path / "mmlu", {"none": confidences()}, task="mmlu_x")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    text = "".join(json.dumps({**row, "filtered_resps": ["A"]}) + "\n" for row in rows)
    samples.write_text(text, encoding="utf-8")
    write_run(tmp_path / "ours", {"likelihood": confidences()})
    page = build([tmp_path], tmp_path / "out", train_accuracy=0.5)
    assert f"## {TASK}" in page and "## mmlu_x" in page
    (row,) = labels_of(tmp_path / "out", "mmlu_x").values()
    assert float(row["value"]) == pytest.approx(np.mean([doc["correct"] for doc in questions()]))


def test_runs_on_other_questions_do_not_share_a_table(tmp_path):
    write_run(tmp_path / "base", {"likelihood": confidences()})
    write_adapter_run(tmp_path / "tuned", {"likelihood": confidences(50)}, questions(50))
    page = build([tmp_path], tmp_path / "out")
    titles = re.findall(r"^## calib.*$", page, flags=re.MULTILINE)
    assert len(titles) == 2 and all("(questions " in title for title in titles)
    names = [path.name for path in (tmp_path / "out/figures").glob("*_bars.png")]
    assert len(names) == 2 and f"{TASK}_bars.png" in names


def test_the_same_run_twice_is_refused_but_overlapping_folders_are_not(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()})
    build([tmp_path / "a", tmp_path], tmp_path / "out")
    write_run(tmp_path / "b", {"likelihood": confidences()}, stamp="2025-02-02T00-00-00.000001")
    with pytest.raises(ValueError, match="give only one of them"):
        build([tmp_path], tmp_path / "out")


# ---------------------------------------------------------------------------------------- previews


def test_a_run_with_a_limit_is_marked_in_every_file_and_never_added(tmp_path):
    write_run(tmp_path / "run", {"likelihood": confidences()}, limit=60.0, whole=900)
    page, out = build([tmp_path], tmp_path / "out"), tmp_path / "out"
    sentence = "Preview: 60 of 900 questions; cannot be added to a leaderboard."
    assert f"**{sentence}**" in page
    assert sentence in (out / "site/model/SmolLM2-135M-Instruct.html").read_text(encoding="utf-8")
    for name in ("index", "tasks", "compare", "models"):
        assert "Preview: rows" in (out / f"site/{name}.html").read_text(encoding="utf-8")
    (data,) = (out / "site/data").glob(f"{TASK}-*.js")
    for file in (data, out / "leaderboard.csv", out / "leaderboard.tex"):
        assert "preview-60-of-900" in file.read_text(encoding="utf-8"), file
    drawn = (out / f"figures/{TASK}_bars.svg").read_text(encoding="utf-8")
    assert "preview: 60 of 900 questions" in drawn
    with pytest.raises(ValueError, match=r"asked 60 of the 900 questions .* \(--limit 60\.0\)"):
        add([tmp_path / "run"], tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_chosen_questions_are_a_preview_and_whole_runs_are_none(tmp_path):
    _, samples = write_run(tmp_path / "some", {"likelihood": confidences()}, whole=900)
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    chosen = [json.dumps({**row, "doc_id": 3 * row["doc_id"] + 1}) for row in rows]
    samples.write_text("\n".join(chosen), encoding="utf-8")  # as --samples logs them
    assert "Preview: 60 of 900" in build([tmp_path], tmp_path / "out")
    write_run(tmp_path / "all", {"likelihood": confidences()})
    build([tmp_path / "all"], tmp_path / "out")
    for name, content in contents(tmp_path / "out").items():
        assert b"review: " not in content and b"preview-" not in content, name


# ------------------------------------------------------------------------------------------- files


def test_the_same_inputs_give_the_same_bytes_in_any_order(tmp_path):
    write_run(tmp_path / "base", {name: confidences(seed=i) for i, name in enumerate(METHODS)})
    write_adapter_run(tmp_path / "tuned", {"zero_shot_classifier": confidences()})
    runs = [tmp_path / "base", tmp_path / "tuned"]
    build(runs, tmp_path / "one", train_accuracy=0.5)
    build(runs[::-1], tmp_path / "two", train_accuracy=0.5)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    figures = {f"figures/{TASK}_bars.{kind}" for kind in ("svg", "png")}
    assert {"README.md", "leaderboard.csv", "site/index.html", *figures} <= one.keys()
    places = {name.split("--")[0] for name in one if name.startswith("site/samples/")}
    assert places == {
        f"site/samples/SmolLM2-135M-Instruct/{variant}/{TASK}" for variant in ("main", "my_adapter")
    }


def test_hostile_names_stay_text_and_stay_inside_the_folder(tmp_path):
    docs = [{**doc, "question": "<b>x</b>"} for doc in questions()]
    write_run(
        tmp_path / "run",
        {"../../up": confidences(), "<img src=x>\n```$\\\\frac$": confidences(seed=3)},
        docs,
        task="../../escaped task",
        model_args={
            "pretrained": "$\\bad$ a|b<script>\n# `x`",
            "note": "](javascript:1)",
        },
    )
    before = set(tmp_path.rglob("*"))
    page = build([tmp_path / "run"], tmp_path / "out")
    made = set(tmp_path.rglob("*")) - before
    assert all((tmp_path / "out") in (path, *path.parents) for path in made)
    assert set(re.findall(r"</?([a-zA-Z]+)", page)) <= {"img"}
    assert "](javascript" not in page and "```" not in page
    assert "a&#124;b&lt;script&gt; # &#96;x&#96;" in page
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("| ")]
    assert len(tables) == 2  # the overview, and that of the task
    for table in tables:
        assert len({line.count("|") for line in table}) == 1
    assert f"figures/escaped-task-{hashlib.sha256(b'../../escaped task').hexdigest()[:8]}" in {
        name.split("_")[0] for name in contents(tmp_path / "out")
    }
    for link in re.findall(r'src="([^"]+)"', page):
        assert (tmp_path / "out" / link).resolve().is_file()
    for site in (tmp_path / "out/site").rglob("*.html"):
        assert "<img" not in site.read_text(encoding="utf-8")


def test_pages_hold_hashes_and_versions_but_no_folder_or_credential(tmp_path):
    arguments = {"pretrained": str(tmp_path / "model"), "dtype": "float32", "api_key": "sesame"}
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()}, model_args=arguments)
    build([tmp_path / "run"], tmp_path / "out")
    page = (tmp_path / "out/site/model/model.html").read_text(encoding="utf-8")
    assert hashlib.sha256(samples.read_bytes()).hexdigest() in page
    assert "lm_eval 0.4.13, transformers 5.23.0, torch 2.13.0+cpu" in page
    assert "--model_args dtype=float32,pretrained=model " in page
    assert f"--tasks {TASK} " in page and "fewshot_seed 1234" in page
    for name, content in contents(tmp_path / "out").items():
        assert str(tmp_path).encode() not in content and b"sesame" not in content, name


def test_a_page_of_another_origin_is_not_overwritten(tmp_path):
    write_run(tmp_path / "run", {"likelihood": confidences()})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("# My project\n", encoding="utf-8")
    with pytest.raises(FileExistsError, match="README.md"):
        build([tmp_path / "run"], tmp_path / "out")
    assert contents(tmp_path / "out") == {"README.md": b"# My project\n"}


def test_a_second_build_drops_the_files_of_the_first_and_nothing_else(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()}, task="calib_other")
    write_run(tmp_path / "b", {"likelihood": confidences()})
    build([tmp_path / "a"], tmp_path / "out")
    mine = tmp_path / "out" / "figures" / "mine.png"
    mine.write_bytes(b"x")
    build([tmp_path / "b"], tmp_path / "out")
    names = contents(tmp_path / "out").keys()
    assert {"figures/mine.png", f"figures/{TASK}_bars.png"} <= names
    assert not [name for name in names if "calib_other" in name or name.startswith(".")]


# ------------------------------------------------------------------------------------------- words


def test_escape_keeps_ordinary_names_readable():
    assert escape("calib_worldfacts 1.0 (SmolLM2-135M)") == "calib_worldfacts 1.0 (SmolLM2-135M)"
    assert escape("_x_ a*b") == "&#95;x&#95; a&#42;b"


@pytest.mark.parametrize(
    "path, name",
    [
        ("/cache/SmolLM2-135M-Instruct-b179c9523d0e", "SmolLM2-135M-Instruct"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"),
        ("C:\\models\\tiny\\", "tiny"),
        ("../..", ".."),
    ],
)
def test_a_model_is_named_by_the_last_part_of_its_path(path, name):
    assert last_part(path) == name


def test_train_accuracy_comes_from_the_graded_data_set(tmp_path):
    (tmp_path / "grading.json").write_text('{"splits": {"train": {"n": 4, "accuracy": 0.75}}}')
    assert read_train_accuracy(tmp_path) == 0.75
    (tmp_path / "grading.json").write_text('{"splits": {}}')
    with pytest.raises(ValueError, match="train split"):
        read_train_accuracy(tmp_path)
    with pytest.raises(FileNotFoundError, match="calibench grade"):
        read_train_accuracy(tmp_path / "none")


def test_the_command_takes_runs_and_a_graded_data_set(tmp_path):
    from calibench.cli import cli

    write_run(tmp_path / "run", {"likelihood": confidences()}, limit=60.0, whole=900)
    (tmp_path / "grading.json").write_text('{"splits": {"train": {"n": 4, "accuracy": 0.75}}}')
    arguments = ["leaderboard", "build", str(tmp_path / "run"), "--graded", str(tmp_path)]
    done = CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path / "out")])
    assert done.output.strip() == str(tmp_path / "out" / "README.md")
    assert values_of(tmp_path / "out", method="constant")["auroc"] == 0.5
