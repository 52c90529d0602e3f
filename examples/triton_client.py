"""Upscales a picture through Triton Inference Server: `python triton_client.py photo.png photo_x4.png`.

Needs tritonclient[grpc], numpy and Pillow, and nothing of efdn. The picture goes to the server whole, as an
8-bit RGB array, so that its size is limited by the memory there: 2 to 4 kB a pixel on a CPU. What is 16 bits
deep or transparent, and what takes tiles, is left to efdn-infer.
"""

from __future__ import annotations

import argparse
from pathlib import Path

try:
    import numpy as np
    import tritonclient.grpc as triton
    from PIL import Image, ImageOps
except ImportError as error:
    raise SystemExit(f'{error}: pip install "tritonclient[grpc]" pillow') from error

PAD = 8
"""Pixels by which pictures are mirrored outwards: the network is off in its last ones."""


def main() -> None:
    """Reads the command line, and the picture; asks the server; writes the result."""
    parser = argparse.ArgumentParser(description="Upscale a picture through Triton Inference Server.")
    parser.add_argument("picture", type=Path, help="8-bit gray or RGB")
    parser.add_argument("output", type=Path, help="file to write, its format by its ending")
    parser.add_argument("--model", default="efdn_x4", help="name in the model repository")
    parser.add_argument("--url", default="localhost:8001", help="the server's gRPC address")
    parser.add_argument("--pad", type=int, default=PAD, help="pixels to mirror outwards, for models of any size")
    parser.add_argument("--max-pixels", type=int, default=640_000, help="larger pictures are refused")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for the server")
    wanted = parser.parse_args()
    if wanted.output.suffix.lower() not in Image.registered_extensions():
        parser.error(f"cannot tell the format of {wanted.output}: give it an ending such as .png")
    try:
        pixels, profile = read_picture(wanted.picture, wanted.max_pixels)
        result = upscale(pixels, wanted.url, wanted.model, wanted.pad, wanted.timeout)
        Image.fromarray(result).save(wanted.output, icc_profile=profile, quality=95)
    except triton.InferenceServerException as error:
        raise SystemExit(
            f"{wanted.url}: {error.message()}; expected the gRPC port of Triton (8001, not 8000) and a model it has"
        ) from error
    except OSError as error:
        raise SystemExit(f"{error}: expected a picture that Pillow reads, and a place to write to") from error


def read_picture(path: Path, max_pixels: int) -> tuple[np.ndarray, bytes | None]:
    """A picture as (H, W, 3) uint8, upright, and its colour profile."""
    with Image.open(path) as image:
        if image.mode not in ("L", "P", "RGB") or "transparency" in image.info:
            raise SystemExit(f"{path}: expected 8-bit gray or RGB, opaque: use efdn-infer for mode {image.mode}")
        if getattr(image, "n_frames", 1) > 1:
            raise SystemExit(f"{path} has several frames: use efdn-infer --frames all")
        if image.width * image.height > max_pixels:
            raise SystemExit(f"{path} has more than {max_pixels} pixels: use efdn-infer, or raise --max-pixels")
        profile = image.info.get("icc_profile") if image.mode == "RGB" else None
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")), profile


def upscale(pixels: np.ndarray, url: str, model: str, pad: int = PAD, timeout: float = 600) -> np.ndarray:
    """The picture as the server returns it.

    Args:
        pixels: (H, W, 3) uint8.
        url: host and port of gRPC.
        model: its name there.
        pad: pixels to mirror outwards; none where the model takes but one height or width.
        timeout: in seconds.

    Returns:
        (scale * H, scale * W, 3) uint8.
    """
    with triton.InferenceServerClient(url) as server:
        (source,) = server.get_model_metadata(model, client_timeout=timeout).inputs
        free = source.shape[1:] == [-1, -1, 3]
        around = [(pad, pad) if free else (0, 0)] * 2 + [(0, 0)]
        feed = np.pad(pixels, around, mode="symmetric")[np.newaxis]
        tensor = triton.InferInput(source.name, list(feed.shape), source.datatype)
        tensor.set_data_from_numpy(feed)
        result = server.infer(model, [tensor], client_timeout=timeout).as_numpy("output")[0]
    scale = result.shape[0] // feed.shape[1]
    top, left = (scale * before for before, _ in around[:2])
    large: np.ndarray = result[top : top + scale * pixels.shape[0], left : left + scale * pixels.shape[1]]
    return large


if __name__ == "__main__":
    main()
