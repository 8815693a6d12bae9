"""What this host knows of its links: interfaces, edges, counters, neighbours."""
