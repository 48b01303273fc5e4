"""Options of several commands: --languages, the filters of labels, and --check, which stops a run before its start."""

import argparse


def add_languages(parser: argparse.ArgumentParser, about: str) -> None:
    """Add the option, to be read with `text.language_codes.read_codes`."""
    parser.add_argument("--languages", default="fr,it,es,pt", help=f"{about} (default: %(default)s)")


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument("--check", action="store_true", help="check the options, and read and write nothing")


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add an option per field of `FilterSettings`, to be read with `labelling.filters.names`."""
    from dataclasses import fields

    from ..labelling.filters import FilterSettings

    group = parser.add_argument_group("filters")
    for item in fields(FilterSettings):
        option = f"--{item.name.replace('_', '-')}"
        text = f"{item.metadata['help']} (default: {item.default})"
        group.add_argument(option, type=type(item.default), default=item.default, help=text)
