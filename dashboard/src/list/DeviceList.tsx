import { useSignal } from '@preact/signals';
import type { Device } from '@anita/client';
import type { JSX, TargetedKeyboardEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { Icon, StatusShape } from '../icons';
import { ago, parseTime } from '../time';
import type { View } from '../view';
import { arrange, countByStatus, labelOf, type SortKey, type StatusFilter } from './order';
import { rowWindow, scrollToRow } from './window';
import './list.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
}

const ROW = 44;
const HEAD = 32;

const FILTERS: readonly { status: Device['status']; word: string }[] = [
  { status: 'connected', word: 'Connected' },
  { status: 'stale', word: 'Stale' },
  { status: 'disconnected', word: 'Disconnected' },
];

const COLUMNS: readonly { key: SortKey; word: string }[] = [
  { key: 'name', word: 'Device' },
  { key: 'status', word: 'Status' },
  { key: 'seen', word: 'Seen' },
  { key: 'battery', word: 'Battery' },
];

/** Every device, in words: what the map shows, for eyes, keyboards and screen readers. */
export function DeviceList({ hub, view }: Props): JSX.Element {
  const search = useSignal('');
  const status = useSignal<StatusFilter>('all');
  const sort = useSignal<SortKey>('name');
  const descending = useSignal(false);
  dependOn(hub.world.version);

  const counts = countByStatus(hub.world.devices());
  const total = hub.world.tracks.size;
  const rows = arrange(hub.world.devices(), {
    search: search.value,
    status: status.value,
    sort: sort.value,
    descending: descending.value,
  });

  return (
    <section class="devices" aria-label="Devices">
      <div class="devices-head">
        <label class="search">
          <Icon name="search" />
          <input
            id="device-search"
            type="search"
            placeholder={total === 0 ? 'Search name or id' : `Search ${String(total)} devices by name or id`}
            aria-label="Search devices by name or id"
            autocomplete="off"
            spellcheck={false}
            value={search}
            onInput={(event) => {
              search.value = event.currentTarget.value;
            }}
          />
        </label>
        <div class="filters" role="group" aria-label="Filter by status">
          {FILTERS.map((filter) => (
            <button
              key={filter.status}
              type="button"
              class="chip"
              aria-pressed={status.value === filter.status}
              onClick={() => {
                status.value = status.value === filter.status ? 'all' : filter.status;
              }}
            >
              <StatusShape status={filter.status} />
              {filter.word} <b>{counts[filter.status]}</b>
            </button>
          ))}
        </div>
      </div>
      <Grid
        hub={hub}
        view={view}
        rows={rows}
        sort={sort.value}
        descending={descending.value}
        onSort={(key) => {
          if (sort.value === key) descending.value = !descending.value;
          else {
            sort.value = key;
            descending.value = false;
          }
        }}
      />
      {rows.length === 0 && (
        <p class="devices-none">{total === 0 ? 'No devices yet.' : 'No device matches the search and filter.'}</p>
      )}
    </section>
  );
}

interface GridProps extends Props {
  readonly rows: readonly Device[];
  readonly sort: SortKey;
  readonly descending: boolean;
  readonly onSort: (key: SortKey) => void;
}

