"""Ways out: Prometheus, HTTP, MQTT."""
