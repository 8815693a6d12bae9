"""Ways out: Prometheus, HTTP, MQTT."""

from agent.deferred import defer

defer("aiohttp")  # its server is used here, its client nowhere
