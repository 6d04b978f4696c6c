import { computed, effect, signal } from '@preact/signals';

import { oneOf, remembered } from '../prefs';

/** Light or dark: as the system, or as the reader wants it. The style sheet asks `data-theme` of the root only. */

export const THEMES = ['auto', 'light', 'dark'] as const;
export const themeChoice = remembered<(typeof THEMES)[number]>('theme', 'auto', oneOf(THEMES));

const systemIsDark = signal(false);

export const theme = computed(() => {
  if (themeChoice.value !== 'auto') return themeChoice.value;
  return systemIsDark.value ? 'dark' : 'light';
});

/** Counts up when the colours changed: what is painted on a canvas has to be painted again. */
export const colours = signal(0);

export function listenToTheme(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  systemIsDark.value = dark.matches;
  dark.addEventListener('change', () => {
    systemIsDark.value = dark.matches;
  });
  effect(() => {
    document.documentElement.dataset['theme'] = theme.value;
    colours.value = colours.peek() + 1;
  });
  for (const query of ['(forced-colors: active)', '(prefers-contrast: more)']) {
    matchMedia(query).addEventListener('change', () => {
      colours.value += 1;
    });
  }
}
