"""The event store: events kept with their tubes, pictures and clips, and what is looked up in it."""
