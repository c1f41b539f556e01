"""Whether results can be written; whole runs that cannot are in `test_continued.py`."""

from __future__ import annotations

import pytest
from disks import disk

from benchc_tasks.stacks.output_folder import OutputFolderError, check_output_folder


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path):
    for _ in range(2):
        check_output_folder(tmp_path / "a" / "runs", 10_000)
    assert list((tmp_path / "a" / "runs").iterdir()) == []


def test_a_file_in_its_place_is_told(tmp_path):
    (tmp_path / "runs").touch()
    with pytest.raises(OutputFolderError, match=r"--output_path .*runs \(File exists\): nothing was scored yet"):
        check_output_folder(tmp_path / "runs", 1)


def test_room_is_wanted_for_what_will_be_written(tmp_path):
    with disk(tmp_path / "disk", size=1 << 20) as small:
        check_output_folder(small.path, 3_000)
        with pytest.raises(OutputFolderError, match=r"No space left on device.*room for 1,280,000 bytes"):
            check_output_folder(small.path, 5_000)
        assert list(small.path.iterdir()) == []
