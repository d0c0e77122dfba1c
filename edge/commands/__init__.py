"""The commands of `korsal-edge`."""
