"""Pictures to train on are found in folders, shards and lists, always in the same order."""

import io
import os
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from efdn.errors import ImageError
from efdn.training.archives import ARCHIVE_ENDINGS
from efdn.training.sources import Source, find_pictures, natural_key


def write_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content or str(path).encode())
    return path


def names(found: tuple[Source, ...], folder: Path) -> list[str]:
    return [Path(source.name).relative_to(folder).as_posix() for source in found]


def test_a_folder_is_searched_to_its_depth_in_natural_order(tmp_path: Path) -> None:
    for name in (
        "a10.png",
        "a2.png",
        "B1.JPG",
        "c/x.webp",
        "c/2/y.tiff",
        "c/10/z.bmp",
        "notes.txt",
        ".a.png",
        ".git/b.png",
    ):
        write(tmp_path / name)
    found = find_pictures([tmp_path])
    assert names(found, tmp_path) == ["a2.png", "a10.png", "B1.JPG", "c/2/y.tiff", "c/10/z.bmp", "c/x.webp"]
    assert found[0].read() == (tmp_path / "a2.png").read_bytes()


def test_names_that_differ_in_case_or_in_leading_zeros_have_an_order_too() -> None:
    given = ["b.png", "B.png", "a1.png", "a01.png", "1.png", "a.png", "a/1.png"]
    assert sorted(given, key=natural_key) == ["1.png", "a/1.png", "a01.png", "a1.png", "a.png", "B.png", "b.png"]


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_links_are_followed_but_not_around(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.png")
    write(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "in" / "up").symlink_to(tmp_path / "in")
    for name in ("z10", "z9", "z11"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "elsewhere")
    # Of several ways to a folder it is the first by name.
    assert names(find_pictures([tmp_path / "in"]), tmp_path) == ["in/a.png", "in/z9/b.png"]


@pytest.mark.parametrize(
    ("ending", "mode"), list(zip(ARCHIVE_ENDINGS, ("w", "w:gz", "w:gz", "w:bz2", "w:xz"), strict=True))
)
def test_members_of_a_shard_are_read_by_their_place(tmp_path: Path, ending: str, mode: str) -> None:
    files = {f"set/{i}.png": bytes([i]) * (700 * i + 1) for i in (10, 2, 1)}
    files |= {"set/1.json": b"{}", "set/._1.png": b"?", "empty.png": b""}
    shard = write_tar(tmp_path / f"shard{ending}", files, mode)
    found = find_pictures([tmp_path])
    assert names(found, shard) == ["empty.png", "set/1.png", "set/2.png", "set/10.png"]
    # In any order, from several threads, time and again.
    with ThreadPoolExecutor(4) as pool:
        for source, content in zip(found * 20, pool.map(Source.read, found * 20), strict=True):
            assert content == files[Path(source.name).relative_to(shard).as_posix()]


def test_a_plain_shard_is_not_copied(tmp_path: Path) -> None:
    (source,) = find_pictures([write_tar(tmp_path / "a.tar", {"x.png": b"pixels"})])
    assert source.unpacked is None
    content = (tmp_path / "a.tar").read_bytes()
    assert source.size_bytes is not None
    assert content[source.offset : source.offset + source.size_bytes] == b"pixels"


def test_lists_keep_their_order_and_are_relative_to_themselves(tmp_path: Path) -> None:
    write(tmp_path / "pictures" / "a.png")
    write(tmp_path / "pictures" / "b.png")
    write_tar(tmp_path / "shard.tar", {"c.png": b"c"})
    write(tmp_path / "more.txt", b"pictures\n")
    lines = "\ufeff# of today\npictures/b.png\r\n\n  pictures/a.png  \nshard.tar\nmore.txt\n"
    (tmp_path / "all.txt").write_text(lines, encoding="utf-8", newline="")
    found = find_pictures([tmp_path / "all.txt", tmp_path / "pictures" / "a.png"])
    own = [f"pictures/{name}.png" for name in "ba"]
    assert names(found, tmp_path) == [*own, "shard.tar/c.png", "pictures/a.png", "pictures/b.png", "pictures/a.png"]


def test_what_cannot_be_found_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "list.txt", b"# nothing\n\nempty/none.png\n")
    write(tmp_path / "loop.txt", b"loop.txt\n")
    write(tmp_path / "latin.txt", b"\xe4.png\n")
    write(tmp_path / "data.zip")
    cases = {
        "empty": "no pictures in .*empty: expected a folder, a tar shard",
        "none.png": "no file or folder .*none.png: expected a folder",
        "list.txt": "list.txt, line 3: no file or folder .*none.png",
        "loop.txt": "holds itself",
        "latin.txt": "UTF-8",
        "data.zip": "unknown kind",
    }
    for name, said in cases.items():
        with pytest.raises(ImageError, match=said):
            find_pictures([tmp_path / name])
    with pytest.raises(ImageError, match="no pictures in no paths"):
        find_pictures([])


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_shard_cut_short_is_no_whole_shard(tmp_path: Path, mode: str) -> None:
    shard = write_tar(tmp_path / "shard.tar", {f"{i}.png": os.urandom(4000) for i in range(5)}, mode)
    shard.write_bytes(shard.read_bytes()[:11_000])
    with pytest.raises(ImageError, match="no whole tar file"):
        find_pictures([shard])


def test_a_file_that_goes_away_or_shrinks_later_is_an_error_of_its_own(tmp_path: Path) -> None:
    (kept,) = find_pictures([write_tar(tmp_path / "a.tar", {"x.png": bytes(3000)})])
    (gone,) = find_pictures([write(tmp_path / "b.png")])
    os.truncate(tmp_path / "a.tar", 1000)
    (tmp_path / "b.png").unlink()
    with pytest.raises(ImageError, match=r"x.png: 488 of 3000 bytes"):
        kept.read()
    with pytest.raises(ImageError, match=r"cannot read .*b.png: no such file"):
        gone.read()
