/** As the guide prints it. */
export const GUIDE = `
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
