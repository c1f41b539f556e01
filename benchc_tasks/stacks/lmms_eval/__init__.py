"""The plugin of lmms-eval."""
