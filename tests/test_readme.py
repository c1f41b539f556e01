"""The README: its length and order, its links, and every command and number that a machine can check."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from benchc_tasks.commands import cli
from benchc_tasks.commands.run import plan_of_tasks
from benchc_tasks.datasets import load_dataset
from benchc_tasks.demonstration import DEMONSTRATION_SET

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ORDER = ["Install and run", "Your model", "Compare", "Submit", "Other stacks", "Links"]


def commands(page: str) -> list[str]:
    """The lines of a page's shell blocks that call `benchc`, continued lines joined."""
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.sub(r"^.*&& *(?=benchc )", "", line.split(" #")[0].strip()) for line in lines]
    return [line for line in found if re.match(r"benchc \w", line)]


def test_it_is_short_and_in_order():
    assert len(TEXT.split()) < 900
    assert re.findall(r"^## (.*)$", TEXT, re.MULTILINE) == ORDER


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_both_commands_of_ci_are_there():
    for marker in ("main command", "test command"):
        assert TEXT.count(f"<!-- {marker} -->\n```bash\n") == 1


@pytest.mark.parametrize("line", commands(TEXT))
def test_every_command_is_one_that_benchc_takes(line):
    parser = cli.build_parser()
    chosen, others = parser.parse_known_args(shlex.split(line)[1:])
    assert callable(chosen.run)
    assert not others


def test_the_command_underneath_is_the_one_that_is_printed(capsys):
    assert cli.main(["run", "--print-command"]) == 0
    assert capsys.readouterr().out in TEXT


def test_the_numbers_of_passes_are_those_of_the_tasks():
    samples = load_dataset(DEMONSTRATION_SET)
    for tasks, passes in (("benchc-lite", 20), ("benchc", 96), ("benchc,benchc-control", 96 + 5)):
        assert plan_of_tasks(tasks.split(","), samples, 1).passes == passes
    for said in ("20 forward passes a sample", "96, and 5 more for the control"):
        assert said in " ".join(TEXT.split())


def test_the_versions_of_the_cpu_line_are_those_of_the_constraints():
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for requirement in re.findall(r'"(torch(?:vision)?==[^"]+)"', TEXT):
        assert requirement in pinned


def test_the_page_of_benchc_run_shows_what_a_refusal_looks_like(capsys):
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    ((line, sentence),) = re.findall(r"^\$ (benchc .*)\n(benchc: .*)$", page, re.MULTILINE)
    assert cli.main(shlex.split(line)[1:]) == 1
    assert capsys.readouterr().err.strip() == sentence
