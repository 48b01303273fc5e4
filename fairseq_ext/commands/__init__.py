"""The console command fairseq-ext: one small module per subcommand."""
