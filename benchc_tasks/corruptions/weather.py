"""Weather: glaring light, and snow, frost, fog and spatter between the lens and the scene."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchc_tasks.corruptions import droplets, random_draws
from benchc_tasks.corruptions.compiled import compiled
from benchc_tasks.corruptions.filters import blur_field, enlarge, streak
from benchc_tasks.corruptions.picture import Picture, pad
from benchc_tasks.corruptions.random_draws import Key
from benchc_tasks.corruptions.registry import corruption
from benchc_tasks.corruptions.textures import frost_texture, packed_frost_texture

__all__ = ["FrostWindow", "Snowfall", "brightness", "enlarged_shape", "fog", "frost", "snow", "spatter"]


class Snowfall(NamedTuple):
    """The random numbers of snow."""

    flakes: NDArray[np.float32]
    """Standard normal draws, shape (ceil(H / zoom), ceil(W / zoom))."""
    degrees: float
    """The direction in which the flakes fall, a draw from -135..-45."""


def _snowfall(key: Key, picture: Picture, zoom: float) -> Snowfall:
    shape = tuple(int(np.ceil(side / zoom)) for side in picture.shape)
    return Snowfall(random_draws.normals(shape, key.derive("flakes")), random_draws.uniform(key, -135.0, -45.0))


@compiled
def _cut_flakes(layer: NDArray[np.float32], threshold: float) -> None:
    """Turn what is below the threshold black, and the rest into grey levels."""
    threshold32 = np.float32(threshold)
    black, white = np.float32(0.0), np.float32(255.0)
    for y in range(layer.shape[0]):
        row = layer[y]
        for x in range(row.size):
            row[x] = black if row[x] < threshold32 else min(row[x] * white, white)


@compiled
def _add_snow(pixels: NDArray[np.uint8], flakes: NDArray[np.uint8], keep: float, out: NDArray[np.uint8]) -> None:
    """Whiten the image and add the layer of flakes and the same turned by 180 degrees."""
    keep32 = np.float32(keep)
    fade32 = np.float32(1.0 - keep)
    top = np.float32(255.0)
    lift = np.float32(127.5)
    stretch = np.float32(1.5)
    red, green, blue = np.float32(0.299), np.float32(0.587), np.float32(0.114)
    height, width = flakes.shape
    for y in range(height):
        source, target = pixels[y].reshape(-1), out[y].reshape(-1)
        falling, turned = flakes[y], flakes[height - 1 - y, ::-1]
        for x in range(width):
            r, g, b = np.float32(source[3 * x]), np.float32(source[3 * x + 1]), np.float32(source[3 * x + 2])
            white = (r * red + g * green + b * blue) * stretch + lift
            fallen = np.float32(falling[x]) + np.float32(turned[x])
            target[3 * x] = np.uint8(np.int32(min(keep32 * r + fade32 * max(r, white) + fallen, top)))
            target[3 * x + 1] = np.uint8(np.int32(min(keep32 * g + fade32 * max(g, white) + fallen, top)))
            target[3 * x + 2] = np.uint8(np.int32(min(keep32 * b + fade32 * max(b, white) + fallen, top)))


@corruption(
    "weather",
    draws=_snowfall,
    mean=(0.1, 0.2, 0.55, 0.55, 0.55),
    spread=(0.3, 0.3, 0.3, 0.3, 0.3),
    zoom=(3, 2, 4, 4.5, 2.5),
    threshold=(0.5, 0.5, 0.9, 0.85, 0.85),
    radius=(10, 12, 12, 12, 12),
    sigma=(4, 4, 8, 8, 12),
    keep=(0.8, 0.7, 0.7, 0.65, 0.55),
)
def snow(
    picture: Picture,
    snowfall: Snowfall,
    mean: float,
    spread: float,
    zoom: float,
    threshold: float,
    radius: int,
    sigma: float,
    keep: float,
) -> NDArray[np.uint8]:
    """Imitate falling snow: a whitened image under a layer of streaks.

    Parameters
    ----------
    picture : Picture
        The clean image.
    snowfall : Snowfall
        The draws.
    mean, spread : float
        Mean and standard deviation of the field from which flakes are cut; 1 is white.
    zoom : float
        By how much the field is enlarged: the size of a flake in pixels.
    threshold : float
        Values of the field from here on are flakes.
    radius : int
        A flake leaves a streak of ``2 * radius + 1`` pixels.
    sigma : float
        Standard deviation of the streak's fading, in pixels.
    keep : float
        Part of the clean image that is kept; the rest is whitened.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The image in snow.

    Notes
    -----
    The reference draws a number for every pixel and then zooms into the middle; only the middle is drawn here. It
    smears the zoomed field before it crops it, and so does this. The layer is added a second time, turned by 180
    degrees.
    """
    layer = enlarge(np.float32(mean) + np.float32(spread) * snowfall.flakes, zoom)
    _cut_flakes(layer, threshold)
    reach = 2 * radius
    fallen = streak(pad(layer, reach, reach, "edge"), reach, snowfall.degrees, radius, sigma, offset=0.5)
    flakes = np.ascontiguousarray(fallen[: picture.shape[0], : picture.shape[1]])
    out = np.empty_like(picture.pixels)
    _add_snow(picture.pixels, flakes, keep, out)
    return out


class FrostWindow(NamedTuple):
    """The random numbers of frost."""

    texture: int
    """Which photograph, 0..4."""
    top: int
    """First row of the part that is used, in the enlarged photograph."""
    left: int
    """First column."""


def enlarged_shape(texture: tuple[int, ...], shape: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a photograph enlarged to cover an image and a tenth more."""
    factor = max(1.0, shape[0] / texture[0], shape[1] / texture[1]) * 1.1
    return int(np.ceil(texture[0] * factor)), int(np.ceil(texture[1] * factor))


