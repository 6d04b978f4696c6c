/**
 * Follows the device `walker` with the client, wherever this runs, and tells each thing that happens. Ends when the walker
 * has come to `lastX`. `sdk` is the client as the runtime loads it.
 */
export async function walk({ AnitaClient, rooms, subscribe }, { url, tokenUrl, lastX, WebSocket }, say) {
  const anita = new AnitaClient(url, {
    ...(WebSocket && { WebSocket }),
    token: async ({ reason, signal }) => (await fetch(`${tokenUrl}?${reason}`, { signal })).text(),
    backoff: { baseMs: 100, capMs: 500 },
  });
  anita.on('state', (state) => say({ state }));
  anita.on('error', ({ code }) => say({ error: code }));
  anita.on('room.message', ({ data }) => say({ heard: data }));
  const view = subscribe(anita, { mode: 'columns' });
  await new Promise((arrived) => {
    const look = () => {
      const x = view.devices.get('walker')?.location?.x;
      if (x !== undefined) say({ x });
      if (x === lastX) arrived();
    };
    for (const type of ['snapshot', 'entered', 'position']) view.on(type, look);
    anita.connect().then(() => rooms(anita).join('hall'));
  });
  const { reconnects, invalid, unknown } = anita.stats();
  anita.close();
  say({ reconnects, invalid, unknown });
}
