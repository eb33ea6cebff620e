from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from listing_media_dagster.delivery.archive import (
    CHECKSUMS,
    UnsafeName,
    check_name,
    checksum_list,
    sha256_of,
    write_zip,
)


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"\xff\xd8" * 5000)
    first = write_zip([("h/a.jpg", picture), ("h/index.html", lambda: b"x" * 5000)], tmp_path / "one.zip")
    picture.touch()
    second = write_zip([("h/a.jpg", picture), ("h/index.html", lambda: b"x" * 5000)], tmp_path / "two.zip")
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert [entry.compress_type for entry in archive.infolist()] == [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
        assert archive.read("h/a.jpg") == picture.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "/a",
        "a/../b",
        "a//b",
        "C:/a",
        "a\\b",
        "",
        "a/",
        "a\n",
        "nul",
        "x/CON.jpg",
        "a.",
        "a ",
        "a?b",
        "./a",
        "a\x00",
    ],
)
def test_names_that_could_do_harm_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeName):
        write_zip([(name, lambda: b"")], tmp_path / "out.zip")
    assert not list(tmp_path.iterdir())


def test_ordinary_names_are_accepted() -> None:
    assert check_name("photos/mls/01-front-exterior-Home_7.jpg")


def test_a_name_that_comes_twice_is_refused_even_in_other_letters(tmp_path: Path) -> None:
    with pytest.raises(UnsafeName, match="twice"):
        write_zip([("a.jpg", lambda: b""), ("A.JPG", lambda: b"")], tmp_path / "out.zip")


def test_a_failure_leaves_the_old_zip_untouched(tmp_path: Path) -> None:
    output = write_zip([("a.txt", lambda: b"old")], tmp_path / "out.zip")
    before = output.read_bytes()

    def broken() -> bytes:
        raise OSError("disk on fire")

    with pytest.raises(OSError, match="disk on fire"):
        write_zip([("b.txt", lambda: b"new"), ("c.txt", broken)], output)
    assert output.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]


def test_checksums_are_read_by_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"two")
    (tmp_path / "a.txt").write_bytes(b"one")
    digests = [(name, sha256_of(tmp_path / name)) for name in ("b.txt", "a.txt")]
    assert digests[1][1] == hashlib.sha256(b"one").hexdigest()
    (tmp_path / CHECKSUMS).write_text(checksum_list(digests))
    check = ["sha256sum", "--check", "--quiet", CHECKSUMS]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "a.txt").write_bytes(b"changed")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1
