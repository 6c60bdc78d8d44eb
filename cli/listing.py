"""Listings, as a table for people or JSON for programs. It knows columns, not what they mean."""

import json
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WHOLE = {"id", "name", "status"}  # what people copy keeps to one line


def show(title: str, columns: list[str], rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print the rows: all fields as JSON, or the named columns as a table."""
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    for row in rows:  # Text: what users wrote is no markup
        table.add_row(*(Text("" if row.get(column) is None else str(row[column])) for column in columns))
    Console().print(table if rows else f"No {title.lower()}.")
