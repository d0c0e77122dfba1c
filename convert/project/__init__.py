"""The way of a project folder, from videos to a model on a device, through the other commands."""
