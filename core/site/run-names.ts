/**
 * @file What a run is called at this site where a folder or a window names it. Two hubs may call their runs alike, so
 * those of the first federation keep their name and others have the number of theirs behind it, such as `clinics-1@2`.
 */

/** A run of the federation with this number. */
export function nameOfRun(federation: number, run: string): string {
  return federation === 1 ? run : `${run}@${federation}`;
}

/** The opposite; a hub's name of a run holds no `@`. */
export function runOfName(name: string): { readonly federation: number; readonly run: string } {
  const [run, federation = '1'] = name.split('@');
  return { federation: Number(federation), run };
}
