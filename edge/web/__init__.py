"""The live page: a web server in a process of its own, and what the daemon hands to it."""
