"""Benches of the driver contract suite: a file a driver, each with `BENCHES: dict[str, Callable[[], Bench]]`."""
