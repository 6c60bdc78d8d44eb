"""`python -m cli` is `maxwell`; the stack starts its processes this way. It knows no command."""

from .main import app

app(prog_name="maxwell")
