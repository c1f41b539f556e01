"""Every Eval Ever's own validator over submissions, in an environment of its own.

    python tests/benchmarks/every_eval_ever.py SUBMISSION...

The project wants Python 3.12 and a huggingface_hub below 2, so it cannot stand beside benchc; its validator itself runs
on Python 3.11 too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

VERSION = "0.3.0"
NEEDED = ("pydantic>=2.12.5", "jsonschema>=4.26", "rich<15", "pyyaml", "huggingface_hub<2", "requests", "numpy")
CHECK = """
import sys
from pathlib import Path
from every_eval_ever.validator.validation_core import validate_file

root = Path(sys.argv[1])
files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
all_valid = bool(files)
for name, path in files.items():
    report = validate_file(
        path,
        repo_path=name,
        available_files=frozenset(files),
        read_repo_file=lambda other: files[other].read_text(encoding="utf-8"),
        run_semantic_checks=True,
    )
    print("valid  " if report.valid else "REFUSED", name, report.errors, report.warnings)
    all_valid &= report.valid and not report.warnings
sys.exit(not all_valid)
"""


def main(submissions: list[str]) -> int:
    """Validate the `every_eval_ever` folder of each submission, with the checks that the project's data store makes."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        python = str(Path(scratch, "bin", "python"))
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        package = f"every-eval-ever=={VERSION}"
        subprocess.run([*pip, "--no-deps", "--ignore-requires-python", package], check=True)
        subprocess.run([*pip, *NEEDED], check=True, stderr=subprocess.DEVNULL)
        statuses = [
            subprocess.run([python, "-c", CHECK, str(Path(folder, "every_eval_ever"))], check=False).returncode
            for folder in submissions
        ]
    return int(any(statuses) or not statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
