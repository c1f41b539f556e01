"""The task and group definitions that lmms-eval reads."""
