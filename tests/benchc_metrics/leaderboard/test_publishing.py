"""A new site takes the place of the old one wholly, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchc_metrics.leaderboard.publishing import MARK, publish_site

OLD = {"index.html": f"old, {MARK}", "models/a.html": "a", "models/withdrawn.html": "w"}
NEW = {"index.html": f"new, {MARK}", "models/a.html": "a2"}


def files_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_pages_of_withdrawn_models_go(tmp_path: Path) -> None:
    publish_site(OLD, tmp_path / "site")
    assert files_of(tmp_path / "site") == OLD
    publish_site(NEW, tmp_path / "site")
    assert files_of(tmp_path / "site") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_no_site_has_stays(tmp_path: Path) -> None:
    publish_site(OLD, tmp_path / "site")
    (tmp_path / "site" / "CNAME").write_text("benchc.example")
    (tmp_path / "site" / ".git").mkdir()
    (tmp_path / "site" / ".git" / "HEAD").write_text("x")
    publish_site(NEW, tmp_path / "site")
    assert files_of(tmp_path / "site") == {**NEW, "CNAME": "benchc.example", ".git/HEAD": "x"}


def test_the_old_site_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_site(OLD, tmp_path / "site")

    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        publish_site(NEW, tmp_path / "site")
    assert files_of(tmp_path / "site") == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_the_old_site_comes_back_where_it_cannot_be_swapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    publish_site(OLD, tmp_path / "site")
    (tmp_path / "site" / "CNAME").write_text("benchc.example")
    calls = 0
    rename = os.rename

    def refusing(old: Path, new: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(16, "Device or resource busy")
        rename(old, new)

    monkeypatch.setattr("benchc_metrics.leaderboard.publishing.os.rename", refusing)
    with pytest.raises(OSError, match="busy"):
        publish_site(NEW, tmp_path / "site")
    assert files_of(tmp_path / "site") == {**OLD, "CNAME": "benchc.example"}


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "project" / "models").mkdir(parents=True)
    (tmp_path / "project" / "models" / "weights.bin").write_text("w")
    with pytest.raises(FileExistsError, match="give an empty folder"):
        publish_site(NEW, tmp_path / "project")
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "index.html").write_text("my blog")
    with pytest.raises(FileExistsError, match="is not a page of a leaderboard"):
        publish_site(NEW, tmp_path / "blog")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "blog")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError, match="is not a folder"):
            publish_site(NEW, tmp_path / name)
    assert (tmp_path / "blog" / "index.html").read_text() == "my blog"


def test_an_empty_folder_and_the_one_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    publish_site(OLD, Path("."))
    assert files_of(tmp_path / "here") == OLD
