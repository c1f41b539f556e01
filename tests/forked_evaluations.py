"""lmms-eval's command in processes that tests may kill, forked from one that has imported everything.

A forked process calls `lmms_eval.__main__.cli_evaluate` with a command line, as `python -m lmms_eval` does. What it is
spared is ten seconds of imports, and the index of tasks that are not ours.

`python forked_evaluations.py` is the server: it reads one JSON object a line and answers each with a process id.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ForkedEvaluation", "ForkingServer", "forking_server"]

TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True)
class ForkedEvaluation:
    """A run that was begun.

    Attributes
    ----------
    process : int
        Its id.
    folder : Path
        What it writes: `output.txt`, `runs` with its results, and `scored`, to which it adds a byte for each condition
        that the model has scored.
    """

    process: int
    folder: Path

    @property
    def output(self) -> str:
        """What it has said."""
        path = self.folder / "output.txt"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def scored(self) -> int:
        """How many conditions the model has scored."""
        path = self.folder / "scored"
        return path.stat().st_size if path.exists() else 0

    @property
    def has_results(self) -> bool:
        """Whether there is a results file."""
        return any(self.folder.glob("runs/**/*_results.json"))

    @property
    def results(self) -> dict[str, Any]:
        """The results file, of which there is one."""
        (path,) = self.folder.glob("runs/**/*_results.json")
        return json.loads(path.read_text(encoding="utf-8"))

    @property
    def samples(self) -> dict[str, list[dict[str, Any]]]:
        """The rows of the samples logs, by task."""
        return {
            path.stem.split("_samples_")[1]: [json.loads(line) for line in path.read_text().splitlines()]
            for path in self.folder.glob("runs/**/*_samples_*.jsonl")
        }

    def wait(self) -> ForkedEvaluation:
        """Wait until it has ended."""
        self.wait_until(lambda: False)
        return self

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds or the process has ended."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        try:
            handle = os.pidfd_open(self.process)
        except ProcessLookupError:
            return
        try:
            while not holds() and not select.select([handle], [], [], 0.002)[0]:
                if time.monotonic() > deadline:
                    os.kill(self.process, signal.SIGKILL)
                    raise TimeoutError(self.output)
        finally:
            os.close(handle)

    def kill(self) -> None:
        """Kill it as `kill -9` does, and wait until it is gone."""
        try:
            os.kill(self.process, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.wait()


class ForkingServer:
    """Begins runs."""

    def __init__(self, server: subprocess.Popen[str]) -> None:
        self._server = server

    def start(
        self,
        folder: Path,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        die_at: int | None = None,
        output_path: Path | None = None,
        log_samples: bool = True,
    ) -> ForkedEvaluation:
        """Begin a run.

        Parameters
        ----------
        folder : Path
            A new folder for what it leaves.
        arguments : sequence of str
            Of lmms-eval, but for `--output_path` and `--log_samples`.
        environment : mapping, optional
            Variables to set.
        die_at : int, optional
            The process kills itself at this of the moments in which the finished run's answers are merged: each time
            that a file is opened, renamed or removed.
        output_path : Path, optional
            Instead of `runs` in the folder.
        log_samples : bool
            Whether to give lmms-eval `--log_samples`.
        """
        folder.mkdir(parents=True)
        output = str(output_path or folder / "runs")
        order = {
            "folder": str(folder),
            "arguments": [*arguments, *["--log_samples"][: int(log_samples)], "--output_path", output],
            "environment": dict(environment or {}),
            "die_at": die_at,
        }
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return ForkedEvaluation(int(self._server.stdout.readline()), folder)

    def run(self, folder: Path, arguments: Sequence[str], **settings: Any) -> ForkedEvaluation:
        """Begin a run and wait for its end."""
        return self.start(folder, arguments, **settings).wait()


@contextmanager
def forking_server() -> Iterator[ForkingServer]:
    """Start the server, and end it."""
    server = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "ready\n"
        yield ForkingServer(server)
    finally:
        server.stdin.close()
        server.wait(timeout=30)
        server.stdout.close()


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _import_everything()
    # A forked process that collects garbage would copy all of this one's memory.
    gc.collect()
    gc.freeze()
    print("ready", file=answers, flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answers.close()
            _evaluate(**json.loads(line))
        print(process, file=answers, flush=True)


def _import_everything() -> None:
    for module in (
        "lmms_eval.__main__",
        "transformers.models.auto",
        "benchc_tasks.stacks.lmms_eval.answer_cache",
        "benchc_tasks.stacks.lmms_eval.model",
        "benchc_tasks.stacks.lmms_eval.task",
    ):
        importlib.import_module(module)
    from lmms_eval.tasks import TaskManager

    index_tasks = TaskManager.initialize_tasks
    TaskManager.initialize_tasks = lambda self, **settings: index_tasks(self, include_defaults=False)


def _evaluate(folder: str, arguments: list[str], environment: dict[str, str], die_at: int | None) -> None:
    """Be the run, and end with it."""
    status = 1
    try:
        output = os.open(os.path.join(folder, "output.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        os.environ.update(environment)
        sys.argv = ["lmms_eval", *arguments]
        _count_conditions(os.path.join(folder, "scored"))
        if die_at is not None:
            _die_in_merge(die_at)
        from lmms_eval.__main__ import cli_evaluate

        cli_evaluate()
        status = 0
    except Exception:  # as the interpreter prints it, if it were to end by itself
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _count_conditions(path: str) -> None:
    from benchc_tasks.models.choice import TransformersChoiceScorer

    score = TransformersChoiceScorer.score
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def counted(self: Any, prepared: Any) -> Any:
        outcomes = score(self, prepared)
        os.write(file, b"." * len(outcomes))
        return outcomes

    TransformersChoiceScorer.score = counted  # type: ignore[method-assign]


def _die_in_merge(moment: int) -> None:
    from benchc_tasks.stacks.lmms_eval.answer_cache import AnswerCache

    finalize = AnswerCache.finalize
    passed = 0

    def watched(event: str, _: Any) -> None:
        nonlocal passed
        if event in {"open", "os.rename", "os.remove", "os.rmdir"}:
            passed += 1
            if passed == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    def dying(self: AnswerCache, **settings: Any) -> None:
        sys.addaudithook(watched)
        finalize(self, **settings)
        os.write(1, f"the merge has {passed} moments\n".encode())

    AnswerCache.finalize = dying  # type: ignore[method-assign]


if __name__ == "__main__":
    # The tests' folders are called as the packages are.
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    _serve()
