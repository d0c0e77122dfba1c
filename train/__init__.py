"""Training and evaluation. May import `edge`, never `convert`."""
