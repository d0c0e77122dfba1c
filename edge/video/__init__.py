"""What is drawn on frames, and the videos and snapshots made of them."""
