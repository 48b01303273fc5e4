"""Media: audio of any format in, mono float32 out."""
