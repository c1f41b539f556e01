"""The README: its length and order, its links, and every command and number that a machine can check."""

from __future__ import annotations

import importlib.util
import re
import shlex
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest

from benchc_metrics.benchmark import CORRUPTION_FAMILIES, SEVERITIES
from benchc_metrics.metrics.ras import patterns, robustness_alignment_score
from benchc_metrics.responses import option_distribution
from benchc_metrics.runs import read_run
from benchc_metrics.statistics.estimates import estimate
from benchc_metrics.statistics.floor import estimate_floor
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


def test_the_benchmark_is_as_large_as_the_page_says():
    assert f"{len(CORRUPTION_FAMILIES)} corruptions x {len(SEVERITIES)} severities" in TEXT
    assert (len(CORRUPTION_FAMILIES), len(SEVERITIES)) == (19, 5)
    assert "eight of the nineteen corruptions at five severities" in TEXT


def test_python_is_as_old_as_the_package_allows():
    (oldest,) = re.findall(
        r'^requires-python = ">=([\d.]+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE
    )
    assert f"Python {oldest} or newer" in TEXT


def test_metrics_that_summary_shows_are_those_of_the_kept_run_of_the_bundled_model():
    """Of that run only some corruptions are kept, so that clean accuracy and the floor can be computed again."""
    run = read_run(ROOT / "tests" / "fixtures" / "worked_examples" / "bundled")
    clean = estimate(run).of("acc_clean")
    floor = estimate_floor(run).of("ras")
    for found in (clean, floor):
        assert f"{found.value:.3f}" in TEXT
        assert f"[{found.low:.3f}, {found.high:.3f}]" in TEXT


def test_version_1_counted_a_third_of_the_destroyed_answers_as_a_gain():
    with np.load(ROOT / "tests" / "fixtures" / "mmbench_logits" / "logits.npz") as kept:
        p, answers = option_distribution(kept["logits"].astype(float)), kept["answer"]
    clean, corrupted = p[:, :, :1], p[:, :, 1:]
    right = np.broadcast_to(answers, p.shape[:2])
    destroyed = patterns(clean, corrupted, right).destroyed
    gains = [
        (robustness_alignment_score(clean, corrupted, right[..., np.newaxis], reading=reading)[destroyed] > 0).mean()
        for reading in ("confidence", "brier")
    ]
    assert gains[0] == pytest.approx(1 / 3, abs=0.04)
    assert gains[1] < 0.005
    assert "version 1 counted a third of the destroyed answers as a gain" in " ".join(TEXT.split())


def test_the_environment_weighs_what_the_page_says():
    installed = {package.metadata["Name"].lower(): package.version for package in distributions()}
    pinned = re.search(r'"torch==([\d.]+)"', TEXT)[1]
    if installed["torch"].split("+")[0] != pinned or "triton" not in installed:
        pytest.skip("another PyTorch than the pinned one for GPUs is installed")
    specification = importlib.util.spec_from_file_location(
        "environment_size", ROOT / "tests" / "benchmarks" / "environment_size.py"
    )
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    sizes = {package.metadata["Name"].lower(): script.size_of(package) for package in distributions()}
    whole, of_a_gpu = (
        float(found) for found in re.search(r"takes ([\d.]+) GB, ([\d.]+) GB of it for GPUs", TEXT).groups()
    )
    assert sum(size for name, size in sizes.items() if script.FOR_A_GPU.match(name)) / 1e9 == pytest.approx(
        of_a_gpu, abs=0.15
    )
    # What only the tests need is small.
    assert sum(sizes.values()) / 1e9 == pytest.approx(whole, rel=0.1)


def test_the_page_of_benchc_run_shows_what_a_refusal_looks_like(capsys):
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    ((line, sentence),) = re.findall(r"^\$ (benchc .*)\n(benchc: .*)$", page, re.MULTILINE)
    assert cli.main(shlex.split(line)[1:]) == 1
    assert capsys.readouterr().err.strip() == sentence
