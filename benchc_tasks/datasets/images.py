"""Decode an image of any common format to upright RGB, or refuse it with one sentence."""

from __future__ import annotations

import io
import struct
import types
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from benchc_metrics.messages import reason_of
from benchc_tasks.datasets.schema import DatasetError, sample_name

__all__ = ["FORMATS", "HEAD_BYTES", "MAX_PIXELS", "decode_image", "head_problem"]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
MAX_PIXELS = 2**26
HEAD_BYTES = 32

_CURE = "replace it by an intact PNG, JPEG, GIF, BMP, WebP or TIFF file"
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_EXTRAS = (b"tRNS", b"eXIf")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_image(image: object, sample: str) -> Image.Image:
    """Decode an image and convert it to upright RGB.

    Parameters
    ----------
    image : bytes, mapping or PIL.Image.Image
        An encoded image, a `{"bytes": ..., "path": ...}` from a Hugging Face image column, or a decoded image.
    sample : str
        The sample's id, named in errors.

    Returns
    -------
    PIL.Image.Image of mode RGB
        A new image without metadata; the input is not changed.

    Raises
    ------
    DatasetError
        If the image cannot be decoded, is truncated, has no pixels or has more than `MAX_PIXELS`.

    Notes
    -----
    - Transparency is composited on white.
    - EXIF orientation is applied; unreadable EXIF is ignored.
    - 16-bit grey is divided by 257 and rounded; Pillow keeps the high byte of 16-bit colour.
    - A float image is read as [0, 1], or as [0, 255] if it exceeds 1.
    - Only the first frame of an animation is used.
    - Colour profiles are not applied.
    """
    try:
        opened = _open(image)
        _check_size(opened.size)
        _load_strictly(opened)
        orientation = _orientation(opened)
        rgb = _to_rgb(opened)
        if orientation in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[orientation])
    except DatasetError as error:
        raise DatasetError(f"{sample_name(sample)}: {error}") from error
    # Some sizes can only be checked by Pillow, such as that of a GIF's frame.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(
            f"{sample_name(sample)}: its image has more than {MAX_PIXELS:,} pixels; scale it down"
        ) from error
    except UnidentifiedImageError as error:
        raise DatasetError(
            f"{sample_name(sample)}: its image cannot be decoded (its header is broken); {_CURE}"
        ) from error
    # Pillow's readers may raise almost any exception on a broken file.
    except Exception as error:
        raise DatasetError(
            f"{sample_name(sample)}: its image cannot be decoded ({reason_of(error)}); {_CURE}"
        ) from error
    # Processors rotate an image by its EXIF orientation, so the upright image must not keep it.
    rgb.info = {}
    return rgb


def head_problem(head: bytes) -> str | None:
    """Check the first bytes of an encoded image without decoding it.

    Parameters
    ----------
    head : bytes
        The image's first `HEAD_BYTES`, or all of it if it is shorter.

    Returns
    -------
    str or None
        The fault and its cure as a clause; None if the bytes begin an image.
    """
    if not head:
        return f"its image is empty; {_CURE}"
    size = _size_reader(head)
    if size is None:
        return f"its image does not begin like any known format; {_CURE}"
    try:
        width, height = size(head)
    except struct.error:
        return f"its image ends within its header; {_CURE}"
    # A negative height marks a BMP that is stored from top to bottom.
    return _size_problem(abs(width), abs(height))


def _size_problem(width: int, height: int) -> str | None:
    if not width or not height:
        return f"its image has {width} x {height} pixels; {_CURE}"
    if width * height > MAX_PIXELS:
        return f"its image has {width} x {height} pixels, more than {MAX_PIXELS:,}; scale it down"
    return None


def _check_size(size: tuple[int, int]) -> None:
    problem = _size_problem(*size)
    if problem:
        raise DatasetError(problem)


