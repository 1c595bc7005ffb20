"""What a template is told, and what of it is refused before anything is written."""

import lm_eval
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st
from lm_eval.tasks import TaskManager
from lm_eval.utils import apply_template

from calibench.cli import cli
from harness_tasks.templates.fields import quoted
from harness_tasks.templates.prompts import renderer
from harness_tasks.templates.write import write_task
from helpers.template_rows import PAIRS, jsonl


def test_nothing_is_written_when_a_row_is_bad(tmp_path):
    file = jsonl(tmp_path / "my.jsonl", [*PAIRS, {"prompt": "x", "reference": ""}])
    with pytest.raises(ValueError, match="row 4"):
        write_task("general", file, tmp_path / "task")
    assert [path.name for path in tmp_path.iterdir()] == ["my.jsonl"]


def test_an_existing_folder_is_left_alone(tmp_path):
    file = jsonl(tmp_path / "my.jsonl", PAIRS)
    write_task("general", file, tmp_path / "task")
    with pytest.raises(ValueError, match="exists already"):
        write_task("general", file, tmp_path / "task")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": None}, "needs one"),
        ({"prompt": "{{prompt}} {{colour}}"}, "row 1: .* 'colour' is undefined"),
        ({"prompt": "{{prompt"}, "--prompt is not a valid template: unexpected end of template"),
        ({"prompt": " "}, "row 1: the prompt is empty"),
        ({"prompt": "{{1 / 0}}"}, "row 1: the prompt cannot be filled in: division by zero"),
        ({"prompt": "{{prompt + 1}}"}, "row 1: the prompt cannot be filled in: can only concat"),
        ({"prompt": "prompt"}, "same text for every row; use a column in it, such as {{prompt}}"),
        ({"prompt": "{{prompt}}", "metrics": ["meteor"]}, "'meteor' is not one of exact_match"),
        ({"prompt": "{{prompt}}", "columns": {"answer": "x"}}, "no role 'answer' .* reference"),
        ({"prompt": "{{prompt}}", "name": "my task"}, "'my task' cannot name a task"),
        ({"prompt": "{{prompt}}", "name": "2026-01-01"}, "'2026-01-01' .* YAML reads it as a"),
        ({"prompt": "{{prompt}}", "name": "true"}, "'true' cannot name a task"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, options, sentence):
    file = jsonl(tmp_path / "my.jsonl", PAIRS)
    with pytest.raises(ValueError, match=sentence):
        write_task("custom", file, tmp_path / "task", **options)


