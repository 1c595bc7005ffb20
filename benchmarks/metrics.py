"""How fast are the metrics, beside the libraries that people use for them?

    python benchmarks/metrics.py                 every task and library that is installed
    python benchmarks/metrics.py --task auroc    only this; repeatable

Every measurement runs in a process of its own, on one thread, on the same rows (seed 0).
Seconds are processor time, which other programs do not disturb much, and the least of the runs that
fit into one second; the first, which warms up, counts only if it alone takes longer.
Memory is the peak of the whole process, imports and rows included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np

SMALL, LARGE, RESAMPLES = 10_000, 1_000_000, 1000
ROOT = Path(__file__).resolve().parent.parent
_BUDGET = 1.0
_LIMIT = 300


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n confidences and outcomes of a somewhat overconfident model."""
    rng = np.random.default_rng(0)
    confidence = np.round(rng.beta(3, 1.5, n), 6)
    return confidence, (rng.random(n) < confidence**1.3).astype(np.int64)


# Each function below returns what is timed: a call without arguments. What a user would do once,
# such as making tensors, stands outside of it. Libraries are imported inside: one can be absent.


def ours(metric: str, n: int) -> Callable:
    """The function of that name: calib_metrics.ece(confidence, correct)."""
    import calib_metrics

    function = getattr(calib_metrics, metric)
    data = rows(n)
    return lambda: function(*data)


def ours_score(metrics: tuple[str, ...] | None, n: int) -> Callable:
    """calib_metrics.score(..., resamples=1000): the value, its interval and its standard error."""
    import calib_metrics
    from calib_metrics.registry import NAMES

    names = metrics or NAMES
    data = rows(n)
    return lambda: calib_metrics.score(*data, names, resamples=RESAMPLES)


def torchmetrics_function(name: str, n: int, **options: object) -> Callable:
    """The functional form, on tensors made beforehand."""
    import torch
    from torchmetrics.functional import classification

    function = getattr(classification, name)
    confidence, correct = (torch.tensor(column) for column in rows(n))
    return lambda: function(confidence, correct, **options)


def torchmetrics_bootstrap(name: str, n: int, **options: object) -> Callable:
    """torchmetrics.wrappers.BootStrapper(metric, num_bootstraps=1000, quantile=...)."""
    import torch
    from torchmetrics import classification
    from torchmetrics.wrappers import BootStrapper

    confidence, correct = (torch.tensor(column) for column in rows(n))
    confidence = confidence.float()  # some metrics answer in 32 bits, and quantile must match

    def run() -> object:
        wrapped = BootStrapper(
            getattr(classification, name)(**options),
            num_bootstraps=RESAMPLES,
            quantile=torch.tensor([0.025, 0.975]),
            sampling_strategy="multinomial",
        )
        wrapped.update(confidence, correct)
        return wrapped.compute()

    return run


def netcal_ece(n: int) -> Callable:
    """netcal.metrics.ECE(10).measure(X, y)."""
    from netcal.metrics import ECE

    data, metric = rows(n), ECE(10)
    return lambda: metric.measure(*data)


def calibration_ece(n: int) -> Callable:
    """calibration.get_ece(probs, labels, num_bins=10)."""
    import calibration

    data = rows(n)
    return lambda: calibration.get_ece(*data, num_bins=10)


def calibration_interval(n: int) -> Callable:
    """calibration.get_calibration_error_uncertainties(probs, labels, p=1): 100 resamples, fixed."""
    import calibration

    data = rows(n)
    return lambda: calibration.get_calibration_error_uncertainties(*data, p=1)


def relplot_ece(n: int) -> Callable:
    """relplot.metrics.binnedECE(f, y, nbins=10)."""
    from relplot.metrics import binnedECE

    data = rows(n)
    return lambda: binnedECE(*data, nbins=10)


def relplot_smooth(n: int) -> Callable:
    """relplot.smECE(f, y)."""
    import relplot

    data = rows(n)
    return lambda: relplot.smECE(*data)


def sklearn_auroc(n: int) -> Callable:
    """sklearn.metrics.roc_auc_score(y_true, y_score)."""
    from sklearn.metrics import roc_auc_score

    confidence, correct = rows(n)
    return lambda: roc_auc_score(correct, confidence)


def scipy_bootstrap(metric: str, n: int) -> Callable:
    """scipy.stats.bootstrap, paired, percentile, 1000 resamples, of a plain metric function."""
    from scipy.stats import bootstrap
    from sklearn.metrics import roc_auc_score

    def plain_ece(confidence: np.ndarray, correct: np.ndarray) -> float:
        index = np.minimum((confidence * 10).astype(int), 9)
        return np.abs(np.bincount(index, correct - confidence, 10)).sum() / confidence.size

    statistic = plain_ece if metric == "ece" else lambda c, y: roc_auc_score(y, c)
    data = rows(n)
    return lambda: bootstrap(
        data,
        statistic,
        n_resamples=RESAMPLES,
        paired=True,
        vectorized=False,
        method="percentile",
        rng=0,
    )


TASKS = {
    "ece": "ECE, n = 10,000",
    "ece_large": "ECE, n = 1,000,000",
    "smooth_ece": "smooth ECE, n = 10,000",
    "auroc": "AUROC, n = 10,000",
    "auroc_large": "AUROC, n = 1,000,000",
    "ece_interval": "ECE with interval, n = 10,000, 1,000 resamples",
    "auroc_interval": "AUROC with interval, n = 10,000, 1,000 resamples",
    "all": "all metrics with intervals, n = 10,000, 1,000 resamples",
}
# What calib_metrics is held to: seconds, and megabytes in every task.
TARGETS = {"ece_large": 0.015, "ece_interval": 0.05, "auroc_interval": 0.4, "all": 1.0}
MEMORY_TARGET = 200

