/** What the first view leaves out, in one file that is fetched right after it: small files compress badly. */

export { Composer } from './composer/Composer';
export { DevicePanel } from './detail/DevicePanel';
export { LogPanel } from './log/LogPanel';
export { Editor } from './plans/Editor';
export { Plans, PlanTools } from './plans/Plans';
export { Help } from './shell/Help';
export { LinkDetails } from './shell/LinkDetails';
export { Narrowed } from './shell/Narrowed';
export { Settings } from './shell/Settings';
export { SignIn } from './shell/SignIn';
