"""A context window that is shorter than what has to stand in it."""

import pytest

from calib_adapters.serving.evaluate import evaluate


@pytest.mark.parametrize(("task", "reason"), [
    ("calib_worldfacts", "max tokens to generate"), ("calib_worldfacts_cloze", "An option alone"),
])  # fmt: skip
def test_a_window_too_short_for_replies_or_options_is_a_sentence(
    tiny, monkeypatch, tmp_path, task, reason
):
    monkeypatch.setenv("CALIBENCH_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match=f"max_length is too small. .*{reason}"):
        evaluate([
            "--model", "calib-hf", "--model_args", f"pretrained={tiny},dtype=float32,max_length=1",
            "--tasks", task, "--device", "cpu", "--limit", "8",
            "--metadata", '{"methods": ["likelihood"]}',
        ])  # fmt: skip
