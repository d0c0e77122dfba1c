"""`config.toml`: read, checked, changed and written."""
