"""The faults of lmms-eval that docs/upstream.md reports are still there, and its code prints what the page says.

A test that fails here is good news: lmms-eval mended one. Take the page's section out, and what works around it.
"""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import filelock
import lmms_eval
import pytest
from transformers import AutoModelForImageTextToText

SOURCE = Path(lmms_eval.__file__).parent
PAGE = Path(__file__).parents[4] / "docs" / "upstream.md"

# Title, code and output of each section that has code in Python.
REPORTS = re.findall(
    r"^## ([^\n]*)\n(?:(?!## |```)[^\n]*\n)*```python\n(.*?)^```\n\n((?: {4}[^\n]*\n)+)",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
FILELOCK = "A private module of filelock is changed"
DECORD = "Backends for images need a video decoder"
LLAVA = "`loglikelihood` of `llava_hf` returns a mean loss"

RUN_REPORTS = f"""
import contextlib, io, json, sys
from benchc_tasks.stacks.lmms_eval.backends import _without_video

printed = {{}}
for title, code in json.load(sys.stdin):
    decoder = _without_video("decord") if title == {LLAVA!r} else contextlib.nullcontext()
    with io.StringIO() as output, contextlib.redirect_stdout(output):
        try:
            with decoder:
                exec(code, {{"__name__": "report"}})
        except Exception as fault:
            print(f"{{type(fault).__name__}}: {{fault}}")
        printed[title] = output.getvalue().splitlines()
print(json.dumps(printed))
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The lines that the code of each report prints, or its error, in a fresh process."""
    finished = subprocess.run(
        [sys.executable, "-c", RUN_REPORTS],
        input=json.dumps([(title, code) for title, code, _ in REPORTS]),
        stdout=subprocess.PIPE,
        cwd=tmp_path_factory.mktemp("reports"),
        text=True,
        check=True,
    )
    lines: dict[str, list[str]] = json.loads(finished.stdout.splitlines()[-1])
    return lines


def needs_other_packages(title: str) -> bool:
    if title == FILELOCK:
        # pyproject.toml keeps the version away that lacks the module.
        return filelock.__version__ < "4.3"
    return title == DECORD and importlib.util.find_spec("decord") is not None


def test_the_page_has_its_reports() -> None:
    assert len(REPORTS) == 7
    assert {FILELOCK, DECORD, LLAVA} <= {title for title, _, _ in REPORTS}


@pytest.mark.parametrize(
    ("title", "expected"),
    [(title, output) for title, _, output in REPORTS if not needs_other_packages(title)],
)
def test_code_of_a_report_prints_what_the_page_says(title: str, expected: str, printed: dict[str, list[str]]) -> None:
    assert printed[title] == [line.strip() for line in expected.splitlines()]


def test_an_evaluation_that_failed_is_only_printed() -> None:
    program = ast.parse((SOURCE / "__main__.py").read_text())
    (evaluate,) = [node for node in program.body if isinstance(node, ast.FunctionDef) and node.name == "cli_evaluate"]
    statements = [ast.unparse(node) for node in ast.walk(evaluate) if isinstance(node, ast.ExceptHandler)]
    (failed,) = [text for text in statements if "Error during evaluation" in text]
    assert "results_list.append(None)" in failed
    exits = {ast.unparse(node) for node in ast.walk(evaluate) if "sys.exit(" in ast.unparse(node)[:9]}
    assert exits == {"sys.exit(0)"}


def test_a_private_module_of_filelock_is_changed() -> None:
    assert "import filelock._api" in (SOURCE / "evaluator.py").read_text()
    assert filelock.__version__ < "4.3"


def test_the_class_with_the_head_is_never_chosen() -> None:
    names = AutoModelForImageTextToText._model_mapping.keys()
    assert "qwen2_vl" not in names
    assert "qwen2_vl" in {configuration.model_type for configuration in names}
    text = (SOURCE / "models/chat/huggingface.py").read_text()
    assert "config.model_type in AutoModelForImageTextToText._model_mapping.keys()" in text


def test_a_mean_loss_is_called_a_log_likelihood() -> None:
    assert "res.append((float(loss.item()), bool(max_equal)))" in (SOURCE / "models/simple/llava_hf.py").read_text()
