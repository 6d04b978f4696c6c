import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { dependOn } from './depend';
import { Vitals } from './detail/vitals';
import type { Hub } from './hub';
import { Icon, type IconName } from './icons';
import { DeviceList } from './list/DeviceList';
import { later, rest } from './later';
import type { MapController } from './map/controller';
import { MapView } from './map/MapView';
import { pagesFor } from './pages/pages';
import { Header, linkDetails, settings } from './shell/Header';
import type { View } from './view';
import { t } from './words';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

const log = later(({ LogPanel }) => LogPanel);
const composer = later(({ Composer }) => Composer);
const panel = later(({ DevicePanel }) => DevicePanel);
const signIn = later(({ SignIn }) => SignIn);
const plans = later(({ Plans }) => Plans);
const narrowed = later(({ Narrowed }) => Narrowed);
const help = later(({ Help }) => Help);

const pages = later(({ Pages }) => Pages);

/** Fetches what the first view leaves out. */
function fetchTheRest(hub: Hub): void {
  // Pressed when the server may be away: a file that could not be had is asked for again then.
  rest().then(
    ({ startPulse }) => {
      startPulse(hub);
    },
    () => undefined,
  );
  for (const part of [signIn, log, panel, composer, narrowed, help, settings, linkDetails, pages]) void part.fetch();
}

/** The page: a bar on top, devices beside the map, messages below. On a phone one of the three at a time. */
export function App({ hub, view, map }: Props): JSX.Element {
  const gate = hub.gate.value;
  // Who signs out sees nothing more; whose session ran out still sees what was last known, behind the form.
  const known = hub.session.value !== null;
  // A link may name a page that its reader may not see: they get the map.
  const mayPage = pagesFor(hub.session.value?.permissions ?? []).includes(view.page.value);
  const isLive = view.page.value === 'live' || view.kiosk || !mayPage;
  const vitals = useVitals(hub);
  useEffect(() => {
    if (!view.kiosk)
      setTimeout(() => {
        fetchTheRest(hub);
      }, REST_MS);
  }, [hub, view]);
  return (
    <div
      class="app"
      data-tab={view.tab.value}
      data-page={isLive ? 'live' : 'beside'}
      data-gate={gate}
      data-dock={view.dock.value}
      data-selected={view.selected.value !== null}
      data-wide={view.wide.value}
      data-kiosk={view.kiosk}
    >
      <Header hub={hub} view={view} />
      {known && isLive && !view.kiosk && <DeviceList hub={hub} view={view} map={map} />}
      <main class="stage" aria-label={isLive ? t('app.map') : undefined}>
        {known && isLive && <MapView hub={hub} view={view} map={map} />}
        {known && !isLive && <pages.Part hub={hub} view={view} map={map} />}
        {known && isLive && gate === 'open' && !view.kiosk && !view.editingPlans.value && (
          <panel.Part hub={hub} view={view} vitals={vitals} />
        )}
        {known && <plans.Part hub={hub} view={view} map={map} mayEdit={isLive && gate === 'open' && !view.kiosk} />}
        {gate === 'open' && hub.narrowed.value.length > 0 && <narrowed.Part hub={hub} />}
        {gate === 'closed' && <signIn.Part hub={hub} />}
        {gate === 'asking' && <p class="stage-word">{t('app.asking')}</p>}
      </main>
      {!view.kiosk && (
        <section class="dock" aria-label={t('app.messages')}>
          <log.Part hub={hub} view={view} />
          {view.composer.value && view.dock.value !== 'closed' && gate === 'open' && (
            <composer.Part hub={hub} view={view} />
          )}
        </section>
      )}
      {!view.kiosk && <Tabs hub={hub} view={view} isLive={isLive} />}
      {!view.kiosk && <help.Part view={view} />}
    </div>
  );
}

/** After the first view has its files. */
const REST_MS = 300;
const SAMPLE_MS = 1_000;

/** Samples what the charts of the device panel show, as long as the page is there. */
function useVitals(hub: Hub): Vitals {
  const vitals = useRef(new Vitals()).current;
  useEffect(() => {
    const timer = setInterval(() => {
      vitals.sample(hub.world.tracks, performance.now());
    }, SAMPLE_MS);
    return () => {
      clearInterval(timer);
    };
  }, [hub, vitals]);
  return vitals;
}

const TABS: readonly { tab: 'map' | 'devices' | 'messages'; icon: IconName }[] = [
  { tab: 'map', icon: 'map' },
  { tab: 'devices', icon: 'list' },
  { tab: 'messages', icon: 'log' },
];

function Tabs({ hub, view, isLive }: Omit<Props, 'map'> & { readonly isLive: boolean }): JSX.Element {
  dependOn(hub.log.version);
  const { errors } = hub.log.counts;
  return (
    <nav class="tabs" aria-label={t('app.views')}>
      {TABS.map(({ tab, icon }) => (
        <button
          key={tab}
          type="button"
          aria-current={view.tab.value === tab && (isLive || tab === 'messages') ? 'page' : undefined}
          onClick={() => {
            view.tab.value = tab;
            if (tab !== 'messages') view.page.value = 'live';
            if (tab === 'messages' && view.dock.value === 'closed') view.dock.value = 'open';
          }}
        >
          <Icon name={icon} size={20} />
          {t(`app.${tab}`)}
          {tab === 'messages' && errors > 0 && <span class="badge">{errors > 99 ? '99+' : errors}</span>}
        </button>
      ))}
    </nav>
  );
}
