"""Self-instruct: a teacher model writes tasks and answers from seeds (Wang et al. 2023).

Like Alpaca's form of it: one answer per task, and classification tasks are treated as any other.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
from tqdm import tqdm

from calib_adapters.data.prepare.division import divide
from calib_adapters.data.prepare.records import SHARES, instruction_content
from calib_adapters.data.prepare.row import Row, to_dataset
from calib_adapters.data.training_data import PREPARED, fingerprint, save_data
from calib_adapters.self_instruct.filters import Limits
from calib_adapters.self_instruct.prompts import Example
from calib_adapters.self_instruct.rounds import LOG, Rounds, check_seeds
from calib_adapters.self_instruct.teacher import Sampling, load_teacher
from harness_tasks.rows import load_rows

TASK = "self_instruct"
PATIENCE = 10  # rounds without a new row after which the run ends
_TEXT, _TEXTS = datasets.Value("string"), datasets.List(datasets.Value("string"))
PROVENANCE = {
    "provenance": {
        "teacher": _TEXT,
        "seeds": datasets.List(datasets.Value("int64")),
        "task_examples": _TEXTS,
        "task_prompt": _TEXT,
        "answer_examples": _TEXTS,
        "answer_prompt": _TEXT,
    }
}


@dataclass(frozen=True)
class Plan:
    """Settings of a teacher's run; with the seeds they determine the result.

    Attributes:
        rows: how many tasks with answers are wanted.
        model, model_args: the back end of lm-eval and its arguments.
        chat: show prompts as a user's turn in the back end's chat template.
        sampling: how the teacher writes.
        limits: what is kept.
        prompts: per round.
        seed: of the examples in the prompts, of the teacher, and of the division.
    """

    rows: int
    model: str
    model_args: str
    chat: bool = False
    sampling: Sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=400)
    limits: Limits = Limits()
    prompts: int = 8
    seed: int = 0


def self_instruct(
    source: str, out: Path, plan: Plan, batch_size: int | str = 1, device: str | None = None
) -> tuple[datasets.DatasetDict, dict[str, Any]]:
    """Let a teacher write tasks and answers, and make a prepared data set of those that are kept.

    An interrupted run leaves its rounds in a hidden folder beside `out`; the same call goes on
    after the last one that was finished.

    Args:
        source: file or data set on the Hub with tasks by people: the columns ``instruction``,
            ``output`` (or ``response``), perhaps ``input`` (or ``context``) and ``id``.
        out: folder for the data set; ``rounds.jsonl`` in it has what was not kept, and why.
        plan: the settings.
        batch_size: for the back end.
        device: for the back end.

    Returns:
        The data set, and what ``prepared.json`` says of it. It has the column ``provenance``. There
        are fewer rows than asked for if ten rounds in a row added none; the log then says so.

    Raises:
        FileNotFoundError, ValueError: unusable seeds, no such back end, no row at all, or an `out`
            that exists.
    """
    if out.exists():
        raise ValueError(f"{out} exists already; delete it or choose another folder.")
    if plan.rows < 1 or plan.prompts < 1:
        raise ValueError("ask for at least one row, and one prompt per round.")
    seeds = read_seeds(source)
    check_seeds(seeds, source)
    identity = _identity(plan, seeds)
    work = out.parent / f".{out.name}.{identity[:12]}"
    work.mkdir(parents=True, exist_ok=True)
    rounds = Rounds(seeds, plan.limits, plan.seed, work / LOG)
    _run(rounds, plan, batch_size, device)
    rows = rounds.rows[: plan.rows]
    if not rows:
        worst = ", ".join(f"{why} ({n})" for why, n in rounds.rejected.most_common(3))
        raise ValueError(
            f"{plan.model} wrote no task that could be kept in {rounds.number} rounds: {worst}. "
            f"Its replies are in {work / LOG}; try a larger teacher, or --chat for one that was "
            "trained on conversations."
        )
    if len(rows) < plan.rows:
        logging.getLogger(__name__).warning(
            "only %d of %d rows: the last %d rounds added none.", len(rows), plan.rows, PATIENCE
        )
    data = _prepared(rows, plan)
    described = {
        "sources": [
            {
                "name": TASK,
                "kind": "self_instruct",
                "seeds": {"source": source, "n": len(seeds), "sha256": _hash(seeds)},
                "teacher": _teacher_name(plan),
                "model": plan.model,
                "chat": plan.chat,
                "sampling": plan.sampling._asdict(),
                "limits": plan.limits.model_dump(),
                "wanted": plan.rows,
                "rounds": rounds.number,
                "prompts_per_round": plan.prompts,
                "splits": {"rows": {"roles": list(SHARES), "divided": True}},
                "shares": dict(SHARES),
                "left_out": dict(rounds.rejected),
            }
        ],
        "splits": {
            role: {"n": len(split), "by_task": {TASK: len(split)}} for role, split in data.items()
        },
        "seed": plan.seed,
        "fingerprint": fingerprint(data),
        "versions": {
            name: version(name)
            for name in ("calibench", "datasets", "lm_eval", "rouge_score", "transformers")
        },
    }
    # Copy the log too: only it has what was not kept.
    save_data(data, {PREPARED: described, LOG: work / LOG}, out)
    shutil.rmtree(work)
    return data, described


def read_seeds(source: str) -> list[Example]:
    """The tasks that people wrote, from a file or a data set on the Hub.

    Raises:
        FileNotFoundError, ValueError: no such file, or a row without a task or an answer.
    """
    seeds = []
    for number, row in enumerate(load_rows(source), start=1):
        texts = {
            "instruction": row.get("instruction"),
            "output": row.get("output", row.get("response")),
        }
        for name, text in texts.items():
            if not isinstance(text, str) or not text.strip():
                raise ValueError(
                    f"{source}, row {number}: there is no text in the column {name!r}; every seed "
                    f"needs an instruction and an output."
                )
        given = row.get("input", row.get("context")) or ""
        seeds.append(Example(str(row.get("id") or number), input=given, **texts))
    return seeds


def _run(rounds: Rounds, plan: Plan, batch_size: int | str, device: str | None) -> None:
    """Run rounds until there are enough rows, or no new ones."""
    if len(rounds.rows) >= plan.rows:
        return
    args = plan.model, plan.model_args, plan.sampling
    teacher = load_teacher(*args, batch_size=batch_size, device=device, chat=plan.chat)
    idle = 0
    with tqdm(total=plan.rows, initial=len(rounds.rows), desc="Rows", unit="row") as shown:
        while len(rounds.rows) < plan.rows and idle < PATIENCE:
            new = rounds.run(teacher, plan.prompts)
            idle = 0 if new else idle + 1
            shown.update(new)
            shown.set_postfix(rounds=rounds.number, not_kept=rounds.rejected.total())


def _prepared(rows: list[dict[str, Any]], plan: Plan) -> datasets.DatasetDict:
    teacher = _teacher_name(plan)
    kept = []
    for place, row in enumerate(rows):
        provenance = {name: row[name] for name in PROVENANCE["provenance"] if name != "teacher"}
        extra = {"provenance": {"teacher": teacher, **provenance}}
        kept.append(Row(row["id"], place=place, extra=extra, **instruction_content(row)))
    divided = divide(kept, list(SHARES), SHARES, plan.seed)
    return to_dataset({role: {TASK: part} for role, part in divided.items()}, PROVENANCE)


def _teacher_name(plan: Plan) -> str:
    """The model's name without the folders of this machine."""
    pairs = dict(pair.partition("=")[::2] for pair in plan.model_args.split(","))
    name = pairs.get("pretrained") or pairs.get("model") or ""
    return Path(name).name or plan.model


def _identity(plan: Plan, seeds: list[Example]) -> str:
    parts = [plan.model, plan.model_args, plan.chat, plan.sampling, plan.limits.model_dump()]
    parts += [plan.prompts, plan.seed, _hash(seeds)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _hash(seeds: list[Example]) -> str:
    texts = [[seed.id, seed.instruction, seed.input, seed.output] for seed in seeds]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()
