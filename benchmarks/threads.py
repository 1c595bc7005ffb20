"""What do two cores buy: one process of two threads, or two processes of one thread each?

    python benchmarks/threads.py                both works, free and with a busy neighbour
    python benchmarks/threads.py --repeats 1

The works are batches of a model of SmolLM2-135M's shape in float32, with random weights:

ask     16 queries of 28 tokens are read, as the zero-shot classifier reads them
tune    8 such rows forwards, and backwards through the upper half of the layers, as
        calibration_tuning_quick trains

The forms share the same batches: one process of one thread; one of two; the same with threads that
sleep while they wait (OMP_WAIT_POLICY=PASSIVE) instead of spinning; two processes of one thread,
half the batches each. The neighbour is another process that multiplies matrices, one thread on each
of the two cores, at the same priority. Loading is not in the seconds; the repeats of all forms
alternate, and the median counts. Processor seconds are of all threads and processes of a form.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict

BATCHES = {"ask": 8, "tune": 8}
FORMS = {  # processes, threads of each, further environment
    "1 process, 1 thread": (1, 1, {}),
    "1 process, 2 threads": (1, 2, {}),
    "1 process, 2 threads, passive": (1, 2, {"OMP_WAIT_POLICY": "PASSIVE"}),
    "2 processes, 1 thread each": (2, 1, {}),
}
NEIGHBOUR = """\
import torch
torch.set_num_threads(1)
one = torch.randn(512, 512)
print("ready", flush=True)
while True:
    one @ one
"""


def work(name: str, batches: int) -> None:
    """Say when the model is there, wait for a word, run the batches, print processor seconds."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    model = LlamaModel(
        LlamaConfig(
            vocab_size=1000, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
            num_attention_heads=9, num_key_value_heads=3, attn_implementation="eager",
        )
    ).requires_grad_(False)  # fmt: skip
    upper = model.layers[15:]
    model.layers = model.layers if name == "ask" else upper
    model.config.num_hidden_layers = len(model.layers)
    rows = {"ask": 16, "tune": 8}[name]
    ids = torch.randint(1000, (rows, 28))

    def batch() -> None:
        if name == "ask":
            with torch.no_grad():
                model(input_ids=ids, use_cache=False)
            return
        states = model.embed_tokens(ids).requires_grad_()
        model(inputs_embeds=states, use_cache=False).last_hidden_state.sum().backward()

    batch()
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.process_time()
    for _ in range(batches):
        batch()
    print(time.process_time() - start, flush=True)


def started(command: list[str], environment: dict[str, str]) -> subprocess.Popen:
    """A process that has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environment}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    if process.stdout.readline().strip() != "ready":
        raise SystemExit(f"{' '.join(command[:4])} did not start; run it by hand to see why.")
    return process


def measure(name: str, form: str) -> tuple[float, float]:
    """Seconds of the wall and of the processor for all batches."""
    processes, threads, further = FORMS[form]
    environment = {"OMP_NUM_THREADS": str(threads), **further}
    share = str(BATCHES[name] // processes)
    running = [
        started([__file__, "--work", name, "--batches", share], environment)
        for _ in range(processes)
    ]
    start = time.perf_counter()
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    spent = [float(process.stdout.readline()) for process in running]
    wall = time.perf_counter() - start
    for process in running:
        process.wait()
    return wall, sum(spent)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", choices=BATCHES, help=argparse.SUPPRESS)
    parser.add_argument("--batches", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.batches)
        return
    found = defaultdict(list)
    for busy in (False, True):
        neighbours = [started(["-c", NEIGHBOUR], {}) for _ in range(2 if busy else 0)]
        try:
            for _ in range(arguments.repeats):
                for name in BATCHES:
                    for form in FORMS:
                        found[busy, name, form].append(measure(name, form))
        finally:
            for neighbour in neighbours:
                neighbour.kill()
    print("| work | form | free: wall | processor | busy neighbour: wall | processor |")
    print("|---|---|--:|--:|--:|--:|")
    for name in BATCHES:
        base = None
        for form in FORMS:
            cells = [
                statistics.median(values)
                for busy in (False, True)
                for values in zip(*found[busy, name, form], strict=True)
            ]
            base = base or cells
            ratios = [f"{cell / base[i % 2]:.2f}" for i, cell in enumerate(cells)]
            print(f"| {name} | {form} | {' | '.join(ratios)} |")
        print(f"<!-- {name}: {base[0]:.2f} s of the wall, {base[1]:.2f} s of the processor = 1 -->")


if __name__ == "__main__":
    main()
