/**
 * What the first view leaves out, in one file that is fetched right after it, so that it is there when the connection is
 * lost. One file, because small ones compress badly; only its English texts are another one, which translations use too.
 */

export { Composer } from './composer/Composer';
export { DevicePanel } from './detail/DevicePanel';
export { fileName, toCsv } from './list/csv';
export { LogPanel } from './log/LogPanel';
export { Pages } from './pages/Pages';
export { Plans, PlanTools } from './plans/Plans';
export { saveText } from './save';
export { Help } from './shell/Help';
export { LinkDetails } from './shell/LinkDetails';
export { Narrowed } from './shell/Narrowed';
export { startPulse } from './shell/pulse';
export { Settings } from './shell/Settings';
export { SignIn } from './shell/SignIn';
