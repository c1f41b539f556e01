"""Start lmms-eval in a separate process, and judge its files, because its exit status is 0 after most failures."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from benchc_metrics.runs import Run, read_run
from benchc_metrics.runs.layouts import RESULTS_SUFFIX
from benchc_tasks.datasets import SOURCE_VARIABLE

__all__ = ["Launch", "Outcome", "outcome_of", "results_in", "start"]

KEPT_LINES = 200
SECONDS_TO_END = 5.0
"""Seconds that a stopped evaluation may take to end; its answers are already stored."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_FAILED = re.compile(r"Error during evaluation: (?P<reason>.*?)\.? Please set `--verbosity=DEBUG`")
_ERROR = re.compile(r"ERROR|Error\b")


@dataclass(frozen=True)
class Launch:
    """One evaluation by lmms-eval.

    Attributes
    ----------
    output : str
        The folder for results, lmms-eval's `--output_path`.
    model, model_args, tasks : str
        As lmms-eval's options of these names.
    dataset : str or None
        The value of BENCHC_DATASET; None does not change the environment.
    limit : int or None
        Evaluate the first samples only.
    cache : str or None
        The folder for answers, lmms-eval's `--use_cache`.
    options : sequence of str
        Further words of lmms-eval's command line.
    """

    output: str
    model: str = "benchc"
    model_args: str = ""
    tasks: str = "benchc"
    dataset: str | None = None
    limit: int | None = None
    cache: str | None = None
    options: Sequence[str] = field(default=())

    def words(self) -> list[str]:
        """Return the command, without the program that runs Python."""
        command = ["-m", "lmms_eval", "--model", self.model]
        if self.model_args:
            command += ["--model_args", self.model_args]
        command += ["--tasks", self.tasks, "--output_path", self.output, "--log_samples"]
        if self.cache:
            command += ["--use_cache", self.cache]
        if self.limit is not None:
            command += ["--limit", str(self.limit)]
        return [*command, *self.options]

    def line(self) -> str:
        """Return the command as a line for a shell."""
        named = f"{SOURCE_VARIABLE}={shlex.quote(self.dataset)} " if self.dataset else ""
        return f"{named}{shlex.join(['python', *self.words()])}"

    def environment(self) -> dict[str, str]:
        """Return the variables of its process."""
        named = {SOURCE_VARIABLE: self.dataset} if self.dataset else {}
        return {**os.environ, "PYTHONUNBUFFERED": "1", **named}


@dataclass(frozen=True)
class Outcome:
    """Results folder and exit status of an evaluation.

    Attributes
    ----------
    folder : Path or None
        The folder with the results; None if there are none.
    run : Run or None
        The run; None if there are no readable results.
    faults : tuple of str
        The reasons why the run is not complete, one sentence each; empty for a complete run.
    cautions : tuple of str
        Other things that a reader must know.
    """

    folder: Path | None
    run: Run | None
    faults: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


def start(launch: Launch) -> str:
    """Run lmms-eval to its end, and show its output as it arrives.

    Its standard error is the terminal itself, so that it draws progress bars. It is not in the terminal's process
    group. So Ctrl-C reaches only this process, which then ends lmms-eval.

    Returns
    -------
    str
        Its last error; empty if it named none.

    Raises
    ------
    KeyboardInterrupt
        If the user stopped it, or this process was asked to end.
    """
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    with (
        _stopped_like_an_interrupt(),
        subprocess.Popen(
            [sys.executable, *launch.words()],
            env=launch.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as running,
    ):
        try:
            for line in running.stdout or ():
                lines.append(_COLOURS.sub("", line).rstrip())
                sys.stdout.write(line)
                sys.stdout.flush()
            running.wait()
        # However this process ends, the evaluation must not continue alone.
        except BaseException:
            _end(running)
            raise
    return last_error(lines)


def last_error(lines: Sequence[str]) -> str:
    """Return lmms-eval's last reason for a failure, or the last line with an error, or an empty text."""
    for line in reversed(lines):
        if failed := _FAILED.search(line):
            return failed["reason"]
    return next((line for line in reversed(lines) if _ERROR.search(line)), "")


def results_in(folder: str | Path) -> frozenset[Path]:
    """Return the results files in a folder."""
    return frozenset(Path(folder).rglob(f"*{RESULTS_SUFFIX}"))


def outcome_of(output: str | Path, before: frozenset[Path], error: str = "") -> Outcome:
    """Judge an evaluation by the files that it left.

    Parameters
    ----------
    output : str or Path
        Its folder.
    before : frozenset of Path
        The results files that existed before.
    error : str
        The last error that lmms-eval named.

    Returns
    -------
    Outcome
    """
    made = sorted(results_in(output) - before)
    if not made:
        return Outcome(None, None, (f"the run left no results in {output}: {error or 'lmms-eval named no error'}",))
    folder = made[-1].parent
    try:
        run = read_run(folder)
    except (ValueError, OSError) as fault:
        return Outcome(folder, None, (f"the results in {folder} cannot be read: {fault}",))
    faults = [caution.sentence for caution in run.cautions if caution.incomplete]
    if run.missing and not faults:
        faults.append(f"{len(run.missing):,} of the requested answers are missing")
    doubts = (caution.sentence for caution in run.cautions if not caution.incomplete)
    return Outcome(folder, run, tuple(faults), tuple(doubts))


@contextmanager
def _stopped_like_an_interrupt() -> Iterator[None]:
    """Raise `KeyboardInterrupt` inside the block if this process is asked to end, or if the terminal is closed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    earlier: Mapping[int, object] = {}
    # Handlers can only be set in the main thread; Windows has no SIGHUP.
    with suppress(ValueError):
        wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        earlier = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned


def _end(running: subprocess.Popen[str]) -> None:
    """End an evaluation and all its processes at once, without a traceback."""
    _signal(running, signal.SIGTERM)
    try:
        running.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        _signal(running, getattr(signal, "SIGKILL", signal.SIGTERM))


def _signal(running: subprocess.Popen[str], number: int) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(running.pid, number)
        else:
            running.terminate()
