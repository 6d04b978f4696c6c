// The integration guide's own example, to the letter but for its address. It runs against a real server:
// ANITA_TEST_URL=ws(s)://…/ws/uwb [ANITA_TEST_TOKEN=…] npm test -- guide
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';

const address = process.env['ANITA_TEST_URL'];
const token = process.env['ANITA_TEST_TOKEN'];

const example = `
const socket = new WebSocket('wss://example.com/ws/uwb');
socket.addEventListener('open', (event) => {
  console.log('WebSocket connection opened');
  socket.send(JSON.stringify({ type: 'get_active_devices', payload: {} }));
});
socket.addEventListener('message', (event) => {
  const message = JSON.parse(event.data);
  if (message.type === 'uwb.device_list') console.log('UWB Devices:', message.payload.devices);
});
socket.addEventListener('close', (event) => { console.log('WebSocket connection closed'); });
socket.addEventListener('error', (event) => { console.error('WebSocket error:', event); });
`;

describe.skipIf(!address)('the example of the guide', () => {
  afterEach(() => void vi.restoreAllMocks());

  test('prints the devices', { timeout: 60_000 }, async () => {
    const url = new URL(address!);
    if (token) url.searchParams.set('token', token);
    const printed = vi.spyOn(console, 'log').mockReturnValue();
    const failed = vi.spyOn(console, 'error').mockReturnValue();
    // A function of its own scope, as a page's script is: it returns its socket, so that the test can end it.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- the text of the guide, and nothing else
    const run = new Function(
      'WebSocket',
      'console',
      `${example.replace('wss://example.com/ws/uwb', url.href)}; return socket;`,
    );
    const socket = (run as (...args: unknown[]) => WebSocket)(WebSocket, console);

    await vi.waitFor(() => expect(printed).toHaveBeenCalledWith('UWB Devices:', expect.any(Array)), {
      timeout: 20_000,
    });
    expect(printed).toHaveBeenCalledWith('WebSocket connection opened');
    for (const device of printed.mock.calls.find(([first]) => first === 'UWB Devices:')![1] as object[]) {
      expect(device).toMatchObject({ id: expect.any(String), kind: expect.any(String), status: expect.any(String) });
    }
    socket.close();
    await vi.waitFor(() => expect(printed).toHaveBeenCalledWith('WebSocket connection closed'), {
      timeout: 20_000,
    });
    expect(failed).not.toHaveBeenCalled();
  });
});
