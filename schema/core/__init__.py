"""Hold what every noun uses: ids, nodes, pages, times, digests and refusals."""
