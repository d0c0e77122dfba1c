"""The parts of the daemon: its cameras, what it says and answers, its clock, its signals, systemd."""
