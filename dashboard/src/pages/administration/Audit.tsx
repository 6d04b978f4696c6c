import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';

import { Icon, type LinkShape } from '../../icons';
import { saveText } from '../../save';
import { CopyButton } from '../../shell/CopyButton';
import type { PageProps } from '../Pages';
import { NOTHING, when } from './format';
import { Field, Mark, Outcome, Page, Reload, Shown, Table, Trouble, useDoing, useFeed, type Column } from './parts';
import { read, type AuditEntry, type AuditTrail } from './rest';
import { ACTIONS, asLines, EVERYTHING, linesName, OUTCOMES, queryOf, readOn, type Read, type Wanted } from './trail';
import { many, t } from './words';

/** As many as the server gives at a time. */
const LIMIT = 1_000;
/** So many are looked for at a time, in so many pages of the server at most. */
const ENOUGH = 100;
const PAGES_MAX = 10;
/** What is saved is in this page's memory first. */
const SAVED_MAX = 100_000;

const TONES: Readonly<Record<string, readonly [LinkShape, 'ok' | 'warn' | 'bad' | 'dim', Parameters<typeof t>[0]]>> = {
  done: ['live', 'ok', 'audit.done'],
  begun: ['waiting', 'dim', 'audit.begun'],
  forbidden: ['failed', 'warn', 'audit.forbidden'],
  refused: ['off', 'bad', 'audit.refused'],
};

export function Audit({ hub }: PageProps): JSX.Element {
  const draft = useSignal<Wanted>(EVERYTHING);
  const wanted = useSignal<Wanted>(EVERYTHING);
  const outcome = useSignal('');
  const older = useDoing();
  const saving = useDoing();
  const saved = useSignal<number | null>(null);
  const page = useSignal(0);
  const stop = useRef<AbortController | null>(null);
  const load =
    (limit: number, signal?: AbortSignal) =>
    (after: string | undefined): Promise<AuditTrail> =>
      read<AuditTrail>('audit', queryOf(wanted.peek(), limit, after), signal);
  const feed = useFeed<Read>(
    hub,
    (signal) =>
      readOn(load(ENOUGH, signal), undefined, 1, 1).then((first) =>
        first.entries.length >= ENOUGH / 2 || first.next === undefined
          ? first
          : readOn(load(LIMIT, signal), first.next, ENOUGH, PAGES_MAX).then((rest) => joined(first, rest)),
      ),
    { key: JSON.stringify(wanted.value) },
  );
  const readOlder = (so: Read): Promise<void> =>
    older.run(async () => {
      feed.data.value = joined(so, await readOn(load(LIMIT), so.next, ENOUGH, PAGES_MAX));
    });
  const saveAll = (): Promise<void> =>
    saving.run(async () => {
      const stopping = (stop.current = new AbortController());
      saved.value = 0;
      try {
        const all = await readOn(load(LIMIT, stopping.signal), undefined, SAVED_MAX, Infinity, (found) => {
          saved.value = found;
        });
        saveText(asLines(all.entries), linesName(hub.serverNow()), 'application/x-ndjson');
        const count = many('audit.saved', all.entries.length);
        outcome.value = all.next === undefined ? count : `${count} ${t('audit.savedPart')}`;
      } catch (error) {
        if (!stopping.signal.aborted) throw error;
      } finally {
        saved.value = null;
      }
    });
  const set = (change: Partial<Wanted>): void => {
    draft.value = { ...draft.value, ...change };
  };
  return (
    <Page
      title={t('frame.audit')}
      lead={t('audit.lead')}
      actions={
        <>
          <Reload feed={feed} />
          {saved.value === null ? (
            <button type="button" class="small" disabled={feed.data.value === null} onClick={() => void saveAll()}>
              <Icon name="save" /> {t('audit.save')}
            </button>
          ) : (
            <button type="button" class="small" onClick={() => stop.current?.abort()}>
              <Icon name="close" /> {t('audit.saving', { n: saved.value })}
            </button>
          )}
        </>
      }
    >
      <Outcome text={outcome} />
      {saving.problem.value !== null && <Trouble problem={saving.problem.value} />}
      <form
        class="admin-filter"
        aria-label={t('audit.filter')}
        onSubmit={(event) => {
          event.preventDefault();
          page.value = 0;
          wanted.value = draft.value;
        }}
      >
        <Field
          label={t('audit.subject')}
          value={draft.value.subject}
          set={(value) => {
            set({ subject: value });
          }}
        />
        <Field
          label={t('audit.action')}
          value={draft.value.action}
          set={(value) => {
            set({ action: value });
          }}
          offered={ACTIONS}
        />
        <label>
          {t('audit.outcome')}
          <select
            value={draft.value.outcome}
            onChange={(event) => {
              set({ outcome: event.currentTarget.value });
            }}
          >
            <option value="">{t('audit.any')}</option>
            {OUTCOMES.map((one) => (
              <option key={one} value={one}>
                {t(`audit.${one}`)}
              </option>
            ))}
          </select>
        </label>
        <Field
          label={t('audit.from')}
          value={draft.value.from}
          set={(value) => {
            set({ from: value });
          }}
          type="datetime-local"
        />
        <Field
          label={t('audit.to')}
          value={draft.value.to}
          set={(value) => {
            set({ to: value });
          }}
          type="datetime-local"
        />
        <div class="admin-filter-end">
          <button type="submit" class="primary">
            {t('audit.find')}
          </button>
          <button
            type="button"
            class="quiet"
            onClick={() => {
              page.value = 0;
              draft.value = wanted.value = EVERYTHING;
            }}
          >
            {t('audit.clear')}
          </button>
        </div>
      </form>
      <Shown feed={feed}>
        {(so) => (
          <>
            {wanted.value === EVERYTHING && <Chain newest={so.entries[0]} />}
            <Table
              label={t('frame.audit')}
              columns={columnsOf(hub.serverNow())}
              rows={so.entries}
              idOf={(it) => String(it.seq ?? `${it.at} ${it.action} ${it.object}`)}
              empty={so.next === undefined ? t('audit.none') : t('audit.noneYet')}
              size={100}
              page={page}
            />
            {older.problem.value !== null && <Trouble problem={older.problem.value} />}
            <div class="admin-pager">
              <span>
                {so.next === undefined
                  ? many('audit.allRead', so.entries.length)
                  : many('audit.read', so.entries.length)}
              </span>
              {so.next !== undefined && (
                <button type="button" class="small" disabled={older.busy.value} onClick={() => void readOlder(so)}>
                  <Icon name="down" /> {older.busy.value ? t('frame.loading') : t('audit.older')}
                </button>
              )}
            </div>
          </>
        )}
      </Shown>
    </Page>
  );
}

