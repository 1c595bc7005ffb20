"""Mistakes in the arguments of `calibench eval`: one sentence, before the model loads."""

import errno
import logging
import os
import pickle
import re
import shutil
import tempfile

import pytest
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from calib_adapters.serving import early
from calib_adapters.serving.evaluate import OURS, _quiet_git, _saved, evaluate

TASK = ("--tasks", "calib_worldfacts", "--limit", "2")


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    """Loading one is a mistake of its own here."""

    def load(*_, **__):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(HFLM, "_create_model", load)


def said(tiny, *arguments, model="calib-hf", model_args=None):
    given = ["--model", model, "--model_args", model_args or f"pretrained={tiny}"]
    with pytest.raises((ValueError, OSError)) as error:
        evaluate([*given, *map(str, arguments)])
    (line,) = str(error.value).splitlines()
    return line


def test_without_arguments_it_says_what_it_needs():
    with pytest.raises(ValueError, match="needs --model, --model_args and --tasks"):
        evaluate([])


@pytest.mark.parametrize("content", ["a file", "[1]", "nothing: 1"])
def test_a_configuration_that_is_none(tmp_path, content):
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(ValueError, match="--config: .*c.yaml is no YAML file of options"):
        evaluate(["--config", str(tmp_path / "c.yaml")])


def test_without_a_task(tiny):
    assert said(tiny).startswith("--tasks is missing")


@pytest.mark.parametrize(("name", "near"), [
    ("calib_worldfact", "did you mean calib_worldfacts"),
    ("calib_triviaqa", "did you mean calib_trivia_qa"),
    ("hellaswg", "did you mean hellaswag"),
    ("calib_worldfacts,calib_piqaa", "no task 'calib_piqaa'; did you mean calib_piqa"),
    ("qqqqqqqqqqqqqqqq", "`lm_eval ls tasks` lists them"),
])  # fmt: skip
def test_a_misspelt_task_is_named_with_what_is_like_it(tiny, name, near, monkeypatch):
    def manager(**options):  # lm-eval's whole list takes it half a minute
        assert options["include_defaults"] is False
        return TaskManager(**options)

    monkeypatch.setattr(early, "TaskManager", manager)
    assert near in said(tiny, "--tasks", name)


def test_the_quick_list_of_names_is_lm_evals_own_for_our_tasks():
    own = TaskManager(include_path=OURS, include_defaults=False)
    assert set(early._names_in(early.Path(OURS))) == set(own.all_tasks)


@pytest.mark.nightly
def test_no_name_that_lm_eval_knows_is_missing_in_the_quick_list():
    assert early.known_names() >= set(TaskManager().all_tasks)


@pytest.mark.parametrize(("tasks", "metadata", "sentence"), [
    ("calib_worldfacts", '{"k": 0}', "calib_worldfacts: metadata key 'k' has the value 0"),
    ("calib_worldfacts", '{"methods": 5}', "metadata key 'methods' has the value 5"),
    ("calib_worldfacts", '{"temperature": Infinity}', "metadata key 'temperature' .* inf"),
    ("calib_worldfacts_*", '{"wording": "maybe"}', "'maybe' is not one of"),
    ("calibration", '{"method": "sampling"}', "did you mean 'methods'"),  # a group
    ("calib_worldfacts", '{"answers": "nowhere"}', "'answers' names nowhere; it is not there"),
    ("calib_worldfacts", '{"answers": ""}', "metadata key 'answers' has the value ''"),
    ("calib_worldfacts", '{"split": ""}', "metadata key 'split' has the value ''"),
    ("calib_worldfacts", '{"grading": "judge:nowhere"}', "names nowhere; it is not there"),
])  # fmt: skip
def test_metadata_is_read_before_the_model(tiny, tasks, metadata, sentence):
    line = said(tiny, "--tasks", tasks, "--metadata", metadata)
    assert re.search(sentence, line), line


@pytest.mark.parametrize("option", ["--metadata", "--model_args", "--gen_kwargs"])
@pytest.mark.parametrize("given", ["3", "[]", '"text"', "true", "a=1,b", "=1"])
def test_an_option_that_is_a_mapping_and_nothing_else(tiny, capsys, option, given):
    arguments = ["--model", "calib-hf", "--model_args", f"pretrained={tiny}", *TASK, option, given]
    with pytest.raises((ValueError, SystemExit)) as ended:
        evaluate(arguments)
    line = f"{ended.value} {capsys.readouterr().err}"
    assert option in line and given.rpartition(",")[2] in line


@pytest.mark.parametrize(("model_args", "sentence"), [
    ("dtype=float32", "calib-hf needs 'pretrained'"),
    ("pretrained={},fast=maybe", "fast is 'maybe'; give True or False"),
    ("pretrained={},dtype=nope", "dtype is 'nope'; give float32"),
    ("pretrained={},dtype=int8", "dtype is 'int8'; give float32"),
    ("pretrained={},softmax_dtype=nope", "softmax_dtype is 'nope'"),
    ("pretrained={},max_length=short", "max_length is 'short'; give a number of tokens"),
    ("pretrained={},max_length=0", "max_length is 0"),
    ("pretrained={},peft=", "peft has no value; leave it out"),  # of a shell's empty variable
    ("pretrained={},confidence_adapter=", "confidence_adapter has no value"),
    ("pretrained={},batch_size=4", "batch_size is an option of its own: --batch_size"),
    ("pretrained={},temperature=nan", "temperature is nan, not a finite number"),
])  # fmt: skip
def test_a_model_argument_that_cannot_be_used(tiny, model_args, sentence):
    assert sentence in said(tiny, *TASK, model_args=model_args.format(tiny))


