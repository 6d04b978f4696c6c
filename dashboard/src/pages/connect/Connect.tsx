import { useComputed, useSignal, type Signal } from '@preact/signals';
import { AnitaError } from '@anita/client';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { dependOn } from '../../depend';
import type { Hub } from '../../hub';
import { Icon } from '../../icons';
import { address } from '../../session';
import { CopyButton } from '../../shell/CopyButton';
import { Sentence } from '../../shell/Sentence';
import { agoPhrase } from '../../time';
import type { View } from '../../view';
import type { PageProps } from '../Pages';
import { send, testFix, testId } from './testfix';
import { addressed, configured, urlOf, WAY_NAMES, WAYS, type Manner, type WayName } from './ways';
import { many, t } from './words';
import './connect.css';

const MINT = 'anita token --config anita.toml --subject gateway --role publisher --ttl 8h';
const MANNERS: readonly Manner[] = ['configuration', 'program'];

/** The first minute: how to connect a gateway, and whether anything has come. */
export function Connect({ hub, view }: PageProps): JSX.Element {
  const chosen = useSignal<WayName>('drtls');
  return (
    <article class="connect">
      <header>
        <h2>{t('connect.title')}</h2>
        <p class="dim">{t('connect.lead')}</p>
      </header>
      <Arrived hub={hub} view={view} />
      <div class="connect-ways">
        <nav aria-label={t('connect.ways')}>
          {MANNERS.map((manner) => (
            <div key={manner} role="group" aria-label={t(`connect.${manner}`)}>
              <h3>{t(`connect.${manner}`)}</h3>
              {WAY_NAMES.filter((name) => WAYS[name].manner === manner).map((name) => (
                <button
                  key={name}
                  type="button"
                  class="quiet"
                  aria-pressed={chosen.value === name}
                  onClick={() => {
                    chosen.value = name;
                  }}
                >
                  {t(`way.${name}`)}
                </button>
              ))}
            </div>
          ))}
        </nav>
        <HowTo key={chosen.value} name={chosen.value} />
      </div>
      <TestFix hub={hub} view={view} />
    </article>
  );
}

const may = (hub: Hub, permission: string): boolean => hub.session.value?.permissions.includes(permission) ?? false;

/** Whether anything has come by now. */
function Arrived({ hub, view }: Omit<PageProps, 'map'>): JSX.Element {
  const devices = useComputed(() => {
    dependOn(hub.world.version);
    let reporting = 0;
    for (const { status } of hub.world.devices()) if (status !== 'disconnected') reporting += 1;
    return reporting;
  });
  if (!may(hub, 'devices.read')) return <p class="card connect-state">{t('state.blind')}</p>;
  const at = hub.dataAt.value;
  const none = devices.value === 0;
  return (
    <div class="card connect-state" data-arrived={!none}>
      <Icon name={none ? 'clock' : 'check'} size={20} />
      <p role="status">
        <b>{none ? t('state.waiting') : many('state.some', devices.value)}</b>{' '}
        {none && <span class="dim">{t('state.waitingNote')}</span>}
      </p>
      {!none && at !== null && <span class="dim">{t('state.newest', { ago: agoPhrase(hub.now.value - at) })}</span>}
      {!none && (
        <button
          type="button"
          class="small"
          onClick={() => {
            view.page.value = 'live';
          }}
        >
          <Icon name="map" /> {t('state.toMap')}
        </button>
      )}
    </div>
  );
}

/** One way: what to copy, and what to do with it. */
function HowTo({ name }: { readonly name: WayName }): JSX.Element {
  const { manner, text } = WAYS[name];
  return (
    <section class="card connect-how" aria-labelledby="connect-how">
      <h3 id="connect-how">{t(`way.${name}`)}</h3>
      <p class="dim">
        <Sentence text={t(`about.${name}`)} />
      </p>
      {manner === 'configuration' ? (
        <Configuration way={t(`way.${name}`)} text={text} />
      ) : (
        <Program way={t(`way.${name}`)} text={text} />
      )}
    </section>
  );
}

interface TextProps {
  readonly way: string;
  readonly text: string;
}

function Configuration({ way, text }: TextProps): JSX.Element {
  const name = useSignal('');
  const url = useSignal('');
  const usual = urlOf(text);
  return (
    <>
      <div class="connect-fields">
        <Field label={t('connect.name')} usual="hall" value={name} />
        {usual !== undefined && <Field label={t('connect.url')} usual={usual} value={url} />}
      </div>
      <ol>
        <li>
          <Sentence text={t('step.add')} />
          <Copyable way={way} text={configured(text, { name: name.value, url: url.value })} />
        </li>
        <li>
          <Sentence text={t('step.check')} />
        </li>
        <li>{t('step.restart')}</li>
      </ol>
    </>
  );
}

