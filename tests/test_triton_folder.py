"""A folder is written whole or not at all, and nobody's files are lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from efdn.errors import OutputError
from export.triton.folder import MARKER, files_in, staged_folder

MODELS = Path("models")


def leftovers() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def make_folder(*names: str, overwrite: bool = False) -> None:
    with staged_folder(MODELS, overwrite=overwrite) as folder:
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(name)


def test_an_empty_folder_is_taken() -> None:
    MODELS.mkdir()
    make_folder("m/a")
    assert files_in(MODELS) == ["m/a"]
    assert leftovers() == ["models"]


def test_an_older_repository_is_replaced_only_when_that_was_asked_for() -> None:
    make_folder("m/a")
    with pytest.raises(OutputError, match="models is there already: give --overwrite"):
        make_folder("m/b")
    make_folder("m/b", overwrite=True)
    assert files_in(MODELS) == ["m/b"]
    assert leftovers() == ["models"]


def test_a_file_of_somebody_else_is_never_removed() -> None:
    make_folder("m/a")
    (MODELS / "m" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot replace models: m/notes\.txt in it is not of this command"):
        make_folder("m/b", overwrite=True)
    assert files_in(MODELS) == ["m/a", "m/notes.txt"]


@pytest.mark.parametrize("marker", [None, "{", "[]", '{"files": 3}'])
def test_a_folder_that_this_command_did_not_write_is_refused(marker: str | None) -> None:
    (MODELS / "theirs").mkdir(parents=True)
    if marker is not None:
        (MODELS / MARKER).write_text(marker)
    with pytest.raises(OutputError, match="models: it holds files that are not of this command"):
        make_folder("m/a", overwrite=True)


def test_a_file_in_the_way_and_a_missing_parent_are_told() -> None:
    MODELS.write_text("a file")
    with pytest.raises(OutputError, match="expected a folder's name, this is a file"):
        make_folder("m/a")
    with (
        pytest.raises(OutputError, match="does not exist; create it first"),
        staged_folder(Path("a/b"), overwrite=False),
    ):
        pass


def test_what_was_there_stays_when_writing_fails() -> None:
    make_folder("m/a")
    with pytest.raises(OutputError, match="cannot write models: no such file or directory"):
        make_folder("m/b", "missing/folder/c", overwrite=True)
    assert files_in(MODELS) == ["m/a"]
    assert leftovers() == ["models"]


def test_what_was_there_comes_back_when_the_last_rename_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder("m/a")
    rename = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target.name == MODELS.name and (self / "m" / "b").exists():
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OutputError, match="cannot write models: permission denied"):
        make_folder("m/b", overwrite=True)
    assert files_in(MODELS) == ["m/a"]
    assert leftovers() == ["models"]


def test_an_empty_folder_is_filled_and_stays_the_same_folder() -> None:
    MODELS.mkdir(mode=0o755)
    number = MODELS.stat().st_ino
    make_folder("m/a", "n/b")
    assert MODELS.stat().st_ino == number
    assert files_in(MODELS) == ["m/a", "n/b"]
    assert leftovers() == ["models"]


def test_an_empty_folder_is_empty_again_when_filling_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    MODELS.mkdir()
    rename = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target.name == "n":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OutputError, match="cannot write models: permission denied"):
        make_folder("m/a", "n/b")
    assert list(MODELS.iterdir()) == []
    assert leftovers() == ["models"]


def test_the_folder_that_the_command_runs_in_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder("m/a")
    monkeypatch.chdir(MODELS / "m")
    with (
        pytest.raises(OutputError, match=r"cannot replace \.\. from within"),
        staged_folder(Path(".."), overwrite=True),
    ):
        pass
