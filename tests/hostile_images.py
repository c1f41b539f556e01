"""Image files that no careful person would put into a dataset, made from nothing and the same every time."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["encoded_image", "odd_images", "scene", "undecodable_images", "unrecognisable_images"]

BOMB_SIDE = 20_000
ORIENTATION_TAG = 0x0112
TURN_CLOCKWISE = 6


def scene() -> Image.Image:
    """Coloured blocks, 40 x 32: turned, tinted or emptied they are another picture."""
    blocks = np.random.default_rng(11).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((40, 32), Image.Resampling.NEAREST)


def odd_images() -> dict[str, bytes]:
    """Whole images of unusual kinds: each has a picture to show."""
    picture, grey = scene(), scene().convert("L")
    invisible = scene().convert("RGBA")
    invisible.putalpha(0)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = TURN_CLOCKWISE
    frames = {"save_all": True, "append_images": [Image.new("RGB", picture.size), picture.rotate(180)]}
    png = encoded_image(picture)
    return {
        "1 x 1": encoded_image(Image.new("RGB", (1, 1), (200, 30, 30))),
        "1 x 5000": encoded_image(picture.resize((1, 5000))),
        "5000 x 1": encoded_image(picture.resize((5000, 1))),
        "CMYK JPEG": encoded_image(picture.convert("CMYK"), "JPEG"),
        "16-bit grey PNG": encoded_image(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)),
        "16-bit colour PNG": _colour_png(np.asarray(picture).astype(">u2") * 257),
        "float TIFF": encoded_image(Image.fromarray(np.asarray(grey).astype(np.float32) / 255), "TIFF"),
        "1-bit PNG": encoded_image(grey.convert("1")),
        "palette with transparency": encoded_image(picture.quantize(16), transparency=bytes(range(0, 256, 16))),
        "grey with alpha": encoded_image(scene().convert("LA")),
        "RGBA, wholly transparent": encoded_image(invisible),
        "animated GIF": encoded_image(picture, "GIF", **frames),
        "animated PNG": encoded_image(picture, **frames),
        "TIFF of three pages": encoded_image(picture, "TIFF", **frames),
        "lossy WebP": encoded_image(picture, "WEBP", quality=40),
        "lossless WebP": encoded_image(picture, "WEBP", lossless=True),
        "JPEG turned by its EXIF": encoded_image(picture, "JPEG", exif=exif),
        "EXIF cut off in a JPEG": encoded_image(picture, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09\1\x12"),
        "no EXIF in a PNG's EXIF": _with_chunks(png, [(b"eXIf", b"nothing of the kind")]),
        "corrupt ICC profile in a JPEG": encoded_image(picture, "JPEG", icc_profile=b"no profile" * 20),
        "corrupt ICC profile in a PNG": _with_chunks(png, [(b"iCCP", b"profile\0\0not compressed")]),
        "huge ICC profile in a PNG": _with_chunks(png, [(b"iCCP", b"profile\0\0" + _squeezed_zeros(3_000_000))]),
        "huge text in a PNG": _with_chunks(png, [(b"zTXt", b"Comment\0\0" + _squeezed_zeros(30_000_000))]),
        "text with a wrong checksum": _with_chunks(png, [(b"tEXt", b"Comment\0a")]).replace(b"\0a", b"\0b"),
        "something behind the end": png + b"something else" * 50,
    }


def undecodable_images() -> dict[str, bytes]:
    """Files that begin as images do, and have no picture that may be shown."""
    noise = Image.fromarray(np.random.default_rng(12).integers(0, 256, (90, 90, 3), dtype=np.uint8))
    formats = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
    cut_off = {f"{kind} cut off": encoded_image(noise, kind) for kind in formats}
    png, jpeg, tiff = encoded_image(scene()), encoded_image(scene(), "JPEG"), encoded_image(scene(), "TIFF")
    grey = np.asarray(scene().convert("L"))
    return {
        **{name: image[: len(image) // 2] for name, image in cut_off.items()},
        "zeros in the pixels": png[:60] + bytes(40) + png[100:],
        "wrong checksum of the header": _replaced(png, 29, b"\0\0\0\0"),
        "PNG without pixels": png[:33] + _chunk(b"IEND", b""),
        "JPEG without pixels": jpeg[:2] + b"\xff\xd9",
        "TIFF of an unknown compression": _with_tiff_tag(tiff, 259, 9999),
        "JPEG bomb": _replaced(jpeg, jpeg.index(b"\xff\xc0") + 5, struct.pack(">HH", BOMB_SIDE, BOMB_SIDE)),
        "JPEG bomb that Pillow only warns of": _replaced(
            jpeg, jpeg.index(b"\xff\xc0") + 5, struct.pack(">HH", 10_000, 10_000)
        ),
        "TIFF bomb": _with_tiff_tag(_with_tiff_tag(tiff, 256, BOMB_SIDE), 257, BOMB_SIDE),
        "WebP bomb": _webp_bomb(),
        "GIF bomb in a frame": _gif_bomb(),
        "CIELAB TIFF": encoded_image(Image.new("LAB", (4, 4)), "TIFF"),
        "integers beyond 16 bits": encoded_image(Image.fromarray(grey.astype(np.int32) * 1000), "TIFF"),
        "floats beyond 255": encoded_image(Image.fromarray(grey.astype(np.float32) * 10), "TIFF"),
        "nan among the floats": encoded_image(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"),
    }


def unrecognisable_images() -> dict[str, bytes]:
    """Files whose first bytes are not those of an image that may be shown."""
    png = encoded_image(scene())
    return {
        "zero bytes": b"",
        "a text": b"a photograph of a cat\n",
        "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "a web page": b"<!DOCTYPE html><title>404 Not Found</title>",
        "a PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        "PNG of ten bytes": png[:10],
        "PNG of no width": _replaced(png, 16, struct.pack(">II", 0, 5)),
        "PNG bomb": _black_and_white_png(BOMB_SIDE),
    }


def encoded_image(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    """Return an image as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def _replaced(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _squeezed_zeros(length: int) -> bytes:
    return zlib.compress(bytes(length), 9)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _with_chunks(png: bytes, chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Put chunks between a PNG's header and its pixels."""
    return png[:33] + b"".join(_chunk(name, data) for name, data in chunks) + png[33:]


def _png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 6)), _chunk(b"IEND", b""))
    )


