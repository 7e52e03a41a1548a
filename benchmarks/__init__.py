"""What telos costs, measured: each module prints one JSON object as its last line."""
