import { effect, untracked } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';

import type { Hub } from '../hub';
import { underlay, type Underlay } from '../map/base';
import type { MapController } from '../map/controller';
import { Switch } from '../map/tools';
import { theme } from '../shell/theme';
import type { View } from '../view';
import { Editor } from './Editor';
import { draft, forget, keepPictures, plans, rasters, reload } from './book';
import type { Raster } from './picture';
import { judge, plansOn, type Calibration, type Picture } from './plan';
import { t } from './words';

/** The server allows it or not; the page only spares people buttons that would be refused. */
const WRITE = 'plans.write';
/** How often it is asked whether somebody else changed the plans: an answer without news has no body. */
const RELOAD_MS = 60_000;

interface Props {
  readonly hub: Hub;
  readonly view: View;
  readonly map: MapController;
  readonly mayEdit: boolean;
}

/** Keeps the plans of the floor under the map; and, where it is opened, their editor. */
export function Plans({ hub, view, map, mayEdit }: Props): JSX.Element | null {
  useEffect(() => keepLoaded(hub), [hub]);
  useEffect(() => layOut(hub, view), [hub, view]);
  if (!mayEdit || !view.editingPlans.value) return null;
  return <Editor hub={hub} view={view} map={map} />;
}

/** Loads the plans when the page is connected (again), when somebody looks at it again, and now and then. */
function keepLoaded(hub: Hub): () => void {
  const ask = (): void => {
    if (document.hidden || !hub.live.peek()) return;
    // A server that can't say it now is asked again: the map is usable without plans.
    reload().catch(() => undefined);
  };
  const timer = setInterval(ask, RELOAD_MS);
  document.addEventListener('visibilitychange', ask);
  const stop = effect(() => {
    if (hub.live.value) untracked(ask);
  });
  return () => {
    stop();
    clearInterval(timer);
    document.removeEventListener('visibilitychange', ask);
    forget();
    underlay.value = undefined;
  };
}

/** What is painted of one plan. */
interface Laid {
  readonly raster: Raster;
  readonly picture: Picture;
  readonly calibration: Calibration;
  readonly opacity: number;
}

/** Puts the pictures of the floor under the map; the one that is being changed as it would be. */
function layOut(hub: Hub, view: View): () => void {
  const fetching = effect(() => {
    const wanted = plansOn(plans.value, view.floor.value, hub.site.value).map(({ picture }) => picture);
    const own = draft.value?.picture;
    const shown = view.plans.value || own !== undefined ? wanted : [];
    const pictures = [...shown, own].filter((picture) => picture !== undefined);
    untracked(() => {
      keepPictures(pictures);
    });
  });
  const laying = effect(() => {
    const edited = draft.value;
    const shown = view.plans.value ? plansOn(plans.value, view.floor.value, hub.site.value) : [];
    const others = shown.filter(({ id }) => id !== edited?.id);
    const laid: Laid[] = [];
    for (const { picture, calibration, opacity } of edited === null ? others : [...others, edited]) {
      const raster = picture === undefined ? undefined : rasters.value.get(picture.url);
      if (raster === undefined || picture === undefined || calibration === undefined) continue;
      if (judge(calibration) === undefined) laid.push({ raster, picture, calibration, opacity });
    }
    const colours = theme.value;
    const paint =
      (drawings: boolean): Underlay['above'] =>
      (ctx, camera) => {
        for (const { raster, picture, calibration, opacity } of laid) {
          if (raster.isPaper === drawings) raster.paint(ctx, camera, picture, calibration, [opacity, colours]);
        }
      };
    const lying: Underlay = { below: paint(false), above: paint(true) };
    underlay.value = laid.length === 0 ? undefined : lying;
  });
  return () => {
    fetching();
    laying();
  };
}

/** The map's buttons: nothing where there is no plan and none may be made. */
export function PlanTools({ hub, view }: Pick<Props, 'hub' | 'view'>): JSX.Element | null {
  const has = plans.value.some(({ picture }) => picture !== undefined);
  const mayWrite = hub.session.value?.permissions.includes(WRITE) === true;
  if (!has && !mayWrite) return null;
  return (
    <div class="tool-group" role="group" aria-label={t('tools')}>
      {has && <Switch icon="plan" word={t('tools.show')} on={view.plans} />}
      {mayWrite && <Switch icon={has ? 'edit' : 'plan'} word={t('tools.edit')} on={view.editingPlans} />}
    </div>
  );
}
