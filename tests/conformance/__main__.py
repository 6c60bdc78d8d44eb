"""The provider in a process of its own, for benchmarks and for trying a judge by hand: `python -m tests.conformance --latency 3`.

Prints its OpenAI base URL and serves until its standard input ends. `URL/../counts` tells what it has seen. It knows no judge.
"""

import argparse
import sys

from .limits import Limits
from .provider import Provider, running


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds of every answer")
    parser.add_argument("--requests-per-minute", type=float)
    parser.add_argument("--tokens-per-minute", type=float)
    parser.add_argument("--at-once", type=int)
    parser.add_argument("--burst", type=float, default=60.0, help="seconds' worth that may come at once")
    given = parser.parse_args()
    limits = Limits(given.requests_per_minute, given.tokens_per_minute, given.at_once, given.burst)
    with running(Provider(latency=given.latency, limits=limits, recording=False)) as provider:
        print(provider.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
