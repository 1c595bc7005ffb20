"""Leaderboards built from files in the format that lm-eval writes."""

import hashlib
import json
import re

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from calib_leaderboards import build, read_train_accuracy
from calib_leaderboards.render import escape
from calib_leaderboards.rows import last_part

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
    summary=None,
):
    """Write results_*.json and samples_*.jsonl as lm-eval 0.4.13 does.

    methods: confidences by method; lm-eval turns each filtered response into text.
    summary: changes to the printed scores. Returns both paths.
    """
    docs = docs or questions()
    folder.mkdir(parents=True, exist_ok=True)
    printed, lines = {"alias": task, "sample_len": len(docs)}, []
    for method, confidence in methods.items():
        for number, (doc, value) in enumerate(zip(docs, confidence)):
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
        present = [(v, d["correct"]) for v, d in zip(confidence, docs) if v is not None]
        if present:
            for name, value in sklearn_scores(*zip(*present)).items():
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
        "n-samples": {task: {"original": limit and 900 or len(docs), "effective": len(docs)}},
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
    name = re.sub(r"\W", "_", task)
    samples_file = folder / f"samples_{name}_{stamp}.jsonl"
    samples_file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return results_file, samples_file


def write_adapter_run(folder, methods, docs=None, **options):
    options = {"stamp": "2025-01-03T00-00-00.000001", "answers": "/x/samples.jsonl", **options}
    adapter = {"pretrained": "/m/SmolLM2-135M-Instruct-b179c9523d0e", "peft": "/x/my_adapter"}
    return write_run(folder, methods, docs, model_args=adapter, **options)


def board_of(out):
    return json.loads((out / "leaderboard.json").read_text(encoding="utf-8"))


def rows_of(out, task=TASK):
    return board_of(out)["tasks"][task]["rows"]


def test_scores_equal_those_of_scikit_learn(tmp_path):
    confidence, docs = confidences(), questions()
    write_run(tmp_path / "run", {"zero_shot_classifier": confidence}, docs)
    build([tmp_path / "run"], tmp_path / "out", **FEW)
    (row,) = rows_of(tmp_path / "out")
    expected = sklearn_scores(confidence, [doc["correct"] for doc in docs])
    got = {name: row["scores"][name]["value"] for name in expected}
    assert got == pytest.approx(expected, rel=1e-9)
    assert row["elicitation"] == "wording:yes_no"
    assert row["n"] == 60 and row["limit"] is None and row["scores"]["answered"]["value"] == 1


def test_missing_confidences_are_left_out_of_the_scores_and_counted(tmp_path):
    confidence, docs = confidences(), questions()
    for i in (0, 7, 8):
        confidence[i] = None
    write_run(tmp_path / "run", {"verbalized": confidence}, docs)
    build([tmp_path / "run"], tmp_path / "out", **FEW)
    (row,) = rows_of(tmp_path / "out")
    kept = [(c, d["correct"]) for c, d in zip(confidence, docs) if c is not None]
    expected = sklearn_scores(*zip(*kept))
    assert row["scores"]["brier"]["value"] == pytest.approx(expected["brier"], rel=1e-9)
    assert row["scores"]["brier"]["n_missing"] == 3
    assert row["scores"]["answered"]["value"] == pytest.approx(57 / 60)
    all_answers = np.mean([doc["correct"] for doc in docs])
    assert row["scores"]["acc"]["value"] == pytest.approx(all_answers)


def test_a_method_that_never_gives_a_confidence_still_has_a_row(tmp_path):
    undefined = {f"{name},verbalized": float("nan") for name in ("ece", "auroc", "brier")}
    write_run(tmp_path / "run", {"verbalized": [None] * 60}, summary=undefined)
    with pytest.warns(UserWarning):
        page = build([tmp_path / "run"], tmp_path / "out", **FEW)
    (row,) = rows_of(tmp_path / "out")
    assert row["scores"]["ece"]["value"] is None and row["reliability"] is None
    assert "| Verbalized | undefined | undefined | undefined |" in page.read_text(encoding="utf-8")


def test_reliability_bins_hold_every_row(tmp_path):
    confidence = [0.0, 0.05, 0.15, 1.0, 1.0, 0.95]
    docs = questions()[:6]
    for doc, right in zip(docs, [0, 1, 1, 1, 0, 1]):
        doc["correct"] = right
    write_run(tmp_path / "run", {"sampling": confidence}, docs)
    build([tmp_path / "run"], tmp_path / "out", **FEW)
    bins = rows_of(tmp_path / "out")[0]["reliability"]
    assert bins["count"] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert bins["accuracy"][0] == 0.5 and bins["accuracy"][2] is None
    assert bins["accuracy"][9] == pytest.approx(2 / 3)


