"""Exports of a store, read by those who define the formats where they are installed."""

import json
import re

import pytest
import yaml
from huggingface_hub import ModelCard

from calib_leaderboards.export import export
from calib_leaderboards.export_eee import eee_record
from helpers.board_entries import make_entry, make_samples, put

SCORES = {
    "likelihood": {
        "acc": (0.45, 0.4, 0.5),
        "ece": (0.1, 0.05, 0.2),
        "auroc": (0.8, 0.7, 0.9),
        "brier": (None, None, None),
    },
}


@pytest.fixture
def store(tmp_path):
    samples = make_samples(["likelihood"], 30, 0)
    put(tmp_path / "store", make_entry(model="org/a", methods=SCORES, samples=samples))
    put(tmp_path / "store", make_entry(model="org/a", adapter="tuned", methods=SCORES))
    return tmp_path / "store"


def test_eee_files_lie_where_the_schema_says_and_state_each_score(store, tmp_path):
    files = export(store, "eee", tmp_path / "out")
    assert len(files) == 2
    uuid4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    for file in files:
        place = file.relative_to(tmp_path / "out").as_posix()
        assert re.fullmatch(rf"data/calibench/org/a/{uuid4}\.json", place)
        record = json.loads(file.read_text(encoding="utf-8"))
        # What the schema requires (eval.schema.json, version 0.3.0).
        assert record.keys() >= {
            "schema_version",
            "evaluation_id",
            "retrieved_timestamp",
            "source_metadata",
            "model_info",
            "eval_library",
            "evaluation_results",
        }
        assert record["schema_version"] == "0.3.0"
        assert record["model_info"].keys() >= {"name", "id", "additional_details"}
        assert {"deployment_type", "model_availability"} <= set(
            record["model_info"]["additional_details"]
        )
        results = {r["metric_config"]["metric_kind"]: r for r in record["evaluation_results"]}
        assert set(results) == {"acc", "ece", "auroc"}  # brier is undefined
        ece = results["ece"]
        assert ece["score_details"]["score"] == 0.1 and ece["metric_config"]["lower_is_better"]
        assert ece["score_details"]["uncertainty"]["confidence_interval"] == {
            "lower": 0.05,
            "upper": 0.2,
            "confidence_level": 0.95,
            "method": "bootstrap",
        }
        assert not results["auroc"]["metric_config"]["lower_is_better"]
        for part in (record["model_info"], record["eval_library"], ece["source_data"]):
            assert all(isinstance(v, str) for v in part["additional_details"].values())


def test_eee_records_name_the_adapter_and_the_command():
    record = eee_record(make_entry(model="org/a", adapter="tuned", methods=SCORES)[0])
    assert record["model_info"]["id"] == "org/a"
    assert record["model_info"]["additional_details"]["adapter_name"] == "tuned"
    arguments = record["evaluation_results"][0]["generation_config"]["generation_args"]
    assert arguments["execution_command"].startswith("lm_eval run")


def test_the_yaml_of_a_model_is_read_back_from_a_card_by_huggingface_hub(store, tmp_path):
    files = export(store, "model-index", tmp_path / "out")
    assert [file.relative_to(tmp_path / "out").as_posix() for file in files] == [
        "org__a/main.yaml",
        "org__a/tuned.yaml",
    ]
    card = ModelCard(f"---\n{files[1].read_text(encoding='utf-8')}---\n# Card\n")
    assert card.data.model_name == "tuned" and card.data.base_model == "org/a"
    found = {result.metric_type: result for result in card.data.eval_results}
    assert set(found) == {"acc", "ece", "auroc"}
    assert found["ece"].metric_value == 0.1 and found["ece"].metric_name == "ECE (Likelihood)"
    assert found["ece"].dataset_config == "3-shot"


def test_the_dataset_folder_loads_with_datasets(store, tmp_path, monkeypatch):
    import datasets

    export(store, "dataset", tmp_path / "out")
    header = (tmp_path / "out/README.md").read_text(encoding="utf-8").split("---\n")[1]
    assert [part["config_name"] for part in yaml.safe_load(header)["configs"]] == [
        "scores",
        "samples",
    ]

    def load(name):
        return datasets.load_dataset(
            str(tmp_path / "out"), name, split="train", cache_dir=str(tmp_path / "cache")
        )

    scores = load("scores").to_list()
    assert {(row["adapter"], row["metric"], row["value"]) for row in scores} >= {
        (None, "ece", 0.1),
        ("tuned", "auroc", 0.8),
        ("tuned", "brier", None),
    }
    expected = make_samples(["likelihood"], 30, 0)
    samples = load("samples")
    assert samples["confidence"] == expected.confidence["likelihood"].tolist()
    assert samples["correct"] == expected.correct.tolist()
    assert samples["id"][0] == "q0000"


def test_an_unknown_format_and_an_empty_store_are_named(store, tmp_path):
    with pytest.raises(
        ValueError, match="'xml' is not an export format.*eee, model-index, dataset"
    ):
        export(store, "xml", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="has no entries"):
        export(tmp_path / "empty", "eee", tmp_path / "out")
