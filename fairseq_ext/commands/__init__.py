"""The console command `fairseq-ext`: a module per command, found by its file name.

`score_recognition.py` is `fairseq-ext score recognition`, `check.py` is `fairseq-ext check`; `main.py` runs them, and
a module whose name begins with an underscore holds what several commands share. A command defines

    SUMMARY: str                                                  its line of `fairseq-ext --help`
    add_arguments(parser: argparse.ArgumentParser) -> None
    run(args: argparse.Namespace) -> int                          the exit status

and its docstring is the text of its own `--help`. It is light to import: torch and fairseq are imported by `run`.
Options that do not go together raise `argparse.ArgumentError(None, message)`, which ends as a wrong option does.
"""
