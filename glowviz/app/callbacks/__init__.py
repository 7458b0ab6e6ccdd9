"""Server callbacks, one file per area; each carries ids in and small figures out, never a graph."""
