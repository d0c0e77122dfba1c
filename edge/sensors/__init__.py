"""How the device itself is doing, and who is told of it."""