def test_rows_come_in_the_order_of_the_figure_with_labels_of_the_paper(tmp_path):
    write_run(tmp_path / "base", {name: confidences(seed=i) for i, name in enumerate(METHODS)})
    tuned = ("question_only", "zero_shot_classifier", "verbalized")
    write_adapter_run(tmp_path / "tuned", {name: confidences() for name in tuned})
    build([tmp_path / "tuned", tmp_path / "base"], tmp_path / "out", train_accuracy=0.55, **FEW)
    rows = rows_of(tmp_path / "out")
    assert [row["label"] for row in rows] == [
        "Likelihood",
        "Zero-Shot Classifier",
        "Verbalized",
        "Sampling",
        "Verbalized (adapter)",
        "Fine-Tuned",
        "Fine-Tuned (question only)",
        "Constant (train accuracy)",
    ]
    assert {row["model"] for row in rows} == {"SmolLM2-135M-Instruct"}
    assert [row["answers"] for row in rows] == ["own"] * 4 + ["frozen"] * 3 + ["own"]
    assert [row["sanity"] for row in rows] == [False] * 6 + [True] * 2


def test_an_adapter_for_the_confidence_labels_only_what_it_was_asked(tmp_path):
    arguments = {"pretrained": "/m/SmolLM2-135M-Instruct", "confidence_adapter": "/x/my_adapter"}
    chosen = {name: confidences() for name in ("likelihood", "zero_shot_classifier", "sampling")}
    write_run(tmp_path / "run", chosen, model_args=arguments)
    build([tmp_path / "run"], tmp_path / "out", **FEW)
    rows = rows_of(tmp_path / "out")
    assert [(row["label"], row["adapter"]) for row in rows] == [
        ("Likelihood", None), ("Sampling", None), ("Fine-Tuned", "my_adapter"),
    ]


def test_the_constant_row_knows_the_rate_and_nothing_else(tmp_path):
    docs = questions()
    write_run(tmp_path / "run", {"likelihood": confidences()}, docs)
    build([tmp_path / "run"], tmp_path / "out", train_accuracy=0.25, **FEW)
    scores = rows_of(tmp_path / "out")[-1]["scores"]
    accuracy = np.mean([doc["correct"] for doc in docs])
    assert scores["auroc"]["value"] == 0.5
    assert scores["ece"]["value"] == pytest.approx(abs(accuracy - 0.25))


def test_sanity_rows_alone_make_a_table_without_bars(tmp_path):
    write_run(tmp_path / "run", {"question_only": confidences()})
    page = build([tmp_path / "run"], tmp_path / "out", **FEW).read_text(encoding="utf-8")
    assert "| *Question only* |" in page and "_bars" not in page


def test_own_and_frozen_answers_of_one_label_are_told_apart(tmp_path):
    write_run(tmp_path / "a", {"zero_shot_classifier": confidences()})
    write_adapter_run(tmp_path / "b", {"zero_shot_classifier": confidences(seed=2)})
    others = [{**doc, "answer": "other", "correct": 1 - doc["correct"]} for doc in questions()]
    own = {"answers": None, "stamp": "2025-01-04T00-00-00.000001"}
    write_adapter_run(tmp_path / "c", {"zero_shot_classifier": confidences(seed=3)}, others, **own)
    page = build([tmp_path], tmp_path / "out", **FEW).read_text(encoding="utf-8")
    tuned = [line for line in page.splitlines() if line.startswith("| **Fine-Tuned**")]
    assert [line.split(" | ")[1] for line in tuned] == ["frozen", "own"]
    figures = {row["figure"] for row in rows_of(tmp_path / "out")}
    assert len(figures) == 3


def test_several_models_share_a_table_with_a_model_column(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()}, model_args="pretrained=org/one,a=1")
    write_run(tmp_path / "b", {"likelihood": confidences(seed=5)}, model_args="pretrained=org/two")
    page = build([tmp_path], tmp_path / "out", **FEW).read_text(encoding="utf-8")
    assert "| Likelihood | one |" in page and "| Likelihood | two |" in page


def test_a_limited_run_says_so_in_its_row(tmp_path):
    write_run(tmp_path / "run", {"likelihood": confidences()}, limit=60.0)
    page = build([tmp_path / "run"], tmp_path / "out", **FEW).read_text(encoding="utf-8")
    assert "| 60 (**limit**) |" in page
    assert rows_of(tmp_path / "out")[0]["limit"] == 60


