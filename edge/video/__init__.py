"""Video files, and what is drawn upon their frames."""
