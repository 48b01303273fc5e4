#!/usr/bin/env python3
"""Run `fairseq-ext lipread`, with the same options."""

from fairseq_ext.commands.main import run_tool

if __name__ == "__main__":
    run_tool(__file__, "lipread")
