"""Decode an encoded image of any usual kind to upright RGB, or refuse it with a sentence."""

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

_CURE = "replace it by a whole PNG, JPEG, GIF, BMP, WebP or TIFF file"
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
    """Decode an image and bring it to upright RGB.

    Parameters
    ----------
    image : bytes, mapping or PIL.Image.Image
        An encoded image, the `{"bytes": ..., "path": ...}` of Hugging Face's image columns, or an image.
    sample : str
        The sample's id, for the error's sentence.

    Returns
    -------
    PIL.Image.Image of mode RGB
        A new image without metadata; the one that came in is left as it was.

    Raises
    ------
    DatasetError
        If the image cannot be decoded, is truncated, has no pixels or has more than `MAX_PIXELS`.

    Notes
    -----
    Transparency is composited on white; EXIF orientation is applied, and EXIF that cannot be read is passed over;
    16-bit grey is divided by 257 and rounded (of 16-bit colour Pillow keeps the high byte); a float image is read as
    [0, 1], or as [0, 255] if it exceeds 1; of an animation the first frame counts; colour profiles are not applied.
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
    # A bomb that Pillow finds where no size can be checked before, such as in a frame of a GIF.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(
            f"{sample_name(sample)}: its image has more than {MAX_PIXELS:,} pixels; scale it down"
        ) from error
    except UnidentifiedImageError as error:
        raise DatasetError(
            f"{sample_name(sample)}: its image cannot be decoded (its header is broken); {_CURE}"
        ) from error
    # Pillow's readers raise nearly any exception on a broken file.
    except Exception as error:
        raise DatasetError(
            f"{sample_name(sample)}: its image cannot be decoded ({reason_of(error)}); {_CURE}"
        ) from error
    # Processors turn an image by its EXIF orientation: one that is upright must no longer carry any.
    rgb.info = {}
    return rgb


def head_problem(head: bytes) -> str | None:
    """Find the fault that the first bytes of an encoded image show, without decoding it.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of it, or all if it is shorter.

    Returns
    -------
    str or None
        A clause with its cure, or None if this is the beginning of an image.
    """
    if not head:
        return f"its image is empty; {_CURE}"
    size = _size_reader(head)
    if size is None:
        return f"its image begins as none of the known formats do; {_CURE}"
    try:
        width, height = size(head)
    except struct.error:
        return f"its image ends within its header; {_CURE}"
    # A BMP that is stored from top to bottom has a negative height.
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
    # These keep their size further back than a look at the head reaches: decoding finds out.
    if head.startswith((b"\xff\xd8\xff", b"II*\0", b"MM\0*")) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return lambda data: (1, 1)
    return None


class _WholeFile(io.BytesIO):
    """A file that a decoder may not read beyond the end of once its header is read."""

    strict = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self.strict and not data and size:
            raise OSError("it is truncated")
        return data


# lmms-eval sets ImageFile.LOAD_TRUNCATED_IMAGES for the whole process, and Pillow then fills up broken images with
# grey. Turning it off here would race with other threads, so this is Pillow's own loader with the flag off in it.
_strict_load = types.FunctionType(
    ImageFile.ImageFile.load.__code__, {**vars(ImageFile), "LOAD_TRUNCATED_IMAGES": False}, "load"
)
# Pillow warns of half of the bombs, without a name, before their size can be asked for: this is its own opener with our
# check in the place of its check.
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
    """Yield a PNG's pieces without those that no pixel depends on.

    A broken colour profile, or a text that is a bomb by itself, is a fault to Pillow or is none, as lmms-eval sets it.
    """
    yield _PNG_HEAD
    start = len(_PNG_HEAD)
    while start + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, start)
        end = start + 12 + length
        name, chunk = png[start + 4 : start + 8], png[start:end]
        # The case of the first letter tells what a decoder must understand.
        if name[:1].isupper() or (name in _PNG_EXTRAS and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")):
            yield chunk
        if name == b"IEND":
            return
        start = end


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    # Pillow's reader of EXIF raises nearly any exception on what is none; people see such a picture as it is stored.
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
    # Pillow has no way from premultiplied grey to RGBA but over plain grey with alpha.
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _wide_grey_to_rgb(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise DatasetError("its image holds integers outside of 0..65535; save it with 8 or 16 bits a channel")
    grey = np.rint(values / 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if transparent is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _float_to_rgb(image: Image.Image) -> Image.Image:
    values = cast("npt.NDArray[np.float32]", np.asarray(image)).astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise DatasetError("its image holds floats outside of 0..1 and of 0..255; save it with 8 or 16 bits a channel")
    scale = 255 if values.max() <= 1 else 1
    return Image.fromarray(np.rint(values * scale).astype(np.uint8)).convert("RGB")
