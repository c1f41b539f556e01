import os
from pathlib import Path

from benchc_tasks.datasets.file_states import file_states


def test_a_folder_s_files_are_known_from_there_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_bytes(b"12")
    (tmp_path / "a").write_bytes(b"1")
    os.utime(tmp_path / "a", ns=(5, 7))
    first, second = file_states(str(tmp_path))
    assert first == ("a", 7, 1)
    assert (second[0], second[2]) == (os.path.join("b", "two"), 2)


def test_size_time_and_name_tell_another_state_and_a_place_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "file").write_bytes(b"12")
    os.utime(folder / "file", ns=(5, 7))
    before = file_states(str(folder))
    folder.rename(tmp_path / "two")
    folder = tmp_path / "two"
    assert file_states(str(folder)) == before
    os.utime(folder / "file", ns=(5, 8))
    assert file_states(str(folder)) != before
    (folder / "file").write_bytes(b"123")
    os.utime(folder / "file", ns=(5, 7))
    assert file_states(str(folder)) != before
    (folder / "file").write_bytes(b"12")
    os.utime(folder / "file", ns=(5, 7))
    assert file_states(str(folder)) == before
    (folder / "file").rename(folder / "other")
    assert file_states(str(folder)) != before


def test_a_file_nothing_and_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    ((_, _, size),) = file_states(str(tmp_path / "file"))
    assert size == 1
    assert file_states(str(tmp_path / "missing")) == ()
    (tmp_path / "file").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    assert file_states(str(tmp_path)) == (("link", 0, 0),)
