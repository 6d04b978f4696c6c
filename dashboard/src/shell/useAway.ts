import type { RefObject } from 'preact';
import { useEffect } from 'preact/hooks';

/** Closes what lies over the page when somebody presses or goes elsewhere; it has the focus when it opens. */
export function useAway(
  box: RefObject<HTMLElement | null>,
  button: RefObject<HTMLElement | null>,
  close: () => void,
): void {
  useEffect(() => {
    const first = box.current?.querySelector<HTMLElement>('select, input, button') ?? box.current;
    first?.focus();
    const away = ({ target }: Event): void => {
      if (!(target instanceof Node) || box.current?.contains(target) === true) return;
      if (button.current?.contains(target) !== true) close();
    };
    addEventListener('pointerdown', away);
    addEventListener('focusin', away);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('focusin', away);
    };
    // It closes the same thing however often it is drawn.
  }, [box, button]);
}
