"""What is said to the MQTT broker, how it gets there, and what waits until it does."""
