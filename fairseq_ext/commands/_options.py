"""The option --languages, and --check, which stops a run with a mistake before its first stage."""

import argparse


def add_languages(parser: argparse.ArgumentParser, about: str) -> None:
    """Add the option, to be read with `text.language_codes.read_codes`."""
    parser.add_argument("--languages", default="fr,it,es,pt", help=f"{about} (default: %(default)s)")


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument("--check", action="store_true", help="check the options, and read and write nothing")
