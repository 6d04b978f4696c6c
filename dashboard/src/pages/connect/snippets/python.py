import asyncio
import os

from anita_client import AnitaClient

URL = "ws://127.0.0.1:8080/ws"
FIX = {"device_id": "cart-7", "location": {"x": 1.5, "y": 2, "z": 0}}


async def main() -> None:
    async with AnitaClient(URL, token=os.environ["ANITA_TOKEN"]) as anita:
        print(await anita.request("report_location", FIX))


asyncio.run(main())
