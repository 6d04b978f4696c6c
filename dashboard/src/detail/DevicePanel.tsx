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
import { zoneOf } from '../list/filters';
import { address } from '../session';
import { agoPhrase, clockTime, dayAndTime, parseTime } from '../time';
import type { View } from '../view';
import { decimals, t as common } from '../words';
import type { Track } from '../world';
import { Charts } from './Charts';
import { EditDevice } from './EditDevice';
import { speedOf, type Vitals } from './vitals';
import { t } from './words';
import './detail.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly vitals: Vitals;
}

/** What is known of the selected device. */
export function DevicePanel({ hub, view, vitals }: Props): JSX.Element | null {
  dependOn(hub.world.version);
  const id = view.selected.value;
  if (id === null) return null;
  const track = hub.world.tracks.get(id);
  const device = track?.device;
  return (
    <aside class="panel card" aria-label={t('card.label')}>
      <div class="panel-head">
        {device !== undefined && <StatusShape status={device.status} kind={device.kind} />}
        <h2>{device === undefined ? id : labelOf(device)}</h2>
        <button
          type="button"
          class="quiet square"
          aria-label={t('card.close')}
          title={`${t('card.closeTitle')} (Esc)`}
          onClick={() => {
            view.select(null);
          }}
        >
          <Icon name="close" />
        </button>
      </div>
      {track === undefined ? (
        <p class="panel-note">{t('card.missing')}</p>
      ) : (
        <Known key={id} hub={hub} view={view} vitals={vitals} track={track} device={track.device} />
      )}
    </aside>
  );
}

interface KnownProps extends Props {
  readonly track: Track;
  /** The track's device as it is now: a track stays the same object, and what is shown of it does not. */
  readonly device: Device;
}

function Known({ hub, view, vitals, track, device }: KnownProps): JSX.Element {
  const following = view.follow.value;
  const at = device.location;
  const zone = zoneOf(device, hub.site.value.zones);
  return (
    <>
      <div class="position" role="group" aria-label={t('card.position')}>
        {(['x', 'y', 'z'] as const).map((axis) => (
          <div key={axis}>
            <span>{t('card.axis', { axis })}</span>
            <b data-axis={axis}>{at === null ? '–' : decimals(at[axis], 2)}</b>
          </div>
        ))}
      </div>
      <div class="panel-actions">
        <button
          type="button"
          aria-pressed={following}
          title={`${t('card.follow')} (f)`}
          disabled={at === null}
          onClick={() => {
            view.follow.value = !following;
          }}
        >
          <Icon name="target" /> {t('card.follow')}
        </button>
        <CopyButton text={() => JSON.stringify(device, null, 2)} label={t('card.copy')} word={t('card.copyWord')} />
      </div>
      <dl class="facts">
        <Fact name={t('card.status')}>
          <span class={`is-${device.status}`}>{common(`status.${device.status}`)}</span>
        </Fact>
        <Fact name={t('card.id')}>
          <code>{device.id}</code>
        </Fact>
        {device.name !== undefined && <Fact name={t('card.name')}>{device.name}</Fact>}
        <Fact name={t('card.kind')}>{common(`kind.${device.kind}`)}</Fact>
        {device.site !== undefined && <Fact name={t('card.site')}>{device.site}</Fact>}
        {device.floor !== undefined && <Fact name={t('card.floor')}>{device.floor}</Fact>}
        {zone !== undefined && zone !== '' && <Fact name={t('card.zone')}>{zone}</Fact>}
        <Speed hub={hub} track={track} />
        {device.accuracy !== undefined && (
          <Fact name={t('card.accuracy')}>
            {common('card.accuracyValue', { metres: decimals(device.accuracy, 2) })}
          </Fact>
        )}
        {device.battery !== undefined && (
          <Fact name={t('card.battery')}>
            <Battery percent={device.battery} />
          </Fact>
        )}
        {device.source !== undefined && (
          <Fact name={t('card.source')}>
            <code>{device.source}</code>
          </Fact>
        )}
        <Fact name={t('card.lastSeen')}>
          <Time text={device.last_seen} hub={hub} />
        </Fact>
        {device.timestamp !== undefined && (
          <Fact name={t('card.deviceTime')}>
            <Time text={device.timestamp} hub={hub} />
          </Fact>
        )}
      </dl>
      {device.kind === 'tag' && <Charts hub={hub} vitals={vitals} id={device.id} />}
      <EditDevice hub={hub} view={view} device={device} />
      <History hub={hub} id={device.id} />
    </>
  );
}

function Speed({ hub, track }: { readonly hub: Hub; readonly track: Track }): JSX.Element | null {
  dependOn(hub.world.version, hub.now);
  if (track.kind !== 'tag' || track.device.status !== 'connected' || !hub.live.value) return null;
  const speed = speedOf(track.trail, performance.now());
  if (speed === undefined) return null;
  return <Fact name={t('card.speed')}>{t('card.speedValue', { speed: decimals(speed, 1) })}</Fact>;
}

/** What something is called, and what it is. */
export function Fact({ name, children }: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Time({ text, hub }: { readonly text: string | null | undefined; readonly hub: Hub }): JSX.Element {
  const at = parseTime(text);
  if (at === undefined) return <>{common('time.never')}</>;
  const now = hub.serverNow();
  return (
    <time dateTime={text ?? ''} title={text ?? ''}>
      {dayAndTime(at, now)} <span class="dim">{agoPhrase(now - at)}</span>
    </time>
  );
}

const HISTORY = 100;

const exportAddress = (id: string): string => address(`api/v1/history/${encodeURIComponent(id)}?format=csv`).href;

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
        {rows === null ? t('card.history') : t('card.historyAgain')}
      </button>
      <a class="history-link" href={exportAddress(id)} download>
        <Icon name="save" /> {t('card.historyCsv')}
      </a>
      {problem.value !== '' && (
        <p class="inline-error" role="alert">
          {problem.value}
        </p>
      )}
      {rows?.length === 0 && <p class="panel-note">{t('card.historyNone')}</p>}
      {rows !== null && rows.length > 0 && (
        <div class="history-rows" tabIndex={0} role="region" aria-label={t('card.history')}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t('card.historyTime')}</th>
                <th scope="col">x</th>
                <th scope="col">y</th>
                <th scope="col">z</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((entry, index) => (
                <tr key={index}>
                  <td title={entry.timestamp}>{clockTime(parseTime(entry.timestamp) ?? NaN, true)}</td>
                  <td>{decimals(entry.location.x, 2)}</td>
                  <td>{decimals(entry.location.y, 2)}</td>
                  <td>{decimals(entry.location.z, 2)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
