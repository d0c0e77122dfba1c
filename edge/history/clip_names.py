"""What the files of clips to teach with are called. Pure."""

FACTS = ".json"  # beside each clip
PREFIX = "doubt-"  # of the names of all clips, unlike ids of events
