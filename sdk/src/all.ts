// Everything in one file, for pages without a bundler: `/sdk/anita.js`.
export * from './index.js';
export { explain } from './explain.js';
export type { Explanation } from './explain.js';
export { DeviceStore } from './store.js';
export type { StorePort } from './store.js';
