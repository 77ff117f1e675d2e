import os
import stat

import pytest

from bertx.atomic import new_folder, replacing, require_replaceable, write_json, write_text
from bertx.errors import DataError, UsageError


def test_a_file_is_replaced_whole(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error, match="stop"), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error("stop")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_folders_are_made_and_the_umask_is_kept(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "b" / "c" / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "b" / "c" / "a.txt").stat().st_mode) == 0o640


def test_a_folder_or_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is a folder; expected the name of a file to write"):
        write_text(tmp_path, "x")
    with pytest.raises(DataError, match="pipe: is a device or a pipe"):
        require_replaceable(tmp_path / "pipe")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/a.txt: cannot be written \(.*\); choose another place"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_a_full_disk_while_writing_is_told(tmp_path):
    message = r"a.txt: cannot be written \(No space left on device\)"
    with pytest.raises(DataError, match=message), replacing(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_trouble_with_another_file_is_not_blamed_on_this_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="other"), replacing(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()


def test_json_is_indented_utf8_with_unix_line_ends(tmp_path):
    write_json(tmp_path / "a.json", {"é": float("nan")})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "é": NaN\n}\n'.encode()


def test_a_folder_appears_whole_at_the_end(tmp_path):
    with new_folder(tmp_path / "b" / "a") as temporary:
        write_text(temporary / "c" / "x.txt", "x")
        assert not (tmp_path / "b" / "a").exists()
    assert (tmp_path / "b" / "a" / "c" / "x.txt").read_text() == "x"
    assert os.listdir(tmp_path / "b") == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_no_folder(tmp_path, error):
    with pytest.raises(error, match="stop"), new_folder(tmp_path / "a") as temporary:
        (temporary / "x.txt").write_text("half")
        raise error("stop")
    assert os.listdir(tmp_path) == []


def test_an_empty_folder_is_filled_and_a_full_one_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    with new_folder(tmp_path / "a") as temporary:
        (temporary / "x.txt").write_text("x")
    with (
        pytest.raises(UsageError, match="a: is there already; choose another folder"),
        new_folder(tmp_path / "a"),
    ):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "x.txt"]


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "a").touch()
    with (
        pytest.raises(DataError, match=r"cannot be written \(Not a directory\)"),
        new_folder(tmp_path / "a" / "b"),
    ):
        pass
