"""Listings, as a table for people or JSON for programs. It knows columns, not what they mean."""

import json
import re
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
WHOLE = {"id", "name", "created_at"}  # what people copy keeps to one line


def show(title: str, columns: list[str], rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print the rows: all fields as JSON, or the named columns as a table."""
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    for row in rows:  # Text: what users wrote is no markup
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    Console().print(table if rows else f"No {title.lower()}.")


def _cell(value: Any) -> str:
    """What people read of a value: of a time, the seconds are enough."""
    text = "" if value is None else str(value)
    return f"{text[:10]} {text[11:19]}" if _TIME.fullmatch(text) else text
