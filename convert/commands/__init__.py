"""The subcommands of `korsal-convert`, one a file."""
