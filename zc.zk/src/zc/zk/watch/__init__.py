"""Show nodes that other clients change, and call callbacks."""
