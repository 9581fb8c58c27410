"""Follow a whole tree, and tell what comes, goes and changes in it."""
