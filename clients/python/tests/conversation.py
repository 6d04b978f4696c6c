"""Plays the scripts of conformance/client against a real server; their README says what the lines mean."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from .harness import PATIENCE_S, Server, until

from anita_client import AnitaClient, AnitaError, Gap, State, Stream, Token, View  # isort: skip

# A token in form, made by nobody.
BROKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmVkIGJ5IG5vYm9keQ"


def fits(pattern: Any, value: Any) -> bool:
    """Whether a value has all that a pattern names."""
    if pattern == "…":
        return True
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(name in value and fits(it, value[name]) for name, it in pattern.items())
    if isinstance(pattern, list):
        is_list = isinstance(value, list) and len(value) == len(pattern)
        return is_list and all(fits(one, other) for one, other in zip(pattern, value, strict=True))
    if isinstance(pattern, bool) or isinstance(value, bool):
        return pattern is value
    return bool(pattern == value)


class Actor:
    """A client of a script, and what it was told."""

    def __init__(self, client: AnitaClient) -> None:
        self.client = client
        self.tokens = 0
        self.requests: list[asyncio.Task[Any]] = []
        self.views: dict[str, View] = {}
        self.opening: set[asyncio.Task[View]] = set()
        self.heard: dict[str, Stream[Any]] = {}
        self.gaps = client.gaps()

    def listen(self, types: set[str]) -> None:
        self.heard = {type: self.client.messages(type) for type in types}


class Conversation:
    """One script and its server."""

    def __init__(self, text: str) -> None:
        numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
        self.lines = [(number, line) for number, line in numbered if line and not line.startswith("#")]
        self.actors: dict[str, Actor] = {}
        # An application may ask for messages before it connects: all that a script hears is asked for at the beginning.
        self.types = {line.split()[2] for _, line in self.lines if line.split()[1] == "hears"}
        self.types |= {line.split()[3] for _, line in self.lines if line.split()[1:3] == ["hears", "no"]}
        self.types.discard("no")

    async def play(self) -> None:
        self.server = Server()
        try:
            await self.server.start()
            for number, line in self.lines:
                try:
                    async with asyncio.timeout(PATIENCE_S + 5):
                        await self.line(line)
                except Exception as error:
                    seen = {name: (actor.client.state, str(actor.client.error)) for name, actor in self.actors.items()}
                    raise AssertionError(f"line {number}: {line}\n{type(error).__name__}: {error}\n{seen}") from error
        finally:
            for actor in self.actors.values():
                await actor.client.close()
            self.server.close()

    async def line(self, line: str) -> None:
        for pattern, does in LINES:
            if found := re.fullmatch(pattern, line):
                await does(self, *found.groups())
                return
        raise ValueError("no such line")

    async def token(self, actor: list[Actor], role: str, subject: str, words: dict[str, str]) -> Token:
        kind = words.pop("token", "function")
        if kind == "broken":
            return BROKEN
        if kind == "static":
            return await asyncio.to_thread(self.server.token, role, subject, **words)

        def give(_reason: str) -> str:
            actor[0].tokens += 1
            return self.server.token(role, subject, **words)

        return give

    # --- the lines

    async def stops(self) -> None:
        await self.server.end(signal.SIGTERM)

    async def is_killed(self) -> None:
        await self.server.end(signal.SIGKILL)

    async def starts(self) -> None:
        await self.server.start()

    async def report(self, item: str) -> None:
        await self.server.report(json.loads(item))

    async def revoke(self, name: str) -> None:
        await self.server.revoke(name)

    async def connects(self, name: str, path: str, role: str, words: str) -> None:
        made: list[Actor] = []
        options = dict(word.split("=", 1) for word in words.split())
        token = await self.token(made, role, name, options)
        actor = self.actors[name] = Actor(AnitaClient(self.server.url(path), token=token))
        made.append(actor)
        actor.listen(self.types)
        actor.client.start()

    async def connects_again(self, name: str) -> None:
        self.actors[name].client.start()

    async def is_state(self, name: str, state: str) -> None:
        client = self.actors[name].client
        await until(lambda: client.state is State(state), lambda: f"{state}, and not {client.state}")

    async def was_online(self, name: str, times: str) -> None:
        stats = self.actors[name].client.stats
        await until(lambda: stats.connections >= int(times), lambda: f"{times} times, and not {stats.connections}")
        if stats.connections != int(times):
            raise AssertionError(f"it was online {stats.connections} times")

    async def gave(self, name: str, tokens: str) -> None:
        actor = self.actors[name]
        await until(lambda: actor.tokens >= int(tokens), lambda: f"{tokens} tokens, and not {actor.tokens}")

    async def asks(self, name: str, type: str, payload: str) -> None:
        actor = self.actors[name]
        asking = actor.client.request_any(type, json.loads(payload), timeout=PATIENCE_S)
        actor.requests.append(asyncio.create_task(asking))
        # What is asked is on its way, or waits, before the next line.
        await asyncio.sleep(0)

    async def oldest(self, name: str) -> Any:
        request = self.actors[name].requests.pop(0)
        try:
            return await request
        except AnitaError as error:
            return error

    async def gets(self, name: str, pattern: str) -> None:
        found = await self.oldest(name)
        if isinstance(found, AnitaError) or not fits(json.loads(pattern), found):
            raise AssertionError(f"the answer is {found!r}")

    async def is_refused(self, name: str, code: str, pattern: str | None) -> None:
        found = await self.oldest(name)
        is_so = isinstance(found, AnitaError) and found.from_server and found.code == code
        if not is_so or not fits(json.loads(pattern or '"…"'), found.details):
            raise AssertionError(f"the answer is {found!r} {getattr(found, 'details', None)}")

    async def is_not_answered(self, name: str, code: str) -> None:
        found = await self.oldest(name)
        if not isinstance(found, AnitaError) or found.code != code:
            raise AssertionError(f"the answer is {found!r}")

    async def joins(self, name: str, room: str) -> None:
        await self.actors[name].client.join(room, timeout=PATIENCE_S)

    async def leaves(self, name: str, room: str) -> None:
        await self.actors[name].client.leave(room, timeout=PATIENCE_S)

    async def hears(self, name: str, type: str, pattern: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            message = await anext(self.actors[name].heard[type])
        if not fits(json.loads(pattern), message.payload):
            raise AssertionError(f"it heard {message}")

    async def hears_no(self, name: str, type: str) -> None:
        actor = self.actors[name]
        await actor.client.ping(timeout=PATIENCE_S)
        if (message := actor.heard[type].take()) is not None:
            raise AssertionError(f"it heard {message}")

    async def misses(self, name: str, pattern: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            gap: Gap = await anext(self.actors[name].gaps)
        if not fits(json.loads(pattern), vars(gap)):
            raise AssertionError(f"it missed {gap}")

    async def opens(self, name: str, view: str, payload: str) -> None:
        actor = self.actors[name]
        actor.views[view] = opened = actor.client.subscribe(**json.loads(payload), timeout=PATIENCE_S)
        opening = asyncio.create_task(opened.open())
        actor.opening.add(opening)
        await asyncio.sleep(0)

    async def sees(self, name: str, view: str, ids: str) -> None:
        found, wanted = self.actors[name].views[view], sorted(json.loads(ids))
        await until(
            lambda: found.is_live and sorted(found.devices) == wanted,
            lambda: f"{wanted}, and not {dict(found.devices)}",
        )

    async def sees_at(self, name: str, view: str, id: str, place: str) -> None:
        found, wanted = self.actors[name].views[view].devices, json.loads(place)
        await until(lambda: id in found and found[id]["location"] == wanted, lambda: f"{wanted}, and not {dict(found)}")

    async def ends(self, name: str, view: str) -> None:
        await self.actors[name].views.pop(view).close()

    async def fails_with(self, name: str, code: str) -> None:
        await self.is_state(name, "failed")
        error = self.actors[name].client.error
        if error is None or error.code != code:
            raise AssertionError(f"it failed with {error!r}")

    async def closes(self, name: str) -> None:
        await self.actors[name].client.close()


Does = Callable[..., Awaitable[None]]
LINES: list[tuple[str, Does]] = [
    (r"server stops", Conversation.stops),
    (r"server starts", Conversation.starts),
    (r"server is killed", Conversation.is_killed),
    (r"report (\{.*\})", Conversation.report),
    (r"revoke (\w+)", Conversation.revoke),
    (r"(\w+) connects again", Conversation.connects_again),
    (r"(\w+) connects (/\S+) (\w+)((?: \w+=\S+)*)", Conversation.connects),
    (r"(\w+) is not answered (\w+)", Conversation.is_not_answered),
    (r"(\w+) is refused (\w+)(?: (.+))?", Conversation.is_refused),
    (r"(\w+) is (\w+)", Conversation.is_state),
    (r"(\w+) was online (\d+) times", Conversation.was_online),
    (r"(\w+) gave (\d+) tokens", Conversation.gave),
    (r"(\w+) asks (\S+) (\{.*\})", Conversation.asks),
    (r"(\w+) gets (.+)", Conversation.gets),
    (r"(\w+) joins (\S+)", Conversation.joins),
    (r"(\w+) leaves (\S+)", Conversation.leaves),
    (r"(\w+) hears no (\S+)", Conversation.hears_no),
    (r"(\w+) hears (\S+) (.+)", Conversation.hears),
    (r"(\w+) misses (.+)", Conversation.misses),
    (r"(\w+) opens (\w+) (\{.*\})", Conversation.opens),
    (r"(\w+) sees (\w+) (\[.*\])", Conversation.sees),
    (r"(\w+) sees (\w+) (\S+) at (\{.*\})", Conversation.sees_at),
    (r"(\w+) ends (\w+)", Conversation.ends),
    (r"(\w+) fails with (\w+)", Conversation.fails_with),
    (r"(\w+) closes", Conversation.closes),
]
