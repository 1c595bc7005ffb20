"""What `elicitation.py` compares: each form loads its model and returns what is to be timed.

Imports stand inside the functions: each form runs in a process of its own, lm-polygraph's with
another interpreter, and none pays for the packages of the others.
"""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

FORMS = ("ours", "stock", "floor", "polygraph")
TASK = "calib_worldfacts"
METHODS = ("likelihood", "zero_shot_classifier", "verbalized", "sampling")
MOST = 16  # tokens of a reply


def measure(form: str, given: Namespace) -> dict:
    """Load the model, run the form once; seconds, peak bytes and what it found."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    if form in ("ours", "stock"):
        run = evaluation(form, given, device)
    else:
        data = json.loads(Path(given.prompts).read_text(encoding="utf-8"))
        if form == "floor":
            from elicitation_floor import floor

            run = floor(data, given.model, given.dtype[0], device, given.k, given.rows)
        else:
            run = polygraph(data, given, device)
    started, worked = clock(device), time.process_time()
    found = run()
    return {
        "wall": clock(device) - started, "processor": time.process_time() - worked,
        "memory": peak_memory(device), "found": found,
    }  # fmt: skip


def clock(device: str) -> float:
    """Seconds of the wall, when the device's work is done."""
    if device != "cpu":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def peak_memory(device: str) -> int:
    """Bytes: the most that this process, or with a GPU its tensors, have taken."""
    import torch

    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    # Not getrusage: what it says includes the parent's peak.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def evaluation(form: str, given: Namespace, device: str) -> Callable[[], dict]:
    """A run of the task by lm-eval: with our back end, or the stock one."""
    import lm_eval.evaluator
    from lm_eval.models.huggingface import HFLM

    from calib_adapters.serving.model import CalibHFLM

    lm_eval.evaluator.add_env_info = lambda results: None  # asks pip for its packages
    adapter = {"confidence_adapter": given.adapter} if given.adapter else {}
    model = {"ours": CalibHFLM, "stock": HFLM}[form](
        given.model, device=device, dtype=given.dtype[0], batch_size=given.batch_size, **adapter
    )

    asking = in_model(model, device)

    def run() -> dict:
        started = clock(device)
        results = lm_eval.evaluator.simple_evaluate(
            model=model, tasks=[TASK], limit=given.questions, num_fewshot=given.shots,
            task_manager=task_manager(given.k, given.methods), log_samples=True,
        )  # fmt: skip
        scores = results["results"][TASK]
        eces = {name: scores[f"ece,{name}"] for name in given.methods}
        outside = 1 - sum(asking) / (clock(device) - started)
        return {"accuracy": scores[f"acc,{given.methods[0]}"], **eces, "outside_model": outside}

    return run


def in_model(model, device: str) -> list[float]:
    """The seconds of each call of the model, filled in as it is asked."""
    spent: list[float] = []

    def timed(ask: Callable) -> Callable:
        def call(*given, **options):
            started = clock(device)
            answers = ask(*given, **options)
            spent.append(clock(device) - started)
            return answers

        return call

    for name in ("generate_until", "loglikelihood"):
        setattr(model, name, timed(getattr(model, name)))
    return spent


def task_manager(k: int, methods: Sequence[str] = METHODS):
    """lm-eval's, with our tasks only: its own thousands take it seconds to list.

    Behind the questions of the test split come those of the others, 4,109 in all.
    """
    from datasets import concatenate_datasets
    from lm_eval.tasks import TaskManager

    import harness_tasks
    from harness_tasks import worldfacts

    def every_question(**options):
        splits = load(**options)
        others = [splits[name] for name in splits if name != "test"]
        return {**splits, "test": concatenate_datasets([splits["test"], *others])}

    load, worldfacts.load = worldfacts.load, every_question
    return TaskManager(
        include_path=str(Path(harness_tasks.__file__).parent), include_defaults=False,
        metadata={"methods": list(methods), "k": k},
    )  # fmt: skip


def prompts(questions: int, shots: int) -> dict:
    """The task's prompts and words, for those who do not run the task."""
    from lm_eval.tasks import get_task_dict

    from harness_tasks.elicitation.prompts import PERCENT_WORDINGS, WORDINGS

    task = get_task_dict([TASK], task_manager(2))[TASK]
    task.set_config("num_fewshot", shots)
    task.build_all_requests(limit=questions, rank=0, world_size=1)
    asked = [i.args[0] for i in task.instances if i.request_type == "generate_answer"]
    words, percent = WORDINGS["yes_no"], PERCENT_WORDINGS["likely"]
    return {
        "prompts": asked,
        "alone": [prompt.rsplit("\n\n", 1)[-1] for prompt in asked],
        "yes_no": f"{words.question}\nAnswer:",
        "replies": [f" {words.yes}", f" {words.no}"],
        "verbalized": f"{percent.question}\n{percent.cue}:",
    }


def polygraph(data: dict, given: Namespace, device: str) -> Callable[[], dict]:
    """lm-polygraph's estimators of the answer's likelihood, of P(True) and of K samples.

    It verbalizes only chats, and these prompts are none. What the estimators do not look at,
    attentions and the greedy answers' hidden states, it is told not to gather.
    """
    import torch
    from lm_polygraph.defaults.register_default_stat_calculators import (
        register_default_stat_calculators,
    )
    from lm_polygraph.estimators import LexicalSimilarity, Perplexity, PTrue
    from lm_polygraph.utils.dataset import Dataset
    from lm_polygraph.utils.generation_parameters import GenerationParameters
    from lm_polygraph.utils.manager import UEManager
    from lm_polygraph.utils.model import WhiteboxModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(given.model, padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    base = AutoModelForCausalLM.from_pretrained(given.model, dtype=getattr(torch, given.dtype[0]))
    model = WhiteboxModel(
        base.to(device).eval(), tokenizer, given.model,
        generation_parameters=GenerationParameters(stop_strings=["\n"]),
    )  # fmt: skip
    rows = Dataset(data["prompts"], [""] * len(data["prompts"]), int(given.batch_size))
    manager = UEManager(
        data=rows, model=model, estimators=[Perplexity(), PTrue(), LexicalSimilarity("rougeL")],
        builder_env_stat_calc=None,
        available_stat_calculators=register_default_stat_calculators(
            "Whitebox", output_attentions=False, output_hidden_states=False
        ),
        generation_metrics=[], ue_metrics=[], processors=[], ignore_exceptions=False,
        verbose=False, max_new_tokens=MOST,
    )  # fmt: skip
    (sampling,) = (c for c in manager.stat_calculators if hasattr(c, "samples_n"))
    sampling.samples_n = given.k

    def run() -> dict:
        manager()
        found = {name: values for (_, name), values in manager.estimations.items()}
        return {name: sum(values) / len(values) for name, values in found.items()}

    return run
