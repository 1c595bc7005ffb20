"""Training in a process of its own, for what kills a process or limits it.

Such processes are forked from one that has imported torch and our code already: a start from
nothing takes five seconds, most of them for the imports.
"""

import gc
import multiprocessing
import os
import resource
import signal
import sys

import calibench.cli
from calib_adapters.training.checkpoints import Checkpoints
from calib_adapters.tune import tune

_SERVER = multiprocessing.get_context("forkserver")
_PRELOADED = ["calib_adapters.tune", "calibench.cli"]
_SERVER.set_forkserver_preload(_PRELOADED)


def preload(*names):
    """Have these modules imported too before processes are forked, if none has been yet."""
    _PRELOADED.extend(names)
    _SERVER.set_forkserver_preload(_PRELOADED)


def start(function, *arguments):
    """Call `function`, which has to stand at the top of a module here, in a new process."""
    process = _SERVER.Process(target=_silent, args=(function, arguments))
    process.start()
    return process


def pipe():
    """What receives from a process, and what to give it to send with."""
    return _SERVER.Pipe(duplex=False)


def calibench_command(arguments):
    """The command `calibench`."""
    sys.argv = ["calibench", *arguments]
    calibench.cli.main()


def calibench_on_a_full_disk(arguments, largest, sender):
    """The same where a file may have `largest` bytes at most; sends what it ends with."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    try:
        calibench_command(arguments)
    except SystemExit as ended:
        sender.send(ended.code)
        raise


def tune_and_be_killed(recipe, model, data, output, overrides) -> None:
    """Training that is killed when its first checkpoint is whole."""
    process = start(_tune_and_die, recipe, model, data, output, overrides)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not output.exists()


def _tune_and_die(recipe, model, data, output, overrides):
    mark = Checkpoints.on_save

    def mark_and_die(*arguments, **options):
        mark(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints.on_save = mark_and_die
    tune(recipe, model, data, output, overrides)


def _silent(function, arguments):
    gc.freeze()  # what was imported before is no garbage, and looking through it copies its memory
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    function(*arguments)
