"""Dashboards and rules for Prometheus, Grafana and Alertmanager."""
