// A shared worker: one client for all pages that ask; each hears everything from its coming on.
import * as sdk from '/sdk/anita.js';
import { walk } from './walk.mjs';

const ports = [];
let walking;
globalThis.addEventListener('connect', ({ ports: [port] }) => {
  ports.push(port);
  port.onmessage = ({ data }) => {
    walking ??= walk(sdk, data, (what) => ports.forEach((each) => each.postMessage(what)));
  };
});
