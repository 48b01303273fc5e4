"""Features of every frame of a corpus: dumped, and clustered to the targets of masked prediction."""
