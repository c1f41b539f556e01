"""Make the table of docs/models.md by running each backend of lmms-eval as far as this machine can.

    python tests/benchmarks/backends.py [--write] [--only NAME ...]

Tiny checkpoints with random weights of the real architectures are made here, and asked with and without the backend. A
backend for which no checkpoint can be made here is imported, and the table says what came of that. `--write` puts the
table into docs/models.md; with `--only` just some rows are made and printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- made by tests/benchmarks/backends.py -->", "<!-- end -->"
OPTIONS = ("A", "B", "zebra crossing")
LARGEST_DIFFERENCE = 1e-4
VERDICT = "VERDICT: "
LONGEST = 160

ENGINES = {
    "vllm": "a real engine of vLLM 0.32 on CPUs, tiny random weights of LLaVA: `.ci/vllm`",
    "openai": "a real server of vLLM 0.32, tiny random weights of LLaVA: `.ci/vllm`",
    "async_openai": "the same server: `.ci/vllm`",
}
"""What the tests of CI run; these rows are not made anew here."""


def answers(arguments: dict[str, object], size: tuple[int, int], batch_size: int = 2) -> list[float]:
    """Ask two questions about two pictures, with options of one token and of several."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    import numpy as np
    import tiny_models  # noqa: F401 - sets the variables that keep it offline
    from lmms_eval.api.instance import Instance
    from PIL import Image

    from benchc_tasks.stacks.lmms_eval.model import BenchCModel

    draw = np.random.default_rng(0)
    blocks = [draw.integers(0, 256, (4, 4, 3), dtype=np.uint8) for _ in range(2)]
    pictures = [Image.fromarray(each).resize(size, Image.Resampling.NEAREST) for each in blocks]
    model = BenchCModel(batch_size=batch_size, device="cpu", **arguments)
    model.task_dict = {"task": {"test": pictures}}
    requests = [
        Instance(
            request_type="loglikelihood",
            arguments=("What colour? " * (1 + number), option, lambda doc: [doc], number, "task", "test"),
            idx=0,
            metadata={"task": "task", "doc_id": number, "repeats": 1},
        )
        for number in range(2)
        for option in OPTIONS
    ]
    return [answer[0] for answer in model.loglikelihood(requests)]


def run_family(family: str) -> str:
    """Ask a tiny checkpoint of a family, in batches and alone."""
    from tiny_models import build_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        given = {"pretrained": str(build_checkpoint(family, Path(folder)))}
        pair = [answers(given, (60, 40), batch_size) for batch_size in (1, 4)]
    return agreement("random weights of the real architecture; batches of 1 and 4 differ", *pair)


def run_backend(name: str) -> str:
    """Ask a tiny checkpoint with and without a backend, or import the backend."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from tiny_models import BACKENDS, build_checkpoint

    if name in BACKENDS:
        family, size = BACKENDS[name]
        with tempfile.TemporaryDirectory() as folder:
            given = {"pretrained": str(build_checkpoint(family, Path(folder)))}
            pair = answers(given, size), answers({**given, "backend": name}, size)
        return agreement(f"random weights of the real architecture ({family}); with and without it differ", *pair)
    from benchc_tasks.stacks.lmms_eval.backends import find_backend

    try:
        found = find_backend(name)
    except ValueError as fault:
        return f"not run: {str(fault).removeprefix(f'backend {name!r} ')}"
    return f"not run: `{found.__name__}` imports; no checkpoint for it was made here"


def agreement(what: str, first: list[float], second: list[float]) -> str:
    """Say how far two lists of answers are apart."""
    largest = max(abs(one - other) for one, other in zip(first, second, strict=True))
    verdict = f"{what} by at most {largest:.0e}"
    return verdict if largest <= LARGEST_DIFFERENCE else f"{verdict}: **do not use it**"


def in_processes(kind: str, names: list[str]) -> dict[str, str]:
    """Make verdicts in a process of their own; if it ends at one of them, the others are made by another process."""
    verdicts: dict[str, str] = {}
    while left := [name for name in names if name not in verdicts]:
        done = subprocess.Popen(
            [sys.executable, __file__, f"--{kind}", *left],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        last = "it said nothing"
        for line in done.stdout or ():
            if line.startswith(VERDICT):
                name, _, verdict = line.removeprefix(VERDICT).strip().partition(" ")
                verdicts[name] = verdict if len(verdict) <= LONGEST else f"{verdict[: LONGEST - 3]}..."
                print(name, verdicts[name], file=sys.stderr, flush=True)
            last = line.strip() or last
        done.wait()
        if (fallen := next((name for name in left if name not in verdicts), None)) is not None:
            verdicts[fallen] = f"not run: its process ended ({last[:LONGEST]})"
    return verdicts


def table(only: list[str]) -> str:
    """Make both tables."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    from tiny_models import FAMILIES

    from benchc_tasks.stacks.lmms_eval.catalogue import manifest_names

    lines = ["| family | command | what was run |", "| --- | --- | --- |"]
    rows = [("the bundled LLaVA", "benchc run", "a trained checkpoint, over all of the demonstration set")]
    of_families = in_processes("family", [name for name in FAMILIES if not only or name in only])
    rows += [(name, "benchc run --model_args pretrained=...", verdict) for name, verdict in of_families.items()]
    lines += [f"| {family} | `{command}` | {verdict} |" for family, command, verdict in rows]
    lines += ["", "| backend | command | what was run |", "| --- | --- | --- |"]
    names = [name for name in manifest_names() if not only or name in only]
    verdicts = {**in_processes("backend", [name for name in names if name not in ENGINES]), **ENGINES}
    for name in sorted(names, key=lambda each: verdicts[each].startswith("not run")):
        verdict = verdicts[name]
        named = "model=...,base_url=..." if name in ("openai", "async_openai") else "pretrained=..."
        command = f"`benchc run --model_args backend={name},{named}`" if not verdict.startswith("not run") else ""
        lines.append(f"| `{name}` | {command} | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--family", nargs="*", default=[], help=argparse.SUPPRESS)
    parser.add_argument("--backend", nargs="*", default=[], help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    if chosen.family or chosen.backend:
        for make, names in ((run_family, chosen.family), (run_backend, chosen.backend)):
            for name in names:
                print(f"\n{VERDICT}{name} {make(name)}", flush=True)
        return
    made = table(chosen.only)
    if not chosen.write:
        print(made)
        return
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
