"""Files that are replaced whole or not at all."""

from __future__ import annotations

import os
import stat
import threading

import pytest
from disks import disk

from benchc_metrics.files import replace_file


def test_text_is_written_as_it_is(tmp_path):
    file = tmp_path / "pages" / "deep" / "page.html"
    replace_file(file, "ä\r\nb\n")
    assert file.read_bytes() == "ä\r\nb\n".encode()
    file.chmod(0o640)
    replace_file(file, b"\x00new")
    assert file.read_bytes() == b"\x00new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in file.parent.iterdir()] == ["page.html"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    with disk(tmp_path / "small", size=1 << 20) as small:
        file = small.path / "page.html"
        replace_file(file, "old page")
        small.fill(but=8192)
        with pytest.raises(OSError, match=r"No space left on device, nothing was changed: .*page\.html"):
            replace_file(file, "new page " * 10_000)
        assert file.read_text() == "old page"
        assert sorted(path.name for path in small.path.iterdir()) == ["ballast", "page.html"]


def test_a_link_is_followed_and_a_pipe_is_written(tmp_path):
    target = tmp_path / "target.html"
    target.write_text("old")
    link = tmp_path / "link.html"
    link.symlink_to(target)
    replace_file(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    replace_file(pipe, "through")
    reader.join()
    assert found == ["through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OSError, match=r"page\.html"):
        replace_file(tmp_path / "page.html", "new")
