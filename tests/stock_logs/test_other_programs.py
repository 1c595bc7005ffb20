"""Logs of Inspect and HELM: read where they hold a probability, else one sentence that says so."""

import json
import re
import zipfile

import pytest
from click.testing import CliRunner

import calibench.cli

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as parquet  # noqa: E402

# Hand-worked: gaps .1, .4, .3 and .8 in bins of their own; of four pairs three in order.
ROWS = [(0.9, 1), (0.6, 1), (0.3, 0), (0.8, 0)]
EXPECTED = {"acc": "0.5000", "ece": "0.4000", "auroc": "0.7500", "brier": "0.2250"}


def run(*arguments):
    command = ["score", *map(str, arguments), "--resamples", "20"]
    found = CliRunner().invoke(calibench.cli.cli, command, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def values(output):
    return dict(re.findall(r"^  (\w+) [↑↓] +(\S+)", output, re.MULTILINE))


# ----------------------------------------------------------------------------------------- Inspect


def samples_of(score):
    """Samples as in Inspect's EvalSample; `score` gives one from (confidence, correct)."""
    return [
        {
            "id": place,
            "epoch": 1,
            "input": "Q",
            "target": "A",
            "metadata": {"topic": "xy"[place % 2]},
            "scores": {"match": score(*row)},
        }
        for place, row in enumerate(ROWS)
    ]


def write_eval(path, samples):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for sample in samples:
            name = f"samples/{sample['id']}_epoch_{sample['epoch']}.json"
            archive.writestr(name, json.dumps(sample))
        archive.writestr("header.json", json.dumps(header()))
    return path


def write_zstd(path, samples):
    """As Inspect 0.3.285 packs: method 93, which zipfile cannot write before Python 3.14."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (
            *((f"samples/{sample['id']}_epoch_1.json", sample) for sample in samples),
            ("header.json", header()),
        ):
            archive.writestr(name, pa.compress(json.dumps(content).encode(), "zstd", asbytes=True))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            content[info.header_offset + 8] = 93
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 10] = 93
        place = content.find(b"PK\x01\x02", place + 1)
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {93}
    return path


def write_json(path, samples):
    path.write_text(json.dumps({**header(), "samples": samples}, indent=2))
    return path


def header():
    return {"version": 2, "status": "success", "eval": {"task": "quiz", "task_id": "abc"}}


WRITE = [(write_eval, "log.eval"), (write_zstd, "log.eval"), (write_json, "log.json")]
SCORES = [
    lambda c, y: {"value": "CI"[1 - y], "metadata": {"confidence": c}},
    lambda c, y: {"value": y, "answer": "A", "metadata": {"confidence": c}},
    lambda c, y: {"value": {"confidence": c, "correct": bool(y)}},
]


@pytest.mark.parametrize("write, name", WRITE)
@pytest.mark.parametrize("score", SCORES)
def test_a_confidence_that_an_inspect_scorer_noted_is_read(tmp_path, write, name, score):
    output = run(write(tmp_path / name, samples_of(score)))
    assert output.startswith(f"{name}, match\n") and "Logged by Inspect" in output
    assert values(output).items() >= EXPECTED.items()


def test_an_inspect_log_has_fields_names_and_missing_confidences(tmp_path):
    samples = samples_of(lambda c, y: {"value": "CI"[1 - y], "metadata": {"sure": c * 100}})
    file = write_eval(tmp_path / "log.eval", samples)
    output = run(file, "--confidence", "sure", "--scale", "percent", "--by", "topic")
    assert values(output).items() >= EXPECTED.items() and "|scale:percent" in output
    assert re.search(r"^  x +2 ", output, re.MULTILINE)
    with pytest.raises(ValueError, match="runs from 30 to 90, outside the range"):
        run(file, "--confidence", "sure")
    again = [*samples, {**samples[0], "epoch": 2}]
    assert "--group id keeps together" in run(
        write_json(tmp_path / "log.json", again), "--confidence", "sure", "--scale", "percent"
    )
    samples[0]["scores"]["match"]["metadata"]["sure"] = None
    output = run(write_eval(file, samples), "--confidence", "sure", "--scale", "percent")
    assert values(output)["answered"] == "0.7500"
    del samples[0]["scores"]["match"]["metadata"]
    with pytest.raises(ValueError, match="4 samples, but a confidence in 3 by match.*write null"):
        run(write_eval(file, samples), "--confidence", "sure")


@pytest.mark.parametrize("write, name", WRITE)
def test_an_inspect_log_without_confidences_is_one_sentence(tmp_path, write, name):
    file = write(tmp_path / name, samples_of(lambda c, y: {"value": "CI"[1 - y]}))
    said = "log of Inspect with 4 samples, scored by match, and no score holds a field 'confidence'"
    with pytest.raises(ValueError, match=said) as found:
        run(file)
    assert len(str(found.value).splitlines()) == 1 and "PK" not in str(found.value)
    assert "The fields are topic" in str(found.value)


def test_an_inspect_verdict_that_is_partly_right_is_refused(tmp_path):
    samples = samples_of(lambda c, y: {"value": "P", "metadata": {"confidence": c}})
    with pytest.raises(ValueError, match="sample 0: the verdict is 'P', neither right"):
        run(write_eval(tmp_path / "log.eval", samples))
    samples = samples_of(lambda c, y: {"value": "C", "metadata": {"confidence": "very"}})
    with pytest.raises(
        ValueError, match="sample 0: the confidence is 'very', which is not a number"
    ):
        run(write_eval(tmp_path / "log.eval", samples))


# -------------------------------------------------------------------------------------------- HELM


def stat(name, value):
    """As HELM's Stat is written: sums, and means."""
    return {"name": {"name": name, "split": "test"}, "count": 1, "sum": value, "mean": value}


def write_helm(folder, names=("max_prob", "exact_match"), extra=()):
    rows = [
        {
            "instance_id": f"id{place}",
            "train_trial_index": 0,
            "stats": [stat(name, value) for name, value in zip(names, row, strict=True)],
        }
        for place, row in enumerate(ROWS)
    ]
    path = folder / "per_instance_stats.json"
    path.write_text(json.dumps([*rows, *extra], indent=2))
    return path


def test_helms_probability_and_verdict_are_read(tmp_path):
    file = write_helm(tmp_path)
    for given in (file, tmp_path):
        output = run(given)
        assert output.startswith("per_instance_stats.json, max_prob\n")
        assert values(output).items() >= EXPECTED.items()
        assert "max_prob is the confidence, exact_match the verdict" in output
    with pytest.raises(ValueError, match="holds probabilities: leave out --scale percent"):
        run(file, "--scale", "percent")


def test_helms_perturbed_instances_are_left_out_and_counted(tmp_path):
    typo = {"instance_id": "id0", "perturbation": {"name": "typos"}, "train_trial_index": 0}
    typo["stats"] = [stat("max_prob", 0.1), stat("exact_match", 1)]
    again = {"instance_id": "id0", "train_trial_index": 1}
    again["stats"] = [stat("max_prob", 0.9), stat("exact_match", 1)]
    output = run(write_helm(tmp_path, extra=[typo, again]))
    assert "1 perturbed instances are left out." in output and "--group id" in output
    assert values(output)["acc"] == "0.6000"
    assert "clusters:4" in run(tmp_path / "per_instance_stats.json", "--group", "id")


def test_helms_statistics_without_a_probability_are_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="4 instances, without max_prob: only exact_match, f1"):
        run(write_helm(tmp_path, names=("f1", "exact_match")))
    with pytest.raises(ValueError, match="without exact_match or quasi_exact_match"):
        run(write_helm(tmp_path, names=("max_prob", "f1")))
    tied = {"instance_id": "t", "stats": [stat("max_prob", 0.5), stat("exact_match", 0.5)]}
    with pytest.raises(ValueError, match="exact_match of instance 't' is 0.5, neither 0 nor 1"):
        run(write_helm(tmp_path, extra=[tied]))


# ------------------------------------------------------------------------------------------ others


def test_an_archive_that_is_no_log_is_called_an_archive(tmp_path):
    path = tmp_path / "answers.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answers.csv", "confidence,correct\n0.9,1\n")
    with pytest.raises(ValueError, match=r"a workbook or an archive \(ZIP\)"):
        run(path)


@pytest.mark.parametrize(
    "columns", [("full_prompt", "choices", "gold_index"), ("doc", "model_response", "metric")]
)
def test_details_of_lighteval_are_recognised(tmp_path, columns):
    path = tmp_path / "details.parquet"
    parquet.write_table(pa.table({name: ["x"] for name in columns}), path)
    with pytest.raises(ValueError, match="details of lighteval.*which are not read"):
        run(path)
    columns = {name: ["x", "y"] for name in columns}
    table = pa.table({**columns, "confidence": [0.9, 0.4], "correct": [1, 0]})
    parquet.write_table(table, path)
    assert values(run(path))["ece"] == "0.2500"
