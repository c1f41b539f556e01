"""What differs between operating systems: line ends of written files, and file locks."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for package in ("benchc_metrics", "benchc_tasks", "task_yamls") for path in (ROOT / package).rglob("*.py")
)


def text_writers(source: str) -> Iterator[tuple[int, bool]]:
    """Yield the line of each call that writes text to a file, and whether it fixes the line ends."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if name == "write_text":
            yield call.lineno, "newline" in keywords
        elif name in ("open", "fdopen", "NamedTemporaryFile", "TextIOWrapper"):
            modes = [
                value.value
                for value in (*call.args, *filter(None, [keywords.get("mode")]))
                if isinstance(value, ast.Constant)
            ]
            if any(
                isinstance(mode, str) and len(mode) <= 3 and set("wax+") & set(mode) and "b" not in mode
                for mode in modes
            ):
                yield call.lineno, "newline" in keywords


def test_text_is_written_with_the_same_line_ends_on_every_system() -> None:
    assert list(text_writers('p.write_text(t)\nopen(p, "w")\np.open("wb")\np.write_text(t, newline="")')) == [
        (1, False),
        (2, False),
        (4, True),
    ]
    unfixed = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        for line, is_fixed in text_writers(path.read_text(encoding="utf-8"))
        if not is_fixed
    ]
    assert unfixed == []


def test_everything_imports_and_answers_are_kept_without_fcntl(tmp_path: Path) -> None:
    """As on Windows, where filelock has locks of another kind; here it falls back to lock files."""
    script = """
        import sys
        sys.modules["fcntl"] = None
        from pathlib import Path
        import lmms_eval.models
        from benchc_tasks.commands import cli
        from benchc_tasks.stacks.answer_store import AnswerStore
        from benchc_tasks.stacks.lmms_eval import answer_cache, model, plugin, task
        cli.build_parser()
        for _ in range(2):
            store = AnswerStore(Path(sys.argv[1]))
            found = store.find(["key"])
            if not found:
                store.keep("key", [1])
            store.close()
            store.merge()
        print(found, sorted(path.name for path in Path(sys.argv[1]).glob("*.log")))
    """
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "answers")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip().splitlines()[-1] == "{'key': [1]} ['answers.log']"
