from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from benchc_tasks.datasets import DatasetError, decode_image
from benchc_tasks.datasets import images as images_module
from benchc_tasks.datasets.images import HEAD_BYTES, MAX_PIXELS, head_problem

NOISE = np.random.default_rng(3).integers(0, 256, (40, 50, 4), dtype=np.uint8)


def pixels(image: object) -> np.ndarray:
    decoded = decode_image(image, "s1")
    assert decoded.mode == "RGB"
    return np.asarray(decoded)


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Composite (H, W, 3) with (H, W) alpha on white, in exact arithmetic, rounded."""
    a = alpha[..., None].astype(float) / 255
    return colour * a + 255 * (1 - a)


def grey_as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_rgb_keeps_every_pixel(encode, kind):
    settings = {"lossless": True} if kind == "WEBP" else {}
    encoded = encode(Image.fromarray(NOISE[..., :3]), kind, **settings)
    np.testing.assert_array_equal(pixels(encoded), NOISE[..., :3])


def test_jpeg_is_decoded(encode):
    smooth = np.full((16, 24, 3), (200, 120, 40), np.uint8)
    decoded = pixels(encode(Image.fromarray(smooth), "JPEG", quality=95)).astype(int)
    assert np.abs(decoded - smooth).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_grey_is_repeated(encode, kind):
    grey = NOISE[..., 0]
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(grey), kind)), grey_as_rgb(grey))


def test_one_bit_is_black_and_white(encode):
    bits = NOISE[..., 0] > 127
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(bits))), grey_as_rgb(bits.astype(np.uint8) * 255))


def palette_image() -> Image.Image:
    image = Image.fromarray(NOISE[..., 0] % 3).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 255, 0])
    return image


PALETTE = np.array([[10, 20, 30], [200, 100, 50], [0, 255, 0]], dtype=np.uint8)


def test_palette(encode):
    np.testing.assert_array_equal(pixels(encode(palette_image())), PALETTE[NOISE[..., 0] % 3])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour_shows_white(encode, kind):
    expected = PALETTE.copy()
    expected[1] = 255
    encoded = encode(palette_image(), kind, transparency=1)
    np.testing.assert_array_equal(pixels(encoded), expected[NOISE[..., 0] % 3])


def test_palette_with_an_alpha_for_each_colour(encode):
    alphas = np.array([0, 128, 255], dtype=np.uint8)
    index = NOISE[..., 0] % 3
    decoded = pixels(encode(palette_image(), transparency=alphas.tobytes()))
    np.testing.assert_allclose(decoded, on_white(PALETTE[index], alphas[index]), atol=0.51)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_rgba_is_composited_on_white(encode, kind):
    settings = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = pixels(encode(Image.fromarray(NOISE), kind, **settings))
    np.testing.assert_allclose(decoded, on_white(NOISE[..., :3], NOISE[..., 3]), atol=0.51)


def test_grey_with_alpha_is_composited_on_white(encode):
    image = Image.merge("LA", [Image.fromarray(NOISE[..., 0]), Image.fromarray(NOISE[..., 3])])
    decoded = pixels(encode(image))
    np.testing.assert_allclose(decoded, on_white(grey_as_rgb(NOISE[..., 0]), NOISE[..., 3]), atol=0.51)


@pytest.mark.parametrize(("straight", "premultiplied"), [("LA", "La"), ("RGBA", "RGBa")])
def test_premultiplied_alpha_is_composited_on_white(straight, premultiplied):
    bands = [Image.fromarray(NOISE[..., band]) for band in range(len(straight) - 1)]
    image = Image.merge(straight, [*bands, Image.fromarray(NOISE[..., 3] | 128)])
    np.testing.assert_allclose(pixels(image.convert(premultiplied)).astype(int), pixels(image), atol=2)


@pytest.mark.parametrize(
    ("mode", "key"),
    [("L", 7), ("RGB", (7, 8, 9)), ("1", 0), ("I;16", 7 * 257)],
    ids=["grey", "colour", "bit", "16-bit"],
)
def test_a_transparent_key_colour_shows_white(encode, mode, key):
    image = {
        "L": lambda: Image.new("L", (2, 1), 7),
        "RGB": lambda: Image.new("RGB", (2, 1), (7, 8, 9)),
        "1": lambda: Image.new("1", (2, 1), 0),
        "I;16": lambda: Image.fromarray(np.full((1, 2), 7 * 257, np.uint16)),
    }[mode]()
    opaque = {"L": 100, "RGB": (100, 100, 100), "1": 1, "I;16": 100 * 257}[mode]
    image.putpixel((1, 0), opaque)
    decoded = pixels(encode(image, transparency=key))
    shown = 255 if mode == "1" else 100
    np.testing.assert_array_equal(decoded, [[[255] * 3, [shown] * 3]])


def test_cmyk(encode):
    decoded = pixels(encode(Image.frombytes("CMYK", (50, 40), NOISE.tobytes()), "TIFF"))
    ink = NOISE.astype(float)
    expected = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    np.testing.assert_allclose(decoded, expected, atol=1)


def test_cmyk_jpeg_is_not_inverted(encode):
    paper = encode(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")
    cyan = encode(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=95)
    assert pixels(paper).min() >= 253
    np.testing.assert_allclose(pixels(cyan)[8, 8].astype(int), [0, 255, 255], atol=3)


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")])
def test_sixteen_bit_grey_is_scaled_by_257(encode, kind, order):
    values = np.array([[0, 128, 129, 257], [32767, 32768, 65406, 65535]], dtype=order)
    image = Image.frombytes("I;16B" if order == ">u2" else "I;16", (4, 2), values.tobytes())
    expected = np.array([[0, 0, 1, 1], [127, 128, 254, 255]])
    np.testing.assert_array_equal(pixels(encode(image, kind)), grey_as_rgb(expected))


def test_32_bit_integers_hold_16_bit_grey(encode):
    values = np.array([[0, 257, 65535]], dtype=np.int32)
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(values), "TIFF"))[0, :, 0], [0, 1, 255])


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_beyond_16_bits_are_refused(encode, value):
    encoded = encode(Image.fromarray(np.array([[value]], dtype=np.int32)), "TIFF")
    with pytest.raises(DatasetError, match=r"sample 's1': its image holds integers outside 0\.\.65535; save it"):
        decode_image(encoded, "s1")


@pytest.mark.parametrize(
    ("values", "expected"), [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 1.4, 254.6], [0, 1, 255])], ids=["to 1", "to 255"]
)
def test_floats(encode, values, expected):
    encoded = encode(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF")
    np.testing.assert_array_equal(pixels(encoded)[0, :, 1], expected)


@pytest.mark.parametrize("value", [-0.1, 255.1, float("nan"), float("inf")])
def test_floats_beyond_both_ranges_are_refused(encode, value):
    encoded = encode(Image.fromarray(np.array([[0.0, value]], dtype=np.float32)), "TIFF")
    with pytest.raises(DatasetError, match=r"sample 's1': its image holds floats outside 0\.\.1 and of 0\.\.255"):
        decode_image(encoded, "s1")


def test_cielab_is_refused(encode):
    with pytest.raises(DatasetError, match=r"^sample 's1': its image is in CIELAB, which needs a colour profile; save"):
        decode_image(encode(Image.new("LAB", (4, 4)), "TIFF"), "s1")


def test_the_first_frame_of_an_animation(encode):
    frames = [Image.new("RGB", (3, 3), colour) for colour in ("red", "blue")]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(pixels(encoded)[0, 0], [255, 0, 0])


# What a camera stores when the scene is UPRIGHT: written from the EXIF standard's table, not from Pillow's.
STORED = {
    1: lambda scene: scene,
    2: lambda scene: scene[:, ::-1],
    3: lambda scene: scene[::-1, ::-1],
    4: lambda scene: scene[::-1],
    5: lambda scene: scene.transpose(1, 0, 2),
    6: lambda scene: np.rot90(scene, 1),
    7: lambda scene: scene[::-1, ::-1].transpose(1, 0, 2),
    8: lambda scene: np.rot90(scene, -1),
}
COLOURS = [[[250, 10, 10], [10, 250, 10], [10, 10, 250]], [[0, 0, 0], [120, 120, 120], [255, 255, 255]]]
SCENE = np.kron(np.array(COLOURS), np.ones((16, 16, 1))).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(encode, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](SCENE)))
    decoded = decode_image(encode(stored, kind, exif=exif, **settings), "s1")
    np.testing.assert_allclose(np.asarray(decoded).astype(int), SCENE, atol=4 if kind == "JPEG" else 0)
    # A processor that applies the orientation again finds nothing to apply.
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(decoded)), np.asarray(decoded))
    assert decoded.info == {}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\0\0no EXIF", b"Exif\0\0MM\0*\0\0\0\x08\0\x09\1\x12"], ids=["none", "cut"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_that_cannot_be_read_leaves_the_image(encode, kind, exif):
    settings = {"lossless": True} if kind == "WEBP" else {}
    image = Image.fromarray(SCENE)
    np.testing.assert_array_equal(
        pixels(encode(image, kind, exif=exif, **settings)), pixels(encode(image, kind, **settings))
    )


def test_an_orientation_that_does_not_exist_leaves_the_image(encode):
    exif = Image.Exif()
    exif[0x0112] = 9
    np.testing.assert_array_equal(pixels(encode(Image.fromarray(SCENE), exif=exif)), SCENE)


def test_all_forms_of_an_image_give_the_same_pixels(encode):
    encoded = encode(Image.fromarray(NOISE))
    for form in (bytearray(encoded), memoryview(encoded), {"bytes": encoded, "path": "a.png"}, Image.fromarray(NOISE)):
        np.testing.assert_array_equal(pixels(form), pixels(encoded))


def test_an_image_that_comes_in_is_left_as_it_was():
    image = Image.fromarray(NOISE[..., :3])
    image.info["note"] = "kept"
    decoded = decode_image(image, "s1")
    decoded.paste((0, 0, 0), (0, 0, 50, 40))
    np.testing.assert_array_equal(np.asarray(image), NOISE[..., :3])
    assert image.info == {"note": "kept"}


WHOLE = {
    "png": ("PNG", {}),
    "jpeg": ("JPEG", {"quality": 95}),
    "progressive jpeg": ("JPEG", {"progressive": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "webp": ("WEBP", {}),
    "tiff": ("TIFF", {}),
    "lzw tiff": ("TIFF", {"compression": "tiff_lzw"}),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("lenient", [False, True], ids=["Pillow's default", "as lmms-eval sets it"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("form", WHOLE)
def test_a_truncated_image_is_refused(encode, monkeypatch, form, share, lenient):
    kind, settings = WHOLE[form]
    encoded = encode(Image.fromarray(NOISE[..., :3]).resize((300, 300)), kind, **settings)
    # lmms-eval turns this on for its whole process, and Pillow then pads truncated images with grey.
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    assert pixels(encoded).shape == (300, 300, 3)
    with pytest.raises(
        DatasetError, match=r"^sample 's1': its image cannot be decoded \(.+\); replace it by an intact"
    ):
        decode_image(encoded[: int(len(encoded) * share)], "s1")
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


@pytest.mark.parametrize("lenient", [False, True])
def test_broken_data_inside_a_whole_file_is_refused(encode, monkeypatch, lenient):
    encoded = bytearray(encode(Image.fromarray(NOISE)))
    encoded[200:260] = bytes(60)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    with pytest.raises(DatasetError, match=r"^sample 's1': its image cannot be decoded"):
        decode_image(encoded, "s1")


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (b"", "its image is empty; replace it"),
        (b"<svg/>", "its image does not begin like any known format; replace it"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "its image ends within its header; replace it"),
        (b"\xff\xd8\xff\xe0 and no more", "its image cannot be decoded"),
        (None, "its image is of type NoneType; give encoded bytes"),
        ("a.png", "its image is of type str; give encoded bytes"),
        ({"bytes": None, "path": "a.png"}, "its image is of type NoneType; give encoded bytes"),
        (Image.new("RGB", (0, 5)), "its image has 0 x 5 pixels; replace it"),
    ],
    ids=range(8),
)
def test_what_is_no_image_is_refused_in_one_sentence(image, sentence):
    with pytest.raises(DatasetError, match=f"^sample 'a/1': {sentence}") as caught:
        decode_image(image, "a/1")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(encode, monkeypatch):
    monkeypatch.setattr(images_module, "MAX_PIXELS", 40 * 50 - 1)
    with pytest.raises(
        DatasetError, match=r"^sample 's1': its image has 50 x 40 pixels, more than 1,999; scale it down$"
    ):
        decode_image(encode(Image.fromarray(NOISE)), "s1")
    monkeypatch.setattr(images_module, "MAX_PIXELS", 40 * 50)
    assert pixels(encode(Image.fromarray(NOISE))).shape == (40, 50, 3)


@pytest.mark.parametrize("side", [8193, 10000, 30000])
def test_a_decompression_bomb_is_refused(encode, side):
    bomb = bytearray(encode(Image.fromarray(NOISE)))
    bomb[16:24] = struct.pack(">II", side, side)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            DatasetError, match=f"its image has {side} x {side} pixels, more than {MAX_PIXELS:,}; scale"
        ):
            decode_image(bomb, "s1")
    assert (
        head_problem(bomb[:HEAD_BYTES]) == f"its image has {side} x {side} pixels, more than 67,108,864; scale it down"
    )


@pytest.mark.parametrize("side", [8193, 10000, 20000])
def test_a_bomb_whose_head_does_not_tell_is_refused_without_a_warning(encode, side):
    """In a JPEG the size stands further back; Pillow warns of one of 10,000 x 10,000 pixels."""
    bomb = bytearray(encode(Image.fromarray(NOISE[..., :3]), "JPEG"))
    frame = bomb.index(b"\xff\xc0")
    bomb[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    assert head_problem(bomb[:HEAD_BYTES]) is None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(DatasetError, match=f"^sample 's1': its image has {side} x {side} pixels, more than"):
            decode_image(bomb, "s1")
    assert not warned


def with_chunk(png: bytes, name: bytes, data: bytes, *, checksum: bool = True) -> bytes:
    """Put a chunk behind a PNG's header."""
    end = struct.pack(">I", zlib.crc32(name + data) ^ (not checksum))
    return png[:33] + struct.pack(">I", len(data)) + name + data + end + png[33:]