def _size_reader(head: bytes) -> Callable[[bytes], tuple[int, int]] | None:
    if head.startswith(_PNG_HEAD):
        return lambda data: struct.unpack_from(">II", data, 16)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return lambda data: struct.unpack_from("<HH", data, 6)
    if head.startswith(b"BM"):
        return lambda data: struct.unpack_from("<HH" if data[14:18] == b"\x0c\0\0\0" else "<ii", data, 18)
    # These store their size beyond the head; decoding checks it.
    if head.startswith((b"\xff\xd8\xff", b"II*\0", b"MM\0*")) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return lambda data: (1, 1)
    return None


class _WholeFile(io.BytesIO):
    """A file that raises an error if a decoder reads beyond its end after the header."""

    strict = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self.strict and not data and size:
            raise OSError("it is truncated")
        return data


# lmms-eval sets ImageFile.LOAD_TRUNCATED_IMAGES for the whole process; Pillow then fills broken images with grey.
# Turning it off here would race with other threads, so this is a copy of Pillow's loader with the flag off.
_strict_load = types.FunctionType(
    ImageFile.ImageFile.load.__code__, {**vars(ImageFile), "LOAD_TRUNCATED_IMAGES": False}, "load"
)
# Pillow warns about large images before we can check their size, and does not name them. So this is a copy of Pillow's
# opener with our check in place of its own.
_open_encoded = types.FunctionType(
    Image.open.__code__, {**vars(Image), "_decompression_bomb_check": _check_size}, "open", Image.open.__defaults__
)


def _open(image: object) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, Mapping):
        image = image.get("bytes")
    if not isinstance(image, (bytes, bytearray, memoryview)):
        raise DatasetError(f"its image is of type {type(image).__name__}; give encoded bytes or a PIL image")
    encoded = bytes(image)
    problem = head_problem(encoded[:HEAD_BYTES])
    if problem:
        raise DatasetError(problem)
    if encoded.startswith(_PNG_HEAD):
        encoded = b"".join(_chunks_of_the_picture(encoded))
    opened: Image.Image = _open_encoded(_WholeFile(encoded), formats=FORMATS)
    return opened


def _chunks_of_the_picture(png: bytes) -> Iterator[bytes]:
    """Yield a PNG's chunks without those that do not affect pixels.

    Otherwise lmms-eval's settings would decide if Pillow refuses a broken colour profile or a huge text.
    """
    yield _PNG_HEAD
    start = len(_PNG_HEAD)
    while start + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, start)
        end = start + 12 + length
        name, chunk = png[start + 4 : start + 8], png[start:end]
        # An upper-case first letter marks a chunk that a decoder must understand.
        if name[:1].isupper() or (name in _PNG_EXTRAS and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")):
            yield chunk
        if name == b"IEND":
            return
        start = end


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    # Pillow's EXIF reader may raise almost any exception on broken data; viewers then show the picture as stored.
    except Exception:
        return 1


def _load_strictly(image: Image.Image) -> None:
    stream = getattr(image, "fp", None)
    if not isinstance(stream, _WholeFile):
        image.load()
        return
    stream.strict = True
    if type(image).load is ImageFile.ImageFile.load:
        _strict_load(image)
    else:
        image.load()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _wide_grey_to_rgb(image)
    if image.mode == "LAB":
        raise DatasetError("its image is in CIELAB, which needs a colour profile; save it as RGB")
    if image.mode == "F":
        return _float_to_rgb(image)
    if image.has_transparency_data:
        return _composite_on_white(image)
    return image.convert("RGB")


def _composite_on_white(image: Image.Image) -> Image.Image:
    # Pillow converts premultiplied grey to RGBA only through plain grey with alpha.
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _wide_grey_to_rgb(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DatasetError("its image holds integers outside 0..65535; save it with 8 or 16 bits a channel")
    grey = np.rint(values / 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _float_to_rgb(image: Image.Image) -> Image.Image:
    values = cast("npt.NDArray[np.float32]", np.asarray(image)).astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise DatasetError("its image holds floats outside 0..1 and of 0..255; save it with 8 or 16 bits a channel")
    scale = 255 if values.max() <= 1 else 1
    return Image.fromarray(np.rint(values * scale).astype(np.uint8)).convert("RGB")
