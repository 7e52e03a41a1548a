"""Other projects' recipes, measured beside ours: each module runs a checkout's own code, not a copy."""
