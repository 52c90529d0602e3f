"""Finds sets of pictures: HR, and LR where there are files of it.

A set is one of these:

    Set5/HR/*.png, Set5/LRx4/*.png                          equal names in both
    Set14/HR/*.png, Set14/LR_bicubic/X4/*x4.png             as EDSR's benchmark archive has them
    DIV2K/DIV2K_valid_HR, DIV2K/DIV2K_valid_LR_bicubic/X4   as DIV2K comes
    Urban100/HR/*.png                                       no LR: it is made
    photos/*.jpg                                            HR pictures themselves
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from efdn.errors import ImageError
from efdn.files import reason_of

ENDINGS = (".png", ".bmp", ".jpg", ".jpeg", ".webp")
HR = "HR"
HR_NAME = re.compile(rf"(.+_)?{HR}")
LOW_RESOLUTION = ("LRx{scale}", "LR_bicubic/X{scale}", "LR")
"""Where LR pictures are looked for beside the HR folder, the first that is there."""

LAYOUTS = "a folder with HR and LRx{scale} in it, or of HR pictures, or of such folders"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A picture of a set.

    Attributes:
        name: of the HR file, without its ending.
        hr: the HR file.
        lr: the LR file; None where LR is to be made of HR.
    """

    name: str
    hr: Path
    lr: Path | None


@dataclass(frozen=True, kw_only=True)
class PictureSet:
    """Pictures that are averaged over.

    Attributes:
        name: such as "Set5".
        hr_folder: where the HR pictures are.
        lr_folder: where the LR pictures are; None where LR is to be made of HR.
        pairs: in the order of their names.
        found: pictures of the set that there are; more than `pairs` where only some are wanted.
    """

    name: str
    hr_folder: Path
    lr_folder: Path | None
    pairs: tuple[Pair, ...]
    found: int


def find_all_sets(folders: Sequence[Path], scale: int, *, at_most: int | None = None) -> tuple[PictureSet, ...]:
    """The sets in some folders, those of few pictures first, each once, and no two of one name.

    Args:
        folders: see above; or folders of such folders.
        scale: of the LR pictures.
        at_most: pictures of a set, the first by name.

    Raises:
        ImageError: a folder is none or has no pictures in it, or an LR picture is missing.
    """
    found = {entry.hr_folder.resolve(): entry for folder in folders for entry in _sets_in(folder, scale, at_most)}
    names = [entry.name for entry in found.values()]
    distinct = [
        entry if names.count(entry.name) == 1 else replace(entry, name=str(entry.hr_folder)) for entry in found.values()
    ]
    return tuple(sorted(distinct, key=lambda entry: (entry.found, entry.name)))


def check_folders(folders: Iterable[Path]) -> None:
    """Raises ImageError unless all of them are folders; asked before any work."""
    for folder in folders:
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "is not there"
            raise ImageError(f"{folder} {what}: expected {LAYOUTS.format(scale=4)}")


def _sets_in(folder: Path, scale: int, at_most: int | None) -> list[PictureSet]:
    check_folders([folder])
    own = _sets_of(folder, scale, at_most)
    inner = own or [found for path in _listed(folder) if path.is_dir() for found in _sets_of(path, scale, at_most)]
    if not inner:
        raise ImageError(f"no pictures in {folder} ({', '.join(ENDINGS)}): expected {LAYOUTS.format(scale=scale)}")
    return inner


def _sets_of(folder: Path, scale: int, at_most: int | None) -> list[PictureSet]:
    """What the folder is itself, without looking into the folders in it."""
    with_hr = [path for path in _listed(folder) if path.is_dir() and HR_NAME.fullmatch(path.name)]
    if not with_hr:
        return [_set(folder, None, scale, at_most)] if _pictures(folder) else []
    return [_set(path, _lr_of(path, scale), scale, at_most) for path in with_hr]


def _set(hr_folder: Path, lr_folder: Path | None, scale: int, at_most: int | None) -> PictureSet:
    hr = _pictures(hr_folder)
    if not hr:
        raise ImageError(f"no pictures in {hr_folder}: expected {', '.join(ENDINGS)}")
    lr = None if lr_folder is None else {path.name: path for path in _pictures(lr_folder)}
    pairs = [_pair(path, lr, lr_folder, scale) for path in hr[:at_most]]
    return PictureSet(
        name=_name(hr_folder), hr_folder=hr_folder, lr_folder=lr_folder, pairs=tuple(pairs), found=len(hr)
    )


def _pair(hr: Path, lr: Mapping[str, Path] | None, lr_folder: Path | None, scale: int) -> Pair:
    if lr is None:
        return Pair(name=hr.stem, hr=hr, lr=None)
    stems = (hr.stem, f"{hr.stem}x{scale}", f"{hr.stem}_x{scale}")
    names = [hr.name, *(f"{stem}{ending}" for stem in stems for ending in (hr.suffix, *ENDINGS))]
    match = next((lr[name] for name in names if name in lr), None)
    if match is None:
        raise ImageError(f"no LR picture for {hr}: expected {names[0]} or {hr.stem}x{scale}{hr.suffix} in {lr_folder}")
    return Pair(name=hr.stem, hr=hr, lr=match)


def _lr_of(hr_folder: Path, scale: int) -> Path | None:
    prefix = hr_folder.name.removesuffix(HR)
    candidates = (hr_folder.parent / f"{prefix}{name.format(scale=scale)}" for name in LOW_RESOLUTION)
    return next((path for path in candidates if path.is_dir() and _pictures(path)), None)


def _name(hr_folder: Path) -> str:
    """Set5 for Set5/HR, DIV2K_valid for DIV2K/DIV2K_valid_HR, photos for photos."""
    whole = hr_folder.resolve()
    if not HR_NAME.fullmatch(whole.name):
        return whole.name
    return whole.name.removesuffix(HR).rstrip("_") or whole.parent.name


def _pictures(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if path.suffix.lower() in ENDINGS and path.is_file()]


def _listed(folder: Path) -> list[Path]:
    """What is in a folder, in the order of names, without hidden files."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ImageError(f"cannot read {folder}: {reason_of(error)}") from error
