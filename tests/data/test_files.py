import bz2
import gzip
import io
import lzma
import tarfile

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertx.data import files
from bertx.data.files import (
    archive_members,
    numbered_lines,
    open_lines,
    parse_record,
    read_records,
    shown,
    uncompressed_suffix,
)
from bertx.errors import DataError


def written(path, content: bytes):
    path.write_bytes(content)
    return path


def test_lines_come_with_numbers_and_without_ends(tmp_path):
    file = written(tmp_path / "a.txt", b"one\r\n\ntwo\rthree\nfour")
    assert list(open_lines(file)) == [(1, "one"), (2, ""), (3, "two\rthree"), (4, "four")]


def test_only_line_feeds_end_lines(tmp_path):
    file = written(tmp_path / "a.txt", "a\u2028b\x0bc\x85d\n".encode())
    assert list(open_lines(file)) == [(1, "a\u2028b\x0bc\x85d")]


def test_a_byte_order_mark_at_the_start_is_dropped(tmp_path):
    file = written(tmp_path / "a.txt", b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n")
    assert list(open_lines(file)) == [(1, "one"), (2, "\ufefftwo")]


@pytest.mark.parametrize(
    ("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files_are_read_by_suffix(tmp_path, suffix, compress):
    file = written(tmp_path / f"a.txt.{suffix}", compress(b"one\ntwo\n"))
    assert list(open_lines(file)) == [(1, "one"), (2, "two")]


@pytest.mark.parametrize(
    ("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_a_cut_off_compressed_file_is_named(tmp_path, suffix, compress):
    whole = compress(bytes(str([*range(5000)]), "ascii"))
    file = written(tmp_path / f"a.txt.{suffix}", whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"a\.txt\.{suffix}:1: the file cannot be read from here on"):
        list(open_lines(file))


def test_a_file_that_only_looks_compressed_is_named(tmp_path):
    file = written(tmp_path / "a.jsonl.gz", b"plain")
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:1: .*; it is damaged or incomplete"):
        list(open_lines(file))


def test_a_byte_that_is_not_utf8_is_named_with_its_place(tmp_path):
    file = written(tmp_path / "a.txt", b"fine\nna\xefve\n")
    message = (
        r"a\.txt:2: byte 0xef at offset 2 is not UTF-8; text must be UTF-8; "
        r"convert the file, e\.g\. iconv -f LATIN1 -t UTF-8 a\.txt > a\.txt\.utf8$"
    )
    with pytest.raises(DataError, match=message):
        list(open_lines(file))


def test_a_utf16_file_is_recognised(tmp_path):
    file = written(tmp_path / "a.txt", "text".encode("utf-16"))
    with pytest.raises(DataError, match=r"a\.txt:1: looks like UTF-16; .* iconv -f UTF-16 -t UTF-8"):
        list(open_lines(file))


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    written(tmp_path / "train.jsonl", b"")
    with pytest.raises(DataError, match=r'tarin\.jsonl: does not exist; did you mean "train\.jsonl"\?$'):
        list(open_lines(tmp_path / "tarin.jsonl"))


def test_a_missing_folder_is_said_to_be_missing(tmp_path):
    with pytest.raises(DataError, match=r"b\.txt: does not exist, nor does its folder"):
        list(open_lines(tmp_path / "a" / "b.txt"))


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(DataError, match="is a folder; expected a file"):
        list(open_lines(tmp_path))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(files, "LONGEST_LINE", 10)
    with pytest.raises(DataError, match="<stdin>:2: the line is over 100 MB"):
        list(numbered_lines(io.BytesIO(b"short\n" + b"x" * 11), "<stdin>"))


def test_paths_in_the_working_directory_are_shown_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "data" / "a.txt") == "data/a.txt"
    assert shown(tmp_path.parent) == str(tmp_path.parent)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.TSV.gz", ".tsv"), ("a.csv", ".csv"), ("a.b.tsv.xz", ".tsv"), ("a.gz", ""), ("a", "")],
)
def test_the_suffix_is_that_before_compression(tmp_path, name, suffix):
    assert uncompressed_suffix(tmp_path / name) == suffix


def test_records_have_places_and_blank_lines_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path / "data.jsonl", b'{"a": 1}\n \n\n{"b": [true, null]}')
    assert list(read_records(file)) == [("data.jsonl:1", {"a": 1}), ("data.jsonl:4", {"b": [True, None]})]


@pytest.mark.parametrize(
    ("line", "found"),
    [("[1]", "a list"), ('"a"', "a string"), ("3", "a number"), ("null", "null"), ("true", "a boolean")],
)
def test_a_line_that_is_no_object_says_what_it_is(line, found):
    with pytest.raises(DataError, match=rf"^data\.jsonl:17: not a JSON object \(found {found}\)$"):
        parse_record(line, "data.jsonl:17")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'a': 1}", r"d:1: not JSON \(.*column 2\); expected one JSON object per line, such as"),
        ("{", r"d:1: not JSON \(.*\); expected one whole JSON object per line, not an object or list spread"),
        ('{"a": NaN}', r"d:1: not JSON \(.*column 7\); JSON has no NaN or Infinity: write null"),
        ('{"a": "\\ud800"}', r"d:1: not JSON \(no low surrogate in string, column \d+\)"),
        ('{"a": 1e999}', r"d:1: not JSON \(number is infinity"),
    ],
)
def test_a_line_that_is_not_json_says_where_and_what_to_do(line, message):
    with pytest.raises(DataError, match=message):
        parse_record(line, "d:1")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values))
def test_what_orjson_writes_is_read_back(record):
    assert parse_record(orjson.dumps(record).decode(), "d:1") == record


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), min_size=1))
def test_any_text_survives_the_way_through_a_file(lines):
    stream = io.BytesIO("\n".join(["first", *lines, "last"]).encode())
    assert [line for _, line in numbered_lines(stream, "a")] == ["first", *lines, "last"]


def test_archive_members_are_regular_files_only(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        member = tarfile.TarInfo("./b.txt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    assert [(name, content.read()) for name, content in archive_members(path)] == [("b.txt", b"abc")]


def test_a_file_that_is_no_archive_is_named(tmp_path):
    path = written(tmp_path / "a.tar", b"not an archive" * 100)
    with pytest.raises(DataError, match=r"a\.tar: cannot be read as a tar archive"):
        list(archive_members(path))


@pytest.mark.data
def test_the_latin1_byte_of_trec_is_found(data_folder):
    with pytest.raises(DataError, match=r"trec/train\.txt:66: byte 0x.. at offset \d+ is not UTF-8"):
        list(open_lines(data_folder / "trec" / "train.txt"))


def test_every_json_kind_has_a_name():
    values = [None, True, 1, 1.5, "a", [], {}]
    assert [files.kind_of(value) for value in values] == [
        "null", "a boolean", "a number", "a number", "a string", "a list", "an object"
    ]  # fmt: skip
