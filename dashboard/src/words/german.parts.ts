/** What the parts of the page say that are loaded later, in German: one file, because small ones compress badly. */

export { de as administration } from '../pages/administration/words/de';
export { de as composer } from '../composer/words/de';
export { de as connect } from '../pages/connect/words/de';
export { de as detail } from '../detail/words/de';
export { de as history } from '../pages/history/words/de';
export { de as log } from '../log/words/de';
export { de as plans } from '../plans/words/de';
export { de as shell } from '../shell/words/de';
