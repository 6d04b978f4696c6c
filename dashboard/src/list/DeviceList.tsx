import { useSignal } from '@preact/signals';
import type { Device } from '@anita/client';
import type { ComponentChildren, JSX, TargetedKeyboardEvent } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { dependOn } from '../depend';
import type { Hub } from '../hub';
import { Icon, StatusShape } from '../icons';
import { rest } from '../later';
import type { MapController } from '../map/controller';
import { asOf } from '../shell/link';
import { ago, parseTime } from '../time';
import type { View } from '../view';
import { count, decimals, many, t } from '../words';
import { Arranger } from './arranger';
import { EVERY_DEVICE, isFiltered, KINDS, SORT_KEYS, STATUSES, zoneOf, type Place, type SortKey } from './filters';
import { countByStatus, labelOf } from './order';
import { rowWindow, scrollToRow } from './window';
import './list.css';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

const ROW = 44;
const HEAD = 32;

const NARROW: readonly SortKey[] = ['name', 'status', 'seen', 'battery'];
const WIDE: readonly SortKey[] = [
  'name',
  'status',
  'seen',
  'battery',
  'kind',
  'x',
  'y',
  'z',
  'floor',
  'zone',
  'quality',
];

/** Every device, in words: what the map shows, for eyes, keyboards and screen readers. */
export function DeviceList({ hub, view, map }: Props): JSX.Element {
  const paused = view.paused.value;
  // A picture that stands still has a list that stands still; a choice of the reader changes both.
  if (!paused) dependOn(hub.world.version);
  const filters = view.filters.value;
  const place: Place = { zones: hub.site.value.zones, floor: view.floor.value };

  const counts = countByStatus(hub.world.devices());
  const total = hub.world.tracks.size;
  const rows = useRef(new Arranger()).current.arrange(hub.world.devices(), filters, place);
  const filtered = isFiltered(filters, place.floor);

  return (
    <section class="devices" aria-label={t('app.devices')} data-live={hub.live.value}>
      <div class="devices-head">
        <label class="search">
          <Icon name="search" />
          <input
            id="device-search"
            type="search"
            placeholder={total === 0 ? t('list.placeholder') : t('list.placeholderCount', { n: total })}
            aria-label={t('list.search')}
            autocomplete="off"
            spellcheck={false}
            value={filters.search}
            onInput={(event) => {
              view.filter({ search: event.currentTarget.value });
            }}
          />
        </label>
        <div class="filters" role="group" aria-label={t('list.byStatus')}>
          {STATUSES.map((status) => (
            <button
              key={status}
              type="button"
              class="chip"
              aria-pressed={filters.status === status}
              onClick={() => {
                view.filter({ status: filters.status === status ? 'all' : status });
              }}
            >
              <StatusShape status={status} />
              {t(`status.${status}`)} <b>{count(counts[status])}</b>
            </button>
          ))}
        </div>
        <More hub={hub} view={view} map={map} rows={rows} total={total} place={place} />
      </div>
      <Grid hub={hub} view={view} rows={rows} place={place} />
      {rows.length === 0 && (
        <div class="devices-none">
          <p>{total === 0 ? t('list.none') : t('list.noMatch')}</p>
          {total > 0 && filtered && <ClearButton view={view} />}
        </div>
      )}
    </section>
  );
}

function ClearButton({ view }: { readonly view: View }): JSX.Element {
  return (
    <button
      type="button"
      class="small"
      onClick={() => {
        const { sort, descending } = view.filters.peek();
        view.filters.value = { ...EVERY_DEVICE, sort, descending };
        view.floor.value = null;
      }}
    >
      {t('list.clear')}
    </button>
  );
}

interface MoreProps extends Props {
  readonly rows: readonly Device[];
  readonly total: number;
  readonly place: Place;
}

