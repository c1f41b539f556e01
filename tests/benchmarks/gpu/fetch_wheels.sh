#!/usr/bin/env bash
# Fetch the wheels that a bare GPU machine lacks into an ignored folder, for its Python: they travel with the checkout.
#
#   tests/benchmarks/gpu/fetch_wheels.sh [PYTHON_VERSION]     (3.12 if not given)
#
# The machine is expected to have torch, transformers, accelerate, numpy, numba, OpenCV, Pillow, pyarrow, scikit-learn.
set -euo pipefail
cd "$(dirname "$0")/../../.."
folder=.whl
rm -rf "$folder"
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version "${1:-3.12}" --implementation cp \
  --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
  --dest "$folder" loguru pydantic pydantic-core annotated-types typing-inspection typing-extensions platformdirs \
  imagecorruptions
du -sh "$folder"
