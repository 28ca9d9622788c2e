/** @file Names of the two channels between the page and the program. */

/** Asked by `invoke` with a name of the contract and its input as JSON; answers `{output}` or `{error}` as JSON. */
export const ASK = 'tributary:ask';
/** Told to the page: `{event, body}` as JSON. */
export const EVENT = 'tributary:event';
