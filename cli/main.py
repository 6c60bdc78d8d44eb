"""The commands of `maxwell`: their options and help. It knows what each command needs, not how it is done."""

import json
import os
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from .client import Client
from .drawing import curl_line, draw, refuse_unwritable, report, save
from .errors import sentences
from .listing import show
from .logs import configure_logs
from .signals import stop_on_signals

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,  # a bug's traceback goes to logs as it is
    help="Makes a diffusion model draw what a judge prefers.\n\n"
    "Example: `maxwell up`, then in another terminal `maxwell generate 'a red apple' --scenario teacher`.",
)

judges_app = typer.Typer()
app.add_typer(judges_app, name="judges")


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"maxwell {version('maxwell')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", help="Say the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Nothing of its own."""


Url = Annotated[str, typer.Option(help="The gateway.", envvar="MAXWELL_URL")]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs instead of a table for people.")]
Port = Annotated[int, typer.Option(help="Where the gateway listens.", envvar="MAXWELL_PORT", min=1, max=65535)]
Host = Annotated[str, typer.Option(help="On which address.", envvar="MAXWELL_HOST")]
State = Annotated[Path, typer.Option(help="Folder of Redis data and pictures.", envvar="MAXWELL_STATE_DIR")]
DEFAULT_URL = "http://127.0.0.1:8000"
STATE = Path(".maxwell")


@app.command()
def up(host: Host = "127.0.0.1", port: Port = 8000, state: State = STATE) -> None:
    """Run the whole service on this machine until Ctrl-C.

    Redis (embedded, unless MAXWELL_REDIS_URL names one), gateway, GPU worker and judge worker.

    Example: `maxwell up --port 9000`
    """
    console = Console(stderr=True)
    with sentences(needs="all"):
        from .stack import Stack  # noqa: PLC0415 - client commands need no server packages

        stack = Stack(host, port, state, redis_url=os.environ.get("MAXWELL_REDIS_URL"))
        stop_on_signals(stack.stopping)
        with stack:
            request = curl_line(stack.url, stack.readiness["models"], stack.readiness["judges"])
            ready = f"Maxwell is ready at {stack.url} (documentation: {stack.url}/docs). Ctrl-C stops it. A request:\n  {request}"
            console.print(Text(ready), soft_wrap=True)  # what is to be copied gets no line breaks
            stack.watch()
        console.print("Maxwell has stopped.")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("demo-output"),
    prompt: Annotated[str, typer.Option(help="What to draw.")] = "a red apple",
    scenario: Annotated[str, typer.Option(help="Who looks at the pictures.")] = "teacher",
    state: State = STATE,
) -> None:
    """Start the service, draw one steered picture, stop the service.

    Example: `maxwell demo --prompt "a cat" --scenario artist`
    """
    console = Console()
    with sentences(needs="all"):
        from bus.server import free_port  # noqa: PLC0415

        from .stack import Stack  # noqa: PLC0415

        refuse_unwritable(out)
        stack = Stack(
            "127.0.0.1", free_port(), state / "demo", os.environ.get("MAXWELL_REDIS_URL"), logs=state / "logs"
        )
        stop_on_signals(stack.stopping)
        console.print("Starting Redis, gateway, GPU worker and judge worker ...")
        with stack, Client(stack.url) as client:
            body = {"prompt": prompt, "scenario": scenario}
            console.print(Text(f"POST {stack.url}/generate {json.dumps(body)}"), soft_wrap=True)
            job = draw(client, body, console, stack.stopping, meanwhile=stack.mend)
            paths = save(client, job, out)
        report(console, job, paths)


