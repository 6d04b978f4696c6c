export interface Throttled {
  (): void;
  cancel(): void;
}

/** Runs `work` at most once in `ms`: at once after a quiet time, otherwise when the time is over. Never loses the last call. */
export function throttle(work: () => void, ms: number): Throttled {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = -Infinity;
  const run = (): void => {
    timer = undefined;
    last = performance.now();
    work();
  };
  const call = (): void => {
    if (timer !== undefined) return;
    const wait = last + ms - performance.now();
    if (wait <= 0) run();
    else timer = setTimeout(run, wait);
  };
  return Object.assign(call, {
    cancel: (): void => {
      clearTimeout(timer);
      timer = undefined;
    },
  });
}
