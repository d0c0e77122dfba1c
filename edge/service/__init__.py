"""The daemon: its loop, camera sessions, announcements, requests, reload, health and systemd."""
