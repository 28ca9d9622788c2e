/** @file E-mail addresses. */

import { placesOf } from './place.ts';
import type { Detector } from './place.ts';

const ADDRESS = /(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])/dg;

export const findEmails: Detector = (text, { at }) => (at ? placesOf(text, ADDRESS) : []);
