"""The device's sensors and clock, and the Prometheus page of the telemetry."""
