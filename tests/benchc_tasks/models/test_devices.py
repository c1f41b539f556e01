import os
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from benchc_tasks.models.devices import available_cores, choose_device, choose_dtype, torch_threads
from support import logged

CUDA = torch.cuda.is_available()


@pytest.mark.parametrize("wanted", [None, ""])
def test_cuda_if_there_else_the_cpu(wanted: str | None) -> None:
    assert choose_device(wanted, Accelerator()).type == ("cuda" if CUDA else "cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, False, "cuda")],
)
def test_apple_silicon_is_chosen_where_no_cuda_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    # No such device computes here.
    monkeypatch.setattr("benchc_tasks.models.devices._try_out", lambda device: None)
    alone = SimpleNamespace(num_processes=1, device=torch.device("cpu"))
    assert choose_device(None, alone).type == chosen


@pytest.mark.skipif(CUDA, reason="a CUDA device is there")
@pytest.mark.parametrize("wanted", ["cuda", "cuda:1"])
def test_cuda_that_is_not_there_becomes_the_cpu_with_a_warning(wanted: str) -> None:
    with logged() as lines:
        device = choose_device(wanted, Accelerator())
    assert device == torch.device("cpu")
    assert f"device {wanted!r} was asked for and torch sees no CUDA device: benchc runs on the CPU" in lines[0]


@pytest.mark.parametrize(
    ("wanted", "device", "expected"),
    [
        (None, "cpu", torch.float32),
        ("", "cpu", torch.float32),
        (None, "cuda", None),
        ("auto", "cpu", None),
        ("bfloat16", "cpu", torch.bfloat16),
        ("torch.float16", "cuda", torch.float16),
        (torch.float64, "cpu", torch.float64),
    ],
)
def test_precision(wanted: str | torch.dtype | None, device: str, expected: torch.dtype | None) -> None:
    assert choose_dtype(wanted, torch.device(device)) == expected


@pytest.mark.parametrize("wanted", ["gpu", "cuda:x", "tpu"])
def test_what_is_no_device_is_refused(wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^device '{wanted}' is unknown to torch: name cpu, cuda, cuda:0 or mps$"):
        choose_device(wanted, Accelerator())


@pytest.mark.skipif(torch.xpu.is_available(), reason="an XPU is there")
@pytest.mark.parametrize("wanted", ["meta", "xpu"])
def test_a_device_that_computes_nothing_here_is_refused(wanted: str) -> None:
    with pytest.raises(
        ValueError, match=rf"^device '{wanted}' computes nothing here \([^.]+.*\): name cpu, cuda, cuda:0 or mps$"
    ):
        choose_device(wanted, Accelerator())


def test_a_cuda_device_beyond_those_that_are_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    alone = SimpleNamespace(num_processes=1, device=torch.device("cuda", 0))
    assert choose_device("cuda:1", alone) == torch.device("cuda", 1)
    with pytest.raises(
        ValueError, match=r"^device 'cuda:2' was asked for and torch sees 2 CUDA devices: count from cuda:0"
    ):
        choose_device("cuda:2", alone)


@pytest.mark.parametrize("wanted", ["int8", "nn", "half precision", "float8_e4m3fn", "complex64", 16])
def test_what_is_no_precision_is_refused(wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^dtype {wanted!r} is not a precision: name float32"):
        choose_dtype(wanted, torch.device("cpu"))


@pytest.mark.parametrize(("limit", "inside"), [(2, 2), (9, 3), (0, 1), (-2, 1)])
def test_torch_threads_are_limited_and_restored(limit: int, inside: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with torch_threads(limit):
            assert torch.get_num_threads() == inside
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_cores_are_counted() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("processes", "share"), [("1", 12), ("4", 3), ("5", 2), ("8", 1), ("64", 1), ("", 12), ("0", 12), ("two", 12)]
)
def test_processes_on_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch, processes: str, share: int) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(12)), raising=False)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert available_cores() == share


@pytest.mark.parametrize(
    ("processes", "meet_on", "refused"), [(2, "cuda:1", True), (2, "cpu", False), (1, "cuda:0", False)]
)
def test_the_cpu_is_refused_where_several_processes_meet_on_gpus(processes: int, meet_on: str, refused: bool) -> None:
    accelerator = SimpleNamespace(num_processes=processes, device=torch.device(meet_on))
    if refused:
        with pytest.raises(ValueError, match=r"^device 'cpu' was asked for, .* set ACCELERATE_USE_CPU=true"):
            choose_device("cpu", accelerator)
    else:
        assert choose_device("cpu", accelerator) == torch.device("cpu")
