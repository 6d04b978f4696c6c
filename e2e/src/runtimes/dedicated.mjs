// A module worker: what the page says are the options.
import * as sdk from '/sdk/anita.js';
import { walk } from './walk.mjs';

globalThis.addEventListener('message', ({ data }) => void walk(sdk, data, (what) => globalThis.postMessage(what)));
