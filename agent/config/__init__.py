"""The config file: models, errors with their place, and what of it may leave the host."""
