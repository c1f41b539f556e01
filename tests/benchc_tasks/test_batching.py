from benchc_tasks.batching import in_batches


def test_batches() -> None:
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert not list(in_batches([], 3))
