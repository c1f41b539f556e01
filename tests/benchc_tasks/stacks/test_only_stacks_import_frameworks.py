"""Only `benchc_tasks/stacks/` imports an evaluation framework, and what all stacks share imports none."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
FACES = tuple(f"benchc_tasks/stacks/{stack}/" for stack in ("lmms_eval", "lm_eval", "vlmevalkit", "inspect_ai"))
FRAMEWORKS = re.compile(r"^\s*(?:from|import)\s+(?:lmms_eval|lm_eval|vlmeval|inspect_ai)\b", re.MULTILINE)


def importers(*folders: str) -> list[str]:
    files = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return sorted(str(file.relative_to(ROOT)) for file in files if FRAMEWORKS.search(file.read_text(encoding="utf-8")))


def test_only_stacks_import_a_framework():
    allowed = ("benchc_tasks/stacks/",)
    assert [
        file for file in importers("benchc_metrics", "benchc_tasks", "task_yamls") if not file.startswith(allowed)
    ] == []


def test_what_the_stacks_share_imports_none():
    of_stacks = importers("benchc_tasks/stacks")
    assert of_stacks
    assert [file for file in of_stacks if not file.startswith(FACES)] == []
