"""The rooms of docs/architecture.md: what each may import, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

GROUND = {"benchc_metrics", "benchc_tasks.batching"}
"""What every room may import."""

BELOW: dict[str, set[str]] = {
    "benchc_metrics": set(),
    "benchc_tasks.demonstration": {"benchc_tasks.corruptions", "benchc_tasks.datasets"},
    "benchc_tasks.corruptions": set(),
    "benchc_tasks.restoration": set(),
    "benchc_tasks.datasets": {"benchc_tasks.demonstration"},
    "benchc_tasks.selection": {"benchc_tasks.datasets", "benchc_tasks.corruptions"},
    "benchc_tasks.models": {
        "benchc_tasks.corruptions",
        "benchc_tasks.datasets",
        "benchc_tasks.demonstration",
    },
    "benchc_tasks.stacks": {
        "benchc_tasks.corruptions",
        "benchc_tasks.datasets",
        "benchc_tasks.demonstration",
        "benchc_tasks.models",
        "benchc_tasks.restoration",
        "task_yamls",
    },
}
"""For each room the rooms that it may import; `benchc_tasks.commands` may import all of them."""

INSIDE_METRICS = (
    {"benchmark", "designs", "escaping", "files", "json_lines", "messages", "wording"},
    {"responses"},
    {"records"},
    {"runs"},
    {"metrics"},
    {"statistics"},
    {"findings"},
    {"pages"},
    {"report", "leaderboard"},
)
"""The floors of `benchc_metrics` from the ground up: a module imports from its own floor and those below."""

EXCEPTIONS = {
    # It trains and tries the bundled model, and so uses what evaluates one.
    "benchc_tasks/demonstration/training",
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Full names of what a file imports of this project, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in {"benchc_metrics", "benchc_tasks", "task_yamls"})


def room_of(name: str) -> str:
    first, *rest = name.split(".")
    return f"{first}.{rest[0]}" if first == "benchc_tasks" and rest else first


def own_room(path: Path) -> str:
    return room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("path", [*modules("benchc_metrics"), *modules("benchc_tasks")], ids=str)
def test_arrows_between_rooms_point_one_way(path: Path) -> None:
    room = own_room(path)
    if room not in BELOW or any(str(path.relative_to(ROOT)).startswith(place) for place in EXCEPTIONS):
        return
    allowed = {room, *BELOW[room], *(GROUND if room != "benchc_metrics" else ())}
    above = {name for name in imported(path) if room_of(name) not in allowed}
    assert not above, f"{path.relative_to(ROOT)} imports {sorted(above)}"


@pytest.mark.parametrize("path", modules("benchc_metrics"), ids=str)
def test_arrows_inside_the_metrics_point_down(path: Path) -> None:
    floors = {name: number for number, names in enumerate(INSIDE_METRICS) for name in names}
    own = path.relative_to(ROOT / "benchc_metrics").with_suffix("").parts[0]
    if own == "__init__":
        return
    assert own in floors, f"name the floor of {own} in this test"
    above = {name for name in imported(path) if floors.get(name.split(".")[1], 0) > floors[own]}
    assert not above, f"{path.relative_to(ROOT)} imports {sorted(above)}"
