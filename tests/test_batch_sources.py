"""Which pictures a command line names."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from efdn.errors import ImageError, UsageError
from engines.batch import folders
from engines.batch.folders import PICTURES, VIDEOS
from engines.batch.names import json_name, listing, printable
from engines.batch.outcome import Status
from engines.batch.sources import Sources, find_sources
from tests.batch_samples import touch

posix = pytest.mark.skipif(os.name == "nt", reason="links and bytes in names as POSIX has them")


def relatives(sources: Sources) -> list[str]:
    return [source.relative.as_posix() for source in sources.found]


def paths(sources: Sources) -> list[str]:
    return [source.path.as_posix() for source in sources.found]


def test_a_named_file_is_taken_whatever_its_ending(tmp_path: Path) -> None:
    touch(tmp_path / "in" / "scan.dat")
    (source,) = find_sources([str(tmp_path / "in" / "scan.dat")]).found
    assert (source.path, source.relative, source.named) == (tmp_path / "in" / "scan.dat", Path("scan.dat"), True)


def test_a_folder_gives_its_pictures_and_videos_and_with_recursive_the_tree(tmp_path: Path) -> None:
    endings = sorted(PICTURES | VIDEOS)
    touch(*(tmp_path / "in" / f"a{ending}" for ending in endings))
    touch(tmp_path / "in" / "B.JPG", tmp_path / "in" / "notes.txt", tmp_path / "in" / "png")
    touch(tmp_path / "in" / "sub" / "deep" / "c.png", tmp_path / "in" / "sub" / "d.webp")
    top = ["B.JPG", *(f"a{ending}" for ending in endings)]
    assert relatives(find_sources([str(tmp_path / "in")])) == top
    tree = find_sources([str(tmp_path / "in")], recursive=True)
    assert relatives(tree) == [*top, "sub/d.webp", "sub/deep/c.png"]
    assert [source.relative.name for source in tree.found if source.video] == [
        f"a{ending}" for ending in sorted(VIDEOS)
    ]
    assert not any(source.named for source in tree.found)
    assert tree.found[-1].path == tmp_path / "in" / "sub" / "deep" / "c.png"


def test_hidden_files_and_temporary_files_are_passed_over(tmp_path: Path) -> None:
    touch(Path("in/.hidden.png"), Path("in/.efdn-0123456789abcdef.part"), Path("in/.git/x.png"), Path("in/a.png"))
    assert relatives(find_sources(["in"], recursive=True)) == ["a.png"]
    assert relatives(find_sources(["in/*", "in/**/*.png"])) == ["a.png"]
    assert relatives(find_sources(["in/.hidden.png"])) == [".hidden.png"]


def test_each_file_is_taken_once_and_arguments_keep_their_order(tmp_path: Path) -> None:
    touch(Path("in/a.png"), Path("in/b.png"), Path("other/c.png"))
    sources = find_sources(["other", "in/b.png", "in", str(tmp_path / "in" / "a.png"), "./in/../in/a.png"])
    assert paths(sources) == ["other/c.png", "in/b.png", "in/a.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.png", ["a.png", "b[1].png"]),
        ("in/?.png", ["a.png"]),
        ("in/[ax].*", ["a.jpg", "a.png"]),
        ("in/*", ["a.jpg", "a.png", "b[1].png", "sub/d.png"]),
        ("in/*/*.png", ["sub/d.png", "sub2/f.png"]),
        ("in/**/*.png", ["a.png", "b[1].png", "sub/d.png", "sub/deep/e.png", "sub2/f.png"]),
        ("in/**", ["a.jpg", "a.png", "b[1].png", "sub/d.png", "sub/deep/e.png", "sub2/f.png"]),
        ("*/sub*/d.png", ["in/sub/d.png"]),
        ("in/**/deep/*.png", ["sub/deep/e.png"]),
        ("in/*.txt", ["notes.txt"]),
        ("in/b[1].png", ["b[1].png"]),
        ("in/b[[]1].*", ["b[1].png"]),
        ("in/s[u]b/d.png", ["sub/d.png"]),
    ],
)
def test_patterns_are_expanded_and_keep_the_tree_from_their_first_special_character(
    pattern: str, expected: list[str]
) -> None:
    for name in ("a.png", "a.jpg", "b[1].png", "notes.txt", "sub/d.png", "sub/deep/e.png", "sub2/f.png"):
        touch(Path("in", name))
    found = relatives(find_sources([pattern]))
    if pattern == "in/*":
        expected = [*expected, "sub2/f.png"]
    assert found == expected


def test_a_pattern_whose_folder_has_brackets_itself_works(tmp_path: Path) -> None:
    touch(tmp_path / "in [2020]" / "a.png")
    assert relatives(find_sources([str(tmp_path / "in [2020]" / "*.png")])) == ["a.png"]


def test_a_pattern_that_nothing_fits_is_a_failure_beside_others(tmp_path: Path) -> None:
    touch(Path("a.png"))
    sources = find_sources(["a.png", "*.webp", "missing.png", "no/such/folder"])
    assert relatives(sources) == ["a.png"]
    assert [outcome.status for outcome in sources.outcomes] == [Status.FAILED] * 3
    reasons = [outcome.reason or "" for outcome in sources.outcomes]
    for reason, said in zip(reasons, ("no file fits *.webp", "no file or folder missing.png", "no file"), strict=True):
        assert said in reason


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("in/a.png\nin/sub/d.png\n", ["in/a.png", "in/sub/d.png"]),
        ("in/sub/d.png\r\nin/a.png\r\n\r\n", ["in/a.png", "in/sub/d.png"]),
        ("in/sub/d.png", ["in/sub/d.png"]),
        ("\ufeffin/a.png\0in/with\nbreak.png\0", ["in/a.png", "in/with\nbreak.png"]),
        ("in/sub\n", ["d.png"]),
        ("in/[x].png\n", ["in/[x].png"]),
        ("in/../in/./a.png\n", ["in/a.png"]),
    ],
    ids=["lines", "crlf", "one", "nul", "folder", "no pattern", "roundabout"],
)
def test_a_list_on_standard_input_keeps_paths_as_they_are_written(content: str, expected: list[str]) -> None:
    names = ["a.png", "x.png", "[x].png", "sub/d.png", *([] if os.name == "nt" else ["with\nbreak.png"])]
    touch(*(Path("in", name) for name in names))
    assert relatives(find_sources(["-"], stdin=io.StringIO(content))) == expected


def test_files_of_a_list_outside_of_the_working_folder_go_by_their_names(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "a.png"
    touch(outside, Path("in/b.png"))
    listed = io.StringIO(f"{outside}\n{os.path.relpath(outside)}\n{Path('in/b.png').absolute()}\n")
    assert relatives(find_sources(["-"], stdin=listed)) == ["a.png", "b.png"]


@posix
def test_a_list_may_name_what_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    touch(tmp_path / name)
    stdin = io.TextIOWrapper(io.BytesIO(b"caf\xe9.png\n"), encoding="utf-8")
    (source,) = find_sources(["-"], stdin=stdin).found
    assert os.fsencode(source.path) == b"caf\xe9.png"


def test_a_list_without_standard_input_or_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="standard input"):
        find_sources(["-"])
    with pytest.raises(UsageError, match="once, got it twice"):
        find_sources(["-", "-"], stdin=io.StringIO("a"))


@posix
@pytest.mark.parametrize(
    "name", ["naïve café.png", "日本語.png", "emoji 🐦.png", os.fsdecode(b"caf\xe9.png"), "a\nb.png"]
)
def test_names_of_all_kinds_are_found_and_can_be_shown(tmp_path: Path, name: str) -> None:
    touch(tmp_path / "in" / name)
    for argument in (str(tmp_path / "in"), str(tmp_path / "in" / "*.png"), str(tmp_path / "in" / name)):
        (source,) = find_sources([argument]).found
        assert source.path.name == name
        assert printable(str(source.path)).isprintable()
        printable(str(source.path)).encode()


def test_what_is_shown_of_names() -> None:
    assert printable("日本語 é.png") == "日本語 é.png"
    assert printable("a\x1b[31m\n\udce9") == r"a\x1b[31m\n\xe9"
    assert listing(["a", "b", "c"], 2) == "a, b and 1 more"
    assert listing(["a", "b"], 2) == "a, b"
    assert json_name("source", Path("é\n.png")) == {"source": "é\n.png"}
    assert json_name("source", None) == {"source": None}


@posix
def test_loops_of_links_end_and_each_real_folder_is_entered_once(tmp_path: Path) -> None:
    touch(Path("in/a.png"), Path("in/z/b.png"))
    for index in range(6):
        Path(f"in/loop{index}").symlink_to(".")
        Path(f"in/z/up{index}").symlink_to("..")
    Path("in/self").symlink_to("self")
    Path("in/c_link").symlink_to("z")
    assert relatives(find_sources(["in"], recursive=True)) == ["a.png", "z/b.png"]
    assert relatives(find_sources(["in/**/*.png"])) == ["a.png", "z/b.png"]


@posix
def test_links_to_outside_are_followed_and_links_within_give_way_to_the_file(tmp_path: Path) -> None:
    touch(Path("elsewhere/far.png"), Path("elsewhere/one.png"), Path("in/sub/real.png"))
    Path("in/away").symlink_to(tmp_path / "elsewhere")
    Path("in/one.png").symlink_to(tmp_path / "elsewhere" / "one.png")
    Path("in/best.png").symlink_to("sub/real.png")
    assert relatives(find_sources(["in"], recursive=True)) == ["away/far.png", "away/one.png", "sub/real.png"]
    assert relatives(find_sources(["in"])) == ["best.png", "one.png"]


@posix
def test_links_that_lead_nowhere_are_failures(tmp_path: Path) -> None:
    touch(Path("in/a.png"))
    Path("in/broken.png").symlink_to("gone.png")
    Path("in/loop.jpg").symlink_to("loop.jpg")
    Path("in/broken-notes").symlink_to("gone")
    for argument in ("in", "in/*"):
        sources = find_sources([argument], recursive=True)
        assert relatives(sources) == ["a.png"]
        assert [outcome.source.name for outcome in sources.outcomes] == ["broken.png", "loop.jpg"]
        assert "symbolic link to gone.png, which cannot be reached" in str(sources.outcomes[0].reason)


@pytest.mark.parametrize("argument", ["in", "in/**/*.png"])
def test_a_folder_that_cannot_be_read_is_a_failure(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    touch(Path("in/a.png"), Path("in/locked/b.png"))
    usual = os.listdir

    def listdir(folder: Path) -> list[str]:
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return usual(folder)

    monkeypatch.setattr("engines.batch.folders.os.listdir", listdir)
    sources = find_sources([argument], recursive=True)
    assert relatives(sources) == ["a.png"]
    (outcome,) = sources.outcomes
    assert outcome.reason == f"cannot read the folder {Path('in/locked')}: permission denied"


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_a_failure(tmp_path: Path) -> None:
    touch(Path("in/a.png"), Path("in/locked/b.png"))
    Path("in/locked").chmod(0)
    try:
        sources = find_sources(["in"], recursive=True)
    finally:
        Path("in/locked").chmod(0o700)
    assert len(sources.outcomes) == 1


def test_results_within_the_folder_are_not_taken_as_pictures(tmp_path: Path) -> None:
    touch(Path("in/a.png"), Path("in/out/a_x4.png"), Path("in/out/sub/b_x4.png"))
    for argument in ("in", "in/**/*.png", "in/*"):
        assert relatives(find_sources([argument], recursive=True, exclude=[tmp_path / "in" / "out"])) == ["a.png"]
    # Asked for themselves, they are meant.
    assert relatives(find_sources(["in/out"], exclude=[Path("in/out")])) == ["a_x4.png"]
    assert relatives(find_sources(["in/out/*.png"], exclude=[Path("in/out")])) == ["a_x4.png"]
    assert relatives(find_sources(["in/out/a_x4.png"], exclude=[Path("in/out")])) == ["a_x4.png"]


def test_nothing_found_is_explained(tmp_path: Path) -> None:
    touch(Path("in/notes.txt"), Path("in/sub/a.png"))
    with pytest.raises(ImageError, match=r"no pictures in in: expected names ending in .*\.png.*; -r searches"):
        find_sources(["in"])
    with pytest.raises(ImageError, match=r"no file or folder gone\.png"):
        find_sources(["gone.png"])
    with pytest.raises(ImageError, match=r"no file fits \*\.png"):
        find_sources(["*.png"])
    with pytest.raises(ImageError, match="the list on standard input is empty"):
        find_sources(["-"], stdin=io.StringIO(""))
    with pytest.raises(UsageError, match="got none"):
        find_sources([])
    both = find_sources(["gone.png", "lost.png"])
    assert (both.found, len(both.outcomes)) == ((), 2)


def test_a_tree_of_thousands_is_found_in_order(tmp_path: Path) -> None:
    for folder in range(20):
        touch(*(Path(f"in/{folder:02}/{index:03}.png") for index in range(100)))
    found = relatives(find_sources(["in"], recursive=True))
    assert found == sorted(found)
    assert len(found) == 2000


def test_finding_and_planning_bring_nothing_heavy() -> None:
    code = "import sys, engines.batch.sources, engines.batch.targets; print(sorted(sys.modules))"
    root = Path(folders.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert not {"'numpy'", "'PIL'", "'torch'", "'onnxruntime'"} & set(done.stdout.strip("[]\n").split(", "))
