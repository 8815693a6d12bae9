"""The daemon put together, and how it lives under a service manager."""
