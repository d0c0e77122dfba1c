"""Publishing over MQTT: topics and payloads, the connection to the broker, and the outbox in which messages wait."""