def test_a_summary_that_disagrees_with_the_samples_is_refused(tmp_path):
    changed = {"ece,likelihood": 0.0123}
    results, _ = write_run(tmp_path / "run", {"likelihood": confidences()}, summary=changed)
    with pytest.raises(ValueError, match=r"ece,likelihood = 0\.0123.* give 0\.\d+") as error:
        build([tmp_path / "run"], tmp_path / "out", **FEW)
    assert results.name in str(error.value)
    assert not (tmp_path / "out" / "README.md").exists()


def test_a_sample_log_that_lost_whole_lines_is_refused(tmp_path):
    _, samples = write_run(tmp_path / "run", {name: confidences() for name in METHODS})
    lines = samples.read_text(encoding="utf-8").splitlines(keepends=True)
    samples.write_text("".join(lines[:-3]), encoding="utf-8")
    with pytest.raises(ValueError, match="'sampling' were not asked about the same answers"):
        build([tmp_path / "run"], tmp_path / "out", **FEW)


def test_a_truncated_line_is_named(tmp_path):
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()})
    samples.write_bytes(samples.read_bytes()[:-40])
    with pytest.raises(ValueError, match="line 60: not valid JSON") as error:
        build([tmp_path / "run"], tmp_path / "out", **FEW)
    assert samples.name in str(error.value)


@pytest.mark.parametrize("value, message", [(float("nan"), "NaN"), (95, "range"), ("1", "number")])
def test_a_confidence_that_is_none_is_named_with_its_line(tmp_path, value, message):
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()})
    lines = samples.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[4])
    record = json.loads(row["filtered_resps"][0])
    row["filtered_resps"][0] = json.dumps({**record, "confidence": value})
    lines[4] = json.dumps(row)
    samples.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ValueError, match=f"line 5: confidence.*{message}"):
        build([tmp_path / "run"], tmp_path / "out", **FEW)


def test_results_without_samples_ask_for_log_samples(tmp_path):
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()})
    samples.unlink()
    with pytest.raises(FileNotFoundError, match="--log_samples"):
        build([tmp_path / "run"], tmp_path / "out", **FEW)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="No results_.*json below"):
        build([tmp_path], tmp_path / "out", **FEW)
    with pytest.raises(FileNotFoundError, match="nowhere' is not a folder"):
        build([tmp_path / "nowhere"], tmp_path / "out", **FEW)


def test_tasks_of_other_projects_are_left_out(tmp_path):
    _, samples = write_run(tmp_path / "mmlu", {"none": confidences()}, task="mmlu")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    text = "".join(json.dumps({**row, "filtered_resps": ["A"]}) + "\n" for row in rows)
    samples.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no calibench task"):
        build([tmp_path], tmp_path / "out", **FEW)
    write_run(tmp_path / "ours", {"likelihood": confidences()})
    build([tmp_path], tmp_path / "out", **FEW)
    assert list(board_of(tmp_path / "out")["tasks"]) == [TASK]


def test_runs_on_other_questions_cannot_share_a_table(tmp_path):
    write_run(tmp_path / "base", {"likelihood": confidences()})
    write_adapter_run(tmp_path / "tuned", {"likelihood": confidences(50)}, questions(50))
    with pytest.raises(ValueError, match="10 ids occur in only one .* 60 against 50") as error:
        build([tmp_path / "base", tmp_path / "tuned"], tmp_path / "out", **FEW)
    assert "base" in str(error.value) and "tuned" in str(error.value)


def test_frozen_answers_must_be_those_of_a_run_in_the_table(tmp_path):
    write_run(tmp_path / "base", {"likelihood": confidences()})
    docs = questions()
    docs[3]["answer"] = "other"
    write_adapter_run(tmp_path / "tuned", {"zero_shot_classifier": confidences()}, docs)
    with pytest.raises(ValueError, match="answer differs for 1 ids, such as 'q3': 'a3' against"):
        build([tmp_path], tmp_path / "out", **FEW)


def test_the_same_run_twice_is_refused_but_overlapping_folders_are_not(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences()})
    build([tmp_path / "a", tmp_path], tmp_path / "out", **FEW)
    write_run(tmp_path / "b", {"likelihood": confidences()}, stamp="2025-02-02T00-00-00.000001")
    with pytest.raises(ValueError, match="give only one of them"):
        build([tmp_path], tmp_path / "out", **FEW)


def test_the_same_inputs_give_the_same_bytes_in_any_order(tmp_path):
    write_run(tmp_path / "base", {name: confidences(seed=i) for i, name in enumerate(METHODS)})
    write_adapter_run(tmp_path / "tuned", {"zero_shot_classifier": confidences()})
    runs = [tmp_path / "base", tmp_path / "tuned"]
    build(runs, tmp_path / "one", train_accuracy=0.5, **FEW)
    build(runs[::-1], tmp_path / "two", train_accuracy=0.5, **FEW)

    def contents(folder):
        files = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    assert {"README.md", "leaderboard.json", f"figures/{TASK}_bars.svg"} <= one.keys()
    assert f"figures/{TASK}_reliability_zero-shot-classifier.png" in one


