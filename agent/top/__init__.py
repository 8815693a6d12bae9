"""The live terminal view: documents of the HTTP interface in, lines of text out. Knows nothing of the daemon."""
