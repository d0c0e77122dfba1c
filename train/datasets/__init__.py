"""Annotated videos: every data set that can be read, and what can be wrong with one."""
