"""Corrupting an image: the checks, the seeds, and many conditions at once."""

import hashlib
import os
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchc_metrics.benchmark import SEVERITIES
from benchc_metrics.messages import close_to_it, quoted
from benchc_tasks.corruptions.picture import Picture
from benchc_tasks.corruptions.registry import CONTROLS, CORRUPTIONS, Corruption

__all__ = ["ENGINE_VERSION", "condition_seed", "corrupt", "corrupt_many"]

ENGINE_VERSION = "1"
"""Changes whenever the pixels of any corruption change, so that no cache serves answers to old pixels."""

ImageLike = TypeVar("ImageLike", Image.Image, NDArray[np.uint8])


def condition_seed(sample_id: str, name: str, severity: int) -> int:
    """Derive the seed of a condition of a sample.

    Parameters
    ----------
    sample_id : str
        The sample's id; its position in a dataset does not matter.
    name : str
        The corruption.
    severity : int
        1..5.

    Returns
    -------
    int
        The same on every machine, in 0..2**63 - 1.
    """
    text = f"{sample_id}\x1f{name}\x1f{int(severity)}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _pixels(image: Any) -> NDArray[np.uint8]:
    """Return the pixels of an image as a contiguous, writable array, or say what is wrong with it."""
    if isinstance(image, Image.Image):
        if image.mode != "RGB":
            raise ValueError(f'The image has mode {image.mode}: convert it, as by image.convert("RGB").')
        array = np.array(image)
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise ValueError(
            f"The image is a {type(image).__name__}: give a PIL image or a numpy array of dtype uint8 and shape "
            "(height, width, 3)."
        )
    if array.dtype.kind in "fc" and np.isnan(array).any():
        raise ValueError("The image contains NaN: give grey levels 0..255 of dtype uint8.")
    if array.dtype != np.uint8:
        raise ValueError(f"The image has dtype {array.dtype}: give grey levels 0..255 of dtype uint8.")
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"The image has shape {array.shape}: give an RGB image of shape (height, width, 3).")
    if array.size == 0:
        raise ValueError(f"The image of shape {array.shape} is empty: give one of at least 1 x 1 pixels.")
    return array if array.flags.c_contiguous and array.flags.writeable else np.array(array, order="C")


def _corruption(name: Any) -> Corruption:
    for known in (CORRUPTIONS, CONTROLS):
        if isinstance(name, str) and name in known:
            return known[name]
    close = close_to_it(name, CORRUPTIONS)
    raise ValueError(f"There is no corruption {quoted(name)}: choose one of {', '.join(CORRUPTIONS)}{close}.")


def _severity(severity: Any) -> int:
    if isinstance(severity, bool) or not isinstance(severity, int | np.integer) or severity not in SEVERITIES:
        raise ValueError(f"Severity {quoted(severity)} is none: choose a whole number from 1 to 5.")
    return int(severity)


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise ValueError(f"Seed {quoted(seed)} is none: choose a whole number.")
    return int(seed)


def corrupt(image: ImageLike, name: str, severity: int, seed: int = 0) -> ImageLike:
    """Corrupt an image.

    Parameters
    ----------
    image : PIL.Image.Image or ndarray of uint8, shape (H, W, 3)
        The clean image in RGB; it is not changed.
    name : str
        One of `CORRUPTIONS`, or of `CONTROLS`.
    severity : int
        1..5, from mild to strong.
    seed : int, default=0
        Where random corruptions draw from. The same arguments give the same pixels, to the bit, on every machine.

    Returns
    -------
    PIL.Image.Image or ndarray
        The corrupted image, of the kind of `image`.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> image = np.full((40, 60, 3), 100, np.uint8)
    >>> corrupt(image, "contrast", 5).mean()
    np.float64(100.0)
    """
    return corrupt_many(image, [(name, severity)], seed=seed, workers=1)[0]


def corrupt_many(
    image: ImageLike,
    conditions: Sequence[tuple[str, int]],
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
) -> list[ImageLike]:
    """Corrupt an image under many conditions, on all cores, sharing what conditions share.

    Parameters
    ----------
    image : PIL.Image.Image or ndarray of uint8, shape (H, W, 3)
        The clean image in RGB; it is not changed.
    conditions : sequence of (name, severity)
        Which corruptions, at which severities.
    seed : int, default=0
        The seed of all conditions.
    seeds : sequence of int, optional
        A seed for each condition, in place of `seed`.
    workers : int, optional
        How many threads work; by default one for each core that the process may use.

    Returns
    -------
    list of PIL.Image.Image or ndarray
        The corrupted images, in the order of `conditions`; each has the very pixels that `corrupt` gives.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    picture = Picture(_pixels(image))
    chosen = [(_corruption(name), _severity(severity)) for name, severity in conditions]
    if seeds is not None and len(seeds) != len(chosen):
        raise ValueError(f"There are {len(seeds)} seeds for {len(chosen)} conditions: give one for each.")
    drawn_from = [_seed(one) for one in seeds] if seeds is not None else [_seed(seed)] * len(chosen)

    workers = _available_cores() if workers is None else workers
    pieces = _pieces_of_work(chosen, drawn_from, workers)
    outputs: dict[int, NDArray[np.uint8]] = {}

    def work(positions: list[int]) -> None:
        alike: Corruption = chosen[positions[0]][0]
        severities = [chosen[position][1] for position in positions]
        made = alike.apply_together(picture, severities, drawn_from[positions[0]])
        outputs.update(zip(positions, made, strict=True))

    if min(workers, len(pieces)) <= 1:
        for positions in pieces:
            work(positions)
    else:
        with ThreadPoolExecutor(min(workers, len(pieces))) as pool:
            for done in [pool.submit(work, positions) for positions in pieces]:
                done.result()
    arrays = [outputs[position] for position in range(len(chosen))]
    if isinstance(image, Image.Image):
        return [Image.fromarray(array) for array in arrays]
    return arrays


def _pieces_of_work(
    conditions: Sequence[tuple[Corruption, int]], seeds: Sequence[int], workers: int
) -> list[list[int]]:
    """Put conditions that share work together: severities of one corruption, with one seed where it is random.

    If `together` does not make them at once, their random numbers have to be the same. The largest pieces come first,
    so that all cores are busy to the end; if there are fewer pieces than cores, these are halved.
    """
    pieces: dict[Hashable, list[int]] = {}
    for position, (corruption, severity) in enumerate(conditions):
        shared: Hashable = position
        if corruption.together is not None:
            shared = (corruption.name, seeds[position] if corruption.is_random else None)
        elif corruption.is_random:
            shared = (corruption.name, seeds[position], *corruption.draw_parameters(severity).items())
        pieces.setdefault(shared, []).append(position)
    largest_first = sorted(pieces.values(), key=len, reverse=True)
    while largest_first and len(largest_first) < workers and len(largest_first[0]) > 1:
        largest, *others = largest_first
        halves = [largest[::2], largest[1::2]]
        largest_first = sorted([*others, *halves], key=len, reverse=True)
    return largest_first


def _available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
