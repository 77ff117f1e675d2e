import csv

from tests.commands import bertx
from tests.tiny import workplace

QUICK = ("--limit", 40, "--num-batches", 12)


def test_rates_losses_and_picture_are_written_and_suggestions_printed(tmp_path):
    place, folder = workplace(tmp_path / "place"), tmp_path / "rates"
    done = bertx("find-lr", place, "-s", folder, *QUICK, "--start-lr", 1e-4, "--end-lr", 1e-1)
    assert done.status == 0
    assert sorted(path.name for path in folder.iterdir()) == ["lr-losses.csv", "lr-losses.png", "out.log"]
    assert list(done.json) == ["steepest", "lowest_over_10", "batches", "ending", "data", "picture"]
    rows = list(csv.DictReader((folder / "lr-losses.csv").read_text().splitlines()))
    assert [float(row["lr"]) for row in (rows[0], rows[-1])] == [1e-4, 1e-1]
    assert done.json["batches"] == len(rows) == 12


def test_one_seed_gives_equal_losses_twice(tmp_path):
    place = workplace(tmp_path / "place")
    for name in ("a", "b"):
        bertx("find-lr", place, "-s", tmp_path / name, *QUICK, "-o", "model.dropout=0.3")
    assert (tmp_path / "a/lr-losses.csv").read_text() == (tmp_path / "b/lr-losses.csv").read_text()


def test_an_existing_folder_is_moved_only_by_force(tmp_path):
    place = workplace(tmp_path / "place")
    (tmp_path / "rates").mkdir()
    (tmp_path / "rates" / "precious").touch()
    refused = bertx("find-lr", place, "-s", tmp_path / "rates", *QUICK)
    assert (refused.status, refused.out) == (2, "")
    assert bertx("find-lr", place, "-s", tmp_path / "rates", *QUICK, "--force").status == 0
    assert (tmp_path / "rates.old-1" / "precious").exists()


def test_too_few_batches_are_told_before_anything_is_read(tmp_path):
    done = bertx("find-lr", tmp_path / "no.jsonnet", "-s", tmp_path / "rates", "--num-batches", 5)
    assert (done.status, done.err) == (2, "--num-batches 5: expected more than 10\n")
