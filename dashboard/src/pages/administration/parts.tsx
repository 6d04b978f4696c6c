import { useSignal, type ReadonlySignal, type Signal } from '@preact/signals';
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useMemo, useRef } from 'preact/hooks';

import { Icon, LinkIcon, type LinkShape } from '../../icons';
import type { Hub } from '../../hub';
import type { Problem } from '../../session';
import { Sentence } from '../../shell/Sentence';
import { clockTime } from '../../time';
import { asProblem, Feed, isForbidden } from './feed';
import { pageOf, sorted, turned, type Order, type Part, type SortValue, type Trail } from './rows';
import { many, t } from './words';

/** What the pages are made of. */

/** A feed for as long as the page is there; a new one when the key changes. */
export function useFeed<T>(
  hub: Hub,
  load: (stop: AbortSignal) => Promise<T>,
  { key = '', everyMs }: { readonly key?: string; readonly everyMs?: number } = {},
): Feed<T> {
  // Another key is another question.
  const latest = useRef(load);
  latest.current = load;
  const feed = useMemo(() => new Feed<T>((stop) => latest.current(stop), everyMs), [key, everyMs]);
  useEffect(() => feed.open(), [feed]);
  useEffect(() => {
    const looked = (): void => {
      feed.looked();
    };
    document.addEventListener('visibilitychange', looked);
    return () => {
      document.removeEventListener('visibilitychange', looked);
    };
  }, [feed]);
  // A server that was away and is back is asked again without being told to.
  const isLive = hub.live.value;
  useEffect(() => {
    if (isLive && feed.problem.peek() !== null && !isForbidden(feed.problem.peek())) void feed.reload();
  }, [feed, isLive]);
  return feed;
}

interface PageProps {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}

export function Page({ title, lead, actions, children }: PageProps): JSX.Element {
  return (
    <article class="admin-page">
      <header class="admin-head">
        <div class="admin-title">
          <h2>{title}</h2>
          {lead !== undefined && <p class="panel-note">{lead}</p>}
        </div>
        {actions !== undefined && <div class="admin-actions">{actions}</div>}
      </header>
      {children}
    </article>
  );
}

/** What the server refused, with its code and what to do. */
export function Trouble({ problem, retry }: { readonly problem: Problem; readonly retry?: () => void }): JSX.Element {
  return (
    <div class="admin-trouble" role="alert" data-forbidden={isForbidden(problem)}>
      <Icon name="warn" />
      <div>
        <p>
          <b>{isForbidden(problem) ? t('trouble.forbidden') : t('trouble.failed')}</b> <code>{problem.code}</code>
        </p>
        <p>
          <Sentence text={problem.message} />
        </p>
        {problem.remedy !== '' && (
          <p class="panel-note">
            <Sentence text={problem.remedy} />
          </p>
        )}
      </div>
      {retry !== undefined && (
        <button type="button" class="small" onClick={retry}>
          {t('trouble.retry')}
        </button>
      )}
    </div>
  );
}

interface FeedProps<T> {
  readonly feed: Feed<T>;
  readonly children: (data: T) => ComponentChildren;
}

/** What came, under what went wrong with asking again. */
export function Shown<T>({ feed, children }: FeedProps<T>): JSX.Element {
  const [data, problem] = [feed.data.value, feed.problem.value];
  return (
    <>
      {problem !== null && <Trouble problem={problem} retry={() => void feed.reload()} />}
      {data === null && problem === null && (
        <p class="admin-empty" role="status">
          {t('frame.loading')}
        </p>
      )}
      {data !== null && <div class={problem === null ? 'admin-data' : 'admin-data is-old'}>{children(data)}</div>}
    </>
  );
}

/** Whether it is live, since when not, and why; and the way to stop it and go on. */
export function Freshness({ feed }: { readonly feed: Feed<unknown> }): JSX.Element {
  const [held, failed, at] = [feed.held.value, feed.problem.value !== null, feed.at.value];
  const asOf = at === null ? '' : clockTime(at);
  return (
    <>
      <span class="admin-fresh" role="status" data-live={!held && !failed}>
        <LinkIcon shape={held ? 'waiting' : failed ? 'failed' : 'live'} />
        {failed ? t('fresh.failed', { time: asOf }) : held ? t('fresh.held', { time: asOf }) : t('fresh.live')}
      </span>
      {!failed && (
        <button
          type="button"
          class="small"
          onClick={() => {
            feed.hold(!held);
          }}
        >
          <Icon name={held ? 'play' : 'pause'} />
          {held ? t('fresh.goOn') : t('fresh.hold')}
        </button>
      )}
    </>
  );
}

