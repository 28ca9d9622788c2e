/** @file How columns become examples, as the window edits it: which roles a kind of mapping has. */

import type { Output } from '../../bridge/types.ts';

export type Inspection = Output<'data.inspect'>;
export type Mapping = NonNullable<Inspection['guess']>['mapping'];
export type MappingKind = Mapping['kind'];

interface Role {
  readonly name:
    'instruction' | 'input' | 'response' | 'messages' | 'prompt' | 'chosen' | 'rejected' | 'text' | 'label';
  /** Holds a text with `{column}` in it instead of a column's name. */
  readonly template?: true;
  readonly optional?: true;
}

export const ROLES: Record<MappingKind, readonly Role[]> = {
  /** The records are examples already. */
  fields: [],
  instruction: [{ name: 'instruction' }, { name: 'input', optional: true }, { name: 'response' }],
  chat: [{ name: 'messages' }],
  preference: [{ name: 'prompt', optional: true }, { name: 'chosen' }, { name: 'rejected' }],
  label: [{ name: 'text' }, { name: 'label' }, { name: 'instruction', template: true, optional: true }],
  'text-template': [
    { name: 'instruction', template: true },
    { name: 'response', template: true },
  ],
};

export const KINDS: readonly MappingKind[] = ['instruction', 'chat', 'preference', 'label', 'text-template'];

/** What a role is filled with, empty where it is not. */
export function roleOf(mapping: Mapping, role: string): string {
  const value: unknown = Object.entries(mapping).find(([name]) => name === role)?.[1];
  return typeof value === 'string' ? value : '';
}

/** The mapping with one role filled otherwise; an empty one is left out. */
export function withRole(mapping: Mapping, role: string, value: string): Mapping {
  const others = Object.entries(mapping).filter(([name]) => name !== role);
  return build(mapping.kind, value === '' ? others : [...others, [role, value]]);
}

/** Another kind of mapping; what both kinds name stays. */
export function withKind(mapping: Mapping | null, kind: MappingKind): Mapping {
  const kept = ROLES[kind].flatMap(({ name }): [string, string][] => {
    const value = mapping ? roleOf(mapping, name) : '';
    return value === '' ? [] : [[name, value]];
  });
  return build(kind, kept);
}

/** While it is edited a mapping may lack a role; `missingRole` says so, and only whole ones are sent. */
function build(kind: MappingKind, entries: readonly (readonly [string, unknown])[]): Mapping {
  return { ...Object.fromEntries(entries), kind } as Mapping;
}

/** The first role that has to be filled and is not, or one whose column another role has too. */
export function missingRole(mapping: Mapping): Role['name'] | null {
  const roles = ROLES[mapping.kind];
  const unfilled = roles.find(({ name, optional }) => !optional && roleOf(mapping, name).trim() === '');
  if (unfilled) return unfilled.name;
  const columns = roles.filter(({ template }) => !template).map(({ name }) => roleOf(mapping, name));
  const twice = columns.findIndex((column, at) => column !== '' && columns.indexOf(column) < at);
  return twice === -1 ? null : roles[twice].name;
}