function Program({ way, text }: TextProps): JSX.Element {
  const base = address('');
  return (
    <ol>
      <li>
        {t('step.token')}
        <Copyable way={t('step.token')} text={MINT} />
      </li>
      <li>
        <Sentence text={t('step.run')} />
        <Copyable way={way} text={addressed(text, base)} />
        {base.protocol === 'https:' && <p class="dim">{t('step.certificate')}</p>}
      </li>
    </ol>
  );
}

interface FieldProps {
  readonly label: string;
  readonly usual: string;
  readonly value: Signal<string>;
}

function Field({ label, usual, value }: FieldProps): JSX.Element {
  return (
    <label>
      <span>{label}</span>
      <input
        class="code"
        autocomplete="off"
        spellcheck={false}
        maxLength={200}
        placeholder={usual}
        value={value}
        onInput={(event) => {
          value.value = event.currentTarget.value;
        }}
      />
    </label>
  );
}

function Copyable({ way, text }: TextProps): JSX.Element {
  const tidy = text.trimEnd();
  return (
    <div class="connect-text">
      <pre tabIndex={0} aria-label={way}>
        <code>{tidy}</code>
      </pre>
      <CopyButton text={() => `${tidy}\n`} label={t('connect.copyLabel', { way })} word={t('connect.copy')} />
    </div>
  );
}

type Step =
  | { readonly at: 'idle' | 'sending' | 'removed' }
  | { readonly at: 'accepted'; readonly since: number }
  | { readonly at: 'seen'; readonly ms: number }
  | { readonly at: 'refused'; readonly why: string };

/** Sends a location of a made-up tag, shows that it came back, and takes it away again. */
function TestFix({ hub, view }: { readonly hub: Hub; readonly view: View }): JSX.Element {
  const id = useRef(testId(Math.random())).current;
  const turn = useRef(0);
  const fixes = useRef(0);
  const step = useSignal<Step>({ at: 'idle' });
  const seesDevices = may(hub, 'devices.read');
  const fixesSeen = useComputed(() => {
    dependOn(hub.world.version);
    const track = hub.world.tracks.get(id);
    return track === undefined ? -1 : track.fixes;
  }).value;

  useEffect(() => {
    const now = step.peek();
    if (now.at !== 'accepted' || fixesSeen < 0 || fixesSeen === fixes.current) return;
    step.value = { at: 'seen', ms: Math.round(performance.now() - now.since) };
  });

  const run = async (work: () => Promise<Step>): Promise<void> => {
    step.value = { at: 'sending' };
    try {
      step.value = await work();
    } catch (error) {
      step.value = {
        at: 'refused',
        why: error instanceof AnitaError ? `${error.message} (${error.code})` : String(error),
      };
    }
  };
  const report = (): void =>
    void run(async () => {
      const since = performance.now();
      fixes.current = hub.world.tracks.get(id)?.fixes ?? -1;
      await send(hub, testFix(id, turn.current, hub.site.value.bounds));
      turn.current += 1;
      return { at: 'accepted', since };
    });
  const remove = (): void =>
    void run(async () => {
      await hub.ask('remove_device', { device_id: id });
      turn.current = 0;
      return { at: 'removed' };
    });

  const busy = step.value.at === 'sending';
  const mayReport = may(hub, 'locations.report');
  const exists = turn.current > 0;
  return (
    <section class="card connect-test" aria-labelledby="connect-test">
      <h3 id="connect-test">{t('test.title')}</h3>
      <p class="dim">{t('test.lead')}</p>
      <div class="connect-buttons">
        <button type="button" class="primary" disabled={!mayReport || !hub.live.value || busy} onClick={report}>
          <Icon name="pin" /> {busy ? t('test.sending') : exists ? t('test.again') : t('test.send')}
        </button>
        {step.value.at === 'seen' && (
          <button
            type="button"
            onClick={() => {
              view.select(id);
              view.page.value = 'live';
            }}
          >
            <Icon name="map" /> {t('test.show')}
          </button>
        )}
        {exists && may(hub, 'devices.write') && (
          <button type="button" disabled={!hub.live.value || busy} onClick={remove}>
            <Icon name="trash" /> {t('test.remove')}
          </button>
        )}
      </div>
      {!mayReport && (
        <p class="dim">
          <Sentence text={t('test.mayNot')} />
        </p>
      )}
      {mayReport && !hub.live.value && <p class="dim">{t('test.offline')}</p>}
      <p role="status" class={step.value.at === 'refused' ? 'inline-error' : undefined}>
        <Sentence text={said(step.value, id, seesDevices)} />
        {exists && !may(hub, 'devices.write') && ` ${t('test.leftBehind')}`}
      </p>
    </section>
  );
}

function said(step: Step, id: string, seesDevices: boolean): string {
  switch (step.at) {
    case 'idle':
    case 'sending':
      return '';
    case 'accepted':
      return seesDevices ? t('test.accepted') : t('test.blind', { id });
    case 'seen':
      return t('test.seen', { id, ms: step.ms });
    case 'removed':
      return t('test.removed', { id });
    case 'refused':
      return `${t('test.refused')} ${step.why}`;
  }
}
