"""The frost photographs, read from the installed `imagecorruptions` distribution.

Their source and licence are not stated, so they are never part of this project; and the distribution does not import
on a current stack, so its files are looked up without importing it.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchc_tasks.corruptions.picture import pack

__all__ = ["frost_texture", "frost_textures_path", "packed_frost_texture"]

_FILES = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")  # the reference never uses the sixth


def frost_textures_path() -> Path:
    """Find the folder with the frost photographs.

    Returns
    -------
    Path
        The folder; all files that are needed are there.

    Raises
    ------
    FileNotFoundError
        If `imagecorruptions` is not installed, or without them.
    """
    spec = find_spec("imagecorruptions")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
        folder = Path(root) / "frost"
        if all((folder / name).is_file() for name in _FILES):
            return folder
    raise FileNotFoundError(
        "Frost needs the photographs of the `imagecorruptions` distribution: "
        "run `pip install --no-deps imagecorruptions`."
    )


@lru_cache(maxsize=len(_FILES))
def frost_texture(number: int) -> NDArray[np.uint8]:
    """Read a frost photograph.

    Parameters
    ----------
    number : int
        0..4; 1 and 2 are the same picture.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        The photograph in RGB, to be read only.
    """
    with Image.open(frost_textures_path() / _FILES[number]) as photograph:
        return np.array(photograph.convert("RGB"))


@lru_cache(maxsize=len(_FILES))
def packed_frost_texture(number: int) -> NDArray[np.int32]:
    """Return a frost photograph with the three bytes of each pixel in one number, see `pack`.

    Parameters
    ----------
    number : int
        0..4.

    Returns
    -------
    ndarray of int32, shape (H, W)
        The photograph, to be read only.
    """
    texture = frost_texture(number)
    packed = np.empty(texture.shape[:2], np.int32)
    pack(texture, packed)
    return packed