_ECE = "binary_calibration_error"
RUNS = {
    ("ece", "calib_metrics"): partial(ours, "ece", SMALL),
    ("ece", "torchmetrics"): partial(torchmetrics_function, _ECE, SMALL, n_bins=10),
    ("ece", "netcal"): partial(netcal_ece, SMALL),
    ("ece", "uncertainty-calibration"): partial(calibration_ece, SMALL),
    ("ece", "relplot"): partial(relplot_ece, SMALL),
    ("ece_large", "calib_metrics"): partial(ours, "ece", LARGE),
    ("ece_large", "torchmetrics"): partial(torchmetrics_function, _ECE, LARGE, n_bins=10),
    ("ece_large", "netcal"): partial(netcal_ece, LARGE),
    ("ece_large", "uncertainty-calibration"): partial(calibration_ece, LARGE),
    ("ece_large", "relplot"): partial(relplot_ece, LARGE),
    ("smooth_ece", "calib_metrics"): partial(ours, "smooth_ece", SMALL),
    ("smooth_ece", "relplot"): partial(relplot_smooth, SMALL),
    ("auroc", "calib_metrics"): partial(ours, "auroc", SMALL),
    ("auroc", "scikit-learn"): partial(sklearn_auroc, SMALL),
    ("auroc", "torchmetrics"): partial(torchmetrics_function, "binary_auroc", SMALL),
    ("auroc_large", "calib_metrics"): partial(ours, "auroc", LARGE),
    ("auroc_large", "scikit-learn"): partial(sklearn_auroc, LARGE),
    ("auroc_large", "torchmetrics"): partial(torchmetrics_function, "binary_auroc", LARGE),
    ("ece_interval", "calib_metrics"): partial(ours_score, ("ece",), SMALL),
    ("ece_interval", "scipy.stats.bootstrap"): partial(scipy_bootstrap, "ece", SMALL),
    ("ece_interval", "torchmetrics"): partial(
        torchmetrics_bootstrap, "BinaryCalibrationError", SMALL, n_bins=10
    ),
    ("ece_interval", "uncertainty-calibration, 100 resamples"): partial(
        calibration_interval, SMALL
    ),
    ("auroc_interval", "calib_metrics"): partial(ours_score, ("auroc",), SMALL),
    ("auroc_interval", "scipy.stats.bootstrap of scikit-learn"): partial(
        scipy_bootstrap, "auroc", SMALL
    ),
    ("auroc_interval", "torchmetrics"): partial(torchmetrics_bootstrap, "BinaryAUROC", SMALL),
    ("all", "calib_metrics"): partial(ours_score, None, SMALL),
}
DISTRIBUTIONS = (
    *("numpy", "scipy", "torch", "torchmetrics", "netcal", "uncertainty-calibration"),
    *("relplot", "scikit-learn"),
)


def measure(task: str, library: str) -> dict:
    """Time one run in this process. Returns {"seconds", "megabytes"} or {"missing": why}."""
    try:
        call = RUNS[task, library]()
    except (ImportError, AttributeError) as error:
        return {"missing": str(error)}
    times = [_seconds(call)]
    while sum(times) < _BUDGET:
        times.append(_seconds(call))
    # The first run also pays for caches and lazy imports: it counts only when it is the only one.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    return {"seconds": min(times[1:] or times), "megabytes": peak}


def _seconds(call: Callable) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def in_a_process(task: str, library: str) -> dict:
    """Return `measure`, from a new process with one thread."""
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        done = subprocess.run(
            [sys.executable, __file__, "--one", task, library],
            env={**os.environ, **single, "PYTHONPATH": path, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            timeout=_LIMIT,
        )
    except subprocess.TimeoutExpired:
        return {"missing": f"not finished after {_LIMIT} s"}
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["it crashed"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


HEADER = (
    "| task | library | seconds | times calib_metrics | peak MB | target |\n"
    "|---|---|--:|--:|--:|---|"
)


def line(task: str, library: str, found: dict, base: float | None) -> str:
    """Return a measurement as a row of the table; base: the seconds of calib_metrics."""
    if "missing" in found:
        return f"| {TASKS[task]} | {library} | – | – | – | {found['missing']} |"
    ratio = f"{found['seconds'] / base:.1f}" if base else "–"
    target = _target(task, found) if library == "calib_metrics" else ""
    return (
        f"| {TASKS[task]} | {library} | {found['seconds']:.5f} | {ratio} "
        f"| {found['megabytes']:.0f} | {target} |"
    )


def _target(task: str, found: dict) -> str:
    checks = [("MB", found["megabytes"], MEMORY_TARGET)]
    if task in TARGETS:
        checks.insert(0, ("s", found["seconds"], TARGETS[task]))
    return ", ".join(
        f"{'met' if value < bound else 'MISSED'}: < {bound:g} {unit}"
        for unit, value, bound in checks
    )


def versions() -> str:
    """Return the machine and the versions in a line."""
    known = []
    for name in DISTRIBUTIONS:
        try:
            known.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            known.append(f"{name} absent")
    today = time.strftime("%Y-%m-%d")
    return f"{today}, Python {platform.python_version()}, one thread, {', '.join(known)}."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time calib_metrics beside other libraries.")
    parser.add_argument("--task", action="append", choices=TASKS, help="only this; repeatable")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(*given.one)))
        return
    print(HEADER)
    base: dict[str, float | None] = {}
    for task, library in RUNS:
        if task in (given.task or TASKS):
            found = in_a_process(task, library)
            if library == "calib_metrics":  # the first of each task
                base[task] = found.get("seconds")
            print(line(task, library, found, base.get(task)), flush=True)
    print(f"\n{versions()}")


if __name__ == "__main__":
    main()
