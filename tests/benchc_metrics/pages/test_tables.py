from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from matplotlib import get_data_path
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from rich.console import Console

from benchc_metrics.metrics.registry import EVERY_METRIC, METRICS, headline_metrics
from benchc_metrics.pages.tables import (
    TABLES_SCHEMA,
    Column,
    Probability,
    Table,
    bars_of_rows,
    metric_column,
    print_tables,
    to_csv,
    to_json,
    to_latex,
    to_markdown,
)
from benchc_metrics.statistics.estimates import Estimate

NAN = float("nan")
TABLE = Table(
    "A title with 95 %",
    (
        Column("run", "model"),
        Column("view", "view"),
        metric_column("ras"),
        Column("p_value", "p"),
        Column("gone", "gone"),
    ),
    (
        ("lab/model_1 [bold]x[/bold]", "all", Estimate(-0.25, -0.3001, 0.0004), Probability(0.00012), None),
        ("a|b", "all", Estimate(NAN, NAN, NAN), Probability(NAN), None),
        ("c & d", "all", Estimate(0.5, NAN, NAN), Probability(1.0), None),
    ),
    labels=2,
)


def printed(tables, width, notes=()):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    print_tables(tables, notes, console)
    return console.file.getvalue()


def test_a_person_sees_values_over_intervals():
    text = printed([TABLE], 100, ["A note [red]of[/red] one."])
    assert "A title with 95 %" in text
    assert "ras ↑" in text
    assert "-0.250" in text
    assert "[-0.300, 0.000]" in text
    assert "0.0001" in text
    assert "A note [red]of[/red] one." in text
    # Names are shown as they are, never read as markup.
    assert "[bold]x[/bold]" in text
    assert "nan" not in text


