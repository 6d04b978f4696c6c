import { useSignal } from '@preact/signals';
import type { Device, HistoryEntry } from '@anita/client';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect } from 'preact/hooks';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { Icon, StatusShape } from '../icons';
import { Battery } from '../list/DeviceList';
import { labelOf } from '../list/order';
import { CopyButton } from '../shell/CopyButton';
import { agoPhrase, clockTime, dayAndTime, parseTime } from '../time';
import type { View } from '../view';
import './detail.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

/** What is known of the selected device. */
export function DevicePanel({ hub, view }: Props): JSX.Element | null {
  dependOn(hub.world.version);
  const id = view.selected.value;
  if (id === null) return null;
  const device = hub.world.tracks.get(id)?.device;
  return (
    <aside class="panel card" aria-label="Selected device">
      <div class="panel-head">
        {device !== undefined && <StatusShape status={device.status} kind={device.kind} />}
        <h2>{device === undefined ? id : labelOf(device)}</h2>
        <button
          type="button"
          class="quiet square"
          aria-label="Close the device panel"
          title="Close (Esc)"
          onClick={() => {
            view.select(null);
          }}
        >
          <Icon name="close" />
        </button>
      </div>
      {device === undefined ? (
        <p class="panel-note">This device is not there, or not for this token.</p>
      ) : (
        <Known key={id} hub={hub} view={view} device={device} />
      )}
    </aside>
  );
}

const STATUS_WORD = { connected: 'Connected', stale: 'Stale', disconnected: 'Disconnected' } as const;

function Known({ hub, view, device }: Props & { readonly device: Device }): JSX.Element {
  const following = view.follow.value;
  const at = device.location;
  return (
    <>
      <div class="position" aria-label="Position in metres">
        {(['x', 'y', 'z'] as const).map((axis) => (
          <div key={axis}>
            <span>{axis}, m</span>
            <b data-axis={axis}>{at === null ? '–' : at[axis].toFixed(2)}</b>
          </div>
        ))}
      </div>
      <div class="panel-actions">
        <button
          type="button"
          aria-pressed={following}
          title="Follow (f)"
          disabled={at === null}
          onClick={() => {
            view.follow.value = !following;
          }}
        >
          <Icon name="target" /> Follow
        </button>
        <CopyButton text={() => JSON.stringify(device, null, 2)} label="Copy JSON of the device" word="Copy JSON" />
      </div>
      <dl class="facts">
        <Fact name="Status">
          <span class={`is-${device.status}`}>{STATUS_WORD[device.status]}</span>
        </Fact>
        <Fact name="Id">
          <code>{device.id}</code>
        </Fact>
        {device.name !== undefined && <Fact name="Name">{device.name}</Fact>}
        <Fact name="Kind">{device.kind}</Fact>
        {device.site !== undefined && <Fact name="Site">{device.site}</Fact>}
        {device.floor !== undefined && <Fact name="Floor">{device.floor}</Fact>}
        {device.accuracy !== undefined && <Fact name="Accuracy">± {device.accuracy.toFixed(2)} m</Fact>}
        {device.battery !== undefined && (
          <Fact name="Battery">
            <Battery percent={device.battery} />
          </Fact>
        )}
        {device.source !== undefined && (
          <Fact name="Source">
            <code>{device.source}</code>
          </Fact>
        )}
        <Fact name="Last seen">
          <Time text={device.last_seen} hub={hub} />
        </Fact>
        {device.timestamp !== undefined && (
          <Fact name="Device time">
            <Time text={device.timestamp} hub={hub} />
          </Fact>
        )}
      </dl>
      <History hub={hub} id={device.id} />
    </>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Time({ text, hub }: { readonly text: string | null | undefined; readonly hub: Hub }): JSX.Element {
  const at = parseTime(text);
  if (at === undefined) return <>never</>;
  const now = hub.serverNow();
  return (
    <time dateTime={text ?? ''} title={text ?? ''}>
      {dayAndTime(at, now)} <span class="dim">{agoPhrase(now - at)}</span>
    </time>
  );
}

const HISTORY = 100;

/** The last hundred positions, asked for when wanted. */
function History({ hub, id }: { readonly hub: Hub; readonly id: string }): JSX.Element {
  const entries = useSignal<readonly HistoryEntry[] | null>(null);
  const busy = useSignal(false);
  const problem = useSignal('');
  const stop = useSignal(new AbortController());

  useEffect(
    () => () => {
      stop.value.abort();
    },
    [stop],
  );

  const ask = async (): Promise<void> => {
    if (busy.value) return;
    busy.value = true;
    problem.value = '';
    try {
      entries.value = await hub.history(id, HISTORY, stop.value.signal);
    } catch (error) {
      problem.value = error instanceof Error ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  };

  const rows = entries.value;
  return (
    <div class="history">
      <button type="button" onClick={() => void ask()} disabled={busy.value || !hub.live.value}>
        <Icon name="history" />
        {rows === null ? 'History' : 'Read again'}
      </button>
      {problem.value !== '' && (
        <p class="inline-error" role="alert">
          {problem.value}
        </p>
      )}
      {rows?.length === 0 && <p class="panel-note">Nothing is kept for this device.</p>}
      {rows !== null && rows.length > 0 && (
        <div class="history-rows" tabIndex={0} role="region" aria-label="History">
          <table>
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">x</th>
                <th scope="col">y</th>
                <th scope="col">z</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((entry, index) => (
                <tr key={index}>
                  <td title={entry.timestamp}>{clockTime(parseTime(entry.timestamp) ?? NaN, true)}</td>
                  <td>{entry.location.x.toFixed(2)}</td>
                  <td>{entry.location.y.toFixed(2)}</td>
                  <td>{entry.location.z.toFixed(2)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
