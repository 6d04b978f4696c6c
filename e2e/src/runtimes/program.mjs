// The client as a program of Node, Deno or Bun: one JSON a line. Nothing ends it: it ends when nothing is left to do.
import process from 'node:process';
import * as sdk from '@anita/client';
import { walk } from './walk.mjs';

const { inject, ...options } = JSON.parse(process.argv[2]);
const WebSocket = inject ? (await import('ws')).WebSocket : undefined;
await walk(sdk, { ...options, WebSocket }, (what) => console.log(JSON.stringify(what)));
