"""Measure the size of the installed environment on disk, and the part that only a GPU needs.

    python tests/benchmarks/environment_size.py

Sizes are those of the files that each package lists, in GB of 10^9 bytes. torch itself is smaller in its CPU build, so
that the environment without the packages for GPUs is an upper bound for one without a GPU.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

FOR_A_GPU = re.compile(r"nvidia-|cuda-|triton$")
SHOWN = 8


def size_of(package: Distribution) -> int:
    """Add the sizes of a package's files, those that are there."""
    paths = (Path(str(package.locate_file(file))) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> None:
    """Print a table of the largest packages, and the sums."""
    sizes = {str(package.metadata["Name"]).lower(): size_of(package) for package in distributions()}
    of_a_gpu = sum(size for name, size in sizes.items() if FOR_A_GPU.match(name))
    print("| package | GB |\n| --- | ---: |")
    for name in sorted(sizes, key=lambda each: -sizes[each])[:SHOWN]:
        print(f"| {name} | {sizes[name] / 1e9:.2f} |")
    print(f"\nall {len(sizes)} packages: {sum(sizes.values()) / 1e9:.1f} GB")
    print(f"packages that only a GPU needs: {of_a_gpu / 1e9:.1f} GB")
    print(f"without them: {(sum(sizes.values()) - of_a_gpu) / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
