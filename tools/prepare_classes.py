#!/usr/bin/env python3
"""Run the command `prepare classes` of fairseq_ext, with the same options."""

import argparse
import sys

from fairseq_ext.commands import prepare_classes


def main() -> None:
    """Parse the options and run the command; an error is one line."""
    parser = argparse.ArgumentParser(
        description=prepare_classes.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    prepare_classes.add_arguments(parser)
    try:
        sys.exit(prepare_classes.run(parser.parse_args()))
    except (ValueError, OSError) as error:
        sys.exit(f"prepare_classes.py: {error}")


if __name__ == "__main__":
    main()
