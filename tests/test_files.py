"""Files appear whole or not at all."""

import contextlib
import os
from pathlib import Path

import pytest

from efdn.errors import ConfigError, OutputError
from efdn.files import mark_parts, part_beside, remove_parts, sha256_of_bytes, sha256_of_file, staged, write_json


def test_target_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_text("old")
    with staged(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_text("old")
    with contextlib.suppress(RuntimeError), staged(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_running_out_of_space_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no space left"), staged(tmp_path / "out.bin"):
        raise OSError(28, os.strerror(28))
    assert list(tmp_path.iterdir()) == []


def test_targets_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"), staged(tmp_path / "none" / "out.bin"):
        pass
    with pytest.raises(OutputError, match="folder"), staged(tmp_path):
        pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no permission"), staged(tmp_path / "out.bin"):
        pass


def test_what_a_killed_process_of_a_run_left_is_found_by_its_mark_and_nothing_else(tmp_path: Path) -> None:
    others = part_beside(tmp_path / "a.png")
    mark_parts("run7")
    try:
        left = [part_beside(tmp_path / "a.png"), part_beside(tmp_path / "a.mp4", ".mp4")]
    finally:
        mark_parts("")
    for path in (others, *left, tmp_path / "a.png"):
        path.touch()
    assert remove_parts(tmp_path, "run7") == 2
    assert sorted(tmp_path.iterdir()) == sorted([others, tmp_path / "a.png"])
    assert remove_parts(tmp_path / "none", "run7") == 0
    with pytest.raises(ConfigError, match="expected the mark of a run, got none"):
        remove_parts(tmp_path, "")
    assert others.exists()


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_json(tmp_path / "link", {"a": 1})
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == '{\n  "a": 1\n}\n'


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_json(tmp_path / "staged", {})
    assert (tmp_path / "staged").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_digests_agree(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192
    (tmp_path / "f").write_bytes(content)
    assert sha256_of_file(tmp_path / "f") == sha256_of_bytes(content)
    assert sha256_of_bytes(b"abc").startswith("ba7816bf8f01cfea")
