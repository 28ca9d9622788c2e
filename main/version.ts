/** @file Name and version of this program, as the other side of a connection sees it. */

import packageJson from '../package.json' with { type: 'json' };

export const VERSION = packageJson.version;
export const SOFTWARE = `tributary/${VERSION}`;