/** The filters and the order that are wanted less often, behind a button, and what can be done with the rows. */
function More({ hub, view, map, rows, total, place }: MoreProps): JSX.Element {
  const open = useSignal(false);
  const { kind, zone } = view.filters.value;
  const used = Number(kind !== 'all') + Number(zone !== null) + Number(place.floor !== null);
  return (
    <>
      <div class="list-tools">
        <button
          type="button"
          class="quiet small"
          aria-expanded={open.value}
          aria-controls="list-more"
          onClick={() => {
            open.value = !open.value;
          }}
        >
          <Icon name="filter" /> {t('list.more')}
          {used > 0 && <b class="used">{used}</b>}
        </button>
        <span class="shown">
          {hub.live.value ? rows.length < total && many('list.shown', rows.length, { total }) : asOf(hub)}
        </span>
        <button
          type="button"
          class="quiet square wide-button"
          aria-label={view.wide.value ? t('list.narrow') : t('list.wide')}
          title={`${view.wide.value ? t('list.narrow') : t('list.wide')} (w)`}
          aria-pressed={view.wide.value}
          onClick={() => {
            view.wide.value = !view.wide.value;
          }}
        >
          <Icon name="columns" />
        </button>
        <button
          type="button"
          class="quiet square"
          aria-label={t('list.csv')}
          title={t('list.csv')}
          disabled={rows.length === 0}
          onClick={() => {
            void saveCsv(rows, place.zones, hub.clock.now());
          }}
        >
          <Icon name="save" />
        </button>
      </div>
      {open.value && <Choices hub={hub} view={view} map={map} place={place} />}
    </>
  );
}

function Choices({ hub, view, map, place }: Props & { readonly place: Place }): JSX.Element {
  const filters = view.filters.value;
  const zones = [...new Set(hub.site.value.zones.map(({ name }) => name).filter((name) => name !== ''))];
  const floors = map.floors.value;
  const descend = filters.descending;
  return (
    <div class="choices" id="list-more" role="group" aria-label={t('list.filters')}>
      <Choice
        word={t('list.kind')}
        value={filters.kind}
        onChange={(value) => {
          view.filter({ kind: KINDS.find((one) => one === value) ?? 'all' });
        }}
      >
        <option value="all">{t('list.any')}</option>
        {KINDS.map((one) => (
          <option key={one} value={one}>
            {t(`kind.${one}`)}
          </option>
        ))}
      </Choice>
      {(zones.length > 0 || filters.zone !== null) && (
        <Choice
          word={t('list.zone')}
          value={filters.zone === null ? 'any' : `in ${filters.zone}`}
          onChange={(value) => {
            view.filter({ zone: value === 'any' ? null : value.slice(3) });
          }}
        >
          <option value="any">{t('list.any')}</option>
          {zones.map((one) => (
            <option key={one} value={`in ${one}`}>
              {one}
            </option>
          ))}
          <option value="in ">{t('list.outside')}</option>
        </Choice>
      )}
      {(floors.length > 1 || place.floor !== null) && (
        <Choice
          word={t('map.floor')}
          value={place.floor === null ? 'all' : String(place.floor)}
          onChange={(value) => {
            view.floor.value = value === 'all' ? null : Number(value);
          }}
        >
          <option value="all">{t('list.any')}</option>
          {floors.map((floor) => (
            <option key={floor} value={String(floor)}>
              {floor}
            </option>
          ))}
        </Choice>
      )}
      <div class="choice">
        <label for="list-sort">{t('list.sort')}</label>
        <span class="joined-choice">
          <select
            id="list-sort"
            value={filters.sort}
            onChange={(event) => {
              const wanted = event.currentTarget.value;
              view.filter({ sort: SORT_KEYS.find((key) => key === wanted) ?? 'name' });
            }}
          >
            {SORT_KEYS.map((key) => (
              <option key={key} value={key}>
                {t(`column.${key}`)}
              </option>
            ))}
          </select>
          <button
            type="button"
            class="square"
            aria-label={descend ? t('list.descending') : t('list.ascending')}
            title={descend ? t('list.descending') : t('list.ascending')}
            onClick={() => {
              view.filter({ descending: !descend });
            }}
          >
            <Icon name={descend ? 'down' : 'up'} />
          </button>
        </span>
      </div>
      {isFiltered(filters, place.floor) && <ClearButton view={view} />}
    </div>
  );
}

interface ChoiceProps {
  readonly word: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly children: ComponentChildren;
}

