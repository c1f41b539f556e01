"""The nineteen corruptions: pixels in, pixels out."""
