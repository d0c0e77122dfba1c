"""Where things lie in the checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "demo" / "basketball.mp4"
