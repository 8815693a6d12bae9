"""Alerts over MQTT: kept on disk until the broker has them."""