@app.command()
def generate(
    prompt: Annotated[str, typer.Argument(help="What to draw.")],
    scenario: Annotated[str | None, typer.Option(help="teacher, artist, researcher or journalist.")] = None,
    scenario_text: Annotated[str | None, typer.Option(help="Your own scenario instead.")] = None,
    judge: Annotated[str, typer.Option(help="See `maxwell judges`.")] = "local",
    model: Annotated[str, typer.Option(help="See `maxwell models`.")] = "embedded",
    method: Annotated[str, typer.Option(help="demon, pf_ode or best_of_n.")] = "demon",
    preset: Annotated[str, typer.Option(help="fast or paper.")] = "fast",
    candidates: Annotated[int | None, typer.Option("--candidates", "-k", help="K, candidate pictures a step.")] = None,
    steps: Annotated[int | None, typer.Option("--steps", "-t", help="T, denoising steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same start.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("maxwell-output"),
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Draw a picture: submit, show the progress, save everything.

    Example: `maxwell generate "a lion" --judge colorfulness -k 8 --seed 7 --out lion`
    """
    sampler = {"method": method, "preset": preset, "candidates": candidates, "steps": steps}
    body: dict[str, Any] = {
        "prompt": prompt, "scenario": scenario, "scenario_text": scenario_text, "judge": judge, "model": model, "seed": seed,
        "sampler": {name: value for name, value in sampler.items() if value is not None},
    }  # fmt: skip
    body = {name: value for name, value in body.items() if value is not None}
    console, stop = Console(stderr=as_json), threading.Event()
    stop_on_signals(stop)
    with sentences(), Client(url) as client:
        refuse_unwritable(out)
        job = draw(client, body, console, stop)
        paths = save(client, job, out)
    if as_json:
        typer.echo(job.model_dump_json(indent=2))
    else:
        report(console, job, paths)


@app.command()
def jobs(
    limit: Annotated[int, typer.Option(help="How many at most.", min=1, max=100)] = 20,
    status: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List jobs, newest first.

    Example: `maxwell jobs --status failed --json`
    """
    query: dict[str, str | int] = {"limit": limit} | ({"status": status} if status else {})
    with sentences(), Client(url) as client:
        show(
            "Jobs",
            ["id", "status", "judge", "prompt"],
            client.list("/v1/generations", **query),
            as_json,
        )


@judges_app.callback(invoke_without_command=True)
def judges(context: typer.Context, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List the judges that answer now, or try one with `maxwell judges test NAME`.

    Example: `maxwell judges`
    """
    if context.invoked_subcommand is not None:
        return
    with sentences(), Client(url) as client:
        show("Judges", ["name", "kind", "objective", "description"], client.list("/v1/judges"), as_json)


@judges_app.command("test")
def try_judge(
    name: Annotated[str, typer.Argument(help="One that is installed here; its settings come from the environment.")],
    seconds: Annotated[float, typer.Option("--timeout", help="Seconds it may take, retries included.", min=0.1)] = 60.0,
    as_json: Json = False,
) -> None:
    """Ask one judge about two built-in pictures, a red apple and noise. No service is needed.

    Says what it prefers, why, how long it took and what it cost. The status is 0 where it gave a verdict, whatever it prefers, and 1
    where it gave none, with one sentence on what to do.

    Example: `maxwell judges test local`
    """
    with sentences(needs="worker"):
        from .judging import examine, report  # noqa: PLC0415 - only this command needs a judge's packages

        trial = examine(name, seconds)
    if as_json:
        typer.echo(json.dumps(trial.as_json(), indent=2))
    else:
        report(Console(), trial)


@app.command()
def models(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List the models that are served now.

    Example: `maxwell models --json`
    """
    with sentences(), Client(url) as client:
        show(
            "Models", ["name", "family", "width", "height", "device", "description"], client.list("/v1/models"), as_json
        )


@app.command()
def scenarios(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """List the scenarios by name and text.

    Example: `maxwell scenarios`
    """
    with sentences(), Client(url) as client:
        show("Scenarios", ["name", "text"], client.list("/v1/scenarios"), as_json)


@app.command()
def gateway() -> None:
    """Run only the HTTP gateway (settings: MAXWELL_* in the environment).

    Example: `MAXWELL_REDIS_URL=redis://redis:6379 maxwell gateway`
    """
    configure_logs()
    with sentences(needs="gateway"):
        from service.main import main  # noqa: PLC0415
        from service.settings import GatewaySettings  # noqa: PLC0415

        from .checks import refuse_taken_port, refuse_unreachable_redis  # noqa: PLC0415

        settings = GatewaySettings()
        refuse_taken_port(settings.host, settings.port)
        refuse_unreachable_redis(settings.redis_url)  # later Redis may come and go
        main()


@app.command("gpu-worker")
def gpu_worker() -> None:
    """Run only a GPU worker (settings: MAXWELL_* in the environment).

    Example: `MAXWELL_REDIS_URL=redis://redis:6379 MAXWELL_MODELS=embedded maxwell gpu-worker`
    """
    configure_logs()
    with sentences(needs="worker"):
        from workers.gpu_worker import main  # noqa: PLC0415

        main()


@app.command("judge-worker")
def judge_worker() -> None:
    """Run only a judge worker (settings: MAXWELL_* in the environment).

    Example: `MAXWELL_REDIS_URL=redis://redis:6379 MAXWELL_JUDGES=local maxwell judge-worker`
    """
    configure_logs()
    with sentences(needs="worker"):
        from workers.judge_worker import main  # noqa: PLC0415

        main()
