"""HTTP/1.1 over asyncio and h11: bytes (`wire`), requests and answers (`conversation`), paths (`router`)."""