def _frost_window(key: Key, picture: Picture) -> FrostWindow:
    texture = int(random_draws.uniform(key.derive("texture"), 0, 5))
    height, width = enlarged_shape(frost_texture(texture).shape, picture.shape)
    top = int(random_draws.uniform(key.derive("top"), 0, height - picture.shape[0]))
    left = int(random_draws.uniform(key.derive("left"), 0, width - picture.shape[1]))
    return FrostWindow(texture, top, left)


def _cubic_taps(size: int, enlarged: int, start: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return where cubic interpolation reads, four rows of `count` pixels, and their weights times 2**11."""
    position = (np.arange(start, start + count) + 0.5) * (size / enlarged) - 0.5
    first = np.floor(position)
    t = position - first
    a = -0.75
    outer_left = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
    inner_left = ((a + 2) * t - (a + 3)) * t * t + 1
    inner_right = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1
    outer_right = 1.0 - outer_left - inner_left - inner_right
    weights = np.stack([outer_left, inner_left, inner_right, outer_right])
    taps = first.astype(np.int64) + np.arange(-1, 3)[:, None]
    return taps.clip(0, size - 1), np.rint(weights * 2048.0).astype(np.int32)


@compiled
def _stretch_frost(
    packed: NDArray[np.int32], columns: NDArray[np.int64], weights: NDArray[np.int32], stretched: NDArray[np.int32]
) -> None:
    """Enlarge rows of packed pixels along the rows, into three planes each: all reds, all greens, all blues."""
    taps = np.empty(columns.shape, np.int32)
    for y in range(stretched.shape[0]):
        source = packed[y]
        for tap in range(4):
            column, read = columns[tap], taps[tap]
            for x in range(read.size):  # in a loop of its own, so that LLVM vectorises the arithmetic
                read[x] = source[np.uint64(column[x])]
        for colour in range(3):
            row, shift = stretched[y, colour], 8 * colour
            for x in range(row.size):
                left = weights[0, x] * (taps[0, x] >> shift & 255) + weights[1, x] * (taps[1, x] >> shift & 255)
                row[x] = (
                    left + weights[2, x] * (taps[2, x] >> shift & 255) + weights[3, x] * (taps[3, x] >> shift & 255)
                )


@compiled
def _lower_frost(
    stretched: NDArray[np.int32], rows: NDArray[np.int64], weights: NDArray[np.int32], ice: NDArray[np.uint8]
) -> None:
    """Enlarge the stretched rows down the columns too, and round."""
    half, none, full = np.int32(1 << 21), np.int32(0), np.int32(255)
    for y in range(ice.shape[0]):
        above, upper = stretched[rows[0, y]].reshape(-1), stretched[rows[1, y]].reshape(-1)
        lower, below = stretched[rows[2, y]].reshape(-1), stretched[rows[3, y]].reshape(-1)
        p, q, r, s = weights[0, y], weights[1, y], weights[2, y], weights[3, y]
        row = ice[y].reshape(-1)
        for i in range(row.size):
            total = np.int32(above[i] * p) + np.int32(upper[i] * q) + np.int32(lower[i] * r) + np.int32(below[i] * s)
            row[i] = np.uint8(min(max((np.int32(total) + half) >> 22, none), full))


def _ice(window: FrostWindow, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the part of the enlarged photograph that is used, shape (H, 3, W)."""
    texture = packed_frost_texture(window.texture)
    height, width = shape
    full = enlarged_shape(texture.shape, shape)
    rows, row_weights = _cubic_taps(texture.shape[0], full[0], window.top, height)
    columns, column_weights = _cubic_taps(texture.shape[1], full[1], window.left, width)
    first = int(rows[0, 0])
    stretched = np.empty((int(rows[3, -1]) - first + 1, 3, width), np.int32)
    _stretch_frost(texture[first:], columns, column_weights, stretched)
    ice = np.empty((height, 3, width), np.uint8)
    _lower_frost(stretched, rows - first, row_weights, ice)
    return ice


@compiled
def _add_ice(
    pixels: NDArray[np.uint8], ice: NDArray[np.uint8], keep: float, amount: float, out: NDArray[np.uint8]
) -> None:
    keep32, amount32 = np.float32(keep), np.float32(amount)
    top = np.float32(255.0)
    for y in range(pixels.shape[0]):
        line, target = pixels[y].reshape(-1), out[y].reshape(-1)
        red, green, blue = ice[y, 0], ice[y, 1], ice[y, 2]
        for x in range(red.size):
            r, g, b = np.float32(line[3 * x]), np.float32(line[3 * x + 1]), np.float32(line[3 * x + 2])
            target[3 * x] = np.uint8(np.int32(min(keep32 * r + amount32 * np.float32(red[x]), top)))
            target[3 * x + 1] = np.uint8(np.int32(min(keep32 * g + amount32 * np.float32(green[x]), top)))
            target[3 * x + 2] = np.uint8(np.int32(min(keep32 * b + amount32 * np.float32(blue[x]), top)))


def _frosts(key: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Put the same ice over an image at several severities."""
    ice = _ice(_frost_window(key, picture), picture.shape)
    outs = [np.empty_like(picture.pixels) for _ in parameters]
    for one, out in zip(parameters, outs, strict=True):
        _add_ice(picture.pixels, ice, one["keep"], one["amount"], out)
    return outs


@corruption(
    "weather",
    draws=_frost_window,
    together=_frosts,
    keep=(1.0, 0.8, 0.7, 0.65, 0.6),
    amount=(0.4, 0.6, 0.7, 0.7, 0.75),
)
def frost(picture: Picture, window: FrostWindow, keep: float, amount: float) -> NDArray[np.uint8]:
    """Imitate ice on a window: part of a photograph of frost is added to the image.

    Parameters
    ----------
    picture : Picture
        The clean image.
    window : FrostWindow
        The draws.
    keep : float
        Weight of the image.
    amount : float
        Weight of the frost.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The image behind ice.

    Notes
    -----
    The photographs come from the installed `imagecorruptions`, see `textures`. They are enlarged as by
    ``cv2.resize(..., interpolation=cv2.INTER_CUBIC)``, but only the part that is used.
    """
    out = np.empty_like(picture.pixels)
    _add_ice(picture.pixels, _ice(window, picture.shape), keep, amount, out)
    return out


def _fog_wobbles(key: Key, picture: Picture) -> NDArray[np.float32]:
    """Draw a number in [-1, 1) for every point of the fog's map, whose side is a power of two."""
    side = 1 << (max(*picture.shape, 3) - 1).bit_length()
    return random_draws.uniforms((side, side), key, -1.0, 1.0)


@compiled
def _refine_plasma(
    coarse: NDArray[np.float32], wobbles: NDArray[np.float32], scale: np.float32, fine: NDArray[np.float32]
) -> None:
    """Put a point between any two neighbours of a torus: their mean and a wobble times `scale`.

    `wobbles`, shape (3, N, N), has those in the middle of four points, those on the upper side and those on the left.
    """
    quarter = np.float32(0.25)
    size = coarse.shape[0]
    last = size - 1
    middles, tops, lefts = np.empty((size, size), np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    for y in range(size):
        here, below, row, wobble = coarse[y], coarse[(y + 1) % size], middles[y], wobbles[0, y]
        right, below_right = here[1:], below[1:]
        for x in range(last):
            corners = (here[x] + below[x]) + (right[x] + below_right[x])
            row[x] = corners * quarter + scale * wobble[x]
        corners = (here[last] + below[last]) + (here[0] + below[0])
        row[last] = corners * quarter + scale * wobble[last]
    for y in range(size):
        here, below, row, above = coarse[y], coarse[(y + 1) % size], middles[y], middles[(y + last) % size]
        upper, left = wobbles[1, y], wobbles[2, y]
        # slices, since LLVM vectorises only indices that plainly are not negative
        next_row, next_here, next_below, next_left, next_lefts = row[1:], here[1:], below[1:], left[1:], lefts[1:]
        for x in range(last):
            tops[x] = ((row[x] + above[x]) + (here[x] + next_here[x])) * quarter + scale * upper[x]
            sides = (next_row[x] + row[x]) + (next_here[x] + next_below[x])
            next_lefts[x] = sides * quarter + scale * next_left[x]
        tops[last] = ((row[last] + above[last]) + (here[last] + here[0])) * quarter + scale * upper[last]
        lefts[0] = ((row[0] + row[last]) + (here[0] + below[0])) * quarter + scale * left[0]
        for x in range(size):
            fine[2 * y, 2 * x], fine[2 * y, 2 * x + 1] = here[x], tops[x]
        for x in range(size):
            fine[2 * y + 1, 2 * x], fine[2 * y + 1, 2 * x + 1] = lefts[x], row[x]


@compiled
def _raise_plasmas(wobbles: NDArray[np.float32], decays: NDArray[np.float64]) -> NDArray[np.float32]:
    """Turn the wobbles into a plasma fractal for each decay, by the diamond-square method on a torus."""
    heights = np.full(decays.size, 100.0)
    plasmas = np.zeros((decays.size, 1, 1), np.float32)
    step = wobbles.shape[0]
    while step >= 2:
        half, size = step // 2, plasmas.shape[1]
        used = np.empty((3, size, size), np.float32)
        for y in range(size):
            for x in range(size):
                used[0, y, x] = wobbles[y * step + half, x * step + half]
                used[1, y, x] = wobbles[y * step, x * step + half]
                used[2, y, x] = wobbles[y * step + half, x * step]
        finer = np.empty((decays.size, 2 * size, 2 * size), np.float32)
        for i in range(decays.size):
            _refine_plasma(plasmas[i], used, np.float32(heights[i] * heights[i]), finer[i])
            heights[i] = heights[i] / decays[i]
        plasmas = finer
        step = half
    return plasmas


@compiled
def _add_fog(
    pixels: NDArray[np.uint8],
    plasma: NDArray[np.float32],
    lowest: np.float32,
    thickness: np.float32,
    scale: np.float32,
    out: NDArray[np.uint8],
) -> None:
    """Add the plasma's height above `lowest`, times `thickness`, and scale back."""
    top = np.float32(255.0)
    for y in range(pixels.shape[0]):
        source, target, heights = pixels[y].reshape(-1), out[y].reshape(-1), plasma[y]
        for x in range(pixels.shape[1]):
            mist = (heights[x] - lowest) * thickness
            target[3 * x] = np.uint8(np.int32(min((np.float32(source[3 * x]) + mist) * scale, top)))
            target[3 * x + 1] = np.uint8(np.int32(min((np.float32(source[3 * x + 1]) + mist) * scale, top)))
            target[3 * x + 2] = np.uint8(np.int32(min((np.float32(source[3 * x + 2]) + mist) * scale, top)))


def _in_fog(pixels: NDArray[np.uint8], plasma: NDArray[np.float32], thickness: float) -> NDArray[np.uint8]:
    lowest, highest = plasma.min(), plasma.max()
    brightest = int(pixels.max()) / 255.0
    scale = np.float32(brightest / (brightest + thickness))
    out = np.empty_like(pixels)
    _add_fog(pixels, plasma, lowest, np.float32(255.0 * thickness) / (highest - lowest), scale, out)
    return out


def _fogs(key: Key, picture: Picture, parameters: Sequence[Mapping[str, Any]]) -> list[NDArray[np.uint8]]:
    """Lay plasmas of the same wobbles over an image, of which severities with the same decay share one."""
    decays = sorted({one["decay"] for one in parameters})
    plasmas = _raise_plasmas(_fog_wobbles(key, picture), np.array(decays, float))
    return [_in_fog(picture.pixels, plasmas[decays.index(one["decay"])], one["thickness"]) for one in parameters]


@corruption(
    "weather", draws=_fog_wobbles, together=_fogs, thickness=(1.5, 2.0, 2.5, 2.5, 3.0), decay=(2, 2, 1.7, 1.5, 1.4)
)
def fog(picture: Picture, wobbles: NDArray[np.float32], thickness: float, decay: float) -> NDArray[np.uint8]:
    """Imitate fog: a plasma fractal is laid over the image.

    Parameters
    ----------
    picture : Picture
        The clean image.
    wobbles : ndarray of float32, shape (S, S)
        Uniform draws in [-1, 1), one for each point of the map; S is the least power of two that is not below a side.
    thickness : float
        Brightness of the thickest fog; 1 is white.
    decay : float
        By how much the wobble shrinks from one scale to the next finer.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The image in fog, its brightest value kept in place.
    """
    return _in_fog(picture.pixels, _raise_plasmas(wobbles, np.array([decay], float))[0], thickness)


@cache
def _brightness_table(increase: float) -> NDArray[np.uint8]:
    """Return the new level of a channel, by (largest channel, channel)."""
    largest = np.arange(256)[:, None] / 255.0
    level = np.arange(256)[None, :] / 255.0
    value = np.minimum(largest + increase, 1.0)
    ratio = np.divide(level, largest, out=np.ones((256, 256)), where=largest > 0)
    table: NDArray[np.uint8] = (np.minimum(value * ratio, 1.0) * 255.0).astype(np.uint8)
    return table


@compiled
def _look_up_by_largest(pixels: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            r, g, b = pixels[y, x, 0], pixels[y, x, 1], pixels[y, x, 2]
            row = table[max(r, g, b)]
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = row[r], row[g], row[b]


@corruption("weather", increase=(0.1, 0.2, 0.3, 0.4, 0.5))
def brightness(picture: Picture, increase: float) -> NDArray[np.uint8]:
    """Imitate glaring daylight: hue and saturation stay, the value of HSV grows.

    Parameters
    ----------
    picture : Picture
        The clean image.
    increase : float
        What is added to the value; 1 is the full range.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The brighter image.

    Notes
    -----
    With hue and saturation fixed all channels grow by the factor of the largest, so that there is no need to go to HSV.
    """
    out = np.empty_like(picture.pixels)
    _look_up_by_largest(picture.pixels, _brightness_table(increase), out)
    return out


def _spatter_field(key: Key, picture: Picture) -> NDArray[np.float32]:
    """Draw a standard normal number for every pixel."""
    return random_draws.normals(picture.shape, key)


@compiled
def _grey_liquid(liquid: NDArray[np.float64], mean: float, threshold: float, out: NDArray[np.uint8]) -> None:
    """Turn what is below the threshold black, and the rest into grey levels."""
    for i in range(out.size):
        thickness = liquid[i] + mean
        out[i] = np.int32(min(thickness, 1.0) * 255.0) if thickness >= threshold else np.int32(0)


@compiled
def _mark_liquid(liquid: NDArray[np.float64], mean: float, threshold: float, out: NDArray[np.float32]) -> None:
    """Set to 1 what is above the threshold, and the rest to 0."""
    for i in range(out.size):
        out[i] = np.float32(1.0) if liquid[i] + mean > threshold else np.float32(0.0)


@compiled
def _cut_off(mask: NDArray[np.float32], least: np.float32) -> None:
    for i in range(mask.size):
        mask[i] = mask[i] if mask[i] >= least else np.float32(0.0)


@compiled
def _scale_to(grey: NDArray[np.uint8], lit: NDArray[np.uint8], peak: np.float32, out: NDArray[np.float32]) -> None:
    """Multiply two pictures, and scale the product such that its largest value is `peak`."""
    largest = np.int32(0)
    for i in range(out.size):
        largest = max(largest, np.int32(np.int32(grey[i]) * np.int32(lit[i])))
    factor = peak / np.float32(largest) if largest > 0 else np.float32(0.0)
    for i in range(out.size):
        out[i] = np.float32(np.int32(np.int32(grey[i]) * np.int32(lit[i]))) * factor


def _water(liquid: NDArray[np.float64], mean: float, threshold: float, opacity: float) -> NDArray[np.float32]:
    """Return how much pale turquoise each pixel gains: thick liquid that is lit at its rims."""
    grey = np.empty(liquid.shape, np.uint8)
    _grey_liquid(liquid.reshape(-1), mean, threshold, grey.reshape(-1))
    distance = droplets.distance_to_edges(droplets.edges(grey, 50, 150), limit=20)
    lit = droplets.equalize(droplets.box_blur(distance, shift=16, rounds=False))
    lit = droplets.box_blur(droplets.emboss(lit), rounds=True)
    mask = np.empty(liquid.shape, np.float32)
    _scale_to(grey.reshape(-1), lit.reshape(-1), np.float32(opacity), mask.reshape(-1))
    return mask


def _mud(liquid: NDArray[np.float64], mean: float, threshold: float, soften: float) -> NDArray[np.float32]:
    """Return how opaque the mud is at each pixel."""
    thick = np.empty(liquid.shape, np.float32)
    _mark_liquid(liquid.reshape(-1), mean, threshold, thick.reshape(-1))
    mask = blur_field(thick, (soften, soften), 4.0, "edge")
    _cut_off(mask.reshape(-1), np.float32(0.8))
    return mask


@compiled
def _splash(
    pixels: NDArray[np.uint8],
    mask: NDArray[np.float32],
    colour: NDArray[np.float32],
    opaque: bool,
    out: NDArray[np.uint8],
) -> None:
    """Add the colour where the mask is; if `opaque`, hide the image there."""
    one = np.float32(1.0)
    top = np.float32(255.0)
    red, green, blue = colour[0], colour[1], colour[2]
    for y in range(pixels.shape[0]):
        source, target, parts = pixels[y].reshape(-1), out[y].reshape(-1), mask[y]
        for x in range(parts.size):
            part = parts[x]
            kept = one - part if opaque else one
            r, g, b = np.float32(source[3 * x]), np.float32(source[3 * x + 1]), np.float32(source[3 * x + 2])
            target[3 * x] = np.uint8(np.int32(min(r * kept + red * part, top)))
            target[3 * x + 1] = np.uint8(np.int32(min(g * kept + green * part, top)))
            target[3 * x + 2] = np.uint8(np.int32(min(b * kept + blue * part, top)))


@corruption(
    "weather",
    draws=_spatter_field,
    mean=(0.65, 0.65, 0.65, 0.65, 0.67),
    spread=(0.3, 0.3, 0.3, 0.3, 0.4),
    sigma=(4, 3, 2, 1, 1),
    threshold=(0.69, 0.68, 0.68, 0.65, 0.65),
    opacity=(0.6, 0.6, 0.5, 1.0, 1.0),
    soften=(0.0, 0.0, 0.0, 1.5, 1.5),
    mud=(False, False, False, True, True),
)
def spatter(
    picture: Picture,
    normals: NDArray[np.float32],
    mean: float,
    spread: float,
    sigma: float,
    threshold: float,
    opacity: float,
    soften: float,
    mud: bool,
) -> NDArray[np.uint8]:
    """Imitate a lens splashed with water (severity 1 to 3) or mud (4 and 5).

    Parameters
    ----------
    picture : Picture
        The clean image.
    normals : ndarray of float32, shape (H, W)
        Standard normal draws.
    mean, spread : float
        Mean and standard deviation of the field from which the splashes are cut.
    sigma : float
        Standard deviation, in pixels, of the Gaussian that smooths the field: the size of a splash.
    threshold : float
        Values of the smoothed field from here on are liquid.
    opacity : float
        How much of its colour the thickest water adds.
    soften : float
        Standard deviation, in pixels, of the Gaussian that smooths the rim of the mud.
    mud : bool
        Whether the liquid is mud.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The image behind splashes.

    Notes
    -----
    The field is smoothed in float64: its edges decide over whole droplets. Where there is no water at all the reference
    divides zero by zero and returns black; the image stays as it is here.
    """
    liquid = blur_field(normals, (sigma, sigma), 4.0, "edge", scale=spread, dtype=np.float64)
    mask = _mud(liquid, mean, threshold, soften) if mud else _water(liquid, mean, threshold, opacity)
    colour = np.array([63, 42, 20] if mud else [175, 238, 238], np.float32)
    out = np.empty_like(picture.pixels)
    _splash(picture.pixels, mask, colour, mud, out)
    return out
