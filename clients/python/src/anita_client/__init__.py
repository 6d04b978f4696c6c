"""The client of ANITA, the open hub for real-time location: asyncio, typed, and back after every network fault.

async with AnitaClient("wss://hall.example/ws/uwb", token=token) as client:
    async for message in client.messages("uwb.location", policy="latest"):
        print(message.payload["device_id"], message.payload["location"])
"""

from . import wire
from .client import AnitaClient, Stats
from .envelope import Message
from .errors import AnitaError
from .machine import State, TokenReason
from .rooms import Gap, Room
from .streams import Buffered, Policy, Stream
from .tokens import Token, TokenFunction
from .views import Change, Changes, Devices, DeviceTable, View

__all__ = [
    "AnitaClient",
    "AnitaError",
    "Buffered",
    "Change",
    "Changes",
    "DeviceTable",
    "Devices",
    "Gap",
    "Message",
    "Policy",
    "Room",
    "State",
    "Stats",
    "Stream",
    "Token",
    "TokenFunction",
    "TokenReason",
    "View",
    "wire",
]