function Choice({ word, value, onChange, children }: ChoiceProps): JSX.Element {
  return (
    <label class="choice">
      <span>{word}</span>
      <select
        value={value}
        onChange={(event) => {
          onChange(event.currentTarget.value);
        }}
      >
        {children}
      </select>
    </label>
  );
}

interface GridProps extends Omit<Props, 'map'> {
  readonly rows: readonly Device[];
  readonly place: Place;
}

/** Only the rows in view exist; the selected one is the one that keys move. */
function Grid({ hub, view, rows, place }: GridProps): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const scrollTop = useSignal(0);
  const height = useSignal(600);
  const selected = view.selected.value;
  const selectedIndex = selected === null ? -1 : rows.findIndex((device) => device.id === selected);
  const { first, end } = rowWindow(scrollTop.value, height.value, ROW, rows.length);
  const now = view.paused.value ? hub.clock.now() : hub.serverNow();
  const columns = view.wide.value ? WIDE : NARROW;
  const { sort, descending } = view.filters.value;

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
      aria-label={`${t('app.devices')} ${hub.live.value ? '' : asOf(hub)}`}
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={selectedIndex >= first && selectedIndex < end ? `row-${String(selectedIndex)}` : undefined}
      tabIndex={0}
      onScroll={(event) => {
        scrollTop.value = event.currentTarget.scrollTop;
      }}
      onKeyDown={onKeyDown}
    >
      <div class="grid-head" role="row" aria-rowindex={1}>
        {columns.map((key) => (
          <div
            key={key}
            role="columnheader"
            class={`col-${key}`}
            title={key === 'quality' ? t('column.qualityTitle') : undefined}
            aria-sort={sort === key ? (descending ? 'descending' : 'ascending') : 'none'}
          >
            <button
              type="button"
              onClick={() => {
                view.filter({ sort: key, descending: sort === key && !descending });
              }}
            >
              {t(`column.${key}`)}
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
            place={place}
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
  readonly place: Place;
}

function Row({ device, index, now, selected, hovered, view, place }: RowProps): JSX.Element {
  const seen = parseTime(device.last_seen);
  const label = labelOf(device);
  const kind = t(`kind.${device.kind}`);
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
        <span class="id">{label === device.id ? kind : `${kind} · ${device.id}`}</span>
      </div>
      <div role="gridcell" class={`col-status is-${device.status}`}>
        <StatusShape status={device.status} kind={device.kind} />
        <span>{t(`status.${device.status}`)}</span>
      </div>
      <div role="gridcell" class="col-seen">
        {seen === undefined ? t('time.never') : ago(now - seen)}
      </div>
      <div role="gridcell" class="col-battery">
        <Battery percent={device.battery} />
      </div>
      {view.wide.value && <MoreCells device={device} place={place} />}
    </div>
  );
}

function MoreCells({ device, place }: Pick<RowProps, 'device' | 'place'>): JSX.Element {
  const { location: at, floor, accuracy } = device;
  const none = <span class="none">–</span>;
  const zone = zoneOf(device, place.zones);
  return (
    <>
      <div role="gridcell" class="col-kind">
        {t(`kind.${device.kind}`)}
      </div>
      {(['x', 'y', 'z'] as const).map((axis) => (
        <div key={axis} role="gridcell" class="col-number">
          {at === null ? none : decimals(at[axis], 2)}
        </div>
      ))}
      <div role="gridcell" class="col-number">
        {floor ?? none}
      </div>
      <div role="gridcell" class="col-zone">
        {zone === undefined || zone === '' ? none : zone}
      </div>
      <div role="gridcell" class="col-number">
        {accuracy === undefined ? none : t('card.accuracyValue', { metres: decimals(accuracy, 2) })}
      </div>
    </>
  );
}

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
      {t('battery.percent', { n: rounded })}
    </span>
  );
}

/** What makes the table is loaded after the first view. */
async function saveCsv(rows: readonly Device[], zones: Place['zones'], now: number): Promise<void> {
  const { fileName, saveText, toCsv } = await rest();
  saveText(toCsv(rows, zones), fileName(now), 'text/csv');
}
