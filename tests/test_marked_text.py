"""Figures between two comments of a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.marked_text import END, begin, check_place, write_between
from efdn.errors import OutputError


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before\n{begin('make bench')}\nold\n{END}\nafter {END}\n", encoding="utf-8")
    check_place(page, "make bench")
    write_between(page, "make bench", "new\n")
    assert page.read_text(encoding="utf-8") == f"before\n{begin('make bench')}\n\nnew\n\n{END}\nafter {END}\n"
    with pytest.raises(OutputError, match=r"expected <!-- figures: make test --> .* in README\.md"):
        write_between(page, "make test", "new")
    with pytest.raises(OutputError, match="cannot read"):
        check_place(tmp_path / "none.md", "make bench")


def test_other_figures_that_begin_before_the_end_are_not_replaced(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    text = f"{begin('make bench')}\nold\n{begin('make test')}\nothers\n{END}\n"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(OutputError, match="found no such place"):
        write_between(page, "make bench", "new")
    assert page.read_text(encoding="utf-8") == text
    write_between(page, "make test", "new")
    assert page.read_text(encoding="utf-8") == text.replace("\nothers\n", "\n\nnew\n\n")
