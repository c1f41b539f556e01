"""The maintainers' configuration file, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchc_metrics.leaderboard.configuration import read_configuration

WRITTEN = """
schema: benchc.leaderboard/1
title: A leaderboard
dataset:
  id: lab/bench-c
  revision: 0123abc
  fingerprint: f1f1f1f1f1f1
engine: "1"
prompt: "{question}\\nA. {option}"
address: https://hub.example/lab/submissions
"""


def test_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(WRITTEN)
    read = read_configuration(tmp_path / "site.yaml")
    assert (read.title, read.engine, read.prompt) == ("A leaderboard", "1", "{question}\nA. {option}")
    assert (read.dataset.id, read.dataset.revision) == ("lab/bench-c", "0123abc")
    assert read.address == "https://hub.example/lab/submissions"
    (tmp_path / "least.yaml").write_text(
        "schema: benchc.leaderboard/1\ndataset: {id: lab/bench-c, fingerprint: f1f1f1f1}\n"
    )
    assert read_configuration(tmp_path / "least.yaml").engine is None


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("benchc.leaderboard/1", "benchc.leaderboard/2", "schema: input should be 'benchc.leaderboard/1'"),
        ("title: A leaderboard", "titel: A leaderboard", "titel: extra inputs are not permitted"),
        ("title: A leaderboard", "title: one\ntitle: two", r"a key stands twice in it \('title'\)"),
        ('engine: "1"', "engine: 1", "engine: input should be a valid string"),
        ("  id: lab/bench-c\n", "", "dataset.id: field required"),
        ("lab/bench-c", "bench-c", "dataset.id: string should match"),
        ("f1f1f1f1f1f1", "no-fingerprint", "dataset.fingerprint: string should match"),
        ("https://hub.example", "https://hub.example@evil.example", "address: it leads to evil.example"),
        ("title: A leaderboard", 'title: "\\u202ea"', "title: it holds characters that control"),
        (WRITTEN, "[" * 90_000, "cannot be read as YAML"),
        (WRITTEN, "- a", "the file: input should be"),
        (WRITTEN, "a: &x 1\nb: *x", "has aliases"),
    ],
)
def test_what_it_does_not_know_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in WRITTEN
    (tmp_path / "site.yaml").write_text(WRITTEN.replace(old, new))
    with pytest.raises(ValueError, match=reason) as refusal:
        read_configuration(tmp_path / "site.yaml")
    assert str(tmp_path / "site.yaml") in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_configuration(tmp_path / "site.yaml")
