"""Detectors that see a clip: YOWO, its improvement by Zhuo et al. 2024, and ours in its spirit."""