def _colour_png(pixels: np.ndarray) -> bytes:
    """16 bits a channel, which Pillow does not write."""
    height, width, _ = pixels.shape
    return _png(width, height, 16, 2, b"".join(b"\0" + row.tobytes() for row in pixels))


def _black_and_white_png(side: int) -> bytes:
    """A whole PNG of a few kilobytes that takes 400 MB when Pillow decodes it."""
    return _png(side, side, 1, 0, bytes((1 + (side + 7) // 8) * side))


def _with_tiff_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """Change a number in the directory of a little-endian TIFF."""
    (directory,) = struct.unpack_from("<I", tiff, 4)
    (entries,) = struct.unpack_from("<H", tiff, directory)
    places = [directory + 2 + 12 * entry for entry in range(entries)]
    (place,) = (place for place in places if struct.unpack_from("<H", tiff, place) == (tag,))
    return _replaced(tiff, place + 2, struct.pack("<HII", 4, 1, value))


def _webp_bomb() -> bytes:
    """A lossless WebP whose header says 16,384 x 16,384 pixels, the most that it can."""
    whole = encoded_image(scene(), "WEBP", lossless=True)
    (header,) = struct.unpack_from("<I", whole, 21)
    return _replaced(whole, 21, struct.pack("<I", header | 0x0FFFFFFF))


def _gif_bomb() -> bytes:
    """A small GIF with a frame that is larger than its screen."""
    gif = encoded_image(scene(), "GIF")
    width, height = scene().size
    frame = gif.index(struct.pack("<BHHHH", 0x2C, 0, 0, width, height))
    return _replaced(gif, frame + 5, struct.pack("<HH", BOMB_SIDE, BOMB_SIDE))