@pytest.mark.parametrize("lenient", [False, True], ids=["Pillow's default", "as lmms-eval sets it"])
@pytest.mark.parametrize(
    ("name", "data", "checksum"),
    [
        (b"iCCP", b"profile\0\0no profile", True),
        (b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000)), True),
        (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3_000_000)), True),
        (b"tEXt", b"Comment\0text", False),
        (b"eXIf", b"no EXIF", True),
        (b"eXIf", b"no EXIF", False),
        (b"acTL", b"no animation", True),
    ],
    ids=["broken profile", "large profile", "large text", "text", "EXIF", "EXIF and its checksum", "animation"],
)
def test_a_broken_chunk_beside_the_pixels_changes_none(encode, monkeypatch, name, data, checksum, lenient):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    png = encode(Image.fromarray(NOISE))
    np.testing.assert_array_equal(pixels(with_chunk(png, name, data, checksum=checksum)), pixels(png))


def test_a_broken_header_is_refused_in_plain_words(encode):
    png = bytearray(encode(Image.fromarray(NOISE)))
    png[29] ^= 1
    with pytest.raises(DatasetError, match=r"cannot be decoded \(its header is broken\); replace it by an intact"):
        decode_image(png, "s1")


def test_threads_decode_the_same_pixels(encode):
    encoded = [encode(Image.fromarray(np.roll(NOISE, shift, axis=0))) for shift in range(16)]
    alone = [pixels(image) for image in encoded]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(pixels, encoded * 4))
    for index, image in enumerate(together):
        np.testing.assert_array_equal(image, alone[index % 16])


@pytest.mark.parametrize("form", WHOLE)
def test_the_head_of_a_whole_image_is_recognised(encode, form):
    kind, settings = WHOLE[form]
    assert head_problem(encode(Image.fromarray(NOISE[..., :3]), kind, **settings)[:HEAD_BYTES]) is None


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x00\x00\x00\x00\x05", "its image has 0 x 5 pixels"),
        (b"GIF89a\x04\x00\x00\x00", "its image has 4 x 0 pixels"),
        (b"BM" + bytes(12) + b"\x28\0\0\0" + b"\x03\0\0\0" + b"\0\0\0\0", "its image has 3 x 0 pixels"),
        (b"BM" + bytes(12) + b"\x0c\0\0\0" + b"\0\0" + b"\x03\0", "its image has 0 x 3 pixels"),
        (b"GIF89a\x04", "its image ends within its header"),
        (b"RIFF\x00\x00\x00\x00WAVE", "its image does not begin like any known format"),
        (b"", "its image is empty"),
    ],
)
def test_the_head_tells_a_zero_sized_or_unknown_image(head, problem):
    assert (head_problem(head) or "").startswith(problem + "; replace it")
