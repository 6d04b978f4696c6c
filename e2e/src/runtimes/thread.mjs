// The client in a worker thread of Node, and nothing of it in the main one.
import process from 'node:process';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';

if (isMainThread) {
  new Worker(fileURLToPath(import.meta.url), { workerData: JSON.parse(process.argv[2]) })
    .on('message', (what) => console.log(JSON.stringify(what)))
    .on('error', (error) => {
      throw error;
    });
} else {
  const [sdk, { WebSocket }, { walk }] = await Promise.all([
    import('@anita/client'),
    import('ws'),
    import('./walk.mjs'),
  ]);
  await walk(sdk, { ...workerData, WebSocket }, (what) => parentPort.postMessage(what));
}
