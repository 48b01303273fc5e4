"""Grammars of the synthetic sentences, a module per language; sentences.py explains the notation.

Each module has GRAMMAR (the rules), REWRITES (regular expressions that contract what the rules put side by
side) and NUMERALS (the number words that a text may also write in digits, whatever the gender: `word=digits`).
"""
