import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { Icon, StatusShape } from '../icons';
import type { View } from '../view';
import { KEYS } from './keys';

export function Help({ view }: { readonly view: View }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = view.help.value;
  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    if (open && !element.open) element.showModal();
    if (!open && element.open) element.close();
  }, [open]);
  const close = (): void => {
    view.help.value = false;
  };
  return (
    // A click on the backdrop closes as well; the keyboard has Escape and the button.
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={close}
      onClick={(event) => {
        if (event.target === event.currentTarget) close();
      }}
    >
      <div class="help-body">
        <div class="help-head">
          <h2 id="help-title">Keys and shapes</h2>
          <button type="button" class="quiet square" aria-label="Close the help" onClick={close}>
            <Icon name="close" />
          </button>
        </div>
        <dl class="keys">
          {KEYS.map(({ keys, does }) => (
            <div key={does}>
              <dt>
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dt>
              <dd>{does}</dd>
            </div>
          ))}
        </dl>
        <label class="check">
          <input
            type="checkbox"
            checked={view.shortcuts}
            onChange={(event) => {
              view.shortcuts.value = event.currentTarget.checked;
            }}
          />
          Single keys act
        </label>
        <h3>On the map</h3>
        <ul class="legend">
          <li>
            <StatusShape status="connected" /> tag, connected
          </li>
          <li>
            <StatusShape status="stale" /> tag, stale: silent for a while
          </li>
          <li>
            <StatusShape status="disconnected" /> disconnected
          </li>
          <li>
            <StatusShape status="connected" kind="anchor" /> anchor
          </li>
          <li>
            <StatusShape status="connected" kind="gateway" /> gateway
          </li>
          <li>
            <span class="low-mark">
              <StatusShape status="connected" kind="anchor" />
            </span>{' '}
            small red triangle on a device: battery below 20 %
          </li>
        </ul>
        <p class="help-note">
          Drag moves the map, the wheel or two fingers zoom. The device list holds everything the map shows, for
          keyboards and screen readers. Coordinates are metres in the site’s frame: x to the right, y up.
        </p>
      </div>
    </dialog>
  );
}
