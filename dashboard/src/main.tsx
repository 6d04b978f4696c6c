import { render } from 'preact';

import './styles/tokens.css';
import './styles/base.css';
import { App } from './app';
import { Hub } from './hub';
import { MapController } from './map/controller';
import { takeFailureFromAddress, takeTokenFromAddress } from './session';
import { keepInAddress } from './shell/address';
import { listenToKeys } from './shell/keys';
import { listenToTheme } from './shell/theme';
import { View } from './view';
import { listenToLanguage } from './words';

// The token leaves the address bar before anything else happens.
const token = takeTokenFromAddress();
const hub = new Hub();
const view = new View(new URLSearchParams(location.search).get('kiosk') === '1');
const map = new MapController(hub, view);
const root = document.getElementById('app');
if (root === null) throw new Error('index.html has no element #app');

listenToTheme();
listenToKeys(view, map, () => hub.session.value?.permissions ?? []);
keepInAddress(view);
// The words first: nobody wants to see the page in one language and then in another.
void listenToLanguage().then(() => {
  render(<App hub={hub} view={view} map={map} />, root);
});
void hub.start(token, takeFailureFromAddress());

// A link with a token may be opened in a tab that is already here: then only the fragment changes.
addEventListener('hashchange', () => {
  const fresh = takeTokenFromAddress();
  if (fresh !== undefined) void hub.start(fresh);
});