@pytest.mark.parametrize(("options", "sentence"), [
    (("--num_fewshot", "-1"), "--num_fewshot is -1; give 0 or more examples"),
    (("--gen_kwargs", "temperature=inf"), "--gen_kwargs: temperature is inf, not a finite number"),
    (("--gen_kwargs", '{"temperature": NaN}'), "--gen_kwargs: temperature is nan"),
    (("--model", ""), "--model is empty"),
])  # fmt: skip
def test_a_number_that_no_run_could_use_is_not_taken(tiny, options, sentence):
    assert sentence in said(tiny, *TASK, *options)


@pytest.mark.parametrize(
    ("model", "file", "content"),
    [
        ("calib-hf", "config.json", b"null"), ("calib-hf", "config.json", b"[1, 2]"),
        ("calib-hf", "tokenizer.json", b"{}"), ("hf", "tokenizer.json", b"1"),
        ("calib-hf", "model.safetensors", b""), ("hf", "model.safetensors", b"no tensors at all"),
    ],
)  # fmt: skip
def test_a_damaged_file_of_the_model_is_a_sentence(
    tiny, tmp_path, monkeypatch, model, file, content
):
    monkeypatch.undo()  # the model is to be loaded
    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / file).write_bytes(content)
    line = said(folder, *TASK, "--device", "cpu", model=model)
    assert str(folder) in line and "Traceback" not in line


def test_arguments_of_other_back_ends_are_sentences_too(tiny):
    assert said(tiny, *TASK, model="hf", model_args="dtype=float32") == (
        "--model_args: hf needs 'pretrained', the model's name on the Hub or its folder; "
        "`calibench model` prints that of a small one."
    )
    assert "dtype is 'nope'" in said(
        tiny, *TASK, model="hf", model_args=f"pretrained={tiny},dtype=nope"
    )


@pytest.mark.parametrize(("file", "sentence"), [
    ("adapter_model.bin", "has no adapter_model.safetensors. Pickled weights"),
    ("adapter_model.safetensors", "adapter_model.safetensors is damaged or cut off"),
])  # fmt: skip
def test_an_adapter_of_stock_hf_is_read_from_safetensors_alone(tiny, tmp_path, file, sentence):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / file).write_bytes(pickle.dumps({}))
    arguments = f"pretrained={tiny},peft={tmp_path}"
    assert sentence in said(tiny, *TASK, model="hf", model_args=arguments)


@pytest.mark.parametrize(("name", "said_of_it"), [
    ("qwerty", "does not know 'qwerty'."), ("fsat", "does not know 'fsat'; did you mean 'fast'?"),
    ("softmax_dtyp", "does not know 'softmax_dtyp'; did you mean 'softmax_dtype'?"),
])  # fmt: skip
def test_what_transformers_does_not_know_is_a_sentence(tiny, monkeypatch, name, said_of_it):
    def create(*_, **given):  # the words of Python 3.10 and later
        assert name in given
        raise TypeError(f"LlamaForCausalLM.__init__() got an unexpected keyword argument {name!r}")

    monkeypatch.setattr(HFLM, "_create_model", create)
    line = said(tiny, *TASK, model_args=f"pretrained={tiny},{name}=1")
    assert line == f"--model_args: calib-hf {said_of_it}"


def test_other_faults_keep_their_traceback(tiny):
    with pytest.raises(AssertionError, match="the model was loaded"):
        evaluate(["--model", "calib-hf", "--model_args", f"pretrained={tiny}", *TASK])


@pytest.mark.parametrize(("device", "sentence"), [
    ("nope", "which torch does not know"), ("cuda:77", "torch sees"), ("mps", "torch sees 0"),
])  # fmt: skip
def test_a_device_that_is_not_here_is_not_replaced_in_silence(tiny, device, sentence, monkeypatch):
    monkeypatch.setattr("torch.mps.is_available", lambda: False, raising=False)
    assert sentence in said(tiny, *TASK, "--device", device)


# --------------------------------------------------------------------------------- output path


def test_an_output_path_that_is_a_file_or_below_one(tiny, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for path in (file, file / "below" / "it"):
        assert said(tiny, *TASK, "--output_path", path).startswith(
            f"--output_path: {file} is not a folder"
        )
    assert file.read_text() == "mine"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_output_path_that_cannot_be_written(tiny, tmp_path, monkeypatch, code):
    def refuse(**_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    line = said(tiny, *TASK, "--output_path", tmp_path / "new" / "folder")
    assert line.startswith(f"--output_path: nothing can be written to {tmp_path} (")
    assert os.strerror(code) in line


def test_looking_leaves_no_trace(tmp_path):
    early.check_output(tmp_path / "new" / "folder")
    early.check_output(tmp_path / "new.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
def test_results_that_lm_eval_could_not_save_are_an_error(level):
    logger = logging.getLogger("lm_eval.loggers.evaluation_tracker")
    above = logging.getLogger("lm_eval")
    before = above.level
    above.setLevel(level)
    config = type("Config", (), {"output_path": "results"})
    try:
        with pytest.raises(OSError, match="not saved to results.*No space left"), _saved(config):
            logger.info("Saving results aggregated")
            logger.warning("Could not save results aggregated")
            logger.info(repr(OSError(errno.ENOSPC, "No space left on device")))
        with _saved(config):
            logger.info("Saving results aggregated")
    finally:
        above.setLevel(before)


def test_git_is_asked_only_where_there_is_a_repository(tmp_path, monkeypatch, capfd):
    import lm_eval.evaluator

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with _quiet_git():
        assert lm_eval.evaluator.get_git_commit_hash() is None
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(lm_eval.evaluator, "get_git_commit_hash", lambda: "abc123")
    os.system("git init --quiet .")
    with _quiet_git():
        assert lm_eval.evaluator.get_git_commit_hash() == "abc123"
