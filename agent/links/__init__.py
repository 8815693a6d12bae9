"""Links and their flaps: edges, counters, who is at the other end, how reliable."""
