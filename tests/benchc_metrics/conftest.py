"""Property tests draw the same cases every time, and are not timed: machines that run them are shared."""

from hypothesis import settings

settings.register_profile("benchc", deadline=None, derandomize=True, database=None)
settings.load_profile("benchc")
