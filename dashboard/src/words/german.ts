/** What every part of the page may say, in German: a file that comes when somebody wants it. */

export { de } from './de';
