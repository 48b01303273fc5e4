"""What a reader sees of a scored run: results.json, RESULTS.md and the self-contained page report.html."""
