"""The checks of `korsal-edge doctor`: everything that an installation can get wrong."""
