"""The reference's side of the speed comparison; run by `corruptions_speed.py` with the reference's own interpreter.

It reads one JSON request a line and answers with one JSON line. It needs the packages of
`corruptions_reference_requirements.txt`, and nothing of this project.

PyPI's imagecorruptions 1.1.2 differs from git c959e659, of which the golden arrays are, in two places, and is brought
up to it here: scikit-image's `gaussian` takes `channel_axis` where it took `multichannel`, and glass_blur moves its
pixels in a function compiled by numba, which makes it much faster. `verify` proves that the outcome is the reference.
"""

import json
import sys
import time
import warnings
from contextlib import contextmanager

warnings.simplefilter("ignore")

import cv2  # noqa: E402
import imagecorruptions  # noqa: E402
import numba  # noqa: E402
import numpy as np  # noqa: E402
from imagecorruptions import corruptions as reference  # noqa: E402

cv2.setNumThreads(1)

skimage_gaussian = reference.gaussian


def gaussian(image, sigma, multichannel=False, **options):
    return skimage_gaussian(image, sigma, channel_axis=-1 if multichannel else None, **options)


@numba.njit
def move_pixels(pixels, reach, rounds):
    for _ in range(rounds):
        for y in range(pixels.shape[0] - reach, reach, -1):
            for x in range(pixels.shape[1] - reach, reach, -1):
                dx, dy = np.random.randint(-reach, reach, size=(2,))  # noqa: NPY002
                pixels[y, x] = pixels[y + dy, x + dx]


def glass_blur(image, severity=1):
    sigma, reach, rounds = [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)][severity - 1]
    pixels = np.uint8(reference.gaussian(np.array(image) / 255.0, sigma=sigma, multichannel=True) * 255)
    move_pixels(pixels, reach, rounds)
    return np.clip(reference.gaussian(pixels / 255.0, sigma=sigma, multichannel=True), 0, 1) * 255


if not hasattr(reference, "_shuffle_pixels_njit_glass_blur"):
    reference.gaussian = gaussian
    reference.glass_blur = imagecorruptions.corruption_dict["glass_blur"] = glass_blur


@numba.njit
def seed_numba(seed):
    np.random.seed(seed)  # noqa: NPY002


@contextmanager
def seeded(seed):
    """Seed every generator that the reference draws from, also scikit-image's own."""
    np.random.seed(seed)  # noqa: NPY002
    seed_numba(seed)
    make = np.random.default_rng
    np.random.default_rng = lambda *_: make(seed)
    try:
        yield
    finally:
        np.random.default_rng = make


def verify(golden):
    """Count the golden arrays that this reference reproduces to the bit, and name those that it does not."""
    arrays = np.load(golden)
    names = imagecorruptions.get_corruption_names("all")
    missed = []
    for key in arrays.files:
        if key == "input":
            continue
        name, severity = key.rsplit("_", 1)
        with seeded(1000 * names.index(name) + int(severity)):
            out = imagecorruptions.corrupt(arrays["input"], int(severity), name)
        if not np.array_equal(out, arrays[key]):
            missed.append(key)
    return {"same": len(arrays.files) - 1 - len(missed), "missed": missed}


def measure(image, name, severity):
    """Return the thread's CPU seconds of one call."""
    start = time.thread_time()
    imagecorruptions.corrupt(image, severity, name)
    return time.thread_time() - start


def main():
    image = None
    for line in sys.stdin:
        request = json.loads(line)
        if "verify" in request:
            answer = verify(request["verify"])
        elif "image" in request:
            image = np.load(request["image"])
            answer = {"shape": image.shape}
        elif "save" in request:
            with seeded(request["seed"]):
                np.save(request["save"], imagecorruptions.corrupt(image, request["severity"], request["name"]))
            answer = {}
        else:
            answer = {"seconds": measure(image, request["name"], request["severity"])}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
