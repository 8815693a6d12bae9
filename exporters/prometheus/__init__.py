"""Prometheus text and OpenMetrics: rendered once after a poll, joined for a scrape."""
