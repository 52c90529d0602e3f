"""GIF files, still and moving."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from efdn.errors import ImageError
from efdn.pictures.picture import Color, Layout
from efdn.pictures.pillow_frames import pillow_frames, raise_pillows_limit
from efdn.pictures.stored import MOST_FRAMES, Raster, Shown, Source, Stored, split_alpha

EXTENSION, IMAGE, END = 0x21, 0x2C, 0x3B
CONTROL, APPLICATION = 0xF9, 0xFF
TO_BACKGROUND = 2


@dataclass(frozen=True, kw_only=True)
class _Frame:
    transparent: bool
    fills: bool
    right: int
    bottom: int
    disposal: int
    duration_ms: float


def open_gif(source: Source) -> Stored:
    """Reads everything but the pixels.

    Raises:
        ImageError: broken, or too large.
    """
    source.file.seek(0)
    width, height, flags = struct.unpack_from("<HHB", source.file.read(13).ljust(13, b"\0"), 6)
    source.check(width, height)
    source.file.seek(_table_bytes(flags), 1)
    frames, loops = _Blocks(source).frames(width, height)
    first, moving = frames[0], len(frames) > 1
    # A first frame beyond the screen makes it larger, as Pillow has it.
    width, height = max(width, first.right), max(height, first.bottom)
    # Where the first frame leaves no hole and none is made later, transparency only saved the file some bytes.
    holes = first.transparent or not first.fills
    alpha = holes or any(frame.disposal == TO_BACKGROUND for frame in frames[:-1])
    layout = Layout(width=width, height=height, color=Color.RGB, alpha=alpha)

    def play() -> Iterator[Shown]:
        from PIL.GifImagePlugin import GifImageFile

        raise_pillows_limit(width * height)
        source.file.seek(0)
        image = GifImageFile(source.file)
        return pillow_frames(image, len(frames), alpha=alpha, durations_ms=[frame.duration_ms for frame in frames])

    def load() -> Raster:
        shown = next(play())[0]
        return shown if alpha else split_alpha(shown.pixels, False)

    return Stored(
        format="GIF",
        kind="palette with transparency" if alpha else "palette",
        layout=layout,
        bits=8,
        load=load,
        play=play if moving else None,
        frames=len(frames),
        moving=moving,
        loops=loops,
    )


class _Blocks:
    """Goes through a GIF from block to block, from behind the screen's colour table on."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def frames(self, width: int, height: int) -> tuple[list[_Frame], int]:
        """All frames, and how often they are played.

        Raises:
            ImageError: there are too many of them.
            ValueError: there is none, or one is cut off.
        """
        found: list[_Frame] = []
        loops, control = 1, bytes(4)
        while (kind := self._kind(found)) != END:
            if kind == EXTENSION:
                label, blocks = self._take(1)[0], self._sub_blocks()
                if label == CONTROL and blocks and len(blocks[0]) >= 4:
                    control = blocks[0]
                elif (
                    label == APPLICATION and blocks[:1] == [b"NETSCAPE2.0"] and len(blocks) > 1 and len(blocks[1]) >= 3
                ):
                    loops = _plays(struct.unpack_from("<H", blocks[1], 1)[0])
            elif kind == IMAGE:
                found.append(self._frame(control, width, height))
                control = bytes(4)
            else:
                raise ValueError(f"a block of kind {kind} does not exist")
            if len(found) > MOST_FRAMES:
                raise ImageError(f"{self._source.path} has more than {MOST_FRAMES} frames: split it")
        if not found:
            raise ValueError("there is no picture in it")
        return found, loops

    def _frame(self, control: bytes, width: int, height: int) -> _Frame:
        """A frame of which the first byte has been taken, and what was said of it before."""
        left, top, wide, high, flags = struct.unpack("<HHHHB", self._take(9))
        self._take(_table_bytes(flags) + 1)
        self._sub_blocks()
        # A frame may be larger than the screen, and Pillow would make room for it.
        self._source.check(max(width, left + wide), max(height, top + high))
        return _Frame(
            transparent=bool(control[0] & 1),
            fills=not left and not top and wide >= width and high >= height,
            right=left + wide,
            bottom=top + high,
            disposal=control[0] >> 2 & 7,
            duration_ms=10.0 * struct.unpack_from("<H", control, 1)[0],
        )

    def _kind(self, found: list[_Frame]) -> int:
        """Of the next block; some files lack the one at the end."""
        kind = self._source.file.read(1)
        if not kind and not found:
            raise ValueError("the file ends before the picture does")
        return kind[0] if kind else END

    def _take(self, size: int) -> bytes:
        taken = self._source.file.read(size)
        if len(taken) < size:
            raise ValueError("the file ends before the picture does")
        return taken

    def _sub_blocks(self) -> list[bytes]:
        """Those up to the empty one; of long rows of them, the first two are all that matters."""
        blocks: list[bytes] = []
        while size := self._take(1)[0]:
            block = self._take(size)
            if len(blocks) < 2:
                blocks.append(block)
        return blocks


def _table_bytes(flags: int) -> int:
    """Bytes of a colour table, 0 if there is none."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _plays(repetitions: int) -> int:
    """GIF counts what follows the first time; 0 is forever in both."""
    return repetitions + 1 if repetitions else 0
