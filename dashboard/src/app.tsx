import type { JSX } from 'preact';

import { Composer } from './composer/Composer';
import { dependOn } from './depend';
import { DevicePanel } from './detail/DevicePanel';
import type { Hub } from './hub';
import { Icon, type IconName } from './icons';
import { DeviceList } from './list/DeviceList';
import { LogPanel } from './log/LogPanel';
import type { MapController } from './map/controller';
import { MapView } from './map/MapView';
import { Header } from './shell/Header';
import { Help } from './shell/Help';
import { SignIn } from './shell/SignIn';
import type { View } from './view';

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
}

/** The page: a bar on top, devices beside the map, messages below. On a phone one of the three at a time. */
export function App({ hub, view, map }: Props): JSX.Element {
  const gate = hub.gate.value;
  // Who signs out sees nothing more; whose session ran out still sees what was last known, behind the form.
  const known = hub.session.value !== null;
  return (
    <div
      class="app"
      data-tab={view.tab.value}
      data-gate={gate}
      data-dock={view.dock.value}
      data-selected={view.selected.value !== null}
    >
      <Header hub={hub} view={view} />
      {known && <DeviceList hub={hub} view={view} />}
      <main class="stage" aria-label="Map">
        {known && <MapView hub={hub} view={view} map={map} />}
        {known && gate === 'open' && <DevicePanel hub={hub} view={view} />}
        {gate === 'closed' && <SignIn hub={hub} />}
        {gate === 'asking' && <p class="stage-word">Looking for your session…</p>}
      </main>
      <section class="dock" aria-label="Messages">
        <LogPanel hub={hub} view={view} />
        {view.composer.value && view.dock.value !== 'closed' && gate === 'open' && <Composer hub={hub} view={view} />}
      </section>
      <Tabs hub={hub} view={view} />
      <Help view={view} />
    </div>
  );
}

const TABS: readonly { tab: 'map' | 'devices' | 'messages'; word: string; icon: IconName }[] = [
  { tab: 'map', word: 'Map', icon: 'map' },
  { tab: 'devices', word: 'Devices', icon: 'list' },
  { tab: 'messages', word: 'Messages', icon: 'log' },
];

function Tabs({ hub, view }: Omit<Props, 'map'>): JSX.Element {
  dependOn(hub.log.version);
  const { errors } = hub.log.counts;
  return (
    <nav class="tabs" aria-label="Views">
      {TABS.map(({ tab, word, icon }) => (
        <button
          key={tab}
          type="button"
          aria-current={view.tab.value === tab ? 'page' : undefined}
          onClick={() => {
            view.tab.value = tab;
            if (tab === 'messages' && view.dock.value === 'closed') view.dock.value = 'open';
          }}
        >
          <Icon name={icon} size={20} />
          {word}
          {tab === 'messages' && errors > 0 && <span class="badge">{errors > 99 ? '99+' : errors}</span>}
        </button>
      ))}
    </nav>
  );
}
