"""Maps of embeddings: one to turn, hover over and listen to, and a grid over encoders and layers."""
