"""Text: scoring of transcripts. Standard library and numpy only."""
