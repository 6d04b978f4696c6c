import type { ReadonlySignal } from '@preact/signals';

/** Makes the component or effect that calls this run again when one of the signals changes. */
export function dependOn(...signals: readonly ReadonlySignal<unknown>[]): void {
  signals.forEach((one) => one.value);
}