const joined = (first: Read, rest: Read): Read => ({
  entries: [...first.entries, ...rest.entries],
  next: rest.next,
  pages: first.pages + rest.pages,
});

function columnsOf(now: number): readonly Column<AuditEntry>[] {
  return [
    { key: 'at', title: t('audit.at'), cell: (it) => <span class="admin-nowrap">{when(it.at, now)}</span> },
    {
      key: 'subject',
      title: t('audit.subject'),
      cell: (it) => (
        <div class="admin-two">
          {it.subject === '' ? <span>{t('audit.nobody')}</span> : <b>{it.subject}</b>}
          <span>{it.address ?? ''}</span>
        </div>
      ),
    },
    { key: 'action', title: t('audit.action'), cell: (it) => it.action },
    { key: 'object', title: t('audit.object'), cell: (it) => <span class="admin-said">{it.object || NOTHING}</span> },
    {
      key: 'outcome',
      title: t('audit.outcome'),
      cell: (it) => {
        const [shape, tone, word] = TONES[it.outcome] ?? ['waiting', 'dim', undefined];
        return (
          <Mark
            shape={shape}
            tone={tone}
            word={word === undefined ? it.outcome : (t as (word: string) => string)(word)}
          />
        );
      },
    },
    {
      key: 'seq',
      title: t('audit.seq'),
      note: t('audit.seqNote'),
      isNumber: true,
      cell: (it) => (it.seq === undefined ? NOTHING : <span title={it.hash}>{it.seq}</span>),
    },
  ];
}

/** The end of the chain: whoever notes it elsewhere can show later that nothing was cut or changed. */
function Chain({ newest }: { readonly newest: AuditEntry | undefined }): JSX.Element | null {
  if (newest?.seq === undefined || newest.hash === undefined) return null;
  const head = `${String(newest.seq)}:${newest.hash}`;
  return (
    <p class="admin-chain">
      <Icon name="link" />
      <span>
        {t('audit.chain')} <code>{`${String(newest.seq)}:${newest.hash.slice(0, 12)}…`}</code>
      </span>
      <CopyButton
        text={() => `anita audit verify --config anita.toml --head ${head}`}
        label={t('audit.chainCopy')}
        word={t('audit.chainCopy')}
      />
    </p>
  );
}
