"""Looks for actions in video files, many at a time, and puts what it finds into the event store."""
