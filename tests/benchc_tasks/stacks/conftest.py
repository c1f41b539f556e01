"""Tiny checkpoints of many families, and what asks them."""

from tiny_models import (  # noqa: F401 - fixtures
    _one_thread,
    checkpoint,
    count_passes,
    make_picture,
    make_request,
    slow_reference,
)