def test_what_says_nothing_is_left_out_for_people_only():
    for text in (printed([TABLE], 100), to_markdown([TABLE]), to_latex([TABLE])):
        assert "gone" not in text
        assert "view" not in text
    assert "gone" in to_csv([TABLE])
    assert "view" in to_csv([TABLE])


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
@pytest.mark.parametrize("name", ["m", "an-organisation/a-model-with-a-very-long-name-of-60-characters"])
def test_a_table_is_no_wider_than_the_terminal(width, name):
    columns = (Column("run", "model"), *map(metric_column, headline_metrics()))
    rows = ((name, *(Estimate(-0.1234, -0.5678, -0.0123) for _ in headline_metrics())),) * 3
    text = printed([Table("Figures", columns, rows)], width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert text.count("[-0.568, -0.012]") == 3 * len(headline_metrics())
    assert "…" not in text


def test_markdown():
    lines = to_markdown([TABLE]).splitlines()
    assert lines[:4] == ["**A title with 95 %**", "", "| model | ras ↑ | p |", "| --- | ---: | ---: |"]
    assert lines[4] == "| lab/model_1 [bold]x[/bold] | -0.250 [-0.300, 0.000] | 0.0001 |"
    assert lines[5] == "| a\\|b | – | – |"
    assert lines[6] == "| c & d | 0.500 | 1.0000 |"


def test_latex():
    text = to_latex([TABLE])
    assert r"\caption{A title with 95 \%}" in text
    assert r"\begin{tabular}{lrr}" in text
    assert r"model & {\scriptsize ras $\uparrow$} & {\scriptsize p} \\" in text
    assert r"lab/model\_1 [bold]x[/ & $-0.250$ & $0.0001$ \\" in text
    assert r"bold] & {\scriptsize $[-0.300, 0.000]$} &  \\" in text
    assert r"a|b & -- & -- \\" in text
    assert r"c \& d & $0.500$ & $1.0000$ \\" in text


def wide_table(name: str) -> Table:
    metrics = [name for name in METRICS if name.startswith(("acc", "ras", "ece"))]
    cells = tuple(Estimate(-0.123, -0.234, -0.012) for _ in metrics)
    columns = (Column("run", "model"), *(metric_column(each) for each in metrics))
    return Table("Metrics", columns, ((name, *cells), ("b", *cells)), 1)


@pytest.mark.parametrize("name", ["a", "Qwen/Qwen2.5-VL-7B-Instruct", "OpenGVLab/InternVL3_5-38B-HF"])
def test_latex_fits_a_column(name: str):
    text = to_latex([wide_table(name)])
    assert all(text.count(each.title.split()[0].replace("_", r"\_") + " ") for each in wide_table(name).columns[1:])
    assert text.count(r"\begin{table}") == 1
    tabulars = re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", text, re.DOTALL)
    assert 1 < len(tabulars) <= len(wide_table(name).columns) / 2 + 1
    for tabular in tabulars:
        lines = [line.removesuffix(r" \\").split(" & ") for line in tabular.splitlines() if line.endswith(r" \\")]
        widths = [max(points(cell) for cell in column) for column in zip(*lines, strict=True)]
        assert sum(widths) + 4 * len(widths) <= 234


def points(cell: str) -> float:
    """Width in Computer Modern, whose letters of 7 and 8 points are wider than those of 10 made smaller."""
    size = 7 if r"\scriptsize" in cell else 8
    plain = re.sub(r"\\scriptsize |[{}$]", "", cell).replace(r"\uparrow", "n").replace(r"\downarrow", "n")
    plain = plain.replace(r"\_", "n").replace("-", "m" if "$" in cell else "n")
    font = FontProperties(fname=str(Path(get_data_path()) / "fonts/ttf/cmr10.ttf"), size=size)
    return 0.0 if not plain.strip() else 1.07 * float(TextPath((0, 0), plain, prop=font).get_extents().width)


def test_a_long_table_is_cut_into_floats_that_hold_each_row_once():
    rows = tuple((f"lab/model-{place}", Estimate(-0.123, -0.234, -0.012), 0.5) for place in range(95))
    text = to_latex([Table("Metrics", (Column("run", "model"), metric_column("ras"), Column("p", "p")), rows, 1)])
    floats = text.split(r"\begin{table}")[1:]
    assert len(floats) > 2
    assert [r"\caption{Metrics}" in each for each in floats] == [True] + [False] * (len(floats) - 1)
    assert all(r"\caption{Metrics (continued)}" in each for each in floats[1:])
    assert re.findall(r"model-(\d+)", text) == [str(place) for place in range(95)]
    # Each row has two lines of 9.5 points; a column of `article` has 550.
    assert all(9.5 * 2 * each.count("model-") < 550 for each in floats)


def test_a_name_in_brackets_begins_no_distance_in_latex():
    text = to_latex([Table("t", (Column("run", "model"), metric_column("ras")), (("[x]", 1.0),), 1)])
    assert r"    {}[x] & $1.0$ \\" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles_within_the_column(tmp_path: Path):
    document = "\n".join(
        [
            r"\documentclass[10pt,twocolumn]{article}",
            r"\usepackage{booktabs}",
            r"\setlength{\columnwidth}{234pt}\setlength{\hsize}{234pt}",
            r"\begin{document}",
            to_latex([wide_table("Qwen/Qwen2.5-VL-7B-Instruct")]),
            r"\end{document}",
        ]
    )
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    told = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "Overfull" not in told


def test_csv_has_all_digits():
    head, first, second, third = csv.reader(io.StringIO(to_csv([TABLE])))
    assert head == ["run", "view", "ras", "ras_low", "ras_high", "p_value", "gone"]
    assert first == ["lab/model_1 [bold]x[/bold]", "all", "-0.25", "-0.3001", "0.0004", "0.00012", ""]
    assert second == ["a|b", "all", "", "", "", "", ""]
    assert third == ["c & d", "all", "0.5", "", "", "1.0", ""]


def test_csv_of_several_tables_is_one():
    assert len(to_csv([TABLE, TABLE]).splitlines()) == 7
    other = Table("Other", (Column("run", "model"),), (("a",),))
    with pytest.raises(ValueError, match="different columns"):
        to_csv([TABLE, other])


def test_json_is_strict_and_has_all_digits():
    written = json.loads(
        to_json([TABLE], {"resamples": 10}, ["a note"]), parse_constant=lambda constant: pytest.fail(constant)
    )
    assert (written["schema"], written["resamples"], written["notes"]) == (TABLES_SCHEMA, 10, ["a note"])
    (table,) = written["tables"]
    assert table["rows"][0] == {
        "run": "lab/model_1 [bold]x[/bold]",
        "view": "all",
        "ras": {"value": -0.25, "low": -0.3001, "high": 0.0004},
        "p_value": 0.00012,
        "gone": None,
    }
    assert table["rows"][1]["ras"] == {"value": None, "low": None, "high": None}


def test_bars_stand_beside_values_in_the_range_of_their_metric():
    rows = [
        ("a", Estimate(0.5, 0.4, 0.6), Estimate(-0.1, -0.2, 0.0)),
        ("b", Estimate(0.25, 0.2, 0.3), Estimate(0.05, 0.0, 0.1)),
        ("c", Estimate(NAN, NAN, NAN), None),
    ]
    bars = bars_of_rows(rows, [(None, "acc_clean", "ras")] * 3)
    assert bars == ((None, 0.5, -1.0), (None, 0.25, 0.5), (None, None, None))
    assert bars_of_rows(rows[:1], [(None, "acc_clean", "ras")]) == ((None, 0.5, None),)
    assert bars_of_rows(rows, [(None, "temperature", "temperature")] * 3) == ((None, None, None),) * 3
    columns = (Column("run", "model"), metric_column("acc_clean"), metric_column("ras"))
    below = printed([Table("t", columns, tuple(rows), bars=bars)], 80)
    assert "███▌ 0.500" in below
    assert "███████ -0.100" in below
    assert "█▊ 0.250" in below
    beside = printed([Table("t", columns, tuple(rows), bars=bars, on_one_line=True)], 80)
    assert "█▌ 0.500 [0.400, 0.600]" in beside
    assert len(beside.splitlines()) == 1 + 2 + len(rows)


def test_every_metric_is_spelt_as_its_name():
    assert {name: metric.label for name, metric in EVERY_METRIC.items()} == {name: name for name in EVERY_METRIC}
