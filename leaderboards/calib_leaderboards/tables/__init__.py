"""Entries as rows, rows as tables, tables as files."""
