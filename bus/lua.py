"""Loads the Lua scripts beside this file and gives them the key names. It knows no script's purpose.

Scripts find key templates, limits and a few shared functions (`scripts/prelude.lua`) as locals. They read the server's clock
(`TIME`), so that no two machines' clocks are ever compared; times are milliseconds since 1970.
"""

from importlib.resources import files

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from . import keys

_SCRIPTS = files("bus") / "scripts"
_LIMITS = {
    "EVENT_LIMIT": keys.EVENT_LIMIT,
    "BELL_LIMIT": keys.BELL_LIMIT,
    "BELL_SECONDS": int(keys.BELL_LIFE.total_seconds()),
    "DEAD_LETTER_LIMIT": keys.DEAD_LETTER_LIMIT,
    "IDEMPOTENCY_SECONDS": int(keys.IDEMPOTENCY_LIFE.total_seconds()),
    "LIMIT_SECONDS": int(keys.LIMIT_LIFE.total_seconds()),
}


def script(redis: Redis, name: str) -> AsyncScript:
    """The script `scripts/<name>.lua`, ready to be awaited with `args=[…]`."""
    templates = {key: value for key, value in vars(keys).items() if key.isupper() and isinstance(value, str)}
    constants = [f"local {key} = '{value}'" for key, value in templates.items()]
    constants += [f"local {key} = {value}" for key, value in _LIMITS.items()]
    prelude = (_SCRIPTS / "prelude.lua").read_text()
    return redis.register_script("\n".join([*constants, prelude, (_SCRIPTS / f"{name}.lua").read_text()]))
