"""Rendering a user's prompt: in Jinja's sandbox, within limits of time and memory.

A prompt may come from anywhere. Rendered as lm-eval renders it, it could run programs, loop without
end or fill the memory. The result is lm-eval's for every prompt that the sandbox allows.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 5
MEGABYTES = 512
LONGEST = 10_000_000  # characters


def renderer(prompt: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function that fills in `prompt` from a row, as `lm_eval.utils.apply_template` does.

    The function raises `jinja2.TemplateError` for what the sandbox refuses (attributes that lead
    out of the template, loops over more than 100,000 numbers), `TimeoutError` after `SECONDS`, and
    `MemoryError` beyond `MEGABYTES` or `LONGEST`.

    Raises:
        jinja2.TemplateSyntaxError: the prompt is not a template.
    """
    from lm_eval.utils import regex_replace

    sandbox = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        # Jinja would compute constants, such as 'a' * 10**10, while it compiles: without limits.
        optimized=False,
        finalize=_as_it_is,
    )
    sandbox.filters["regex_replace"] = regex_replace
    template = sandbox.from_string(prompt)

    def render(row: Mapping[str, Any]) -> str:
        parts, length = [], 0
        with bounded(SECONDS, MEGABYTES):
            for part in template.generate(**row):
                parts.append(part)
                length += len(part)
                if length > LONGEST:
                    raise MemoryError(f"it is longer than {LONGEST:,} characters")
        return "".join(parts)

    return render


@pass_context
def _as_it_is(context: Context, value: Any) -> Any:
    """Return `value`; what needs the context is left to rendering, and its argument too."""
    return value


@contextmanager
def bounded(seconds: float, megabytes: int) -> Iterator[None]:
    """Stop the Python code inside after `seconds`, or beyond `megabytes` more of memory.

    Where the system has no such limits (Windows, threads other than the main one) there are none.

    Raises:
        TimeoutError, MemoryError: a limit was reached.
    """
    with ExitStack() as stack:
        if hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
            stack.enter_context(_time_limit(seconds))
        stack.enter_context(_memory_limit(megabytes << 20))
        yield


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"it takes longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _memory_limit(size: int) -> Iterator[None]:
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [taken + size, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