/** Only the rows in view exist; the selected one is the one that keys move. */
function Grid({ hub, view, rows, sort, descending, onSort }: GridProps): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const scrollTop = useSignal(0);
  const height = useSignal(600);
  const selected = view.selected.value;
  const selectedIndex = selected === null ? -1 : rows.findIndex((device) => device.id === selected);
  const { first, end } = rowWindow(scrollTop.value, height.value, ROW, rows.length);
  const now = hub.serverNow();

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => {
      height.value = element.clientHeight;
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
  }, [height]);

  // A selection made on the map comes into view; later changes of order do not scroll.
  useEffect(() => {
    if (selectedIndex >= 0) show(selectedIndex);
  }, [selected]);

  const show = (index: number): void => {
    const element = scroller.current;
    if (element === null) return;
    element.scrollTop = scrollToRow(element.scrollTop, element.clientHeight, ROW, index, HEAD);
  };

  const walk = (to: number): void => {
    const index = Math.max(0, Math.min(rows.length - 1, to));
    const device = rows[index];
    if (device === undefined) return;
    view.select(device.id);
    show(index);
  };

  const onKeyDown = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    if (event.target !== event.currentTarget) return;
    const page = Math.max(1, Math.floor(height.value / ROW) - 1);
    const steps: Partial<Record<string, number>> = {
      ArrowDown: selectedIndex + 1,
      ArrowUp: selectedIndex < 0 ? rows.length - 1 : selectedIndex - 1,
      PageDown: selectedIndex + page,
      PageUp: selectedIndex - page,
      Home: 0,
      End: rows.length - 1,
    };
    const to = steps[event.key];
    if (to !== undefined) {
      event.preventDefault();
      walk(to);
    } else if (event.key === 'Enter' && selectedIndex >= 0) {
      event.preventDefault();
      view.centre.value += 1;
    }
  };

  return (
    <div
      ref={scroller}
      class="grid"
      role="grid"
      aria-label="Devices"
      aria-rowcount={rows.length + 1}
      aria-colcount={COLUMNS.length}
      aria-activedescendant={selectedIndex >= first && selectedIndex < end ? `row-${String(selectedIndex)}` : undefined}
      tabIndex={0}
      onScroll={(event) => {
        scrollTop.value = event.currentTarget.scrollTop;
      }}
      onKeyDown={onKeyDown}
    >
      <div class="grid-head" role="row" aria-rowindex={1}>
        {COLUMNS.map(({ key, word }) => (
          <div
            key={key}
            role="columnheader"
            class={`col-${key}`}
            aria-sort={sort === key ? (descending ? 'descending' : 'ascending') : 'none'}
          >
            <button
              type="button"
              onClick={() => {
                onSort(key);
              }}
            >
              {word}
              {sort === key && <Icon name={descending ? 'down' : 'up'} size={11} />}
            </button>
          </div>
        ))}
      </div>
      <div class="grid-body" role="rowgroup" style={{ height: `${String(rows.length * ROW)}px` }}>
        {rows.slice(first, end).map((device, offset) => (
          <Row
            key={device.id}
            device={device}
            index={first + offset}
            now={now}
            selected={device.id === selected}
            hovered={device.id === view.hovered.value}
            view={view}
          />
        ))}
      </div>
    </div>
  );
}

interface RowProps {
  readonly device: Device;
  readonly index: number;
  readonly now: number;
  readonly selected: boolean;
  readonly hovered: boolean;
  readonly view: View;
}

function Row({ device, index, now, selected, hovered, view }: RowProps): JSX.Element {
  const seen = parseTime(device.last_seen);
  const label = labelOf(device);
  return (
    // Keys are handled by the grid, which has the focus.
    <div
      id={`row-${String(index)}`}
      role="row"
      class="grid-row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      data-hovered={hovered}
      style={{ transform: `translateY(${String(index * ROW)}px)` }}
      onClick={() => {
        view.select(device.id);
        view.tab.value = 'map';
      }}
      onDblClick={() => {
        view.centre.value += 1;
      }}
      onMouseEnter={() => {
        view.hovered.value = device.id;
      }}
      onMouseLeave={() => {
        if (view.hovered.value === device.id) view.hovered.value = null;
      }}
    >
      <div role="gridcell" class="col-name">
        <span class="name">{label}</span>
        <span class="id">{label === device.id ? device.kind : `${device.kind} · ${device.id}`}</span>
      </div>
      <div role="gridcell" class={`col-status is-${device.status}`}>
        <StatusShape status={device.status} kind={device.kind} />
        <span>{STATUS_WORD[device.status]}</span>
      </div>
      <div role="gridcell" class="col-seen">
        {seen === undefined ? 'never' : ago(now - seen)}
      </div>
      <div role="gridcell" class="col-battery">
        <Battery percent={device.battery} />
      </div>
    </div>
  );
}

const STATUS_WORD = { connected: 'Connected', stale: 'Stale', disconnected: 'Disconnected' } as const;

export function Battery({ percent }: { readonly percent: number | undefined }): JSX.Element {
  if (percent === undefined) return <span class="none">–</span>;
  const rounded = Math.round(Math.max(0, Math.min(100, percent)));
  return (
    <span class="battery" data-low={rounded < 20}>
      <svg viewBox="0 0 22 12" width="22" height="12" aria-hidden="true">
        <rect
          x="0.75"
          y="0.75"
          width="17.5"
          height="10.5"
          rx="2.5"
          fill="none"
          stroke="currentColor"
          stroke-width="1.5"
        />
        <path d="M20.5 4v4" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
        <rect x="3" y="3" width={(13 * rounded) / 100} height="6" rx="1" fill="currentColor" />
      </svg>
      {rounded} %
    </span>
  );
}