export function Reload({ feed }: { readonly feed: Feed<unknown> }): JSX.Element {
  return (
    <button type="button" class="small" disabled={feed.busy.value} onClick={() => void feed.reload()}>
      <Icon name="history" />
      {t('frame.reload')}
    </button>
  );
}

export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  /** What the column tells, where the title alone does not say it. */
  readonly note?: string;
  readonly isNumber?: boolean;
  readonly sort?: (row: Row) => SortValue;
  readonly cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly idOf: (row: Row) => string;
  readonly order?: Signal<Order>;
  readonly empty: string;
  /** How many rows are shown at a time. */
  readonly size?: number;
  readonly page?: Signal<number>;
}

/** A table; where it is narrow, each row is a card. */
export function Table<Row>(props: TableProps<Row>): JSX.Element {
  const { label, columns, rows, idOf, order, empty, size = 50 } = props;
  const ownPage = useSignal(0);
  const page = props.page ?? ownPage;
  const by = columns.find((column) => column.key === order?.value.by)?.sort;
  const inOrder = by === undefined ? rows : sorted(rows, by, order?.value.descending === true);
  const part = pageOf(inOrder, page.value, size);
  if (rows.length === 0) return <p class="admin-empty">{empty}</p>;
  return (
    <>
      {order !== undefined && <SortChoice columns={columns} order={order} />}
      <div class="admin-table">
        <table role="table" aria-label={label}>
          <thead role="rowgroup">
            <tr role="row">
              {columns.map((column) => (
                <Head key={column.key} column={column} order={order} />
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {part.rows.map((row) => (
              <tr key={idOf(row)} role="row">
                {columns.map(({ key, title, isNumber, cell }) => (
                  <td key={key} role="cell" data-title={title} data-column={key} class={isNumber ? 'is-number' : ''}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {part.pages > 1 && <Pager part={part} total={rows.length} page={page} />}
    </>
  );
}

function Head<Row>({ column, order }: { column: Column<Row>; order: Signal<Order> | undefined }): JSX.Element {
  const { key, title, note, isNumber, sort } = column;
  const isSorted = order?.value.by === key;
  const direction = order?.value.descending === true ? 'descending' : 'ascending';
  return (
    <th
      role="columnheader"
      scope="col"
      title={note}
      class={isNumber ? 'is-number' : ''}
      aria-sort={isSorted ? direction : undefined}
    >
      {order === undefined || sort === undefined ? (
        title
      ) : (
        <button
          type="button"
          onClick={() => {
            order.value = turned(order.value, key);
          }}
        >
          {title}
          {isSorted && <Icon name={direction === 'ascending' ? 'up' : 'down'} size={12} />}
        </button>
      )}
    </th>
  );
}

/** Where rows are cards there is no head to press. */
function SortChoice<Row>(props: { columns: readonly Column<Row>[]; order: Signal<Order> }): JSX.Element {
  const { columns, order } = props;
  return (
    <div class="admin-sort">
      <label>
        {t('table.sort')}
        <select
          value={order.value.by}
          onChange={(event) => {
            order.value = { by: event.currentTarget.value, descending: order.value.descending };
          }}
        >
          {columns
            .filter(({ sort }) => sort !== undefined)
            .map(({ key, title }) => (
              <option key={key} value={key}>
                {title}
              </option>
            ))}
        </select>
      </label>
      <button
        type="button"
        class="square"
        aria-label={order.value.descending ? t('table.descending') : t('table.ascending')}
        onClick={() => {
          order.value = turned(order.value, order.value.by);
        }}
      >
        <Icon name={order.value.descending ? 'down' : 'up'} />
      </button>
    </div>
  );
}

function Pager(props: { readonly part: Part<unknown>; total: number; page: Signal<number> }): JSX.Element {
  const { part, total, page } = props;
  const go = (by: number) => (): void => {
    page.value = part.page + by;
  };
  return (
    <nav class="admin-pager" aria-label={t('table.pages')}>
      <button type="button" class="small" disabled={part.page === 0} onClick={go(-1)}>
        {t('table.before')}
      </button>
      <span>{many('table.rows', total, { first: part.first, last: part.last })}</span>
      <button type="button" class="small" disabled={part.page === part.pages - 1} onClick={go(1)}>
        {t('table.after')}
      </button>
    </nav>
  );
}

interface ServerPagerProps {
  readonly trail: Signal<Trail>;
  readonly next: string | undefined;
  readonly text: string;
  /** Told when another part is shown. */
  readonly moved?: () => void;
}

/** The parts of a list, where the server has more than it gives at a time. */
export function ServerPager({ trail, next, text, moved }: ServerPagerProps): JSX.Element | null {
  const { number } = trail.value;
  if (number === 1 && next === undefined) return null;
  const go = (to: Trail) => (): void => {
    trail.value = to;
    moved?.();
  };
  return (
    <nav class="admin-pager" aria-label={t('table.serverPages')}>
      <button type="button" class="small" disabled={number === 1} onClick={go(trail.value.back())}>
        {t('table.before')}
      </button>
      <span>{text}</span>
      <button
        type="button"
        class="small"
        disabled={next === undefined}
        onClick={go(next === undefined ? trail.value : trail.value.forth(next))}
      >
        {t('table.after')}
      </button>
    </nav>
  );
}

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly set: (value: string) => void;
  readonly note?: string;
  readonly isWrong?: boolean;
  readonly placeholder?: string;
  readonly maxLength?: number;
  readonly type?: 'text' | 'datetime-local';
  /** What is offered; others may be written. */
  readonly offered?: readonly string[];
}

/** A line to write in. */
export function Field({ label, value, set, note, isWrong, offered, type = 'text', ...more }: FieldProps): JSX.Element {
  const id = useId();
  return (
    <label>
      {label}
      <input
        type={type}
        value={value}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={isWrong}
        list={offered === undefined ? undefined : id}
        {...more}
        onInput={(event) => {
          set(event.currentTarget.value);
        }}
      />
      {offered !== undefined && (
        <datalist id={id}>
          {offered.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
      {note !== undefined && <span class="panel-note">{note}</span>}
    </label>
  );
}

interface SearchProps {
  readonly label: string;
  readonly text: Signal<string>;
}

export function Search({ label, text }: SearchProps): JSX.Element {
  return (
    <label class="search">
      <Icon name="search" />
      <span class="offscreen">{label}</span>
      <input
        type="search"
        placeholder={label}
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
      />
    </label>
  );
}

/** A state in a word with a shape; the colour says it once more. */
export function Mark({ shape, tone, word }: { shape: LinkShape; tone: 'ok' | 'warn' | 'bad' | 'dim'; word: string }) {
  return (
    <span class={`admin-mark is-${tone}`}>
      <LinkIcon shape={shape} />
      {word}
    </span>
  );
}

export function Facts({ rows }: { readonly rows: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="admin-facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface ModalProps {
  readonly title: string;
  readonly close: () => void;
  readonly children: ComponentChildren;
}

/** A dialog over the page: Escape and the button close it, and the focus goes back to where it came from. */
export function Modal({ title, close, children }: ModalProps): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      class="admin-modal"
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) close();
      }}
    >
      <div class="admin-modal-body">
        <header>
          <h3 id={id}>{title}</h3>
          <button type="button" class="quiet square" aria-label={t('frame.close')} onClick={close}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}

export interface Doing {
  readonly busy: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<Problem | null>;
  /** Does it, and says whether it went well. */
  readonly run: (act: () => Promise<void>) => Promise<void>;
}

/** Something that changes the server: one at a time, and what went wrong is kept to be shown. */
export function useDoing(): Doing {
  const busy = useSignal(false);
  const problem = useSignal<Problem | null>(null);
  return {
    busy,
    problem,
    run: async (act) => {
      if (busy.peek()) return;
      busy.value = true;
      problem.value = null;
      try {
        await act();
      } catch (error) {
        problem.value = asProblem(error);
      } finally {
        busy.value = false;
      }
    },
  };
}

interface FormEndProps {
  readonly doing: Doing;
  readonly word: string;
  readonly tone: 'primary' | 'danger';
  readonly close: () => void;
  readonly disabled?: boolean;
}

/** What went wrong, the button that does it, and the one that does not. */
export function FormEnd({ doing, word, tone, close, disabled = false }: FormEndProps): JSX.Element {
  return (
    <>
      {doing.problem.value !== null && <Trouble problem={doing.problem.value} />}
      <div class="admin-form-end">
        <button type="submit" class={tone} disabled={doing.busy.value || disabled}>
          {word}
        </button>
        <button type="button" onClick={close}>
          {t('frame.cancel')}
        </button>
      </div>
    </>
  );
}

interface FormProps {
  readonly submit: () => Promise<void>;
  readonly children: ComponentChildren;
}

export function Form({ submit, children }: FormProps): JSX.Element {
  return (
    <form
      class="admin-form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {children}
    </form>
  );
}

/** What was done, for people and screen readers, until something else is. */
export function Outcome({ text }: { readonly text: Signal<string> }): JSX.Element {
  return (
    <div class="admin-outcome" role="status">
      {text.value !== '' && (
        <p>
          <Sentence text={text.value} />
          <button
            type="button"
            class="quiet square"
            aria-label={t('frame.dismiss')}
            onClick={() => {
              text.value = '';
            }}
          >
            <Icon name="close" />
          </button>
        </p>
      )}
    </div>
  );
}
