"""The LaTeX that commands print, compiled: every table fits a column of a paper."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchc_tasks.commands import cli

FIXTURES = Path(__file__).parents[2] / "fixtures"
PLAIN, START = (str(FIXTURES / "trial_runs" / name) for name in ("plain", "start"))
WITH_CONTROL = str(FIXTURES / "worked_examples" / "bundled")

COMMANDS = (
    ("summary", PLAIN, START),
    ("summary", PLAIN, "--by", "corruption"),
    ("summary", PLAIN, START, "--by", "severity"),
    ("summary", WITH_CONTROL),
    ("summary", WITH_CONTROL, "--floor"),
    ("compare", PLAIN, START),
    ("compare", PLAIN, START, "--all"),
)


def has_latex() -> bool:
    """Whether `pdflatex` is there with the package of rules that the tables use."""
    finder = shutil.which("kpsewhich")
    if finder is None or shutil.which("pdflatex") is None:
        return False
    return subprocess.run([finder, "booktabs.sty"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_latex(), reason="no LaTeX here: apt-get install -y texlive-latex-recommended")
def test_every_table_compiles_and_fits_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = []
    for words in COMMANDS:
        assert cli.main([*words, "--latex", "--resamples", "100"]) == 0
        tables.append(capsys.readouterr().out)
        assert r"\begin{tabular}" in tables[-1]
    head = (
        r"\documentclass[10pt,twocolumn]{article}\usepackage{booktabs}",
        r"\setlength{\columnwidth}{234pt}\setlength{\hsize}{234pt}\begin{document}",
    )
    document = "\n".join([*head, "\\clearpage\n".join(tables), r"\end{document}"])
    (tmp_path / "tables.tex").write_text(document, encoding="utf-8")
    told = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=True,
    ).stdout
    assert "Overfull" not in told
    # A float that is longer than a page is cut at its lower edge.
    assert "Float too large" not in told
