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
  label: [{ name: 'text' }, { name: 'label' }, { name: 'prompt', template: true, optional: true }],
  'text-template': [
    { name: 'prompt', template: true },
    { name: 'response', template: true },
  ],
};

export const KINDS: readonly MappingKind[] = ['instruction', 'chat', 'preference', 'label', 'text-template'];

/** Columns and templates by role. */
type Filled = Readonly<Partial<Record<string, string>>>;

const columnsOf = (mapping: Mapping): Filled => ('fields' in mapping ? mapping.fields : {});
const templatesOf = (mapping: Mapping): Filled => ('template' in mapping ? { ...mapping.template } : {});
const filledBy = (mapping: Mapping): Filled => ({ ...columnsOf(mapping), ...templatesOf(mapping) });

/** What a role is filled with, empty where it is not. */
export function roleOf(mapping: Mapping, role: string): string {
  return filledBy(mapping)[role] ?? '';
}

/** The mapping with one role filled otherwise; an empty one is left out. */
export function withRole(mapping: Mapping, role: string, value: string): Mapping {
  return build(mapping, mapping.kind, { ...filledBy(mapping), [role]: value });
}

/** Another kind of mapping. Columns that both kinds name stay, and become templates of themselves where asked. */
export function withKind(mapping: Mapping | null, kind: MappingKind): Mapping {
  const columns: Filled = mapping === null ? {} : columnsOf(mapping);
  const asked = columns.prompt ?? columns.instruction;
  if (kind !== 'text-template') return build(mapping, kind, { instruction: asked, ...columns });
  const template = (column: string | undefined) => (column === undefined ? '' : `{${column}}`);
  return build(mapping, kind, { prompt: template(asked), response: template(columns.response) });
}

/** While it is edited a mapping may lack a role; `missingRole` says so, and only whole ones are sent. */
function build(before: Mapping | null, kind: MappingKind, filled: Filled): Mapping {
  const part = (isTemplate: boolean) =>
    Object.fromEntries(
      ROLES[kind].flatMap(({ name, template = false }) => {
        const value = filled[name] ?? '';
        return template === isTemplate && value !== '' ? [[name, value]] : [];
      }),
    );
  const template = part(true);
  return {
    kind,
    ...(kind !== 'text-template' && { fields: part(false) }),
    ...((kind === 'text-template' || Object.keys(template).length > 0) && { template }),
    ...(kind === 'label' && before?.kind === 'label' && before.names && { names: before.names }),
  } as Mapping;
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