ESCAPE = "{{ cycler.__init__.__globals__.os.popen('touch ran').read() }}"
CLASSES = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
LOOP = "{% for i in range(100000) %}"
MANY = f"{LOOP}{LOOP}{{% set x = i %}}{{% endfor %}}{{% endfor %}}"


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        (ESCAPE, "access to attribute '__init__' of .* is unsafe"),
        (CLASSES, "access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ lipsum.__globals__ }}", "unsafe"),
        ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
        ("{{ prompt * 10**8 * 100 }}", "too much memory"),
        ("{{ prompt.ljust(10**11) }}", "too much memory"),
        ("{{ 'x' * 10**10 }}", "too much memory"),  # of constants alone
        ("{{ 'x'|center(10**10) }}", "too much memory"),
        ("{% set x = 'x' * 10**10 %}{{ prompt }}", "too much memory"),
        ("{{ 10**(10**10) }}", "too much memory|longer than 1 second"),
        ("{% for i in range(9999) %}{{ 'x' * 9999 }}{% endfor %}", "longer than 10,000,000"),
        (MANY, "longer than 1 second"),
    ],
)
def test_a_prompt_can_neither_run_programs_nor_take_all_time_or_memory(
    tmp_path, monkeypatch, prompt, reason
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness_tasks.templates.prompts.SECONDS", 1)
    with pytest.raises(ValueError, match=f"row 1: the prompt cannot be filled in: .*({reason})"):
        write_task("custom", jsonl(tmp_path / "my.jsonl", PAIRS), tmp_path / "task", prompt=prompt)
    assert not (tmp_path / "ran").exists() and not (tmp_path / "task").exists()


@pytest.mark.parametrize(
    "prompt",
    [
        "{{prompt|upper}}\n",
        "{% if prompt %}Q: {{prompt}}{% endif %}",
        "{{prompt|regex_replace('a', 'b')}}",
        "{{prompt}} {{ 3 * 'x' ~ 1.5 }}{{ none }}{{ [1, 'a']|join(', ') }}",
    ],
)
def test_other_prompts_are_rendered_as_lm_eval_renders_them(prompt):
    assert renderer(prompt)(PAIRS[0]) == apply_template(prompt, PAIRS[0])


def test_a_prompt_that_is_nested_too_deeply_is_no_template(tmp_path):
    file = jsonl(tmp_path / "my.jsonl", PAIRS)
    with pytest.raises(ValueError, match="--prompt is not a valid template: it is nested too"):
        write_task("custom", file, tmp_path / "task", prompt=f"{{{{ {'(' * 9000}prompt")


def test_a_column_of_mixed_types_is_refused_where_it_is_kept(tmp_path):
    rows = [{"a": 1, "reference": "x"}, {"a": None, "reference": "y"}, {"a": "3", "reference": "z"}]
    file = jsonl(tmp_path / "my.jsonl", rows)
    with pytest.raises(ValueError, match="row 3, column 'a': '3' does not fit the rows"):
        write_task("custom", file, tmp_path / "task", prompt="{{a}}?")


def test_labels_that_are_texts_or_all_the_same_are_refused(tmp_path):
    many = [{"text": str(n), "label": f"label {n}"} for n in range(101)]
    with pytest.raises(ValueError, match="101 different labels"):
        write_task("classification", jsonl(tmp_path / "a.jsonl", many), tmp_path / "task")
    same = [{"text": str(n), "label": "yes"} for n in range(3)]
    with pytest.raises(ValueError, match="all labels are 'yes'"):
        write_task("classification", jsonl(tmp_path / "b.jsonl", same), tmp_path / "task")


@pytest.mark.parametrize("values", [([1], ["x"]), (1, 10**30), ({"b": 1}, {"b": "x"})])
def test_values_that_cannot_stand_in_one_column_are_refused(tmp_path, values):
    rows = [{"a": value, "reference": str(n)} for n, value in enumerate(values)]
    with pytest.raises(ValueError, match="row 2, column 'a': .* does not fit the rows before"):
        write_task("custom", jsonl(tmp_path / "my.jsonl", rows), tmp_path / "task", prompt="{{a}}")


def test_an_answer_both_correct_and_incorrect_is_refused(tmp_path):
    row = {"question": "?", "correct_answers": ["a", "b"], "incorrect_answers": ["c", "b"]}
    with pytest.raises(ValueError, match="row 1: 'b' is among the correct and among the incorrect"):
        write_task("truthfulqa", jsonl(tmp_path / "my.jsonl", [row]), tmp_path / "task")


def test_one_role_cannot_be_given_two_columns(tmp_path):
    file = jsonl(tmp_path / "my.jsonl", PAIRS)
    arguments = ["template", "general", "--data", str(file), "-o", str(tmp_path / "task")]
    arguments += ["--column", "prompt=prompt", "--column", "prompt=reference"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code
    assert "a role has two columns" in str(done.exception)


@given(st.text())
@example("\x7f\x85\u2028\u2029\ufeff\uffff")
@example('key: "{{a}}" # 🌍 مرحبا\n- !function os.system\t@task@')
def test_any_text_is_read_from_the_task_file_as_it_was_given(text):
    assert yaml.safe_load(f"doc_to_text: {quoted(text)}\nnext: 1") == {
        "doc_to_text": text,
        "next": 1,
    }


def test_labels_and_prompts_that_look_like_yaml_or_jinja_stay_text(tmp_path):
    labels = ["{{x}}", "{% raw %}", "no", "a: b # c", 'ن\u2028🌍\x85"', "{# note #}"]
    rows = [{"text": f"text {label}", "label": label} for label in labels]
    write_task("classification", jsonl(tmp_path / "a.jsonl", rows), tmp_path / "labels")
    prompt = "say: \"{{a}}\" {{ '{{' }} # no comment @task@\u2028\x7f"
    rows = [{"a": "{{b}}", "reference": "x"}, {"a": "{% if %}", "reference": "y"}]
    write_task("custom", jsonl(tmp_path / "b.jsonl", rows), tmp_path / "mine", prompt=prompt)
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    samples = lm_eval.simple_evaluate(
        model="dummy", tasks=["labels", "mine"], task_manager=manager, bootstrap_iters=0
    )["samples"]
    asked = [argument[1].strip() for argument in samples["labels"][0]["arguments"]]
    assert asked == sorted(labels)
    for label in labels:
        assert label in samples["labels"][0]["arguments"][0][0].split("fits:")[1]
    assert [sample["arguments"][0][0] for sample in samples["mine"]] == [
        'say: "{{b}}" {{ # no comment @task@\u2028\x7f',
        'say: "{% if %}" {{ # no comment @task@\u2028\x7f',
    ]
