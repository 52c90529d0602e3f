"""Options of the comparison with peers that are refused, each in one line and before the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.peers import __main__ as command


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--shape 16", "--shape takes HEIGHTxWIDTH"),
        ("--all --shape 16x16", "--all does not go with --shape"),
        ("--only caffe", "no row 'caffe'"),
        ("--only bicubic", "not for README.md: give a folder with --out"),
        ("--shape 16x16", "not for README.md: give a folder with --out"),
        ("--seconds 1", "not for README.md: give a folder with --out"),
        ("--seconds 0 --out x", "seconds must be more than 0, got 0.0"),
        ("--minutes -1", "minutes must be more than 0, got -1.0"),
        ("--redraw none.json", "cannot read none.json"),
        ("--redraw none.json --all", "--redraw measures nothing: leave out --all"),
        ("--redraw none.json --seconds 5", "--redraw measures nothing: leave out --seconds"),
    ],
)
def test_wrong_options_are_said_in_one_line(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(line.split()) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [("words", "expected the JSON of a comparison"), ("[]", "schema 2"), ('{"schema": 1}', "schema 2")],
)
def test_what_is_no_record_is_not_drawn(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "record.json"
    path.write_text(text, encoding="utf-8")
    assert command.main(["--redraw", str(path), "--out", str(tmp_path / "drawn")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()


def test_a_folder_that_cannot_be_made_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert command.main(["--out", str(tmp_path / "file" / "below")]) == 1
    assert "cannot make the folder" in capsys.readouterr().err
