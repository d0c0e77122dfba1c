"""Saved detections and tubes, and how good they are."""
