"""Prints where devices are, as it changes: python print_positions.py wss://hall.example/ws/uwb

The token comes from ANITA_TOKEN. With --fingerprint the one certificate that `anita serve` has printed is trusted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from anita_client import AnitaClient, AnitaError


async def print_positions(url: str, token: str, fingerprint: str | None, count: int | None) -> None:
    async with AnitaClient(url, token=token, fingerprint=fingerprint) as client, client.devices() as devices:
        changes = devices.changes()
        for id in devices:
            print_device(id, devices[id].get("location"))
        async for change in changes:
            for id in sorted(change.changed):
                print_device(id, devices[id].get("location"))
                if count is not None and (count := count - 1) <= 0:
                    return


def print_device(id: str, location: object) -> None:
    print(id, location or "nowhere yet", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--fingerprint")
    parser.add_argument("--count", type=int, help="end after so many changes")
    options = parser.parse_args()
    token = os.environ.get("ANITA_TOKEN")
    if not token:
        print("ANITA_TOKEN is not set: anita token --config anita.toml --subject alice --role viewer", file=sys.stderr)
        return 2
    try:
        asyncio.run(print_positions(options.url, token, options.fingerprint, options.count))
    except (AnitaError, ValueError) as error:
        print(f"{error} {getattr(error, 'remedy', '')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