def test_hostile_names_stay_text_and_stay_inside_the_folder(tmp_path):
    docs = [{**doc, "question": "<b>x</b>"} for doc in questions()]
    write_run(
        tmp_path / "run",
        {"../../up": confidences(), "<img src=x>\n```$\\\\frac$": confidences(seed=3)},
        docs,
        task="../../escaped|task",
        model_args={
            "pretrained": "$\\bad$ a|b<script>\n# `x`",
            "note": "](javascript:1)",
        },
    )
    before = {path for path in tmp_path.rglob("*")}
    page = build([tmp_path / "run"], tmp_path / "out", **FEW).read_text(encoding="utf-8")
    made = {path for path in tmp_path.rglob("*")} - before
    assert all((tmp_path / "out") in (path, *path.parents) for path in made)
    literal = re.findall(r"^```text\n.*?^```$", page, flags=re.DOTALL | re.MULTILINE)
    assert len(literal) == 1 and len(re.findall("^```", page, flags=re.MULTILINE)) == 2
    page = page.replace(literal[0], "")
    assert set(re.findall(r"</?([a-zA-Z]+)", page)) <= {"a", "code", "details", "img", "summary"}
    assert "](javascript" not in page
    assert "a&#124;b&lt;script&gt; # &#96;x&#96;" in page
    tables = [block.splitlines() for block in page.split("\n\n") if block.startswith("| ")]
    assert [{line.count("|") for line in lines} for lines in tables] == [{8}, {10}]
    for link in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (tmp_path / "out" / link).resolve().is_file()


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


def test_provenance_holds_hashes_and_versions_but_no_folder_or_credential(tmp_path):
    arguments = {"pretrained": str(tmp_path / "model"), "dtype": "float32", "api_key": "sesame"}
    _, samples = write_run(tmp_path / "run", {"likelihood": confidences()}, model_args=arguments)
    page = build([tmp_path / "run"], tmp_path / "out", **FEW).read_text(encoding="utf-8")
    text = (tmp_path / "out" / "leaderboard.json").read_text(encoding="utf-8")
    (run,) = json.loads(text)["runs"]
    digest = hashlib.sha256(samples.read_bytes()).hexdigest()
    assert run["tasks"][TASK]["samples"]["sha256"] == digest
    assert run["versions"] == {"lm_eval": "0.4.13", "transformers": "5.23.0", "torch": "2.13.0+cpu"}
    assert run["model_args"] == {"pretrained": "model", "dtype": "float32"}
    assert "--model_args dtype=float32,pretrained=model " in run["command"]
    assert f"--tasks {TASK} " in run["command"]
    assert run["seeds"]["fewshot_seed"] == 1234 and run["wall_time_seconds"] == 61.2
    for secret in (str(tmp_path), "sesame"):
        assert secret not in text and secret not in page


def test_a_page_of_another_origin_is_not_overwritten(tmp_path):
    write_run(tmp_path / "run", {"likelihood": confidences()})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("# My project\n", encoding="utf-8")
    with pytest.raises(FileExistsError, match="README.md"):
        build([tmp_path / "run"], tmp_path / "out", **FEW)
    assert (tmp_path / "out" / "README.md").read_text(encoding="utf-8") == "# My project\n"


def test_a_second_build_drops_the_figures_of_the_first_and_nothing_else(tmp_path):
    write_run(tmp_path / "a", {"likelihood": confidences(), "sampling": confidences(seed=4)})
    write_run(tmp_path / "b", {"likelihood": confidences()})
    build([tmp_path / "a"], tmp_path / "out", **FEW)
    mine = tmp_path / "out" / "figures" / "mine.png"
    mine.write_bytes(b"x")
    build([tmp_path / "b"], tmp_path / "out", **FEW)
    names = {path.name for path in mine.parent.iterdir()}
    assert "mine.png" in names and f"{TASK}_reliability_likelihood.png" in names
    assert f"{TASK}_reliability_sampling.png" not in names
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_train_accuracy_comes_from_the_graded_data_set(tmp_path):
    (tmp_path / "grading.json").write_text('{"splits": {"train": {"n": 4, "accuracy": 0.75}}}')
    assert read_train_accuracy(tmp_path) == 0.75
    (tmp_path / "grading.json").write_text('{"splits": {}}')
    with pytest.raises(ValueError, match="train split"):
        read_train_accuracy(tmp_path)
    with pytest.raises(FileNotFoundError, match="calibench grade"):
        read_train_accuracy(tmp_path / "none")
