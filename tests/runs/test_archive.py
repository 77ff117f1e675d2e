import gzip
import io
import json
import os
import shutil
import tarfile

import pytest

from bertx.errors import CheckpointError, UsageError
from bertx.runs.archive import claim_run_folder, open_run, pack_run
from bertx.tar_gz import unpack


def member(name, content=b"x", kind=tarfile.REGTYPE, link=""):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
    return made, content


def write_archive(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for made, content in members:
            archive.addfile(made, io.BytesIO(content) if made.isreg() else None)
    return path


def tree(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder that temporary folders are made in."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


HOSTILE = {
    "leads out": ([member("a"), member("../x")], r"refused: '\.\./x' leads out of the archive"),
    "leads out inside": ([member("a/../../x")], "refused: .* leads out of the archive"),
    "absolute": ([member("/etc/x")], "refused: '/etc/x' leads out of the archive"),
    "drive": ([member("C:\\x")], "refused: .*leads out of the archive"),
    "drive with slash": ([member("C:/x")], "refused: .*leads out of the archive"),
    "folder leads out": ([member("../d", kind=tarfile.DIRTYPE)], "refused: .*leads out of the archive"),
    "symlink": ([member("a", kind=tarfile.SYMTYPE, link="/etc")], "refused: 'a' is a link or device"),
    "symlink in between": (
        [member("a", kind=tarfile.SYMTYPE, link=".."), member("a/x")],
        "refused: 'a' is a link or device",
    ),
    "hard link": ([member("a"), member("b", kind=tarfile.LNKTYPE, link="a")], "refused: 'b' is a link"),
    "device": ([member("a", kind=tarfile.CHRTYPE)], "refused: 'a' is a link or device"),
    "pipe": ([member("a", kind=tarfile.FIFOTYPE)], "refused: 'a' is a link or device"),
    "twice": ([member("a"), member("a")], "refused: 'a' stands in it twice"),
    "twice by dots": ([member("a"), member("./a")], "refused: .*a' stands in it twice"),
    "twice by case": ([member("best/W"), member("BEST/w")], "refused: 'BEST/w' stands in it twice"),
    "long name": ([member("n" * 300)], "refused: the name 'nnn.* is too long"),
    "file as folder": ([member("a"), member("a/b")], "not a readable .tar.gz"),
}


@pytest.mark.parametrize(("members", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(tmp_path, temporary, members, message):
    archive = write_archive(tmp_path / "model.tar.gz", *members)
    with pytest.raises(CheckpointError, match=message):
        open_run(archive)
    assert tree(tmp_path) == ["model.tar.gz", "temporary"]


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, temporary):
    archive = write_archive(tmp_path / "model.tar.gz", member("a", bytes(70 * 2**20)))
    assert archive.stat().st_size < 100_000
    with pytest.raises(CheckpointError, match="refused: it unpacks to far more than a run can hold"):
        unpack(archive, temporary)
    assert tree(temporary) == []


def test_a_bomb_of_many_members_is_refused(tmp_path, temporary, monkeypatch):
    monkeypatch.setattr("bertx.tar_gz.MAX_MEMBERS", 100)
    archive = write_archive(
        tmp_path / "m.tar.gz", *(member(f"d{n}", kind=tarfile.DIRTYPE) for n in range(101))
    )
    with pytest.raises(CheckpointError, match="refused: it unpacks to far more"):
        open_run(archive)
    assert tree(temporary) == []


def test_a_bomb_in_a_header_is_refused(tmp_path, temporary):
    archive = write_archive(tmp_path / "m.tar.gz", member("a/" * 2_000_000))  # its name goes into a header
    with pytest.raises(CheckpointError, match="refused: it unpacks to far more"):
        open_run(archive)
    assert tree(temporary) == []


def test_a_bomb_behind_the_last_member_is_refused(tmp_path, temporary):
    archive = write_archive(tmp_path / "m.tar.gz", member("a"))
    with archive.open("ab") as file:
        file.write(gzip.compress(bytes(2 * 2**20)))
    with pytest.raises(CheckpointError, match="refused: it unpacks to far more"):
        open_run(archive)


@pytest.mark.parametrize("content", [b"", b"no archive at all", gzip.compress(b"no tar" * 999), b"\x1f\x8b"])
def test_what_is_no_archive_is_told(tmp_path, temporary, content):
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model.tar.gz: not a (readable .tar.gz|finished run)"):
        open_run(tmp_path / "model.tar.gz")
    assert tree(temporary) == []


@pytest.mark.parametrize("share", [0.0001, 0.3, 0.99, 0.999999])
def test_an_archive_cut_short_is_told(trained, tmp_path, temporary, share):
    whole = trained.archive.read_bytes()
    (tmp_path / "model.tar.gz").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"not a readable .tar.gz \(.*\); it may be cut short"):
        open_run(tmp_path / "model.tar.gz")
    assert tree(temporary) == []


def test_a_flipped_byte_is_told(trained, tmp_path, temporary):
    content = bytearray(trained.archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "model.tar.gz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"not a readable .tar.gz"):
        open_run(tmp_path / "model.tar.gz")
    assert tree(temporary) == []


def test_an_archive_holds_what_the_folder_holds_and_nothing_of_this_machine(trained):
    with tarfile.open(trained.archive) as archive:
        members = {entry.name: entry for entry in archive if entry.isfile()}
        weights = archive.extractfile("best/model.safetensors").read()
    assert weights == (trained.run / "best" / "model.safetensors").read_bytes()
    assert {"config.json", "config.jsonnet", "metrics.json", "environment.json"} < set(members)
    assert {(entry.uid, entry.gid, entry.uname, entry.mode) for entry in members.values()} == {
        (0, 0, "", 0o644)
    }


def test_unpacked_files_go_when_the_run_is_closed_or_forgotten(trained, temporary):
    with open_run(trained.archive) as files:
        assert (files.folder / "best" / "model.safetensors").is_file()
    assert tree(temporary) == []
    files = open_run(trained.archive)
    assert len(os.listdir(temporary)) == 1
    del files
    assert tree(temporary) == []


def test_closing_a_run_folder_deletes_nothing(trained):
    before = tree(trained.run)
    with open_run(trained.run):
        pass
    assert tree(trained.run) == before


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained.run, tmp_path / "copied")


def change_environment(folder, **changes):
    path = folder / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_another_format_version_is_refused(copied, version):
    change_environment(copied, format_version=version)
    with pytest.raises(CheckpointError, match=rf"format version {version}, but this bertx reads 1 to 1"):
        open_run(copied)


@pytest.mark.parametrize("part", ["config.json", "environment.json", "vocabulary", "encoder", "best"])
def test_a_missing_part_is_named(copied, part):
    (shutil.rmtree if (copied / part).is_dir() else os.unlink)(copied / part)
    with pytest.raises(
        CheckpointError, match=rf"copied: not a finished run: {part}.* missing; expected a folder"
    ):
        open_run(copied)


@pytest.mark.parametrize("content", ["", "[]", "{", "\x00", "[" * 100_000])
def test_a_broken_config_of_a_run_is_told(copied, content):
    (copied / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"copied: config.json (cannot be read|holds no object)"):
        open_run(copied)


def test_further_files_are_packed_once_and_links_are_followed(copied, tmp_path, caplog):
    (tmp_path / "outside.txt").write_text("content")
    (copied / "extra.txt").symlink_to(tmp_path / "outside.txt")
    pack_run(copied, ["*.txt", "vocabulary/*", "*.tar.gz", "nothing*"])
    with tarfile.open(copied / "model.tar.gz") as archive:
        names = archive.getnames()
        assert archive.extractfile("extra.txt").read() == b"content"
    assert sorted(set(names)) == sorted(names)
    assert "model.tar.gz" not in names
    assert [r.getMessage().partition(": ")[0] for r in caplog.records] == ["include_in_archive"] * 2
    open_run(copied / "model.tar.gz").close()


def test_a_folder_can_be_claimed_only_once(tmp_path):
    claim_run_folder(tmp_path / "run", force=False)
    with pytest.raises(UsageError, match="run: exists and is not empty"):
        claim_run_folder(tmp_path / "run", force=False)


def test_the_working_directory_itself_can_be_moved_aside(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "precious").touch()
    monkeypatch.chdir(tmp_path / "here")
    claim_run_folder(tmp_path / "here" / ".", force=True)
    assert tree(tmp_path) == ["here", "here.old-1", "here.old-1/precious", "here/out.log"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file/run: cannot be made \(Not a directory\)"):
        claim_run_folder(tmp_path / "file" / "run", force=False)
