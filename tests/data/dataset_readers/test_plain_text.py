import io
import tarfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertx.data.dataset_readers.plain_text import PlainTextReader
from bertx.data.instance import Instance, TextField
from bertx.errors import ConfigError, DataError


def write(name, content):
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(content, encoding="utf-8")
    return Path(name)


def archive(name, members):
    with tarfile.open(name, "w:xz" if name.endswith("xz") else "w") as opened:
        for member_name, content in members.items():
            member = tarfile.TarInfo(member_name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return Path(name)


def chunks_of(reader, path):
    return [(place, record["text"]) for place, record in reader.records(path)]


@pytest.fixture
def three_words(token_indexers):
    return PlainTextReader(token_indexers, words_per_instance=3)


def test_lines_and_paragraphs_are_joined_and_cut_into_words(three_words):
    file = write("a.txt", "one two\n three\nfour\n\nfive six seven\n")
    assert chunks_of(three_words, file) == [
        ("a.txt:1", "one two three"),
        ("a.txt:3", "four five six"),
        ("a.txt:5", "seven"),
    ]


def test_instances_hold_text_only(three_words):
    assert list(three_words.read(write("a.txt", "one"))) == [Instance({"tokens": TextField("one")})]


def test_a_folder_is_read_in_the_order_of_names(three_words):
    write("books/b.txt", "two")
    write("books/a.txt", "one")
    write("books/notes.md", "no")
    assert chunks_of(three_words, Path("books")) == [("books/a.txt:1", "one"), ("books/b.txt:1", "two")]
    assert three_words.files(Path("books")) == [Path("books/a.txt"), Path("books/b.txt")]


def test_a_pattern_names_files_of_any_kind(three_words):
    write("books/a.txt", "one")
    write("books/a.md", "two")
    assert chunks_of(three_words, Path("books/*.md")) == [("books/a.md:1", "two")]


@pytest.mark.parametrize("name", ["novels.tar", "novels.tar.xz"])
def test_an_archive_is_streamed_without_joining_its_files(three_words, name):
    path = archive(
        name, {"./b.txt": b"\xef\xbb\xbfone two\nthree four\n", "a.txt": b"five", "c.bin": b"\xff"}
    )
    assert chunks_of(three_words, path) == [
        (f"{name}/b.txt:1", "one two three"),
        (f"{name}/b.txt:2", "four"),
        (f"{name}/a.txt:1", "five"),
    ]
    assert three_words.files(path) == [path]


def test_include_and_exclude_hold_out_files(token_indexers):
    path = archive("novels.tar", {"x/Hardy_Tess.txt": b"tess", "x/Eliot_Adam.txt": b"adam"})
    rest = PlainTextReader(token_indexers, exclude=["Hardy*"])
    held_out = PlainTextReader(token_indexers, include=["x/Hardy*"])
    assert chunks_of(rest, path) == [("novels.tar/x/Eliot_Adam.txt:1", "adam")]
    assert chunks_of(held_out, path) == [("novels.tar/x/Hardy_Tess.txt:1", "tess")]


def test_choosing_nothing_is_an_error_that_lists_the_files(token_indexers):
    reader = PlainTextReader(token_indexers, include=["Tess*"])
    message = (
        r"^{}: none of its 1 files is chosen by include \['Tess\*'\] and exclude \[\]; it has: Adam\.txt$"
    )
    with pytest.raises(DataError, match=message.format(r"novels\.tar")):
        list(reader.read(archive("novels.tar", {"Adam.txt": b"adam"})))
    write("books/Adam.txt", "adam")
    with pytest.raises(DataError, match=message.format("books")):
        list(reader.read(Path("books")))


def test_a_bad_byte_is_placed_in_its_member(three_words):
    path = archive("novels.tar", {"a.txt": b"fine\n\xe9t\xe9\n"})
    with pytest.raises(DataError, match=r"^novels\.tar/a\.txt:2: byte 0xe9 at offset 0 is not UTF-8"):
        list(three_words.read(path))


def test_a_cut_off_archive_is_an_error(three_words):
    path = archive("novels.tar.xz", {"a.txt": bytes(str([*range(9999)]), "ascii")})
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"^novels\.tar\.xz"):
        list(three_words.read(path))


def test_a_missing_file_is_an_error(three_words):
    write("book.txt", "one")
    with pytest.raises(DataError, match=r'^bok\.txt: does not exist; did you mean "book\.txt"\?'):
        list(three_words.read(Path("bok.txt")))


def test_instances_need_a_word(token_indexers):
    with pytest.raises(ConfigError, match="words_per_instance: 0; expected 1 or more"):
        PlainTextReader(token_indexers, words_per_instance=0)


def test_several_sizes_take_turns(token_indexers, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("a b c d\ne f g h i\n", encoding="utf-8")
    found = chunks_of(PlainTextReader(token_indexers, words_per_instance=[1, 3, 2]), file)
    assert [text for _, text in found] == ["a", "b c d", "e f", "g", "h i"]
    with pytest.raises(ConfigError, match=r"words_per_instance: \[3, 0\]; expected 1 or more"):
        PlainTextReader(token_indexers, words_per_instance=[3, 0])


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=7)), st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_word_is_lost_and_all_but_the_last_are_full(token_indexers, lines, size):
    file = write("a.txt", "\n".join(" ".join(line) for line in lines))
    chunks = [
        text.split() for _, text in chunks_of(PlainTextReader(token_indexers, words_per_instance=size), file)
    ]
    assert [word for chunk in chunks for word in chunk] == [word for line in lines for word in line]
    assert all(len(chunk) == size for chunk in chunks[:-1])


@pytest.mark.data
def test_the_novels_are_read_from_their_archive(token_indexers, data_folder):
    reader = PlainTextReader(token_indexers, include=["Burnett*"])
    place, record = next(islice(reader.records(data_folder / "novels.tar.xz"), 2, None))
    assert place.rpartition("/")[2].startswith("Burnett_Lord_1886.txt:")
    assert len(record["text"].split()) == 96


def test_a_file_that_is_one_line_is_cut_in_linear_time(three_words):
    file = write("a.txt", "a " * 300_000)
    assert sum(1 for _ in three_words.records(file)) == 100_000
