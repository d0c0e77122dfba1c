"""Evaluation: a model's detections, tubes and events, scored against ground truth."""
