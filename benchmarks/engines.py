"""How fast are `calib-hf`, `hf`, vLLM and lm-polygraph, side by side, as a user runs them?

    python benchmarks/engines.py --vllm_python .venv-engines/bin/python \
        --polygraph_python lmp/bin/python --log engines.jsonl

WorldFacts questions, the four default methods, K samples. Each measurement is the whole command
``calibench eval --model ENGINE``, with all the processes that it starts. lm-polygraph runs as in
`elicitation.py`, without verbalized confidences. There are two sizes: what the larger one takes
beyond the smaller one is the time of that many questions, and the rest of the smaller one is the
start.

The last column is the share of the machine: the operations of the least work for these requests
(`least_work.py`), per second, over those of a large matrix product in the same dtype.

Memory is the most that the processes held together, each page counted once (Linux), looked at
twice a second. With other programs on the machine, use ``--threads 1 --clock processor``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from elicitation import command_of, prompts_file
from elicitation_forms import METHODS, TASK
from least_work import least_operations, peak
from measurements import Measurements, circumstances

ENGINES = ("calib-hf", "hf", "vllm", "polygraph")
MODELS = ("SmolLM2-135M-Instruct", "gemma-3-270m")
SIZED = ("hf", "polygraph")
SETTINGS = ("engine", "model", "dtype", "batch_size", "questions", "k", "shots", "threads",
            "vllm_args")  # fmt: skip
INTERVAL = 0.5  # seconds
GIB = "1"  # that vLLM takes on CPUs for keys and values


def measure(options: dict) -> dict:
    """One engine on so many questions: seconds, processor seconds, bytes, operations."""
    # Left alone, vLLM keeps to the first of two cores.
    bound = {"VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    environment = {"VLLM_CPU_KVCACHE_SPACE": GIB, **bound, **os.environ}
    environment["OMP_NUM_THREADS"] = str(options["threads"])
    if options["engine"] == "polygraph":
        given = {**options, "form": "polygraph", "methods": METHODS, "adapter": None, "rows": 256}
        with prompts_file(given) as prompts:
            return watched(command_of(given, prompts), environment)
    with tempfile.TemporaryDirectory() as folder:
        found = watched(evaluation(options, folder), environment)
        (samples,) = Path(folder).rglob("samples_*.jsonl")
        if options["engine"] == "calib-hf":
            found["operations"] = least_operations(samples, options["model"])
    return found


def evaluation(options: dict, folder: str) -> list[str]:
    """The command of an evaluation."""
    python = options["vllm_python"] if options["engine"] == "vllm" else sys.executable
    model_args = f"pretrained={options['model']},dtype={options['dtype']}"
    if options["engine"] == "vllm":
        model_args += f",max_model_len=1024{options['vllm_args'] and ','}{options['vllm_args']}"
    return [
        python, "-m", "calibench", "eval", "--model", options["engine"], "--model_args", model_args,
        "--tasks", TASK, "--limit", str(options["questions"]), "--device", "cpu",
        "--num_fewshot", str(options["shots"]), "--batch_size", str(options["batch_size"]),
        "--metadata", json.dumps({"methods": METHODS, "k": options["k"]}),
        "--output_path", folder, "--log_samples",
    ]  # fmt: skip


def watched(command: list[str], environment: dict[str, str]) -> dict:
    """Run a command: seconds of the wall and the processor, peak bytes, of its tree of processes.

    Raises:
        SystemExit: the command failed; with the end of what it printed.
    """
    before, started = _of_children(), time.perf_counter()
    worked: dict[tuple[int, float], float] = {}
    most = 0
    with tempfile.TemporaryFile() as printed:
        process = psutil.Popen(command, env=environment, stdout=printed, stderr=subprocess.STDOUT)
        while True:
            with suppress(psutil.TimeoutExpired):
                code = process.wait(INTERVAL)
                break
            held = 0
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.Error):
                    times, memory = each.cpu_times(), each.memory_full_info()
                    worked[each.pid, each.create_time()] = times.user + times.system
                    held += getattr(memory, "pss", memory.rss)
            most = max(most, held)
        wall = time.perf_counter() - started
        if code:
            printed.seek(0)
            raise SystemExit(f"{' '.join(command)}: {printed.read()[-2000:].decode()}")
    # Those of a child that was not waited for are in what was seen of it only.
    processor = max(_of_children() - before, sum(worked.values()))
    return {"wall": wall, "processor": processor, "memory": most}


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(given: argparse.Namespace) -> None:
    """All engines side by side: prints the table."""
    made = Measurements(given, SETTINGS, measure)
    sizes = (given.fewer or max(2, given.questions // 5), given.questions)
    beyond = sizes[1] - sizes[0]
    head = ("model | dtype | engine | batch | seconds | processor | ms per question | "
            "times calib-hf | start | peak MB | of the machine")  # fmt: skip
    print(f"| {head} |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    tops = []
    for model in given.models:
        for dtype in given.dtype:
            top = peak(dtype, given.threads, given.clock)
            runs: dict[str, list[list[dict]]] = {engine: [] for engine in given.only}
            for _ in range(given.repeats):
                for engine, found in runs.items():
                    size = given.batch_size if engine in SIZED else "auto"
                    found.append([
                        made.get(engine=engine, model=path_of(model), dtype=dtype,
                                 batch_size=size, questions=number,
                                 vllm_args=given.vllm_args if engine == "vllm" else "")
                        for number in sizes
                    ])  # fmt: skip
            reference = None
            for engine, found in runs.items():
                each, start = {}, {}
                for clock in ("wall", "processor"):
                    pairs = [[one[clock] for one in pair] for pair in found]
                    each[clock] = statistics.median((b - a) / beyond for a, b in pairs)
                    start[clock] = statistics.median(a for a, _ in pairs) - each[clock] * sizes[0]
                memory = statistics.median(pair[1]["memory"] for pair in found)
                cost, share = each[given.clock], ""
                if engine == "calib-hf":
                    reference = cost
                    less, more = (one["operations"] for one in found[0])
                    share = f"{(more - less) / beyond / cost / top:.0%}"
                print("| " + " | ".join((
                    model, dtype, engine,
                    str(given.batch_size) if engine in SIZED else "auto",
                    f"{each['wall'] * given.questions:.1f}",
                    f"{each['processor'] * given.questions:.1f}", f"{1000 * cost:.0f}",
                    f"{cost / reference:.2f}" if reference else "",
                    f"{start[given.clock]:.1f}", f"{memory / 1e6:.0f}", share,
                )) + " |")  # fmt: skip
            tops.append(f"{model}, {dtype}: a large product runs at {top / 1e9:.0f} GFLOP/s.")
    print("", *tops, "", sep="\n")
    print(circumstances(given, f"{sizes[1]} questions less {sizes[0]}"))


def path_of(model: str) -> str:
    """Folder of a model of `calibench model`, or `model` itself, a folder or a name of the Hub."""
    from harness_tasks.embedded_models import MODELS as OURS
    from harness_tasks.embedded_models import ensure_model

    return str(ensure_model(model)) if model in OURS else model


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = found.add_argument
    add("--models", nargs="+", default=list(MODELS), help="names of `calibench model`, or folders")
    add("--questions", type=int, default=200)
    add("--fewer", type=int, help="of the smaller size (default: a fifth)")
    add("--k", type=int, default=10, help="samples per question (default: 10)")
    add("--shots", type=int, default=3)
    add("--dtype", nargs="+", help="default: those that this machine computes in")
    add("--only", choices=ENGINES, nargs="+", help="engines to measure")
    add("--repeats", type=int, default=3)
    add("--threads", type=int, default=os.cpu_count())
    add("--clock", choices=("wall", "processor"), default="wall", help="whose seconds count")
    add("--batch_size", type=int, default=32, help="of hf and lm-polygraph")
    add("--vllm_python", help="interpreter that has vLLM (`make engines`)")
    add("--vllm_args", default="", help="further --model_args of vLLM, such as enforce_eager=True")
    add("--polygraph_python", help="interpreter that has lm-polygraph")
    add("--log", type=Path, help="file of measurements, read first and added to")
    return found


def main() -> None:
    """Measure and print."""
    import torch

    from calib_adapters.training.precision import native_dtype

    given = parser().parse_args()
    if given.dtype is None:
        native = str(native_dtype(torch.device("cpu"))).removeprefix("torch.")
        given.dtype = list(dict.fromkeys(["float32", native]))
    pythons = {"vllm": given.vllm_python, "polygraph": given.polygraph_python}
    if given.only is None:
        given.only = [engine for engine in ENGINES if pythons.get(engine, sys.executable)]
    for engine in given.only:
        if engine in pythons and not pythons[engine]:
            raise SystemExit(f"{engine}: give --{engine}_python, an interpreter that has it.")
    given.only.sort(key=ENGINES.index)
    compare(given)


if __name__ == "__main__":
    main()
