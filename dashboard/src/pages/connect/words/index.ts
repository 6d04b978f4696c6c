import { speech } from '../../../words';
import { en } from './en';

export const { t, many } = speech(en, 'connect');
