"""The HTTP interface: metrics, JSON, server-sent events, the page; TLS and users as the web config says."""
