/** Everything in German: one file, which comes when somebody wants it. */

export { de as first } from './de';
export { de as administration } from '../pages/administration/words/de';
export { de as composer } from '../composer/words/de';
export { de as connect } from '../pages/connect/words/de';
export { de as detail } from '../detail/words/de';
export { de as history } from '../pages/history/words/de';
export { de as log } from '../log/words/de';
export { de as plans } from '../plans/words/de';
export { de as shell } from '../shell/words/de';
